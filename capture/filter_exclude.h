/*
 * Code that leaves out the service's own traffic.
 *
 * A packet that is cut short anywhere is nobody's own: whoever looks for broken packets must see it.
 */
#ifndef PKTCAPD_CAPTURE_FILTER_EXCLUDE_H
#define PKTCAPD_CAPTURE_FILTER_EXCLUDE_H

#include "capture/bpf_code.h"
#include "capture/filter.h"
#include "capture/filter_link.h"

/* Packets with the mark, which only the kernel can see: rejected. */
void filter_exclude_write_mark(struct bpf_code *code, uint32_t mark, uint32_t mask);

/* Whether there is anything to exclude besides the mark. */
bool filter_exclude_has_endpoints(const struct filter_exclusions *exclusions);

/* Packets of the endpoints: rejected. */
void filter_exclude_write_endpoints(struct bpf_code *code, const struct filter_link *link,
                                    const struct filter_exclusions *exclusions);

/* What the filter of a request leaves free for these: instructions for 64 IPv4 addresses with one port, and a
 * stream. */
enum { FILTER_EXCLUDE_ROOM = 512 };

/* Source ports of streams (RFC 8086, section 3.1). */
enum { STREAM_SOURCE_PORT_MIN = 49152 };

#endif
