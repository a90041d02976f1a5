#include "service/operations.h"

#include "core/clock.h"
#include "core/log.h"
#include "host/doorbell.h"
#include "service/validate.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TERMINATE_WAIT_MS = 5000 };

static enum status failed(struct errors *errors, const struct error *error)
{
    errors_add_error(errors, error);
    return error->status;
}

enum status op_create_session(const struct context *context, const struct packet_capture_request *request,
                              struct session *session, struct errors *errors)
{
    const struct service *service = context->service;
    struct error error;

    validate_request(service, request, errors);
    if (errors->count > 0)
        return errors->items[0].status;
    memset(session, 0, sizeof *session);
    session->request = *request;
    session->limits = effective_limits(service->config, request);
    session->run.number = 1;
    session->run.state = STATE_CREATED;
    session->create_time_ms = clock_now_ms();
    uuid_make(session->id);
    session->last_modified_time_ms = session->run.created_ms = session->create_time_ms;
    snprintf(session->node_id, sizeof session->node_id, "%s", service->node_id);
    snprintf(session->create_user, sizeof session->create_user, "%s", context->who->user);
    memcpy(session->api_address, service->api_address, sizeof session->api_address);
    snprintf(session->last_modified_user, sizeof session->last_modified_user, "%s", context->who->user);
    if (store_insert_session(context->store, session, NULL, &error) != STATUS_OK)
        return failed(errors, &error);
    doorbell_ring(service->directory);
    return STATUS_OK;
}

enum status op_get_session(const struct context *context, const char *text, struct session *session,
                           struct errors *errors)
{
    char id[UUID_SIZE];
    struct error error;

    if (!validate_id(text, id, errors))
        return STATUS_NOT_FOUND;
    if (store_get_session(context->store, id, 0, session, &error) != STATUS_OK)
        return failed(errors, &error);
    return STATUS_OK;
}

enum status op_restart_session(const struct context *context, const char *text, struct session *session,
                               struct errors *errors)
{
    const struct restart restart = {.user = context->who->user, .point = "", .now_ms = clock_now_ms()};
    char id[UUID_SIZE];
    struct error error;

    if (!validate_id(text, id, errors))
        return STATUS_NOT_FOUND;
    if (store_restart_session(context->store, id, &restart, &error) != STATUS_OK)
        return failed(errors, &error);
    doorbell_ring(context->service->directory);
    return op_get_session(context, id, session, errors);
}

enum status op_terminate_session(const struct context *context, const char *text, struct session *session,
                                 struct errors *errors)
{
    int64_t give_up_ms = clock_monotonic_ms() + TERMINATE_WAIT_MS;
    char id[UUID_SIZE];
    struct error error;

    if (!validate_id(text, id, errors))
        return STATUS_NOT_FOUND;
    if (store_request_stop(context->store, id, context->who->user, clock_now_ms(), &error) != STATUS_OK)
        return failed(errors, &error);
    doorbell_ring(context->service->directory);
    for (long pause_ms = 2;; pause_ms = pause_ms < 50 ? 2 * pause_ms : 50) {
        enum status status = op_get_session(context, id, session, errors);
        if (status != STATUS_OK || session_state_has_ended(session->run.state) ||
            clock_monotonic_ms() >= give_up_ms)
            return status;
        nanosleep(&(struct timespec){.tv_nsec = pause_ms * NS_PER_MS}, NULL);
    }
}

/* The row goes first: files without a row are swept later, a row without its files would lie. Only where the
 * disk is so full that the row cannot go, the files of a session that has ended make room for that. */
static enum status delete_one(const struct context *context, const struct session *session,
                              struct error *error)
{
    const struct data_dir *directory = context->service->directory;
    struct error leftover;
    enum status status = store_delete_session(context->store, session->id, error);

    if (status == STATUS_RESOURCE_EXHAUSTED && session_state_has_ended(session->run.state) &&
        data_dir_remove_session(directory, session->id, &leftover) == STATUS_OK)
        status = store_delete_session(context->store, session->id, error);
    if (status == STATUS_OK && data_dir_remove_session(directory, session->id, &leftover) != STATUS_OK)
        log_warning("%s; the next start of the worker tries again", leftover.message);
    return status;
}

enum status op_delete_session(const struct context *context, const char *text, struct session *session,
                              struct errors *errors)
{
    char id[UUID_SIZE];
    struct error error;

    if (!validate_id(text, id, errors))
        return STATUS_NOT_FOUND;
    if (store_get_session(context->store, id, 0, session, &error) != STATUS_OK ||
        delete_one(context, session, &error) != STATUS_OK)
        return failed(errors, &error);
    return STATUS_OK;
}

/* ---- lists ---- */

static const char *sort_of(const struct list_request *request)
{
    return request->sort_by == NULL ? "starttime" : request->sort_by; /* the same order to the store */
}

/* A cursor is the place of the page's last row, in hexadecimal: "1" (ascending) or "0", the sort, the key and
 * the value. It is opaque to clients, and refused with another order than it was made for. */
