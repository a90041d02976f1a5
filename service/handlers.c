#include "service/handlers.h"

#include "service/codec.h"
#include "service/handlers_parts.h"
#include "service/handlers_people.h"
#include "service/routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct session_view view_of(const struct call *call)
{
    return (struct session_view){.data_dir = call->context->service->directory->shown,
                                 .policy = route_is_policy(call->route)};
}

char *session_text(const struct call *call, struct session *session, struct errors *errors)
{
    struct session_view view = view_of(call);
    struct file_list *files = codec_files_open();
    char *text = NULL;

    view.files = files;
    if (files == NULL)
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    else if (op_list_files(call->context, session, codec_files_add, files, errors) == STATUS_OK)
        text = codec_encode_session(session, &view);
    if (files != NULL)
        codec_files_close(files);
    return text;
}

/* Where the client finds it, as it sees us. */
static void location_add(const struct call *call, const struct session *session, struct answer *answer)
{
    const struct client *client = call->context->client;
    char line[640];

    if (client->host[0] == '\0')
        snprintf(line, sizeof line, "Location: %s%s/%s", client->prefix, call->path, session->id);
    else
        snprintf(line, sizeof line, "Location: %s://%s%s%s/%s", client->secure ? "https" : "http",
                 client->host, client->prefix, call->path, session->id);
    answer_add_header(answer, line);
}

static void create_or_forecast(struct call *call, const struct packet_capture_request *request, bool dry_run,
                               struct answer *answer, struct errors *errors)
{
    const struct session_view view = view_of(call);
    struct session *session = dry_run ? NULL : malloc(sizeof *session);
    struct forecast *forecast = dry_run ? malloc(sizeof *forecast) : NULL;

    if (dry_run)
        snprintf(call->detail, sizeof call->detail, "dry run");
    if (session == NULL && forecast == NULL) {
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    } else if (!dry_run) {
        if (op_create_session(call->context, request, session, errors) == STATUS_OK) {
            snprintf(call->about, sizeof call->about, "%s", session->id);
            location_add(call, session, answer);
            answer->body = session_text(call, session, errors);
        }
    } else if (op_forecast_session(call->context, request, forecast, errors) == STATUS_OK) {
        answer->body = codec_encode_forecast(forecast, &view);
        answer->status = 200; /* nothing was created */
    }
    free(forecast);
    free(session);
}

static void create(struct call *call, struct answer *answer, struct errors *errors)
{
    struct packet_capture_request *request = malloc(sizeof *request);
    bool dry_run = parameter_boolean(call, "dry_run", false, errors);

    if (request == NULL)
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    else if (call->body_length == 0)
        errors_add(errors, ERROR_MALFORMED_JSON, NULL,
                   "the body is empty; it must be a PacketCaptureRequest");
    else {
        codec_decode_request(call->body, call->body_length, request, errors);
        /* A body that is no JSON at all has no fields to check. */
        bool malformed = errors->count > 0 && errors->items[0].code == ERROR_MALFORMED_JSON;
        if (!malformed)
            create_or_forecast(call, request, dry_run, answer, errors);
    }
    free(request);
}

typedef enum status (*session_operation)(const struct context *, const char *, struct session *,
                                         struct errors *);

static void one_session(const struct call *call, const char *id, session_operation operation,
                        struct answer *answer, struct errors *errors)
{
    struct session *session = malloc(sizeof *session);

    if (session == NULL)
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    else if (operation(call->context, id, session, errors) == STATUS_OK)
        answer->body = session_text(call, session, errors);
    free(session);
}

static void get_file(const struct call *call, const char *id, struct answer *answer, struct errors *errors)
{
    struct file_choice choice = {
        .run = (int32_t)parameter_integer(call, "run", 0, 1, INT32_MAX, errors),
        .number = (int32_t)parameter_integer(call, "file", 0, 1, INT32_MAX, errors),
    };

    if (errors->count == 0)
        answer->has_file =
            op_open_capture_file(call->context, id, choice, &answer->file, errors) == STATUS_OK;
}

