/*
 * The filters of VNI and INNER: every option of the common table inside every kind of tunnel.
 */
#include "filter_packets.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* Sanitizers make it slower. */
#ifdef __SANITIZE_ADDRESS__
#define SLOWNESS 10
#else
#define SLOWNESS 1
#endif

/* Source ports are those of the tunnels: only destinations count. */
#define OUTER_MACS "0200000000f2 0200000000f1"
#define ETHER4     "0800"
#define ETHER6     "86dd"
#define IN4        "4500 0000 0001 0000 4011 0000 c6336401 c6336402"
#define IN4_FIRST  "4500 0000 0001 2000 4011 0000 c6336401 c6336402"
#define IN4_LONG   "4700 0000 0001 4000 4011 0000 c6336401 c6336402 01010101 01010101"
#define IN6        "60000000 0000 1140 fd000000000000000000000000000001 fd000000000000000000000000000002"
#define VXLAN      "17c1 12b5 0000 0000 08000000 00138900" /* VNI 5001 */
#define VXLAN_8472 "12b5 2118 0000 0000 0cffffff 001389ff"
#define GENEVE     "12b5 17c1 0000 0000 0000 6558 00138900"
#define GENEVE_OAM "12b5 17c1 0000 0000 03c0 6558 00138900 01020301 00000800 00000006"

static const char *const NETWORKS[][2] = {
    {ETHER4, IN4}, {ETHER4, IN4_FIRST}, {ETHER4, IN4_LONG}, {ETHER6, IN6}};
static const char *const TUNNELS[] = {VXLAN, VXLAN_8472, GENEVE, GENEVE_OAM};

/* A kind of tunnel: one of the above each, and a depth of tags on the outer frame. */
struct kind {
    size_t depth, network, tunnel;
};

static bool next_kind(struct kind *kind)
{
    if (++kind->depth < DEPTHS)
        return true;
    kind->depth = 0;
    if (++kind->network < COUNT(NETWORKS))
        return true;
    kind->network = 0;
    return ++kind->tunnel < COUNT(TUNNELS);
}

static struct bytes outer_ethernet(const struct kind *kind)
{
    struct bytes bytes = {.length = 0};

    append_hex(&bytes, OUTER_MACS);
    append_hex(&bytes, FILTER_TAGS[kind->depth]);
    append_hex(&bytes, NETWORKS[kind->network][0]);
    append_hex(&bytes, NETWORKS[kind->network][1]);
    append_hex(&bytes, TUNNELS[kind->tunnel]);
    return bytes;
}

static struct bytes outer_raw(const struct kind *kind)
{
    struct bytes bytes = {.length = 0};

    append_hex(&bytes, NETWORKS[kind->network][1]);
    append_hex(&bytes, TUNNELS[kind->tunnel]);
    return bytes;
}

static struct bytes wrapped(struct bytes outer, const struct bytes *inner)
{
    memcpy(outer.data + outer.length, inner->data, inner->length);
    outer.length += inner->length;
    return outer;
}

static void assert_passes(const struct bpf_program *program, const struct bytes *bytes, bool wanted,
                          const char *options, const struct kind *kind, enum packet packet, size_t depth)
{
    if (passes(program, bytes) != wanted)
        fail_msg("%s: packet %d at depth %zu in tunnel %zu over network %zu at depth %zu %s", options,
                 (int)packet, depth, kind->tunnel, kind->network, kind->depth,
                 wanted ? "is rejected" : "passes");
}

