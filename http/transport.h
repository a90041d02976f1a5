/* The bytes of one connection, plain or TLS, over a socket that does not block. */
#ifndef PKTCAPD_HTTP_TRANSPORT_H
#define PKTCAPD_HTTP_TRANSPORT_H

#include "http/tls.h"

#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct transport {
    int fd;
    struct tls_connection *tls; /* NULL: plain */
};

/* What there is instead of a number of bytes. */
enum { TRANSPORT_AGAIN = TLS_AGAIN, TRANSPORT_FAILED = TLS_FAILED };

/* Bytes, 0 at the other side's end, or one of the above. */
ssize_t transport_read(const struct transport *transport, void *buffer, size_t size);

/* Bytes, which may be fewer than there are, or one of the above. more: something follows at once. */
ssize_t transport_write(const struct transport *transport, const struct iovec *parts, int count, bool more);

/* Sends at most size bytes of a file from offset on. Bytes, 0 where the file ends, or one of the above. */
ssize_t transport_send_file(const struct transport *transport, int file, int64_t offset, size_t size);

/* Bytes that the socket has taken and the other side has not acknowledged. */
int64_t transport_queued(const struct transport *transport);

/* Tells the other side that nothing will follow. */
void transport_finish(const struct transport *transport);

/* Reads and forgets what the other side still sends. As transport_read(). */
ssize_t transport_discard(const struct transport *transport);

/* What the socket has taken and not sent is forgotten when it is closed: else it would be kept for a client
 * that does not read. */
void transport_abort(const struct transport *transport);

void transport_close(struct transport *transport);

#endif
