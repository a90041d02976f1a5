#include "service/routes.h"

#include <stdio.h>
#include <string.h>

#define MANAGER "/api/v1/pktcap"
#define POLICY  "/policy/api/v1/infra/pktcap"

#define LIST_PARAMETERS                                                                                      \
    {                                                                                                        \
        "page_size", "cursor", "sort_by", "sort_ascending"                                                   \
    }

const struct route routes[] = {
    {"POST", MANAGER "/session", NULL, OPERATION_CREATE_SESSION, 200, {"dry_run"}},
    {"GET", MANAGER "/session/{id}", NULL, OPERATION_GET_SESSION, 200, {NULL}},
    {"POST", MANAGER "/session/{id}", "restart", OPERATION_RESTART_SESSION, 200, {NULL}},
    {"POST", MANAGER "/session/{id}", "terminate", OPERATION_TERMINATE_SESSION, 200, {NULL}},
    {"POST", MANAGER "/session/{id}", "delete", OPERATION_DELETE_SESSION, 200, {NULL}},
    {"GET", MANAGER "/session/{id}/capturefile", NULL, OPERATION_GET_CAPTURE_FILE, 200, {"run", "file"}},
    {"GET", MANAGER "/sessions", NULL, OPERATION_LIST_SESSIONS, 200, LIST_PARAMETERS},
    {"POST", MANAGER "/sessions", "delete", OPERATION_DELETE_SESSIONS, 200, {NULL}},
    {"GET", MANAGER "/points", NULL, OPERATION_LIST_POINTS, 200, {"cappoint", "netns"}},

    {"POST", MANAGER "/session/{id}", "share", OPERATION_SHARE_SESSION, 200, {NULL}},
    {"POST", MANAGER "/session/{id}", "unshare", OPERATION_UNSHARE_SESSION, 200, {NULL}},
    {"POST", MANAGER "/session/{id}", "transfer", OPERATION_TRANSFER_SESSION, 200, {NULL}},

    {"POST", "/api/session/create", NULL, OPERATION_LOGIN, 200, {NULL}},
    {"POST", "/api/session/destroy", NULL, OPERATION_LOGOUT, 200, {NULL}},
    {"GET", "/api/session/destroy", NULL, OPERATION_LOGOUT, 200, {NULL}},
    {"GET", MANAGER "/whoami", NULL, OPERATION_WHOAMI, 200, {NULL}},
    {"POST", MANAGER "/tokens", NULL, OPERATION_CREATE_TOKEN, 201, {NULL}},
    {"GET", MANAGER "/tokens", NULL, OPERATION_LIST_TOKENS, 200, {"user"}},
    {"GET", MANAGER "/tokens/{id}", NULL, OPERATION_GET_TOKEN, 200, {NULL}},
    {"POST", MANAGER "/tokens/{id}", "revoke", OPERATION_REVOKE_TOKEN, 200, {NULL}},
    {"DELETE", MANAGER "/tokens/{id}", NULL, OPERATION_REVOKE_TOKEN, 200, {NULL}},
    {"POST", MANAGER "/users", NULL, OPERATION_CREATE_USER, 201, {NULL}},
    {"GET", MANAGER "/users", NULL, OPERATION_LIST_USERS, 200, {NULL}},
    {"GET", MANAGER "/users/{id}", NULL, OPERATION_GET_USER, 200, {NULL}},
    {"PATCH", MANAGER "/users/{id}", NULL, OPERATION_CHANGE_USER, 200, {NULL}},
    {"DELETE", MANAGER "/users/{id}", NULL, OPERATION_DELETE_USER, 200, {NULL}},
    {"GET", MANAGER "/roles", NULL, OPERATION_LIST_ROLES, 200, {NULL}},
    {"GET", MANAGER "/roles/{id}", NULL, OPERATION_GET_ROLE, 200, {NULL}},
    {"PUT", MANAGER "/roles/{id}", NULL, OPERATION_PUT_ROLE, 200, {NULL}},
    {"DELETE", MANAGER "/roles/{id}", NULL, OPERATION_DELETE_ROLE, 200, {NULL}},
    {"GET",
     MANAGER "/audit",
     NULL,
     OPERATION_LIST_AUDIT,
     200,
     {"user", "operation", "session", "address", "since", "until", "page_size", "cursor"}},

    {"POST", POLICY "/session", NULL, OPERATION_CREATE_SESSION, 201, {"dry_run"}},
    {"GET", POLICY "/session/{id}", NULL, OPERATION_GET_SESSION, 200, {NULL}},
    {"POST", POLICY "/session/{id}", "restart", OPERATION_RESTART_SESSION, 200, {NULL}},
    {"POST", POLICY "/session/{id}", "terminate", OPERATION_TERMINATE_SESSION, 200, {NULL}},
    {"POST", POLICY "/session/{id}", "share", OPERATION_SHARE_SESSION, 200, {NULL}},
    {"POST", POLICY "/session/{id}", "unshare", OPERATION_UNSHARE_SESSION, 200, {NULL}},
    {"POST", POLICY "/session/{id}", "transfer", OPERATION_TRANSFER_SESSION, 200, {NULL}},
    {"DELETE", POLICY "/session/{id}", NULL, OPERATION_DELETE_SESSION, 200, {NULL}},
    {"GET", POLICY "/session/{id}/CapturedFile", NULL, OPERATION_GET_CAPTURE_FILE, 200, {"run", "file"}},
    {"GET", POLICY "/sessions", NULL, OPERATION_LIST_SESSIONS, 200, LIST_PARAMETERS},
    {"DELETE", POLICY "/sessions", NULL, OPERATION_DELETE_SESSIONS, 200, {NULL}},
};

