/*
 * Classic BPF being written: instructions in order, and jumps to labels that are placed later.
 *
 * A conditional jump reaches 255 instructions. One that would not reach becomes a short one over two
 * unconditional jumps, whose reach is 32 bits. Errors are kept until bpf_code_finish(), so that code
 * can be written without asking after every instruction.
 */
#ifndef PKTCAPD_CAPTURE_BPF_CODE_H
#define PKTCAPD_CAPTURE_BPF_CODE_H

#include "core/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_program;
struct bpf_line;

/* The label of whatever is written next. */
enum { BPF_CODE_NEXT = 0 };

/* All zero: empty. */
struct bpf_code {
    struct bpf_line *lines;
    size_t count;
    size_t *labels; /* the line at which each is placed */
    size_t label_count;
    bool failed; /* out of memory */
};

/* Makes a label. It must be placed, once, behind every jump to it. */
size_t bpf_code_label(struct bpf_code *code);
void bpf_code_place(struct bpf_code *code, size_t label);

void bpf_code_add(struct bpf_code *code, unsigned operation, uint32_t k);
/* operation: BPF_JEQ and so on, with BPF_K or BPF_X. */
void bpf_code_jump(struct bpf_code *code, unsigned operation, uint32_t k, size_t yes, size_t no);
void bpf_code_go(struct bpf_code *code, size_t label);

/* Hands the program over; its bf_insns is the caller's to free(). The code is empty afterwards.
 * false: out of memory, or a jump to a label that is not placed behind it. */
MUST_USE bool bpf_code_finish(struct bpf_code *code, struct bpf_program *program);

void bpf_code_free(struct bpf_code *code);

#endif
