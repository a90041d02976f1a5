/*
 * Joins classic BPF programs as programs.
 *
 * The result is an AND of groups; a group is an OR of pieces; a piece is a program of its own that returns
 * 0 for no and anything else for yes. One array grows, and only returns are ever changed: when the next
 * piece of a group arrives, the noes of the one before become jumps to it; when the group ends, the yeses
 * of all its pieces become jumps to whatever follows. What is left are noes that reject the packet and one
 * yes at the very end. Conditional jumps reach 255 instructions, but they never leave their piece;
 * the new jumps between pieces are unconditional ones, whose reach is 32 bits.
 */
#ifndef PKTCAPD_CAPTURE_BPF_JOIN_H
#define PKTCAPD_CAPTURE_BPF_JOIN_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_insn;
struct bpf_program;

/* All zero: an empty join, which accepts everything. */
struct bpf_join {
    struct bpf_insn *instructions;
    size_t count;
    size_t capacity;
    size_t group;  /* where the open group begins */
    size_t piece;  /* where its newest piece begins */
    unsigned kept; /* scratch words that the next pieces find as those before left them, one bit each */
};

/* Adds one more alternative to the open group. It finds the scratch words that it loads empty, but for those
 * that are kept. false: out of memory. */
MUST_USE bool bpf_join_add(struct bpf_join *join, const struct bpf_insn *piece, size_t count);

/* Ends the open group. A group without pieces is no group. */
void bpf_join_end_group(struct bpf_join *join);

/* Ends the last group and hands the program over; its bf_insns is the caller's to free(). A packet that
 * passed every group is accepted with this many bytes. false: out of memory. The join is empty afterwards. */
MUST_USE bool bpf_join_finish(struct bpf_join *join, uint32_t accept_bytes, struct bpf_program *program);

void bpf_join_free(struct bpf_join *join);

#endif
