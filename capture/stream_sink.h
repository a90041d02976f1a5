/*
 * The stream: a sink that sends each packet to a collector, as GRE-in-UDP (RFC 8086), and keeps no file.
 *
 * Packets leave in the order in which they were captured. Larger ones than the path takes leave in IP
 * fragments; ones larger than IP takes, and those that a slow or broken network does not take in a moment,
 * are counted as unsent, as are those of which ICMP tells that they did not arrive: a live stream that falls
 * far behind is worth less than one with a hole that is told. streamed + unsent is what was given to it.
 */
#ifndef PKTCAPD_CAPTURE_STREAM_SINK_H
#define PKTCAPD_CAPTURE_STREAM_SINK_H

#include "capture/sink.h"

struct stream_settings {
    const char *address; /* a literal */
    uint16_t port;       /* 0: STREAM_PORT */
    uint32_t mark;       /* 0: none */
    int linktype;        /* DLT_ value of the packets */
};

/* Fails with ERROR_WRONG_POINT if packets of this linktype cannot be streamed, ERROR_BAD_VALUE if the address
 * is none, ERROR_NO_PRIVILEGE without CAP_NET_RAW and ERROR_HOST if no route leads to the collector. */
MUST_USE enum status stream_sink_open(const struct stream_settings *settings, struct sink *sink,
                                      struct error *error);

#endif
