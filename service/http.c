#include "service/http.h"

#include "core/log.h"
#include "service/handlers.h"
#include "service/http_range.h"

#include <civetweb.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum {
    BODY_MAX = 64 * 1024,
    DISCARD_MAX = 1 << 20,
    BODY_TOO_LARGE = -2,
    BODY_BROKEN = -1,
    DOWNLOAD_PIECE = 256 * 1024,
    HEADER_MAX = 1024,
    QUERY_MAX = 8192,
    ROOMY_STACK = 8 << 20,
};

struct http_server {
    const struct service *service;
    struct mg_context *civetweb;
    char address[160];
    char problem[256]; /* what civetweb said when it could not start */
};

/* One for each of civetweb's threads, whose stacks are too small for much: a store handle, and the request
 * that the thread serves. */
struct http_thread {
    struct store *store;
    struct context context;
    struct http_request request;
    struct call call;
    struct answer answer;
    char body[BODY_MAX + 1];
    char query[QUERY_MAX];
    char path[QUERY_MAX];
};

/* ---- answers ---- */

/* civetweb keeps a connection by the request's own words; this says so to the client. */
static bool client_closes(const struct mg_connection *connection)
{
    const char *header = mg_get_header(connection, "Connection");
    bool keep_alive = header != NULL && strcasestr(header, "keep-alive") != NULL;

    if (strcmp(mg_get_request_info(connection)->http_version, "1.1") == 0)
        return header != NULL && !keep_alive;
    return !keep_alive;
}

static int header_write(char *out, size_t size, const struct mg_connection *connection, int status,
                        const char *content_type, int64_t length, const char *extra, bool close)
{
    return snprintf(out, size,
                    "HTTP/1.1 %d %s\r\n"
                    "Content-Type: %s\r\n"
                    "Content-Length: %lld\r\n"
                    "Connection: %s\r\n"
                    "Cache-Control: no-store\r\n"
                    "X-Content-Type-Options: nosniff\r\n"
                    "%s\r\n",
                    status, http_reason(status), content_type, (long long)length,
                    close || client_closes(connection) ? "close" : "keep-alive", extra);
}

/* One write an answer: with two, Nagle's algorithm and delayed acknowledgements cost 40 ms. */
static void json_send(struct mg_connection *connection, const struct answer *answer, bool head, bool close)
{
    static const char NO_MEMORY[] = "{\"httpStatus\":\"INTERNAL_SERVER_ERROR\",\"error_code\":36501,"
                                    "\"module_name\":\"PacketCapture\",\"error_message\":\"out of memory\"}";
    const char *body = answer->body == NULL ? NO_MEMORY : answer->body;
    int status = answer->body == NULL ? 500 : answer->status;
    size_t length = strlen(body);
    char *whole = malloc(HEADER_MAX + length);

    if (whole == NULL) {
        mg_disable_connection_keep_alive(connection);
        return;
    }
    if (close)
        mg_disable_connection_keep_alive(connection);
    int used = header_write(whole, HEADER_MAX, connection, status, "application/json", (int64_t)length,
                            answer->headers, close);
    if (!head) {
        memcpy(whole + used, body, length);
        used += (int)length;
    }
    mg_write(connection, whole, (size_t)used);
    free(whole);
}

/* ---- the capture file ---- */

static void range_refuse(struct mg_connection *connection, const struct capture_file *file,
                         struct http_thread *thread, bool head)
{
    errors_add(&thread->call.errors, ERROR_RANGE, "Range",
               "the range lies outside the file, which has %lld bytes", (long long)file->size);
    answer_errors(&thread->answer, &thread->call.errors);
    snprintf(thread->answer.headers, sizeof thread->answer.headers, "Content-Range: bytes */%lld\r\n",
             (long long)file->size);
    json_send(connection, &thread->answer, head, false);
}

/* Sends `size` bytes of a file from `at` on. Returns how many were not sent. */
static int64_t piece_send(struct mg_connection *connection, int fd, int64_t at, int64_t size, char *buffer)
{
    while (size > 0) {
        ssize_t got = pread(fd, buffer, size < DOWNLOAD_PIECE ? (size_t)size : DOWNLOAD_PIECE, at);
        if (got <= 0 || mg_write(connection, buffer, (size_t)got) != got)
            break;
        at += got;
        size -= got;
    }
    return size;
}

