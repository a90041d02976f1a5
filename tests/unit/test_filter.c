/*
 * Filters x packets: every case is tried on every packet below at every depth of tags.
 *
 * The functions that libpcap calls to look names up are defined here, and the program's own win over the C
 * library's: a name that gets past the word check is counted.
 */
#include "capture/filter.h"
#include "capture/filter_words.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/ether.h>
#include <pcap/pcap.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- look-ups: these five have no argument through which a test could hand them a counter ---- */

static int lookups;

typedef int getaddrinfo_function(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* libpcap also parses IPv6 addresses with it, which asks nobody. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **result)
{
    struct in6_addr address;
    getaddrinfo_function *next = (getaddrinfo_function *)dlsym(RTLD_NEXT, "getaddrinfo");

    if (node != NULL && service == NULL && inet_pton(AF_INET6, node, &address) == 1)
        return next(node, service, hints, result);
    lookups++;
    return EAI_NONAME;
}

struct hostent *gethostbyname(const char *name)
{
    (void)name;
    lookups++;
    return NULL;
}

int getnetbyname_r(const char *name, struct netent *entry, char *buffer, size_t size, struct netent **result,
                   int *error)
{
    (void)name, (void)entry, (void)buffer, (void)size, (void)error;
    lookups++;
    *result = NULL;
    return 0;
}

int getprotobyname_r(const char *name, struct protoent *entry, char *buffer, size_t size,
                     struct protoent **result)
{
    (void)name, (void)entry, (void)buffer, (void)size;
    lookups++;
    *result = NULL;
    return 0;
}

int ether_hostton(const char *name, struct ether_addr *address)
{
    (void)name, (void)address;
    lookups++;
    return -1;
}

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
    RUNT, /* not even an Ethernet header */
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
    if (filter_compile(pcap, wanted, DIRECTION_DUAL, &program, &error) != STATUS_OK)
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

    {"VLAN=5", "", ALL & ~ON(RUNT), TAGGED_ANY},
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

    (void)state;
    assert_int_equal(filter_compile(pcap, wanted, DIRECTION_OUTPUT, &program, &error), STATUS_OK);
    assert_int_equal(program.bf_insns[0].k, (bpf_u_int32)(SKF_AD_OFF + SKF_AD_PKTTYPE));
    filter_free(&program);
    pcap_close(pcap);
    free(wanted);
}

/* ---- what is refused ---- */

