#include "capture/filter.h"

#include "capture/bpf_join.h"
#include "capture/filter_options.h"
#include "capture/filter_words.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TEXT_SIZE = OPTIONS_MAX * 128 + 64, /* two tests on each term */

    /* On a live handle, libpcap's code for `vlan` also asks the metadata for a tag that the NIC stripped, and
     * every load behind it takes more instructions. Measured with 1.10.3 on large expressions: 5.9 for 1. */
    LIVE_GROWTH = 6,
};

struct terms {
    size_t count;
    char text[OPTIONS_MAX][FILTER_TERM_SIZE];
};

/* A filter being built. */
struct build {
    struct pcap *pcap;  /* the capture's handle: the outer tag may be in the metadata */
    struct pcap *frame; /* a dead twin of it: tests the frame as it stands */
    struct bpf_join join;
    size_t growth; /* how many more instructions a live handle may take than a dead one */
    struct errors *errors;
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void add_piece(struct build *build, const struct bpf_insn *piece, size_t count)
{
    if (!bpf_join_add(&build->join, piece, count))
        errors_add(build->errors, ERROR_INTERNAL, NULL, "out of memory for the filter");
}

/* Makes a text an alternative of the open group. On false, pcap_geterr() knows why. */
MUST_USE static bool add_text(struct build *build, struct pcap *pcap, const char *text)
{
    struct bpf_program piece;

    if (pcap_compile(pcap, &piece, text, 1, PCAP_NETMASK_UNKNOWN) != 0)
        return false;
    add_piece(build, piece.bf_insns, piece.bf_len);
    pcap_freecode(&piece);
    return true;
}

/* Packets that this host sends. */
static void add_sent(struct build *build)
{
    static const struct bpf_insn SENT[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (bpf_u_int32)(SKF_AD_OFF + SKF_AD_PKTTYPE)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };

    add_piece(build, SENT, COUNT(SENT));
    bpf_join_end_group(&build->join);
}

/* libpcap knows: its code for `vlan` asks the metadata only on a live handle. (A dead handle cannot be told
 * by its pcap_fileno(), which is 0.) */
static bool tags_may_be_stripped(struct pcap *pcap)
{
    struct bpf_program vlan;
    bool asks = false;

    if (pcap_compile(pcap, &vlan, "vlan", 1, PCAP_NETMASK_UNKNOWN) != 0)
        return false;
    for (u_int i = 0; i < vlan.bf_len; i++)
        asks |= vlan.bf_insns[i].k == (bpf_u_int32)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT);
    pcap_freecode(&vlan);
    return asks;
}

/* Packets whose stripped tag has one of the values in the field that the layer names. */
static void add_stripped_tag(struct build *build, const struct filter_layer *layer, const struct terms *terms)
{
    struct bpf_insn piece[OPTIONS_MAX + 6] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, (bpf_u_int32)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, (u_char)(terms->count + 2)),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, (bpf_u_int32)SKF_AD_OFF + layer->stripped),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, layer->stripped_bits),
    };
    size_t count = 4;

    for (size_t left = terms->count; left > 0; left--) {
        bpf_u_int32 value = (bpf_u_int32)strtoul(terms->text[terms->count - left], NULL, 0);
        piece[count++] = (struct bpf_insn)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, (u_char)left, 0);
    }
    piece[count++] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_K, 0);
    piece[count++] = (struct bpf_insn)BPF_STMT(BPF_RET | BPF_K, 1);
    if (tags_may_be_stripped(build->pcap))
        add_piece(build, piece, count);
    else
        build->growth += count;
}

static const char *option_text(enum option_name name)
{
    return names_of(&option_names, (int)name);
}

static size_t option_count(const struct packet_capture_request *request)
{
    return request->option_count < OPTIONS_MAX ? request->option_count : OPTIONS_MAX;
}

static bool request_has(const struct packet_capture_request *request, enum option_name name)
{
    for (size_t i = 0; i < option_count(request); i++)
        if (request->options[i].name == name)
            return true;
    return false;
}

static bool is_ethernet(const struct build *build)
{
    return pcap_datalink(build->frame) == DLT_EN10MB;
}

