/*
 * One capture: a thread that taps an interface and writes what it sees, from its claim to its end.
 *
 * It knows nothing of the store. Whoever owns it gives it orders and reads its reports; notify_fd becomes
 * readable when the phase changes.
 */
#ifndef PKTCAPD_CAPTURE_CAPTURE_H
#define PKTCAPD_CAPTURE_CAPTURE_H

#include "broker/broker.h"
#include "core/session.h"
#include "db/store.h"
#include "host/data_dir.h"

struct capture;
struct purse; /* allowance.h */

struct capture_plan {
    struct session session; /* the run as claimed */
    struct lease lease;
    const struct data_dir *directory; /* outlives the capture, as all that is pointed to does */
    struct broker *broker;
    const char *worker;    /* UUID */
    const char *boot_id;   /* see place.h */
    const char *api_ports; /* the setting */
    uint32_t ring_mb;
    uint64_t reserve_bytes; /* kept free on the disk, before the eighth rule */
    int notify_fd;          /* an eventfd of the owner's */
    struct run_file *files; /* of a ring that is resumed, as the store knows it; freed by the capture */
    size_t file_count;
    struct purse
        *purse;   /* of what the owner's captures take together: the run's files count there; or NULL */
    int64_t most; /* that they may take; INT64_MAX: no limit */
};

enum capture_phase { CAPTURE_OPENING, CAPTURE_RUNNING, CAPTURE_ENDED };

enum capture_order {
    ORDER_NONE,
    ORDER_TERMINATE, /* end the run */
    ORDER_QUOTA,     /* end the run: its owner's files take all that they may */
    ORDER_SUSPEND,   /* close the file; another worker goes on */
    ORDER_ABANDON,   /* another worker has it already */
};

struct capture_report {
    enum capture_phase phase;
    bool suspended; /* ended by ORDER_SUSPEND or ORDER_ABANDON: run.state still says STARTED or CREATED */
    bool held_back; /* suspended because it could not be opened now: to be tried again later */
    struct run run; /* with the counters of what is on disk */
    int64_t reported_ms; /* up to when the counters speak */
};

/* Starts the thread. plan is copied; its files stay the caller's where this fails. */
MUST_USE enum status capture_start(const struct capture_plan *plan, struct capture **capture,
                                   struct error *error);

/* The first order counts. */
void capture_give_order(struct capture *capture, enum capture_order order);

/* The run has another owner; then, also else at any time, what the owner's captures may take together. */
void capture_move(struct capture *capture, struct purse *purse);
void capture_set_most(struct capture *capture, int64_t most);

/* What its files take, as it knows ahead of the reports. */
int64_t capture_bytes(const struct capture *capture);

void capture_read_report(struct capture *capture, struct capture_report *report);

/* The files of a ring, oldest first, and what the counters say of them at that moment: the caller frees. NULL
 * if there is no ring, or nothing is known of it yet. */
struct run_file *capture_read_files(struct capture *capture, size_t *count, struct counters *counters);

/* Waits for the thread (call it when the phase is CAPTURE_ENDED) and frees everything. */
void capture_free(struct capture *capture);

#endif