static void cursor_make(const struct list_request *request, const struct list_page *page, char *out,
                        size_t size)
{
    char text[1200];
    size_t used = 0;

    snprintf(text, sizeof text, "%d %s %lld %s", !request->descending, sort_of(request),
             (long long)page->last_key, page->last_value);
    out[0] = '\0';
    for (const char *c = text; *c != '\0' && used + 3 <= size; c++)
        used += (size_t)snprintf(out + used, size - used, "%02x", (unsigned char)*c);
}

static bool hex_decode(const char *hex, char *out, size_t size)
{
    size_t length = strlen(hex) / 2;

    if (strlen(hex) % 2 != 0 || length >= size)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        if (!isxdigit((unsigned char)hex[2 * i]) || !isxdigit((unsigned char)hex[2 * i + 1]) ||
            sscanf(hex + 2 * i, "%2x", &byte) != 1 || byte == 0)
            return false;
        out[i] = (char)byte;
    }
    out[length] = '\0';
    return true;
}

static bool cursor_read(const struct list_request *request, struct list_query *query)
{
    char text[1200], sort[32];
    int ascending, used = 0;
    long long key;

    if (!hex_decode(request->cursor, text, sizeof text) ||
        sscanf(text, "%d %31s %lld%n", &ascending, sort, &key, &used) != 3 || text[used] != ' ' ||
        ascending != !request->descending || strcmp(sort, sort_of(request)) != 0)
        return false;
    query->has_after = true;
    query->after_key = key;
    snprintf(query->after_value, sizeof query->after_value, "%s", text + used + 1);
    return true;
}

enum status op_list_sessions(const struct context *context, const struct list_request *request,
                             session_visitor visit, void *visitor_context, struct list_response *response,
                             struct errors *errors)
{
    struct list_query query = {.sort_by = request->sort_by,
                               .descending = request->descending,
                               .page_size = request->page_size,
                               .visit_file = request->visit_file};
    struct list_page page;
    struct error error;

    if (request->cursor != NULL && !cursor_read(request, &query)) {
        errors_add(errors, ERROR_BAD_PARAMETER, "cursor",
                   "the cursor is none that this list gave out with the same sort_by and sort_ascending");
        return STATUS_INVALID_ARGUMENT;
    }
    if (store_list_sessions(context->store, &query, visit, visitor_context, &page, &error) != STATUS_OK)
        return failed(errors, &error);
    *response = (struct list_response){.total = page.total};
    if (page.has_more)
        cursor_make(request, &page, response->cursor, sizeof response->cursor);
    return STATUS_OK;
}

/* ---- delete all ---- */

enum { DELETE_PAGE = 200 };

struct doomed {
    size_t count;
    char ids[DELETE_PAGE][UUID_SIZE];
};

static void doomed_add(void *visitor_context, const struct session *session)
{
    struct doomed *doomed = visitor_context;

    memcpy(doomed->ids[doomed->count++], session->id, UUID_SIZE);
}

/* Deletes one page and shows what went. A session that was restarted or deleted meanwhile is passed over. */
static enum status doomed_delete(const struct context *context, const struct doomed *doomed,
                                 struct session *session, session_visitor visit, void *visitor_context,
                                 struct error *error)
{
    for (size_t i = 0; i < doomed->count; i++) {
        enum status status = store_get_session(context->store, doomed->ids[i], 0, session, error);
        if (status == STATUS_OK)
            status = delete_one(context, session, error);
        if (status == STATUS_OK)
            visit(visitor_context, session);
        else if (status != STATUS_FAILED_PRECONDITION && status != STATUS_NOT_FOUND)
            return status;
    }
    return STATUS_OK;
}

enum status op_delete_sessions(const struct context *context, session_visitor visit, void *visitor_context,
                               struct errors *errors)
{
    struct list_query query = {.ended_only = true, .page_size = DELETE_PAGE};
    struct list_page page = {.has_more = true};
    struct session *session = malloc(sizeof *session);
    struct doomed doomed;
    struct error error;
    enum status status = STATUS_OK;

    if (session == NULL)
        status = error_set(&error, ERROR_INTERNAL, NULL, "out of memory");
    while (status == STATUS_OK && page.has_more) {
        doomed.count = 0;
        status = store_list_sessions(context->store, &query, doomed_add, &doomed, &page, &error);
        if (status == STATUS_OK)
            status = doomed_delete(context, &doomed, session, visit, visitor_context, &error);
        query.has_after = true;
        query.after_key = page.last_key;
    }
    free(session);
    return status == STATUS_OK ? STATUS_OK : failed(errors, &error);
}

/* ---- capture points ---- */

enum status op_list_points(const struct context *context, const struct points_request *request,
                           const struct point_visitor *visitor, bool *known,
                           struct broker_abilities *abilities, struct errors *errors)
{
    struct broker *broker = broker_connect(context->service->directory);
    struct error error;
    enum status status = point_list(broker, request->cappoint, request->netns, visitor, &error);

    if (status != STATUS_OK)
        errors_add_error(errors, &error);
    *known = broker != NULL && broker_abilities(broker, abilities, &error) == STATUS_OK;
    if (broker != NULL)
        broker_close(broker);
    return status;
}
