#include "service/operations.h"

#include "auth/access.h"
#include "auth/audit.h"
#include "core/clock.h"
#include "core/log.h"
#include "host/doorbell.h"
#include "service/cursor.h"
#include "service/validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TERMINATE_WAIT_MS = 5000 };

struct visit visit_of(const struct context *context)
{
    return (struct visit){.config = context->service->config,
                          .store = context->store,
                          .guard = context->service->guard,
                          .audit = context->service->audit,
                          .who = context->who,
                          .client = context->client};
}

static struct quota quota_of(const struct caller *who)
{
    const struct policy *policy = &who->role.policy;

    return (struct quota){.sessions = policy->max_sessions,
                          .stored_bytes = policy->max_stored_mb * 1000000,
                          .hourly = policy->max_hourly};
}

static void session_fill(const struct context *context, const struct packet_capture_request *request,
                         struct session *session)
{
    const struct service *service = context->service;
    const char *user = context->who->user;

    session->request = *request;
    session->limits = effective_limits(service->config, &context->who->role.policy, request);
    session->run.number = 1;
    session->run.state = STATE_CREATED;
    session->create_time_ms = clock_now_ms();
    uuid_make(session->id);
    session->last_modified_time_ms = session->run.created_ms = session->create_time_ms;
    session->quota_bytes = quota_of(context->who).stored_bytes;
    snprintf(session->node_id, sizeof session->node_id, "%s", service->node_id);
    snprintf(session->create_user, sizeof session->create_user, "%s", user);
    snprintf(session->last_modified_user, sizeof session->last_modified_user, "%s", user);
    snprintf(session->owner, sizeof session->owner, "%s", user);
    memcpy(session->api_address, service->api_address, sizeof session->api_address);
}

enum status op_create_session(const struct context *context, const struct packet_capture_request *request,
                              struct session *session, struct errors *errors)
{
    const struct quota quota = quota_of(context->who);
    struct error error;

