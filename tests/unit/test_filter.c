/*
 * Filters x packets: every case is tried on every packet below at every depth of tags.
 */
#include "capture/filter.h"

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

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- packets ---- */

enum packet {
    TCP4,
    OPTIONS4, /* TCP behind IPv4 options */
    UDP4,
    FIRST4, /* UDP, first fragment */
    LATER4, /* UDP, another fragment; its data look like ports */
    ICMP4,  /* the other way */
    TCP6,
    UDP6,
    FRAGMENT6, /* UDP behind a fragment header */
    ARP,
    RUNT, /* no whole Ethernet header, tags apart */
    PACKETS
};

#define A4     "0a010203" /* 10.1.2.3 */
#define B4     "c0000207" /* 192.0.2.7 */
#define A6     "20010db8000000000000000000000001"
#define B6     "20010db8000000000000000000000002"
#define TCP    "03e8 0050 00000000 00000000 5002 2000 0000 0000" /* 1000 -> 80 */
#define UDP    "14e9 0035 0008 0000"                             /* 5353 -> 53 */
#define MACS   "005056aabb02 005056aabb01"
#define IN4(x) "0800 4500 0028 0001" x

static const char *const PACKET[] = {
    [TCP4] = IN4("0000 4006 0000" A4 B4 TCP),
    [OPTIONS4] = "0800 4600 002c 0001 0000 4006 0000" A4 B4 "01010101" TCP,
    [UDP4] = IN4("0000 4011 0000" A4 B4 UDP),
    [FIRST4] = IN4("2000 4011 0000" A4 B4 UDP),
    [LATER4] = IN4("0010 4011 0000" A4 B4 UDP),
    [ICMP4] = IN4("0000 4001 0000" B4 A4 "0800 0000 0050 0035"),
    [TCP6] = "86dd 60000000 0014 0640" A6 B6 TCP,
    [UDP6] = "86dd 60000000 0008 1140" A6 B6 UDP,
    [FRAGMENT6] = "86dd 60000000 0010 2c40" A6 B6 "1100 0001 00000001" UDP,
    [ARP] = "0806 0001 0800 0604 0001 005056aabb01" A4 "000000000000" B4,
    [RUNT] = "08",
};

static const char *const TAGS[] = {"", "8100 2005", "88a8 0064 8100 0005", "8100 0064 8100 0005"};

#define ON(packet)    (1u << (packet))
#define NONE          0u
#define ALL           (ON(PACKETS) - 1)
#define V4            (ON(TCP4) | ON(OPTIONS4) | ON(UDP4) | ON(FIRST4) | ON(LATER4) | ON(ICMP4))
#define V6            (ON(TCP6) | ON(UDP6) | ON(FRAGMENT6))
#define TCPS          (ON(TCP4) | ON(OPTIONS4) | ON(TCP6))
#define UDPS          (ON(UDP4) | ON(FIRST4) | ON(UDP6)) /* whose ports can be seen */
#define TAGGED(depth) (1u << (depth))
#define ANY_DEPTH     0xfu
#define TAGGED_ANY    0xeu
#define UNTAGGED      TAGGED(0)

struct bytes {
    uint8_t data[128];
    size_t length;
};

static void append_hex(struct bytes *bytes, const char *hex)
{
    int used;
    unsigned value;

    for (; sscanf(hex, " %2x%n", &value, &used) == 1; hex += used)
        bytes->data[bytes->length++] = (uint8_t)value;
}

static struct bytes frame(enum packet packet, size_t depth)
{
    struct bytes bytes = {.length = 0};

    append_hex(&bytes, MACS);
    append_hex(&bytes, TAGS[depth]);
    append_hex(&bytes, PACKET[packet]);
    return bytes;
}

static bool passes(const struct bpf_program *program, const struct bytes *bytes)
{
    struct pcap_pkthdr header = {.caplen = (bpf_u_int32)bytes->length, .len = (bpf_u_int32)bytes->length};

    return pcap_offline_filter(program, &header, bytes->data) != 0;
}

