#include "service/tls_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FILES = 2 };

/* Room for the descriptors beside a message of one byte. */
union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(FILES * sizeof(int))];
};

bool tls_files_channel(int ends[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0;
}

/* O_NONBLOCK: the parent must not wait for the other end of something that is no file. */
static int file_open(const char *path, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        error_set(error, ERROR_HOST, NULL, "cannot open %s: %s", path, strerror(errno));
    return fd;
}

static void files_close(int files[FILES])
{
    for (int i = 0; i < FILES; i++)
        if (files[i] >= 0)
            close(files[i]);
}

static bool files_send(int channel, const int files[FILES])
{
    union control control = {0};
    struct iovec byte = {.iov_base = "", .iov_len = 1};
    struct msghdr message = {.msg_iov = &byte,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};

    control.header = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(FILES * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), files, FILES * sizeof(int));
    return sendmsg(channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

enum status tls_files_send(const struct config *config, int channel, struct error *error)
{
    int files[FILES] = {-1, -1};
    enum status status = STATUS_OK;

    if ((files[0] = file_open(config->tls_certificate, error)) < 0 ||
        (files[1] = file_open(config->tls_key, error)) < 0)
        status = error->status;
    else if (!files_send(channel, files))
        status = error_set(error, ERROR_HOST, NULL, "cannot hand the certificate to the front end: %s",
                           strerror(errno));
    files_close(files);
    return status;
}

static bool files_receive(int channel, int files[FILES])
{
    union control control;
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.room,
                             .msg_controllen = sizeof control.room};

    if (recvmsg(channel, &message, MSG_CMSG_CLOEXEC) != 1)
        return false;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header == NULL || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len != CMSG_LEN(FILES * sizeof(int)))
        return false;
    memcpy(files, CMSG_DATA(header), FILES * sizeof(int));
    return true;
}

enum status tls_files_receive(const struct config *config, int channel, struct tls **tls, struct error *error)
{
    int files[FILES] = {-1, -1};

    if (!files_receive(channel, files))
        return error_set(error, ERROR_HOST, NULL, "the certificate did not arrive from the parent");
    const struct tls_files read = {files[0], files[1], config->tls_certificate, config->tls_key};
    enum status status = tls_open(&read, (enum tls_version)config->tls_min_version, tls, error);
    files_close(files);
    return status;
}
