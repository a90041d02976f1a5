/* A request as it came over the wire: nothing is decoded, and everything stays the server's, until the answer
 * is there. */
#ifndef PKTCAPD_HTTP_REQUEST_H
#define PKTCAPD_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

enum { HTTP_HEADERS_MAX = 100, HTTP_PEER_SIZE = 46 };

struct http_header {
    const char *name, *value; /* the value without spaces around it */
};

struct http_request {
    const char *method;
    const char *path;  /* before the question mark; begins with a slash */
    const char *query; /* behind it; empty if there is none */
    int minor;         /* of HTTP/1.x */
    size_t header_count;
    struct http_header headers[HTTP_HEADERS_MAX];
    const char *body; /* with a NUL behind its end */
    size_t body_length;
    char peer[HTTP_PEER_SIZE]; /* the other end's address: 192.0.2.1, 2001:db8::1; IPv4 always in the former
                                  form */
    bool secure;               /* TLS ends here */
};

/* The value of the first header of this name, in any case of letters; NULL if there is none. */
const char *http_header(const struct http_request *request, const char *name);

/* The values of all headers of this name as one list, joined with ", " (RFC 9110, section 5.3). Returns false
 * if they do not fit; out is empty if there is none. */
bool http_header_list(const struct http_request *request, const char *name, char *out, size_t size);

#endif
