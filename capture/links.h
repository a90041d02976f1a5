/*
 * The interfaces and addresses of one network namespace, read from the kernel by route netlink. Through the
 * broker, so that the front end sees what the worker would capture on: in containers their namespaces differ.
 * Private to capture/point*.
 */
#ifndef PKTCAPD_CAPTURE_LINKS_H
#define PKTCAPD_CAPTURE_LINKS_H

#include "broker/broker.h"

#include <netlink/cache.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>

struct links {
    char netns[NETNS_NAME_SIZE]; /* "": the worker's own */
    uint64_t cookie;             /* of the namespace, 0 if it could not be asked */
    struct nl_sock *socket;
    struct nl_cache *links, *addresses;
};

/* A route socket in a namespace. Without a broker, or with one that cannot be asked, this process's own
 * namespace stands for the worker's. */
MUST_USE enum status links_socket(struct broker *broker, const char *netns, int *fd, uint64_t *cookie,
                                  struct error *error);

/* The same as libnl's. */
MUST_USE enum status links_connect(struct broker *broker, const char *netns, struct nl_sock **socket,
                                   uint64_t *cookie, struct error *error);

MUST_USE enum status links_open(struct broker *broker, const char *netns, struct links *links,
                                struct error *error);
void links_close(struct links *links);

/* The first and the next of all; NULL at the end. */
struct rtnl_link *links_first(const struct links *links);
struct rtnl_link *links_next(struct rtnl_link *link);
struct rtnl_addr *links_first_address(const struct links *links);
struct rtnl_addr *links_next_address(struct rtnl_addr *address);

/* The bridge, bond or VRF that a link is enslaved to, NULL if to none; good while links are open. */
struct rtnl_link *links_master(const struct links *links, struct rtnl_link *link);

#endif
