#include "service/http.h"

#include "core/log.h"
#include "service/handlers.h"
#include "service/http_range.h"
#include "service/target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    BODY_MAX = 64 * 1024,
    FILES_RESERVED = 64,  /* open files of the front end itself */
    FILES_PER_THREAD = 4, /* of a handle of the store */
    CONNECTIONS_LEAST = 16,
};

static const char JSON[] = "application/json";

/* One for each handler thread: a store handle, and the call that the thread serves. */
struct http_thread {
    const struct service *service;
    struct store *store;
    struct context context;
    struct call call;
    struct answer answer;
    char path[TARGET_SIZE], query[TARGET_SIZE]; /* decoded */
};

/* ---- answers ---- */

static void json_give(struct answer *answer, struct http_response *response)
{
    static char NO_MEMORY[] = "{\"httpStatus\":\"INTERNAL_SERVER_ERROR\",\"error_code\":36501,"
                              "\"module_name\":\"PacketCapture\",\"error_message\":\"out of memory\"}";

    response->status = answer->body == NULL ? 500 : answer->status;
    response->body = answer->body == NULL ? NO_MEMORY : answer->body;
    response->body_is_constant = answer->body == NULL;
    response->body_length = strlen(response->body);
    response->content_type = JSON;
}

static void headers_add(struct http_response *response, const char *lines)
{
    size_t used = strlen(response->headers);

    snprintf(response->headers + used, sizeof response->headers - used, "%s", lines);
}

/* What the server refuses itself. */
static void refuse(int status, const char *message, struct http_response *response)
{
    struct answer answer = {0};

    answer_http_error(&answer, status, message);
    json_give(&answer, response);
}

/* ---- the capture file ---- */

static void range_refuse(struct http_thread *thread, struct http_response *response)
{
    const struct capture_file *file = &thread->answer.file;
    char line[64];

    errors_add(&thread->call.errors, ERROR_RANGE, "Range",
               "the range lies outside the file, which has %lld bytes", (long long)file->size);
    answer_errors(&thread->answer, &thread->call.errors);
    json_give(&thread->answer, response);
    snprintf(line, sizeof line, "bytes */%lld", (long long)file->size);
    http_add_header(response, "Content-Range", line);
}

/* Hands over the bytes from `first` on, which may lie in several files. Files of which nothing is sent stay
 * where they are. */
static bool pieces_give(struct capture_file *file, int64_t first, int64_t size,
                        struct http_response *response)
{
    response->pieces = calloc(file->count + 1, sizeof *response->pieces);
    for (size_t i = 0; i < file->count && size > 0 && response->pieces != NULL; i++) {
        struct file_piece *piece = &file->pieces[i];
        if (first >= piece->size) {
            first -= piece->size;
            continue;
        }
        int64_t here = piece->size - first < size ? piece->size - first : size;
        response->pieces[response->piece_count++] =
            (struct http_piece){.fd = piece->fd, .offset = piece->skip + first, .size = here};
        piece->fd = -1;
        size -= here;
        first = 0;
    }
    return response->pieces != NULL;
}

static void file_headers_add(const struct capture_file *file, struct http_response *response)
{
    char line[256];

    snprintf(line, sizeof line, "attachment; filename=\"%s\"", file->name);
    http_add_header(response, "Content-Disposition", line);
    http_add_header(response, "Accept-Ranges", file->whole_only ? "none" : "bytes");
    /* A proxy that stores the whole file before it sends any of it would only be in the way. */
    http_add_header(response, "X-Accel-Buffering", "no");
}

