/*
 * The netlink socket that gets what the packet filter logs to a group (NFLOG,
 * linux/netfilter/nfnetlink_log.h). It stays bound to its group, and in its network namespace, whichever
 * process reads from it.
 */
#ifndef PKTCAPD_BROKER_LOG_SOCKET_H
#define PKTCAPD_BROKER_LOG_SOCKET_H

#include "core/error.h"

#include <stdbool.h>
#include <stdint.h>

/* Opens a socket in this thread's network namespace and binds it to a group that nobody else listens to: one
 * packet a message, at most snaplen bytes of each, buffer_mb MiB of them waiting; what finds no room is
 * counted (SO_MEMINFO). ERROR_NO_PRIVILEGE without CAP_NET_ADMIN, ERROR_HOST if the kernel refuses. */
MUST_USE enum status log_socket_open(uint32_t snaplen, uint32_t buffer_mb, int *fd, uint16_t *group,
                                     struct error *error);

/* Whether log_socket_open() succeeds. */
bool log_socket_usable(void);

#endif
