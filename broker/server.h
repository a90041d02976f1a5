/* The broker's own process: answers requests until the worker is gone. Private to broker/. */
#ifndef PKTCAPD_BROKER_SERVER_H
#define PKTCAPD_BROKER_SERVER_H

#include "broker/namespaces.h"

/* worker is the socket pair's end. Returns when its other end has closed; what is in the host's packet filter
 * has been taken away then. */
void server_run(int worker, struct namespaces *namespaces, bool firewall);

#endif
