#include "capture/bpf_code.h"

#include <pcap/pcap.h>
#include <stdlib.h>

struct bpf_line {
    unsigned short operation;
    uint32_t k;
    size_t yes, no; /* labels */
    bool is_far;    /* takes three instructions */
};

enum { GROWS_BY = 256, NOT_PLACED = 0, FAR_SIZE = 3, REACH = 255 };

/* Makes room for one more. Both arrays only grow in steps of the same size. */
static void *room(struct bpf_code *code, void *array, size_t count, size_t size)
{
    if (count % GROWS_BY != 0 || code->failed)
        return array;
    void *grown = realloc(array, (count + GROWS_BY) * size);
    if (grown != NULL)
        return grown;
    code->failed = true;
    return array;
}

static size_t new_label(struct bpf_code *code)
{
    code->labels = room(code, code->labels, code->label_count, sizeof *code->labels);
    if (code->failed)
        return BPF_CODE_NEXT;
    code->labels[code->label_count] = NOT_PLACED;
    return code->label_count++;
}

size_t bpf_code_label(struct bpf_code *code)
{
    if (code->label_count == 0)
        new_label(code); /* BPF_CODE_NEXT, which is never placed */
    return new_label(code);
}

void bpf_code_place(struct bpf_code *code, size_t label)
{
    if (!code->failed)
        code->labels[label] = code->count;
}

void bpf_code_jump(struct bpf_code *code, unsigned operation, uint32_t k, size_t yes, size_t no)
{
    code->lines = room(code, code->lines, code->count, sizeof *code->lines);
    if (!code->failed)
        code->lines[code->count++] =
            (struct bpf_line){(unsigned short)(BPF_JMP | operation), k, yes, no, false};
}

void bpf_code_add(struct bpf_code *code, unsigned operation, uint32_t k)
{
    bpf_code_jump(code, 0, k, BPF_CODE_NEXT, BPF_CODE_NEXT);
    if (!code->failed)
        code->lines[code->count - 1].operation = (unsigned short)operation;
}

void bpf_code_go(struct bpf_code *code, size_t label)
{
    bpf_code_jump(code, BPF_JA, 0, label, label);
}

static bool is_jump(const struct bpf_line *line)
{
    return BPF_CLASS(line->operation) == BPF_JMP;
}

static bool is_conditional(const struct bpf_line *line)
{
    return is_jump(line) && BPF_OP(line->operation) != BPF_JA;
}

static size_t target(const struct bpf_code *code, size_t line, size_t label)
{
    return label == BPF_CODE_NEXT ? line + 1 : code->labels[label];
}

/* Every jump goes forward, to a line that is there. */
static bool is_sound(const struct bpf_code *code)
{
    for (size_t i = 0; i < code->count; i++) {
        size_t yes = target(code, i, code->lines[i].yes), no = target(code, i, code->lines[i].no);
        if (is_jump(&code->lines[i]) && (yes <= i || no <= i || yes >= code->count || no >= code->count))
            return false;
    }
    return !code->failed;
}

/* Where each line's instructions begin. Returns how many there are. */
static size_t lay_out(const struct bpf_code *code, size_t *starts)
{
    size_t at = 0;

    for (size_t i = 0; i < code->count; i++) {
        starts[i] = at;
        at += code->lines[i].is_far ? FAR_SIZE : 1;
    }
    return at;
}

/* Makes jumps that do not reach far ones. That moves everything behind them, so: until none is left. */
static size_t settle(struct bpf_code *code, size_t *starts)
{
    size_t size;
    bool changed;

    do {
        changed = false;
        size = lay_out(code, starts);
        for (size_t i = 0; i < code->count; i++) {
            struct bpf_line *line = &code->lines[i];
            if (!is_conditional(line) || line->is_far)
                continue;
            line->is_far = starts[target(code, i, line->yes)] - starts[i] - 1 > REACH ||
                           starts[target(code, i, line->no)] - starts[i] - 1 > REACH;
            changed |= line->is_far;
        }
    } while (changed);
    return size;
}

static void write_line(const struct bpf_line *line, struct bpf_insn *out, size_t yes, size_t no)
{
    *out = (struct bpf_insn){.code = line->operation, .k = line->k};
    if (line->is_far) {
        out->jf = 1;
        out[1] = (struct bpf_insn)BPF_STMT(BPF_JMP | BPF_JA, (bpf_u_int32)(yes - 1));
        out[2] = (struct bpf_insn)BPF_STMT(BPF_JMP | BPF_JA, (bpf_u_int32)(no - 2));
    } else if (is_conditional(line)) {
        out->jt = (u_char)yes;
        out->jf = (u_char)no;
    } else if (is_jump(line)) {
        out->k = (bpf_u_int32)yes;
    }
}

static bool write_all(struct bpf_code *code, size_t *starts, struct bpf_program *program)
{
    size_t size = settle(code, starts);
    struct bpf_insn *out = calloc(size, sizeof *out);

    for (size_t i = 0; i < code->count && out != NULL; i++) {
        const struct bpf_line *line = &code->lines[i];
        size_t yes = 0, no = 0;
        if (is_jump(line)) {
            yes = starts[target(code, i, line->yes)] - starts[i] - 1;
            no = starts[target(code, i, line->no)] - starts[i] - 1;
        }
        write_line(line, &out[starts[i]], yes, no);
    }
    if (out != NULL)
        *program = (struct bpf_program){.bf_len = (u_int)size, .bf_insns = out};
    return out != NULL;
}

bool bpf_code_finish(struct bpf_code *code, struct bpf_program *program)
{
    size_t *starts = calloc(code->count + 1, sizeof *starts);
    bool done = starts != NULL && is_sound(code) && write_all(code, starts, program);

    free(starts);
    bpf_code_free(code);
    return done;
}

void bpf_code_free(struct bpf_code *code)
{
    free(code->lines);
    free(code->labels);
    *code = (struct bpf_code){0};
}
