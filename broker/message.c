#include "broker/message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one descriptor, aligned as the kernel wants it. */
union ancillary {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

bool message_send(int socket, const void *message, size_t size, int fd)
{
    union ancillary ancillary = {0};
    struct iovec body = {(void *)(uintptr_t)message, size};
    struct msghdr header = {.msg_iov = &body, .msg_iovlen = 1};

    if (fd >= 0) {
        header.msg_control = &ancillary;
        header.msg_controllen = sizeof ancillary;
        ancillary.header.cmsg_level = SOL_SOCKET;
        ancillary.header.cmsg_type = SCM_RIGHTS;
        ancillary.header.cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(&ancillary.header), &fd, sizeof fd);
    }
    return sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)size;
}

static int descriptor_take(struct msghdr *header)
{
    const struct cmsghdr *first = CMSG_FIRSTHDR(header);
    int fd = -1;

    if (first != NULL && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS &&
        first->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(first), sizeof fd);
    return fd;
}

int message_receive(int socket, void *message, size_t size, int *fd)
{
    union ancillary ancillary;
    struct iovec body = {message, size};
    struct msghdr header = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = &ancillary, .msg_controllen = sizeof ancillary};

    *fd = -1;
    ssize_t got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got >= 0)
        *fd = descriptor_take(&header);
    if (got == (ssize_t)size && (header.msg_flags & MSG_TRUNC) == 0)
        return 1;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    return -1;
}
