#include "capture/stream_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER = 4 << 20, IPV4_HEADER = 20, IPV6_HEADER = 40, PACKET_MOST = 65535 };

/* ---- addresses ---- */

/* An IPv6 address may carry a zone, the interface of a link-local one. */
static bool ipv6_parse(const char *address, struct sockaddr_in6 *out)
{
    char text[INET6_ADDRSTRLEN];
    size_t length = strcspn(address, "%");

    if (length >= sizeof text)
        return false;
    memcpy(text, address, length);
    text[length] = '\0';
    *out = (struct sockaddr_in6){.sin6_family = AF_INET6};
    if (address[length] == '%' && (out->sin6_scope_id = if_nametoindex(address + length + 1)) == 0)
        return false;
    return inet_pton(AF_INET6, text, &out->sin6_addr) == 1;
}

static void ipv4_set(struct stream_socket *made, struct in_addr address)
{
    *(struct sockaddr_in *)(void *)&made->collector =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = address};
    made->collector_size = sizeof(struct sockaddr_in);
    made->ip_header = IPV4_HEADER;
    made->udp_most = PACKET_MOST - IPV4_HEADER;
}

static bool collector_parse(const char *address, struct stream_socket *made)
{
    struct in_addr ipv4;
    struct sockaddr_in6 ipv6;

    if (inet_pton(AF_INET, address, &ipv4) == 1) {
        ipv4_set(made, ipv4);
    } else if (!ipv6_parse(address, &ipv6)) {
        return false;
    } else if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr)) {
        memcpy(&ipv4, ipv6.sin6_addr.s6_addr + 12, sizeof ipv4);
        ipv4_set(made, ipv4);
    } else {
        memcpy(&made->collector, &ipv6, sizeof ipv6);
        made->collector_size = sizeof ipv6;
        made->ip_header = IPV6_HEADER;
        made->udp_most = PACKET_MOST; /* IPv6 does not count its own header */
    }
    return true;
}

static bool is_ipv6(const struct stream_socket *stream)
{
    return stream->ip_header == IPV6_HEADER;
}

static void address_copy(const struct sockaddr_storage *from, uint8_t to[16])
{
    if (from->ss_family == AF_INET)
        memcpy(to, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    else
        memcpy(to, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
}

/* ---- the socket ---- */

/* Raw sockets get a copy of all UDP that comes from the collector's host: this one wants none. */
static bool receive_nothing(int fd)
{
    struct sock_filter reject = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {1, &reject};
    char byte;

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) != 0)
        return false;
    while (recv(fd, &byte, sizeof byte, MSG_DONTWAIT | MSG_TRUNC) >= 0) /* what came before the filter */
        continue;
    return true;
}

/* A stream whose packets could not be marked is a stream all the same, and so is one with the usual buffer.
 */
static bool options_set(const struct stream_socket *stream, int fd)
{
    int level = is_ipv6(stream) ? IPPROTO_IPV6 : IPPROTO_IP;
    int discover = is_ipv6(stream) ? IPV6_PMTUDISC_DONT : IP_PMTUDISC_DONT;
    int on = 1, buffer = BUFFER;

    if (stream->mark != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_MARK, &stream->mark, sizeof stream->mark);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer); /* for the ICMP errors */
    return setsockopt(fd, level, is_ipv6(stream) ? IPV6_MTU_DISCOVER : IP_MTU_DISCOVER, &discover,
                      sizeof discover) == 0 &&
           setsockopt(fd, level, is_ipv6(stream) ? IPV6_RECVERR : IP_RECVERR, &on, sizeof on) == 0;
}

