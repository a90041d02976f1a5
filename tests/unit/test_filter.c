/*
 * Filters x packets: every case is tried on every packet below at every depth of tags.
 */
#include "filter_packets.h"

#include <linux/filter.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- what passes ---- */

static void verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < FILTER_CASES_COUNT; i++) {
        struct bpf_program program =
            compiled(FILTER_CASES[i].options, FILTER_CASES[i].expression, DLT_EN10MB, SNAPLEN_MAX);
        assert_valid(FILTER_CASES[i].options, FILTER_CASES[i].expression, DLT_EN10MB);
        for (enum packet packet = 0; packet < PACKETS; packet++)
            for (size_t depth = 0; depth < DEPTHS; depth++) {
                struct bytes bytes = frame(packet, depth);
                bool wanted = FILTER_CASES[i].packets & ON(packet) && FILTER_CASES[i].depths & TAGGED(depth);
                if (passes(&program, &bytes) != wanted)
                    fail_msg("%s / %s: packet %d at depth %zu %s", FILTER_CASES[i].options,
                             FILTER_CASES[i].expression, (int)packet, depth,
                             wanted ? "is rejected" : "passes");
            }
        filter_free(&program);
    }
}

/* Accepting says how much to keep: the handle's snaplen. */
static void accepts_snaplen(void **state)
{
    struct bpf_program program = compiled("PORT=80", "ip", DLT_EN10MB, 96);
    struct bytes bytes = frame(TCP4, 0);
    struct pcap_pkthdr header = {.caplen = (bpf_u_int32)bytes.length, .len = (bpf_u_int32)bytes.length};

    (void)state;
    assert_int_equal(pcap_offline_filter(&program, &header, bytes.data), 96);
    filter_free(&program);
    assert_null(program.bf_insns);
}

static void output_asks_the_metadata(void **state)
{
    struct packet_capture_request *wanted = request("PORT=80", NULL);
    struct bpf_program program;
    struct error error;
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN_MAX);

    const struct filter_place place = {.pcap = pcap, .kernel = true};

    (void)state;
    assert_int_equal(filter_compile(&place, wanted, DIRECTION_OUTPUT, NULL, &program, &error), STATUS_OK);
    assert_int_equal(program.bf_insns[0].k, (bpf_u_int32)(SKF_AD_OFF + SKF_AD_PKTTYPE));
    filter_free(&program);
    pcap_close(pcap);
    free(wanted);
}

/* ---- what is refused ---- */

static void bad_values(void **state)
{
    static const char *const BAD[] = {"ETHTYPE=2048",
                                      "ETHTYPE=0x05ff",
                                      "ETHTYPE=0x10000",
                                      "ETHTYPE=0x",
                                      "ETHTYPE=ip",
                                      "ETHTYPE=",
                                      "MAC=00:50:56:aa:bb",
                                      "MAC=005056aabb01",
                                      "MAC=0:50:56:aa:bb:1",
                                      "MAC=00:50-56:aa:bb:1",
                                      "SRCMAC=00:50:56:aa:bb:0g",
                                      "DSTMAC=x",
                                      "SRCMAC=00:50-56:aa:bb:01",
                                      "VLAN=0",
                                      "VLAN=4095",
                                      "VLAN=0x5",
                                      "VLAN=-1",
                                      "VLAN=+5",
                                      "VLAN=5a",
                                      "VLAN=99999999999999999999",
                                      "IP=10.1.2",
                                      "IP=10.1.2.256",
                                      "IP=10.1.2.03",
                                      "IP=host.example",
                                      "IP=10.1.2.3/33",
                                      "IP=10.1.2.3/",
                                      "IP=10.1.2.3/8/8",
                                      "SRCIP=2001:db8::1",
                                      "DSTIP=10.1.2.3/-1",
                                      "IP=",
                                      "IPPROTO=256",
                                      "IPPROTO=tcp",
                                      "IPPROTO=0x100",
                                      "IPPROTO6=1000",
                                      "IPPROTO6=0xg",
                                      "PORT=65536",
                                      "PORT=ssh",
                                      "PORT=80-90",
                                      "PORT=0x50",
                                      "SRCPORT=-80",
                                      "DSTPORT=1e3",
                                      "UDPPORT=65536",
                                      "SRCUDPPORT=domain",
                                      "DSTUDPPORT=",
                                      "IP6=10.1.2.3",
                                      "IP6=2001:db8::1/129",
                                      "IP6=fe80::1%eth0",
                                      "SRCIP6=2001:db8",
                                      "DSTIP6=::1::"};

    (void)state;
    for (size_t i = 0; i < COUNT(BAD); i++) {
        char name[64], value[128];
        const char *equals = strchr(BAD[i], '=');
        snprintf(name, sizeof name, "option %.*s has the value ", (int)(equals - BAD[i]), BAD[i]);
        snprintf(value, sizeof value, "%s; it takes a", equals[1] == '\0' ? "(empty)" : equals + 1);
        assert_refused(BAD[i], NULL, DLT_EN10MB, "options", name, value);
    }
}

