/* A request as it came over the wire: nothing is decoded, and everything stays the server's. */
#ifndef PKTCAPD_HTTP_REQUEST_H
#define PKTCAPD_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_HEADERS_MAX = 100 };

struct http_header {
    const char *name, *value;
};

struct http_request {
    const char *method;
    const char *path;  /* before the question mark */
    const char *query; /* behind it; empty if there is none */
    int minor;         /* of HTTP/1.x */
    size_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX];
    const char *body;
    size_t body_length;
    char peer[46]; /* address of the other end of the connection */
    bool secure;   /* TLS ends here */
};

/* The value of the first header of this name, in any case of letters; NULL if there is none. */
const char *http_header(const struct http_request *request, const char *name);

/* The values of all headers of this name as one list, joined with ", " (RFC 9110, section 5.3). Returns false
 * if they do not fit; out is empty if there is none. */
bool http_header_list(const struct http_request *request, const char *name, char *out, size_t size);

#endif
