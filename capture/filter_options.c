#include "capture/filter_options.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_number(const char *digits, unsigned base, const struct filter_option *option,
                         uint32_t *number)
{
    uint32_t n = 0;

    if (digits[0] == '\0')
        return false;
    for (; *digits != '\0'; digits++) {
        if (base == 16 ? !isxdigit((unsigned char)*digits) : !isdigit((unsigned char)*digits))
            return false;
        n = n * base +
            (uint32_t)(isdigit((unsigned char)*digits) ? *digits - '0' : tolower(*digits) - 'a' + 10);
        if (n > option->high)
            return false;
    }
    *number = n;
    return n >= option->low;
}

static bool has_0x(const char *value)
{
    return value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
}

static bool write_decimal(const struct filter_option *option, const char *value, char term[FILTER_TERM_SIZE])
{
    uint32_t number;

    if (!parse_number(value, 10, option, &number))
        return false;
    snprintf(term, FILTER_TERM_SIZE, "%u", number);
    return true;
}

static bool write_hexadecimal(const struct filter_option *option, const char *value,
                              char term[FILTER_TERM_SIZE])
{
    uint32_t number;

    if (!has_0x(value) || !parse_number(value + 2, 16, option, &number))
        return false;
    snprintf(term, FILTER_TERM_SIZE, "0x%x", number);
    return true;
}

static bool write_number(const struct filter_option *option, const char *value, char term[FILTER_TERM_SIZE])
{
    return has_0x(value) ? write_hexadecimal(option, value, term) : write_decimal(option, value, term);
}

static bool write_mac(const struct filter_option *option, const char *value, char term[FILTER_TERM_SIZE])
{
    enum { LENGTH = sizeof "00:00:00:00:00:00" - 1 };

    (void)option;
    if (strlen(value) != LENGTH || (value[2] != ':' && value[2] != '-'))
        return false;
    for (size_t i = 0; i < LENGTH; i++)
        if (i % 3 == 2 ? value[i] != value[2] : !isxdigit((unsigned char)value[i]))
            return false;
    snprintf(term, FILTER_TERM_SIZE, "%s", value);
    return true;
}

/* Splits ADDRESS or ADDRESS/LENGTH and clears the bits behind the prefix: people paste what `ip addr` shows
 * them, and libpcap would refuse it. The length comes back as bits; a bare address has all of them. */
