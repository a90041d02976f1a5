/* Between the HTTP server (http/server.h) and the calls that handlers.h answers. */
#ifndef PKTCAPD_SERVICE_HTTP_H
#define PKTCAPD_SERVICE_HTTP_H

#include "http/server.h"
#include "http/tls.h"
#include "service/operations.h"

/* max_connections, or as many as the limit of open files leaves room for, with downloads. */
int64_t http_max_connections(const struct config *config);

/* Listens and serves, each thread with its own store handle. Fills in service->api_address. service outlives
 * the server; tls is NULL for plain HTTP, else the server takes it over if this succeeds. */
MUST_USE enum status http_open(struct service *service, struct tls *tls, struct http_server **server,
                               struct error *error);

#endif
