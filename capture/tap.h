/*
 * The tap: one packet socket on one interface, through libpcap, with a large ring that the kernel fills.
 *
 * Filter and direction are decided in the kernel, so what the socket counts is what matched: the tap
 * knows exactly how many packets it still owes, and a capture that stops reads just those.
 */
#ifndef PKTCAPD_CAPTURE_TAP_H
#define PKTCAPD_CAPTURE_TAP_H

#include "capture/point.h"
#include "capture/sink.h"

struct tap;

/* How long the kernel may keep packets in a ring block that is not full: a tap that was frozen has all it
 * will get after this time. Short, as the ends of captures wait for it. */
enum { TAP_RETIRE_MS = 20 };

/* The most that one read takes, so that its caller comes back under any load. */
enum { TAP_PACKETS_A_READ = 16384 };

struct tap_settings {
    const struct point *point;
    const struct packet_capture_request *request; /* filter and direction */
    uint32_t snaplen;
    uint32_t ring_mb;
};

/* Opens the tap; packets count from the moment it returns. On failure *reason says what the end of the run
 * shall be called. */
MUST_USE enum status tap_open(const struct tap_settings *settings, struct tap **tap, enum stop_reason *reason,
                              struct error *error);
void tap_close(struct tap *tap);

/* Readable when packets wait; in error when the interface changed. */
int tap_fd(const struct tap *tap);
int tap_linktype(const struct tap *tap);

/* Called for each packet. false asks for the end of the read; packets of the same ring block may still come.
 */
typedef bool (*tap_handler)(void *context, const struct packet *packet);

/* Reads the packets that wait, never blocks. Returns their number, -1 if the socket reported an error (the
 * interface went down or away: ask point_look()). */
int tap_read(struct tap *tap, tap_handler handler, void *context);

/* No packet is taken in from now on; those in the ring can still be read. */
void tap_freeze(struct tap *tap);

/* What the kernel did for this tap since it opened. */
struct tap_statistics {
    int64_t taken;   /* packets handed to the handler */
    int64_t waiting; /* packets taken in, but not read yet; may be a few too many, never too few */
    int64_t dropped; /* for want of room in the ring */
};
void tap_read_statistics(struct tap *tap, struct tap_statistics *statistics);

#endif