static void list_request_read(const struct call *call, struct list_request *request, struct errors *errors)
{
    char names[128];

    *request = (struct list_request){
        .page_size = (int32_t)parameter_integer(call, "page_size", 1000, 1, 1000, errors),
        .sort_by = parameter_find(call, "sort_by"),
        .cursor = parameter_find(call, "cursor"),
        .descending = !parameter_boolean(call, "sort_ascending", true, errors),
        .visit_file = codec_list_add_file,
    };
    if (request->sort_by != NULL && names_find(&store_sort_names, request->sort_by) < 0)
        errors_add(errors, ERROR_BAD_PARAMETER, "sort_by", "sort_by has the value %.64s; it takes one of %s",
                   request->sort_by, names_list(&store_sort_names, names, sizeof names));
}

static void list_answer(struct session_list *list, int64_t total, const char *cursor,
                        const struct list_request *request, struct answer *answer)
{
    answer->body = codec_list_close(
        list, total, cursor, request->sort_by == NULL ? "starttime" : request->sort_by, !request->descending);
}

static void list(const struct call *call, struct answer *answer, struct errors *errors)
{
    const struct session_view view = view_of(call);
    struct session_list *sessions;
    struct list_request request;
    struct list_response response;

    list_request_read(call, &request, errors);
    if (errors->count > 0)
        return;
    if ((sessions = codec_list_open(&view)) == NULL)
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    else if (op_list_sessions(call->context, &request, codec_list_add, sessions, &response, errors) ==
             STATUS_OK)
        list_answer(sessions, response.total, response.cursor, &request, answer);
    else
        codec_list_abandon(sessions);
}

struct counting_list {
    struct session_list *sessions;
    int64_t count;
};

static void counting_add(void *visitor_context, const struct session *session)
{
    struct counting_list *counting = visitor_context;

    codec_list_add(counting->sessions, session);
    counting->count++;
}

static void delete_all(struct call *call, struct answer *answer, struct errors *errors)
{
    const struct session_view view = view_of(call);
    struct counting_list deleted = {codec_list_open(&view), 0};
    const struct list_request request = {0};

    if (deleted.sessions == NULL)
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    else if (op_delete_sessions(call->context, counting_add, &deleted, errors) == STATUS_OK)
        list_answer(deleted.sessions, deleted.count, "", &request, answer);
    else
        codec_list_abandon(deleted.sessions);
}

static void list_points(const struct call *call, struct answer *answer, struct errors *errors)
{
    const char *cappoint = parameter_find(call, "cappoint");
    int wanted = cappoint == NULL ? 0 : names_find(&cappoint_names, cappoint);
    struct points_request request = {.netns = parameter_find(call, "netns")};
    struct broker_abilities abilities;
    char names[128];
    bool known;

    if (wanted < 0) {
        errors_add(errors, ERROR_BAD_PARAMETER, "cappoint",
                   "cappoint has the value %.64s; it takes one of %s", cappoint,
                   names_list(&cappoint_names, names, sizeof names));
        return;
    }
    request.cappoint = (enum cappoint)wanted;
    struct points_list *list = codec_points_open();
    const struct point_visitor visitor = {list, codec_points_add, codec_points_add_netns};
    if (list == NULL)
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    else if (op_list_points(call->context, &request, &visitor, &known, &abilities, errors) == STATUS_OK)
        answer->body = codec_points_close(list, known ? &abilities : NULL);
    else
        codec_points_abandon(list);
}

void call_dispatch(struct call *call, const struct route_match *match, struct answer *answer,
                   struct errors *errors)
{
    switch (match->route->operation) {
    case OPERATION_CREATE_SESSION:
        create(call, answer, errors);
        break;
    case OPERATION_GET_SESSION:
        one_session(call, match->id, op_get_session, answer, errors);
        break;
    case OPERATION_RESTART_SESSION:
        one_session(call, match->id, op_restart_session, answer, errors);
        break;
    case OPERATION_TERMINATE_SESSION:
        one_session(call, match->id, op_terminate_session, answer, errors);
        break;
    case OPERATION_DELETE_SESSION:
        one_session(call, match->id, op_delete_session, answer, errors);
        break;
    case OPERATION_GET_CAPTURE_FILE:
        get_file(call, match->id, answer, errors);
        break;
    case OPERATION_LIST_SESSIONS:
        list(call, answer, errors);
        break;
    case OPERATION_DELETE_SESSIONS:
        delete_all(call, answer, errors);
        break;
    case OPERATION_LOGIN:
        login(call, answer, errors);
        break;
    case OPERATION_LOGOUT:
        logout(call, answer, errors);
        break;
    case OPERATION_LIST_POINTS:
        list_points(call, answer, errors);
        break;
    default:
        people_dispatch(call, match, answer, errors);
    }
}
