#include "host/doorbell.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *worker_path(const struct data_dir *directory, const char *worker, const char *suffix,
                               char out[DATA_PATH_SIZE])
{
    char name[80];

    snprintf(name, sizeof name, "workers/%s%s", worker, suffix);
    return data_dir_path(directory, name, out);
}

/* sun_path holds 107 characters, fewer than a data directory's path may have: /proc/self/fd shortens it, and
 * where the process is confined (no /proc) the path is short anyway. */
static bool socket_address(const struct data_dir *directory, int workers_fd, const char *worker,
                           struct sockaddr_un *address)
{
    char path[DATA_PATH_SIZE];
    int length;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    worker_path(directory, worker, ".sock", path);
    if (strlen(path) < sizeof address->sun_path) {
        strcpy(address->sun_path, path);
        return true;
    }
    length =
        snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s.sock", workers_fd, worker);
    return length > 0 && (size_t)length < sizeof address->sun_path;
}

static int workers_open(const struct data_dir *directory)
{
    char path[DATA_PATH_SIZE];

    return open(data_dir_path(directory, "workers", path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The lock is taken before the file has its name, so that nobody finds it free. */
static int lock_make(const struct data_dir *directory, const char *worker)
{
    char aside[DATA_PATH_SIZE], path[DATA_PATH_SIZE];
    int fd = open(worker_path(directory, worker, ".new", aside), O_CREAT | O_RDWR | O_CLOEXEC, 0640);

    if (fd < 0)
        return -1;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 &&
        rename(aside, worker_path(directory, worker, ".lock", path)) == 0)
        return fd;
    close(fd);
    return -1;
}

enum status doorbell_open(struct doorbell *doorbell, const struct data_dir *directory, const char *worker,
                          struct error *error)
{
    struct doorbell made = {.directory = directory, .socket = -1, .lock = -1};
    struct sockaddr_un address;
    int workers = workers_open(directory);

    snprintf(made.worker, sizeof made.worker, "%s", worker);
    made.lock = lock_make(directory, worker);
    made.socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (workers < 0 || made.lock < 0 || made.socket < 0 ||
        !socket_address(directory, workers, worker, &address) ||
        bind(made.socket, (const struct sockaddr *)&address, sizeof address) != 0) {
        error_set(error, ERROR_HOST, NULL, "cannot make the doorbell in %s/workers: %s", directory->shown,
                  strerror(errno));
        doorbell_close(&made);
        if (workers >= 0)
            close(workers);
        return error->status;
    }
    close(workers);
    *doorbell = made;
    return STATUS_OK;
}

void doorbell_answer(const struct doorbell *doorbell)
{
    char ring[8];

    while (recv(doorbell->socket, ring, sizeof ring, 0) >= 0)
        continue;
}

void doorbell_close(struct doorbell *doorbell)
{
    char path[DATA_PATH_SIZE];

    if (doorbell->socket >= 0) {
        unlink(worker_path(doorbell->directory, doorbell->worker, ".sock", path));
        close(doorbell->socket);
    }
    if (doorbell->lock >= 0) {
        unlink(worker_path(doorbell->directory, doorbell->worker, ".lock", path));
        close(doorbell->lock);
    }
    doorbell->socket = doorbell->lock = -1;
}

bool doorbell_worker_lives(const struct data_dir *directory, const char *worker)
{
    char path[DATA_PATH_SIZE];
    int fd = open(worker_path(directory, worker, ".lock", path), O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return errno != ENOENT;
    /* Shared, so that two who ask at once do not take each other for the worker. */
    bool lives = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return lives;
}

static void worker_ring(const struct data_dir *directory, int workers_fd, int sender, const char *worker)
{
    struct sockaddr_un address;
    char path[DATA_PATH_SIZE];

    if (!socket_address(directory, workers_fd, worker, &address))
        return;
    ssize_t sent = sendto(sender, "!", 1, MSG_DONTWAIT, (const struct sockaddr *)&address, sizeof address);
    if (sent < 0 && errno == ECONNREFUSED) {
        unlink(worker_path(directory, worker, ".sock", path));
        if (!doorbell_worker_lives(directory, worker))
            unlink(worker_path(directory, worker, ".lock", path));
    }
}

void doorbell_ring(const struct data_dir *directory)
{
    char path[DATA_PATH_SIZE];
    const struct dirent *entry;
    DIR *listing = opendir(data_dir_path(directory, "workers", path));
    int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    while (listing != NULL && sender >= 0 && (entry = readdir(listing)) != NULL) {
        char worker[UUID_SIZE], name[UUID_SIZE];
        snprintf(name, sizeof name, "%.36s", entry->d_name);
        if (uuid_parse(name, worker) && strcmp(entry->d_name + UUID_SIZE - 1, ".sock") == 0)
            worker_ring(directory, dirfd(listing), sender, worker);
    }
    if (sender >= 0)
        close(sender);
    if (listing != NULL)
        closedir(listing);
}
