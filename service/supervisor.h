/*
 * The parent process: starts the front end and the worker, starts them again when they end, and ends both
 * when it is told to. It parses nothing and listens nowhere, so it may keep the rights that it was started
 * with.
 */
#ifndef PKTCAPD_SERVICE_SUPERVISOR_H
#define PKTCAPD_SERVICE_SUPERVISOR_H

#include "core/config.h"

/* argv is the command line, which the worker gets too. Returns the exit status. */
int supervise(const struct config *config, char **argv);

#endif
