/*
 * The client's end of a connection, which proxies hide: X-Forwarded-For, -Proto, -Host and -Prefix, and
 * Forwarded (RFC 7239), from trusted addresses only.
 */
#ifndef PKTCAPD_AUTH_CLIENT_H
#define PKTCAPD_AUTH_CLIENT_H

#include "auth/caller.h"
#include "core/config.h"
#include "http/request.h"

/* Where a list of hops leads to: the last of them that is no trusted proxy is the client. */
void client_find(const struct config *config, const struct http_request *request, struct client *client);

/* Whether a web page of this origin (RFC 6454, the header Origin) is one of ours: same scheme, host and port.
 */
bool client_is_origin(const struct client *client, const char *origin);

#endif
