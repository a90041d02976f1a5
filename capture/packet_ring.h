/*
 * The ring that the kernel fills for a packet socket, and we read in place: TPACKET_V3, blocks of many
 * packets (Documentation/networking/packet_mmap.rst).
 */
#ifndef PKTCAPD_CAPTURE_PACKET_RING_H
#define PKTCAPD_CAPTURE_PACKET_RING_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpacket3_hdr;

/* A block must hold the largest packet (SNAPLEN_MAX, less a few bytes of headers). */
enum { PACKET_RING_BLOCK_SIZE = 256 * 1024 };

/* Free bytes in front of each packet, for what the reader puts there: a tag that was stripped, or the header
 * of cooked mode. */
enum { PACKET_RING_RESERVE = 16 };

struct packet_ring {
    uint8_t *blocks;
    size_t size;        /* of all, bytes */
    uint32_t count, at; /* blocks, and which one is next or being read */
    uint32_t left;      /* packets of that block that were not handed out yet */
    struct tpacket3_hdr *next;
    bool reading; /* a block is being read: it is given back when its last packet is done with */
};

/* Sets the socket up with a ring of so many bytes (at least one block); a block that is not full is handed
 * over after retire_ms. ERROR_HOST if memory is short. */
MUST_USE enum status packet_ring_open(struct packet_ring *ring, int fd, size_t bytes, unsigned retire_ms,
                                      struct error *error);
void packet_ring_close(struct packet_ring *ring);

/* The next packet, NULL if none waits. It is good until the next call. */
struct tpacket3_hdr *packet_ring_next(struct packet_ring *ring);

#endif
