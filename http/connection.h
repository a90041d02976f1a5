/*
 * One connection: reads requests, has them answered, and sends the answers, one at a time, so that pipelined
 * ones keep their order.
 *
 *   HANDSHAKE ─> IDLE ─> HEAD ─> BODY ─> HANDLING ─> SENDING ─> IDLE, or LINGERING ─> closed
 *
 * It belongs to the thread of its loop, but for HANDLING, when it is a handler thread's: the loop then only
 * notes that something happened at its socket.
 */
#ifndef PKTCAPD_HTTP_CONNECTION_H
#define PKTCAPD_HTTP_CONNECTION_H

#include "http/addresses.h"
#include "http/chunked.h"
#include "http/head.h"
#include "http/output.h"
#include "http/transport.h"
#include "http/waits.h"

#include <sys/queue.h>

struct loop;

enum connection_state {
    CONNECTION_NEW, /* on its way to its loop */
    CONNECTION_HANDSHAKE,
    CONNECTION_IDLE,
    CONNECTION_HEAD,
    CONNECTION_BODY,
    CONNECTION_HANDLING,
    CONNECTION_SENDING,
    CONNECTION_PAUSED, /* the body is being made, but there is nothing of it for now */
    CONNECTION_LINGERING,
    CONNECTION_CLOSED,
};

/* A request and its answer. */
struct exchange {
    struct head head;
    char *text; /* what the strings of head lie in */
    char *body;
    struct chunked chunked;
    struct output output;
    bool keep;  /* the connection stays open behind it */
    bool begun; /* there is an output */
};

struct connection {
    enum connection_state state;
    struct transport transport;
    char peer[HTTP_PEER_SIZE];
    struct address_key address;
    struct loop *loop;
    struct exchange *exchange; /* NULL between requests */

    char *in; /* what has come and is not used: of the head, the body, or the next request */
    size_t in_used, in_size, in_scanned;
    size_t discarded;

    bool readable, writable; /* as far as is known: until a call says otherwise */
    bool became_writable;    /* while it was handled */
    bool ended;              /* the client sends nothing more */
    bool skipped_line;       /* one empty line before a request is forgiven (RFC 9112, section 2.2) */

    enum output_progress progress; /* how far the handler thread got with sending */
    int64_t queued;                /* bytes that the client had not acknowledged, */
    int64_t read_ms;               /* and when that was last seen to change, monotonic */

    struct wait wait;
    LIST_ENTRY(connection) all;
    TAILQ_ENTRY(connection) ready; /* work to be done without waiting for the socket */
    bool is_ready;
    STAILQ_ENTRY(connection) mail; /* to the loop, or to the handler threads */
};

/* Takes over the socket. NULL: no memory, and the socket is the caller's. */
struct connection *connection_open(struct loop *loop, int fd);

/* Begins, on its loop's thread; tls is NULL for plain HTTP. */
void connection_begin(struct connection *connection, struct tls_connection *tls);

/* Does all that can be done without waiting; the connection may be closed then. */
void connection_step(struct connection *connection);

/* On a handler thread: answers the request, or has more of the answer's body made, and sends what it can. */
void connection_handle(struct connection *connection, void *thread_state);

/* Back from the handler thread. */
void connection_handled(struct connection *connection);

/* Its time for what it waits for is over. */
void connection_expire(struct connection *connection);

/* Looks whether its client has read something of the answer lately, were it only of what the socket holds.
 * True: it had stalled, and still does, and is closed. */
bool connection_look(struct connection *connection);

/* Answers an error by the server itself and closes. */
void connection_refuse(struct connection *connection, int status, const char *message);

/* Closes; the memory is freed by the loop at the end of its turn. */
void connection_close(struct connection *connection);

/* Frees all; it is in no list. */
void connection_free(struct connection *connection);

/* Reading (connection_read.c), in the states HEAD or IDLE, and BODY. False: nothing more can be done now. */
bool connection_read_head(struct connection *connection);
bool connection_read_body(struct connection *connection);

/* The request is whole: it goes to a handler thread. */
void connection_submit(struct connection *connection);

/* Forgets what has come: an idle connection holds no buffer. */
void connection_release_input(struct connection *connection);

/* Whether the server's stop cuts it off at once: it waits for its client, or sends more than an answer. */
bool connection_is_cut(const struct connection *connection);

#endif
