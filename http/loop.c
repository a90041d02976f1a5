#include "http/loop.h"

#include "core/clock.h"
#include "http/acceptor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS = 256,
    STOP_MS = 5000, /* what requests under way get to be answered in */
};

/* ---- for connections ---- */

void loop_make_ready(struct loop *loop, struct connection *connection)
{
    if (connection->is_ready)
        return;
    connection->is_ready = true;
    TAILQ_INSERT_TAIL(&loop->ready, connection, ready);
}

static void unready(struct loop *loop, struct connection *connection)
{
    if (connection->is_ready)
        TAILQ_REMOVE(&loop->ready, connection, ready);
    connection->is_ready = false;
}

void loop_wait_for(struct loop *loop, struct connection *connection, enum wait_kind kind)
{
    struct wait *wait = &connection->wait;
    int waiting = -(int)wait_is_clients(wait), stalled = -(int)(wait->kind == WAIT_STALLED);

    waits_set(&loop->waits, wait, kind, loop->now_ms);
    waiting += (int)wait_is_clients(wait);
    stalled += (int)(kind == WAIT_STALLED);
    if (waiting != 0)
        atomic_fetch_add(&loop->waiting, waiting);
    if (stalled != 0)
        atomic_fetch_add(&loop->stalled, stalled);
}

bool loop_watch(struct loop *loop, struct connection *connection)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, connection->transport.fd, &event) == 0;
}

void loop_forget(struct loop *loop, struct connection *connection)
{
    loop_wait_for(loop, connection, WAIT_NONE);
    unready(loop, connection);
    LIST_REMOVE(connection, all);
    LIST_INSERT_HEAD(&loop->closed, connection, all);
    atomic_fetch_sub(&loop->count, 1);
    if (loop->site->addresses != NULL)
        addresses_leave(loop->site->addresses, &connection->address);
}

static struct connection *connection_of(struct wait *wait)
{
    return (struct connection *)(void *)((char *)wait - offsetof(struct connection, wait));
}

bool loop_make_room(struct loop *loop)
{
    struct wait *wait = waits_longest(&loop->waits);

    if (wait != NULL) {
        connection_close(connection_of(wait));
        return true;
    }
    while ((wait = waits_first(&loop->waits, WAIT_STALLED)) != NULL)
        if (connection_look(connection_of(wait)))
            return true;
    return false;
}

/* ---- mail ---- */

void loop_wake(struct loop *loop)
{
    eventfd_write(loop->wake_fd, 1);
}

void loop_deliver(struct loop *loop, struct connection *connection)
{
    pthread_mutex_lock(&loop->mail_mutex);
    bool was_empty = STAILQ_EMPTY(&loop->mail);
    STAILQ_INSERT_TAIL(&loop->mail, connection, mail);
    pthread_mutex_unlock(&loop->mail_mutex);
    if (was_empty)
        loop_wake(loop);
}

static struct connection *mail_take(struct loop *loop)
{
    pthread_mutex_lock(&loop->mail_mutex);
    struct connection *first = STAILQ_FIRST(&loop->mail);
    if (first != NULL)
        STAILQ_REMOVE_HEAD(&loop->mail, mail);
    pthread_mutex_unlock(&loop->mail_mutex);
    return first;
}

/* A new connection; where the loop is full, it takes the place of one that has kept us waiting. */
static void adopt(struct loop *loop, struct connection *connection)
{
    struct site *site = loop->site;
    struct tls_connection *tls = NULL;

    LIST_INSERT_HEAD(&loop->all, connection, all);
    bool is_room = atomic_load(&loop->count) <= loop->share || loop_make_room(loop);
    pthread_mutex_lock(&site->tls_mutex);
    bool plain = site->tls == NULL;
    if (!plain)
        tls = tls_connection_open(site->tls, connection->transport.fd);
    pthread_mutex_unlock(&site->tls_mutex);
    if (loop->stop_at_ms != 0 || (!plain && (tls == NULL || !is_room)) || !loop_watch(loop, connection)) {
        tls_connection_close(tls);
        connection_close(connection);
        return;
    }
    connection_begin(connection, tls);
    if (!is_room)
        connection_refuse(connection, 503, "the service has too many connections; try again");
}