const size_t route_count = sizeof routes / sizeof routes[0];

static bool path_matches(const char *pattern, const char *path, char *id, size_t size)
{
    const char *mark = strstr(pattern, "{id}");

    if (mark == NULL)
        return strcmp(pattern, path) == 0;
    size_t before = (size_t)(mark - pattern);
    if (strncmp(pattern, path, before) != 0)
        return false;
    size_t length = strcspn(path + before, "/");
    if (length == 0 || length >= size || strcmp(mark + strlen("{id}"), path + before + length) != 0)
        return false;
    memcpy(id, path + before, length);
    id[length] = '\0';
    return true;
}

static void allow_add(char *allow, size_t size, const char *method)
{
    size_t used = strlen(allow);

    if (strstr(allow, method) == NULL)
        snprintf(allow + used, size - used, "%s%s", used == 0 ? "" : ", ", method);
    if (strcmp(method, "GET") == 0)
        allow_add(allow, size, "HEAD");
}

/* Names the actions that a path takes with this method. */
static void actions_list(const char *method, const char *pattern, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < route_count; i++)
        if (routes[i].action != NULL && strcmp(routes[i].method, method) == 0 &&
            strcmp(routes[i].path, pattern) == 0)
            used +=
                (size_t)snprintf(out + used, size - used, "%s%s", used == 0 ? "" : ", ", routes[i].action);
}

static enum status action_failed(const char *method, const char *pattern, const char *action,
                                 struct error *error)
{
    char list[64];

    actions_list(method, pattern, list, sizeof list);
    if (list[0] == '\0')
        return error_set(error, ERROR_BAD_PARAMETER, "action",
                         "this path takes no action, and %.32s was given", action);
    if (action == NULL)
        return error_set(error, ERROR_BAD_PARAMETER, "action", "action is required: one of %s", list);
    return error_set(error, ERROR_BAD_PARAMETER, "action", "action has the value %.32s; it takes one of %s",
                     action, list);
}

static bool action_is(const struct route *route, const char *action)
{
    if (route->action == NULL || action == NULL)
        return route->action == action;
    return strcmp(route->action, action) == 0;
}

enum status route_find(const char *method, const char *path, const char *action, struct route_match *match,
                       struct error *error)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const char *pattern = NULL;
    bool method_found = false;

    *match = (struct route_match){0};
    for (size_t i = 0; i < route_count; i++) {
        if (!path_matches(routes[i].path, path, match->id, sizeof match->id))
            continue;
        pattern = routes[i].path;
        allow_add(match->allow, sizeof match->allow, routes[i].method);
        if (strcmp(routes[i].method, wanted) != 0)
            continue;
        method_found = true;
        if (action_is(&routes[i], action))
            match->route = &routes[i];
    }
    if (match->route != NULL)
        return STATUS_OK;
    if (pattern == NULL)
        return error_set(error, ERROR_NO_SUCH_PATH, NULL, "there is no path %.128s", path);
    if (!method_found)
        return error_set(error, ERROR_METHOD_NOT_ALLOWED, NULL,
                         "the method %.16s is not allowed here; it takes %s", method, match->allow);
    return action_failed(wanted, pattern, action, error);
}

bool route_is_policy(const struct route *route)
{
    return strncmp(route->path, POLICY, strlen(POLICY)) == 0;
}

bool route_takes(const struct route *route, const char *parameter)
{
    if (strcmp(parameter, "action") == 0)
        return route->action != NULL;
    for (size_t i = 0; route->parameters[i] != NULL; i++)
        if (strcmp(route->parameters[i], parameter) == 0)
            return true;
    return false;
}
