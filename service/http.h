/*
 * The HTTP server: sockets, headers and bodies, on civetweb.
 */
#ifndef PKTCAPD_SERVICE_HTTP_H
#define PKTCAPD_SERVICE_HTTP_H

#include "service/operations.h"

struct http_server;

/* Listens and serves with threads of its own, each with its own store handle. service outlives the server. */
MUST_USE enum status http_open(const struct service *service, struct http_server **server,
                               struct error *error);

/* The address that it listens on, "127.0.0.1:8080"; with port 0 asked for, the port it got. */
const char *http_address(const struct http_server *server);

/* Finishes the requests under way. */
void http_close(struct http_server *server);

#endif
