#include "broker/server.h"

#include "broker/firewall.h"
#include "broker/message.h"
#include "broker/presence.h"
#include "core/clock.h"
#include "core/log.h"
#include "host/privileges.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Front ends ask and close: more than a few at once are a crowd of threads. */
enum { CLIENTS_MAX = 128, FIRST_CLIENT = 2, POLLED_MAX = FIRST_CLIENT + CLIENTS_MAX };

/* A session's table in the packet filter. */
struct hung {
    struct hung *next;
    struct firewall *firewall;
    int presence;
    char session[37];
};

struct server {
    struct namespaces *namespaces;
    bool firewall_wanted;
    struct hung *hung;
    size_t polled;
    struct pollfd ready[POLLED_MAX]; /* the worker, the listening socket, front ends: the oldest first */
    struct broker_request request;
    struct broker_answer answer;
};

/* ---- sockets ---- */

static uint64_t cookie_of(int fd, uint64_t otherwise)
{
    uint64_t cookie;
    socklen_t size = sizeof cookie;

    return getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) == 0 ? cookie : otherwise;
}

static int route_socket(void)
{
    struct sockaddr_nl any = {.nl_family = AF_NETLINK};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

    if (fd >= 0 && bind(fd, (const struct sockaddr *)&any, sizeof any) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static int packet_socket(int type, struct error *error)
{
    int fd = -1;

    if (type == SOCK_RAW || type == SOCK_DGRAM)
        fd = socket(AF_PACKET, type | SOCK_CLOEXEC, 0);
    else
        errno = EINVAL;
    if (fd < 0 && errno == EPERM)
        error_set(error, ERROR_NO_PRIVILEGE, NULL,
                  "no permission to capture: pktcap-worker lacks the capability CAP_NET_RAW");
    else if (fd < 0)
        error_set(error, ERROR_HOST, NULL, "cannot make a packet socket: %s", strerror(errno));
    return fd;
}

/* Makes a socket in the namespace of the request: it stays there. */
static int socket_make(struct server *server)
{
    const struct broker_request *request = &server->request;
    struct error *error = &server->answer.error;
    uint64_t number;
    int fd;

    if (namespaces_enter(server->namespaces, request->spec.netns, &number, error) != STATUS_OK)
        return -1;
    if (request->verb == VERB_PACKET_SOCKET)
        fd = packet_socket(request->type, error);
    else if ((fd = route_socket()) < 0)
        error_set(error, ERROR_HOST, NULL, "cannot make a route socket: %s", strerror(errno));
    namespaces_leave(server->namespaces);
    if (fd >= 0)
        server->answer.cookie = cookie_of(fd, number);
    return fd;
}

/* ---- the packet filter ---- */

static void hung_take_down(struct hung **at)
{
    struct hung *hung = *at;

    *at = hung->next;
    firewall_close(hung->firewall);
    if (hung->presence >= 0)
        close(hung->presence);
    free(hung);
}

static void firewall_take_down(struct server *server, const char *session)
{
    for (struct hung **at = &server->hung; *at != NULL; at = &(*at)->next)
        if (strcmp((*at)->session, session) == 0) {
            hung_take_down(at);
            return;
        }
}

/* In the namespace. What a crash left there goes first; the presence comes before the table, so that others'
 * sweeps spare it. */
static enum status firewall_hang(struct hung *hung, const struct firewall_spec *spec, int *fd,
                                 struct error *error)
{
    hung->presence = presence_show(spec->worker, spec->session);
    firewall_sweep(presence_seen, NULL);
    enum status status = firewall_open(spec, &hung->firewall, fd, error);
    if (status != STATUS_OK && hung->presence >= 0)
        close(hung->presence);
    return status;
}

static int firewall_make(struct server *server)
{
    const struct firewall_spec *spec = &server->request.spec;
    struct error *error = &server->answer.error;
    struct hung *hung = calloc(1, sizeof *hung);
    enum status status = STATUS_OK;
    uint64_t number;
    int fd = -1;

    firewall_take_down(server, spec->session);
    if (hung == NULL)
        status = error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    else if (!server->firewall_wanted || !privileges_have(CAP_NET_ADMIN))
        status = error_set(error, ERROR_NO_PRIVILEGE, "cappoint", "the worker lacks CAP_NET_ADMIN");
    else
        status = namespaces_enter(server->namespaces, spec->netns, &number, error);
    if (status == STATUS_OK) {
        status = firewall_hang(hung, spec, &fd, error);
        namespaces_leave(server->namespaces);
    }
    if (status != STATUS_OK) {
        free(hung);
        return -1;
    }
    memcpy(hung->session, spec->session, sizeof hung->session);
    hung->next = server->hung;
    server->hung = hung;
    return fd;
}

/* ---- requests ---- */

static void abilities_tell(const struct server *server, struct broker_abilities *abilities)
{
    abilities->capture = privileges_have(CAP_NET_RAW);
    abilities->netns = namespaces_usable(server->namespaces);
    abilities->firewall = server->firewall_wanted && privileges_have(CAP_NET_ADMIN) && firewall_usable();
}

static void listen_on(struct server *server, int *received)
{
    if (server->ready[1].fd >= 0 || *received < 0)
        return;
    server->ready[1].fd = *received;
    *received = -1;
}

/* Strings of a client end where it says, or where they must. */
static void request_bound(struct broker_request *request)
{
    struct firewall_spec *spec = &request->spec;

    spec->netns[sizeof spec->netns - 1] = spec->interface[sizeof spec->interface - 1] = '\0';
    spec->session[sizeof spec->session - 1] = spec->worker[sizeof spec->worker - 1] = '\0';
    request->netns[sizeof request->netns - 1] = '\0';
}

/* Fills the answer in and makes its descriptor; false if this client may not ask that. */
static bool serve(struct server *server, bool worker, int *received, int *fd)
{
    const struct broker_request *request = &server->request;
    struct broker_answer *answer = &server->answer;

    switch (request->verb) {
    case VERB_ROUTE_SOCKET:
        *fd = socket_make(server);
        return true;
    case VERB_LIST_NETNS:
        answer->count =
            (uint32_t)namespaces_list(server->namespaces, request->netns, answer->names, NAMES_A_PAGE);
        return true;
    case VERB_ABILITIES:
        abilities_tell(server, &answer->abilities);
        return true;
    case VERB_PACKET_SOCKET:
        *fd = worker ? socket_make(server) : -1;
        return worker;
    case VERB_PUBLISH:
        if (worker)
            listen_on(server, received);
        return worker;
    case VERB_FIREWALL_OPEN:
        *fd = worker ? firewall_make(server) : -1;
        return worker;
    case VERB_FIREWALL_CLOSE:
        if (worker)
            firewall_take_down(server, request->spec.session);
        return worker;
    default:
        return false;
    }
}

/* Serves one request of a client; false if it is to be dropped. */
static bool client_serve(struct server *server, int client, bool worker)
{
    int received, fd = -1;
    int got = message_receive(client, &server->request, sizeof server->request, &received);

    if (got <= 0)
        return got == 0;
    memset(&server->answer, 0, sizeof server->answer);
    server->answer.serial = server->request.serial;
    request_bound(&server->request);
    bool good = serve(server, worker, &received, &fd) &&
                message_send(client, &server->answer, sizeof server->answer, fd);
    if (fd >= 0)
        close(fd);
    if (received >= 0)
        close(received);
    return good;
}

/* ---- clients ---- */

static void client_drop(struct server *server, size_t at)
{
    close(server->ready[at].fd);
    server->polled--;
    memmove(&server->ready[at], &server->ready[at + 1], (server->polled - at) * sizeof *server->ready);
}

/* In a crowd the client that has been here the longest makes room: a front end asks again on a new
 * connection. */
static void client_accept(struct server *server)
{
    int fd = accept4(server->ready[1].fd, NULL, NULL, SOCK_CLOEXEC);

    if (fd < 0)
        return;
    if (server->polled == POLLED_MAX)
        client_drop(server, FIRST_CLIENT);
    server->ready[server->polled++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

/* False when the worker is gone. */
static bool round_serve(struct server *server)
{
    if (poll(server->ready, (nfds_t)server->polled, -1) < 0)
        return errno == EINTR;
    if (server->ready[0].revents != 0 && !client_serve(server, server->ready[0].fd, true))
        return false;
    bool knocks = server->ready[1].fd >= 0 && server->ready[1].revents != 0;
    for (size_t i = server->polled; i-- > FIRST_CLIENT;)
        if (server->ready[i].revents != 0 && !client_serve(server, server->ready[i].fd, false))
            client_drop(server, i);
    if (knocks)
        client_accept(server);
    return true;
}

void server_run(int worker, struct namespaces *namespaces, bool firewall)
{
    struct server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return;
    server->namespaces = namespaces;
    server->firewall_wanted = firewall;
    server->ready[0] = (struct pollfd){.fd = worker, .events = POLLIN};
    server->ready[1] = (struct pollfd){.fd = -1, .events = POLLIN};
    server->polled = FIRST_CLIENT;
    if (firewall && privileges_have(CAP_NET_ADMIN))
        firewall_sweep(presence_seen, NULL);
    while (round_serve(server))
        continue;
    while (server->hung != NULL)
        hung_take_down(&server->hung);
    free(server);
}
