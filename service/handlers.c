#include "service/handlers.h"

#include "service/codec.h"
#include "service/handlers_people.h"
#include "service/routes.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- errors ---- */

static const struct {
    int status;
    const char *name;   /* ApiError.httpStatus */
    const char *reason; /* of the status line */
} HTTP[] = {
    {200, "OK", "OK"},
    {201, "CREATED", "Created"},
    {206, "PARTIAL_CONTENT", "Partial Content"},
    {400, "BAD_REQUEST", "Bad Request"},
    {401, "UNAUTHORIZED", "Unauthorized"},
    {403, "FORBIDDEN", "Forbidden"},
    {404, "NOT_FOUND", "Not Found"},
    {405, "METHOD_NOT_ALLOWED", "Method Not Allowed"},
    {408, "REQUEST_TIMEOUT", "Request Timeout"},
    {411, "LENGTH_REQUIRED", "Length Required"},
    {412, "PRECONDITION_FAILED", "Precondition Failed"},
    {413, "PAYLOAD_TOO_LARGE", "Payload Too Large"},
    {415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type"},
    {416, "REQUESTED_RANGE_NOT_SATISFIABLE", "Range Not Satisfiable"},
    {429, "TOO_MANY_REQUESTS", "Too Many Requests"},
    {503, "SERVICE_UNAVAILABLE", "Service Unavailable"},
    {505, "HTTP_VERSION_NOT_SUPPORTED", "HTTP Version Not Supported"},
    {500, "INTERNAL_SERVER_ERROR", "Internal Server Error"}, /* the last serves for what is not here */
};

static size_t http_find(int status)
{
    size_t i = 0;

    while (i + 1 < sizeof HTTP / sizeof HTTP[0] && HTTP[i].status != status)
        i++;
    return i;
}

const char *http_reason(int status)
{
    return HTTP[http_find(status)].reason;
}

/* What HTTP has a status of its own for. */
static int code_http(enum error_code code)
{
    static const struct {
        enum error_code code;
        int status;
    } OWN[] = {{ERROR_METHOD_NOT_ALLOWED, 405},
               {ERROR_BODY_TOO_LARGE, 413},
               {ERROR_MEDIA_TYPE, 415},
               {ERROR_RANGE, 416}};

    for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++)
        if (OWN[i].code == code)
            return OWN[i].status;
    return 0;
}

static int status_http(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return 200;
    case STATUS_INVALID_ARGUMENT:
        return 400;
    case STATUS_UNAUTHENTICATED:
        return 401;
    case STATUS_PERMISSION_DENIED:
        return 403;
    case STATUS_NOT_FOUND:
        return 404;
    case STATUS_FAILED_PRECONDITION:
        return 412;
    case STATUS_RESOURCE_EXHAUSTED:
    case STATUS_UNAVAILABLE:
        return 503;
    case STATUS_RATE_LIMITED:
        return 429;
    case STATUS_INTERNAL:
        return 500;
    }
    return 500;
}

void answer_errors(struct answer *answer, const struct errors *errors)
{
    const struct error *first = &errors->items[0];
    int own = code_http(first->code);

    answer->status = own != 0 ? own : status_http(first->status);
    answer->body = codec_encode_errors(errors, HTTP[http_find(answer->status)].name);
}

/* The error code of what the HTTP server refuses with this status. */
static enum error_code http_code(int status)
{
    if (status == 413)
        return ERROR_BODY_TOO_LARGE;
    return status >= 500 && status != 505 ? ERROR_INTERNAL : ERROR_BAD_REQUEST;
}

void answer_http_error(struct answer *answer, int status, const char *message)
{
    struct errors *errors = calloc(1, sizeof *errors);

    answer->status = status;
    if (errors == NULL)
        return;
    errors_add(errors, http_code(status), NULL, "%s", message);
    answer->body = codec_encode_errors(errors, HTTP[http_find(status)].name);
    free(errors);
}

/* ---- parameters ---- */

static const char *parameter_find(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->parameter_count; i++)
        if (strcmp(call->parameters[i].name, name) == 0)
            return call->parameters[i].value;
    return NULL;
}

static void parameters_check(const struct call *call, const struct route *route, struct errors *errors)
{
    char list[128] = "";
    size_t used = 0;

    for (size_t i = 0; route->parameters[i] != NULL; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "; it takes " : ", ",
                                 route->parameters[i]);
    for (size_t i = 0; i < call->parameter_count; i++) {
        const char *name = call->parameters[i].name;
        if (!route_takes(route, name))
            errors_add(errors, ERROR_UNKNOWN_PARAMETER, name, "this path takes no query parameter %.64s%s",
                       name, list);
        for (size_t j = 0; j < i; j++)
            if (strcmp(call->parameters[j].name, name) == 0)
                errors_add(errors, ERROR_BAD_PARAMETER, name, "the query parameter %.64s is given twice",
                           name);
    }
}

