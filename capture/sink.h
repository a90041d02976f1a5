/*
 * Where captured packets go: a file, a ring of files, a stream. The capture thread encodes packets into
 * batches, in the sink's own format; the writer thread hands whole batches to the sink, so a slow disk fills
 * batches and not the kernel's ring.
 */
#ifndef PKTCAPD_CAPTURE_SINK_H
#define PKTCAPD_CAPTURE_SINK_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

enum packet_direction { PACKET_UNTOLD, PACKET_RECEIVED, PACKET_SENT };

struct packet {
    int64_t timestamp_ns;            /* the kernel's, since the epoch */
    uint32_t captured;               /* bytes in data */
    uint32_t length;                 /* bytes on the wire */
    enum packet_direction direction; /* as the interface saw it */
    const uint8_t *data;
};

/* What the tap did so far, for the statistics at a file's end. Times are epoch nanoseconds. */
struct sink_summary {
    int64_t started_ns, ended_ns;
    int64_t matched; /* packets that the filter let through: the sum of the next two, and those taken */
    int64_t dropped; /* for want of room */
    int64_t skipped; /* by caprate */
    int64_t dropped_interface;
};

/* Whole encoded packets, and how many bytes and packets they are. */
struct batch {
    uint8_t *data;
    size_t size, used;
    int64_t packets;
    int64_t packet_bytes; /* the packets' own bytes */
    int64_t filled_ms;    /* up to when it speaks: everything that arrived before is in it or before it */
    bool starts_file;     /* of a ring: the file before it ends, and this batch is the first of the next */
    struct sink_summary summary; /* and what the tap did until then */
};

struct sink;

/* Writes of one sink come from one thread at a time. */
struct sink_ops {
    /* Bytes of a batch that a packet of so many captured bytes takes, at most. */
    size_t (*packet_size)(uint32_t captured);
    /* Appends a packet to a batch that has room for it. */
    void (*encode)(struct batch *batch, const struct packet *packet);
    /* Writes a batch. On failure what could not be written is cut off at a packet's edge and the batch is
     * reduced to what was: *batch tells the truth either way. ERROR_STORE_FULL if the disk is full. */
    enum status (*write)(struct sink *sink, struct batch *batch, struct error *error);
    /* Ends the file and begins the next of the ring; NULL where there is no ring. */
    enum status (*rotate)(struct sink *sink, const struct sink_summary *summary, struct error *error);
    /* Makes everything durable and closes. summary may be NULL where nothing is known. */
    enum status (*close)(struct sink *sink, const struct sink_summary *summary, struct error *error);
    /* The capture ends, so writes shall wait for nothing any more. From any thread. NULL: they never do. */
    void (*hurry)(struct sink *sink);
    /* Called now and then while there is nothing to write, as late answers may come. Returns whether to call
     * again before the next write. NULL: nobody answers. */
    bool (*look)(struct sink *sink);
};

struct sink {
    const struct sink_ops *ops;
    void *state; /* the sink's own */
    int fd;
    int directory_fd;
    int64_t size;                         /* bytes so far: of the download where it is a file or a ring */
    int64_t file_size;                    /* of the file that is being written */
    size_t header_size, trailer_size;     /* what the beginning and the end of a file take */
    int64_t overwritten;                  /* packets in files of a ring that are gone */
    int64_t overwritten_bytes;            /* and their bytes */
    bool is_stream;                       /* it keeps no file; the next line is what counts */
    int64_t streamed, unsent, fragmented; /* packets: see struct counters */
    int64_t streamed_bytes;               /* the packets' own */
    char note[160];                       /* what the session's errormsg should say of it; empty: nothing */
};

#endif
