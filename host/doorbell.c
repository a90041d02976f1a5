#include "host/doorbell.h"

#include "host/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

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
        !worker_address(directory, workers, worker, ".sock", &address) ||
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

struct ringing {
    const struct data_dir *directory;
    int sender;
};

static bool worker_ring(void *context, int workers_fd, const char *worker)
{
    const struct ringing *ringing = context;
    const struct data_dir *directory = ringing->directory;
    struct sockaddr_un address;
    char path[DATA_PATH_SIZE];

    if (!worker_address(directory, workers_fd, worker, ".sock", &address))
        return false;
    ssize_t sent =
        sendto(ringing->sender, "!", 1, MSG_DONTWAIT, (const struct sockaddr *)&address, sizeof address);
    if (sent < 0 && errno == ECONNREFUSED) {
        /* The socket goes last, as it is what is looked for. */
        unlink(worker_path(directory, worker, ".broker", path));
        if (!doorbell_worker_lives(directory, worker))
            unlink(worker_path(directory, worker, ".lock", path));
        unlink(worker_path(directory, worker, ".sock", path));
    }
    return false;
}

void doorbell_ring(const struct data_dir *directory)
{
    struct ringing ringing = {directory, socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)};

    if (ringing.sender < 0)
        return;
    workers_walk(directory, ".sock", worker_ring, &ringing);
    close(ringing.sender);
}
