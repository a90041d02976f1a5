/*
 * The service's own traffic: its API, with the downloads, and its streams. Captures leave it out unless
 * captureself asks for it; the stream that a session sends is never captured into it.
 *
 * Streams are told by a mark on their packets (SO_MARK), which the kernel keeps on fragments and through
 * tunnels of this host but takes off where a packet goes to another network namespace; there, addresses tell.
 */
#ifndef PKTCAPD_CAPTURE_OWN_TRAFFIC_H
#define PKTCAPD_CAPTURE_OWN_TRAFFIC_H

#include "core/error.h"
#include "core/session.h"

#include <stdint.h>

struct broker;
struct filter_exclusions;
struct point;

/* What all marks of streams have in common. The other half tells runs apart, and has none of the high bits
 * that other software on a host likes to test one by one. */
enum { STREAM_MARK = 0x706b0000, STREAM_MARK_MASK = 0x7fff0000, STREAM_MARK_RUNS = 0xfff };

/* The mark of the stream that this run sends; run_key is the store's. */
uint32_t own_traffic_mark(int64_t run_key);

struct own_traffic_settings {
    const char *api_address;   /* ADDR:PORT that the API listens on */
    const char *api_ports;     /* the setting: ports of this host at which a proxy offers the API */
    int64_t run_key;           /* the store's, for the mark of the run's own stream */
    const struct point *point; /* what is captured on */
};

/* What a capture of this request leaves out. The addresses of this host are read through broker (may be
 * NULL). */
MUST_USE enum status own_traffic_find(const struct packet_capture_request *request,
                                      const struct own_traffic_settings *settings, struct broker *broker,
                                      struct filter_exclusions *exclusions, struct error *error);

#endif
