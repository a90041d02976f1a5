/* Which capture points an interface is (API.md, "Capture points on Linux"), from what the kernel tells of
 * it. Nothing is asked here, so kinds that a kernel lacks can be tried too. Private to capture/point*. */
#ifndef PKTCAPD_CAPTURE_POINT_RULES_H
#define PKTCAPD_CAPTURE_POINT_RULES_H

#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <stdbool.h>

/* What does not stand in the link itself. */
struct point_facts {
    bool named_netns;        /* it is in a named network namespace, not in the worker's own */
    bool has_host_address;   /* see point_rules_is_host_address() */
    const char *master_kind; /* of what it is enslaved to; NULL: to nothing */
};

/* Bit 1 << enum cappoint for each that it is. */
unsigned point_rules_cappoints(struct rtnl_link *link, const struct point_facts *facts);

/* Every interface that is up has an IPv6 link-local address: it makes none a carrier of host addresses. */
bool point_rules_is_host_address(struct rtnl_addr *address);

/* libpcap's DLT_ value of what is captured there. */
int point_rules_linktype(struct rtnl_link *link);

#endif