/* Sends the bytes from `first` on, which may lie in several files. */
static void bytes_send(struct mg_connection *connection, const struct capture_file *file, int64_t first,
                       int64_t size)
{
    char *buffer = malloc(DOWNLOAD_PIECE);

    for (size_t i = 0; i < file->count && buffer != NULL && size > 0; i++) {
        const struct file_piece *piece = &file->pieces[i];
        if (first >= piece->size) {
            first -= piece->size;
            continue;
        }
        int64_t here = piece->size - first < size ? piece->size - first : size;
        int64_t unsent = piece_send(connection, piece->fd, piece->skip + first, here, buffer);
        size -= here - unsent;
        first = 0;
        if (unsent > 0)
            break;
    }
    /* What was announced and not sent can only be told by closing. */
    if (size > 0)
        mg_disable_connection_keep_alive(connection);
    free(buffer);
}

static void file_send(struct mg_connection *connection, struct http_thread *thread, bool head)
{
    const struct capture_file *file = &thread->answer.file;
    char header[HEADER_MAX], extra[384], range[96] = "";
    int64_t first = 0, last = file->size - 1;
    int status = 200;

    /* Where bytes do not keep their places, a part of now would be put behind a part of before. */
    const char *wanted = file->whole_only ? NULL : mg_get_header(connection, "Range");
    switch (range_parse(wanted, file->size, &first, &last)) {
    case RANGE_UNSATISFIABLE:
        range_refuse(connection, file, thread, head);
        return;
    case RANGE_PART:
        status = 206;
        snprintf(range, sizeof range, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)first,
                 (long long)last, (long long)file->size);
        break;
    case RANGE_WHOLE:
        break;
    }
    snprintf(extra, sizeof extra,
             "Content-Disposition: attachment; filename=\"%s\"\r\nAccept-Ranges: %s\r\n%s", file->name,
             file->whole_only ? "none" : "bytes", range);
    int used = header_write(header, sizeof header, connection, status, "application/octet-stream",
                            last - first + 1, extra, false);
    mg_write(connection, header, (size_t)used);
    if (!head)
        bytes_send(connection, file, first, last - first + 1);
}

/* ---- requests ---- */

/* Reads the body, whatever the method: GETs may carry one, and what is left unread would be taken for the
 * next request. Returns its length, BODY_TOO_LARGE or BODY_BROKEN (badly framed, or the client went away). */
static int64_t body_read(struct mg_connection *connection, char *body)
{
    int64_t length = 0;

    for (;;) {
        int got = mg_read(connection, body + length, (size_t)(BODY_MAX + 1 - length));
        if (got < 0)
            return BODY_BROKEN;
        length += got;
        if (got == 0)
            return length;
        if (length > BODY_MAX)
            return BODY_TOO_LARGE;
    }
}

static bool expects_continue(const struct mg_connection *connection)
{
    const char *expect = mg_get_header(connection, "Expect");

    return expect != NULL && strcasecmp(expect, "100-continue") == 0;
}

/* A close with bytes unread would take the answer back from a client that is still sending. */
static void body_discard(struct mg_connection *connection, char *body)
{
    int got = 1;

    for (int64_t left = DISCARD_MAX; left > 0 && got > 0; left -= got)
        got = mg_read(connection, body, BODY_MAX);
}

static int body_refuse(struct mg_connection *connection, int64_t problem, char *body)
{
    struct answer answer = {0};
    char message[96];

    snprintf(message, sizeof message, "the body is larger than %d bytes", BODY_MAX);
    if (problem == BODY_TOO_LARGE)
        answer_http_error(&answer, 413, message);
    else
        answer_http_error(&answer, 400, "the body cannot be read: it is badly framed, or ends too early");
    json_send(connection, &answer, false, true);
    free(answer.body);
    if (problem == BODY_TOO_LARGE && !expects_continue(connection))
        body_discard(connection, body);
    return answer.status;
}

