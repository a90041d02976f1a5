/*
 * The head of a request (RFC 9112, sections 2 to 6), read strictly: what two programs might read in two ways
 * is refused, as a proxy in front may have read it the other way. Functions of a buffer, without sockets.
 */
#ifndef PKTCAPD_HTTP_HEAD_H
#define PKTCAPD_HTTP_HEAD_H

#include "core/error.h"
#include "http/request.h"

#include <stddef.h>
#include <stdint.h>

enum { HEAD_LINE_MAX = 8 * 1024 };

struct head {
    struct http_request request; /* but for body, peer and secure; its Host is that of an absolute target */
    const char *host;            /* of an absolute target, else NULL */
    int64_t content_length;      /* 0 if it is not given; INT64_MAX if it is larger than that */
    bool chunked;
    bool expects_continue;
    bool close; /* the client wants no further request on this connection */
};

/* Why a head is refused. */
struct head_problem {
    int status; /* 400, 414, 431, 501 or 505 */
    char message[160];
};

enum head_progress { HEAD_PART, HEAD_WHOLE, HEAD_BROKEN };

/* Looks for the end of the head that begins at buffer[0], in length bytes so far. *scanned is 0 at first, and
 * where to go on from later. HEAD_WHOLE sets *size, the bytes of the head with its empty line. HEAD_BROKEN
 * fills *problem: no head of at most max bytes will come of this. */
enum head_progress head_find_end(const char *buffer, size_t length, size_t max, size_t *scanned, size_t *size,
                                 struct head_problem *problem);

/* Reads the whole head of size bytes that head_find_end() found, in place: the strings of *head lie in
 * buffer. False fills *problem. */
MUST_USE bool head_read(char *buffer, size_t size, struct head *head, struct head_problem *problem);

#endif