static void bad_values(void **state)
{
    static const char *const BAD[] = {
        "ETHTYPE=2048",
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
        "DSTIP6=::1::",
    };

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

/* ---- expressions ---- */

static void good_expressions(void **state)
{
    static const char *const GOOD[] = {
        "tcp",
        "  ip  and\ttcp\n",
        "ip&&tcp||!udp",
        "host 10.1.2.3 or 10.1.2.4",
        "net 10.1.0.0/16 and not net 10.1.2",
        "net 10.0.0.0 mask 255.0.0.0",
        "ip6 host ::1 or fe80::aaaa:1 or 1:2:3:4:5:6:7:8 or ::ffff:10.1.2.3",
        "net 2001:db8::/32",
        "ether host 00:50:56:aa:bb:01 or ether dst 00-50-56-aa-bb-01",
        "ether src 0050.56aa.bb01 or ether src 005056aabb01 or ether src 0.50.56.aa.bb.1",
        "port 80 or 443 or 0x1bb",
        "tcp portrange 6000-6008 and not udp portrange 1-2",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0 and not src and dst net 127",
        "ip[0]&0xf!=5 and ip[6:2]&0x1fff=0",
        "len - 4 > 60 or greater 100",
        "icmp6[icmp6type] = icmp6-neighborsolicit",
        "ether proto \\ip or ether proto \\arp or ether proto loopback",
        "ether broadcast or multicast or ip6 multicast",
        "vlan 5 and pppoes and ip proto 6",
        "inbound or outbound or ifindex 3",
        "llc rr or llc rnr or mpls 16 or geneve 7",
        "isis or l1 or iso proto \\clnp",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(GOOD); i++)
        assert_valid(NULL, GOOD[i], DLT_EN10MB);
    assert_valid(NULL, "type mgt subtype probe-req or dir fromds or addr1 0:1:2:3:4:5", DLT_IEEE802_11_RADIO);
    assert_int_equal(lookups, 0);
}

static void bad_expressions(void **state)
{
    static const struct {
        const char *expression, *says;
    } BAD[] = {
        {"host www.example.com", "the name www.example.com"},
        {"www.example.com", "the name www.example.com"},
        {"ether host gandalf", "the name gandalf"},
        {"net loopback", "the name loopback"},
        {"tcp port ssh or http", "the name ssh"},
        {"portrange ssh-http", "the name ssh-http"},
        {"portrange 0x50-0x51", "the name 0x50-0x51"},
        {"host 6000-6008", "the range 6000-6008"},
        {"portrange 1-2 or 3-4", "the range 3-4"},
        {"ip proto \\tcp", "the name tcp"},
        {"proto tcp-data", "the name tcp-data"},
        {"ip6 protochain 6", "uses protochain"},
        {"gateway 10.1.2.3", "uses gateway"},
        {"host cafe", "the name cafe"},
        {"host dead.beef", "the name dead.beef"},
        {"host 1.2.3.4.5", "the name 1.2.3.4.5"},
        {"host 1.2.3.4.", "the name 1.2.3.4."},
        {"len-4 > 60", "blanks around a minus"},
        {"tcp AND port 80", "the word AND; pcap-filter writes it in lower case"},
        {"host cafe:1", "the name cafe"},
        {"host 1::2:3cafe5", "the name e5"},
        {"iso proto esis-x or proto \\esis", "the name esis"},
        {"arp host foo", "the name foo"},
        {"decnet host foo", "the name foo"},
        {"host \\localhost", "the name localhost"},
        {"wlan host foo", "the name foo"},
        {"tcp port 80 and (", "not a pcap-filter expression"},
        {"host tcp", "not a pcap-filter expression"},
        {"ether proto \\nothing", "not a pcap-filter expression"},
        {"port 70000", "not a pcap-filter expression"},
        {"ip and arp", "not a pcap-filter expression: expression rejects all packets"},
        {"net 10.1.2.3/8", "not a pcap-filter expression: non-network bits set"},
        {"type mgt", "not a pcap-filter expression"},
        {"on eth0", "not a pcap-filter expression"},
        {"\303\244rger", "the name rger"},
        {"tcp \001", "not a pcap-filter expression"},
        {"ether[-1] = 1", "the offset -1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(BAD); i++)
        assert_refused(NULL, BAD[i].expression, DLT_EN10MB, "capexpression", "capexpression", BAD[i].says);
    assert_int_equal(lookups, 0);
}

/* The counters count: without the word check libpcap would have looked up all of these. */
static void counters_count(void **state)
{
    static const char *const NAMES[] = {"host www.example.com", "net loopback",   "port ssh",
                                        "ether host x",         "ip proto \\tcp", "host 6000-6008",
                                        "arp host foo"};
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN_MAX);
    struct bpf_program program;

    (void)state;
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        lookups = 0;
        assert_int_not_equal(pcap_compile(pcap, &program, NAMES[i], 1, PCAP_NETMASK_UNKNOWN), 0);
        assert_int_not_equal(lookups, 0);
    }
    lookups = 0;
    pcap_close(pcap);
}

/* A word that passes as a keyword but is none for this libpcap would be looked up. */
static void keywords_are_libpcaps(void **state)
{
    size_t count;
    const char *const *words = filter_words_known(&count);
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN_MAX);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        struct bpf_program program;
        char text[64];
        snprintf(text, sizeof text, "host %s", words[i]);
        if (pcap_compile(pcap, &program, text, 1, PCAP_NETMASK_UNKNOWN) == 0)
            pcap_freecode(&program); /* words that stand for numbers make addresses */
        if (lookups != 0)
            fail_msg("libpcap takes %s for a name", words[i]);
    }
    pcap_close(pcap);
}

/* Words in any order, with and without blanks between them: whatever libpcap makes of it, it asks nobody. */
static void word_soup_is_never_looked_up(void **state)
{
    static const char *const SOUP[] = {
        "host",    "net",   "port", "portrange", "proto", "ether", "ip",  "iso",      "type", "llc",
        "subtype", "src",   "on",   "and",       "or",    "not",   "(",   ")",        "-",    ":",
        ".",       "\\tcp", "\\",   "/",         "ssh",   "cafe",  "a.b", "10.1.2.3", "1-2",  "::1",
        "1:2:",    "12",    "0x1f", "_",         "$1",    "!",     "tcp", "vlan",     "dir",  "action",
        "mask",    "fe80:", "x",    "link",      "1.2.3", "[",     "]",   "arp"};
    uint32_t random = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[256] = "";
        for (int words = 0; words < 7; words++) {
            random = random * 1664525u + 1013904223u;
            strcat(text, SOUP[(random >> 16) % COUNT(SOUP)]);
            strcat(text, (random >> 9) % 3 == 0 ? "" : " ");
        }
        free(errors_of(NULL, text, DLT_EN10MB));
        if (lookups != 0)
            fail_msg("looked up: %s", text);
    }
}

