#include "capture/point.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_arp.h>
#include <netlink/cache.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <string.h>

struct host {
    struct nl_sock *socket;
    struct nl_cache *links;
    struct nl_cache *addresses;
};

static void host_close(struct host *host)
{
    nl_cache_free(host->addresses);
    nl_cache_free(host->links);
    nl_socket_free(host->socket);
}

static enum status host_open(struct host *host, struct error *error)
{
    int result = -NLE_NOMEM;

    *host = (struct host){.socket = nl_socket_alloc()};
    if (host->socket != NULL)
        result = nl_connect(host->socket, NETLINK_ROUTE);
    if (result == 0)
        result = rtnl_link_alloc_cache(host->socket, AF_UNSPEC, &host->links);
    if (result == 0)
        result = rtnl_addr_alloc_cache(host->socket, &host->addresses);
    if (result == 0)
        return STATUS_OK;
    host_close(host);
    return error_set(error, ERROR_HOST, NULL, "cannot read this host's interfaces: %s", nl_geterror(result));
}

/* As libpcap maps them (pcap-linux.c, map_arphrd_to_dlt); what is not here it captures in cooked mode. */
static int link_linktype(struct rtnl_link *link)
{
    switch (rtnl_link_get_arptype(link)) {
    case ARPHRD_ETHER:
    case ARPHRD_LOOPBACK:
        return DLT_EN10MB;
    case ARPHRD_NONE:
    case ARPHRD_RAWIP:
    case ARPHRD_TUNNEL:
    case ARPHRD_TUNNEL6:
    case ARPHRD_SIT:
    case ARPHRD_IPGRE:
    case ARPHRD_IP6GRE:
        return DLT_RAW;
    default:
        return DLT_LINUX_SLL;
    }
}

/* Every interface that is up has an IPv6 link-local address: it makes none a carrier of host addresses. */
static bool link_has_host_address(const struct host *host, int index)
{
    for (struct nl_object *at = nl_cache_get_first(host->addresses); at != NULL; at = nl_cache_get_next(at)) {
        struct rtnl_addr *address = (struct rtnl_addr *)at;
        bool link_local =
            rtnl_addr_get_family(address) == AF_INET6 && rtnl_addr_get_scope(address) == RT_SCOPE_LINK;
        if (rtnl_addr_get_ifindex(address) == index && !link_local)
            return true;
    }
    return false;
}

/* A device with no link kind is hardware, or what a hypervisor shows as such (virtio). */
static bool link_is_nic(struct rtnl_link *link)
{
    const char *kind = rtnl_link_get_type(link);
    bool loopback = (rtnl_link_get_flags(link) & IFF_LOOPBACK) != 0;

    if (kind == NULL)
        return !loopback && rtnl_link_get_arptype(link) == ARPHRD_ETHER;
    return strcmp(kind, "bond") == 0;
}

static bool link_is_workload_nic(struct rtnl_link *link)
{
    static const char *const KINDS[] = {"tun", "veth", "macvlan", "macvtap", "ipvlan", "ipvtap"};
    const char *kind = rtnl_link_get_type(link);

    for (size_t i = 0; kind != NULL && i < sizeof KINDS / sizeof KINDS[0]; i++)
        if (strcmp(kind, KINDS[i]) == 0)
            return true;
    return false;
}

static unsigned link_cappoints(const struct host *host, struct rtnl_link *link)
{
    unsigned cappoints = 0;

    if (link_is_nic(link))
        cappoints |= 1u << CAPPOINT_VMNIC | 1u << CAPPOINT_PNIC;
    if (link_is_workload_nic(link))
        cappoints |= 1u << CAPPOINT_VNIC | 1u << CAPPOINT_VIF;
    if (link_has_host_address(host, rtnl_link_get_ifindex(link)))
        cappoints |= 1u << CAPPOINT_VMKNIC;
    return cappoints;
}

