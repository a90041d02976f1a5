#include "filter_packets.h"

#include <errno.h>
#include <linux/filter.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define A4     "0a010203" /* 10.1.2.3 */
#define B4     "c0000207" /* 192.0.2.7 */
#define A6     "20010db8000000000000000000000001"
#define B6     "20010db8000000000000000000000002"
#define TCP    "03e8 0050 00000000 00000000 5002 2000 0000 0000" /* 1000 -> 80 */
#define UDP    "14e9 0035 0008 0000"                             /* 5353 -> 53 */
#define IN4(x) "0800 4500 0028 0001" x

const char *const FILTER_PACKETS[PACKETS] = {
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

const char *const FILTER_TAGS[DEPTHS] = {"", "8100 2005", "88a8 0064 8100 0005", "8100 0064 8100 0005"};

const struct filter_case FILTER_CASES[] = {
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
const size_t FILTER_CASES_COUNT = COUNT(FILTER_CASES);

void append_hex(struct bytes *bytes, const char *hex)
{
    int used;
    unsigned value;

    for (; sscanf(hex, " %2x%n", &value, &used) == 1; hex += used)
        bytes->data[bytes->length++] = (uint8_t)value;
}

struct bytes frame(enum packet packet, size_t depth)
{
    struct bytes bytes = {.length = 0};

    append_hex(&bytes, MACS);
    append_hex(&bytes, FILTER_TAGS[depth]);
    append_hex(&bytes, FILTER_PACKETS[packet]);
    return bytes;
}

bool passes(const struct bpf_program *program, const struct bytes *bytes)
{
    struct pcap_pkthdr header = {.caplen = (bpf_u_int32)bytes->length, .len = (bpf_u_int32)bytes->length};

    return pcap_offline_filter(program, &header, bytes->data) != 0;
}

struct packet_capture_request *request(const char *options, const char *expression)
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

struct errors *errors_of(const char *options, const char *expression, int linktype)
{
    struct packet_capture_request *wanted = request(options, expression);
    struct errors *errors = calloc(1, sizeof *errors);

    assert_non_null(errors);
    filter_validate(wanted, linktype, errors);
    free(wanted);
    return errors;
}

void assert_valid(const char *options, const char *expression, int linktype)
{
    struct errors *errors = errors_of(options, expression, linktype);

    if (errors->count > 0)
        fail_msg("%s %s: %s", options, expression, errors->items[0].message);
    free(errors);
}

void assert_refused(const char *options, const char *expression, int linktype, const char *field,
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

static struct bpf_program compiled_at(const struct filter_place *place, const char *options,
                                      const char *expression, const struct filter_exclusions *exclusions)
{
    struct packet_capture_request *wanted = request(options, expression);
    struct bpf_program program = {0};
    struct error error = {0};

    if (filter_compile(place, wanted, DIRECTION_DUAL, exclusions, &program, &error) != STATUS_OK)
        fail_msg("%s %s: %s", options, expression, error.message);
    assert_true(bpf_validate(program.bf_insns, (int)program.bf_len));
    free(wanted);
    return program;
}

struct bpf_program compiled_without(const char *options, const char *expression, int linktype, int snaplen,
                                    const struct filter_exclusions *exclusions)
{
    pcap_t *pcap = pcap_open_dead(linktype, snaplen);
    const struct filter_place place = {.pcap = pcap};

    assert_non_null(pcap);
    struct bpf_program program = compiled_at(&place, options, expression, exclusions);
    pcap_close(pcap);
    return program;
}

struct bpf_program compiled(const char *options, const char *expression, int linktype, int snaplen)
{
    return compiled_without(options, expression, linktype, snaplen, NULL);
}

/* The kernel checks a filter in the same way for every kind of socket, and asks for no privilege. */
void assert_kernel_takes(const char *options, const char *expression, int linktype,
                         const struct filter_exclusions *exclusions)
{
    pcap_t *pcap = pcap_open_dead(linktype, SNAPLEN_MAX);
    const struct filter_place place = {.pcap = pcap, .kernel = true};
    int file = socket(AF_UNIX, SOCK_DGRAM, 0);

    assert_non_null(pcap);
    struct bpf_program program = compiled_at(&place, options, expression, exclusions);
    struct sock_fprog filter = {(unsigned short)program.bf_len,
                                (struct sock_filter *)(void *)program.bf_insns};
    if (setsockopt(file, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
        fail_msg("%s %s: %s", options, expression, strerror(errno));
    filter_free(&program);
    close(file);
    pcap_close(pcap);
}

char *many(const char *format, int count)
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

bool described(const char *options, const char *expression, int linktype,
               const struct filter_exclusions *exclusions, struct bpf_program *program)
{
    struct packet_capture_request *wanted = request(options, expression);
    pcap_t *pcap = pcap_open_dead(linktype, SNAPLEN_MAX);
    char text[65536];

    assert_non_null(pcap);
    filter_describe(wanted, linktype, exclusions, text, sizeof text);
    bool taken = pcap_compile(pcap, program, text, 1, PCAP_NETMASK_UNKNOWN) == 0;
    /* The optimizer says of what can never be that it is no use. */
    if (!taken && strstr(pcap_geterr(pcap), "rejects all packets") != NULL)
        taken = pcap_compile(pcap, program, text, 0, PCAP_NETMASK_UNKNOWN) == 0;
    pcap_close(pcap);
    free(wanted);
    return taken;
}
