/*
 * What pktcapd does: the whole product in nine operations, without HTTP or JSON.
 *
 * A packet capture session is a request ("capture here, with this filter, until that limit") and what becomes
 * of it. Creating one writes a row and returns at once; a worker captures; reading the row shows how it
 * goes. Every operation takes a context (who asks, and through which store), typed arguments and a list
 * of errors; on STATUS_OK the out parameters are set, else errors holds at least one error.
 */
#ifndef PKTCAPD_SERVICE_OPERATIONS_H
#define PKTCAPD_SERVICE_OPERATIONS_H

#include "auth/caller.h"
#include "capture/point.h"
#include "core/config.h"
#include "core/error.h"
#include "core/session.h"
#include "core/uuid.h"
#include "db/store.h"
#include "host/data_dir.h"

#include <stdatomic.h>

struct audit;
struct guard;

/* What all requests share; constant while the service runs. */
struct service {
    const struct config *config;
    struct guard *guard; /* of passwords */
    struct audit *audit;
    atomic_int *waiting; /* requests that wait for a capture to end; NULL: nobody counts */
    const struct data_dir *directory;
    char node_id[UUID_SIZE];
    char node_name[128];
    char
        api_address[64]; /* ADDR:PORT that it listens on: sessions remember it as the service's own traffic */
};

struct context {
    const struct service *service;
    struct store *store; /* of this thread */
    const struct caller *who;
    const struct client *client;
};

/* The same for authentication and the audit. */
struct visit visit_of(const struct context *context);

typedef void (*session_visitor)(void *visitor_context, const struct session *session);
typedef void (*file_visitor)(void *visitor_context, const struct run_file *file);

/* Checks the request completely, then stores a session in state CREATED and wakes the workers. errors may
 * hold what decoding found already: checking goes on, so that the client learns all at once, and fails. */
MUST_USE enum status op_create_session(const struct context *context,
                                       const struct packet_capture_request *request, struct session *session,
                                       struct errors *errors);

MUST_USE enum status op_get_session(const struct context *context, const char *id, struct session *session,
                                    struct errors *errors);

/* A new run of a session that has ended. */
MUST_USE enum status op_restart_session(const struct context *context, const char *id,
                                        struct session *session, struct errors *errors);

/* Ends the run; returns when it has ended, or after 5 s with the state as it is. Harmless on an ended
 * session. */
MUST_USE enum status op_terminate_session(const struct context *context, const char *id,
                                          struct session *session, struct errors *errors);

/* Removes a session that has ended, with its files; session is what was removed. */
MUST_USE enum status op_delete_session(const struct context *context, const char *id, struct session *session,
                                       struct errors *errors);

struct list_request {
    int32_t page_size;   /* 1 to 1000 */
    const char *sort_by; /* one of store_sort_names, or NULL */
    bool descending;
    const char *cursor;      /* of the page before, or NULL */
    file_visitor visit_file; /* called behind visit for each file of a ring, oldest first; or NULL */
};

struct list_response {
    int64_t total;
    char cursor[2300]; /* empty on the last page */
};

MUST_USE enum status op_list_sessions(const struct context *context, const struct list_request *request,
                                      session_visitor visit, void *visitor_context,
                                      struct list_response *response, struct errors *errors);

/* Removes every session that has ended; visit sees each. */
MUST_USE enum status op_delete_sessions(const struct context *context, session_visitor visit,
                                        void *visitor_context, struct errors *errors);

/* Calls visit for each file of a session that is a ring (capfilecount), oldest first; session is read again,
 * so that it is of the same moment. Other sessions stay as they are, and so does one that is gone. */
MUST_USE enum status op_list_files(const struct context *context, struct session *session, file_visitor visit,
                                   void *visitor_context, struct errors *errors);

/* Which file: run 0 is the newest run, number 0 all files of a ring as one valid capture. */
struct file_choice {
    int32_t run, number;
};

/* The bytes of a download, which lie in one file or in several: `size` bytes behind the first `skip`. */
struct file_piece {
    int fd; /* -1: somebody has taken it over */
    int64_t skip, size;
};

/* A capture file as far as it is written: whole packets only. */
struct capture_file {
    int64_t size;
    bool whole_only; /* a ring has let go of its first file: byte N is another one at each turn */
    char name[160];  /* for the user's disk */
    size_t count;
    struct file_piece *pieces;
};

MUST_USE enum status op_open_capture_file(const struct context *context, const char *id,
                                          struct file_choice choice, struct capture_file *file,
                                          struct errors *errors);
void op_close_capture_file(struct capture_file *file);

struct points_request {
    enum cappoint cappoint; /* 0: all */
    const char *netns;      /* "": the worker's own network namespace, NULL: all */
};

/* What there is to capture on, read from the kernel now. *known says whether a worker is alive, that has told
 * its abilities; without one only the own namespace can be seen. */
MUST_USE enum status op_list_points(const struct context *context, const struct points_request *request,
                                    const struct point_visitor *visitor, bool *known,
                                    struct broker_abilities *abilities, struct errors *errors);

#endif