/* Splits the query string in place. */
static void query_split(char *query, struct call *call)
{
    struct mg_header fields[PARAMETERS_MAX];
    int count = query[0] == '\0' ? 0 : mg_split_form_urlencoded(query, fields, PARAMETERS_MAX);

    if (count < 0 || count > PARAMETERS_MAX) {
        errors_add(&call->errors, ERROR_BAD_PARAMETER, NULL,
                   "the query string cannot be read, or has more than %d parameters", PARAMETERS_MAX);
        return;
    }
    for (int i = 0; i < count; i++)
        call->parameters[call->parameter_count++] = (struct parameter){fields[i].name, fields[i].value};
}

/* By ourselves: civetweb would cut the address off at a %00 and obey the rest, which a proxy in front read
 * otherwise. */
static const char *path_decode(const struct mg_request_info *info, struct http_thread *thread)
{
    const char *raw = info->local_uri_raw;
    int length = mg_url_decode(raw, (int)strlen(raw), thread->path, (int)sizeof thread->path, 0);
    const char *query = info->query_string == NULL ? "" : info->query_string;
    bool bad_query = strlen(query) >= sizeof thread->query || strstr(query, "%00") != NULL;

    if (length < 0 || bad_query || strlen(thread->path) != (size_t)length)
        errors_add(&thread->call.errors, ERROR_BAD_REQUEST, NULL,
                   "the address is too long, or holds a NUL character");
    return thread->path;
}

static void request_fill(const struct mg_request_info *info, struct http_request *request)
{
    *request = (struct http_request){.method = info->request_method};
    for (int i = 0; i < info->num_headers && i < HTTP_HEADERS_MAX; i++)
        request->headers[request->header_count++] =
            (struct http_header){info->http_headers[i].name, info->http_headers[i].value};
    snprintf(request->peer, sizeof request->peer, "%.45s", info->remote_addr);
}

static void store_need(const struct service *service, struct http_thread *thread)
{
    char path[DATA_PATH_SIZE];
    struct error error;

    if (thread->store == NULL && store_open(data_dir_path(service->directory, "pktcapd.db", path),
                                            &thread->store, &error) != STATUS_OK) {
        log_error("%s", error.message);
        errors_add_error(&thread->call.errors, &error);
    }
    thread->context = (struct context){.service = service, .store = thread->store};
}

static void *handle(void *argument)
{
    struct http_thread *thread = argument;

    call_handle(&thread->call, &thread->answer);
    return NULL;
}

/* Compiling a filter recurses deeper than civetweb's stacks are: such a call gets a stack of its own. */
static void handle_with_stack(struct http_thread *thread)
{
    pthread_attr_t attributes;
    pthread_t roomy;

    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, ROOMY_STACK);
    if (pthread_create(&roomy, &attributes, handle, thread) == 0)
        pthread_join(roomy, NULL);
    else
        answer_http_error(&thread->answer, 503, "the service is out of threads; try again");
    pthread_attr_destroy(&attributes);
}

static void call_answer(struct mg_connection *connection, struct http_thread *thread)
{
    struct answer *answer = &thread->answer;
    bool head = strcmp(thread->call.method, "HEAD") == 0;

    if (call_needs_stack(&thread->call))
        handle_with_stack(thread);
    else
        handle(thread);
    if (answer->has_file) {
        file_send(connection, thread, head);
        op_close_capture_file(&answer->file);
    } else {
        json_send(connection, answer, head, false);
    }
    log_debug("%s %s %s %d", mg_get_request_info(connection)->remote_addr, thread->call.method,
              thread->call.path, answer->status);
    free(answer->body);
}

