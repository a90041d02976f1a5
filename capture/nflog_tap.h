/*
 * The tap on the host's packet filter: a netlink socket that gets what the session's rules log (NFLOG), one
 * packet a message. Packets begin with their IP header.
 *
 * The kernel does not filter what it logs: that is done here, with the same BPF program that a packet socket
 * would have. So what did not fit into the socket's memory (dropped) may have been packets that the filter
 * would have left out.
 *
 * The kernel tells the time, in microseconds, of packets that it logs on their way in or when it forwards
 * them. Those that it logs on their way out get the time of being read, which is why this tap is to be read
 * at once.
 */
#ifndef PKTCAPD_CAPTURE_NFLOG_TAP_H
#define PKTCAPD_CAPTURE_NFLOG_TAP_H

#include "capture/tap.h"

/* As tap_open(), for DVFILTER: through the worker's broker. */
MUST_USE enum status nflog_tap_open(const struct tap_settings *settings, struct tap **tap,
                                    enum stop_reason *reason, struct error *error);

/* ---- its halves ---- */

/* How many bytes of each packet the kernel has to log: more than snaplen if the filter reads more. */
uint32_t nflog_tap_range(const struct packet_capture_request *request, uint32_t snaplen);

/* Takes the session's rules out of the packet filter; nothing is logged when it returns. */
struct nflog_hook {
    void (*unhook)(void *context, const char *session);
    void *context;
    char session[37];
};

/* Reads from a socket that is bound to its log group already. It belongs to the tap from now on, as the rules
 * do, also on failure. */
MUST_USE enum status nflog_tap_open_on(int fd, const struct nflog_hook *hook,
                                       const struct tap_settings *settings, struct tap **tap,
                                       struct error *error);

#endif
