#include "capture/point.h"

#include "capture/links.h"
#include "capture/point_describe.h"
#include "capture/point_rules.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_host_address(const struct links *links, int index)
{
    for (struct rtnl_addr *at = links_first_address(links); at != NULL; at = links_next_address(at))
        if (rtnl_addr_get_ifindex(at) == index && point_rules_is_host_address(at))
            return true;
    return false;
}

void point_describe(const struct links *links, struct rtnl_link *link, struct point *point)
{
    struct rtnl_link *master = links_master(links, link);
    struct point_facts facts = {
        .named_netns = links->netns[0] != '\0',
        .has_host_address = has_host_address(links, rtnl_link_get_ifindex(link)),
        .master_kind = master == NULL ? NULL : rtnl_link_get_type(master),
    };

    *point = (struct point){
        .cookie = links->cookie,
        .index = (unsigned)rtnl_link_get_ifindex(link),
        .linktype = point_rules_linktype(link),
        .up = (rtnl_link_get_flags(link) & IFF_UP) != 0,
        .loopback = (rtnl_link_get_flags(link) & IFF_LOOPBACK) != 0,
        .cappoints = point_rules_cappoints(link, &facts),
    };
    snprintf(point->name, sizeof point->name, "%s", rtnl_link_get_name(link));
    memcpy(point->netns, links->netns, sizeof point->netns);
}

const char *point_value(const struct point *point, char out[POINT_VALUE_SIZE])
{
    snprintf(out, POINT_VALUE_SIZE, "%s%s%s", point->netns, point->netns[0] == '\0' ? "" : "/", point->name);
    return out;
}

/* ---- what a value matches ---- */

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

/* In this order: one name beats all, an alias beats a MAC address. */
enum way { BY_NAME, BY_ALIAS, BY_MAC, WAY_COUNT };

struct search {
    struct broker *broker;
    enum cappoint cappoint;
    const char *value;
    enum way way; /* of the matches */
    size_t count;
    struct point matches[MATCHES_MAX];
};

static void links_match_by(struct search *search, const struct links *links, const char *value, enum way way)
{
    static bool (*const WAYS[WAY_COUNT])(struct rtnl_link *, const char *) = {link_named, link_aliased,
                                                                              link_has_mac};

    for (struct rtnl_link *at = links_first(links); at != NULL; at = links_next(at)) {
        if (!WAYS[way](at, value))
            continue;
        if (search->count > 0 && way < search->way)
            search->count = 0;
        search->way = way;
        if (search->count < MATCHES_MAX)
            point_describe(links, at, &search->matches[search->count++]);
    }
}

static void links_match(struct search *search, const struct links *links, const char *value, enum way first)
{
    for (int way = (int)first; way < WAY_COUNT && (search->count == 0 || way <= (int)search->way); way++)
        links_match_by(search, links, value, (enum way)way);
}

/* ---- failures ---- */

/* Writes the closest interfaces, nearest first, as capvalue takes them. */
static void links_closest(const struct links *links, const char *value, char *out, size_t size)
{
    enum { SHOWN = 3 };
    struct point best[SHOWN];
    size_t distances[SHOWN], count = 0, used = 0;
    char text[POINT_VALUE_SIZE];

    for (struct rtnl_link *link = links_first(links); link != NULL; link = links_next(link)) {
        size_t distance = edit_distance(rtnl_link_get_name(link), value), at = count;
        while (at > 0 && distances[at - 1] > distance)
            at--;
        if (at == SHOWN)
            continue;
        count += count < SHOWN;
        memmove(&best[at + 1], &best[at], (count - 1 - at) * sizeof *best);
        memmove(&distances[at + 1], &distances[at], (count - 1 - at) * sizeof *distances);
        point_describe(links, link, &best[at]);
        distances[at] = distance;
    }
    out[0] = '\0';
    for (size_t i = 0; i < count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%.60s", i == 0 ? "" : ", ",
                                 point_value(&best[i], text));
}