static bool parse_prefix(const struct filter_option *option, int family, const char *value,
                         uint8_t address[16], uint32_t *bits)
{
    char text[INET6_ADDRSTRLEN];
    size_t length = strcspn(value, "/");

    if (length >= sizeof text)
        return false;
    memcpy(text, value, length);
    text[length] = '\0';
    *bits = option->high;
    if (value[length] == '/' && !parse_number(value + length + 1, 10, option, bits))
        return false;
    if (inet_pton(family, text, address) != 1)
        return false;
    for (uint32_t bit = *bits; bit < option->high; bit++)
        address[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    return true;
}

static bool write_ipv4(const struct filter_option *option, const char *value, char term[FILTER_TERM_SIZE])
{
    uint8_t address[16];
    uint32_t bits;

    if (!parse_prefix(option, AF_INET, value, address, &bits))
        return false;
    snprintf(term, FILTER_TERM_SIZE, "%u.%u.%u.%u/%u", address[0], address[1], address[2], address[3], bits);
    return true;
}

/* Eight groups, never `::`, so that libpcap's scanner cannot take it for anything else. */
static bool write_ipv6(const struct filter_option *option, const char *value, char term[FILTER_TERM_SIZE])
{
    uint8_t address[16];
    uint32_t bits;
    size_t used = 0;

    if (!parse_prefix(option, AF_INET6, value, address, &bits))
        return false;
    for (size_t i = 0; i < sizeof address; i += 2)
        used += (size_t)snprintf(term + used, FILTER_TERM_SIZE - used, "%s%x", i == 0 ? "" : ":",
                                 (unsigned)address[i] << 8 | address[i + 1]);
    snprintf(term + used, FILTER_TERM_SIZE - used, "/%u", bits);
    return true;
}

const char filter_option_true[] = "true", filter_option_false[] = "false";

static bool write_truth(const struct filter_option *option, const char *value, char term[FILTER_TERM_SIZE])
{
    (void)option;
    if (strcmp(value, filter_option_true) != 0 && strcmp(value, filter_option_false) != 0)
        return false;
    snprintf(term, FILTER_TERM_SIZE, "%s", value);
    return true;
}

uint32_t filter_option_number(const char *term)
{
    return (uint32_t)strtoul(term, NULL, 0);
}

/* In pcap-filter(7), `vlan` passes only tagged packets and moves what follows it behind the tag. A tag that
 * was stripped into metadata is not in the frame, so three depths of the frame cover it too; only what asks
 * for the tag itself must look at the metadata. */
static const char *const ONE_DEPTH[] = {"", NULL};
static const char *const ANY_DEPTH[] = {"", "vlan and ", "vlan and vlan and ", NULL};
static const char *const TAG_DEPTHS[] = {"vlan and ", "vlan and vlan and ", NULL};

static const struct filter_layer ADDRESSES = {.depths = ONE_DEPTH, .needs_ethernet = true, .needs_mac = true};
static const struct filter_layer TAGS = {.depths = TAG_DEPTHS,
                                         .needs_ethernet = true,
                                         .needs_mac = true,
                                         .is_outer = true,
                                         .test_per_depth = true,
                                         .stripped = SKF_AD_VLAN_TAG,
                                         .stripped_bits = 0xfff};
static const struct filter_layer TYPES = {
    .depths = ANY_DEPTH, .needs_mac = true, .stripped = SKF_AD_VLAN_TPID, .stripped_bits = 0xffff};
static const struct filter_layer CONTENTS = {.depths = ANY_DEPTH};
static const struct filter_layer TUNNELS = {.is_tunnel = true};

/* The id of the outer and of the inner tag. A second `vlan ID` in one expression would look behind the first,
 * so libpcap's own test cannot share a program; these can. */
#define OUTER_ID "ether[14:2] & 0xfff = "
#define INNER_ID "ether[18:2] & 0xfff = "

#define ETHERNET_TYPE "an Ethernet type in hexadecimal, from 0x0600 to 0xffff"
#define MAC_ADDRESS   "a MAC address such as 00:50:56:01:02:03"
#define VLAN_ID       "a VLAN id from 1 to 4094"
#define IPV4          "an IPv4 address or prefix such as 192.0.2.1 or 192.0.2.0/24"
#define IPV6          "an IPv6 address or prefix such as 2001:db8::1 or 2001:db8::/32"
#define PROTOCOL      "a protocol number from 0 to 255, decimal or hexadecimal with 0x"
#define PORT          "a port number from 0 to 65535"
#define TUNNEL_ID     "a VXLAN or Geneve id from 0 to 16777215, decimal or hexadecimal with 0x"
#define TRUTH         "true or false"

static const struct filter_option OPTIONS[] = {
    [OPTION_ETHTYPE] = {write_hexadecimal, 0x600, 0xffff, ETHERNET_TYPE, {"ether proto "}, &TYPES},
    [OPTION_MAC] = {write_mac, 0, 0, MAC_ADDRESS, {"ether src ", "ether dst "}, &ADDRESSES},
    [OPTION_SRCMAC] = {write_mac, 0, 0, MAC_ADDRESS, {"ether src "}, &ADDRESSES},
    [OPTION_DSTMAC] = {write_mac, 0, 0, MAC_ADDRESS, {"ether dst "}, &ADDRESSES},
    [OPTION_VLAN] = {write_decimal, 1, 4094, VLAN_ID, {OUTER_ID, INNER_ID}, &TAGS},
    [OPTION_IP] = {write_ipv4, 0, 32, IPV4, {"ip src net ", "ip dst net "}, &CONTENTS},
    [OPTION_SRCIP] = {write_ipv4, 0, 32, IPV4, {"ip src net "}, &CONTENTS},
    [OPTION_DSTIP] = {write_ipv4, 0, 32, IPV4, {"ip dst net "}, &CONTENTS},
    [OPTION_IPPROTO] = {write_number, 0, 255, PROTOCOL, {"ip proto "}, &CONTENTS},
    [OPTION_PORT] = {write_decimal, 0, 65535, PORT, {"tcp port ", "udp port "}, &CONTENTS},
    [OPTION_SRCPORT] = {write_decimal, 0, 65535, PORT, {"tcp src port ", "udp src port "}, &CONTENTS},
    [OPTION_DSTPORT] = {write_decimal, 0, 65535, PORT, {"tcp dst port ", "udp dst port "}, &CONTENTS},
    [OPTION_UDPPORT] = {write_decimal, 0, 65535, PORT, {"udp port "}, &CONTENTS},
    [OPTION_SRCUDPPORT] = {write_decimal, 0, 65535, PORT, {"udp src port "}, &CONTENTS},
    [OPTION_DSTUDPPORT] = {write_decimal, 0, 65535, PORT, {"udp dst port "}, &CONTENTS},
    [OPTION_IP6] = {write_ipv6, 0, 128, IPV6, {"ip6 src net ", "ip6 dst net "}, &CONTENTS},
    [OPTION_SRCIP6] = {write_ipv6, 0, 128, IPV6, {"ip6 src net "}, &CONTENTS},
    [OPTION_DSTIP6] = {write_ipv6, 0, 128, IPV6, {"ip6 dst net "}, &CONTENTS},
    [OPTION_IPPROTO6] = {write_number, 0, 255, PROTOCOL, {"ip6 proto "}, &CONTENTS},
    [OPTION_VNI] = {write_number, 0, 0xffffff, TUNNEL_ID, {NULL}, &TUNNELS},
    [OPTION_INNER] = {write_truth, 0, 0, TRUTH, {NULL}, &TUNNELS},
};

const struct filter_option *filter_option(enum option_name name)
{
    return name > 0 && name < sizeof OPTIONS / sizeof OPTIONS[0] ? &OPTIONS[name] : NULL;
}
