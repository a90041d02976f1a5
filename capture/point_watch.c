#include "capture/point_watch.h"

#include "capture/links.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What the kernel told, the gravest last. */
enum fate { FATE_WELL, FATE_DOWN, FATE_RENAMED, FATE_REMOVED, FATE_MOVED };

struct point_watch {
    struct broker *broker;
    struct point point;
    struct nl_sock *socket; /* to ask */
    int events;             /* to hear */
    enum fate fate;
    char renamed[sizeof((struct point *)0)->name];
};

static enum status events_open(struct point_watch *watch, struct error *error)
{
    int group = RTNLGRP_LINK;
    uint64_t cookie;
    enum status status = links_socket(watch->broker, watch->point.netns, &watch->events, &cookie, error);

    if (status == STATUS_OK &&
        setsockopt(watch->events, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0)
        status = error_set(error, ERROR_HOST, NULL, "cannot watch the interfaces: %s", strerror(errno));
    return status;
}

enum status point_watch_open(struct broker *broker, const struct point *point, struct point_watch **out,
                             struct error *error)
{
    struct point_watch *watch = calloc(1, sizeof *watch);
    uint64_t cookie;

    if (watch == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    watch->broker = broker;
    watch->point = *point;
    watch->events = -1;
    enum status status = events_open(watch, error);
    if (status == STATUS_OK)
        status = links_connect(broker, point->netns, &watch->socket, &cookie, error);
    if (status == STATUS_OK)
        *out = watch;
    else
        point_watch_close(watch);
    return status;
}

void point_watch_close(struct point_watch *watch)
{
    nl_socket_free(watch->socket);
    if (watch->events >= 0)
        close(watch->events);
    free(watch);
}

int point_watch_fd(const struct point_watch *watch)
{
    return watch->events;
}

/* ---- what the kernel tells ---- */

static const char *new_name(const struct nlmsghdr *message)
{
    const struct rtattr *name = NULL;
    const struct ifinfomsg *link = NLMSG_DATA(message);
    unsigned left = (unsigned)IFLA_PAYLOAD(message);

    for (const struct rtattr *at = IFLA_RTA(link); RTA_OK(at, left); at = RTA_NEXT(at, left))
        if (at->rta_type == IFLA_IFNAME)
            name = at;
    return name == NULL ? NULL : RTA_DATA(name);
}

static bool tells_of_move(const struct nlmsghdr *message)
{
    const struct ifinfomsg *link = NLMSG_DATA(message);
    unsigned left = (unsigned)IFLA_PAYLOAD(message);

    for (const struct rtattr *at = IFLA_RTA(link); RTA_OK(at, left); at = RTA_NEXT(at, left))
        if (at->rta_type == IFLA_NEW_NETNSID || at->rta_type == IFLA_NEW_IFINDEX)
            return true;
    return false;
}

/* A message of another family is a bridge's, about a port that came or went. */
static enum fate message_fate(struct point_watch *watch, const struct nlmsghdr *message)
{
    const struct ifinfomsg *link = NLMSG_DATA(message);