static enum status unknown_interface(const struct links *links, const char *capvalue, const char *value,
                                     struct error *error)
{
    char closest[200];

    links_closest(links, value, closest, sizeof closest);
    return error_set(error, ERROR_UNKNOWN_INTERFACE, "capvalue",
                     "there is no interface with the name, alias or MAC address %.96s; the closest are %s",
                     capvalue, closest);
}

static void cappoints_list(unsigned cappoints, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s", cappoints == 0 ? "none of the known points" : "");

    for (int cappoint = 1; (size_t)cappoint < cappoint_names.count; cappoint++)
        if (cappoints & 1u << cappoint)
            used += (size_t)snprintf(out + used, size - used, "%s%s", used == 0 ? "" : ", ",
                                     names_of(&cappoint_names, cappoint));
}

/* A namespace may have two names: one of containerlab's, and one of Docker's. */
static bool is_same(const struct point *one, const struct point *other)
{
    return one->cookie != 0 && one->cookie == other->cookie && one->index == other->index;
}

static enum status choose(const struct search *search, struct point *point, struct error *error)
{
    const struct point *chosen = NULL;
    char list[128], one[POINT_VALUE_SIZE], other[POINT_VALUE_SIZE];

    for (size_t i = 0; i < search->count; i++) {
        if ((search->matches[i].cappoints & 1u << search->cappoint) == 0)
            continue;
        if (chosen != NULL && is_same(chosen, &search->matches[i]))
            continue;
        if (chosen != NULL)
            return error_set(
                error, ERROR_BAD_VALUE, "capvalue",
                "capvalue %.96s means more than one interface, %.80s and %.80s; give the interface's name",
                search->value, point_value(chosen, one), point_value(&search->matches[i], other));
        chosen = &search->matches[i];
    }
    if (chosen == NULL) {
        cappoints_list(search->matches[0].cappoints, list, sizeof list);
        return error_set(error, ERROR_WRONG_POINT, "cappoint", "interface %.96s is no %s; it is %s",
                         point_value(&search->matches[0], one),
                         names_of(&cappoint_names, (int)search->cappoint), list);
    }
    *point = *chosen;
    if (search->cappoint == CAPPOINT_DVFILTER)
        point->linktype = DLT_RAW;
    return STATUS_OK;
}

/* ---- where to look ---- */

static bool means_any(const struct search *search, const char *value)
{
    return search->cappoint == CAPPOINT_DVFILTER && strcmp(value, POINT_ANY) == 0;
}

static void any_add(struct search *search, const struct links *links)
{
    struct point *point = &search->matches[search->count++];

    *point = (struct point){.name = POINT_ANY,
                            .cookie = links->cookie,
                            .linktype = DLT_RAW,
                            .up = true,
                            .cappoints = 1u << CAPPOINT_DVFILTER};
    memcpy(point->netns, links->netns, sizeof point->netns);
}

/* Looks in one namespace. What is not there is no failure, unless it must be. */
static enum status look_in(struct search *search, const char *netns, const char *value, enum way first,
                           bool must, struct error *error)
{
    struct links links;
    enum status status = links_open(search->broker, netns, &links, error);

    if (status != STATUS_OK)
        return status;
    links_match(search, &links, value, first);
    if (search->count == 0 && means_any(search, value))
        any_add(search, &links);
    if (must && search->count == 0)
        status = unknown_interface(&links, search->value, value, error);
    links_close(&links);
    return status;
}

/* An alias or a MAC address says which interface is meant without saying where it is. Namespaces that cannot
 * be entered are passed over. */
static void look_everywhere(struct search *search)
{
    char(*names)[NETNS_NAME_SIZE];
    size_t count;
    struct error ignored;

    if (search->broker == NULL || broker_list_netns(search->broker, &names, &count, &ignored) != STATUS_OK)
        return;
    for (size_t i = 0; i < count; i++)
        if (look_in(search, names[i], search->value, BY_ALIAS, false, &ignored) != STATUS_OK)
            continue;
    free(names);
}

