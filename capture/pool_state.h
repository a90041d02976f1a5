/* The pool from within. Private to pool.c (claims, orders, reports) and pool_quota.c (whose files take how
 * much). */
#ifndef PKTCAPD_CAPTURE_POOL_STATE_H
#define PKTCAPD_CAPTURE_POOL_STATE_H

#include "capture/allowance.h"
#include "capture/capture.h"
#include "capture/pool.h"

/* Somebody whose captures this worker runs, or ran: they share a quota. */
struct owner {
    struct owner *next;
    char name[sizeof((struct session *)0)->owner];
    struct purse purse;
    int64_t ended; /* of purse.used: by captures that have ended while others went on */
    int64_t held;  /* what the store has of the captures that run */
};

/* A capture and what the store knows of it. */
struct slot {
    struct capture *capture; /* NULL: free */
    struct lease lease;
    char id[UUID_SIZE];
    bool keeps_files;       /* it is no stream: a quota of bytes concerns it */
    bool started;           /* the store has it as STARTED */
    int64_t reported_at_ms; /* monotonic, of the last report to the store */
    struct run reported;    /* and what it said */
    struct capture_report now;
    struct owner *owner; /* NULL: nobody, or it is a stream */
    int64_t held;        /* its part of owner->held */
    int64_t most;        /* what the capture was told that all of the owner's may take; INT64_MAX: no limit */
};

struct pool {
    struct pool_settings settings;
    int notify_fd;
    size_t slot_count, running;
    struct slot *slots;
    struct run_report *reports;         /* room for one of each slot */
    size_t *reporting;                  /* slot of each report */
    struct owner *owners;               /* they stay: one for each that there ever was */
    int64_t look_at_ms, progress_at_ms; /* monotonic */
    bool store_failing;                 /* said so once */
};

/* Before a capture begins: it counts with its owner's, and the plan says how much they may take. */
void quota_begin(struct pool *pool, struct slot *slot, struct capture_plan *plan);

/* It did not begin. */
void quota_undo(struct pool *pool, struct slot *slot);

/* The store has it from now on that the run's files take so much. */
void quota_stored(struct slot *slot, int64_t bytes);

/* The store has the end of the run, and the capture is about to be freed. */
void quota_end(struct pool *pool, struct slot *slot);

/* Tells captures what the store said of their owners: the first reports of the pool, not lost. True if some
 * run is another owner's now: then it is to be asked about all others soon. */
bool quota_carry(struct pool *pool, size_t count);

void quota_free(struct pool *pool);

#endif