/* ---- requests ---- */

/* "PORT=80 IP=10.1.2.3" and an expression, either of them NULL or empty. */
static struct packet_capture_request *request(const char *options, const char *expression)
{
    struct packet_capture_request *request = calloc(1, sizeof *request);
    char text[4096], *rest = text;

    assert_non_null(request);
    snprintf(text, sizeof text, "%s", options == NULL ? "" : options);
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        struct capture_option *option = &request->options[request->option_count++];
        char *value = strchr(word, '=');
        *value = '\0';
        option->name = (enum option_name)names_find(&option_names, word);
        snprintf(option->value, sizeof option->value, "%s", value + 1);
    }
    snprintf(request->capexpression, sizeof request->capexpression, "%s",
             expression == NULL ? "" : expression);
    return request;
}

/* What filter_validate() says; the caller frees. */
static struct errors *errors_of(const char *options, const char *expression, int linktype)
{
    struct packet_capture_request *wanted = request(options, expression);
    struct errors *errors = calloc(1, sizeof *errors);

    assert_non_null(errors);
    filter_validate(wanted, linktype, errors);
    free(wanted);
    return errors;
}

static void assert_valid(const char *options, const char *expression, int linktype)
{
    struct errors *errors = errors_of(options, expression, linktype);

    if (errors->count > 0)
        fail_msg("%s %s: %s", options, expression, errors->items[0].message);
    free(errors);
}

/* Exactly one error, which blames the field and says both. */
static void assert_refused(const char *options, const char *expression, int linktype, const char *field,
                           const char *says, const char *also)
{
    struct errors *errors = errors_of(options, expression, linktype);
    const struct error *error = &errors->items[0];

    if (errors->count != 1)
        fail_msg("%s %s: %zu errors", options, expression, errors->count);
    assert_string_equal(error->field, field);
    if (strstr(error->message, says) == NULL || strstr(error->message, also) == NULL)
        fail_msg("%s %s: wanted %s and %s in: %s", options, expression, says, also, error->message);
    free(errors);
}

static struct bpf_program compiled(const char *options, const char *expression, int linktype, int snaplen)
{
    struct packet_capture_request *wanted = request(options, expression);
    struct bpf_program program = {0};
    struct error error = {0};
    pcap_t *pcap = pcap_open_dead(linktype, snaplen);

    assert_non_null(pcap);
    const struct filter_place place = {.pcap = pcap};
    if (filter_compile(&place, wanted, DIRECTION_DUAL, NULL, &program, &error) != STATUS_OK)
        fail_msg("%s %s: %s", options, expression, error.message);
    assert_true(bpf_validate(program.bf_insns, (int)program.bf_len));
    pcap_close(pcap);
    free(wanted);
    return program;
}

/* ---- what passes ---- */

