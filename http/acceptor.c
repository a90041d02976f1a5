#include "http/acceptor.h"

#include "core/log.h"
#include "http/listener.h"
#include "http/loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TURN = 64 }; /* connections, before others have their turn */

/* The loop with most room, or, where all are full, the one that can make room best. */
static struct loop *loop_choose(const struct site *site)
{
    struct loop *chosen = site->loops[0];

    for (int i = 1; i < LOOPS; i++) {
        struct loop *one = site->loops[i];
        int count = atomic_load(&one->count), least = atomic_load(&chosen->count);
        bool full = count >= one->share && least >= chosen->share;
        if (full ? atomic_load(&one->waiting) > atomic_load(&chosen->waiting) : count < least)
            chosen = one;
    }
    return chosen;
}

static bool deal_out(struct site *site, int fd, const struct sockaddr_storage *peer)
{
    struct loop *loop = loop_choose(site);
    struct connection *connection = connection_open(loop, fd);
    int on = 1;

    if (connection == NULL)
        return false;
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
        if (fd >= 0 && !deal_out(site, fd, &peer)) {
            close(fd);
            return false;
        }
        if (fd < 0 && is_out_of_something(errno)) {
            log_warning("cannot take a connection in: %s", strerror(errno));
            return false;
        }
        if (fd < 0 && (errno == EAGAIN || errno == EINVAL))
            return true;
    }
    return true;
}
