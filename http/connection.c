#include "http/connection.h"

#include "http/loop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { DISCARD_MAX = 1 << 20 }; /* what a client may still send behind a refusal */

static void answer_send(struct connection *connection);

/* ---- its life ---- */

struct connection *connection_open(struct loop *loop, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);

    if (connection == NULL)
        return NULL;
    connection->loop = loop;
    connection->transport.fd = fd;
    return connection;
}

void connection_begin(struct connection *connection, struct tls_connection *tls)
{
    connection->transport.tls = tls;
    connection->state = tls == NULL ? CONNECTION_HEAD : CONNECTION_HANDSHAKE;
    connection->readable = connection->writable = true;
    loop_wait_for(connection->loop, connection, WAIT_HEAD);
    loop_make_ready(connection->loop, connection);
}

static void exchange_free(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;

    if (exchange == NULL)
        return;
    output_free(&exchange->output);
    free(exchange->text);
    free(exchange->body);
    free(exchange);
    connection->exchange = NULL;
}

void connection_close(struct connection *connection)
{
    if (connection->state == CONNECTION_CLOSED)
        return;
    connection->state = CONNECTION_CLOSED;
    transport_close(&connection->transport);
    loop_forget(connection->loop, connection);
}

void connection_free(struct connection *connection)
{
    transport_close(&connection->transport);
    exchange_free(connection);
    free(connection->in);
    free(connection);
}

bool connection_is_cut(const struct connection *connection)
{
    const struct exchange *exchange = connection->exchange;

    switch (connection->state) {
    case CONNECTION_HANDLING:
    case CONNECTION_NEW:
    case CONNECTION_CLOSED:
        return false;
    case CONNECTION_SENDING:
        return exchange->output.response.pieces != NULL || exchange->output.response.produce != NULL;
    case CONNECTION_HANDSHAKE:
    case CONNECTION_IDLE:
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
    case CONNECTION_PAUSED:
    case CONNECTION_LINGERING:
        return true;
    }
    return true;
}

/* From now on the client is to take something. */
static void send_wait(struct connection *connection)
{
    connection->read_ms = connection->loop->now_ms;
    connection->queued = transport_queued(&connection->transport);
    loop_wait_for(connection->loop, connection, WAIT_SEND);
}

/* ---- answers by the server itself ---- */

void connection_refuse(struct connection *connection, int status, const char *message)
{
    const struct http_settings *settings = &connection->loop->site->settings;

    if (connection->exchange == NULL)
        connection->exchange = calloc(1, sizeof *connection->exchange);
    struct exchange *exchange = connection->exchange;
    if (exchange == NULL) {
        connection_close(connection);
        return;
    }
    struct http_response *response = &exchange->output.response;
    const struct output_form form = {.tls = connection->transport.tls != NULL, .minor = 1};
    settings->refuse(status, message, response);
    response->status = status;
    if (status == 503)
        (void)http_add_header(response, "Retry-After", "1");
    connection->state = CONNECTION_SENDING;
    send_wait(connection);
    if (output_start(&exchange->output, &form, &exchange->keep))
        answer_send(connection);
    else
        connection_close(connection);
}

/* ---- the request ---- */

/* To a handler thread, which owns the connection then, unless all are busy and too many wait. */
static void hand_over(struct connection *connection)
{
    struct loop *loop = connection->loop;

    connection->state = CONNECTION_HANDLING;
    connection->became_writable = false;
    loop_wait_for(loop, connection, WAIT_NONE);
    if (crew_take(loop->site->crew, connection))
        return;
    if (connection->exchange->begun) { /* more of a body: it can wait */
        connection->state = CONNECTION_PAUSED;
        loop_wait_for(loop, connection, WAIT_PAUSE);
        return;
    }
    connection_refuse(connection, 503, "the service has too many requests to answer; try again");
}

void connection_submit(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    struct http_request *request = &exchange->head.request;

    memcpy(request->peer, connection->peer, sizeof request->peer);
    request->secure = connection->transport.tls != NULL;
    request->body = exchange->body == NULL ? "" : exchange->body;
    if (exchange->body != NULL)
        exchange->body[request->body_length] = '\0';
    if (connection->in_used == 0)
        connection_release_input(connection);
    hand_over(connection);
}

/* ---- the answer ---- */

static void linger(struct connection *connection)
{
    connection->state = CONNECTION_LINGERING;
    connection->discarded = 0;
    connection_release_input(connection);
    transport_finish(&connection->transport);
    loop_wait_for(connection->loop, connection, WAIT_LINGER);
    loop_make_ready(connection->loop, connection);
}

/* A close with bytes unread would take the answer back from a client that is still sending. */
static void linger_step(struct connection *connection)
{
    ssize_t got = 1;

    while (got > 0 && connection->discarded < DISCARD_MAX) {
        got = transport_discard(&connection->transport);
        connection->discarded += got > 0 ? (size_t)got : 0;
    }
    if (got != TRANSPORT_AGAIN)
        connection_close(connection);
}

static void exchange_done(struct connection *connection)
{
    bool keep = connection->exchange->keep && !atomic_load(&connection->loop->site->stopping);

    exchange_free(connection);
    if (!keep) {
        linger(connection);
        return;
    }
    connection->skipped_line = false;
    connection->state = CONNECTION_IDLE;
    loop_wait_for(connection->loop, connection, WAIT_IDLE);
    loop_make_ready(connection->loop, connection);
}