static void mail_read(struct loop *loop)
{
    struct connection *connection;
    eventfd_t ignored;

    (void)eventfd_read(loop->wake_fd, &ignored);
    while ((connection = mail_take(loop)) != NULL) {
        if (connection->state == CONNECTION_NEW)
            adopt(loop, connection);
        else
            connection_handled(connection);
    }
}

/* ---- turns ---- */

static void listener_set(struct loop *loop, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = &loop->site->listener};

    (void)epoll_ctl(loop->epoll_fd, operation, loop->site->listener, &event);
}

/* Out of descriptors, a listener that stays readable would make the loop spin. */
static void accept_some(struct loop *loop)
{
    if (acceptor_run(loop->site))
        return;
    (void)loop_make_room(loop);
    listener_set(loop, EPOLL_CTL_MOD, 0);
    loop->accept_again_at_ms = loop->now_ms + ACCEPT_PAUSE_MS;
}

static void accept_again(struct loop *loop)
{
    if (loop->accept_again_at_ms == 0 || loop->now_ms < loop->accept_again_at_ms)
        return;
    loop->accept_again_at_ms = 0;
    listener_set(loop, EPOLL_CTL_MOD, EPOLLIN);
}

static void connection_event(struct loop *loop, struct connection *connection, uint32_t events)
{
    bool in = (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    bool out = (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    bool tls = connection->transport.tls != NULL; /* may have to read in order to write, and so on */

    if (connection->state == CONNECTION_CLOSED)
        return; /* in this turn */
    connection->readable = connection->readable || in || tls;
    connection->writable = connection->writable || out || tls;
    if (connection->state == CONNECTION_HANDLING)
        connection->became_writable = connection->became_writable || out || tls;
    else
        loop_make_ready(loop, connection);
}

static void event_see(struct loop *loop, const struct epoll_event *event)
{
    if (event->data.ptr == &loop->wake_fd)
        mail_read(loop);
    else if (event->data.ptr == &loop->site->listener)
        accept_some(loop);
    else
        connection_event(loop, event->data.ptr, event->events);
}

/* Those that are ready now; whoever becomes ready meanwhile is for the next turn. */
static void ready_run(struct loop *loop)
{
    struct connection *last = TAILQ_LAST(&loop->ready, ready_queue);
    struct connection *connection;

    while (last != NULL && (connection = TAILQ_FIRST(&loop->ready)) != NULL) {
        bool is_last = connection == last;
        unready(loop, connection);
        connection_step(connection);
        if (is_last)
            break;
    }
}

static void expire(struct loop *loop)
{
    struct wait *wait;

    while ((wait = waits_expired(&loop->waits, loop->now_ms)) != NULL)
        connection_expire(connection_of(wait));
}

static void bury(struct loop *loop)
{
    struct connection *connection;

    while ((connection = LIST_FIRST(&loop->closed)) != NULL) {
        LIST_REMOVE(connection, all);
        connection_free(connection);
    }
}

static void stop_begin(struct loop *loop)
{
    struct connection *connection, *next;

    loop->stop_at_ms = loop->now_ms + STOP_MS;
    if (loop->accepts)
        shutdown(loop->site->listener, SHUT_RD); /* who knocks now is refused, and may knock elsewhere */
    for (connection = LIST_FIRST(&loop->all); connection != NULL; connection = next) {
        next = LIST_NEXT(connection, all);
        if (connection_is_cut(connection))
            connection_close(connection);
    }
}

static int timeout_ms(const struct loop *loop)
{
    int64_t next = waits_next_ms(&loop->waits, loop->now_ms);
    int64_t hurry = crew_hurry(loop->site->crew, loop->now_ms);
    int64_t also[] = {loop->accept_again_at_ms, loop->stop_at_ms, hurry < 0 ? 0 : loop->now_ms + hurry};

    if (!TAILQ_EMPTY(&loop->ready))
        return 0;
    for (size_t i = 0; i < sizeof also / sizeof also[0]; i++) {
        int64_t left = also[i] > loop->now_ms ? also[i] - loop->now_ms : 0;
        if (also[i] != 0 && (next < 0 || left < next))
            next = left;
    }
    return next > INT32_MAX ? INT32_MAX : (int)next;
}

static bool is_over(const struct loop *loop)
{
    return loop->stop_at_ms != 0 && (LIST_EMPTY(&loop->all) || loop->now_ms >= loop->stop_at_ms);
}

static void *loop_run(void *argument)
{
    struct loop *loop = argument;
    struct epoll_event events[EVENTS];

    loop->now_ms = clock_monotonic_ms();
    while (!is_over(loop)) {
        int count = epoll_wait(loop->epoll_fd, events, EVENTS, timeout_ms(loop));
        loop->now_ms = clock_monotonic_ms();
        for (int i = 0; i < count; i++)
            event_see(loop, &events[i]);
        ready_run(loop);
        expire(loop);
        accept_again(loop);
        if (loop->stop_at_ms == 0 && atomic_load(&loop->site->stopping))
            stop_begin(loop);
        bury(loop);
    }
    return NULL;
}

/* ---- its life ---- */

static void limits_set(struct loop *loop)
{
    const struct http_settings *settings = &loop->site->settings;

    loop->share = (int)((settings->max_connections + LOOPS - 1) / LOOPS);
    loop->waits.limit_ms[WAIT_HEAD] = settings->request_timeout_ms;
    loop->waits.limit_ms[WAIT_BODY] = 3 * settings->request_timeout_ms;
    loop->waits.limit_ms[WAIT_IDLE] = settings->keepalive_timeout_ms;
    loop->waits.limit_ms[WAIT_LINGER] = LINGER_MS;
    loop->stalled_ms = settings->send_timeout_ms < STALLED_MS ? settings->send_timeout_ms : STALLED_MS;
    loop->waits.limit_ms[WAIT_SEND] = LOOK_MS;
    loop->waits.limit_ms[WAIT_STALLED] = settings->send_timeout_ms - loop->stalled_ms;
    loop->waits.limit_ms[WAIT_PAUSE] = HTTP_LATER_MS;
}

static bool descriptors_open(struct loop *loop)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &loop->wake_fd};

    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return loop->epoll_fd >= 0 && loop->wake_fd >= 0 &&
           epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) == 0;
}

