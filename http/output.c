#include "http/output.h"

#include "core/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    HEAD_SIZE = 2048,
    TURN_SIZE = 256 * 1024, /* what a client gets before others have their turn */
    READ_AHEAD = 1 << 20,
    CHUNK_SIZE_LENGTH = 10, /* "0000ffff\r\n" */
    CHUNK_END_LENGTH = 7,   /* "\r\n0\r\n\r\n" */
};

/* What every answer says, whatever it is: the API is for programs, and no page may show or run it. */
static const char SECURITY[] = "Cache-Control: no-store\r\n"
                               "X-Content-Type-Options: nosniff\r\n"
                               "X-Frame-Options: DENY\r\n"
                               "Referrer-Policy: no-referrer\r\n"
                               "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n";
static const char STRICT_TRANSPORT[] = "Strict-Transport-Security: max-age=31536000\r\n";

/* ---- the head ---- */

static int64_t body_size(const struct http_response *response)
{
    int64_t size = (int64_t)response->body_length;

    for (size_t i = 0; i < response->piece_count; i++)
        size += response->pieces[i].size;
    return size;
}

/* RFC 9110, section 5.6.7; not strftime(), which follows the locale. */
static void date_write(char *out, size_t size)
{
    static const char DAYS[] = "SunMonTueWedThuFriSat", MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t now = (time_t)(clock_now_ms() / 1000);
    struct tm tm;

    gmtime_r(&now, &tm);
    snprintf(out, size, "%.3s, %02d %.3s %d %02d:%02d:%02d GMT", DAYS + (ptrdiff_t)3 * tm.tm_wday, tm.tm_mday,
             MONTHS + (ptrdiff_t)3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* The line that says where the body ends; none: where the connection does. */
static void length_write(const struct output *output, char *out, size_t size)
{
    out[0] = '\0';
    if (output->chunked)
        snprintf(out, size, "Transfer-Encoding: chunked\r\n");
    else if (!output->produces)
        snprintf(out, size, "Content-Length: %lld\r\n", (long long)body_size(&output->response));
}

static int head_write(const struct output *output, const struct output_form *form, bool keep)
{
    const struct http_response *response = &output->response;
    const char *type = response->content_type;
    char date[64], length[64];

    date_write(date, sizeof date);
    length_write(output, length, sizeof length);
    return snprintf(
        output->head, HEAD_SIZE, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%s%sConnection: %s\r\n%s%s%s\r\n",
        response->status, http_reason(response->status), date,
        type == NULL ? "" : "Content-Type: ", type == NULL ? "" : type, type == NULL ? "" : "\r\n", length,
        keep ? "keep-alive" : "close", SECURITY, form->tls ? STRICT_TRANSPORT : "", response->headers);
}

/* HEAD is told what GET would be, and no more. */
static void body_drop(struct output *output)
{
    output->produces = false;
    output->piece = output->response.piece_count;
    output->memory[1].iov_len = 0;
}

bool output_start(struct output *output, const struct output_form *form, bool *keep)
{
    struct http_response *response = &output->response;

    output->produces = response->produce != NULL;
    output->chunked = output->produces && form->minor >= 1;
    *keep = form->keep && !response->close && (!output->produces || output->chunked);
    if ((output->head = malloc(HEAD_SIZE)) == NULL)
        return false;
    int length = head_write(output, form, *keep);
    if (length >= HEAD_SIZE)
        return false;
    output->memory[0] = (struct iovec){output->head, (size_t)length};
    output->memory[1] = (struct iovec){response->body, response->body_length};
    if (form->no_body)
        body_drop(output);
    return true;
}

/* ---- sending ---- */

static void memory_forget(struct iovec memory[2], size_t sent)
{
    for (int i = 0; i < 2; i++) {
        size_t size = sent < memory[i].iov_len ? sent : memory[i].iov_len;
        memory[i].iov_base = (char *)memory[i].iov_base + size;
        memory[i].iov_len -= size;
        sent -= size;
    }
}

static ssize_t memory_send(struct output *output, const struct transport *transport)
{
    const struct iovec *from = output->memory[0].iov_len > 0 ? output->memory : output->memory + 1;
    int count = from == output->memory && output->memory[1].iov_len > 0 ? 2 : 1;
    bool more = output->piece < output->response.piece_count;
    ssize_t sent = transport_write(transport, from, count, more);

    if (sent > 0)
        memory_forget(output->memory, (size_t)sent);
    return sent;
}

/* So that the disk is ahead of the client, and sendfile() seldom waits for it. */
static void read_ahead(struct output *output, const struct http_piece *piece)
{
    if (output->piece_sent + READ_AHEAD / 2 < output->piece_ahead || output->piece_ahead >= piece->size)
        return;
    (void)posix_fadvise(piece->fd, piece->offset + output->piece_ahead, READ_AHEAD, POSIX_FADV_WILLNEED);
    output->piece_ahead += READ_AHEAD;
}

static ssize_t piece_send(struct output *output, const struct transport *transport, size_t room)
{
    const struct http_piece *piece = &output->response.pieces[output->piece];
    int64_t left = piece->size - output->piece_sent;
    size_t size = left < (int64_t)room ? (size_t)left : room;
    ssize_t sent = 0;

    if (size > 0) {
        read_ahead(output, piece);
        sent = transport_send_file(transport, piece->fd, piece->offset + output->piece_sent, size);
        if (sent == 0)
            return TRANSPORT_FAILED; /* the file has become shorter than was announced */
    }
    if (sent >= 0)
        output->piece_sent += sent;
    if (output->piece_sent == piece->size) {
        output->piece++;
        output->piece_sent = output->piece_ahead = 0;
    }
    return sent;
}

static bool has_memory(const struct output *output)
{
    return output->memory[0].iov_len > 0 || output->memory[1].iov_len > 0;
}

/* All that there is has been sent. */
static enum output_progress end(const struct output *output)
{
    if (!output->produces || output->finished)
        return OUTPUT_DONE;
    return output->later ? OUTPUT_LATER : OUTPUT_PRODUCE;
}

enum output_progress output_send(struct output *output, const struct transport *transport, bool *taken)
{
    size_t room = TURN_SIZE;

    *taken = false;
    while (room > 0) {
        ssize_t sent;
        if (has_memory(output))
            sent = memory_send(output, transport);
        else if (output->piece < output->response.piece_count)
            sent = piece_send(output, transport, room);
        else
            return end(output);
        if (sent < 0)
            return sent == TRANSPORT_AGAIN ? OUTPUT_AGAIN : OUTPUT_FAILED;
        *taken = *taken || sent > 0;
        room -= (size_t)sent < room ? (size_t)sent : room;
    }
    return OUTPUT_TURN;
}

/* ---- bodies made piece by piece ---- */

/* Puts what was produced into a chunk: its size goes before it, and the end of the body behind it. */
static void chunk_close(struct output *output, size_t used)
{
    char size[CHUNK_SIZE_LENGTH + 1];
    char *data = output->part + CHUNK_SIZE_LENGTH;
    size_t end = 0;

    snprintf(size, sizeof size, "%08zx\r\n", used);
    memcpy(output->part, size, CHUNK_SIZE_LENGTH);
    if (used > 0) {
        memcpy(data + used, "\r\n", 2);
        end = 2;
    }
    if (output->finished) {
        memcpy(data + used + end, "0\r\n\r\n", 5);
        end += 5;
    }
    /* An empty chunk would be the end of the body. */
    output->memory[0] =
        used > 0 ? (struct iovec){output->part, CHUNK_SIZE_LENGTH + used + end} : (struct iovec){data, end};
}

bool output_produce(struct output *output, void *thread_state)
{
    struct http_response *response = &output->response;

    if (output->part == NULL)
        output->part = malloc(CHUNK_SIZE_LENGTH + HTTP_PART_SIZE + CHUNK_END_LENGTH);
    if (output->part == NULL)
        return false;
    struct http_part part = {.data = output->part + CHUNK_SIZE_LENGTH, .size = HTTP_PART_SIZE};
    enum http_more more = response->produce(thread_state, response->produce_context, &part);
    if (more == HTTP_BREAK)
        return false;
    output->finished = more == HTTP_END;
    output->later = more == HTTP_LATER;
    if (output->chunked)
        chunk_close(output, part.used);
    else
        output->memory[0] = (struct iovec){part.data, part.used};
    return true;
}

void output_free(struct output *output)
{
    struct http_response *response = &output->response;

    for (size_t i = 0; i < response->piece_count; i++)
        close(response->pieces[i].fd);
    free(response->pieces);
    if (!response->body_is_constant)
        free(response->body);
    if (response->produce_close != NULL)
        response->produce_close(response->produce_context);
    free(output->head);
    free(output->part);
    *output = (struct output){0};
}
