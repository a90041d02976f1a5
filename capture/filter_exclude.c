#include "capture/filter_exclude.h"

#include <linux/filter.h>
#include <netinet/in.h>
#include <pcap/pcap.h>
#include <string.h>

/* What the code keeps in scratch words. */
enum { AT_NETWORK, AT_TRANSPORT }; /* X for either header: see filter_link_write() */

/* Of one family. */
struct family {
    int number;
    uint32_t address_length;
    uint32_t source; /* in the network header; the destination follows */
    uint32_t protocol;
};

static const struct family IPV4 = {AF_INET, 4, 12, 9}, IPV6 = {AF_INET6, 16, 8, 6};

enum side { SOURCE, DESTINATION };

enum { FRAGMENT_HEADER = IPPROTO_FRAGMENT, FRAGMENT_LENGTH = 8, PORTS_LENGTH = 4 };

struct writer {
    struct bpf_code *code;
    const struct filter_link *link;
    const struct filter_exclusions *exclusions;
    size_t own, others; /* labels: rejects, and passes */
};

void filter_exclude_write_mark(struct bpf_code *code, uint32_t mark, uint32_t mask)
{
    size_t others = bpf_code_label(code);

    bpf_code_add(code, BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_MARK));
    bpf_code_add(code, BPF_ALU | BPF_AND | BPF_K, mask);
    bpf_code_jump(code, BPF_JEQ | BPF_K, mark, BPF_CODE_NEXT, others);
    bpf_code_add(code, BPF_RET | BPF_K, 0);
    bpf_code_place(code, others);
    bpf_code_add(code, BPF_RET | BPF_K, 1);
}

static void load(struct writer *writer, unsigned size, uint32_t offset)
{
    bpf_code_add(writer->code, BPF_LD | BPF_IND | size, writer->link->length + offset);
}

static void look_at(struct writer *writer, unsigned header)
{
    bpf_code_add(writer->code, BPF_LDX | BPF_W | BPF_MEM, header);
}

/* X is at the network header; another address goes to `differs`. */
static void write_address_test(struct writer *writer, const struct family *family, enum side side,
                               const uint8_t address[16], size_t differs)
{
    uint32_t offset = family->source + (side == DESTINATION ? family->address_length : 0);

    for (uint32_t i = 0; i < family->address_length; i += 4) {
        uint32_t word;
        memcpy(&word, &address[i], sizeof word);
        load(writer, BPF_W, offset + i);
        bpf_code_jump(writer->code, BPF_JEQ | BPF_K, ntohl(word), BPF_CODE_NEXT, differs);
    }
}

