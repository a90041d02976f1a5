/*
 * Filters that leave out the service's own traffic, on packets untagged, tagged and QinQ, and without any
 * link header.
 */
#include "filter_packets.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* 10.0.0.1, 10.0.0.2 and 2001:db8::1, ::2 */
#define A4   "0a000001"
#define B4   "0a000002"
#define A6   "20010db8000000000000000000000001"
#define B6   "20010db8000000000000000000000002"
#define NET4 "0800 4500 0028 0001 "
#define NET6 "86dd 60000000 0014 "
/* Ports: 8080 is 1f90, 4754 is 1292, 49152 is c000 */

static const struct {
    const char *hex;
    bool is_own;
} TRAFFIC[] = {
    /* the API on A:8080, A6:8080 and A:9000 */
    {NET4 "0000 4006 0000" B4 A4 "c000 1f90", true},
    {NET4 "4000 4006 0000" A4 B4 "1f90 c000", true},
    {NET4 "0000 4006 0000" A4 B4 "2328 c000", true},
    {NET4 "0000 4006 0000" A4 A4 "c000 2328", true},
    {"0800 4700 0030 0001 0000 4006 0000" B4 A4 "01010101 01010101 c000 1f90", true},
    {NET4 "2000 4006 0000" B4 A4 "c000 1f90", true}, /* a first fragment */
    {NET6 "0640" B6 A6 "c000 1f90", true},
    {NET6 "0640" A6 B6 "1f90 c000", true},
    {NET4 "0000 4006 0000" A4 B4 "c000 1f90", false}, /* A as a client of another */
    {NET4 "0000 4006 0000" B4 A4 "1f90 c000", false},
    {NET4 "0000 4006 0000" B4 "0a000003 c000 1f90", false},
    {NET4 "0000 4011 0000" B4 A4 "c000 1f90", false}, /* UDP */
    {NET4 "0010 4006 0000" B4 A4 "c000 1f90", false}, /* no ports in this one */
    {NET4 "0000 4006 0000" B4 A4 "c000 0050", false},
    {NET6 "0640" B6 A6 "c000 2328", false},
    {NET6 "0640" A6 B6 "c000 1f90", false},
    {NET6 "0640" B6 "20010db8000000000000000100000001 c000 1f90", false},
    {NET6 "2c40" B6 A6 "0600 0000 00000001 c000 1f90", false},
    /* the stream to B:4754 from A */
    {NET4 "0000 4011 0000" A4 B4 "c000 1292 0000 0000", true},
    {NET4 "2000 4011 0000" A4 B4 "ffff 1292 0000 0000", true},
    {NET4 "0010 4011 0000" A4 B4 "0000 0000", true},
    {NET4 "2010 4011 0000" A4 B4 "0000 0000", true},
    {NET4 "0000 4011 0000" A4 B4 "bfff 1292 0000 0000", false},
    {NET4 "0000 4011 0000" A4 B4 "c000 1293 0000 0000", false},
    {NET4 "0000 4011 0000" B4 A4 "c000 1292 0000 0000", false},
    {NET4 "0010 4011 0000"
          "0a000003" B4 "0000 0000",
     false}, /* another's fragment */
    {NET4 "0010 4006 0000" A4 B4 "0000 0000", false},
    {NET4 "0000 4006 0000" A4 B4 "c000 1292", false},
    {"0806 0001 0800 0604 0001 020000000001" A4 "000000000000" B4, false},
    {"88b5 0000", false},
};

/* The same for a stream over IPv6, to B6:4754 from A6. */
static const struct {
    const char *hex;
    bool is_own;
} STREAM6[] = {
    {NET6 "1140" A6 B6 "c000 1292 0000 0000", true},
    {NET6 "2c40" A6 B6 "1100 0001 00000001 c000 1292 0000 0000", true},
    {NET6 "2c40" A6 B6 "1100 0801 00000001 0000 0000", true},
    {NET6 "2c40" A6 B6 "1100 0800 00000001 0000 0000", true},
    {NET6 "1140" A6 B6 "b000 1292 0000 0000", false},
    {NET6 "1140" B6 A6 "c000 1292 0000 0000", false},
    {NET6 "2c40" A6 B6 "1100 0001 00000001 c000 1293 0000 0000", false},
    {NET6 "2c40" A6 B6 "0600 0800 00000001 0000 0000", false},
    {NET6 "2c40" B6 B6 "1100 0800 00000001 0000 0000", false},
    {NET4 "0000 4011 0000" A4 B4 "c000 1292 0000 0000", false},
};

static struct filter_endpoint endpoint(const char *address, uint16_t port)
{
    struct filter_endpoint endpoint = {.port = port};

    endpoint.family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;
    assert_int_equal(inet_pton(endpoint.family, address, endpoint.address), 1);
    return endpoint;
}

