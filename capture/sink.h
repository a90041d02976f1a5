/*
 * Where captured packets go. The capture thread encodes packets into batches, in the sink's own
 * format; the writer thread hands whole batches to the sink, so a slow disk fills batches and not the
 * kernel's ring.
 */
#ifndef PKTCAPD_CAPTURE_SINK_H
#define PKTCAPD_CAPTURE_SINK_H

#include "core/error.h"

#include <stdint.h>

struct packet {
    int64_t timestamp_ns; /* the kernel's, since the epoch */
    uint32_t captured;    /* bytes in data */
    uint32_t length;      /* bytes on the wire */
    const uint8_t *data;
};

/* Whole encoded packets, and how many bytes and packets they are. */
struct batch {
    uint8_t *data;
    size_t size, used;
    int64_t packets;
    int64_t packet_bytes; /* the packets' own bytes */
    int64_t filled_ms;    /* up to when it speaks: everything that arrived before is in it or before it */
};

struct sink;

/* Writes of one sink come from one thread at a time. */
struct sink_ops {
    /* Bytes of a batch that a packet of so many captured bytes takes. */
    size_t (*packet_size)(uint32_t captured);
    /* Appends a packet to a batch that has room for it. */
    void (*encode)(struct batch *batch, const struct packet *packet);
    /* Writes a batch. On failure what could not be written is cut off at a packet's edge and the batch is
     * reduced to what was: *batch tells the truth either way. ERROR_STORE_FULL if the disk is full. */
    enum status (*write)(struct sink *sink, struct batch *batch, struct error *error);
    /* Makes everything durable and closes. */
    enum status (*close)(struct sink *sink, struct error *error);
};

struct sink {
    const struct sink_ops *ops;
    int fd;
    int directory_fd;
    int64_t size; /* bytes so far */
};

#endif