    memset(session, 0, sizeof *session);
    validate_request(context, request, session->point, errors);
    if (errors->count > 0)
        return errors->items[0].status;
    session_fill(context, request, session);
    if (store_insert_session(context->store, session, &quota, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    doorbell_ring(context->service->directory);
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
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

/* What was allowed when the session was made may not be any more. An owner's quotas are the owner's, whoever
 * else has it captured again. */
enum status op_restart_session(const struct context *context, const char *id, struct session *session,
                               struct errors *errors)
{
    const struct quota quota = quota_of(context->who);
    char point[POINT_VALUE_SIZE];
    struct error error;

    if (op_get_session(context, id, session, errors) != STATUS_OK)
        return errors->items[0].status;
    bool own = strcmp(session->owner, context->who->user) == 0;
    struct restart restart = {.user = context->who->user,
                              .point = point,
                              .quota_bytes = own ? quota.stored_bytes : session->quota_bytes,
                              .quota = own ? &quota : NULL,
                              .now_ms = clock_now_ms()};
    validate_restart(context, &session->request, point, errors);
    if (errors->count > 0)
        return errors->items[0].status;
    if (store_restart_session(context->store, session->id, &restart, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    doorbell_ring(context->service->directory);
    return op_get_session(context, session->id, session, errors);
}

static enum status wait_for_end(const struct context *context, const char *id, struct session *session,
                                struct errors *errors)
{
    int64_t give_up_ms = clock_monotonic_ms() + TERMINATE_WAIT_MS;

    for (long pause_ms = 2;; pause_ms = pause_ms < 50 ? 2 * pause_ms : 50) {
        enum status status = op_get_session(context, id, session, errors);
        if (status != STATUS_OK || session_state_has_ended(session->run.state) ||
            clock_monotonic_ms() >= give_up_ms)
            return status;
        nanosleep(&(struct timespec){.tv_nsec = pause_ms * NS_PER_MS}, NULL);
    }
}

/* Who waits keeps a thread from others: when a quarter of them does, further ones get the state as it is. */
static bool may_wait(const struct service *service)
{
    return service->waiting == NULL ||
           atomic_fetch_add(service->waiting, 1) < (int)service->config->http_threads / 4;
}

enum status op_terminate_session(const struct context *context, const char *text, struct session *session,
                                 struct errors *errors)
{
    const struct service *service = context->service;
    char id[UUID_SIZE];
    struct error error;

    if (!validate_id(text, id, errors))
        return STATUS_NOT_FOUND;
    if (store_request_stop(context->store, id, context->who->user, clock_now_ms(), &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    doorbell_ring(service->directory);
    enum status status = may_wait(service) ? wait_for_end(context, id, session, errors)
                                           : op_get_session(context, id, session, errors);
    if (service->waiting != NULL)
        atomic_fetch_sub(service->waiting, 1);
    return status;
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
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

/* ---- lists ---- */

static const char *sort_of(const struct list_request *request)
{
    return request->sort_by == NULL ? "starttime" : request->sort_by; /* the same order to the store */
}

/* A cursor is the place of the page's last row: "1" (ascending) or "0", the sort, the key and the value. It
 * is refused with another order than it was made for. */
static void place_write(const struct list_request *request, const struct list_page *page, char *out,
                        size_t size)
{
    char text[1200];

    snprintf(text, sizeof text, "%d %s %lld %s", !request->descending, sort_of(request),
             (long long)page->last_key, page->last_value);
    cursor_write(text, out, size);
}

static bool place_read(const struct list_request *request, struct list_query *query)
{
    char text[1200], sort[32];
    int ascending, used = 0;
    long long key;

    if (!cursor_read(request->cursor, text, sizeof text) ||
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

    if (!access_sees_all(context->who)) {
        query.reader = context->who->user;
        query.groups = context->who->groups;
    }

    if (request->cursor != NULL && !place_read(request, &query)) {
        errors_add(errors, ERROR_BAD_PARAMETER, "cursor",
                   "the cursor is none that this list gave out with the same sort_by and sort_ascending");
        return STATUS_INVALID_ARGUMENT;
    }
    if (store_list_sessions(context->store, &query, visit, visitor_context, &page, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    *response = (struct list_response){.total = page.total};
    if (page.has_more)
        place_write(request, &page, response->cursor, sizeof response->cursor);
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
        if (status == STATUS_OK) {
            const struct visit who = visit_of(context);
            const struct act act = {OPERATION_DELETE_SESSION, session->id, "", "of all", 200, 0, false};
            audit_note(&who, &act);
            visit(visitor_context, session);
        } else if (status != STATUS_FAILED_PRECONDITION && status != STATUS_NOT_FOUND)
            return status;
    }
    return STATUS_OK;
}

enum status op_delete_sessions(const struct context *context, session_visitor visit, void *visitor_context,
                               struct errors *errors)
{
    struct list_query query = {.ended_only = true,
                               .page_size = DELETE_PAGE,
                               .owner = access_rules_all(context->who) ? NULL : context->who->user};
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
    return status == STATUS_OK ? STATUS_OK : errors_add_error(errors, &error);
}

/* ---- capture points ---- */

/* Shows a caller who may not capture everywhere what there is for the role. */
struct narrowed {
    const struct context *context;
    const struct point_visitor *visitor;
};

static unsigned cappoints_taken(const struct context *context, const struct point *point)
{
    const struct node_names node = {context->service->node_id, context->service->node_name};
    char value[POINT_VALUE_SIZE];
    unsigned taken = 0;

    point_value(point, value);
    for (int cappoint = CAPPOINT_VNIC; cappoint <= CAPPOINT_SEGMENTPORT; cappoint++)
        if (point->cappoints & 1u << cappoint &&
            policy_takes_point(&context->who->role.policy, &node, (enum cappoint)cappoint, value))
            taken |= 1u << cappoint;
    return taken;
}

static void narrow_point(void *visitor_context, const struct point_details *details)
{
    const struct narrowed *narrowed = visitor_context;
    struct point_details seen = *details;

    seen.point.cappoints = cappoints_taken(narrowed->context, &details->point);
    if (seen.point.cappoints != 0)
        narrowed->visitor->see_point(narrowed->visitor->context, &seen);
}

static void narrow_netns(void *visitor_context, const char *name, const char *missing)
{
    const struct narrowed *narrowed = visitor_context;

    if (policy_takes_netns(&narrowed->context->who->role.policy, name))
        narrowed->visitor->see_netns(narrowed->visitor->context, name, missing);
}

/* Auditors read everything; the others, what they may capture on. */
static bool sees_every_point(const struct caller *who)
{
    return who->role.kind != ROLE_OPERATOR || policy_takes_every_point(&who->role.policy);
}

enum status op_list_points(const struct context *context, const struct points_request *request,
                           const struct point_visitor *visitor, bool *known,
                           struct broker_abilities *abilities, struct errors *errors)
{
    struct broker *broker = broker_connect(context->service->directory);
    struct narrowed narrowed = {context, visitor};
    const struct point_visitor narrow = {&narrowed, narrow_point, narrow_netns};
    bool everything = sees_every_point(context->who);
    bool hidden = !everything && request->netns != NULL && request->netns[0] != '\0' &&
                  !policy_takes_netns(&context->who->role.policy, request->netns);
    struct error error = {.status = STATUS_NOT_FOUND, .code = ERROR_NO_SUCH_NETNS};
    enum status status = hidden ? STATUS_NOT_FOUND
                                : point_list(broker, request->cappoint, request->netns,
                                             everything ? visitor : &narrow, &error);

    /* The message names what is similar. */
    if (status != STATUS_OK && error.code == ERROR_NO_SUCH_NETNS && !everything)
        error_set(&error, ERROR_NO_SUCH_NETNS, "netns", "there is no network namespace %.128s",
                  request->netns);
    if (status != STATUS_OK)
        errors_add_error(errors, &error);
    *known = broker != NULL && broker_abilities(broker, abilities, &error) == STATUS_OK;
    if (broker != NULL)
        broker_close(broker);
    return status;
}