/* One test on every value before the next test: then libpcap loads what it compares them with only once. */
static void write_tests(const struct filter_option *option, size_t depth, const struct terms *terms,
                        char text[TEXT_SIZE])
{
    size_t used = (size_t)snprintf(text, TEXT_SIZE, "%s(", option->layer->depths[depth]);
    const char *separator = "";

    for (size_t test = 0; test < COUNT(option->tests) && option->tests[test] != NULL; test++) {
        if (option->layer->test_per_depth && test != depth)
            continue;
        for (size_t i = 0; i < terms->count; i++) {
            used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s%s", separator, option->tests[test],
                                     terms->text[i]);
            separator = " or ";
        }
    }
    snprintf(text + used, TEXT_SIZE - used, ")");
}

/* Makes the option's tests on these values alternatives of the open group, at every depth. */
static void add_tests(struct build *build, enum option_name name, const struct terms *terms)
{
    const struct filter_option *option = filter_option(name);
    char text[TEXT_SIZE];

    for (size_t i = 0; option->layer->depths[i] != NULL && (i == 0 || is_ethernet(build)); i++) {
        write_tests(option, i, terms, text);
        if (!add_text(build, build->frame, text)) {
            errors_add(build->errors, ERROR_BAD_VALUE, "options",
                       "option %s cannot be used on this interface: %s", option_text(name),
                       pcap_geterr(build->frame));
            return;
        }
    }
}

/* The values of one name as pcap-filter(7) wants them; wrong ones are reported and left out. */
static void read_terms(struct build *build, const struct packet_capture_request *request,
                       enum option_name name, struct terms *terms)
{
    const struct filter_option *option = filter_option(name);

    terms->count = 0;
    for (size_t i = 0; i < option_count(request); i++) {
        const char *value = request->options[i].value;
        if (request->options[i].name != name)
            continue;
        if (option->write_term(option, value, terms->text[terms->count]))
            terms->count++;
        else
            errors_add(build->errors, ERROR_BAD_VALUE, "options", "option %s has the value %s; it takes %s",
                       option_text(name), value[0] == '\0' ? "(empty)" : value, option->takes);
    }
}

/* All values of one name: a group. */
static void add_option(struct build *build, const struct packet_capture_request *request,
                       enum option_name name)
{
    const struct filter_layer *layer = filter_option(name)->layer;
    struct terms terms;

    read_terms(build, request, name, &terms);
    if (terms.count == 0)
        return;
    if (layer->stripped != 0)
        add_stripped_tag(build, layer, &terms);
    add_tests(build, name, &terms);
    bpf_join_end_group(&build->join);
}

static void add_option_if_usable(struct build *build, const struct packet_capture_request *request,
                                 enum option_name name)
{
    if (filter_option(name)->layer->needs_ethernet && !is_ethernet(build))
        errors_add(build->errors, ERROR_BAD_VALUE, "options",
                   "option %s needs an Ethernet header, which packets of this interface do not have",
                   option_text(name));
    else
        add_option(build, request, name);
}

static void add_options(struct build *build, const struct packet_capture_request *request)
{
    for (enum option_name name = 1; filter_option(name) != NULL; name++)
        if (request_has(request, name))
            add_option_if_usable(build, request, name);
    for (size_t i = 0; i < option_count(request); i++)
        if (filter_option(request->options[i].name) == NULL)
            errors_add(build->errors, ERROR_BAD_VALUE, "options", "option number %zu has an unknown name",
                       i + 1);
}

static void refuse_expression(struct build *build, struct pcap *pcap)
{
    errors_add(build->errors, ERROR_BAD_EXPRESSION, "capexpression",
               "capexpression is not a pcap-filter expression: %s", pcap_geterr(pcap));
}

/* The time of libpcap's optimizer grows with the cube of what it is given: 0.4 s for 4096 instructions, over
 * ten minutes for some that 1024 characters can ask for. Without it, libpcap is fast. */
static bool is_affordable(struct build *build, const char *expression)
{
    struct bpf_program plain;

    if (pcap_compile(build->frame, &plain, expression, 0, PCAP_NETMASK_UNKNOWN) != 0) {
        refuse_expression(build, build->frame);
        return false;
    }
    u_int count = plain.bf_len;
    pcap_freecode(&plain);
    if (count <= BPF_MAXINSNS)
        return true;
    errors_add(build->errors, ERROR_BAD_EXPRESSION, "capexpression",
               "capexpression is too large: %u instructions before optimisation, at most %d; use prefixes, "
               "ranges or options",
               count, BPF_MAXINSNS);
    return false;
}

