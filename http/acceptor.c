#include "http/acceptor.h"

#include "core/clock.h"
#include "core/log.h"
#include "http/listener.h"
#include "http/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TURN = 64, /* connections, before others have their turn */
    TELL_MS = 60 * 1000,
};

/* Which of two full loops can make room better: by closing one that waits for its request, or else one that
 * has not read of its answer for long. */
static bool has_better(const struct loop *one, const struct loop *other)
{
    int waiting = atomic_load(&one->waiting), others = atomic_load(&other->waiting);

    if (waiting == 0 && others == 0)
        return atomic_load(&one->stalled) > atomic_load(&other->stalled);
    return waiting > others;
}

/* The loop with most room, or, where all are full, the one that can make room best. */
static struct loop *loop_choose(const struct site *site)
{
    struct loop *chosen = site->loops[0];

    for (int i = 1; i < LOOPS; i++) {
        struct loop *one = site->loops[i];
        int count = atomic_load(&one->count), least = atomic_load(&chosen->count);
        bool full = count >= one->share && least >= chosen->share;
        if (full ? has_better(one, chosen) : count < least)
            chosen = one;
    }
    return chosen;
}

/* Closed without a word: an answer would need the very connection that is one too many. */
static void turn_away(struct site *site, int fd, const struct sockaddr_storage *peer)
{
    int64_t now_ms = clock_monotonic_ms();
    char text[HTTP_PEER_SIZE];

    close(fd);
    if (site->told_ms != 0 && now_ms - site->told_ms < TELL_MS)
        return;
    site->told_ms = now_ms;
    listener_peer(peer, text);
    log_warning("connections from %s were closed: it has %lld, the most that one address may have", text,
                (long long)site->settings.max_connections_per_address);
}

/* False: no memory. */
static bool deal_out(struct site *site, int fd, const struct sockaddr_storage *peer)
{
    const struct address_key address = address_key_of(peer);

    if (site->addresses != NULL && !addresses_enter(site->addresses, &address)) {
        turn_away(site, fd, peer);
        return true;
    }
    struct loop *loop = loop_choose(site);
    struct connection *connection = connection_open(loop, fd);
    int on = 1;

    if (connection == NULL) {
        close(fd);
        if (site->addresses != NULL)
            addresses_leave(site->addresses, &address);
        return false;
    }
    connection->address = address;
    /* Answers are written whole: waiting for more to send would only make them late. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    listener_peer(peer, connection->peer);
    atomic_fetch_add(&loop->count, 1);
    loop_deliver(loop, connection);
    return true;
}

/* What is wrong with one client's connection is no reason to stop taking others (accept(2)). */
static bool is_out_of_something(int problem)
{
    return problem == EMFILE || problem == ENFILE || problem == ENOBUFS || problem == ENOMEM;
}

bool acceptor_run(struct site *site)
{
    for (int i = 0; i < TURN; i++) {
        struct sockaddr_storage peer = {0};
        socklen_t size = sizeof peer;
        int fd = accept4(site->listener, (struct sockaddr *)&peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && !deal_out(site, fd, &peer))
            return false;
        if (fd < 0 && is_out_of_something(errno)) {
            log_warning("cannot take a connection in: %s", strerror(errno));
            return false;
        }
        if (fd < 0 && (errno == EAGAIN || errno == EINVAL))
            return true;
    }
    return true;
}
