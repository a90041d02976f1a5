#include "http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_storage storage;
};

static socklen_t address_size(const union address *address)
{
    return address->any.sa_family == AF_INET ? sizeof address->ipv4 : sizeof address->ipv6;
}

static bool address_read(const char *text, union address *address)
{
    const char *colon = strrchr(text, ':');
    bool bracketed = text[0] == '[';
    char host[INET6_ADDRSTRLEN];

    memset(address, 0, sizeof *address);
    if (colon == NULL || (bracketed && (colon - text < 2 || colon[-1] != ']')))
        return false;
    size_t length = (size_t)(colon - text) - (bracketed ? 2 : 0);
    if (length >= sizeof host)
        return false;
    memcpy(host, text + bracketed, length);
    host[length] = '\0';
    in_port_t port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    if (bracketed) {
        address->ipv6.sin6_family = AF_INET6;
        address->ipv6.sin6_port = port;
        return inet_pton(AF_INET6, host, &address->ipv6.sin6_addr) == 1;
    }
    address->ipv4.sin_family = AF_INET;
    address->ipv4.sin_port = port;
    return inet_pton(AF_INET, host, &address->ipv4.sin_addr) == 1;
}

static void address_write(const union address *address, char out[HTTP_ADDRESS_SIZE])
{
    char host[INET6_ADDRSTRLEN] = "";

    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->ipv4.sin_addr, host, sizeof host);
        snprintf(out, HTTP_ADDRESS_SIZE, "%s:%u", host, ntohs(address->ipv4.sin_port));
    } else {
        inet_ntop(AF_INET6, &address->ipv6.sin6_addr, host, sizeof host);
        snprintf(out, HTTP_ADDRESS_SIZE, "[%s]:%u", host, ntohs(address->ipv6.sin6_port));
    }
}

/* For "[::]" both families whatever the system's setting says. */
static bool options_set(int fd, int family)
{
    int on = 1, off = 0;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           (family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0);
}

static int socket_listen(union address *address)
{
    socklen_t size = sizeof *address;
    int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && options_set(fd, address->any.sa_family) &&
        bind(fd, &address->any, address_size(address)) == 0 && listen(fd, BACKLOG) == 0 &&
        getsockname(fd, &address->any, &size) == 0)
        return fd;
    int problem = errno;
    if (fd >= 0)
        close(fd);
    errno = problem;
    return -1;
}

enum status listener_open(const char *listen, int *out, char text[HTTP_ADDRESS_SIZE], struct error *error)
{
    union address address;

    if (!address_read(listen, &address))
        return error_set(error, ERROR_HOST, "listen", "%s is no address to listen on", listen);
    int fd = socket_listen(&address);
    if (fd < 0)
        return error_set(error, ERROR_HOST, "listen", "cannot listen on %s: %s", listen, strerror(errno));
    address_write(&address, text);
    *out = fd;
    return STATUS_OK;
}

void listener_peer(const struct sockaddr_storage *peer, char out[HTTP_PEER_SIZE])
{
    union address address;

    memcpy(&address.storage, peer, sizeof *peer);
    const struct in6_addr *ipv6 = &address.ipv6.sin6_addr;
    out[0] = '\0';
    if (address.any.sa_family == AF_INET)
        inet_ntop(AF_INET, &address.ipv4.sin_addr, out, HTTP_PEER_SIZE);
    else if (address.any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(ipv6))
        inet_ntop(AF_INET, &ipv6->s6_addr[12], out, HTTP_PEER_SIZE);
    else if (address.any.sa_family == AF_INET6)
        inet_ntop(AF_INET6, ipv6, out, HTTP_PEER_SIZE);
}