static void link_describe(const struct host *host, struct rtnl_link *link, struct point *point)
{
    *point = (struct point){
        .index = (unsigned)rtnl_link_get_ifindex(link),
        .linktype = link_linktype(link),
        .up = (rtnl_link_get_flags(link) & IFF_UP) != 0,
        .loopback = (rtnl_link_get_flags(link) & IFF_LOOPBACK) != 0,
        .cappoints = link_cappoints(host, link),
    };
    snprintf(point->name, sizeof point->name, "%s", rtnl_link_get_name(link));
}

static bool link_named(struct rtnl_link *link, const char *value)
{
    return strcmp(rtnl_link_get_name(link), value) == 0;
}

static bool link_aliased(struct rtnl_link *link, const char *value)
{
    const char *alias = rtnl_link_get_ifalias(link);

    return alias != NULL && strcmp(alias, value) == 0;
}

static bool link_has_mac(struct rtnl_link *link, const char *value)
{
    const struct nl_addr *address = rtnl_link_get_addr(link);
    unsigned mac[6];
    int used = 0;
    bool colons = sscanf(value, "%2x:%2x:%2x:%2x:%2x:%2x%n", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
                         &mac[5], &used) == 6 &&
                  value[used] == '\0';
    bool dashes = !colons &&
                  sscanf(value, "%2x-%2x-%2x-%2x-%2x-%2x%n", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
                         &mac[5], &used) == 6 &&
                  value[used] == '\0';

    if ((!colons && !dashes) || address == NULL || nl_addr_get_len(address) != 6)
        return false;
    const unsigned char *own = nl_addr_get_binary_addr(address);
    for (int i = 0; i < 6; i++)
        if (own[i] != mac[i])
            return false;
    return true;
}

enum { MATCHES_MAX = 8 };

/* The interfaces that a value means: one name beats all, an alias beats a MAC address. */
static size_t host_match(const struct host *host, const char *value, struct point matches[MATCHES_MAX])
{
    static bool (*const WAYS[])(struct rtnl_link *, const char *) = {link_named, link_aliased, link_has_mac};
    size_t count = 0;

    for (size_t way = 0; way < sizeof WAYS / sizeof WAYS[0] && count == 0; way++)
        for (struct nl_object *at = nl_cache_get_first(host->links); at != NULL; at = nl_cache_get_next(at))
            if (count < MATCHES_MAX && WAYS[way]((struct rtnl_link *)at, value))
                link_describe(host, (struct rtnl_link *)at, &matches[count++]);
    return count;
}

/* Writes the closest interface names, nearest first. */
static void host_closest(const struct host *host, const char *value, char *out, size_t size)
{
    enum { SHOWN = 3 };
    const char *best[SHOWN] = {NULL};
    size_t distances[SHOWN];
    size_t used = 0;

    for (struct nl_object *at = nl_cache_get_first(host->links); at != NULL; at = nl_cache_get_next(at)) {
        const char *name = rtnl_link_get_name((struct rtnl_link *)at);
        size_t distance = edit_distance(name, value);
        for (int i = 0; i < SHOWN; i++) {
            if (best[i] != NULL && distances[i] <= distance)
                continue;
            const char *pushed = best[i];
            size_t pushed_distance = pushed == NULL ? 0 : distances[i];
            best[i] = name;
            distances[i] = distance;
            name = pushed;
            distance = pushed_distance;
            if (name == NULL)
                break;
        }
    }
    out[0] = '\0';
    for (int i = 0; i < SHOWN && best[i] != NULL && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ", best[i]);
}

static void cappoints_list(unsigned cappoints, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s", cappoints == 0 ? "none of the known points" : "");

    for (int cappoint = 1; (size_t)cappoint < cappoint_names.count; cappoint++)
        if (cappoints & 1u << cappoint)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used == 0 ? "" : ", ",
                                     names_of(&cappoint_names, cappoint));
}

