/*
 * The filter as an expression: libpcap, given the text, lets the same packets pass as our program.
 */
#include "filter_packets.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_same(const struct filter_case *wanted, const struct bpf_program *ours,
                        const struct bpf_program *theirs, enum packet packets)
{
    for (enum packet packet = 0; packet < packets; packet++)
        for (size_t depth = 0; depth < DEPTHS; depth++) {
            struct bytes bytes = frame(packet, depth);
            if (passes(ours, &bytes) != passes(theirs, &bytes))
                fail_msg("%s / %s: packet %d at depth %zu %s", wanted->options, wanted->expression,
                         (int)packet, depth, passes(ours, &bytes) ? "is rejected" : "passes");
        }
}

/* Where the expression moves what follows it, no text is right. */
static bool has_no_text(const struct filter_case *wanted)
{
    return strstr(wanted->expression, "vlan") != NULL && wanted->options[0] != '\0';
}

static void same_packets(const struct filter_exclusions *exclusions)
{
    size_t compared = 0;

    for (size_t i = 0; i < FILTER_CASES_COUNT; i++) {
        const struct filter_case *wanted = &FILTER_CASES[i];
        struct bpf_program theirs;
        bool taken = described(wanted->options, wanted->expression, DLT_EN10MB, exclusions, &theirs);
        if (has_no_text(wanted)) {
            assert_false(taken);
            continue;
        }
        if (exclusions != NULL && strstr(wanted->expression, "vlan") != NULL) {
            assert_false(taken);
            continue;
        }
        if (!taken)
            fail_msg("%s / %s: libpcap refuses the text", wanted->options, wanted->expression);
        struct bpf_program ours =
            compiled_without(wanted->options, wanted->expression, DLT_EN10MB, SNAPLEN_MAX, exclusions);
        /* libpcap's tests reject a packet that is cut short, ours exclude none. */
        assert_same(wanted, &ours, &theirs, exclusions == NULL ? PACKETS : RUNT);
        filter_free(&ours);
        pcap_freecode(&theirs);
        compared++;
    }
    assert_true(compared > 70);
}

static void texts_of_options(void **state)
{
    (void)state;
    same_packets(NULL);
}

/* Of packets that are in the table: 10.1.2.3:1000 is the API, and 2001:db8::2 gets a stream. */
static struct filter_exclusions own(void)
{
    struct filter_exclusions own = {.api_count = 1, .has_stream = true};

    own.api[0] = (struct filter_endpoint){.family = AF_INET, .port = 1000};
    own.stream = (struct filter_endpoint){.family = AF_INET6, .port = 53};
    own.stream_source.family = AF_INET6;
    assert_int_equal(inet_pton(AF_INET, "10.1.2.3", own.api[0].address), 1);
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::2", own.stream.address), 1);
    assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", own.stream_source.address), 1);
    return own;
}

static void texts_with_exclusions(void **state)
{
    const struct filter_exclusions exclusions = own();

    (void)state;
    same_packets(&exclusions);
}

static void assert_text(const char *options, const char *expression, int linktype, const char *wanted)
{
    struct packet_capture_request *asked = request(options, expression);
    char text[4096];

    filter_describe(asked, linktype, NULL, text, sizeof text);
    assert_string_equal(text, wanted);
    free(asked);
}

static void as_people_read_it(void **state)
{
    (void)state;
    assert_text("", "", DLT_EN10MB, "");
    assert_text("INNER=false", "", DLT_EN10MB, "");
    assert_text("", "tcp port 80", DLT_EN10MB, "(tcp port 80)");
    assert_text("SRCMAC=02:00:00:00:00:01", "ip", DLT_EN10MB, "(ether src 02:00:00:00:00:01) and (ip)");
    assert_text("UDPPORT=53", "", DLT_RAW, "(udp port 53)");
    assert_text("UDPPORT=53 ETHTYPE=0x0800", "", DLT_LINUX_SLL, "(ether proto 0x800) and (udp port 53)");
    assert_text("UDPPORT=53 UDPPORT=54", "", DLT_EN10MB,
                "(((udp port 53 or udp port 54)) or (vlan and (((udp port 53 or udp port 54)) or "
                "(vlan and ((udp port 53 or udp port 54))))))");
    assert_text(
        "VNI=0x10 VNI=5", "", DLT_EN10MB,
        "inside VXLAN (udp dst port 4789 or 8472) or Geneve (udp dst port 6081) with the VNI 0x10 or 5");
    assert_text("INNER=true MAC=02:00:00:00:00:01", "udp", DLT_RAW,
                "(udp); and inside VXLAN (udp dst port 4789 or 8472) or Geneve (udp dst port 6081): "
                "(ether src 02:00:00:00:00:01 or ether dst 02:00:00:00:00:01)");
    assert_text("UDPPORT=53", "vlan 5", DLT_RAW,
                "(udp port 53); and, from the start of the same frame: vlan 5");
}

/* What is no expression must not look like one. */
static void words_are_refused(void **state)
{
    static const char *const WORDS[] = {"VNI=5", "INNER=true PORT=80", "INNER=true", "VNI=1 VLAN=5 IP=::/0"};
    struct bpf_program program;

    (void)state;
    for (size_t i = 0; i < COUNT(WORDS); i++) {
        assert_false(described(WORDS[i], "", DLT_EN10MB, NULL, &program));
        assert_false(described(WORDS[i], "udp", DLT_EN10MB, NULL, &program));
    }
}

static void dvfilter_has_no_tags(void **state)
{
    struct packet_capture_request *asked = request("UDPPORT=53", "");
    char text[64];

    (void)state;
    asked->cappoint = CAPPOINT_DVFILTER;
    filter_describe(asked, DLT_EN10MB, NULL, text, sizeof text);
    assert_string_equal(text, "(udp port 53)");
    free(asked);
}

/* Never a byte too many, and always an end. */
static void too_long(void **state)
{
    struct packet_capture_request *asked = request("VLAN=5 IP=10.0.0.1", "udp or tcp");
    const struct filter_exclusions exclusions = own();
    char whole[4096];

    (void)state;
    filter_describe(asked, DLT_EN10MB, &exclusions, whole, sizeof whole);
    size_t length = strlen(whole);
    for (size_t size = 0; size <= length + 1; size++) {
        char *text = malloc(size + 1);
        assert_non_null(text);
        memset(text, '#', size + 1);
        filter_describe(asked, DLT_EN10MB, &exclusions, text, size);
        assert_int_equal(text[size], '#');
        if (size > 0)
            assert_true(strlen(text) < size);
        if (size > length)
            assert_string_equal(text, whole);
        else if (size >= 4)
            assert_string_equal(text + size - 4, "...");
        free(text);
    }
    free(asked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_options),     cmocka_unit_test(texts_with_exclusions),
        cmocka_unit_test(as_people_read_it),    cmocka_unit_test(words_are_refused),
        cmocka_unit_test(dvfilter_has_no_tags), cmocka_unit_test(too_long),
    };

    return cmocka_run_group_tests_name("filter_describe", tests, NULL, NULL);
}