static void blanks_around_a_value(void **state)
{
    struct packet_capture_request *wanted = request("PORT=80", NULL);
    struct errors *errors = calloc(1, sizeof *errors);

    (void)state;
    strcpy(wanted->options[0].value, " 80");
    filter_validate(wanted, DLT_EN10MB, errors);
    strcpy(wanted->options[0].value, "80 ");
    filter_validate(wanted, DLT_EN10MB, errors);
    wanted->options[0].name = (enum option_name)1000;
    filter_validate(wanted, DLT_EN10MB, errors);
    assert_int_equal(errors->count, 3);
    free(errors);
    free(wanted);
}

static void every_wrong_thing_is_named(void **state)
{
    struct errors *errors = errors_of("VLAN=0 PORT=80 VLAN=x IP=1", "host example", DLT_EN10MB);

    (void)state;
    assert_int_equal(errors->count, 4);
    assert_true(errors_blame(errors, "options"));
    assert_true(errors_blame(errors, "capexpression"));
    free(errors);
}

static void packets_without_ethernet_header(void **state)
{
    struct bpf_program program = compiled("IP=10.1.2.3 PORT=80", "tcp", DLT_RAW, SNAPLEN_MAX);
    struct bytes bytes = {.length = 0};

    (void)state;
    append_hex(&bytes, FILTER_PACKETS[TCP4] + strlen("0800"));
    assert_true(passes(&program, &bytes));
    bytes.data[9] = 17;
    assert_false(passes(&program, &bytes));
    filter_free(&program);
    assert_refused("MAC=00:50:56:aa:bb:01", NULL, DLT_RAW, "options", "option MAC", "Ethernet header");
    assert_refused("VLAN=5", NULL, DLT_LINUX_SLL2, "options", "option VLAN", "Ethernet header");
    assert_refused("ETHTYPE=0x0806", NULL, DLT_RAW, "options", "option ETHTYPE", "cannot be used");
    assert_refused("IP=10.1.2.3", NULL, DLT_NFLOG, "options", "option IP", "NFLOG");
    assert_valid("ETHTYPE=0x0800 IP6=::1 SRCPORT=53", "udp", DLT_LINUX_SLL2);
    assert_valid(NULL, NULL, DLT_NFLOG);
}

/* What filter_validate() says of DVFILTER; there should be at most one. */
static struct error firewall_error(const char *options, const char *expression)
{
    struct packet_capture_request *wanted = request(options, expression);
    struct errors *errors = calloc(1, sizeof *errors);
    struct error first = {0};

    assert_non_null(errors);
    wanted->cappoint = CAPPOINT_DVFILTER;
    filter_validate(wanted, DLT_EN10MB, errors);
    assert_true(errors->count <= 1);
    if (errors->count == 1)
        first = errors->items[0];
    free(errors);
    free(wanted);
    return first;
}

static void dvfilter_has_no_mac_header(void **state)
{
    static const char *const REFUSED[] = {"MAC", "SRCMAC", "DSTMAC", "VLAN", "ETHTYPE"};
    static const char *const VALUES[] = {"02:00:00:00:00:01", "02:00:00:00:00:01", "02:00:00:00:00:01", "5",
                                         "0x0800"};

    (void)state;
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        char options[64], message[128];
        snprintf(options, sizeof options, "%s=%s", REFUSED[i], VALUES[i]);
        snprintf(message, sizeof message,
                 "option %s needs a MAC header, which packets of DVFILTER do not have", REFUSED[i]);
        assert_string_equal(firewall_error(options, NULL).message, message);
        snprintf(options, sizeof options, "%s=%s VNI=1", REFUSED[i], VALUES[i]);
        assert_string_equal(firewall_error(options, NULL).message,
                            strcmp(REFUSED[i], "VLAN") == 0 ? message : "");
    }
    assert_string_equal(firewall_error("IP=10.0.0.1 PORT=80 IP6=::/0", "tcp and greater 60").message, "");
    assert_string_equal(firewall_error(NULL, "vlan").field, "capexpression");
    assert_string_equal(firewall_error(NULL, "ether host 0:1:2:3:4:5").field, "capexpression");
    assert_non_null(strstr(firewall_error(NULL, "inbound").message, "which packets of DVFILTER do not tell"));
}

