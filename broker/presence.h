/*
 * Presence: an abstract unix socket in a network namespace, named after a worker, that says there whose table
 * is whose. The kernel drops it with its process, and namespaces know it as well as they know tables, so
 * workers of other data directories and other containers see each other. Private to broker/.
 */
#ifndef PKTCAPD_BROKER_PRESENCE_H
#define PKTCAPD_BROKER_PRESENCE_H

#include <stdbool.h>

/* Shows a worker's session in this thread's network namespace, until the descriptor is closed; -1 if that
 * cannot be done. */
int presence_show(const char *worker, const char *session);

/* Whether this worker shows any session in this thread's network namespace. Where that cannot be told it
 * does. context is not used: this fits firewall_sweep(). */
bool presence_seen(void *context, const char *worker);

#endif
