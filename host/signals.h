/* Signals as something to wait for: the programs poll for their stop, nothing runs in a handler. */
#ifndef PKTCAPD_HOST_SIGNALS_H
#define PKTCAPD_HOST_SIGNALS_H

#include <stdbool.h>

/* Blocks SIGTERM and SIGINT (and SIGCHLD and SIGHUP, where these are the parent's business) and nothing else,
 * before any thread starts, so that all inherit it; ignores SIGPIPE, as whoever reads the log may end before
 * us. Returns a signalfd that gets them. */
int signals_open(bool is_parent);

#endif