static const struct {
    const char *options, *expression;
    unsigned packets, depths;
} CASES[] = {
    {"", "", ALL, ANY_DEPTH},

    {"ETHTYPE=0x0800", "", V4, ANY_DEPTH},
    {"ETHTYPE=0X86DD", "", V6, ANY_DEPTH},
    {"ETHTYPE=0x806", "", ON(ARP), ANY_DEPTH},
    {"ETHTYPE=0xffff", "", NONE, ANY_DEPTH},
    {"ETHTYPE=0x8100", "", ALL, TAGGED_ANY},
    {"ETHTYPE=0x88a8", "", ALL, TAGGED(2)},
    {"ETHTYPE=0x9100", "", NONE, ANY_DEPTH},

    {"MAC=00:50:56:aa:bb:01", "", ALL, ANY_DEPTH},
    {"MAC=00-50-56-AA-BB-02", "", ALL, ANY_DEPTH},
    {"MAC=00:50:56:aa:bb:03", "", NONE, ANY_DEPTH},
    {"SRCMAC=00:50:56:aA:Bb:01", "", ALL, ANY_DEPTH},
    {"SRCMAC=00:50:56:aa:bb:02", "", NONE, ANY_DEPTH},
    {"DSTMAC=00:50:56:aa:bb:02", "", ALL, ANY_DEPTH},
    {"DSTMAC=00:50:56:aa:bb:01", "", NONE, ANY_DEPTH},

    {"VLAN=5", "", ALL, TAGGED_ANY},
    {"VLAN=100", "", ALL, TAGGED(2) | TAGGED(3)},
    {"VLAN=1", "", NONE, ANY_DEPTH},
    {"VLAN=4094", "", NONE, ANY_DEPTH},

    {"IP=10.1.2.3", "", V4, ANY_DEPTH},
    {"IP=192.0.2.7/32", "", V4, ANY_DEPTH},
    {"IP=10.1.2.99/24", "", V4, ANY_DEPTH},
    {"IP=0.0.0.0/0", "", V4, ANY_DEPTH},
    {"IP=10.1.2.4", "", NONE, ANY_DEPTH},
    {"SRCIP=10.1.2.3", "", V4 & ~ON(ICMP4), ANY_DEPTH},
    {"SRCIP=192.0.0.0/22", "", ON(ICMP4), ANY_DEPTH},
    {"DSTIP=10.1.2.3", "", ON(ICMP4), ANY_DEPTH},
    {"DSTIP=192.0.2.7", "", V4 & ~ON(ICMP4), ANY_DEPTH},

    {"IPPROTO=6", "", ON(TCP4) | ON(OPTIONS4), ANY_DEPTH},
    {"IPPROTO=0x11", "", ON(UDP4) | ON(FIRST4) | ON(LATER4), ANY_DEPTH},
    {"IPPROTO=0x01", "", ON(ICMP4), ANY_DEPTH},
    {"IPPROTO=0", "", NONE, ANY_DEPTH},
    {"IPPROTO6=6", "", ON(TCP6), ANY_DEPTH},
    {"IPPROTO6=0x11", "", ON(UDP6) | ON(FRAGMENT6), ANY_DEPTH},
    {"IPPROTO6=44", "", ON(FRAGMENT6), ANY_DEPTH},
    {"IPPROTO6=255", "", NONE, ANY_DEPTH},

    {"PORT=80", "", TCPS, ANY_DEPTH},
    {"PORT=1000", "", TCPS, ANY_DEPTH},
    {"PORT=53", "", UDPS, ANY_DEPTH},
    {"PORT=0", "", NONE, ANY_DEPTH},
    {"SRCPORT=1000", "", TCPS, ANY_DEPTH},
    {"SRCPORT=5353", "", UDPS, ANY_DEPTH},
    {"SRCPORT=80", "", NONE, ANY_DEPTH},
    {"DSTPORT=80", "", TCPS, ANY_DEPTH},
    {"DSTPORT=53", "", UDPS, ANY_DEPTH},
    {"DSTPORT=5353", "", NONE, ANY_DEPTH},
    {"UDPPORT=53", "", UDPS, ANY_DEPTH},
    {"UDPPORT=80", "", NONE, ANY_DEPTH},
    {"SRCUDPPORT=5353", "", UDPS, ANY_DEPTH},
    {"SRCUDPPORT=53", "", NONE, ANY_DEPTH},
    {"DSTUDPPORT=53", "", UDPS, ANY_DEPTH},
    {"DSTUDPPORT=80", "", NONE, ANY_DEPTH},

    {"IP6=2001:db8::1", "", V6, ANY_DEPTH},
    {"IP6=2001:DB8::ffff/112", "", V6, ANY_DEPTH},
    {"IP6=::/0", "", V6, ANY_DEPTH},
    {"IP6=::ffff:10.1.2.3", "", NONE, ANY_DEPTH},
    {"SRCIP6=2001:db8:0:0:0:0:0:1", "", V6, ANY_DEPTH},
    {"SRCIP6=2001:db8::2", "", NONE, ANY_DEPTH},
    {"DSTIP6=2001:db8::2/127", "", V6, ANY_DEPTH},
    {"DSTIP6=2001:db8::1", "", NONE, ANY_DEPTH},

    /* one name again: OR; another name: AND; in whatever order */
    {"PORT=80 PORT=53", "", TCPS | UDPS, ANY_DEPTH},
    {"PORT=80 PORT=80", "", TCPS, ANY_DEPTH},
    {"PORT=80 IP=10.1.2.3", "", ON(TCP4) | ON(OPTIONS4), ANY_DEPTH},
    {"PORT=80 IP6=::/0 PORT=53", "", ON(TCP6) | ON(UDP6), ANY_DEPTH},
    {"IP=10.1.2.3 IP6=2001:db8::1", "", NONE, ANY_DEPTH},
    {"SRCIP=10.1.2.3 DSTIP=192.0.2.7 IPPROTO=17 ETHTYPE=0x0800", "", ON(UDP4) | ON(FIRST4) | ON(LATER4),
     ANY_DEPTH},
    {"VLAN=5 VLAN=7 PORT=80", "", TCPS, TAGGED_ANY},
    {"PORT=80 VLAN=100", "", TCPS, TAGGED(2) | TAGGED(3)},
    {"ETHTYPE=0x8100 ETHTYPE=0x0806 VLAN=100", "", ALL, TAGGED(2) | TAGGED(3)},

    /* an expression stands as it is written, and is one more operand of the AND */
    {"", "tcp port 80", TCPS, UNTAGGED},
    {"", "vlan and tcp port 80", TCPS, TAGGED(1)},
    {"", "vlan 100 and vlan 5 and udp", UDPS | ON(LATER4) | ON(FRAGMENT6), TAGGED(2) | TAGGED(3)},
    {"PORT=80", "vlan", TCPS, TAGGED_ANY},
    {"PORT=80", "vlan 5", TCPS, TAGGED(1)},
    {"PORT=80", "vlan or arp", TCPS, TAGGED_ANY},
    {"PORT=53 VLAN=5", "ether src 0:50:56:aa:bb:1 or ip", UDPS, TAGGED_ANY},
    {"IP=10.0.0.0/8", "portrange 79-81 or icmp[icmptype] = icmp-echo", ON(TCP4) | ON(OPTIONS4) | ON(ICMP4),
     UNTAGGED},
    {"PORT=80", "arp", NONE, ANY_DEPTH},
};

