#include "capture/filter.h"

#include "capture/bpf_join.h"
#include "capture/bpf_shift.h"
#include "capture/filter_exclude.h"
#include "capture/filter_link.h"
#include "capture/filter_terms.h"
#include "capture/filter_tunnel.h"
#include "capture/filter_words.h"

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

/* On a live handle, libpcap's code for `vlan` also asks the metadata for a tag that the NIC stripped, and
 * every load behind it takes more instructions. Measured with 1.10.3 on large expressions: 5.9 for 1. */
enum { LIVE_GROWTH = 6 };

/* A filter being built. */
struct build {
    const struct filter_place *place;
    struct pcap *frame;             /* a dead twin of the place's handle: tests the frame as it stands */
    struct pcap *inner;             /* for frames inside tunnels; NULL: the options speak of the outer one */
    const struct filter_link *link; /* NULL: unknown */
    struct bpf_join join;
    size_t growth; /* how many more instructions a live handle may take than a dead one */
    struct errors *errors;
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void out_of_memory(struct build *build)
{
    errors_add(build->errors, ERROR_INTERNAL, NULL, "out of memory for the filter");
}

static void add_piece(struct build *build, const struct bpf_insn *piece, size_t count)
{
    if (!bpf_join_add(&build->join, piece, count))
        out_of_memory(build);
}

/* Code written by hand, as a group of its own. */
static void add_code(struct build *build, struct bpf_code *code)
{
    struct bpf_program program;

    if (!bpf_code_finish(code, &program)) {
        out_of_memory(build);
        return;
    }
    add_piece(build, program.bf_insns, program.bf_len);
    bpf_join_end_group(&build->join);
    free(program.bf_insns);
}

static void add_moved_piece(struct build *build, const struct bpf_program *piece)
{
    struct bpf_program moved;
    struct error error;

    if (bpf_shift(piece->bf_insns, piece->bf_len, &moved, &error) != STATUS_OK) {
        errors_add_error(build->errors, &error);
        return;
    }
    add_piece(build, moved.bf_insns, moved.bf_len);
    free(moved.bf_insns);
}

/* Makes a text an alternative of the open group. On false, pcap_geterr() knows why. */
MUST_USE static bool add_text(struct build *build, struct pcap *pcap, const char *text)
{
    struct bpf_program piece;

    if (pcap_compile(pcap, &piece, text, 1, PCAP_NETMASK_UNKNOWN) != 0)
        return false;
    if (pcap == build->inner)
        add_moved_piece(build, &piece);
    else
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

static bool is_ethernet(struct pcap *pcap)
{
    return pcap_datalink(pcap) == DLT_EN10MB;
}

/* Packets whose stripped tag has one of the values in the field that the layer names. */
static void add_stripped_tag(struct build *build, const struct filter_layer *layer,
                             const struct filter_terms *terms)
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
    add_piece(build, piece, count);
}

static const char *option_text(enum option_name name)
{
    return names_of(&option_names, (int)name);
}

/* Makes the option's tests on a few values alternatives of the open group, at every depth. */
MUST_USE static bool add_few_tests(struct build *build, struct pcap *pcap, enum option_name name,
                                   const struct filter_terms *terms)
{
    const struct filter_option *option = filter_option(name);
    char text[FILTER_TESTS_SIZE];

    for (size_t i = 0; option->layer->depths[i] != NULL && (i == 0 || is_ethernet(pcap)); i++) {
        filter_terms_write(option, i, terms, text);
        if (add_text(build, pcap, text))
            continue;
        errors_add(build->errors, ERROR_BAD_VALUE, "options",
                   "option %s cannot be used on this interface: %s", option_text(name), pcap_geterr(pcap));
        return false;
    }
    return true;
}

/* ... on all values. Time grows with the cube of a text, so few at once: 64 ports took 110 ms in one text,
 * and take 25 ms like this. */
static void add_tests(struct build *build, struct pcap *pcap, enum option_name name,
                      const struct filter_terms *terms)
{
    enum { FEW = 16 };
    struct filter_terms few;

    for (size_t from = 0; from < terms->count; from += few.count) {
        few.count = terms->count - from < FEW ? terms->count - from : FEW;
        memcpy(few.text, terms->text[from], few.count * sizeof few.text[0]);
        if (!add_few_tests(build, pcap, name, &few))
            return;
    }
}

/* All values of one name: a group. */
static void add_option(struct build *build, struct pcap *pcap, const struct packet_capture_request *request,
                       enum option_name name)
{
    const struct filter_layer *layer = filter_option(name)->layer;
    struct filter_terms terms;

