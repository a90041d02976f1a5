/*
 * From a request to an answer, without sockets: finds the route, decodes, calls the operation, encodes.
 */
#ifndef PKTCAPD_SERVICE_HANDLERS_H
#define PKTCAPD_SERVICE_HANDLERS_H

#include "http/request.h"
#include "service/detail.h"
#include "service/operations.h"

struct route;

struct parameter {
    const char *name, *value; /* decoded */
};

enum { PARAMETERS_MAX = 16 };

struct call {
    struct context *context; /* store may be NULL: then errors says why; who and client are found here */
    const struct http_request *request;
    const char *method, *path; /* path decoded, without the query */
    size_t parameter_count;
    struct parameter parameters[PARAMETERS_MAX];
    const char *content_type; /* NULL if absent */
    const char *body;
    size_t body_length;
    const struct route *route; /* once it is found */
    struct caller who;         /* once it is known */
    struct client client;
    char about[128];          /* for the audit: a user, a role, a token's id; or empty */
    char detail[DETAIL_SIZE]; /* for the audit; or empty */
    struct errors errors;     /* starts empty; too large for the stack */
};

struct answer {
    int status;        /* HTTP */
    char *body;        /* JSON; the caller frees it */
    char headers[768]; /* further header lines, each with its line end, or empty */
    bool has_file;     /* then the body is this file: */
    struct capture_file file;
};

/* Always fills in an answer. Takes up to some MB of stack: compiling filters recurses. */
void call_handle(struct call *call, struct answer *answer);

/* The HTTP status of the first of these errors. */
int errors_http(const struct errors *errors);

/* Fills in an answer from errors. */
void answer_errors(struct answer *answer, const struct errors *errors);

/* Fills in an answer for what the HTTP server itself refuses; status as it chose. */
void answer_http_error(struct answer *answer, int status, const char *message);

#endif