/* Takes every request: what this returns is for civetweb's access log only. */
static int request_begin(struct mg_connection *connection)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    const struct http_server *server = mg_get_user_context_data(connection);
    struct http_thread *thread = mg_get_thread_pointer(connection);
    int64_t length = BODY_TOO_LARGE;

    if (info->content_length <= BODY_MAX) {
        if (expects_continue(connection))
            mg_write(connection, "HTTP/1.1 100 Continue\r\n\r\n", 25);
        length = body_read(connection, thread->body);
    }
    if (length < 0)
        return body_refuse(connection, length, thread->body);
    thread->body[length] = '\0';
    request_fill(info, &thread->request);
    thread->call = (struct call){
        .context = &thread->context,
        .request = &thread->request,
        .method = info->request_method,
        .content_type = mg_get_header(connection, "Content-Type"),
        .body = thread->body,
        .body_length = (size_t)length,
    };
    thread->answer = (struct answer){0};
    snprintf(thread->query, sizeof thread->query, "%s", info->query_string == NULL ? "" : info->query_string);
    thread->request.body = thread->body;
    thread->request.body_length = (size_t)length;
    thread->call.path = path_decode(info, thread);
    store_need(server->service, thread);
    query_split(thread->query, &thread->call);
    call_answer(connection, thread);
    return 200;
}

/* What civetweb refuses before it is a request: malformed lines, headers too large, timeouts. */
static int http_error(struct mg_connection *connection, int status, const char *message)
{
    struct answer answer = {0};

    answer_http_error(&answer, status, message == NULL || message[0] == '\0' ? http_reason(status) : message);
    json_send(connection, &answer, false, true);
    free(answer.body);
    return 0;
}

static int message_log(const struct mg_connection *connection, const char *message)
{
    struct http_server *server = mg_get_user_context_data(connection);

    /* The first message names the cause, those after it its consequences. */
    if (server != NULL && server->civetweb == NULL && server->problem[0] == '\0')
        snprintf(server->problem, sizeof server->problem, "%s", message);
    else
        log_debug("http: %s", message);
    return 1;
}

/* ---- the server ---- */

static void *thread_open(const struct mg_context *civetweb, int type)
{
    (void)civetweb;
    if (type != 1)
        return NULL;
    struct http_thread *thread = calloc(1, sizeof *thread);
    if (thread == NULL)
        abort(); /* at start: there is nobody to answer yet */
    return thread;
}

static void thread_close(const struct mg_context *civetweb, int type, void *pointer)
{
    struct http_thread *thread = pointer;

    (void)civetweb;
    (void)type;
    if (thread != NULL)
        store_close(thread->store);
    free(thread);
}

static void address_note(struct http_server *server)
{
    const char *listen = server->service->config->listen;
    const char *colon = strrchr(listen, ':');
    struct mg_server_port port;

    if (mg_get_server_ports(server->civetweb, 1, &port) == 1)
        snprintf(server->address, sizeof server->address, "%.*s:%d",
                 colon == NULL ? 0 : (int)(colon - listen), listen, port.port);
}

enum status http_open(const struct service *service, struct http_server **out, struct error *error)
{
    const struct config *config = service->config;
    struct http_server *server = calloc(1, sizeof *server);
    char threads[24];
    /* clang-format off */
    const char *options[] = {
        "listening_ports", config->listen,
        "num_threads", threads,
        "tcp_nodelay", "1",
        "enable_keep_alive", "yes",
        "keep_alive_timeout_ms", "15000",
        "request_timeout_ms", "30000",
        "connection_queue", "128",
        "listen_backlog", "1024",
        "access_control_allow_methods", "",
        "enable_auth_domain_check", "no",
        "decode_url", "no",
        NULL,
    };
    /* clang-format on */
    struct mg_callbacks callbacks = {
        .begin_request = request_begin,
        .http_error = http_error,
        .log_message = message_log,
        .init_thread = thread_open,
        .exit_thread = thread_close,
    };

    if (server == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    server->service = service;
    snprintf(threads, sizeof threads, "%lld", (long long)config->http_threads);
    mg_init_library(0);
    server->civetweb = mg_start(&callbacks, server, options);
    if (server->civetweb == NULL) {
        error_set(error, ERROR_HOST, "listen", "cannot listen on %s: %s", config->listen,
                  server->problem[0] == '\0' ? strerror(errno) : server->problem);
        free(server);
        return error->status;
    }
    address_note(server);
    *out = server;
    return STATUS_OK;
}

const char *http_address(const struct http_server *server)
{
    return server->address;
}

void http_close(struct http_server *server)
{
    mg_stop(server->civetweb);
    mg_exit_library();
    free(server);
}