static struct filter_exclusions exclusions(bool ipv6_stream)
{
    return (struct filter_exclusions){
        .api_count = 3,
        .api = {endpoint("10.0.0.1", 8080), endpoint("2001:db8::1", 8080), endpoint("10.0.0.1", 9000)},
        .has_stream = true,
        .stream = endpoint(ipv6_stream ? "2001:db8::2" : "10.0.0.2", 4754),
        .stream_source = endpoint(ipv6_stream ? "2001:db8::1" : "10.0.0.1", 0),
    };
}

static struct bytes tagged(const char *hex, size_t depth)
{
    struct bytes bytes = {.length = 0};

    append_hex(&bytes, MACS);
    append_hex(&bytes, FILTER_TAGS[depth]);
    append_hex(&bytes, hex);
    return bytes;
}

static void assert_excluded(const struct bpf_program *program, const char *hex, bool is_own)
{
    for (size_t depth = 0; depth < DEPTHS; depth++) {
        struct bytes bytes = tagged(hex, depth);
        if (passes(program, &bytes) == is_own)
            fail_msg("%s at depth %zu %s", hex, depth, is_own ? "passes" : "is excluded");
    }
}

static void own_traffic(void **state)
{
    const struct filter_exclusions without = exclusions(false);
    struct bpf_program program = compiled_without(NULL, NULL, DLT_EN10MB, SNAPLEN_MAX, &without);

    (void)state;
    for (size_t i = 0; i < COUNT(TRAFFIC); i++)
        assert_excluded(&program, TRAFFIC[i].hex, TRAFFIC[i].is_own);
    filter_free(&program);
    assert_true(described(NULL, NULL, DLT_EN10MB, &without, &program));
    for (size_t i = 0; i < COUNT(TRAFFIC); i++)
        assert_excluded(&program, TRAFFIC[i].hex, TRAFFIC[i].is_own);
    pcap_freecode(&program);
    assert_kernel_takes(NULL, NULL, DLT_EN10MB, &without);
    assert_kernel_takes("PORT=80 VNI=1", "vlan and pppoes", DLT_EN10MB, &without);
    assert_kernel_takes("PORT=80", NULL, DLT_LINUX_SLL, &without);
}

static void own_ipv6_stream(void **state)
{
    const struct filter_exclusions without = exclusions(true);
    struct bpf_program program = compiled_without(NULL, NULL, DLT_EN10MB, SNAPLEN_MAX, &without);

    (void)state;
    for (size_t i = 0; i < COUNT(STREAM6); i++)
        assert_excluded(&program, STREAM6[i].hex, STREAM6[i].is_own);
    filter_free(&program);
    assert_true(described(NULL, NULL, DLT_EN10MB, &without, &program));
    for (size_t i = 0; i < COUNT(STREAM6); i++)
        assert_excluded(&program, STREAM6[i].hex, STREAM6[i].is_own);
    pcap_freecode(&program);
    assert_kernel_takes(NULL, NULL, DLT_EN10MB, &without);
}

/* Fragments of others are more than a guess is worth. */
static void unknown_source(void **state)
{
    struct filter_exclusions without = exclusions(false);

    (void)state;
    without.stream_source.family = 0;
    struct bpf_program program = compiled_without(NULL, NULL, DLT_EN10MB, SNAPLEN_MAX, &without);
    assert_excluded(&program, NET4 "0010 4011 0000" A4 B4 "0000 0000", false);
    assert_excluded(&program, NET4 "0000 4011 0000" A4 B4 "c000 1292 0000 0000", true);
    filter_free(&program);
}

static void without_link_header(void **state)
{
    const struct filter_exclusions without = exclusions(false);
    struct bpf_program program = compiled_without(NULL, NULL, DLT_RAW, SNAPLEN_MAX, &without);

    (void)state;
    for (size_t i = 0; i < COUNT(TRAFFIC); i++) {
        struct bytes bytes = {.length = 0};
        append_hex(&bytes, TRAFFIC[i].hex + strlen("0800"));
        if (passes(&program, &bytes) == TRAFFIC[i].is_own)
            fail_msg("%s %s", TRAFFIC[i].hex, TRAFFIC[i].is_own ? "passes" : "is excluded");
    }
    filter_free(&program);
    assert_kernel_takes(NULL, NULL, DLT_RAW, &without);
}

/* In cooked mode, on Linux, sixteen bytes that end with the type. */
static void cooked(void **state)
{
    const struct filter_exclusions without = exclusions(false);
    struct bpf_program program = compiled_without(NULL, NULL, DLT_LINUX_SLL, SNAPLEN_MAX, &without);

    (void)state;
    for (size_t i = 0; i < COUNT(TRAFFIC); i++) {
        struct bytes bytes = {.length = 0};
        append_hex(&bytes, "0000 0001 0006 020000000001 0000");
        append_hex(&bytes, TRAFFIC[i].hex);
        assert_int_equal(passes(&program, &bytes), !TRAFFIC[i].is_own);
    }
    filter_free(&program);
}

