#include "http/transport.h"

#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { RECORD_MAX = 16 * 1024 }; /* the most that TLS puts into one record */

static ssize_t outcome(ssize_t result)
{
    if (result >= 0)
        return result;
    return errno == EAGAIN || errno == EINTR ? TRANSPORT_AGAIN : TRANSPORT_FAILED;
}

ssize_t transport_read(const struct transport *transport, void *buffer, size_t size)
{
    if (transport->tls != NULL)
        return tls_read(transport->tls, buffer, size);
    return outcome(recv(transport->fd, buffer, size, 0));
}

/* As one record, if it fits into one: a header and a short body then travel in one packet. */
static ssize_t tls_write_parts(struct tls_connection *tls, const struct iovec *parts, int count)
{
    char record[RECORD_MAX];
    size_t used = 0;

    if (count == 1)
        return tls_write(tls, parts[0].iov_base, parts[0].iov_len);
    for (int i = 0; i < count && used < sizeof record; i++) {
        size_t size = parts[i].iov_len < sizeof record - used ? parts[i].iov_len : sizeof record - used;
        memcpy(record + used, parts[i].iov_base, size);
        used += size;
    }
    return tls_write(tls, record, used);
}

ssize_t transport_write(const struct transport *transport, const struct iovec *parts, int count, bool more)
{
    struct msghdr message = {.msg_iov = (struct iovec *)(uintptr_t)parts, .msg_iovlen = (size_t)count};

    if (transport->tls != NULL)
        return tls_write_parts(transport->tls, parts, count);
    return outcome(sendmsg(transport->fd, &message, MSG_NOSIGNAL | (more ? MSG_MORE : 0)));
}

static ssize_t tls_send_file(struct tls_connection *tls, int file, int64_t offset, size_t size)
{
    char record[RECORD_MAX];
    ssize_t got = pread(file, record, size < sizeof record ? size : sizeof record, offset);

    if (got <= 0)
        return got == 0 ? 0 : TRANSPORT_FAILED;
    return tls_write(tls, record, (size_t)got);
}

ssize_t transport_send_file(const struct transport *transport, int file, int64_t offset, size_t size)
{
    off_t at = offset;

    if (transport->tls != NULL)
        return tls_send_file(transport->tls, file, offset, size);
    return outcome(sendfile(transport->fd, file, &at, size));
}

int64_t transport_queued(const struct transport *transport)
{
    int queued = 0;

    return ioctl(transport->fd, SIOCOUTQ, &queued) == 0 ? queued : 0;
}

void transport_finish(const struct transport *transport)
{
    if (transport->tls != NULL)
        tls_finish(transport->tls);
    shutdown(transport->fd, SHUT_WR);
}

ssize_t transport_discard(const struct transport *transport)
{
    char dropped[RECORD_MAX];

    return outcome(recv(transport->fd, dropped, sizeof dropped, 0));
}

void transport_abort(const struct transport *transport)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    (void)setsockopt(transport->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void transport_close(struct transport *transport)
{
    tls_connection_close(transport->tls);
    transport->tls = NULL;
    if (transport->fd >= 0)
        close(transport->fd);
    transport->fd = -1;
}
