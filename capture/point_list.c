/* The lists of point.h. */
#include "capture/links.h"
#include "capture/point_describe.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The kernel takes any bytes as a name or an alias; JSON does not. */
static void text_copy(const char *text, char *out, size_t size)
{
    snprintf(out, size, "%s", text == NULL ? "" : text);
    if (!text_is_utf8(out))
        text_make_plain(out);
}

static void mac_copy(const struct nl_addr *address, char out[18])
{
    out[0] = '\0';
    if (address == NULL || nl_addr_get_len(address) != 6)
        return;
    const unsigned char *mac = nl_addr_get_binary_addr(address);
    snprintf(out, 18, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

static void addresses_copy(const struct links *links, struct point_details *details)
{
    char text[INET6_ADDRSTRLEN];

    for (struct rtnl_addr *at = links_first_address(links); at != NULL; at = links_next_address(at)) {
        const struct nl_addr *local = rtnl_addr_get_local(at);
        if ((unsigned)rtnl_addr_get_ifindex(at) != details->point.index || local == NULL ||
            details->address_count == POINT_ADDRESSES_MAX ||
            inet_ntop(nl_addr_get_family(local), nl_addr_get_binary_addr(local), text, sizeof text) == NULL)
            continue;
        snprintf(details->addresses[details->address_count++], POINT_ADDRESS_SIZE, "%s/%u", text,
                 nl_addr_get_prefixlen(local));
    }
}

static void details_fill(const struct links *links, struct rtnl_link *link, struct point_details *details)
{
    struct rtnl_link *master = links_master(links, link);

    memset(details, 0, sizeof *details);
    point_describe(links, link, &details->point);
    text_copy(rtnl_link_get_name(link), details->point.name, sizeof details->point.name);
    text_copy(rtnl_link_get_ifalias(link), details->alias, sizeof details->alias);
    text_copy(rtnl_link_get_type(link), details->kind, sizeof details->kind);
    text_copy(master == NULL ? NULL : rtnl_link_get_name(master), details->master, sizeof details->master);
    mac_copy(rtnl_link_get_addr(link), details->mac);
    details->mtu = rtnl_link_get_mtu(link);
    addresses_copy(links, details);
}

struct listing {
    struct broker *broker;
    unsigned wanted;   /* bits of cappoints: an interface that is none of these is not shown */
    unsigned possible; /* and these are told of it */
    const struct point_visitor *visitor;
};

static enum status links_show(const struct listing *listing, const char *netns, struct error *error)
{
    struct point_details *details = malloc(sizeof *details);
    struct links links;

    if (details == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    enum status status = links_open(listing->broker, netns, &links, error);
    if (status == STATUS_OK) {
        for (struct rtnl_link *link = links_first(&links); link != NULL; link = links_next(link)) {
            details_fill(&links, link, details);
            details->point.cappoints &= listing->possible;
            if (details->point.cappoints & listing->wanted)
                listing->visitor->see_point(listing->visitor->context, details);
        }
        links_close(&links);
    }
    free(details);
    return status;
}

static void netns_tell(const struct point_visitor *visitor, const char *netns, const char *missing)
{
    if (visitor->see_netns != NULL)
        visitor->see_netns(visitor->context, netns, missing);
}

/* A namespace that has gone since it was listed is not shown. */
static enum status netns_show(const struct listing *listing, const char *netns, struct error *error)
{
    enum status status = links_show(listing, netns, error);

    if (status == STATUS_OK)
        netns_tell(listing->visitor, netns, "");
    else if (error->code == ERROR_NO_PRIVILEGE)
        netns_tell(listing->visitor, netns, "CAP_SYS_ADMIN");
    else if (error->code != ERROR_NO_SUCH_NETNS)
        return status;
    return STATUS_OK;
}

static enum status all_show(const struct listing *listing, struct error *error)
{
    char(*names)[NETNS_NAME_SIZE] = NULL;
    size_t count = 0;
    enum status status = links_show(listing, "", error);

    if (status == STATUS_OK && listing->broker != NULL)
        status = broker_list_netns(listing->broker, &names, &count, error);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = netns_show(listing, names[i], error);
    free(names);
    return status;
}

static enum status nobody_looks(const char *netns, struct error *error)
{
    return error_set(error, ERROR_NO_SUCH_NETNS, "netns",
                     "there is no worker that could look for the network namespace %.64s", netns);
}

enum status point_list(struct broker *broker, enum cappoint cappoint, const char *netns,
                       const struct point_visitor *visitor, struct error *error)
{
    struct broker_abilities abilities;
    struct listing listing = {.broker = broker, .wanted = ~0u, .possible = ~0u, .visitor = visitor};

    if (cappoint != 0)
        listing.wanted = 1u << cappoint;
    if (broker != NULL && broker_abilities(broker, &abilities, error) == STATUS_OK && !abilities.firewall)
        listing.possible &= ~(1u << CAPPOINT_DVFILTER);
    if (netns == NULL)
        return all_show(&listing, error);
    if (netns[0] == '\0')
        return links_show(&listing, "", error);
    if (broker == NULL)
        return nobody_looks(netns, error);
    enum status status = links_show(&listing, netns, error);
    if (status == STATUS_OK)
        netns_tell(visitor, netns, "");
    else if (error->code == ERROR_NO_SUCH_NETNS || error->code == ERROR_NO_PRIVILEGE)
        snprintf(error->field, sizeof error->field, "netns");
    return status;
}

enum status point_list_addresses(struct broker *broker, const char *netns, point_address_visitor see,
                                 void *context, struct error *error)
{
    struct links links;

    if (netns[0] != '\0' && broker == NULL)
        return nobody_looks(netns, error);
    enum status status = links_open(broker, netns, &links, error);
    if (status != STATUS_OK)
        return status;
    for (struct rtnl_addr *at = links_first_address(&links); at != NULL; at = links_next_address(at)) {
        const struct nl_addr *local = rtnl_addr_get_local(at);
        int family = local == NULL ? AF_UNSPEC : nl_addr_get_family(local);
        if (family == AF_INET || family == AF_INET6)
            see(context, (unsigned)rtnl_addr_get_ifindex(at), family, nl_addr_get_binary_addr(local));
    }
    links_close(&links);
    return STATUS_OK;
}
