/* One answer on its way to the client: its head, and a body from memory, from files, or made piece by piece.
 */
#ifndef PKTCAPD_HTTP_OUTPUT_H
#define PKTCAPD_HTTP_OUTPUT_H

#include "http/server.h"
#include "http/transport.h"

#include <sys/uio.h>

struct output {
    struct http_response response;
    char *head;
    char *part; /* what produce() made, in its chunk */
    bool chunked, produces, finished, later;

    struct iovec memory[2]; /* what is to be sent before anything else */
    size_t piece;           /* the file that is being sent, */
    int64_t piece_sent;     /* and how much of it is, */
    int64_t piece_ahead;    /* or has been asked of the disk */
};

/* What kind of answer the request allows. */
struct output_form {
    bool no_body; /* to HEAD */
    bool keep;    /* the connection stays open */
    bool tls;
    int minor; /* of HTTP/1.minor */
};

enum output_progress {
    OUTPUT_DONE,
    OUTPUT_AGAIN,   /* the client takes no more for now */
    OUTPUT_TURN,    /* it would take more, but it is somebody else's turn */
    OUTPUT_PRODUCE, /* output_produce() is to be called */
    OUTPUT_LATER,   /* the same, in HTTP_LATER_MS */
    OUTPUT_FAILED,  /* the connection can only be closed */
};

/* Makes the head of an answer; output->response is filled, the rest zeroed. *keep may become false, where the
 * body ends with the connection. False: no memory. */
MUST_USE bool output_start(struct output *output, const struct output_form *form, bool *keep);

/* Sends what the client takes, for a turn. *taken is set to whether it took any. */
enum output_progress output_send(struct output *output, const struct transport *transport, bool *taken);

/* Has the next part of the body made, on a handler thread; output_send() goes on. False: OUTPUT_FAILED. */
MUST_USE bool output_produce(struct output *output, void *thread_state);

/* Frees what there is of an answer, sent or not. */
void output_free(struct output *output);

#endif