static void progress_follow(struct connection *connection, enum output_progress progress, bool taken)
{
    struct loop *loop = connection->loop;

    switch (progress) {
    case OUTPUT_DONE:
        exchange_done(connection);
        break;
    case OUTPUT_TURN:
        loop_make_ready(loop, connection);
        send_wait(connection);
        break;
    case OUTPUT_AGAIN:
        connection->writable = false;
        if (taken)
            send_wait(connection);
        break;
    case OUTPUT_PRODUCE:
        hand_over(connection);
        break;
    case OUTPUT_LATER:
        connection->state = CONNECTION_PAUSED;
        loop_wait_for(loop, connection, WAIT_PAUSE);
        break;
    case OUTPUT_FAILED:
        connection_close(connection);
        break;
    }
}

static void answer_send(struct connection *connection)
{
    bool taken;

    if (!connection->writable)
        return;
    enum output_progress progress =
        output_send(&connection->exchange->output, &connection->transport, &taken);
    progress_follow(connection, progress, taken);
}

/* The socket holds megabytes: it may take nothing for long while the client reads steadily. */
bool connection_look(struct connection *connection)
{
    struct loop *loop = connection->loop;
    int64_t queued = transport_queued(&connection->transport);
    bool reads = queued != connection->queued;

    if (reads)
        connection->read_ms = loop->now_ms;
    connection->queued = queued;
    if (connection->wait.kind == WAIT_STALLED && !reads) {
        transport_abort(&connection->transport);
        connection_close(connection);
        return true;
    }
    loop_wait_for(loop, connection,
                  loop->now_ms - connection->read_ms >= loop->stalled_ms ? WAIT_STALLED : WAIT_SEND);
    return false;
}

/* ---- on a handler thread ---- */

static bool answer_begin(struct connection *connection, void *thread_state)
{
    const struct site *site = connection->loop->site;
    struct exchange *exchange = connection->exchange;
    const struct head *head = &exchange->head;
    const struct output_form form = {
        .no_body = strcmp(head->request.method, "HEAD") == 0,
        .keep = !head->close && !atomic_load(&site->stopping),
        .tls = exchange->head.request.secure,
        .minor = head->request.minor,
    };

    exchange->begun = true;
    site->settings.handler(thread_state, &exchange->head.request, &exchange->output.response);
    return output_start(&exchange->output, &form, &exchange->keep);
}

void connection_handle(struct connection *connection, void *thread_state)
{
    struct exchange *exchange = connection->exchange;
    bool ok, taken;

    if (exchange->begun)
        ok = output_produce(&exchange->output, thread_state);
    else
        ok = answer_begin(connection, thread_state);
    connection->progress =
        ok ? output_send(&exchange->output, &connection->transport, &taken) : OUTPUT_FAILED;
    loop_deliver(connection->loop, connection);
}

void connection_handled(struct connection *connection)
{
    bool became_writable = connection->became_writable;

    connection->state = CONNECTION_SENDING;
    progress_follow(connection, connection->progress, true);
    if (connection->state != CONNECTION_SENDING && connection->state != CONNECTION_PAUSED)
        return;
    if (connection->loop->stop_at_ms != 0 && connection_is_cut(connection)) {
        connection_close(connection);
    } else if (became_writable) {
        /* The socket may have taken more since the handler thread found it full. */
        connection->writable = true;
        loop_make_ready(connection->loop, connection);
    }
}

/* ---- what happens ---- */

static bool handshake_step(struct connection *connection)
{
    int result = tls_handshake(connection->transport.tls);

    if (result == TLS_AGAIN)
        return false;
    if (result == TLS_FAILED) {
        connection_close(connection);
        return false;
    }
    connection->state = CONNECTION_HEAD;
    return true;
}

/* A body that is made slowly: whether its client is still there. */
static void paused_step(struct connection *connection)
{
    char byte;

    if (recv(connection->transport.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        connection_close(connection);
}

void connection_step(struct connection *connection)
{
    bool more = true;

    while (more) {
        more = false;
        switch (connection->state) {
        case CONNECTION_HANDSHAKE:
            more = handshake_step(connection);
            break;
        case CONNECTION_IDLE:
        case CONNECTION_HEAD:
            more = connection_read_head(connection);
            break;
        case CONNECTION_BODY:
            more = connection_read_body(connection);
            break;
        case CONNECTION_SENDING:
            answer_send(connection);
            break;
        case CONNECTION_PAUSED:
            paused_step(connection);
            break;
        case CONNECTION_LINGERING:
            linger_step(connection);
            break;
        case CONNECTION_NEW:
        case CONNECTION_HANDLING:
        case CONNECTION_CLOSED:
            break;
        }
    }
}

void connection_expire(struct connection *connection)
{
    bool said_something = connection->in_used > 0 || connection->state == CONNECTION_BODY;

    if (connection->state == CONNECTION_PAUSED)
        hand_over(connection);
    else if (connection->wait.kind == WAIT_SEND || connection->wait.kind == WAIT_STALLED)
        (void)connection_look(connection);
    else if ((connection->wait.kind == WAIT_HEAD || connection->wait.kind == WAIT_BODY) && said_something)
        connection_refuse(connection, 408, "the request did not arrive in time");
    else
        connection_close(connection);
}
