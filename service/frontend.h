/* The front end: the process that speaks HTTP, with no privilege. */
#ifndef PKTCAPD_SERVICE_FRONTEND_H
#define PKTCAPD_SERVICE_FRONTEND_H

#include "core/config.h"

/* Of the first administrator, for the first start. Empty or absent: one is made up, and printed. */
#define ADMIN_PASSWORD_VARIABLE "PKTCAPD_ADMIN_PASSWORD"

/* Runs until SIGTERM, SIGINT or the end of standard input (the parent's end). tls_channel is where
 * certificates come from (tls_files.h), -1 for plain HTTP. Returns the exit status: 0, or EX_CONFIG where
 * starting again would not help. */
int frontend_run(const struct config *config, int tls_channel);

#endif
