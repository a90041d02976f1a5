/*
 * The store: sessions and their runs, the only thing that the front end and the workers share.
 *
 * The front end inserts, reads, asks for stops, restarts and deletes; a worker claims a run, says that it
 * started, reports how it goes and finishes it. A claim is a lease: it ends when its time is over or when
 * it is given up, and whoever claims next gets a higher claim number, so that the earlier holder's words
 * no longer count. Every change is durable when the call returns, but for claims and progress reports: after
 * a power cut a claim is made again, and the capture file knows better than any report.
 *
 * Leases run on this machine's monotonic clock, which no administrator sets; all other times are the epoch's.
 *
 * A handle belongs to one thread. Every backend passes the suite in tests/contract/.
 */
#ifndef PKTCAPD_DB_STORE_H
#define PKTCAPD_DB_STORE_H

#include "core/error.h"
#include "core/quota.h"
#include "core/session.h"
#include "core/uuid.h"

struct store;

/* Opens the database file, makes it if it is not there, and brings its schema up to date. Fails with
 * ERROR_STORE_FAILED if the file is no store of ours or was made by a newer version. */
MUST_USE enum status store_open(const char *path, struct store **store, struct error *error);
void store_close(struct store *store);

/* ---- the front end ---- */

/* Adds a session with its first run, state CREATED. generation is of the owner, as user.generation said when
 * they came in: ERROR_BAD_CREDENTIALS if it is another by now, or the user is gone; 0: whoever it is. quota
 * may be NULL; it is held exactly, whoever else inserts: ERROR_QUOTA_SESSIONS, ERROR_QUOTA_STORED and
 * ERROR_QUOTA_HOURLY say the limit and how much is used. */
MUST_USE enum status store_insert_session(struct store *store, const struct session *session,
                                          int64_t generation, const struct quota *quota, struct error *error);

/* The session with its newest run, or with the run of this number (0: the newest). ERROR_NO_SUCH_SESSION. */
MUST_USE enum status store_get_session(struct store *store, const char *id, int32_t run,
                                       struct session *session, struct error *error);

/* Where a page of the list starts, and how it is ordered. */
struct list_query {
    const char *sort_by; /* one of store_sort_names; NULL: order of acceptance */
    bool descending;
    bool ended_only;   /* only sessions that have ended */
    const char *owner; /* only this owner's; NULL: anybody's */
    const char
        *reader; /* only what this user owns, or what is shared with the user or one of these groups (a */
    const char *groups;     /* name a line); NULL: everything */
    int32_t page_size;      /* at most this many */
    bool has_after;         /* the page starts after this place: */
    char after_value[1100]; /* the last row's sort value, as text */
    int64_t after_key;      /* and its key, which breaks ties */
    /* Called behind visit for each file of a session that is a ring, oldest first; may be NULL. */
    void (*visit_file)(void *context, const struct run_file *file);
};

struct list_page {
    int64_t total; /* sessions on all pages */
    bool has_more; /* and then the place where the next page starts: */
    char last_value[1100];
    int64_t last_key;
};

extern const struct names store_sort_names;

/* Calls visit for each session of one page; *page is filled afterwards. visit must not use the store. */
MUST_USE enum status store_list_sessions(struct store *store, const struct list_query *query,
                                         void (*visit)(void *context, const struct session *session),
                                         void *context, struct list_page *page, struct error *error);

/* Calls visit for each file that the ring of a run has (0: the newest run), oldest first; none if it has no
 * ring. session, unless NULL, is what store_get_session() reads, of the same moment. visit must not use the
 * store. */
MUST_USE enum status store_list_run_files(struct store *store, const char *id, int32_t run,
                                          struct session *session,
                                          void (*visit)(void *context, const struct run_file *file),
                                          void *context, struct error *error);

/* Here and below, owner says whose the session must be still: what was allowed to an owner is not done to a
 * session that was handed over meanwhile. ERROR_NO_SUCH_SESSION; NULL: anybody's. */

/* Asks for the end of the newest run: one that no worker has claimed becomes STOPPED at once, another gets
 * the stop flag; one that has ended stays as it is. */