static int32_t integer_parameter(const struct call *call, const char *name, int32_t absent, int32_t least,
                                 int32_t most, struct errors *errors)
{
    const char *text = parameter_find(call, name);
    char *end;

    if (text == NULL)
        return absent;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno == 0 && isdigit((unsigned char)text[0]) && *end == '\0' && value >= least && value <= most)
        return (int32_t)value;
    errors_add(errors, ERROR_BAD_PARAMETER, name, "%s has the value %.64s; it takes an integer from %d to %d",
               name, text, least, most);
    return absent;
}

static bool boolean_parameter(const struct call *call, const char *name, bool absent, struct errors *errors)
{
    const char *text = parameter_find(call, name);

    if (text == NULL)
        return absent;
    if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
        errors_add(errors, ERROR_BAD_PARAMETER, name, "%s has the value %.64s; it takes true or false", name,
                   text);
    return strcasecmp(text, "true") == 0;
}

/* ---- operations ---- */

static struct session_view view_of(const struct call *call)
{
    return (struct session_view){.data_dir = call->context->service->directory->shown,
                                 .policy = route_is_policy(call->route)};
}

/* With the files of a ring, and then session is read again. */
static char *session_text(const struct call *call, struct session *session, struct errors *errors)
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

static void create_or_forecast(const struct call *call, const struct packet_capture_request *request,
                               bool dry_run, struct answer *answer, struct errors *errors)
{
    const struct session_view view = view_of(call);
    struct session *session = dry_run ? NULL : malloc(sizeof *session);
    struct forecast *forecast = dry_run ? malloc(sizeof *forecast) : NULL;

    if (session == NULL && forecast == NULL) {
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    } else if (!dry_run) {
        if (op_create_session(call->context, request, session, errors) == STATUS_OK)
            answer->body = session_text(call, session, errors);
    } else if (op_forecast_session(call->context, request, forecast, errors) == STATUS_OK) {
        answer->body = codec_encode_forecast(forecast, &view);
        answer->status = 200; /* nothing was created */
    }
    free(forecast);
    free(session);
}

static void create(const struct call *call, struct answer *answer, struct errors *errors)
{
    struct packet_capture_request *request = malloc(sizeof *request);
    bool dry_run = boolean_parameter(call, "dry_run", false, errors);

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
        .run = integer_parameter(call, "run", 0, 1, INT32_MAX, errors),
        .number = integer_parameter(call, "file", 0, 1, INT32_MAX, errors),
    };

    if (errors->count == 0)
        answer->has_file =
            op_open_capture_file(call->context, id, choice, &answer->file, errors) == STATUS_OK;
}

static void list_request_read(const struct call *call, struct list_request *request, struct errors *errors)
{
    char names[128];

    *request = (struct list_request){
        .page_size = integer_parameter(call, "page_size", 1000, 1, 1000, errors),
        .sort_by = parameter_find(call, "sort_by"),
        .cursor = parameter_find(call, "cursor"),
        .descending = !boolean_parameter(call, "sort_ascending", true, errors),
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

static void delete_all(const struct call *call, struct answer *answer, struct errors *errors)
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

static void dispatch(const struct call *call, const struct route_match *match, struct answer *answer,
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
    case OPERATION_LIST_POINTS:
        list_points(call, answer, errors);
        break;
    default:
        people_dispatch(call, match, answer, errors);
    }
}

/* A missing Content-Type is taken as JSON (API.md); a body of a GET is nobody's business. */
static void media_type_check(const struct call *call, struct errors *errors)
{
    static const char JSON[] = "application/json";
    const char *type = call->content_type;
    size_t length = sizeof JSON - 1;

    if (type == NULL || call->body_length == 0 || strcmp(call->method, "POST") != 0)
        return;
    if (strncasecmp(type, JSON, length) != 0 ||
        (type[length] != '\0' && strchr("; \t", type[length]) == NULL))
        errors_add(errors, ERROR_MEDIA_TYPE, "Content-Type", "the body is %.64s; it must be application/json",
                   type);
}

bool call_needs_stack(const struct call *call)
{
    return strcmp(call->method, "POST") == 0 && call->body_length > 0;
}

void call_handle(struct call *call, struct answer *answer)
{
    struct errors *errors = &call->errors;
    struct route_match match;
    struct error error;

    *answer = (struct answer){0};
    if (route_find(call->method, call->path, parameter_find(call, "action"), &match, &error) != STATUS_OK) {
        errors->count = 0;
        errors_add_error(errors, &error);
        if (error.code == ERROR_METHOD_NOT_ALLOWED)
            snprintf(answer->headers, sizeof answer->headers, "Allow: %s\r\n", match.allow);
    } else {
        call->route = match.route;
        media_type_check(call, errors);
        parameters_check(call, match.route, errors);
        if (errors->count == 0)
            dispatch(call, &match, answer, errors);
    }
    if (errors->count > 0)
        answer_errors(answer, errors);
    else if (answer->status == 0)
        answer->status = match.route->success;
}
