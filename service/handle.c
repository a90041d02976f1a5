/* From a request to an answer: who asks, whether they may, what they want, and what goes on record. */
#include "service/handlers.h"

#include "auth/access.h"
#include "auth/audit.h"
#include "auth/authenticate.h"
#include "auth/client.h"
#include "service/handlers_parts.h"
#include "service/routes.h"
#include "service/validate.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Where nothing says when a client may try again: of a quota by the hour, some part is free by then. */
enum { RETRY_AFTER_S = 60 };

/* A missing Content-Type is taken as JSON (API.md); a body of a GET is nobody's business. */
static void media_type_check(const struct call *call, struct errors *errors)
{
    const char *wanted =
        call->route->operation == OPERATION_LOGIN ? "application/x-www-form-urlencoded" : "application/json";
    const char *type = call->content_type;
    size_t length = strlen(wanted);

    if (type == NULL || call->body_length == 0 || strcmp(call->method, "GET") == 0 ||
        strcmp(call->method, "HEAD") == 0 || strcmp(call->method, "DELETE") == 0)
        return;
    if (strncasecmp(type, wanted, length) != 0 ||
        (type[length] != '\0' && strchr("; \t", type[length]) == NULL))
        errors_add(errors, ERROR_MEDIA_TYPE, "Content-Type", "the body is %.64s; it must be %s", type,
                   wanted);
}

/* ---- who may do it ---- */

/* Proxies cut the prefix off, or leave it in place: the path counts as it came, if it is one. */
static enum status path_find(struct call *call, struct route_match *match, struct error *error)
{
    const char *prefix = call->client.prefix, *action = parameter_find(call, "action");
    size_t length = strlen(prefix);
    enum status status = route_find(call->method, call->path, action, match, error);

    if (status == STATUS_OK || error->code != ERROR_NO_SUCH_PATH || length == 0 ||
        strncmp(call->path, prefix, length) != 0 || call->path[length] != '/')
        return status;
    call->path += length;
    return route_find(call->method, call->path, action, match, error);
}

void answer_add_header(struct answer *answer, const char *line)
{
    size_t used = strlen(answer->headers);

    snprintf(answer->headers + used, sizeof answer->headers - used, "%s\r\n", line);
}

void answer_add_challenge(struct answer *answer, const struct challenge *challenge)
{
    char line[64];

    if (challenge->ask) {
        answer_add_header(answer, "WWW-Authenticate: Basic realm=\"pktcapd\", charset=\"UTF-8\"");
        answer_add_header(answer, "WWW-Authenticate: Bearer realm=\"pktcapd\"");
    }
    if (challenge->retry_after_s > 0) {
        snprintf(line, sizeof line, "Retry-After: %d", challenge->retry_after_s);
        answer_add_header(answer, line);
    }
}

/* Who asks, before anything is said of what there is. */
static bool identify(struct call *call, const struct route *route, struct answer *answer,
                     struct errors *errors)
{
    struct challenge challenge;
    struct error error;
    bool changing = route == NULL ? strcmp(call->method, "GET") != 0 && strcmp(call->method, "HEAD") != 0
                                  : access_changes(route->operation);

    if (route != NULL && route->operation == OPERATION_LOGIN)
        return true;
    if (call->context->store == NULL)
        return false;
    const struct visit visit = visit_of(call->context);
    if (authenticate(&visit, call->request, changing, &call->who, &challenge, &error) == STATUS_OK)
        return true;
    errors->count = 0;
    errors_add_error(errors, &error);
    answer_add_challenge(answer, &challenge);
    return false;
}

static bool is_about_a_session(const struct route *route)
{
    return strstr(route->path, "/session/{id}") != NULL;
}

/* The one place where it is decided whether the caller may do this. */
static bool authorise(const struct call *call, const struct route_match *match, bool *foreign,
                      struct errors *errors)
{
    const struct context *context = call->context;
    const struct caller *who = context->who;
    struct session_access access;
    char id[UUID_SIZE];
    struct error error;
    bool about = is_about_a_session(match->route);

