#include "http/addresses.h"

#include <netinet/in.h>
#include <pthread.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

/* A tree: unlike a table, nobody can choose addresses that make it slow. */
struct addresses {
    pthread_mutex_t mutex;
    int64_t most;
    void *tree;
};

struct address {
    struct address_key key; /* first: a key alone is looked for */
    int64_t count;
};

struct address_key address_key_of(const struct sockaddr_storage *peer)
{
    struct address_key key = {.bytes = {[10] = 0xff, [11] = 0xff}}; /* IPv4 as IPv6 writes it */
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;

    if (peer->ss_family != AF_INET6) {
        memcpy(&ipv4, peer, sizeof ipv4);
        memcpy(key.bytes + 12, &ipv4.sin_addr, 4);
        return key;
    }
    memcpy(&ipv6, peer, sizeof ipv6);
    if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr)) {
        memcpy(key.bytes, &ipv6.sin6_addr, 16);
    } else {
        memset(key.bytes, 0, 16);
        memcpy(key.bytes, &ipv6.sin6_addr, 8);
    }
    return key;
}

static int compare(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(struct address_key));
}

struct addresses *addresses_open(int64_t most)
{
    struct addresses *addresses = calloc(1, sizeof *addresses);

    if (addresses == NULL)
        return NULL;
    pthread_mutex_init(&addresses->mutex, NULL);
    addresses->most = most;
    return addresses;
}

void addresses_close(struct addresses *addresses)
{
    if (addresses == NULL)
        return;
    tdestroy(addresses->tree, free);
    pthread_mutex_destroy(&addresses->mutex);
    free(addresses);
}

static struct address *address_add(struct addresses *addresses, const struct address_key *key)
{
    struct address *address = calloc(1, sizeof *address);

    if (address == NULL)
        return NULL;
    address->key = *key;
    if (tsearch(address, &addresses->tree, compare) != NULL)
        return address;
    free(address);
    return NULL;
}

bool addresses_enter(struct addresses *addresses, const struct address_key *key)
{
    pthread_mutex_lock(&addresses->mutex);
    struct address **found = tfind(key, &addresses->tree, compare);
    struct address *address = found == NULL ? address_add(addresses, key) : *found;
    bool enters = address != NULL && address->count < addresses->most;
    if (enters)
        address->count++;
    pthread_mutex_unlock(&addresses->mutex);
    return enters;
}

void addresses_leave(struct addresses *addresses, const struct address_key *key)
{
    pthread_mutex_lock(&addresses->mutex);
    struct address **found = tfind(key, &addresses->tree, compare);
    struct address *address = found == NULL ? NULL : *found;
    if (address != NULL && --address->count == 0) {
        tdelete(key, &addresses->tree, compare);
        free(address);
    }
    pthread_mutex_unlock(&addresses->mutex);
}