/* Connects and reads from which address the packets will come, and what the path takes. */
static bool path_read(struct stream_socket *stream, int fd)
{
    struct sockaddr_storage source;
    socklen_t size = sizeof source, mtu_size = sizeof stream->mtu;

    if (connect(fd, (const struct sockaddr *)&stream->collector, stream->collector_size) != 0 ||
        getsockname(fd, (struct sockaddr *)&source, &size) != 0)
        return false;
    address_copy(&source, stream->path.source);
    address_copy(&stream->collector, stream->path.destination);
    stream->path.address_size = is_ipv6(stream) ? 16 : 4;
    return getsockopt(fd, is_ipv6(stream) ? IPPROTO_IPV6 : IPPROTO_IP, is_ipv6(stream) ? IPV6_MTU : IP_MTU,
                      &stream->mtu, &mtu_size) == 0;
}

static int raw_open(struct stream_socket *stream)
{
    int fd = socket(stream->collector.ss_family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_UDP);

    if (fd >= 0 && receive_nothing(fd) && options_set(stream, fd) && path_read(stream, fd))
        return fd;
    int cause = errno;
    if (fd >= 0)
        close(fd);
    errno = cause;
    return -1;
}

enum status stream_socket_open(const char *address, uint16_t port, uint32_t mark,
                               struct stream_socket *stream, struct error *error)
{
    struct stream_socket made = {.mark = mark, .path.port = port};

    if (!collector_parse(address, &made))
        return error_set(error, ERROR_BAD_VALUE, "streamaddress",
                         "streamaddress has the value %s; it takes an IPv4 or IPv6 address", address);
    made.fd = raw_open(&made);
    if (made.fd < 0 && (errno == EPERM || errno == EACCES))
        return error_set(error, ERROR_NO_PRIVILEGE, NULL,
                         "no permission to stream to %s: pktcap-worker lacks the capability CAP_NET_RAW, or "
                         "the address is a broadcast one",
                         address);
    if (made.fd < 0)
        return error_set(error, ERROR_HOST, NULL, "the stream's collector %s cannot be reached: %s", address,
                         errno == EADDRNOTAVAIL ? "this host has no address to send from" : strerror(errno));
    *stream = made;
    return STATUS_OK;
}

void stream_socket_refresh(struct stream_socket *stream)
{
    struct stream_socket now = *stream;
    /* A socket that is connected keeps its source address whatever becomes of it: ask with another one. */
    int probe = socket(stream->collector.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found = probe >= 0;

    if (found && now.mark != 0)
        (void)setsockopt(probe, SOL_SOCKET, SO_MARK, &now.mark, sizeof now.mark);
    found = found && path_read(&now, probe);
    if (probe >= 0)
        close(probe);
    if (!found)
        return;
    stream->mtu = now.mtu;
    if (memcmp(now.path.source, stream->path.source, sizeof now.path.source) == 0)
        return;
    now.fd = raw_open(&now);
    if (now.fd < 0)
        return;
    close(stream->fd);
    *stream = now;
}

void stream_socket_close(struct stream_socket *stream)
{
    close(stream->fd);
}

/* ---- ICMP ---- */

static int icmp_cause(struct msghdr *message)
{
    struct sock_extended_err what;

    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
        bool told = (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_RECVERR) ||
                    (at->cmsg_level == IPPROTO_IPV6 && at->cmsg_type == IPV6_RECVERR);
        if (!told)
            continue;
        memcpy(&what, CMSG_DATA(at), sizeof what);
        if (what.ee_origin == SO_EE_ORIGIN_ICMP || what.ee_origin == SO_EE_ORIGIN_ICMP6)
            return (int)what.ee_errno;
    }
    return 0;
}

bool stream_socket_next_error(const struct stream_socket *stream, struct stream_error *error)
{
    uint16_t udp[STREAM_UDP_SIZE / 2];
    _Alignas(struct cmsghdr) char control[256];

    for (;;) {
        struct iovec part = {udp, sizeof udp};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t got = recvmsg(stream->fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (got < 0)
            return false;
        int cause = icmp_cause(&message);
        if (cause == 0 || got < (ssize_t)sizeof udp)
            continue;
        *error = (struct stream_error){.cause = cause,
                                       .source_port = ntohs(udp[0]),
                                       .destination_port = ntohs(udp[1]),
                                       .length = ntohs(udp[2]),
                                       .checksum = udp[3]};
        return true;
    }
}