    if (match->route->operation == OPERATION_LOGIN)
        return true;
    if (about && !validate_id(match->id, id, errors))
        return false;
    enum status status =
        about ? store_get_access(context->store, id, who->user, who->groups, &access, &error) : STATUS_OK;
    if (status == STATUS_OK)
        status = access_check(who, match->route->operation, id, about ? &access : NULL, &error);
    if (status != STATUS_OK)
        errors_add_error(errors, &error);
    *foreign = about ? strcmp(access.owner, who->user) != 0
                     : match->route->operation == OPERATION_LIST_SESSIONS && access_sees_all(who);
    return status == STATUS_OK;
}

/* ---- the whole ---- */

static void note(const struct call *call, const struct route_match *match, bool foreign,
                 const struct answer *answer)
{
    const struct errors *errors = &call->errors;
    bool about = is_about_a_session(match->route);
    struct act act = {.operation = match->route->operation,
                      .session = about ? match->id : "",
                      .object = call->about[0] != '\0' || about ? call->about : match->id,
                      .detail = errors->count > 0 ? errors->items[0].message : call->detail,
                      .status = answer->status,
                      .code = errors->count > 0 ? (int)errors->items[0].code : 0,
                      .foreign = foreign};

    /* Asking for a file's size hands out no packets. */
    if (act.operation == OPERATION_GET_CAPTURE_FILE && strcmp(call->method, "HEAD") == 0)
        act.operation = OPERATION_GET_SESSION;
    if (act.operation == OPERATION_CREATE_SESSION) {
        act.session = call->about;
        act.object = "";
    }
    const struct visit visit = visit_of(call->context);
    audit_note(&visit, &act);
}

/* Guessing passwords at a path that is none is guessing all the same. */
static void note_stranger(const struct call *call, const struct answer *answer)
{
    const struct error *error = &call->errors.items[0];
    const struct visit visit = visit_of(call->context);
    const struct act act = {.operation = OPERATION_LOGIN,
                            .session = "",
                            .object = "",
                            .detail = error->message,
                            .status = answer->status,
                            .code = (int)error->code};

    if (answer->status == 401 || answer->status == 403 || answer->status == 429)
        audit_note(&visit, &act);
}

static void route_failed(const struct route_match *match, const struct error *error, struct answer *answer,
                         struct errors *errors)
{
    char line[96];

    errors->count = 0;
    errors_add_error(errors, error);
    if (error->code == ERROR_METHOD_NOT_ALLOWED) {
        snprintf(line, sizeof line, "Allow: %s", match->allow);
        answer_add_header(answer, line);
    }
}

static void handle_route(struct call *call, const struct route_match *match, bool *foreign,
                         struct answer *answer)
{
    struct errors *errors = &call->errors;

    call->route = match->route;
    media_type_check(call, errors);
    parameters_check(call, match->route, errors);
    if (errors->count == 0 && authorise(call, match, foreign, errors))
        call_dispatch(call, match, answer, errors);
}

/* When nothing of it is in the way any more, as far as that is known. */
static int retry_after_s(const struct errors *errors)
{
    int most_s = 0;

    for (size_t i = 0; i < errors->count; i++)
        if (errors->items[i].retry_after_s > most_s)
            most_s = errors->items[i].retry_after_s;
    return most_s > 0 ? most_s : RETRY_AFTER_S;
}

void call_handle(struct call *call, struct answer *answer)
{
    struct errors *errors = &call->errors;
    struct route_match match;
    struct error error;
    bool foreign = false;

    *answer = (struct answer){0};
    call->who = (struct caller){.way = WAY_NONE};
    client_find(call->context->service->config, call->request, &call->client);
    call->context->who = &call->who;
    call->context->client = &call->client;
    enum status found = path_find(call, &match, &error);
    if (errors->count == 0 && identify(call, match.route, answer, errors)) {
        if (found == STATUS_OK)
            handle_route(call, &match, &foreign, answer);
        else
            route_failed(&match, &error, answer, errors);
    }
    if (errors->count > 0) {
        answer_errors(answer, errors);
        if (answer->status == 429 && strstr(answer->headers, "Retry-After") == NULL)
            answer_add_challenge(answer, &(struct challenge){.retry_after_s = retry_after_s(errors)});
    } else if (answer->status == 0) {
        answer->status = match.route->success;
    }
    if (found == STATUS_OK)
        note(call, &match, foreign, answer);
    else if (call->who.way == WAY_NONE)
        note_stranger(call, answer);
}
