#include "broker/broker.h"

#include "broker/connection.h"
#include "broker/message.h"
#include "core/clock.h"
#include "core/log.h"
#include "host/workers.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALL_MS = 5000, END_MS = 2000, LISTEN_BACKLOG = 128 };

struct broker {
    pthread_mutex_t mutex; /* one call at a time */
    int socket;
    uint64_t serial;
    bool deaf;                        /* a front end's that got no answer once: it need not wait again */
    pid_t pid;                        /* of our child; 0: another's */
    const struct data_dir *directory; /* where it was published; NULL: it was not */
    char worker[UUID_SIZE];
};

enum status broker_make(int socket, pid_t pid, struct broker **out, struct error *error)
{
    struct broker *broker = calloc(1, sizeof *broker);

    if (broker == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    pthread_mutex_init(&broker->mutex, NULL);
    broker->socket = socket;
    broker->pid = pid;
    *out = broker;
    return STATUS_OK;
}

/* ---- calls ---- */

static int ms_until(int64_t deadline_ms)
{
    int64_t left_ms = deadline_ms - clock_monotonic_ms();

    return left_ms < 0 ? 0 : (int)left_ms;
}

/* An answer to a call that was given up may still come: it is passed over. */
static enum status answer_wait(struct broker *broker, uint64_t serial, int64_t deadline_ms,
                               struct broker_answer *answer, int *fd, struct error *error)
{
    struct pollfd ready = {.fd = broker->socket, .events = POLLIN};

    for (;;) {
        int got = message_receive(broker->socket, answer, sizeof *answer, fd);
        if (got < 0)
            return error_set(error, ERROR_HOST, NULL, "the broker of the worker has ended");
        if (got > 0 && answer->serial == serial)
            return STATUS_OK;
        if (got > 0 && *fd >= 0)
            close(*fd);
        if (got != 0 || poll(&ready, 1, ms_until(deadline_ms)) != 0)
            continue;
        broker->deaf = broker->pid == 0;
        return error_set(error, ERROR_HOST, NULL, "the broker of the worker does not answer");
    }
}

static enum status call_locked(struct broker *broker, struct broker_request *request, int send_fd,
                               int64_t deadline_ms, struct broker_answer *answer, int *fd,
                               struct error *error)
{
    request->serial = ++broker->serial;
    if (broker->deaf)
        return error_set(error, ERROR_HOST, NULL, "the broker of the worker does not answer");
    if (!message_send(broker->socket, request, sizeof *request, send_fd))
        return error_set(error, ERROR_HOST, NULL, "the broker of the worker cannot be asked: %s",
                         strerror(errno));
    if (answer_wait(broker, request->serial, deadline_ms, answer, fd, error) != STATUS_OK)
        return error->status;
    if (answer->error.status != STATUS_OK)
        *error = answer->error;
    return answer->error.status;
}

/* *fd is the answer's descriptor, -1 where there is none. */
static enum status call(struct broker *broker, struct broker_request *request, int send_fd,
                        struct broker_answer *answer, int *fd, struct error *error)
{
    int64_t deadline_ms = clock_monotonic_ms() + CALL_MS;
    struct timespec until = {.tv_sec = deadline_ms / MS_PER_S, .tv_nsec = deadline_ms % MS_PER_S * NS_PER_MS};

    *fd = -1;
    if (pthread_mutex_clocklock(&broker->mutex, CLOCK_MONOTONIC, &until) != 0)
        return error_set(error, ERROR_HOST, NULL, "the broker of the worker does not answer");
    enum status status = call_locked(broker, request, send_fd, deadline_ms, answer, fd, error);
    pthread_mutex_unlock(&broker->mutex);
    return status;
}

static enum status call_for_socket(struct broker *broker, struct broker_request *request, int *fd,
                                   uint64_t *cookie, struct error *error)
{
    struct broker_answer answer;
    int got;
    enum status status = call(broker, request, -1, &answer, &got, error);

    if (status == STATUS_OK && got < 0)
        return error_set(error, ERROR_HOST, NULL, "the broker of the worker has no more files to open");
    if (status == STATUS_OK) {
        *fd = got;
        *cookie = answer.cookie;
    }
    return status;
}

static void netns_set(struct broker_request *request, const char *netns)
{
    snprintf(request->spec.netns, sizeof request->spec.netns, "%s", netns);
}

enum status broker_route_socket(struct broker *broker, const char *netns, int *fd, uint64_t *cookie,
                                struct error *error)
{
    struct broker_request request = {.verb = VERB_ROUTE_SOCKET};

    netns_set(&request, netns);
    return call_for_socket(broker, &request, fd, cookie, error);
}

enum status broker_packet_socket(struct broker *broker, const char *netns, int type, int *fd,
                                 struct error *error)
{
    struct broker_request request = {.verb = VERB_PACKET_SOCKET, .type = type};
    uint64_t cookie;