MUST_USE enum status store_request_stop(struct store *store, const char *id, const char *owner,
                                        const char *user, int64_t now_ms, struct error *error);

/* What a restart renews. */
struct restart {
    const char *owner;         /* as above */
    const char *user;          /* who asks */
    const char *point;         /* as session.point */
    int64_t quota_bytes;       /* as session.quota_bytes */
    struct limits limits;      /* as session.limits */
    const struct quota *quota; /* as of store_insert_session(); NULL: none */
    int64_t now_ms;
};

/* Adds a run in state CREATED to a session that has ended. ERROR_SESSION_RUNNING if it has not;
 * ERROR_QUOTA_... */
MUST_USE enum status store_restart_session(struct store *store, const char *id, const struct restart *restart,
                                           struct error *error);

/* Deletes a session that has ended and its runs. ERROR_SESSION_RUNNING if it has not ended. */
MUST_USE enum status store_delete_session(struct store *store, const char *id, const char *owner,
                                          struct error *error);

/* ---- the worker ---- */

/* A run that this worker holds. */
struct lease {
    int64_t key; /* of the run */
    int64_t claim;
    bool resumed;        /* it was STARTED, and its worker is gone */
    bool overdue;        /* the earlier holder lives, but let its lease run out */
    bool stop_requested; /* already asked to end when claimed */
    int64_t reported_ms; /* up to when the earlier holder's counters speak */
    int64_t owner_bytes; /* of all files of the owner, this run's included */
};

/* Claims one run of this node: first what a lost worker left STARTED, then the oldest CREATED one. Claimed
 * exactly once, whatever the number of workers, and never one that this worker holds. *found says whether
 * there was one. now_ms is of the clock of leases. */
MUST_USE enum status store_claim_run(struct store *store, const char *node_id, const char *worker,
                                     int64_t now_ms, int64_t lease_ms, bool *found, struct lease *lease,
                                     struct session *session, struct error *error);

/* What a worker says of a run. *lost is set when the lease is no longer its own: it must let go. */
struct run_report {
    struct lease lease;
    struct run run;
    struct run_file *files; /* of a ring: all that are there, oldest first; NULL: nothing is said of them */
    size_t file_count;
    int64_t reported_ms;
    int64_t not_before_ms; /* of a release: no claim earlier than this, at most a minute ahead; 0: at once */
    bool lost;
    bool stop_requested; /* out: someone asked for the end */
    bool over_quota;     /* out: the owner's files take more than they may */
    /* out: whose the run is now, what that owner's files may take (0: no limit), and what they take as the
       store knows, this run's included */
    char owner[sizeof((struct session *)0)->owner];
    int64_t quota_bytes, owner_bytes;
};

/* The capture runs: CREATED becomes STARTED with run.started_ms, run.file and files. */
MUST_USE enum status store_start_run(struct store *store, struct run_report *report, struct error *error);

/* Writes counters, files and errormsg of many runs and renews their leases, in one transaction. */
MUST_USE enum status store_report_progress(struct store *store, struct run_report *reports, size_t count,
                                           int64_t lease_until_ms, struct error *error);

/* Reads the flags and the owners of many runs; writes nothing. */
MUST_USE enum status store_check_stops(struct store *store, struct run_report *reports, size_t count,
                                       struct error *error);

/* The run has ended: state, stop_reason, errormsg, ended_ms and counters of report.run. */
MUST_USE enum status store_finish_run(struct store *store, struct run_report *report, struct error *error);

/* Gives a run back unfinished, for the next worker: its lease ends now, its counters are kept. */
MUST_USE enum status store_release_run(struct store *store, struct run_report *report, struct error *error);

/* Ends the leases of every worker of this node that is no longer alive, as lives() says. */
MUST_USE enum status store_end_lost_leases(struct store *store, const char *node_id,
                                           bool (*lives)(void *context, const char *worker), void *context,
                                           struct error *error);

/* Whether the store knows a session of this id: what has files but no row is litter. */
MUST_USE enum status store_has_session(struct store *store, const char *id, bool *has, struct error *error);

#endif
