/*
 * Who waits for what, and until when. Everything of one kind waits equally long, so each kind is a queue: the
 * first in it is the next whose time is over, and has waited longest.
 */
#ifndef PKTCAPD_HTTP_WAITS_H
#define PKTCAPD_HTTP_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

enum wait_kind {
    WAIT_NONE,
    WAIT_HEAD,    /* for a whole head, with the handshake before it */
    WAIT_BODY,    /* for a whole body */
    WAIT_IDLE,    /* for the next request */
    WAIT_LINGER,  /* for the client's end, behind the last answer */
    WAIT_SEND,    /* for the client to take something, and to be looked at meanwhile */
    WAIT_STALLED, /* the same, of one that has taken nothing for long */
    WAIT_PAUSE,   /* for there to be something to send */
    WAIT_KINDS,
};

struct wait {
    enum wait_kind kind;
    int64_t since_ms; /* monotonic */
    TAILQ_ENTRY(wait) entry;
};

struct waits {
    int64_t limit_ms[WAIT_KINDS];
    TAILQ_HEAD(wait_queue, wait) queues[WAIT_KINDS];
};

void waits_init(struct waits *waits);

/* From now on it waits for this, whatever it waited for before; WAIT_NONE for nothing. */
void waits_set(struct waits *waits, struct wait *wait, enum wait_kind kind, int64_t now_ms);

/* Whether it waits for something that the client owes: then it may be closed to make room. */
bool wait_is_clients(const struct wait *wait);

/* One whose time is over; NULL if there is none. */
struct wait *waits_expired(const struct waits *waits, int64_t now_ms);

/* The one that has waited for this longest; NULL if none does. */
struct wait *waits_first(const struct waits *waits, enum wait_kind kind);

/* The one that has waited for its client longest; NULL if none does. */
struct wait *waits_longest(const struct waits *waits);

/* Milliseconds until the next one's time is over, -1 if there is none. */
int64_t waits_next_ms(const struct waits *waits, int64_t now_ms);

#endif
