/* Taking in new connections. */
#ifndef PKTCAPD_HTTP_ACCEPTOR_H
#define PKTCAPD_HTTP_ACCEPTOR_H

#include "http/site.h"

enum { ACCEPT_PAUSE_MS = 100 };

/* Takes in those that wait at the listener and deals them out to the loops. False: the process is out of
 * descriptors or memory, and it is no use to try again at once. */
bool acceptor_run(struct site *site);

#endif
