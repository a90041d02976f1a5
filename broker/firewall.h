/*
 * DVFILTER's half of the broker: a table of nftables rules for each session, in the `inet` family, whose
 * chains only log to a group of their own (NFLOG) and accept. The host's rules are never touched, and no
 * verdict of theirs changes. Private to broker/.
 *
 *   PRE   received: prerouting, before every other chain; sent: output and forward, before every other chain
 *   POST  received: input, behind every other chain, and postrouting of what is forwarded;
 *         sent: postrouting, behind every other chain
 */
#ifndef PKTCAPD_BROKER_FIREWALL_H
#define PKTCAPD_BROKER_FIREWALL_H

#include "broker/broker.h"

struct firewall;

/* Makes table and log socket in the network namespace that this thread is in now. *fd is the caller's.
 * ERROR_NO_PRIVILEGE without CAP_NET_ADMIN, ERROR_HOST if the kernel refuses. */
MUST_USE enum status firewall_open(const struct firewall_spec *spec, struct firewall **firewall, int *fd,
                                   struct error *error);

/* Removes the table from the namespace in which it was made. */
void firewall_close(struct firewall *firewall);

/* Removes from the namespace of this thread the tables of ours whose worker is not alive, as a crash of a
 * broker left them. */
void firewall_sweep(bool (*lives)(void *context, const char *worker), void *context);

/* Whether this process may, and this kernel can. */
bool firewall_usable(void);

#endif