/* The case holds inside every tunnel, and nothing passes that is in none. */
static void check_case(const struct filter_case *wanted, int linktype, const char *inner)
{
    char options[256];

    snprintf(options, sizeof options, "%s%s", inner, wanted->options);
    assert_valid(options, NULL, linktype);
    assert_kernel_takes(options, NULL, linktype, NULL);
    struct bpf_program program = compiled(options, NULL, linktype, SNAPLEN_MAX);
    for (enum packet packet = 0; packet < PACKETS; packet++)
        for (size_t depth = 0; depth < DEPTHS; depth++) {
            struct kind kind = {0, 0, 0};
            struct bytes bytes = frame(packet, depth);
            bool in = wanted->packets & ON(packet) && wanted->depths & TAGGED(depth);
            assert_false(passes(&program, &bytes));
            do {
                struct bytes outer = linktype == DLT_RAW ? outer_raw(&kind) : outer_ethernet(&kind);
                struct bytes whole = wrapped(outer, &bytes);
                assert_passes(&program, &whole, in, options, &kind, packet, depth);
            } while (next_kind(&kind));
        }
    filter_free(&program);
}

static bool is_for_inside(const struct filter_case *wanted)
{
    return wanted->expression[0] == '\0' && strstr(wanted->options, "VLAN") == NULL;
}

static void every_option_inside(void **state)
{
    size_t tried = 0;

    (void)state;
    for (size_t i = 0; i < FILTER_CASES_COUNT; i++)
        if (is_for_inside(&FILTER_CASES[i])) {
            check_case(&FILTER_CASES[i], DLT_EN10MB, "INNER=true ");
            tried++;
        }
    assert_true(tried > 60);
}

static void every_option_inside_without_outer_ethernet(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILTER_CASES_COUNT; i++)
        if (is_for_inside(&FILTER_CASES[i]))
            check_case(&FILTER_CASES[i], DLT_RAW, "VNI=0x1389 VNI=7 ");
}

static void ids(void **state)
{
    static const struct {
        const char *options;
        unsigned packets;
    } IDS[] = {{"VNI=5001", ALL},
               {"VNI=0X001389", ALL},
               {"VNI=5002", NONE},
               {"VNI=0", NONE},
               {"VNI=16777215", NONE},
               {"VNI=1 VNI=2 VNI=5001 VNI=3", ALL},
               {"VNI=5001 VNI=5001 INNER=true", ALL},
               {"VNI=5001 INNER=true PORT=80", TCPS},
               {"PORT=80 VNI=5001 VNI=5002 IP=10.0.0.0/8", ON(TCP4) | ON(OPTIONS4)},
               {"PORT=80 VNI=5003", NONE},
               {"INNER=true INNER=true", ALL}};

    (void)state;
    for (size_t i = 0; i < COUNT(IDS); i++) {
        const struct filter_case wanted = {IDS[i].options, "", IDS[i].packets, ANY_DEPTH};
        check_case(&wanted, DLT_EN10MB, "");
        check_case(&wanted, DLT_RAW, "");
    }
}

/* INNER=false is as if it were not there. */
static void not_inner(void **state)
{
    struct bpf_program program = compiled("INNER=false PORT=4789", NULL, DLT_EN10MB, SNAPLEN_MAX);
    struct kind kind = {0, 0, 0};
    struct bytes inner = frame(TCP4, 0), whole = outer_ethernet(&kind);

    (void)state;
    assert_false(passes(&program, &inner));
    whole = wrapped(whole, &inner);
    assert_true(passes(&program, &whole));
    filter_free(&program);
}

