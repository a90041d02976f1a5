#include "capture/packet_ring.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

static enum status failed(const char *what, struct error *error)
{
    return error_set(error, ERROR_HOST, NULL, "cannot make the capture ring: %s: %s", what, strerror(errno));
}

enum status packet_ring_open(struct packet_ring *ring, int fd, size_t bytes, unsigned retire_ms,
                             struct error *error)
{
    enum { FRAME = 2048 }; /* the kernel wants one, and packs packets by their real size */
    unsigned blocks = bytes < PACKET_RING_BLOCK_SIZE ? 1 : (unsigned)(bytes / PACKET_RING_BLOCK_SIZE);
    struct tpacket_req3 request = {
        .tp_block_size = PACKET_RING_BLOCK_SIZE,
        .tp_block_nr = blocks,
        .tp_frame_size = FRAME,
        .tp_frame_nr = blocks * (PACKET_RING_BLOCK_SIZE / FRAME),
        .tp_retire_blk_tov = retire_ms,
    };
    int version = TPACKET_V3, reserve = PACKET_RING_RESERVE;

    if (setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) != 0)
        return failed("TPACKET_V3", error);
    if (setsockopt(fd, SOL_PACKET, PACKET_RESERVE, &reserve, sizeof reserve) != 0)
        return failed("room in front of packets", error);
    if (setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) != 0)
        return failed("memory of the kernel's", error);
    size_t size = (size_t)blocks * PACKET_RING_BLOCK_SIZE;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return failed("mmap", error);
    *ring = (struct packet_ring){.blocks = map, .size = size, .count = blocks};
    return STATUS_OK;
}

void packet_ring_close(struct packet_ring *ring)
{
    if (ring->blocks != NULL)
        munmap(ring->blocks, ring->size);
    ring->blocks = NULL;
}

static struct tpacket_hdr_v1 *block_at(const struct packet_ring *ring, uint32_t at)
{
    uint8_t *block = ring->blocks + (size_t)at * PACKET_RING_BLOCK_SIZE;

    return &((struct tpacket_block_desc *)(void *)block)->hdr.bh1;
}

static void block_give_back(struct packet_ring *ring)
{
    __atomic_store_n(&block_at(ring, ring->at)->block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    ring->at = (ring->at + 1) % ring->count;
    ring->reading = false;
}

static bool block_take(struct packet_ring *ring)
{
    struct tpacket_hdr_v1 *block = block_at(ring, ring->at);
    uint8_t *start = ring->blocks + (size_t)ring->at * PACKET_RING_BLOCK_SIZE;

    if ((__atomic_load_n(&block->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0)
        return false;
    ring->left = block->num_pkts;
    ring->next = (struct tpacket3_hdr *)(void *)(start + block->offset_to_first_pkt);
    ring->reading = true;
    return true;
}

struct tpacket3_hdr *packet_ring_next(struct packet_ring *ring)
{
    /* The last packet of a block is done with when the next is asked for; and a block may come empty. */
    while (!ring->reading || ring->left == 0) {
        if (ring->reading)
            block_give_back(ring);
        if (!block_take(ring))
            return NULL;
    }
    struct tpacket3_hdr *packet = ring->next;
    ring->left--;
    ring->next = (struct tpacket3_hdr *)(void *)((uint8_t *)packet + packet->tp_next_offset);
    return packet;
}