static void file_give(struct http_thread *thread, struct http_response *response)
{
    struct capture_file *file = &thread->answer.file;
    int64_t first = 0, last = file->size - 1;
    char line[96];

    /* Where bytes do not keep their places, a part of now would be put behind a part of before. */
    const char *wanted = file->whole_only ? NULL : http_header(thread->call.request, "Range");
    response->status = 200;
    switch (range_parse(wanted, file->size, &first, &last)) {
    case RANGE_UNSATISFIABLE:
        range_refuse(thread, response);
        return;
    case RANGE_PART:
        response->status = 206;
        snprintf(line, sizeof line, "bytes %lld-%lld/%lld", (long long)first, (long long)last,
                 (long long)file->size);
        http_add_header(response, "Content-Range", line);
        break;
    case RANGE_WHOLE:
        break;
    }
    if (!pieces_give(file, first, last - first + 1, response)) {
        json_give(&(struct answer){0}, response);
        return;
    }
    response->content_type = "application/octet-stream";
    file_headers_add(file, response);
}

/* ---- requests ---- */

static void store_need(struct http_thread *thread)
{
    char path[DATA_PATH_SIZE];
    struct error error;

    if (thread->store == NULL && store_open(data_dir_path(thread->service->directory, "pktcapd.db", path),
                                            &thread->store, &error) != STATUS_OK) {
        log_error("%s", error.message);
        errors_add_error(&thread->call.errors, &error);
    }
    thread->context = (struct context){.service = thread->service, .store = thread->store};
}

static void call_fill(struct http_thread *thread, const struct http_request *request)
{
    struct call *call = &thread->call;

    *call = (struct call){
        .context = &thread->context,
        .request = request,
        .method = request->method,
        .path = thread->path,
        .content_type = http_header(request, "Content-Type"),
        .body = request->body,
        .body_length = request->body_length,
    };
    target_read(request, thread->path, thread->query, call);
    store_need(thread);
}

static void handle(void *state, const struct http_request *request, struct http_response *response)
{
    struct http_thread *thread = state;

    if (thread == NULL) {
        json_give(&(struct answer){0}, response);
        return;
    }
    struct answer *answer = &thread->answer;
    call_fill(thread, request);
    call_handle(&thread->call, answer);
    headers_add(response, answer->headers);
    if (answer->has_file) {
        file_give(thread, response);
        op_close_capture_file(&answer->file);
    } else {
        json_give(answer, response);
    }
    log_debug("%s %s %s %d", request->peer, request->method, thread->path, response->status);
}

/* ---- the server ---- */

static void *thread_open(void *context)
{
    struct http_thread *thread = calloc(1, sizeof *thread);

    if (thread != NULL)
        thread->service = context;
    return thread;
}

static void thread_close(void *state)
{
    struct http_thread *thread = state;

    if (thread != NULL)
        store_close(thread->store);
    free(thread);
}

/* Each has its descriptor, and may download a file. */
int64_t http_max_connections(const struct config *config)
{
    int64_t reserved = FILES_RESERVED + FILES_PER_THREAD * config->http_threads;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT32_MAX)
        return config->max_connections;
    int64_t possible = ((int64_t)limit.rlim_cur - reserved) / 2;
    if (possible < CONNECTIONS_LEAST)
        possible = CONNECTIONS_LEAST;
    return possible < config->max_connections ? possible : config->max_connections;
}

enum status http_open(struct service *service, struct tls *tls, struct http_server **server,
                      struct error *error)
{
    const struct config *config = service->config;
    _Static_assert(sizeof service->api_address == HTTP_ADDRESS_SIZE, "one is written to the other");
    const struct http_settings settings = {
        .listen = config->listen,
        .address = service->api_address,
        .max_connections = http_max_connections(config),
        .max_connections_per_address = config->max_connections_per_address,
        .max_header = config->max_header_kb * 1024,
        .max_body = BODY_MAX,
        .request_timeout_ms = config->request_timeout * 1000,
        .keepalive_timeout_ms = config->keepalive_timeout * 1000,
        .send_timeout_ms = config->send_timeout * 1000,
        .threads = config->http_threads,
        .context = service,
        .thread_open = thread_open,
        .thread_close = thread_close,
        .handler = handle,
        .refuse = refuse,
    };

    return http_server_open(&settings, tls, server, error);
}