/* What looks like a tunnel at first sight. */
static void no_tunnels(void **state)
{
    static const char *const NOT[][3] = {
        {ETHER4, "4500 0000 0001 0010 4011 0000 c6336401 c6336402", VXLAN}, /* a later fragment */
        {ETHER4, "4500 0000 0001 2001 4011 0000 c6336401 c6336402", GENEVE},
        {ETHER4, "4500 0000 0001 0000 4006 0000 c6336401 c6336402", VXLAN}, /* TCP */
        {ETHER6, "60000000 0000 0640 fd000000000000000000000000000001 fd000000000000000000000000000002",
         VXLAN},
        {"88b5", IN4, VXLAN},
        {ETHER4, IN4, "12b5 17c1 0000 0000 4000 6558 00138900"}, /* Geneve of another version */
        {ETHER4, IN4, "12b5 17c1 0000 0000 0000 0800 00138900"}, /* ... without an inner frame */
        {ETHER4, IN4, "12b5 17c1 0000 0000 3f00 6558 00138900"}, /* ... with longer options than packet */
        {ETHER4, IN4, "17c1 12b5 0000 0000 00000000 00138900"},  /* VXLAN without an id */
        {ETHER6, IN6, "17c1 12b6 0000 0000 08000000 00138900"},  /* another port */
        {ETHER6, IN6, "12b5 0035 0000 0000 08000000 00138900"},  /* the port on the other side */
    };
    struct bpf_program program = compiled("PORT=80 VNI=5001", NULL, DLT_EN10MB, SNAPLEN_MAX);
    struct bytes inner = frame(TCP4, 0);

    (void)state;
    for (size_t i = 0; i < COUNT(NOT); i++) {
        struct bytes outer = {.length = 0};
        append_hex(&outer, OUTER_MACS);
        for (size_t part = 0; part < 3; part++)
            append_hex(&outer, NOT[i][part]);
        outer = wrapped(outer, &inner);
        if (passes(&program, &outer))
            fail_msg("number %zu passes", i);
    }
    filter_free(&program);
}

/* Wherever it is cut, a packet passes or not, and nothing is read behind its end. */
static void cut_short(void **state)
{
    struct bpf_program program = compiled("INNER=true", NULL, DLT_EN10MB, SNAPLEN_MAX);
    struct kind kind = {2, 2, 3};
    struct bytes whole = outer_ethernet(&kind);
    size_t length = whole.length;

    (void)state;
    for (; whole.length > 0; whole.length--)
        assert_int_equal(passes(&program, &whole), whole.length >= length - 12);
    filter_free(&program);
}

/* VLAN and capexpression stay with the outer frame; the expression may use scratch memory. */
static void what_stays_outside(void **state)
{
    static const struct {
        const char *options, *expression;
        unsigned depths;
    } OUTSIDE[] = {
        {"VNI=5001 VLAN=5 PORT=80", "", TAGGED_ANY},
        {"VNI=5001 VLAN=100 PORT=80", "", TAGGED(2) | TAGGED(3)},
        {"PORT=80 INNER=true", "ip and udp dst port 4789", UNTAGGED},
        {"PORT=80 VNI=5001", "vlan and ip[8] = 64", TAGGED(1)},
        {"PORT=80 VNI=5001", "ether src 02:00:00:00:00:f1 and (len - ether[12]) / (ether[13] + 1) > 0",
         ANY_DEPTH},
        {"PORT=80 VNI=5001", "udp dst port 80", NONE},
        {"PORT=80 VNI=5002", "ip", NONE},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(OUTSIDE); i++) {
        struct bpf_program program =
            compiled(OUTSIDE[i].options, OUTSIDE[i].expression, DLT_EN10MB, SNAPLEN_MAX);
        assert_valid(OUTSIDE[i].options, OUTSIDE[i].expression, DLT_EN10MB);
        assert_kernel_takes(OUTSIDE[i].options, OUTSIDE[i].expression, DLT_EN10MB, NULL);
        for (struct kind kind = {0, 0, 0}; kind.depth < DEPTHS; kind.depth++) {
            struct bytes tcp = frame(TCP4, 1), udp = frame(UDP4, 1), outer = outer_ethernet(&kind);
            struct bytes whole = wrapped(outer, &tcp);
            assert_passes(&program, &whole, OUTSIDE[i].depths & TAGGED(kind.depth), OUTSIDE[i].expression,
                          &kind, TCP4, 1);
            whole = wrapped(outer, &udp);
            assert_false(passes(&program, &whole));
        }
        filter_free(&program);
    }
    assert_kernel_takes("VNI=5001 PORT=80", "vlan and pppoes", DLT_EN10MB, NULL);
}

