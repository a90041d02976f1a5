/*
 * Moves a program to where a packet lies inside another one.
 *
 * What libpcap compiles for an Ethernet frame reads at fixed offsets. The moved program reads the same
 * things relative to an offset that is only known when a packet is there: it stands in a scratch word.
 * libpcap's X (where a packet's transport header begins) is kept in another one, moved as well.
 */
#ifndef PKTCAPD_CAPTURE_BPF_SHIFT_H
#define PKTCAPD_CAPTURE_BPF_SHIFT_H

#include "core/error.h"

#include <stddef.h>

struct bpf_insn;
struct bpf_program;

/* The scratch words that a moved program uses. Whoever runs one sets the base, and stores something in
 * the others: the kernel refuses a program that may load what was never stored. */
enum {
    BPF_SHIFT_BASE = 15,        /* where the inner frame begins */
    BPF_SHIFT_TRANSPORT = 14,   /* libpcap's X, plus the base */
    BPF_SHIFT_ACCUMULATOR = 13, /* A, while X is computed */
};

/* Writes the moved program; its bf_insns is the caller's to free(). Fails with ERROR_INTERNAL on an
 * instruction that libpcap has no reason to use in a test of addresses, types, protocols or ports. */
MUST_USE enum status bpf_shift(const struct bpf_insn *piece, size_t count, struct bpf_program *moved,
                               struct error *error);

#endif