/* A is X for a transport header. Goes on with that in X and scratch memory, if its ports are there. */
static void write_transport(struct writer *writer)
{
    bpf_code_add(writer->code, BPF_ST, AT_TRANSPORT);
    bpf_code_add(writer->code, BPF_ALU | BPF_ADD | BPF_K, writer->link->length + PORTS_LENGTH);
    bpf_code_add(writer->code, BPF_MISC | BPF_TAX, 0);
    bpf_code_add(writer->code, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_code_jump(writer->code, BPF_JGE | BPF_X, 0, BPF_CODE_NEXT, writer->others);
    look_at(writer, AT_TRANSPORT);
}

/* The same, from the network header that X tells. More fragments than the first go to `later`. */
static void write_ipv4_transport(struct writer *writer, size_t later)
{
    load(writer, BPF_H, 6);
    bpf_code_jump(writer->code, BPF_JSET | BPF_K, 0x1fff, later, BPF_CODE_NEXT);
    filter_link_write_ipv4_end(writer->link, writer->code);
    write_transport(writer);
}

static void write_ipv6_transport(struct writer *writer, uint32_t extension)
{
    bpf_code_add(writer->code, BPF_MISC | BPF_TXA, 0);
    bpf_code_add(writer->code, BPF_ALU | BPF_ADD | BPF_K, IPV6_LENGTH + extension);
    write_transport(writer);
}

static bool is_first_of_its_port(const struct filter_exclusions *exclusions, size_t endpoint)
{
    for (size_t i = 0; i < endpoint; i++)
        if (exclusions->api[i].family == exclusions->api[endpoint].family &&
            exclusions->api[i].port == exclusions->api[endpoint].port)
            return false;
    return true;
}

/* Addresses of all endpoints with the port of this one. */
static void write_api_addresses(struct writer *writer, const struct family *family, enum side side,
                                size_t first)
{
    const struct filter_endpoint *api = writer->exclusions->api;

    for (size_t i = first; i < writer->exclusions->api_count; i++) {
        if (api[i].family != family->number || api[i].port != api[first].port)
            continue;
        size_t differs = bpf_code_label(writer->code);
        write_address_test(writer, family, side, api[i].address, differs);
        bpf_code_go(writer->code, writer->own);
        bpf_code_place(writer->code, differs);
    }
}

/* Addresses are compared only where the port is right. */
static void write_api_port(struct writer *writer, const struct family *family, enum side side, size_t first)
{
    size_t other_port = bpf_code_label(writer->code);

    look_at(writer, AT_TRANSPORT);
    load(writer, BPF_H, side == SOURCE ? 0 : 2);
    bpf_code_jump(writer->code, BPF_JEQ | BPF_K, writer->exclusions->api[first].port, BPF_CODE_NEXT,
                  other_port);
    look_at(writer, AT_NETWORK);
    write_api_addresses(writer, family, side, first);
    bpf_code_place(writer->code, other_port);
}

/* TCP, from the network header that X tells. */
static void write_api(struct writer *writer, const struct family *family)
{
    const struct filter_exclusions *exclusions = writer->exclusions;

    if (family->number == AF_INET)
        write_ipv4_transport(writer, writer->others);
    else
        write_ipv6_transport(writer, 0);
    for (size_t i = 0; i < exclusions->api_count; i++)
        if (exclusions->api[i].family == family->number && is_first_of_its_port(exclusions, i)) {
            write_api_port(writer, family, SOURCE, i);
            write_api_port(writer, family, DESTINATION, i);
        }
    bpf_code_go(writer->code, writer->others);
}

static void write_stream_ports(struct writer *writer)
{
    load(writer, BPF_H, 2);
    bpf_code_jump(writer->code, BPF_JEQ | BPF_K, writer->exclusions->stream.port, BPF_CODE_NEXT,
                  writer->others);
    load(writer, BPF_H, 0);
    bpf_code_jump(writer->code, BPF_JGE | BPF_K, STREAM_SOURCE_PORT_MIN, writer->own, writer->others);
}

/* A fragment without ports, already known to go to the stream's address: of those, only the stream's. */
static void write_later_fragment(struct writer *writer, const struct family *family)
{
    if (writer->exclusions->stream_source.family == family->number) {
        write_address_test(writer, family, SOURCE, writer->exclusions->stream_source.address, writer->others);
        bpf_code_go(writer->code, writer->own);
    } else {
        bpf_code_go(writer->code, writer->others);
    }
}

static void write_stream_ipv4(struct writer *writer)
{
    size_t later = bpf_code_label(writer->code);

    write_address_test(writer, &IPV4, DESTINATION, writer->exclusions->stream.address, writer->others);
    write_ipv4_transport(writer, later);
    write_stream_ports(writer);
    bpf_code_place(writer->code, later);
    write_later_fragment(writer, &IPV4);
}

/* UDP at once. */
static void write_stream_ipv6(struct writer *writer)
{
    write_address_test(writer, &IPV6, DESTINATION, writer->exclusions->stream.address, writer->others);
    write_ipv6_transport(writer, 0);
    write_stream_ports(writer);
}

/* UDP behind a fragment header. */
static void write_stream_ipv6_fragment(struct writer *writer)
{
    size_t later = bpf_code_label(writer->code);

    write_address_test(writer, &IPV6, DESTINATION, writer->exclusions->stream.address, writer->others);
    bpf_code_add(writer->code, BPF_LD | BPF_W | BPF_LEN, 0);
    bpf_code_add(writer->code, BPF_ALU | BPF_SUB | BPF_X, 0);
    bpf_code_jump(writer->code, BPF_JGE | BPF_K, writer->link->length + IPV6_LENGTH + FRAGMENT_LENGTH,
                  BPF_CODE_NEXT, writer->others);
    load(writer, BPF_B, IPV6_LENGTH);
    bpf_code_jump(writer->code, BPF_JEQ | BPF_K, IPPROTO_UDP, BPF_CODE_NEXT, writer->others);
    load(writer, BPF_H, IPV6_LENGTH + 2);
    bpf_code_jump(writer->code, BPF_JSET | BPF_K, 0xfff8, later, BPF_CODE_NEXT);
    write_ipv6_transport(writer, FRAGMENT_LENGTH);
    write_stream_ports(writer);
    bpf_code_place(writer->code, later);
    write_later_fragment(writer, &IPV6);
}

static bool has_api(const struct writer *writer, const struct family *family)
{
    for (size_t i = 0; i < writer->exclusions->api_count; i++)
        if (writer->exclusions->api[i].family == family->number)
            return true;
    return false;
}

static void write_family(struct writer *writer, const struct family *family)
{
    bool has_stream = writer->exclusions->has_stream && writer->exclusions->stream.family == family->number;
    size_t api = has_api(writer, family) ? bpf_code_label(writer->code) : writer->others;
    size_t stream = has_stream ? bpf_code_label(writer->code) : writer->others;
    size_t fragment = has_stream && family == &IPV6 ? bpf_code_label(writer->code) : writer->others;

    bpf_code_add(writer->code, BPF_STX, AT_NETWORK);
    load(writer, BPF_B, family->protocol);
    bpf_code_jump(writer->code, BPF_JEQ | BPF_K, IPPROTO_TCP, api, BPF_CODE_NEXT);
    bpf_code_jump(writer->code, BPF_JEQ | BPF_K, IPPROTO_UDP, stream, BPF_CODE_NEXT);
    bpf_code_jump(writer->code, BPF_JEQ | BPF_K, FRAGMENT_HEADER, fragment, writer->others);
    if (api != writer->others) {
        bpf_code_place(writer->code, api);
        write_api(writer, family);
    }
    if (!has_stream)
        return;
    bpf_code_place(writer->code, stream);
    if (family == &IPV4) {
        write_stream_ipv4(writer);
        return;
    }
    write_stream_ipv6(writer);
    bpf_code_place(writer->code, fragment);
    write_stream_ipv6_fragment(writer);
}

bool filter_exclude_has_endpoints(const struct filter_exclusions *exclusions)
{
    return exclusions->api_count > 0 || exclusions->has_stream;
}

void filter_exclude_write_endpoints(struct bpf_code *code, const struct filter_link *link,
                                    const struct filter_exclusions *exclusions)
{
    struct writer writer = {code, link, exclusions, bpf_code_label(code), bpf_code_label(code)};
    const struct filter_ways ways = {bpf_code_label(code), bpf_code_label(code), writer.others};

    filter_link_write(link, code, &ways);
    bpf_code_place(code, ways.ipv4);
    write_family(&writer, &IPV4);
    bpf_code_place(code, ways.ipv6);
    write_family(&writer, &IPV6);
    bpf_code_place(code, writer.own);
    bpf_code_add(code, BPF_RET | BPF_K, 0);
    bpf_code_place(code, writer.others);
    bpf_code_add(code, BPF_RET | BPF_K, 1);
}