/* Nobody could look: the worker will. */
static void unseen_add(struct search *search, const char *slash)
{
    struct point *point = &search->matches[search->count++];

    *point = (struct point){.linktype = DLT_EN10MB, .up = true, .unseen = true, .cappoints = ~0u};
    snprintf(point->netns, sizeof point->netns, "%.*s", (int)(slash - search->value), search->value);
    snprintf(point->name, sizeof point->name, "%.15s", slash + 1);
}

static enum status no_name(const struct search *search, struct error *error)
{
    return error_set(error, ERROR_NO_SUCH_NETNS, "capvalue",
                     "capvalue %.64s has no network namespace in front of the slash; it takes NETNS/IFNAME",
                     search->value);
}

static enum status look_in_named(struct search *search, const char *slash, struct error *error)
{
    char netns[NETNS_NAME_SIZE];

    if (search->broker == NULL) {
        unseen_add(search, slash);
        return STATUS_OK;
    }
    /* What is too long is the name of none, and stays so when it is cut. */
    snprintf(netns, sizeof netns, "%.*s", (int)(slash - search->value), search->value);
    enum status status =
        netns[0] == '\0' ? no_name(search, error) : look_in(search, netns, slash + 1, BY_NAME, true, error);
    if (status != STATUS_OK && error->code == ERROR_NO_SUCH_NETNS)
        look_everywhere(search);
    return search->count > 0 ? STATUS_OK : status;
}

static enum status look(struct search *search, struct error *error)
{
    const char *slash = strchr(search->value, '/');
    enum status status = look_in(search, "", search->value, BY_NAME, false, error);

    if (status != STATUS_OK || search->count > 0)
        return status;
    if (slash != NULL)
        return look_in_named(search, slash, error);
    look_everywhere(search);
    return search->count > 0 ? STATUS_OK : look_in(search, "", search->value, BY_NAME, true, error);
}

static enum status firewall_check(struct broker *broker, struct error *error)
{
    struct broker_abilities abilities;

    if (broker == NULL || broker_abilities(broker, &abilities, error) != STATUS_OK || abilities.firewall)
        return STATUS_OK;
    return error_set(error, ERROR_NO_PRIVILEGE, "cappoint",
                     "the worker lacks CAP_NET_ADMIN, or its kernel nftables, which DVFILTER takes");
}

enum status point_find(struct broker *broker, enum cappoint cappoint, const char *capvalue,
                       struct point *point, struct error *error)
{
    struct search search = {.broker = broker, .cappoint = cappoint, .value = capvalue};
    enum status status = look(&search, error);

    if (status == STATUS_OK)
        status = choose(&search, point, error);
    if (status == STATUS_OK && cappoint == CAPPOINT_DVFILTER)
        status = firewall_check(broker, error);
    return status;
}

enum status point_host_has_address(struct broker *broker, const char *address, bool *has, struct error *error)
{
    struct nl_addr *wanted = NULL;
    struct links links;

    *has = false;
    if (nl_addr_parse(address, AF_UNSPEC, &wanted) != 0)
        return STATUS_OK;
    enum status status = links_open(broker, "", &links, error);
    if (status == STATUS_OK) {
        for (struct rtnl_addr *at = links_first_address(&links); at != NULL; at = links_next_address(at)) {
            struct nl_addr *local = rtnl_addr_get_local(at);
            /* A local address carries its prefix length, which the wanted one lacks: compare the bytes. */
            if (local != NULL && nl_addr_get_family(local) == nl_addr_get_family(wanted) &&
                memcmp(nl_addr_get_binary_addr(local), nl_addr_get_binary_addr(wanted),
                       nl_addr_get_len(wanted)) == 0)
                *has = true;
        }
        links_close(&links);
    }
    nl_addr_put(wanted);
    return status;
}
