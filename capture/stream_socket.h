/*
 * The stream's way out: a raw UDP socket connected to the collector. Raw, as each packet has a source port of
 * its own and all of them shall leave in order, many with one system call.
 *
 * It lets IP fragment what is larger than the path takes, and gets the ICMP errors about the collector's
 * address; those of other programs' packets among them are the caller's to tell apart.
 */
#ifndef PKTCAPD_CAPTURE_STREAM_SOCKET_H
#define PKTCAPD_CAPTURE_STREAM_SOCKET_H

#include "capture/stream_packet.h"
#include "core/error.h"

#include <sys/socket.h>

struct stream_socket {
    int fd;
    struct sockaddr_storage collector;
    socklen_t collector_size;
    uint32_t mark; /* SO_MARK; 0: none */
    struct stream_path path;
    int mtu;       /* of the path, as far as it is known */
    int ip_header; /* bytes */
    int udp_most;  /* the largest UDP length that an IP packet holds */
};

/* An ICMP error: what it says, and the UDP header of the packet that it is about. */
struct stream_error {
    int cause; /* an errno value; EMSGSIZE: the path takes less than was known */
    uint16_t source_port, destination_port, length, checksum;
};

/* address is a literal. Fails with ERROR_BAD_VALUE if it is none, ERROR_NO_PRIVILEGE without CAP_NET_RAW and
 * ERROR_HOST where no route leads there. */
MUST_USE enum status stream_socket_open(const char *address, uint16_t port, uint32_t mark,
                                        struct stream_socket *socket, struct error *error);

/* Asks the kernel again: the path may take more or less by now, or start from another address of this host,
 * and then the socket is made anew. If no route is left, nothing changes. */
void stream_socket_refresh(struct stream_socket *socket);

/* Takes the next ICMP error. */
bool stream_socket_next_error(const struct stream_socket *socket, struct stream_error *error);

void stream_socket_close(struct stream_socket *socket);

#endif
