/*
 * The tap: where the packets of one capture come from. What kind of tap it is, is its own business:
 * packet_tap.h looks at an interface through a packet socket, nflog_tap.h into the host's packet filter.
 *
 * Filter and direction are decided before a packet is counted, so the tap knows how many packets it still
 * owes, and a capture that stops reads just those.
 */
#ifndef PKTCAPD_CAPTURE_TAP_H
#define PKTCAPD_CAPTURE_TAP_H

#include "capture/filter.h"
#include "capture/point.h"
#include "capture/sink.h"

/* How long the kernel may keep packets in a ring block that is not full: a tap that was frozen has all it
 * will get after this time. Short, as the ends of captures wait for it. */
enum { TAP_RETIRE_MS = 20 };

/* The most that one read takes, so that its caller comes back under any load. */
enum { TAP_PACKETS_A_READ = 16384 };

struct tap_settings {
    struct broker *broker; /* makes the socket where the worker itself cannot */
    const struct point *point;
    const struct packet_capture_request *request; /* filter and direction */
    const char *session, *worker;                 /* UUIDs: what DVFILTER's rules are named after */
    const struct filter_exclusions *exclusions;   /* the service's own traffic */
    uint32_t snaplen;
    uint32_t ring_mb;
};

/* Called for each packet, whose data are good until it returns. false asks for the end of the read. */
typedef bool (*tap_handler)(void *context, const struct packet *packet);

/* What the kernel did for this tap since it opened. */
struct tap_statistics {
    int64_t taken;   /* packets handed to the handler */
    int64_t waiting; /* packets taken in, but not read yet; may be a few too many, never too few */
    int64_t dropped; /* for want of room in the ring */
};

struct tap;

struct tap_ops {
    int (*read)(struct tap *tap, tap_handler handler, void *context);
    void (*freeze)(struct tap *tap);
    void (*read_statistics)(struct tap *tap, struct tap_statistics *statistics);
    void (*close)(struct tap *tap);
};

/* The beginning of every tap's own structure. */
struct tap {
    const struct tap_ops *ops;
    int fd;       /* readable when packets wait; in error when the interface changed */
    int linktype; /* libpcap's DLT_ value */
    bool prompt;  /* to be read at once: packets may get the time of being read */
};

/* Opens the tap that the request's cappoint asks for; packets count from the moment it returns. On failure
 * *reason says what the end of the run shall be called. */
MUST_USE enum status tap_open(const struct tap_settings *settings, struct tap **tap, enum stop_reason *reason,
                              struct error *error);
void tap_close(struct tap *tap);

/* Reads the packets that wait, never blocks. Returns their number, -1 if the socket reported an error (the
 * interface went down or away: ask point_look()). */
int tap_read(struct tap *tap, tap_handler handler, void *context);

/* No packet is taken in from now on; those in the ring can still be read. */
void tap_freeze(struct tap *tap);

void tap_read_statistics(struct tap *tap, struct tap_statistics *statistics);

#endif
