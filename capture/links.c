#include "capture/links.h"

#include <errno.h>
#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum status links_socket(struct broker *broker, const char *netns, int *fd, uint64_t *cookie,
                         struct error *error)
{
    if (broker != NULL) {
        enum status status = broker_route_socket(broker, netns, fd, cookie, error);
        if (status == STATUS_OK || error->code != ERROR_HOST || netns[0] != '\0')
            return status;
    }
    *cookie = 0;
    *fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (*fd >= 0)
        return STATUS_OK;
    return error_set(error, ERROR_HOST, NULL, "cannot read this host's interfaces: %s", strerror(errno));
}

static enum status read_failed(int result, struct error *error)
{
    return error_set(error, ERROR_HOST, NULL, "cannot read the interfaces: %s", nl_geterror(result));
}

enum status links_connect(struct broker *broker, const char *netns, struct nl_sock **out, uint64_t *cookie,
                          struct error *error)
{
    int fd;
    enum status status = links_socket(broker, netns, &fd, cookie, error);

    if (status != STATUS_OK)
        return status;
    struct nl_sock *made = nl_socket_alloc();
    int result = made == NULL ? -NLE_NOMEM : nl_socket_set_fd(made, NETLINK_ROUTE, fd);
    if (result == 0) {
        *out = made;
        return STATUS_OK;
    }
    nl_socket_free(made);
    close(fd);
    return read_failed(result, error);
}

enum status links_open(struct broker *broker, const char *netns, struct links *links, struct error *error)
{
    *links = (struct links){0};
    snprintf(links->netns, sizeof links->netns, "%s", netns);
    enum status status = links_connect(broker, netns, &links->socket, &links->cookie, error);
    if (status != STATUS_OK)
        return status;
    int result = rtnl_link_alloc_cache(links->socket, AF_UNSPEC, &links->links);
    if (result == 0)
        result = rtnl_addr_alloc_cache(links->socket, &links->addresses);
    if (result == 0)
        return STATUS_OK;
    links_close(links);
    return read_failed(result, error);
}

void links_close(struct links *links)
{
    nl_cache_free(links->addresses);
    nl_cache_free(links->links);
    nl_socket_free(links->socket);
}

struct rtnl_link *links_first(const struct links *links)
{
    return (struct rtnl_link *)nl_cache_get_first(links->links);
}

struct rtnl_link *links_next(struct rtnl_link *link)
{
    return (struct rtnl_link *)nl_cache_get_next((struct nl_object *)link);
}

struct rtnl_addr *links_first_address(const struct links *links)
{
    return (struct rtnl_addr *)nl_cache_get_first(links->addresses);
}

struct rtnl_addr *links_next_address(struct rtnl_addr *address)
{
    return (struct rtnl_addr *)nl_cache_get_next((struct nl_object *)address);
}

struct rtnl_link *links_master(const struct links *links, struct rtnl_link *link)
{
    int index = rtnl_link_get_master(link);
    struct rtnl_link *master = index == 0 ? NULL : links_first(links);

    while (master != NULL && rtnl_link_get_ifindex(master) != index)
        master = links_next(master);
    return master;
}