/* A packet is excluded only when everything that tells it is there. */
static void cut_short(void **state)
{
    for (int ipv6 = 0; ipv6 < 2; ipv6++) {
        const struct filter_exclusions without = exclusions(ipv6);
        struct bpf_program program = compiled_without(NULL, NULL, DLT_EN10MB, SNAPLEN_MAX, &without);
        size_t count = ipv6 ? COUNT(STREAM6) : COUNT(TRAFFIC);
        for (size_t i = 0; i < count; i++) {
            struct bytes bytes = tagged(ipv6 ? STREAM6[i].hex : TRAFFIC[i].hex, 2);
            bool was_own = true;
            for (; bytes.length > 0; bytes.length--) {
                bool is_own = !passes(&program, &bytes);
                assert_true(was_own || !is_own);
                was_own = is_own;
            }
            assert_false(was_own);
        }
        filter_free(&program);
    }
    (void)state;
}

/* What is left is filtered as ever. */
static void options_after_exclusions(void **state)
{
    const struct filter_exclusions without = exclusions(false);

    (void)state;
    for (size_t i = 0; i < FILTER_CASES_COUNT; i++) {
        struct bpf_program program = compiled_without(FILTER_CASES[i].options, FILTER_CASES[i].expression,
                                                      DLT_EN10MB, SNAPLEN_MAX, &without);
        for (enum packet packet = 0; packet < PACKETS; packet++)
            for (size_t depth = 0; depth < DEPTHS; depth++) {
                struct bytes bytes = frame(packet, depth);
                assert_int_equal(passes(&program, &bytes), FILTER_CASES[i].packets & ON(packet) &&
                                                               FILTER_CASES[i].depths & TAGGED(depth));
            }
        filter_free(&program);
    }
}

static struct bpf_program for_kernel(const struct filter_exclusions *without)
{
    struct packet_capture_request *wanted = request(NULL, NULL);
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN_MAX);
    const struct filter_place place = {.pcap = pcap, .kernel = true};
    struct bpf_program program;
    struct error error;

    assert_int_equal(filter_compile(&place, wanted, DIRECTION_OUTPUT, without, &program, &error), STATUS_OK);
    pcap_close(pcap);
    free(wanted);
    return program;
}

static void mark_comes_first(void **state)
{
    const struct filter_exclusions without = {.mark = 0x70630000, .mark_mask = 0xffff0000};
    struct bpf_program program = for_kernel(&without);

    (void)state;
    assert_int_equal(program.bf_insns[0].k, (bpf_u_int32)(SKF_AD_OFF + SKF_AD_MARK));
    assert_int_equal(program.bf_insns[1].k, without.mark_mask);
    assert_int_equal(program.bf_insns[2].k, without.mark);
    filter_free(&program);
    assert_kernel_takes(NULL, NULL, DLT_EN10MB, &without);
}

/* Validation leaves room for what a host can have. */
static void many_addresses(void **state)
{
    struct filter_exclusions without = exclusions(false);
    struct bpf_program program = for_kernel(&(struct filter_exclusions){0});
    size_t before = program.bf_len;

    (void)state;
    filter_free(&program);
    without.mark = 1;
    without.mark_mask = UINT32_MAX;
    for (without.api_count = 0; without.api_count < FILTER_API_MAX; without.api_count++) {
        without.api[without.api_count] = endpoint("10.0.0.0", 8080);
        without.api[without.api_count].address[3] = (uint8_t)without.api_count;
    }
    program = for_kernel(&without);
    assert_true(program.bf_len - before <= 512);
    filter_free(&program);
    assert_kernel_takes(NULL, NULL, DLT_EN10MB, &without);
    for (size_t i = 0; i < FILTER_API_MAX; i++) {
        without.api[i] = endpoint("2001:db8::", 8080);
        without.api[i].address[15] = (uint8_t)i;
    }
    assert_kernel_takes(NULL, NULL, DLT_EN10MB, &without);
    program = compiled_without(NULL, NULL, DLT_EN10MB, SNAPLEN_MAX, &without);
    assert_excluded(&program, NET6 "0640" B6 "20010db800000000000000000000003f c000 1f90", true);
    assert_excluded(&program,
                    NET6 "0640"
                         "20010db8000000000000000000000000" B6 "1f90 c000",
                    true);
    assert_excluded(&program, NET6 "0640" B6 "20010db8000000000000000000000040 c000 1f90", false);
    filter_free(&program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(own_traffic),      cmocka_unit_test(own_ipv6_stream),
        cmocka_unit_test(unknown_source),   cmocka_unit_test(without_link_header),
        cmocka_unit_test(cooked),           cmocka_unit_test(cut_short),
        cmocka_unit_test(mark_comes_first), cmocka_unit_test(options_after_exclusions),
        cmocka_unit_test(many_addresses),
    };

    return cmocka_run_group_tests_name("filter_exclude", tests, NULL, NULL);
}
