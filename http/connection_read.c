/* A connection's requests: what comes in, until it is a whole request. */
#include "http/connection.h"

#include "http/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_SIZE_FIRST = 2048, IN_SIZE_BODY = 8192 };

/* ---- input ---- */

enum input { INPUT_GOT, INPUT_AGAIN, INPUT_ENDED, INPUT_FAILED };

static bool input_grow(struct connection *connection, size_t most)
{
    size_t size = connection->in_size == 0 ? IN_SIZE_FIRST : 2 * connection->in_size;

    if (connection->in_used < connection->in_size)
        return true;
    if (size > most)
        size = most;
    char *grown = size > connection->in_size ? realloc(connection->in, size) : NULL;
    if (grown == NULL)
        return false;
    connection->in = grown;
    connection->in_size = size;
    return true;
}

/* Reads what has come, behind what is there already, of which there are at most `most` bytes. */
static enum input input_read(struct connection *connection, size_t most)
{
    if (!connection->readable)
        return INPUT_AGAIN;
    if (!input_grow(connection, most))
        return INPUT_FAILED;
    ssize_t got = transport_read(&connection->transport, connection->in + connection->in_used,
                                 connection->in_size - connection->in_used);
    if (got > 0) {
        connection->in_used += (size_t)got;
        return INPUT_GOT;
    }
    if (got == TRANSPORT_AGAIN) {
        connection->readable = false;
        return INPUT_AGAIN;
    }
    connection->ended = true;
    return got == 0 ? INPUT_ENDED : INPUT_FAILED;
}

static void input_drop(struct connection *connection, size_t size)
{
    connection->in_used -= size;
    memmove(connection->in, connection->in + size, connection->in_used);
}

void connection_release_input(struct connection *connection)
{
    free(connection->in);
    connection->in = NULL;
    connection->in_size = connection->in_used = 0;
}

/* The buffer becomes the head's; what is behind the head moves to a new one. */
static bool head_split(struct connection *connection, size_t size)
{
    size_t rest = connection->in_used - size;
    char *in = rest > 0 ? malloc(rest) : NULL;

    if (rest > 0 && in == NULL)
        return false;
    if (rest > 0)
        memcpy(in, connection->in + size, rest);
    connection->exchange->text = connection->in;
    connection->in = in;
    connection->in_used = connection->in_size = rest;
    connection->in_scanned = 0;
    return true;
}

/* Moves what has come of the body. Returns 1 when it is whole, 0 when not yet, or the status to refuse it
 * with. */
static int body_take(struct connection *connection, size_t max)
{
    struct exchange *exchange = connection->exchange;
    size_t *filled = &exchange->head.request.body_length, used = 0;

    if (!exchange->head.chunked) {
        size_t left = (size_t)exchange->head.content_length - *filled;
        used = connection->in_used < left ? connection->in_used : left;
        if (used > 0)
            memcpy(exchange->body + *filled, connection->in, used);
        *filled += used;
        input_drop(connection, used);
        return used == left;
    }
    enum chunked_progress progress = chunked_read(&exchange->chunked, connection->in, connection->in_used,
                                                  &used, exchange->body, max, filled);
    input_drop(connection, used);
    switch (progress) {
    case CHUNKED_PART:
        return 0;
    case CHUNKED_WHOLE:
        return 1;
    case CHUNKED_BROKEN:
        return 400;
    case CHUNKED_TOO_LARGE:
        return 413;
    }
    return 400;
}

static void body_refuse(struct connection *connection, int status)
{
    char message[96];

    snprintf(message, sizeof message, "the body is larger than %lld bytes",
             (long long)connection->loop->site->settings.max_body);
    connection_refuse(connection, status,
                      status == 413 ? message
                                    : "the body cannot be read: it is badly framed, or ends too early");
}

bool connection_read_body(struct connection *connection)
{
    size_t max = (size_t)connection->loop->site->settings.max_body;
    int outcome = connection->in_used > 0 ? body_take(connection, max) : 0;

    if (outcome == 1) {
        connection_submit(connection);
        return false;
    }
    enum input input = outcome == 0 ? input_read(connection, IN_SIZE_BODY) : INPUT_FAILED;
    if (outcome != 0)
        body_refuse(connection, outcome);
    else if (input == INPUT_ENDED)
        body_refuse(connection, 400);
    else if (input == INPUT_FAILED)
        connection_close(connection);
    return input == INPUT_GOT;
}

/* The client waits for this word before it sends the body (RFC 9110, section 10.1.1). */
static bool continue_send(struct connection *connection)
{
    static const char CONTINUE[] = "HTTP/1.1 100 Continue\r\n\r\n";
    const struct iovec part = {(char *)(uintptr_t)CONTINUE, sizeof CONTINUE - 1};

    if (!connection->exchange->head.expects_continue || connection->in_used > 0)
        return true;
    return transport_write(&connection->transport, &part, 1, false) == sizeof CONTINUE - 1;
}

static bool body_begin(struct connection *connection)
{
    struct exchange *exchange = connection->exchange;
    const struct head *head = &exchange->head;
    int64_t max = connection->loop->site->settings.max_body;

    if (head->content_length > max) {
        body_refuse(connection, 413);
        return false;
    }
    if (!head->chunked && head->content_length == 0) {
        connection_submit(connection);
        return false;
    }
    exchange->body = malloc((size_t)(head->chunked ? max : head->content_length) + 1);
    if (exchange->body == NULL || !continue_send(connection)) {
        connection_close(connection);
        return false;
    }
    connection->state = CONNECTION_BODY;
    loop_wait_for(connection->loop, connection, WAIT_BODY);
    return true;
}

static bool request_begin(struct connection *connection, size_t size)
{
    struct head_problem problem;

    connection->exchange = calloc(1, sizeof *connection->exchange);
    if (connection->exchange == NULL || !head_split(connection, size)) {
        connection_close(connection);
        return false;
    }
    struct exchange *exchange = connection->exchange;
    if (!head_read(exchange->text, size, &exchange->head, &problem)) {
        connection_refuse(connection, problem.status, problem.message);
        return false;
    }
    return body_begin(connection);
}

/* The first byte of a request starts its time, and an empty line before it is forgiven. */
static void request_notice(struct connection *connection)
{
    if (connection->in_used == 0)
        return;
    if (connection->state == CONNECTION_IDLE) {
        connection->state = CONNECTION_HEAD;
        loop_wait_for(connection->loop, connection, WAIT_HEAD);
    }
    if (!connection->skipped_line && connection->in_used >= 2 && memcmp(connection->in, "\r\n", 2) == 0) {
        connection->skipped_line = true;
        connection->in_scanned = 0;
        input_drop(connection, 2);
    }
}

bool connection_read_head(struct connection *connection)
{
    size_t max = (size_t)connection->loop->site->settings.max_header, size = 0;
    struct head_problem problem;
    enum head_progress progress = HEAD_PART;

    request_notice(connection);
    if (connection->in_used > connection->in_scanned)
        progress =
            head_find_end(connection->in, connection->in_used, max, &connection->in_scanned, &size, &problem);
    if (progress == HEAD_WHOLE)
        return request_begin(connection, size);
    if (progress == HEAD_BROKEN) {
        connection_refuse(connection, problem.status, problem.message);
        return false;
    }
    enum input input = input_read(connection, max + 1);
    if (input == INPUT_ENDED && connection->in_used > 0)
        connection_refuse(connection, 400, "the request ends within its head");
    else if (input == INPUT_ENDED || input == INPUT_FAILED)
        connection_close(connection);
    else if (connection->in_used == 0)
        connection_release_input(connection);
    return input == INPUT_GOT;
}
