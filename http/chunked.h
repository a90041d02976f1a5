/*
 * The chunked transfer coding of a request's body (RFC 9112, section 7.1), read strictly. Functions of a
 * buffer, without sockets.
 */
#ifndef PKTCAPD_HTTP_CHUNKED_H
#define PKTCAPD_HTTP_CHUNKED_H

#include <stddef.h>

/* What has been read so far; starts zeroed. */
struct chunked {
    int state;
    size_t left;   /* bytes of the chunk that are still to come */
    size_t digits; /* of the chunk's size */
    size_t extra;  /* bytes of extensions and trailers of the whole body */
};

enum chunked_progress {
    CHUNKED_PART,      /* all input is used up, and more will come */
    CHUNKED_WHOLE,     /* that was the end; what is behind *used is of the next request */
    CHUNKED_BROKEN,    /* no chunked body, or too much in extensions and trailers */
    CHUNKED_TOO_LARGE, /* the data does not fit into the room */
};

/* Reads on with length bytes of in, appending data to out[*filled], which has room for `room` bytes in all.
 * *used is how much of in was taken. Extensions and trailers are passed over, at most 4 KiB of them. */
enum chunked_progress chunked_read(struct chunked *chunked, const char *in, size_t length, size_t *used,
                                   char *out, size_t room, size_t *filled);

#endif
