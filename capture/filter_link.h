/*
 * Where the network header stands in packets of a linktype, and code that finds it. For tests that libpcap
 * has no words for, or would repeat for every depth of tags.
 */
#ifndef PKTCAPD_CAPTURE_FILTER_LINK_H
#define PKTCAPD_CAPTURE_FILTER_LINK_H

#include "capture/bpf_code.h"

#include <stdbool.h>
#include <stdint.h>

struct filter_link {
    int linktype;
    bool has_type; /* in the header; else the first byte of the packet tells IPv4 from IPv6 */
    bool has_tags;
    bool has_tunnels; /* may hold them, and is not rewritten later by libpcap */
    uint32_t type;    /* where the Ethernet type stands */
    uint32_t length;  /* of the header, without tags */
};

/* NULL for a linktype whose packets nobody knows how to look into. */
const struct filter_link *filter_link(int linktype);

/* Labels: how it goes on. */
struct filter_ways {
    size_t ipv4, ipv6, other;
};

/* Goes on at ipv4 or ipv6 with the length of the tags in X, so that the network header stands at X +
 * link->length, and is there wholly, without options. Everything else goes to other. */
void filter_link_write(const struct filter_link *link, struct bpf_code *code, const struct filter_ways *ways);

enum { IPV4_LENGTH = 20, IPV6_LENGTH = 40 }; /* of the headers, without options */

/* From a network header that X tells, to the length of tags and IPv4 header (options included) in A. */
void filter_link_write_ipv4_end(const struct filter_link *link, struct bpf_code *code);

#endif
