/* How many connections each client's address has, where that is limited. For any thread. */
#ifndef PKTCAPD_HTTP_ADDRESSES_H
#define PKTCAPD_HTTP_ADDRESSES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

/* What counts as one address: an IPv4 address, or an IPv6 network of 64 bits, which is what one client has at
 * least. */
struct address_key {
    uint8_t bytes[16];
};

struct address_key address_key_of(const struct sockaddr_storage *peer);

struct addresses;

/* At most `most` connections for each. NULL: no memory. */
struct addresses *addresses_open(int64_t most);
void addresses_close(struct addresses *addresses);

/* One more; false: it has as many as it may have, or there is no memory. */
bool addresses_enter(struct addresses *addresses, const struct address_key *key);

/* One less, of those that have entered. */
void addresses_leave(struct addresses *addresses, const struct address_key *key);

#endif
