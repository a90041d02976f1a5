/*
 * The tap on an interface: one packet socket with a large ring that the kernel fills (packet_ring.h).
 *
 * By hand and not through libpcap, which compiles the filters: libpcap tells of no packet whether it was
 * received or sent, cannot take a socket that was made in another network namespace, and lets packets in
 * before the filter is set. Here the socket is bound last, so nothing has to be sorted out afterwards.
 */
#ifndef PKTCAPD_CAPTURE_PACKET_TAP_H
#define PKTCAPD_CAPTURE_PACKET_TAP_H

#include "capture/tap.h"

/* As tap_open(). */
MUST_USE enum status packet_tap_open(const struct tap_settings *settings, struct tap **tap,
                                     enum stop_reason *reason, struct error *error);

#endif
