/* The socket that a server listens on, and addresses as text. */
#ifndef PKTCAPD_HTTP_LISTENER_H
#define PKTCAPD_HTTP_LISTENER_H

#include "http/server.h"

#include <sys/socket.h>

/* Listens on "192.0.2.1:80" or "[2001:db8::1]:80", where port 0 takes a free one; "[::]" takes IPv4 too. Sets
 * address to where it is. *fd does not block. Fails with ERROR_HOST. */
MUST_USE enum status listener_open(const char *listen, int *fd, char address[HTTP_ADDRESS_SIZE],
                                   struct error *error);

/* Writes a client's address as text, as http_request.peer has it. */
void listener_peer(const struct sockaddr_storage *peer, char out[HTTP_PEER_SIZE]);

#endif
