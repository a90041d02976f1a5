/*
 * An HTTP/1.1 server for programs (RFC 9110, RFC 9112): plain or TLS, IPv4 and IPv6.
 *
 * A few threads own all connections and wait for them with epoll; nobody else waits for a client. A request
 * that is complete, head and body, goes to one of the handler threads, which may take as long as it likes.
 * Its answer is sent by whoever owns the connection at the time, never waiting. So a client costs a thread
 * only while its request is being worked on, and those who are idle or slow cost a little memory.
 *
 * What is no acceptable request never gets to a handler: it is answered by `refuse`, and the connection
 * closed.
 */
#ifndef PKTCAPD_HTTP_SERVER_H
#define PKTCAPD_HTTP_SERVER_H

#include "core/error.h"
#include "http/request.h"

#include <stdint.h>

enum { HTTP_ADDRESS_SIZE = 64 };

/* Bytes of a file. */
struct http_piece {
    int fd;
    int64_t offset, size;
};

/* What a call of produce() leads to. */
enum http_more {
    HTTP_MORE,  /* call again when the client has taken what there is */
    HTTP_LATER, /* the same, but not before HTTP_LATER_MS: there was nothing, or little */
    HTTP_END,   /* that was all */
    HTTP_BREAK, /* something went wrong: the client learns it by a connection that ends too early */
};

enum { HTTP_LATER_MS = 250, HTTP_PART_SIZE = 64 * 1024 };

/* Where produce() writes to. */
struct http_part {
    char *data;
    size_t size, used; /* bytes: of room (HTTP_PART_SIZE), and of them filled */
};

/* Starts zeroed. The body is one of: `body`, `pieces`, or what `produce` makes; none is an empty body. The
 * server takes over all of it and frees it, also after failures and for HEAD, which is answered without a
 * body. */
struct http_response {
    int status;               /* 200 to 599 */
    const char *content_type; /* a constant, NULL: none */
    char headers[1024];       /* further header lines, each with its CR LF; see http_add_header() */
    bool close;               /* end the connection after this answer */

    char *body;
    size_t body_length;
    bool body_is_constant; /* not to be freed */

    struct http_piece *pieces; /* from malloc(); each fd is the server's to close */
    size_t piece_count;

    /* Makes the body piece by piece, on a handler thread, each time the client has taken what there was: with
     * chunked transfer coding, or until the connection's end for HTTP/1.0. produce_close() is called once, in
     * any case, on any thread. */
    enum http_more (*produce)(void *thread_state, void *produce_context, struct http_part *part);
    void (*produce_close)(void *produce_context);
    void *produce_context;
};

/* Appends a header line; false if it does not fit or the value could be more than one line. */
bool http_add_header(struct http_response *response, const char *name, const char *value);

/* "Not Found" for 404; "Error" for a status that nobody gives. */
const char *http_reason(int status);

struct http_settings {
    const char *listen; /* "192.0.2.1:80", "[2001:db8::1]:80"; "[::]:80" takes IPv4 as well */
    /* HTTP_ADDRESS_SIZE bytes, where the address is written with the port that it got, before the first
     * request. */
    char *address;
    int64_t max_connections;             /* from 2 on */
    int64_t max_connections_per_address; /* 0: no limit; an IPv6 client's address is its /64 */
    int64_t max_header;                  /* bytes of a whole head */
    int64_t max_body;                    /* bytes */
    int64_t request_timeout_ms;          /* for a whole head; a whole body may take three times that */
    int64_t keepalive_timeout_ms;        /* between requests */
    int64_t send_timeout_ms;             /* without a byte taken by the client */
    int64_t threads;                     /* that run handlers */

    /* What is passed to the callbacks. */
    void *context;
    /* Makes and frees what belongs to one handler thread; NULL from thread_open() is no failure. */
    void *(*thread_open)(void *context);
    void (*thread_close)(void *thread_state);
    /* Answers a request; always fills in a response. Has 8 MiB of stack. */
    void (*handler)(void *thread_state, const struct http_request *request, struct http_response *response);
    /* Fills in the body of what the server refuses itself (400, 408, 413, 414, 431, 501, 503, 505); called on
     * any thread, and has little stack. message is one sentence. */
    void (*refuse)(int status, const char *message, struct http_response *response);
};

struct http_server;
struct tls; /* http/tls.h */

/* Starts to serve. tls is NULL for plain HTTP, else the server takes it over if this succeeds. Fails with
 * ERROR_HOST. SIGPIPE has to be ignored, and the signals of the program blocked. settings' strings and
 * context outlive the server. */
MUST_USE enum status http_server_open(const struct http_settings *settings, struct tls *tls,
                                      struct http_server **server, struct error *error);

/* For connections that are made from now on. The server takes tls over. */
void http_server_use_tls(struct http_server *server, struct tls *tls);

/* Takes no more connections, ends idle ones and downloads at once, gives requests under way 5 s, and frees
 * everything. */
void http_server_close(struct http_server *server);

#endif