/* ---- size and time ---- */

static char *repeated(const char *head, const char *unit, size_t size, char *out)
{
    size_t used = (size_t)snprintf(out, size, "%s", head);

    for (int i = 1; used + strlen(unit) + 8 < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%d", i == 1 ? "" : unit, i);
    return out;
}

static void nasty_expressions_end_soon(void **state)
{
    static const char *const NASTY[][2] = {
        {"port ", " or "},
        {"portrange ", "||"},
        {"portrange ", " or not "},
        {"not ip6 host ::1 and not ip6 host ::", " and not ip6 host ::"},
        {"geneve or portrange ", "||"},
        {"vlan or vlan or vlan and portrange ", " and "},
        {"ip[1] = ", " + ip[1] * "},
        {"len > ((((((", "))+((("},
        {"ip[ip[ip[", "]+ip["},
        {"not not not not ", " or not not not "},
    };
    char text[1025];

    (void)state;
    for (size_t i = 0; i < COUNT(NASTY); i++)
        for (size_t size = 32; size <= sizeof text; size *= 2) {
            clock_t began = clock();
            free(errors_of(NULL, repeated(NASTY[i][0], NASTY[i][1], size, text), DLT_EN10MB));
            if (clock() - began > 2 * CLOCKS_PER_SEC)
                fail_msg("%ld ms: %s", (long)((clock() - began) / (CLOCKS_PER_SEC / 1000)), text);
        }
}

static char *many(const char *format, int count, char *out, size_t size)
{
    size_t used = 0;

    for (int i = 1; i <= count; i++) {
        char word[64], number[8];
        snprintf(number, sizeof number, "%d", i);
        size_t split = strcspn(format, "#");
        snprintf(word, sizeof word, "%.*s%s%s ", (int)split, format, number, format + split + 1);
        used += (size_t)snprintf(out + used, size - used, "%s", word);
    }
    return out;
}

static void as_many_options_as_a_request_holds(void **state)
{
    static const char *const FORMATS[] = {"PORT=#",       "VLAN=#",    "IP6=2001:db8:#::/48",
                                          "IP=#.0.0.0/8", "IPPROTO=#", "DSTMAC=00:50:56:00:00:0#"};
    char text[4096];

    (void)state;
    for (size_t i = 0; i < COUNT(FORMATS); i++)
        assert_valid(many(FORMATS[i], strstr(FORMATS[i], "MAC") ? 9 : OPTIONS_MAX, text, sizeof text), "ip",
                     DLT_EN10MB);
}

static void too_large(void **state)
{
    char options[4096], expression[1025];

    (void)state;
    many("IP6=2001:db8:#::1", OPTIONS_MAX, options, sizeof options);
    repeated("tcp[1] != ", " and tcp[1] != ", sizeof expression, expression);
    assert_valid(options, NULL, DLT_EN10MB);
    assert_valid(NULL, expression, DLT_EN10MB);
    repeated("ip6 net ::1 or ip6 host 2001:db8::", " or ip6 host 2001:db8::", sizeof expression, expression);
    assert_refused(options, expression, DLT_EN10MB, "options", "the filter is too large", "at most 4096");
    repeated("port ", "||", sizeof expression, expression);
    assert_refused(NULL, expression, DLT_EN10MB, "capexpression", "more than 128 numbers", "options");
    expression[500] = '\0';
    assert_refused(NULL, expression, DLT_EN10MB, "capexpression", "too large", "before optimisation");
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
        cmocka_unit_test(good_expressions),
        cmocka_unit_test(bad_expressions),
        cmocka_unit_test(counters_count),
        cmocka_unit_test(keywords_are_libpcaps),
        cmocka_unit_test(word_soup_is_never_looked_up),
        cmocka_unit_test(nasty_expressions_end_soon),
        cmocka_unit_test(as_many_options_as_a_request_holds),
        cmocka_unit_test(too_large),
    };

    return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