/* The kernel keeps metadata at some negative offsets and refuses a program that loads from another. */
static void check_offsets(struct build *build, size_t from)
{
    for (size_t i = from; i < build->join.count; i++) {
        const struct bpf_insn *load = &build->join.instructions[i];
        bpf_u_int32 metadata = load->k - (bpf_u_int32)SKF_AD_OFF;
        if (BPF_CLASS(load->code) != BPF_LD || BPF_MODE(load->code) != BPF_ABS ||
            load->k < (bpf_u_int32)SKF_AD_OFF || (metadata < SKF_AD_MAX && metadata % 4 == 0))
            continue;
        errors_add(build->errors, ERROR_BAD_EXPRESSION, "capexpression",
                   "capexpression reads at the offset %d, where no packet has anything", (int)load->k);
        return;
    }
}

/* capexpression stands as the user wrote it: tags are not transparent in it. */
static void add_expression(struct build *build, const char *expression)
{
    struct error error;
    size_t before = build->join.count;

    if (expression[0] == '\0')
        return;
    if (filter_words_check(expression, &error) != STATUS_OK) {
        errors_add_error(build->errors, &error);
        return;
    }
    if (!is_affordable(build, expression))
        return;
    if (!add_text(build, build->pcap, expression)) {
        refuse_expression(build, build->pcap);
        return;
    }
    check_offsets(build, before);
    if (strstr(expression, "vlan") != NULL)
        build->growth += (build->join.count - before) * (LIVE_GROWTH - 1);
    bpf_join_end_group(&build->join);
}

/* Every piece of the filter; false if anything was wrong with one. */
static bool add_all(struct build *build, const struct packet_capture_request *request,
                    enum direction direction)
{
    size_t before = build->errors->count;

    if (direction == DIRECTION_OUTPUT)
        add_sent(build);
    add_options(build, request);
    add_expression(build, request->capexpression);
    return build->errors->count == before;
}

/* The kernel takes no longer program. */
static void check_size(struct build *build, const struct packet_capture_request *request, size_t growth)
{
    size_t count = build->join.count + 1 + growth;

    if (count > BPF_MAXINSNS)
        errors_add(build->errors, ERROR_BAD_EXPRESSION,
                   request->option_count > 0 ? "options" : "capexpression",
                   "the filter is too large: %zu instructions, at most %d; use fewer options or prefixes",
                   count, BPF_MAXINSNS);
}

void filter_validate(const struct packet_capture_request *request, int linktype, struct errors *errors)
{
    struct pcap *dead = pcap_open_dead(linktype, SNAPLEN_MAX);
    struct build build = {.pcap = dead, .frame = dead, .errors = errors};

    if (dead == NULL) {
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory for the filter");
        return;
    }
    if (add_all(&build, request, request->direction))
        check_size(&build, request, build.growth);
    bpf_join_free(&build.join);
    pcap_close(dead);
}

enum status filter_compile(struct pcap *pcap, const struct packet_capture_request *request,
                           enum direction direction, struct bpf_program *program, struct error *error)
{
    struct errors errors = {0};
    struct build build = {.pcap = pcap, .errors = &errors};
    enum status status = STATUS_OK;

    build.frame = pcap_open_dead(pcap_datalink(pcap), pcap_snapshot(pcap));
    if (build.frame == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory for the filter");
    if (add_all(&build, request, direction))
        check_size(&build, request, 0);
    if (errors.count == 0 && !bpf_join_finish(&build.join, (uint32_t)pcap_snapshot(pcap), program))
        errors_add(&errors, ERROR_INTERNAL, NULL, "out of memory for the filter");
    if (errors.count > 0) {
        *error = errors.items[0];
        status = error->status;
    }
    bpf_join_free(&build.join);
    pcap_close(build.frame);
    return status;
}

void filter_free(struct bpf_program *program)
{
    free(program->bf_insns);
    *program = (struct bpf_program){0};
}
