/*
 * One thread that waits for many connections (epoll, edge-triggered: each connection remembers what it may
 * still do). The first loop takes new connections in and deals them out.
 */
#ifndef PKTCAPD_HTTP_LOOP_H
#define PKTCAPD_HTTP_LOOP_H

#include "http/connection.h"
#include "http/site.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

enum { LINGER_MS = 2000, LOOK_MS = 1000, STALLED_MS = 5000 };

struct loop {
    struct site *site;
    pthread_t thread;
    bool running;
    int epoll_fd, wake_fd;
    int64_t now_ms; /* monotonic, of this turn */
    struct waits waits;
    LIST_HEAD(connection_list, connection) all;
    LIST_HEAD(closed_list, connection)
    closed; /* to be freed at the end of the turn: there may be events for them */
    TAILQ_HEAD(ready_queue, connection) ready;

    bool accepts;               /* new connections are its business */
    int64_t accept_again_at_ms; /* 0: it takes them now; else the process was out of descriptors */
    int64_t stop_at_ms;         /* 0: no stop yet */

    atomic_int count;   /* its connections, with those on their way to it */
    atomic_int waiting; /* of them, those that wait for their client */
    atomic_int stalled; /* those whose client has read nothing of its answer for STALLED_MS */
    int64_t stalled_ms; /* STALLED_MS, or send_timeout_ms if that is less */
    int share;          /* how many it may have */

    pthread_mutex_t mail_mutex;
    STAILQ_HEAD(mail_queue, connection) mail;
};

/* *loop is to be freed even after failures, unless it is NULL. */
MUST_USE enum status loop_open(struct site *site, bool accepts, struct loop **loop, struct error *error);
MUST_USE enum status loop_start(struct loop *loop, struct error *error);

/* Hands a connection to the loop, from any thread: a new one, or one that has been handled. */
void loop_deliver(struct loop *loop, struct connection *connection);

/* Makes it look at site->stopping. */
void loop_wake(struct loop *loop);

/* Ends with the thread. */
void loop_join(struct loop *loop);

/* Frees all connections too: no handler thread is left. */
void loop_free(struct loop *loop);

/* For connections, on the loop's thread. */
void loop_make_ready(struct loop *loop, struct connection *connection);
void loop_wait_for(struct loop *loop, struct connection *connection, enum wait_kind kind);
bool loop_watch(struct loop *loop, struct connection *connection);
void loop_forget(struct loop *loop, struct connection *connection);

/* Closes the connection that has waited for its client longest, or else one whose client has read nothing of
 * its answer for STALLED_MS; false if there is none. */
bool loop_make_room(struct loop *loop);

#endif