    netns_set(&request, netns);
    return call_for_socket(broker, &request, fd, &cookie, error);
}

enum status broker_firewall_open(struct broker *broker, const struct firewall_spec *spec, int *fd,
                                 struct error *error)
{
    struct broker_request request = {.verb = VERB_FIREWALL_OPEN, .spec = *spec};
    uint64_t cookie;

    return call_for_socket(broker, &request, fd, &cookie, error);
}

void broker_firewall_close(struct broker *broker, const char *session)
{
    struct broker_request request = {.verb = VERB_FIREWALL_CLOSE};
    struct broker_answer answer;
    struct error error;
    int fd;

    snprintf(request.spec.session, sizeof request.spec.session, "%s", session);
    if (call(broker, &request, -1, &answer, &fd, &error) != STATUS_OK)
        log_warning("session %s: its table stays in the packet filter for now: %s", session, error.message);
}

enum status broker_abilities(struct broker *broker, struct broker_abilities *abilities, struct error *error)
{
    struct broker_request request = {.verb = VERB_ABILITIES};
    struct broker_answer answer;
    int fd;
    enum status status = call(broker, &request, -1, &answer, &fd, error);

    if (status == STATUS_OK)
        *abilities = answer.abilities;
    return status;
}

enum status broker_list_netns(struct broker *broker, char (**names)[NETNS_NAME_SIZE], size_t *count,
                              struct error *error)
{
    struct broker_request request = {.verb = VERB_LIST_NETNS};
    struct broker_answer answer;
    char(*list)[NETNS_NAME_SIZE] = NULL;
    size_t used = 0;
    int fd;

    do {
        enum status status = call(broker, &request, -1, &answer, &fd, error);
        void *grown = status == STATUS_OK ? realloc(list, (used + NAMES_A_PAGE) * sizeof *list) : NULL;
        if (status == STATUS_OK && grown == NULL)
            status = error_set(error, ERROR_INTERNAL, NULL, "out of memory");
        if (status != STATUS_OK) {
            free(list);
            return status;
        }
        list = grown;
        memcpy(list[used], answer.names, answer.count * sizeof *list);
        used += answer.count;
        if (used > 0)
            memcpy(request.netns, list[used - 1], sizeof request.netns);
    } while (answer.count == NAMES_A_PAGE);
    *names = list;
    *count = used;
    return STATUS_OK;
}

/* ---- the way for front ends ---- */

static int socket_publish(const struct data_dir *directory, const char *worker)
{
    struct sockaddr_un address;
    int workers = workers_open(directory);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool made = workers >= 0 && fd >= 0 && worker_address(directory, workers, worker, ".broker", &address) &&
                bind(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
                listen(fd, LISTEN_BACKLOG) == 0;

    if (workers >= 0)
        close(workers);
    if (made || fd < 0)
        return fd;
    close(fd);
    return -1;
}

enum status broker_publish(struct broker *broker, const struct data_dir *directory, const char *worker,
                           struct error *error)
{
    struct broker_request request = {.verb = VERB_PUBLISH};
    struct broker_answer answer;
    int ignored, fd = socket_publish(directory, worker);

    if (fd < 0)
        return error_set(error, ERROR_HOST, NULL, "cannot make the broker's socket in %s/workers: %s",
                         directory->shown, strerror(errno));
    broker->directory = directory;
    snprintf(broker->worker, sizeof broker->worker, "%s", worker);
    enum status status = call(broker, &request, fd, &answer, &ignored, error);
    close(fd);
    return status;
}

struct seeking {
    const struct data_dir *directory;
    int found;
};

static bool worker_try(void *context, int workers_fd, const char *worker)
{
    struct seeking *seeking = context;
    struct sockaddr_un address;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && worker_address(seeking->directory, workers_fd, worker, ".broker", &address) &&
        connect(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        seeking->found = fd;
        return true;
    }
    if (fd >= 0)
        close(fd);
    return false;
}

struct broker *broker_connect(const struct data_dir *directory)
{
    struct seeking seeking = {directory, -1};
    struct broker *broker;
    struct error error;

    workers_walk(directory, ".broker", worker_try, &seeking);
    if (seeking.found < 0)
        return NULL;
    if (broker_make(seeking.found, 0, &broker, &error) == STATUS_OK)
        return broker;
    close(seeking.found);
    return NULL;
}

int broker_fd(const struct broker *broker)
{
    return broker->socket;
}

/* It takes its tables out of the packet filter first. If it hangs, it dies with this process. */
static void child_wait(pid_t pid)
{
    int64_t give_up_ms = clock_monotonic_ms() + END_MS;

    while (waitpid(pid, NULL, WNOHANG) == 0 && clock_monotonic_ms() < give_up_ms)
        nanosleep(&(struct timespec){.tv_nsec = NS_PER_MS}, NULL);
}

void broker_close(struct broker *broker)
{
    char path[DATA_PATH_SIZE];

    if (broker->directory != NULL)
        unlink(worker_path(broker->directory, broker->worker, ".broker", path));
    close(broker->socket);
    if (broker->pid != 0)
        child_wait(broker->pid);
    pthread_mutex_destroy(&broker->mutex);
    free(broker);
}
