#include "capture/stream_packet.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <string.h>

enum { GRE_ETHERNET = 0x6558, EXTENSIONS_MOST = 8 };

/* What makes a flow. Whole 64-bit words, nothing between the fields, and zeros where a packet has none. */
struct flow {
    uint8_t macs[12];
    uint8_t addresses[32];
    uint8_t ports[4];
    uint16_t ethertype;
    uint8_t protocol;
    uint8_t unused[5];
};

_Static_assert(sizeof(struct flow) % sizeof(uint64_t) == 0, "flows are hashed in 64-bit words");

/* What is left of a packet while it is read. */
struct rest {
    const uint8_t *data;
    size_t length;
};

static bool skip(struct rest *rest, size_t size)
{
    if (rest->length < size)
        return false;
    rest->data += size;
    rest->length -= size;
    return true;
}

static uint16_t read_16(const uint8_t *data)
{
    return (uint16_t)(data[0] << 8 | data[1]);
}

static void ports_read(struct rest rest, struct flow *flow)
{
    bool has_ports = flow->protocol == IPPROTO_TCP || flow->protocol == IPPROTO_UDP ||
                     flow->protocol == IPPROTO_SCTP || flow->protocol == IPPROTO_DCCP ||
                     flow->protocol == IPPROTO_UDPLITE;

    if (has_ports && rest.length >= sizeof flow->ports)
        memcpy(flow->ports, rest.data, sizeof flow->ports);
}

static void ipv4_read(struct rest rest, struct flow *flow)
{
    if (rest.length < 20)
        return;
    size_t header = 4 * (size_t)(rest.data[0] & 0x0f);
    memcpy(flow->addresses, rest.data + 12, 8);
    flow->protocol = rest.data[9];
    /* Only the first fragment has ports, and it must go the way of the others. */
    bool fragment = (read_16(rest.data + 6) & 0x3fff) != 0;
    if (!fragment && header >= 20 && skip(&rest, header))
        ports_read(rest, flow);
}

/* Extension headers that have their length in their second byte. */
static bool is_extension(uint8_t protocol)
{
    return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_DSTOPTS;
}

static void ipv6_read(struct rest rest, struct flow *flow)
{
    if (rest.length < 40)
        return;
    memcpy(flow->addresses, rest.data + 8, 32);
    flow->protocol = rest.data[6];
    skip(&rest, 40);
    for (int i = 0; i < EXTENSIONS_MOST && is_extension(flow->protocol); i++) {
        if (rest.length < 8)
            return;
        flow->protocol = rest.data[0];
        if (!skip(&rest, 8 + 8 * (size_t)rest.data[1]))
            return;
    }
    if (flow->protocol == IPPROTO_FRAGMENT && rest.length >= 8)
        flow->protocol = rest.data[0];
    else
        ports_read(rest, flow);
}

static uint16_t ip_ethertype(const struct rest *rest)
{
    switch (rest->length == 0 ? 0 : rest->data[0] >> 4) {
    case 4:
        return ETHERTYPE_IP;
    case 6:
        return ETHERTYPE_IPV6;
    default:
        return 0;
    }
}

static bool is_tag(uint16_t ethertype)
{
    return ethertype == ETHERTYPE_VLAN || ethertype == 0x88a8 || ethertype == 0x9100;
}

static void flow_read(bool ethernet, const uint8_t *data, size_t length, struct flow *flow)
{
    struct rest rest = {data, length};

    *flow = (struct flow){0};
    if (!ethernet) {
        flow->ethertype = ip_ethertype(&rest);
    } else if (length >= sizeof(struct ether_header)) {
        memcpy(flow->macs, data, sizeof flow->macs);
        skip(&rest, sizeof flow->macs);
        while (rest.length >= 6 && is_tag(read_16(rest.data)))
            skip(&rest, 4);
        flow->ethertype = read_16(rest.data);
        skip(&rest, 2);
    }
    if (flow->ethertype == ETHERTYPE_IP)
        ipv4_read(rest, flow);
    else if (flow->ethertype == ETHERTYPE_IPV6)
        ipv6_read(rest, flow);
}

/* Multiplication by an odd number carries every bit upwards, the shift brings it down again. */
static uint64_t flow_hash(const struct flow *flow)
{
    uint64_t words[sizeof *flow / sizeof(uint64_t)], hash = 0;

    memcpy(words, flow, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        hash = (hash ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash;
}

uint16_t stream_source_port(bool ethernet, const uint8_t *data, size_t length)
{
    struct flow flow;

    flow_read(ethernet, data, length, &flow);
    return (uint16_t)(STREAM_SOURCE_PORT_FIRST + flow_hash(&flow) % (65536 - STREAM_SOURCE_PORT_FIRST));
}

uint16_t stream_gre_protocol(bool ethernet, const uint8_t *data, size_t length)
{
    return ethernet ? GRE_ETHERNET : ip_ethertype(&(struct rest){data, length});
}

/* The Internet checksum (RFC 1071) does not care for the order of bytes: sums of this machine's words give
 * this machine's sum. */
static uint64_t sum_add(uint64_t sum, const uint8_t *data, size_t length)
{
    size_t whole = length / sizeof(uint32_t) * sizeof(uint32_t);
    uint32_t word;

    for (size_t at = 0; at < whole; at += sizeof word) {
        memcpy(&word, data + at, sizeof word);
        sum += word;
    }
    word = 0;
    memcpy(&word, data + whole, length - whole);
    return sum + word;
}

static uint16_t sum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

static uint16_t checksum(const struct stream_path *path, const uint8_t header[STREAM_HEADER_SIZE],
                         const uint8_t *data, size_t length)
{
    uint64_t sum = (uint64_t)htonl((uint32_t)(STREAM_HEADER_SIZE + length)) + htonl(IPPROTO_UDP);

    sum = sum_add(sum, path->source, path->address_size);
    sum = sum_add(sum, path->destination, path->address_size);
    sum = sum_add(sum, header, STREAM_HEADER_SIZE);
    uint16_t result = (uint16_t)~sum_fold(sum_add(sum, data, length));
    return result == 0 ? 0xffff : result; /* 0 would say that there is none */
}

static void write_16(uint8_t *at, uint16_t value)
{
    value = htons(value);
    memcpy(at, &value, sizeof value);
}

void stream_header_fill(const struct stream_path *path, bool ethernet, const uint8_t *data, size_t length,
                        uint8_t header[STREAM_HEADER_SIZE])
{
    memset(header, 0, STREAM_HEADER_SIZE);
    write_16(header, stream_source_port(ethernet, data, length));
    write_16(header + 2, path->port);
    write_16(header + 4, (uint16_t)(STREAM_HEADER_SIZE + length));
    write_16(header + 10, stream_gre_protocol(ethernet, data, length));
    uint16_t sum = checksum(path, header, data, length);
    memcpy(header + 6, &sum, sizeof sum);
}