/* Its packets are filtered in user space: a test of their metadata would reject them all. */
static void dvfilter_never_asks_the_metadata(void **state)
{
    struct packet_capture_request *wanted = request("PORT=80", NULL);
    const struct filter_exclusions exclusions = {.mark = 7, .mark_mask = UINT32_MAX};
    pcap_t *pcap = pcap_open_dead(DLT_RAW, SNAPLEN_MAX);
    const struct filter_place place = {.pcap = pcap, .firewall = true};
    struct bytes bytes = {.length = 0};
    struct bpf_program program;
    struct error error;

    (void)state;
    append_hex(&bytes, FILTER_PACKETS[TCP4] + strlen("0800"));
    assert_int_equal(filter_compile(&place, wanted, DIRECTION_OUTPUT, &exclusions, &program, &error),
                     STATUS_OK);
    assert_true(passes(&program, &bytes));
    filter_free(&program);
    pcap_close(pcap);
    free(wanted);
}

/* A dead handle does not know that tags are stripped; the place does. */
static void the_kernel_is_asked_for_stripped_tags(void **state)
{
    static const char *const ASK[] = {"VLAN=5", "ETHTYPE=0x8100"};

    (void)state;
    for (size_t i = 0; i < COUNT(ASK); i++)
        for (int kernel = 0; kernel < 2; kernel++) {
            struct packet_capture_request *wanted = request(ASK[i], NULL);
            pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN_MAX);
            const struct filter_place place = {.pcap = pcap, .kernel = kernel};
            struct bpf_program program;
            struct error error;
            assert_int_equal(filter_compile(&place, wanted, DIRECTION_DUAL, NULL, &program, &error),
                             STATUS_OK);
            assert_int_equal(program.bf_insns[0].k == (bpf_u_int32)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT),
                             kernel);
            filter_free(&program);
            pcap_close(pcap);
            free(wanted);
        }
}

/* ---- size ---- */

static void as_many_options_as_a_request_holds(void **state)
{
    static const char *const FORMATS[] = {"PORT=# ", "VLAN=# ", "IP6=#:#:#:#:#:#:#:# ", "IP=#.0.0.0/8 ",
                                          "IPPROTO=# "};

    (void)state;
    for (size_t i = 0; i < COUNT(FORMATS); i++) {
        char *options = many(FORMATS[i], OPTIONS_MAX);
        assert_valid(options, "ip", DLT_EN10MB);
        free(options);
    }
}

static void too_large(void **state)
{
    char *options = many("IP6=#:#:#:#:#:#:#:# ", OPTIONS_MAX), *hosts = many(" or fd::#:#:#", 55);
    char expression[1025];

    (void)state;
    snprintf(expression, sizeof expression, "ip6 host%s", hosts + strlen(" or"));
    assert_valid(options, NULL, DLT_EN10MB);
    assert_valid(NULL, expression, DLT_EN10MB);
    assert_refused(options, expression, DLT_EN10MB, "options", "the filter is too large", "at most 4096");

    /* A live handle needs far more for what stands behind `vlan`. */
    snprintf(expression, sizeof expression, "vlan or ip6 host%s", hosts + strlen(" or"));
    assert_refused(NULL, expression, DLT_EN10MB, "capexpression", "the filter is too large", "at most 4096");
    free(options);
    free(hosts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(accepts_snaplen),
        cmocka_unit_test(output_asks_the_metadata),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(blanks_around_a_value),
        cmocka_unit_test(every_wrong_thing_is_named),
        cmocka_unit_test(packets_without_ethernet_header),
        cmocka_unit_test(dvfilter_has_no_mac_header),
        cmocka_unit_test(dvfilter_never_asks_the_metadata),
        cmocka_unit_test(the_kernel_is_asked_for_stripped_tags),
        cmocka_unit_test(as_many_options_as_a_request_holds),
        cmocka_unit_test(too_large),
    };

    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