static enum status choose(const struct point *matches, size_t count, enum cappoint cappoint,
                          const char *value, struct point *point, struct error *error)
{
    const struct point *chosen = NULL;
    char list[128];

    for (size_t i = 0; i < count; i++) {
        if ((matches[i].cappoints & 1u << cappoint) == 0)
            continue;
        if (chosen != NULL)
            return error_set(
                error, ERROR_BAD_VALUE, "capvalue",
                "capvalue %s means more than one interface, %s and %s; give the interface's name", value,
                chosen->name, matches[i].name);
        chosen = &matches[i];
    }
    if (chosen == NULL) {
        cappoints_list(matches[0].cappoints, list, sizeof list);
        return error_set(error, ERROR_WRONG_POINT, "cappoint", "interface %s is no %s; it is %s",
                         matches[0].name, names_of(&cappoint_names, (int)cappoint), list);
    }
    *point = *chosen;
    return STATUS_OK;
}

enum status point_find(enum cappoint cappoint, const char *capvalue, struct point *point, struct error *error)
{
    struct point matches[MATCHES_MAX];
    struct host host;
    char closest[64];
    enum status status;

    if (strchr(capvalue, '/') != NULL)
        return error_set(
            error, ERROR_NOT_BUILT, "capvalue",
            "capvalue %.64s names a network namespace, which is not built yet; give an interface of this "
            "host",
            capvalue);
    if ((status = host_open(&host, error)) != STATUS_OK)
        return status;
    size_t count = host_match(&host, capvalue, matches);
    if (count > 0) {
        status = choose(matches, count, cappoint, capvalue, point, error);
    } else {
        host_closest(&host, capvalue, closest, sizeof closest);
        status =
            error_set(error, ERROR_UNKNOWN_INTERFACE, "capvalue",
                      "there is no interface with the name, alias or MAC address %.64s; the closest are %s",
                      capvalue, closest);
    }
    host_close(&host);
    return status;
}

enum status point_host_has_address(const char *address, bool *has, struct error *error)
{
    struct nl_addr *wanted = NULL;
    struct host host;

    *has = false;
    if (nl_addr_parse(address, AF_UNSPEC, &wanted) != 0)
        return STATUS_OK;
    enum status status = host_open(&host, error);
    if (status == STATUS_OK) {
        for (struct nl_object *at = nl_cache_get_first(host.addresses); at != NULL;
             at = nl_cache_get_next(at)) {
            struct nl_addr *local = rtnl_addr_get_local((struct rtnl_addr *)at);
            /* A local address carries its prefix length, which the wanted one lacks: compare the bytes. */
            if (local != NULL && nl_addr_get_family(local) == nl_addr_get_family(wanted) &&
                memcmp(nl_addr_get_binary_addr(local), nl_addr_get_binary_addr(wanted),
                       nl_addr_get_len(wanted)) == 0)
                *has = true;
        }
        host_close(&host);
    }
    nl_addr_put(wanted);
    return status;
}

enum point_presence point_look(unsigned index, uint64_t *dropped)
{
    struct nl_sock *socket = nl_socket_alloc();
    struct rtnl_link *link = NULL;
    enum point_presence presence = POINT_UNKNOWN;
    int result = socket == NULL ? -NLE_NOMEM : nl_connect(socket, NETLINK_ROUTE);

    if (result == 0)
        result = rtnl_link_get_kernel(socket, (int)index, NULL, &link);
    if (result == -NLE_NODEV || result == -NLE_OBJ_NOTFOUND)
        presence = POINT_GONE;
    if (result == 0) {
        presence = rtnl_link_get_flags(link) & IFF_UP ? POINT_UP : POINT_DOWN;
        *dropped = rtnl_link_get_stat(link, RTNL_LINK_RX_DROPPED) +
                   rtnl_link_get_stat(link, RTNL_LINK_RX_MISSED_ERR) +
                   rtnl_link_get_stat(link, RTNL_LINK_RX_FIFO_ERR);
        rtnl_link_put(link);
    }
    nl_socket_free(socket);
    return presence;
}