static void refused(void **state)
{
    static const char *const BAD[] = {
        "VNI=16777216", "VNI=0x1000000", "VNI=-1", "VNI=", "VNI=x", "VNI=5001/24", "VNI=0x"};

    (void)state;
    for (size_t i = 0; i < COUNT(BAD); i++)
        assert_refused(BAD[i], NULL, DLT_EN10MB, "options", "option VNI has the value ",
                       "; it takes a VXLAN or Geneve id from 0 to 16777215");
    assert_refused("INNER=yes", NULL, DLT_EN10MB, "options", "option INNER has the value yes",
                   "; it takes true or false");
    assert_refused("INNER=TRUE", NULL, DLT_EN10MB, "options", "INNER", "; it takes true or false");
    assert_refused("INNER= INNER=true", NULL, DLT_RAW, "options", "INNER has the value (empty)", "true");
    assert_refused("INNER=false INNER=true", NULL, DLT_RAW, "options", "INNER is false", "another INNER");
    assert_refused("VNI=1 INNER=false", NULL, DLT_EN10MB, "options", "INNER is false", "VNI");
    assert_valid("INNER=false PORT=80", NULL, DLT_EN10MB);
    assert_refused("VNI=1 PORT=x", NULL, DLT_EN10MB, "options", "option PORT", "takes a");
    assert_refused("VNI=1", NULL, DLT_LINUX_SLL, "options", "option VNI cannot be used", "interface");
    assert_refused("INNER=true", NULL, DLT_LINUX_SLL, "options", "option INNER cannot be used", "interface");
    assert_refused("VNI=1 VLAN=5", NULL, DLT_RAW, "options", "option VLAN", "Ethernet header");
    assert_valid("VNI=1 MAC=02:00:00:00:00:01 ETHTYPE=0x0800", NULL, DLT_RAW);
}

static double ms_of(const char *options)
{
    struct timespec before, after;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    assert_valid(options, NULL, DLT_EN10MB);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    return (double)(after.tv_sec - before.tv_sec) * 1e3 + (double)(after.tv_nsec - before.tv_nsec) / 1e6;
}

/* Clients wait for the answer. */
static void as_many_as_a_request_holds(void **state)
{
    static const char *const FORMATS[] = {"PORT=# ",        "IP6=#:2:3:4:5:6:7:# ",  "IP=#.0.0.0/8 ",
                                          "ETHTYPE=0x90# ", "MAC=00:50:56:00:00:# ", "VNI=# ",
                                          "IPPROTO6=# "};

    (void)state;
    for (size_t i = 0; i < COUNT(FORMATS); i++) {
        char *values = many(FORMATS[i], 99), options[4096], *end = options;
        const char *word = values;
        end += snprintf(options, sizeof options, "INNER=true ");
        /* All of one width: the last 63 of those from 10 on. */
        for (int n = 1; n <= 99; n++) {
            int length = (int)strcspn(word, " ") + 1;
            if (n > 36)
                end += snprintf(end, (size_t)(options + sizeof options - end), "%.*s", length, word);
            word += length;
        }
        double ms = ms_of(options);
        if (ms > 100 * SLOWNESS)
            fail_msg("%s: %.1f ms", FORMATS[i], ms);
        assert_kernel_takes(options, "udp", DLT_EN10MB, NULL);
        free(values);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_inside),
        cmocka_unit_test(every_option_inside_without_outer_ethernet),
        cmocka_unit_test(ids),
        cmocka_unit_test(not_inner),
        cmocka_unit_test(no_tunnels),
        cmocka_unit_test(cut_short),
        cmocka_unit_test(what_stays_outside),
        cmocka_unit_test(refused),
        cmocka_unit_test(as_many_as_a_request_holds),
    };

    return cmocka_run_group_tests_name("filter_tunnel", tests, NULL, NULL);
}
