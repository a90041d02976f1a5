/*
 * capexpression: what libpcap may see of it, what it makes of it, and how long that takes.
 *
 * The functions that libpcap calls to look names up are defined here, and the program's own win over the C
 * library's: a name that gets past the word check is counted.
 */
#include "capture/filter.h"
#include "capture/filter_words.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* File scope, because these functions have no argument through which a test could hand them a counter. */

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

/* What filter_validate() says; the caller frees. */
static struct errors *errors_of(const char *expression, int linktype)
{
    struct packet_capture_request *request = calloc(1, sizeof *request);
    struct errors *errors = calloc(1, sizeof *errors);

    assert_non_null(request);
    assert_non_null(errors);
    snprintf(request->capexpression, sizeof request->capexpression, "%s", expression);
    filter_validate(request, linktype, errors);
    free(request);
    return errors;
}

static void assert_valid(const char *expression, int linktype)
{
    struct errors *errors = errors_of(expression, linktype);

    if (errors->count > 0)
        fail_msg("%s: %s", expression, errors->items[0].message);
    free(errors);
}

/* Exactly one error, and it says so. */
static void assert_refused(const char *expression, const char *says)
{
    struct errors *errors = errors_of(expression, DLT_EN10MB);
    const struct error *error = &errors->items[0];

    if (errors->count != 1)
        fail_msg("%s: %zu errors", expression, errors->count);
    assert_int_equal(error->code, ERROR_BAD_EXPRESSION);
    assert_string_equal(error->field, "capexpression");
    if (strstr(error->message, "capexpression") == NULL || strstr(error->message, says) == NULL)
        fail_msg("%s: wanted %s in: %s", expression, says, error->message);
    free(errors);
}

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
    "geneve or ip"};

/* The kernel checks a filter in the same way for every kind of socket, and asks for no privilege. */
static void assert_kernel_takes(const char *expression)
{
    struct packet_capture_request *request = calloc(1, sizeof *request);
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN_MAX);
    const struct filter_place place = {.pcap = pcap, .kernel = true};
    int file = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct bpf_program program;
    struct error error;

    assert_non_null(request);
    snprintf(request->capexpression, sizeof request->capexpression, "%s", expression);
    assert_int_equal(filter_compile(&place, request, DIRECTION_OUTPUT, NULL, &program, &error), STATUS_OK);
    struct sock_fprog filter = {(unsigned short)program.bf_len, (struct sock_filter *)program.bf_insns};
    if (setsockopt(file, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
        fail_msg("%s: %s", expression, strerror(errno));
    filter_free(&program);
    close(file);
    pcap_close(pcap);
    free(request);
}

static void good_expressions(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        assert_valid(GOOD[i], DLT_EN10MB);
        assert_kernel_takes(GOOD[i]);
    }
    assert_valid("type mgt subtype probe-req or dir fromds or wlan addr1 0:1:2:3:4:5", DLT_IEEE802_11_RADIO);
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
        assert_refused(BAD[i].expression, BAD[i].says);
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
        free(errors_of(text, DLT_EN10MB));
        if (lookups != 0)
            fail_msg("looked up: %s", text);
    }
}

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
            free(errors_of(repeated(NASTY[i][0], NASTY[i][1], size, text), DLT_EN10MB));
            if (clock() - began > 2 * CLOCKS_PER_SEC)
                fail_msg("%ld ms: %s", (long)((clock() - began) / (CLOCKS_PER_SEC / 1000)), text);
        }
}

static void large_expressions(void **state)
{
    char text[1025], long_text[2000];

    (void)state;
    assert_valid(repeated("tcp[tcpflags] != ", " and tcp[tcpflags] != ", sizeof text, text), DLT_EN10MB);
    assert_valid(repeated("host 10.1.2.", " or host 10.1.2.", sizeof text, text), DLT_EN10MB);
    assert_refused(repeated("port ", "||", sizeof text, text), "more than 64 numbers");
    assert_refused(repeated("geneve or portrange ", "||", 200, text), "too large");
    assert_refused(repeated("l1&&l", "&&l", sizeof long_text, long_text), "longer than 1024");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_expressions),
        cmocka_unit_test(bad_expressions),
        cmocka_unit_test(counters_count),
        cmocka_unit_test(keywords_are_libpcaps),
        cmocka_unit_test(word_soup_is_never_looked_up),
        cmocka_unit_test(nasty_expressions_end_soon),
        cmocka_unit_test(large_expressions),
    };

    return cmocka_run_group_tests_name("filter_words", tests, NULL, NULL);
}