enum status loop_open(struct site *site, bool accepts, struct loop **out, struct error *error)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL)
        return error_set(error, ERROR_HOST, NULL, "out of memory");
    loop->site = site;
    loop->accepts = accepts;
    loop->epoll_fd = loop->wake_fd = -1;
    TAILQ_INIT(&loop->ready);
    STAILQ_INIT(&loop->mail);
    pthread_mutex_init(&loop->mail_mutex, NULL);
    waits_init(&loop->waits);
    limits_set(loop);
    *out = loop;
    if (!descriptors_open(loop))
        return error_set(error, ERROR_HOST, NULL, "cannot wait for connections: %s", strerror(errno));
    return STATUS_OK;
}

enum status loop_start(struct loop *loop, struct error *error)
{
    if (loop->accepts)
        listener_set(loop, EPOLL_CTL_ADD, EPOLLIN);
    int problem = pthread_create(&loop->thread, NULL, loop_run, loop);
    loop->running = problem == 0;
    if (problem != 0)
        return error_set(error, ERROR_HOST, NULL, "cannot start a thread: %s", strerror(problem));
    return STATUS_OK;
}

void loop_join(struct loop *loop)
{
    if (loop->running)
        pthread_join(loop->thread, NULL);
    loop->running = false;
}

void loop_free(struct loop *loop)
{
    struct connection *connection;

    if (loop == NULL)
        return;
    while ((connection = STAILQ_FIRST(&loop->mail)) != NULL) {
        STAILQ_REMOVE_HEAD(&loop->mail, mail);
        if (connection->state == CONNECTION_NEW)
            connection_free(connection);
    }
    while ((connection = LIST_FIRST(&loop->all)) != NULL) {
        LIST_REMOVE(connection, all);
        connection_free(connection);
    }
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    pthread_mutex_destroy(&loop->mail_mutex);
    free(loop);
}
