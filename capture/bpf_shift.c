#include "capture/bpf_shift.h"

#include "capture/bpf_code.h"

#include <pcap/pcap.h>
#include <stdlib.h>

/* What X holds in front of an instruction, whichever way led there. */
enum held { HELD_NONE, HELD_BASE, HELD_TRANSPORT, HELD_UNKNOWN };

struct place {
    size_t label;
    enum held held;
};

struct shift {
    const struct bpf_insn *piece;
    size_t count;
    struct place *places; /* one for each instruction */
    struct bpf_code code;
    enum held held; /* now */
};

static enum held meet(enum held a, enum held b)
{
    if (a == HELD_NONE || b == HELD_NONE)
        return a == HELD_NONE ? b : a;
    return a == b ? a : HELD_UNKNOWN;
}

static void hold(struct shift *shift, enum held wanted)
{
    if (shift->held != wanted)
        bpf_code_add(&shift->code, BPF_LDX | BPF_MEM,
                     wanted == HELD_BASE ? BPF_SHIFT_BASE : BPF_SHIFT_TRANSPORT);
    shift->held = wanted;
}

static void load(struct shift *shift, const struct bpf_insn *load, enum held from)
{
    hold(shift, from);
    bpf_code_add(&shift->code, BPF_LD | BPF_IND | BPF_SIZE(load->code), load->k);
}

/* `ldx 4*([k]&0xf)` has no form that adds X, and leaves A alone. */
static void load_header_length(struct shift *shift, const struct bpf_insn *load)
{
    struct bpf_code *code = &shift->code;

    hold(shift, HELD_BASE);
    bpf_code_add(code, BPF_ST, BPF_SHIFT_ACCUMULATOR);
    bpf_code_add(code, BPF_LD | BPF_B | BPF_IND, load->k);
    bpf_code_add(code, BPF_ALU | BPF_AND | BPF_K, 0xf);
    bpf_code_add(code, BPF_ALU | BPF_LSH | BPF_K, 2);
    bpf_code_add(code, BPF_ALU | BPF_ADD | BPF_X, 0);
    bpf_code_add(code, BPF_ST, BPF_SHIFT_TRANSPORT);
    bpf_code_add(code, BPF_LD | BPF_MEM, BPF_SHIFT_ACCUMULATOR);
    shift->held = HELD_BASE;
}

/* A jump's target is later in the piece. Returns its label. */
static size_t arrive(struct shift *shift, size_t target)
{
    struct place *place = &shift->places[target];

    if (place->label == BPF_CODE_NEXT)
        place->label = bpf_code_label(&shift->code);
    place->held = meet(place->held, shift->held);
    return place->label;
}

static void jump(struct shift *shift, size_t i)
{
    const struct bpf_insn *jump = &shift->piece[i];

    if (BPF_OP(jump->code) == BPF_JA)
        bpf_code_go(&shift->code, arrive(shift, i + 1 + jump->k));
    else
        bpf_code_jump(&shift->code, BPF_OP(jump->code) | BPF_K, jump->k, arrive(shift, i + 1 + jump->jt),
                      arrive(shift, i + 1 + jump->jf));
    shift->held = HELD_NONE; /* nothing comes through here */
}

static void other(struct shift *shift, const struct bpf_insn *instruction)
{
    bpf_code_add(&shift->code, instruction->code, instruction->k);
    if (BPF_CLASS(instruction->code) == BPF_RET)
        shift->held = HELD_NONE;
}

/* Offsets of metadata stand where no packet ends, and must not be moved. */
static bool is_in_frame(const struct bpf_insn *load)
{
    return load->k < 1u << 16;
}

static bool translate(struct shift *shift, size_t i)
{
    const struct bpf_insn *instruction = &shift->piece[i];

    switch (instruction->code) {
    case BPF_LD | BPF_W | BPF_ABS:
    case BPF_LD | BPF_H | BPF_ABS:
    case BPF_LD | BPF_B | BPF_ABS:
        load(shift, instruction, HELD_BASE);
        return is_in_frame(instruction);
    case BPF_LD | BPF_W | BPF_IND:
    case BPF_LD | BPF_H | BPF_IND:
    case BPF_LD | BPF_B | BPF_IND:
        load(shift, instruction, HELD_TRANSPORT);
        return is_in_frame(instruction);
    case BPF_LDX | BPF_B | BPF_MSH:
        load_header_length(shift, instruction);
        return is_in_frame(instruction);
    case BPF_JMP | BPF_JA:
    case BPF_JMP | BPF_JEQ | BPF_K:
    case BPF_JMP | BPF_JGT | BPF_K:
    case BPF_JMP | BPF_JGE | BPF_K:
    case BPF_JMP | BPF_JSET | BPF_K:
        jump(shift, i);
        return true;
    case BPF_ALU | BPF_AND | BPF_K:
    case BPF_RET | BPF_K:
        other(shift, instruction);
        return true;
    default:
        return false;
    }
}

static enum status translate_all(struct shift *shift, struct error *error)
{
    shift->held = HELD_UNKNOWN;
    for (size_t i = 0; i < shift->count; i++) {
        struct place *place = &shift->places[i];
        if (place->label != BPF_CODE_NEXT)
            bpf_code_place(&shift->code, place->label);
        shift->held = meet(place->held, shift->held);
        if (!translate(shift, i))
            return error_set(error, ERROR_INTERNAL, NULL,
                             "an instruction of libpcap's cannot be moved into a tunnel: code 0x%x, k 0x%x",
                             shift->piece[i].code, shift->piece[i].k);
    }
    return STATUS_OK;
}

enum status bpf_shift(const struct bpf_insn *piece, size_t count, struct bpf_program *moved,
                      struct error *error)
{
    struct shift shift = {.piece = piece, .count = count, .places = calloc(count, sizeof *shift.places)};
    enum status status = STATUS_OK;

    if (!bpf_validate(piece, (int)count))
        status = error_set(error, ERROR_INTERNAL, NULL, "libpcap made a program that is none");
    if (status == STATUS_OK && shift.places != NULL)
        status = translate_all(&shift, error);
    if (status == STATUS_OK && (shift.places == NULL || !bpf_code_finish(&shift.code, moved)))
        status = error_set(error, ERROR_INTERNAL, NULL, "out of memory for the filter");
    bpf_code_free(&shift.code);
    free(shift.places);
    return status;
}