    filter_terms_read(request, name, &terms, build->errors);
    if (terms.count == 0)
        return;
    if (layer->stripped != 0 && build->place->kernel && pcap == build->frame && is_ethernet(pcap))
        add_stripped_tag(build, layer, &terms);
    add_tests(build, pcap, name, &terms);
    bpf_join_end_group(&build->join);
}

static void add_outer_option(struct build *build, const struct packet_capture_request *request,
                             enum option_name name)
{
    const struct filter_layer *layer = filter_option(name)->layer;

    if (layer->needs_mac && build->place->firewall)
        errors_add(build->errors, ERROR_BAD_VALUE, "options",
                   "option %s needs a MAC header, which packets of DVFILTER do not have", option_text(name));
    else if (layer->needs_ethernet && !is_ethernet(build->frame))
        errors_add(build->errors, ERROR_BAD_VALUE, "options",
                   "option %s needs an Ethernet header, which packets of this interface do not have",
                   option_text(name));
    else
        add_option(build, build->frame, request, name);
}

/* The options that speak of the outer frame, or those that speak of the inner one. */
static void add_options_of(struct build *build, const struct packet_capture_request *request, bool inner)
{
    for (enum option_name name = 1; filter_option(name) != NULL; name++) {
        const struct filter_layer *layer = filter_option(name)->layer;
        bool is_inner = build->inner != NULL && !layer->is_outer;
        if (layer->is_tunnel || is_inner != inner || !filter_has_option(request, name))
            continue;
        if (inner)
            add_option(build, build->inner, request, name);
        else
            add_outer_option(build, request, name);
    }
}

static void add_tunnel_ids(struct build *build, const struct packet_capture_request *request)
{
    uint32_t ids[OPTIONS_MAX];
    struct filter_terms terms;
    struct bpf_code code = {0};

    filter_terms_read(request, OPTION_VNI, &terms, build->errors);
    for (size_t i = 0; i < terms.count; i++)
        ids[i] = filter_option_number(terms.text[i]);
    if (terms.count == 0)
        return;
    filter_tunnel_write_ids(&code, ids, terms.count);
    add_code(build, &code);
}

/* Packets of tunnels only. From here on until the expression, scratch memory tells where their inner frames
 * are. */
static void add_tunnel(struct build *build, const struct packet_capture_request *request)
{
    struct bpf_code code = {0};

    if (build->link == NULL || !build->link->has_tunnels) {
        errors_add(build->errors, ERROR_BAD_VALUE, "options",
                   "option %s cannot be used on this interface, whose packets have neither an Ethernet "
                   "header nor begin with an IP header",
                   option_text(filter_has_option(request, OPTION_VNI) ? OPTION_VNI : OPTION_INNER));
        return;
    }
    filter_tunnel_write(build->link, &code);
    add_code(build, &code);
    build->join.kept = FILTER_TUNNEL_WORDS;
    add_tunnel_ids(build, request);
    add_options_of(build, request, true);
    build->join.kept = 0;
}

static void add_options(struct build *build, const struct packet_capture_request *request)
{
    struct filter_terms ignored;

    add_options_of(build, request, false);
    filter_terms_read(request, OPTION_INNER, &ignored, build->errors);
    if (filter_contradicts_inner(request))
        errors_add(build->errors, ERROR_CONFLICT, "options",
                   "option INNER is false, and VNI or another INNER says that it is true");
    if (build->inner != NULL)
        add_tunnel(build, request);
    for (size_t i = 0; i < filter_option_count(request); i++)
        if (filter_option(request->options[i].name) == NULL)
            errors_add(build->errors, ERROR_BAD_VALUE, "options", "option number %zu has an unknown name",
                       i + 1);
}

/* The mark first: it is one load. */
static void add_exclusions(struct build *build, const struct filter_exclusions *exclusions)
{
    struct bpf_code mark = {0}, endpoints = {0};

    if (build->place->kernel && exclusions->mark_mask != 0) {
        filter_exclude_write_mark(&mark, exclusions->mark, exclusions->mark_mask);
        add_code(build, &mark);
    }
    if (build->link != NULL && filter_exclude_has_endpoints(exclusions)) {
        filter_exclude_write_endpoints(&endpoints, build->link, exclusions);
        add_code(build, &endpoints);
    }
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

static bool is_good_offset(const struct build *build, bpf_u_int32 offset)
{
    bpf_u_int32 metadata = offset - (bpf_u_int32)SKF_AD_OFF;

    if (offset < (bpf_u_int32)SKF_AD_OFF)
        return true;
    return !build->place->firewall && metadata < SKF_AD_MAX && metadata % 4 == 0;
}

/* The kernel keeps metadata at some negative offsets and refuses a program that loads from another. The
 * packets of its firewall come without any. */
static void check_offsets(struct build *build, size_t from)
{
    for (size_t i = from; i < build->join.count; i++) {
        const struct bpf_insn *load = &build->join.instructions[i];
        if (BPF_CLASS(load->code) != BPF_LD || BPF_MODE(load->code) != BPF_ABS ||
            is_good_offset(build, load->k))
            continue;
        if (build->place->firewall && load->k - (bpf_u_int32)SKF_AD_OFF < SKF_AD_MAX)
            errors_add(build->errors, ERROR_BAD_EXPRESSION, "capexpression",
                       "capexpression asks for a packet's direction or interface, which packets of DVFILTER "
                       "do not tell; use direction and capvalue");
        else
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
    if (!add_text(build, build->place->pcap, expression)) {
        refuse_expression(build, build->place->pcap);
        return;
    }
    check_offsets(build, before);
    if (strstr(expression, "vlan") != NULL)
        build->growth += (build->join.count - before) * (LIVE_GROWTH - 1);
    bpf_join_end_group(&build->join);
}

/* Every piece of the filter; false if anything was wrong with one. */
static bool add_all(struct build *build, const struct packet_capture_request *request,
                    enum direction direction, const struct filter_exclusions *exclusions)
{
    size_t before = build->errors->count;

    if (exclusions != NULL)
        add_exclusions(build, exclusions);
    if (direction == DIRECTION_OUTPUT && build->place->kernel)
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

static bool build_open(struct build *build, const struct packet_capture_request *request)
{
    int linktype = pcap_datalink(build->place->pcap), snaplen = pcap_snapshot(build->place->pcap);
    bool inner = filter_is_inner(request);

    build->link = filter_link(linktype);
    build->frame = pcap_open_dead(linktype, snaplen);
    build->inner = inner ? pcap_open_dead(DLT_EN10MB, snaplen) : NULL;
    if (build->frame != NULL && (build->inner != NULL || !inner))
        return true;
    out_of_memory(build);
    return false;
}

static void build_close(struct build *build)
{
    bpf_join_free(&build->join);
    if (build->frame != NULL)
        pcap_close(build->frame);
    if (build->inner != NULL)
        pcap_close(build->inner);
}

void filter_validate(const struct packet_capture_request *request, int linktype, struct errors *errors)
{
    bool firewall = request->cappoint == CAPPOINT_DVFILTER;
    struct filter_place place = {.pcap = pcap_open_dead(firewall ? DLT_RAW : linktype, SNAPLEN_MAX),
                                 .kernel = !firewall,
                                 .firewall = firewall};
    struct build build = {.place = &place, .errors = errors};

    if (place.pcap == NULL) {
        out_of_memory(&build);
        return;
    }
    if (build_open(&build, request) && add_all(&build, request, request->direction, NULL))
        check_size(&build, request, build.growth + FILTER_EXCLUDE_ROOM);
    build_close(&build);
    pcap_close(place.pcap);
}

enum status filter_compile(const struct filter_place *place, const struct packet_capture_request *request,
                           enum direction direction, const struct filter_exclusions *exclusions,
                           struct bpf_program *program, struct error *error)
{
    struct errors errors = {0};
    struct build build = {.place = place, .errors = &errors};
    enum status status = STATUS_OK;

    if (build_open(&build, request) && add_all(&build, request, direction, exclusions))
        check_size(&build, request, 0);
    if (errors.count == 0 && !bpf_join_finish(&build.join, (uint32_t)pcap_snapshot(place->pcap), program))
        out_of_memory(&build);
    if (errors.count > 0) {
        *error = errors.items[0];
        status = error->status;
    }
    build_close(&build);
    return status;
}

void filter_free(struct bpf_program *program)
{
    free(program->bf_insns);
    *program = (struct bpf_program){0};
}
