#include "capture/bpf_join.h"

#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct bpf_join *join, size_t more)
{
    size_t capacity = join->capacity == 0 ? 256 : join->capacity;

    while (capacity < join->count + more)
        capacity *= 2;
    if (capacity == join->capacity)
        return true;
    struct bpf_insn *grown = realloc(join->instructions, capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    join->instructions = grown;
    join->capacity = capacity;
    return true;
}

static void append(struct bpf_join *join, const struct bpf_insn *instructions, size_t count)
{
    memcpy(&join->instructions[join->count], instructions, count * sizeof *instructions);
    join->count += count;
}

/* From there to the end of the array, the returns that say yes (or no) become jumps to the end of the array.
 */
static void continue_at_end(struct bpf_join *join, size_t from, bool yes)
{
    for (size_t i = from; i < join->count; i++) {
        struct bpf_insn *instruction = &join->instructions[i];
        if (BPF_CLASS(instruction->code) == BPF_RET && (instruction->k != 0) == yes)
            *instruction = (struct bpf_insn)BPF_STMT(BPF_JMP | BPF_JA, (bpf_u_int32)(join->count - i - 1));
    }
}

/* The scratch words that a piece loads, one bit each. */
static unsigned scratch_words(const struct bpf_insn *piece, size_t count)
{
    unsigned words = 0;

    for (size_t i = 0; i < count; i++) {
        bool loads = BPF_CLASS(piece[i].code) == BPF_LD || BPF_CLASS(piece[i].code) == BPF_LDX;
        if (loads && BPF_MODE(piece[i].code) == BPF_MEM && piece[i].k < BPF_MEMWORDS)
            words |= 1U << piece[i].k;
    }
    return words;
}

/* libpcap takes it for granted that scratch memory starts as zero (`vlan and pppoes` adds to a word that
 * it never set). The kernel refuses such a program, and an earlier piece may have left something there. */
static size_t clear_scratch(unsigned words, struct bpf_insn out[BPF_MEMWORDS + 1])
{
    size_t count = 0;

    if (words != 0)
        out[count++] = (struct bpf_insn)BPF_STMT(BPF_LD | BPF_IMM, 0);
    for (unsigned word = 0; word < BPF_MEMWORDS; word++)
        if (words & 1U << word)
            out[count++] = (struct bpf_insn)BPF_STMT(BPF_ST, word);
    return count;
}

bool bpf_join_add(struct bpf_join *join, const struct bpf_insn *piece, size_t count)
{
    struct bpf_insn prologue[BPF_MEMWORDS + 1];
    size_t prologue_count = clear_scratch(scratch_words(piece, count) & ~join->kept, prologue);

    if (!reserve(join, prologue_count + count))
        return false;
    continue_at_end(join, join->piece, false);
    join->piece = join->count;
    append(join, prologue, prologue_count);
    append(join, piece, count);
    return true;
}

void bpf_join_end_group(struct bpf_join *join)
{
    continue_at_end(join, join->group, true);
    join->group = join->piece = join->count;
}

bool bpf_join_finish(struct bpf_join *join, uint32_t accept_bytes, struct bpf_program *program)
{
    const struct bpf_insn accept = BPF_STMT(BPF_RET | BPF_K, accept_bytes);

    if (!reserve(join, 1))
        return false;
    bpf_join_end_group(join);
    append(join, &accept, 1);
    *program = (struct bpf_program){.bf_len = (u_int)join->count, .bf_insns = join->instructions};
    *join = (struct bpf_join){0};
    return true;
}

void bpf_join_free(struct bpf_join *join)
{
    free(join->instructions);
    *join = (struct bpf_join){0};
}