    if ((message->nlmsg_type != RTM_NEWLINK && message->nlmsg_type != RTM_DELLINK) ||
        message->nlmsg_len < NLMSG_LENGTH(sizeof *link) || link->ifi_family != AF_UNSPEC ||
        (unsigned)link->ifi_index != watch->point.index)
        return FATE_WELL;
    if (message->nlmsg_type == RTM_DELLINK)
        return tells_of_move(message) ? FATE_MOVED : FATE_REMOVED;
    const char *name = new_name(message);
    if (name != NULL && strcmp(name, watch->point.name) != 0) {
        snprintf(watch->renamed, sizeof watch->renamed, "%s", name);
        return FATE_RENAMED;
    }
    return link->ifi_flags & IFF_UP ? FATE_WELL : FATE_DOWN;
}

bool point_watch_read(struct point_watch *watch)
{
    _Alignas(struct nlmsghdr) char buffer[32768];
    bool lost = false;
    ssize_t got;

    while ((got = recv(watch->events, buffer, sizeof buffer, MSG_DONTWAIT)) > 0 || errno == ENOBUFS) {
        /* Something went by unheard: ask. */
        lost = lost || got <= 0;
        unsigned left = got > 0 ? (unsigned)got : 0;
        for (const struct nlmsghdr *at = (const void *)buffer; NLMSG_OK(at, left);
             at = NLMSG_NEXT(at, left)) {
            enum fate fate = message_fate(watch, at);
            if (fate > watch->fate)
                watch->fate = fate;
        }
    }
    return lost || watch->fate != FATE_WELL;
}

/* ---- looks ---- */

static void link_look(struct point_watch *watch, uint64_t *dropped)
{
    struct rtnl_link *link = NULL;
    enum fate fate = FATE_WELL;
    int result = rtnl_link_get_kernel(watch->socket, (int)watch->point.index, NULL, &link);

    if (result == -NLE_NODEV || result == -NLE_OBJ_NOTFOUND)
        fate = FATE_REMOVED;
    if (result == 0) {
        *dropped = rtnl_link_get_stat(link, RTNL_LINK_RX_DROPPED) +
                   rtnl_link_get_stat(link, RTNL_LINK_RX_MISSED_ERR) +
                   rtnl_link_get_stat(link, RTNL_LINK_RX_FIFO_ERR);
        if (strcmp(rtnl_link_get_name(link), watch->point.name) != 0) {
            snprintf(watch->renamed, sizeof watch->renamed, "%s", rtnl_link_get_name(link));
            fate = FATE_RENAMED;
        } else if ((rtnl_link_get_flags(link) & IFF_UP) == 0) {
            fate = FATE_DOWN;
        }
        rtnl_link_put(link);
    }
    if (fate > watch->fate)
        watch->fate = fate;
}

static enum status link_tell(const struct point_watch *watch, struct error *error)
{
    static const char *const FATES[] = {[FATE_DOWN] = "went down",
                                        [FATE_RENAMED] = "was renamed to ",
                                        [FATE_REMOVED] = "was removed",
                                        [FATE_MOVED] = "was moved to another network namespace"};
    char value[POINT_VALUE_SIZE];

    if (watch->fate == FATE_WELL)
        return STATUS_OK;
    return error_set(error, ERROR_HOST, NULL, "interface %.200s %s%s during the capture",
                     point_value(&watch->point, value), FATES[watch->fate],
                     watch->fate == FATE_RENAMED ? watch->renamed : "");
}

static enum status netns_look(struct point_watch *watch, struct error *error)
{
    const char *name = watch->point.netns;
    uint64_t cookie;
    int fd;

    if (name[0] == '\0')
        return STATUS_OK;
    if (broker_route_socket(watch->broker, name, &fd, &cookie, error) != STATUS_OK) {
        if (error->code != ERROR_NO_SUCH_NETNS)
            return STATUS_OK;
        return error_set(error, ERROR_HOST, NULL, "network namespace %.200s was removed during the capture",
                         name);
    }
    close(fd);
    if (cookie == watch->point.cookie)
        return STATUS_OK;
    return error_set(error, ERROR_HOST, NULL,
                     "network namespace %.200s was replaced by another of the same name during the capture",
                     name);
}

enum status point_watch_look(struct point_watch *watch, uint64_t *dropped, struct error *error)
{
    enum status status = netns_look(watch, error);

    if (status != STATUS_OK || watch->point.index == 0)
        return status;
    /* An interface goes down before it goes away. The kernel answers when it is done with that, and by then
     * it has told how it ended. */
    link_look(watch, dropped);
    if (watch->fate != FATE_WELL)
        (void)point_watch_read(watch);
    return link_tell(watch, error);
}
