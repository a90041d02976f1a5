/* Addresses and networks as text: 192.0.2.1, 192.0.2.0/24, 2001:db8::/32. */
#ifndef PKTCAPD_CORE_PREFIX_H
#define PKTCAPD_CORE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct prefix {
    int family; /* AF_INET or AF_INET6 */
    uint8_t address[16];
    unsigned bits;
};

/* Reads an address (all its bits) or a network. An IPv4-mapped IPv6 address is the IPv4 address. */
bool prefix_parse(const char *text, size_t length, struct prefix *prefix);

/* Whether an address lies in a network. */
bool prefix_holds(const struct prefix *network, const struct prefix *address);

/* Whether one of the networks of a list, separated by any of the given characters, holds the address. What is
 * no network holds nothing. */
bool prefixes_hold(const char *list, const char *separators, const char *address);

/* Whether all members of a list are networks. */
bool prefixes_are_valid(const char *list, const char *separators);

#endif