static void verdicts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct bpf_program program = compiled(CASES[i].options, CASES[i].expression, DLT_EN10MB, SNAPLEN_MAX);
        assert_valid(CASES[i].options, CASES[i].expression, DLT_EN10MB);
        for (enum packet packet = 0; packet < PACKETS; packet++)
            for (size_t depth = 0; depth < COUNT(TAGS); depth++) {
                struct bytes bytes = frame(packet, depth);
                bool wanted = CASES[i].packets & ON(packet) && CASES[i].depths & TAGGED(depth);
                if (passes(&program, &bytes) != wanted)
                    fail_msg("%s / %s: packet %d at depth %zu %s", CASES[i].options, CASES[i].expression,
                             (int)packet, depth, wanted ? "is rejected" : "passes");
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
    append_hex(&bytes, PACKET[TCP4] + strlen("0800"));
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

/* ---- size ---- */

/* The text repeated with 1, 2, 3... in place of its #; the caller frees. */
static char *many(const char *format, int count)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    for (int i = 1; i <= count; i++)
        for (const char *c = format; *c != '\0'; c++)
            if (*c == '#')
                fprintf(stream, "%d", i);
            else
                fputc(*c, stream);
    fclose(stream);
    return text;
}

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
        cmocka_unit_test(as_many_options_as_a_request_holds),
        cmocka_unit_test(too_large),
    };

    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
