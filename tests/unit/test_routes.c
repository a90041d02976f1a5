/* The table of routes, and the Range header. */
#include "service/http_range.h"
#include "service/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MANAGER      "/api/v1/pktcap"
#define POLICY       "/policy/api/v1/infra/pktcap"
#define ID           "6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10"

/* ---- what is found ---- */

/* API.md's table, the policy paths beside the management plane's. */
static const struct {
    const char *method, *path, *action;
    enum operation operation;
    int success;
} FOUND[] = {
    {"POST", MANAGER "/session", NULL, OPERATION_CREATE_SESSION, 200},
    {"GET", MANAGER "/session/" ID, NULL, OPERATION_GET_SESSION, 200},
    {"POST", MANAGER "/session/" ID, "restart", OPERATION_RESTART_SESSION, 200},
    {"POST", MANAGER "/session/" ID, "terminate", OPERATION_TERMINATE_SESSION, 200},
    {"POST", MANAGER "/session/" ID, "delete", OPERATION_DELETE_SESSION, 200},
    {"GET", MANAGER "/session/" ID "/capturefile", NULL, OPERATION_GET_CAPTURE_FILE, 200},
    {"GET", MANAGER "/sessions", NULL, OPERATION_LIST_SESSIONS, 200},
    {"POST", MANAGER "/sessions", "delete", OPERATION_DELETE_SESSIONS, 200},
    {"GET", MANAGER "/points", NULL, OPERATION_LIST_POINTS, 200},

    {"POST", MANAGER "/session/" ID, "share", OPERATION_SHARE_SESSION, 200},
    {"POST", MANAGER "/session/" ID, "unshare", OPERATION_UNSHARE_SESSION, 200},
    {"POST", MANAGER "/session/" ID, "transfer", OPERATION_TRANSFER_SESSION, 200},
    {"POST", "/api/session/create", NULL, OPERATION_LOGIN, 200},
    {"POST", "/api/session/destroy", NULL, OPERATION_LOGOUT, 200},
    {"GET", "/api/session/destroy", NULL, OPERATION_LOGOUT, 200},
    {"GET", MANAGER "/whoami", NULL, OPERATION_WHOAMI, 200},
    {"POST", MANAGER "/tokens", NULL, OPERATION_CREATE_TOKEN, 201},
    {"GET", MANAGER "/tokens", NULL, OPERATION_LIST_TOKENS, 200},
    {"GET", MANAGER "/tokens/" ID, NULL, OPERATION_GET_TOKEN, 200},
    {"POST", MANAGER "/tokens/" ID, "revoke", OPERATION_REVOKE_TOKEN, 200},
    {"DELETE", MANAGER "/tokens/" ID, NULL, OPERATION_REVOKE_TOKEN, 200},
    {"POST", MANAGER "/users", NULL, OPERATION_CREATE_USER, 201},
    {"GET", MANAGER "/users", NULL, OPERATION_LIST_USERS, 200},
    {"GET", MANAGER "/users/" ID, NULL, OPERATION_GET_USER, 200},
    {"PATCH", MANAGER "/users/" ID, NULL, OPERATION_CHANGE_USER, 200},
    {"DELETE", MANAGER "/users/" ID, NULL, OPERATION_DELETE_USER, 200},
    {"GET", MANAGER "/roles", NULL, OPERATION_LIST_ROLES, 200},
    {"GET", MANAGER "/roles/" ID, NULL, OPERATION_GET_ROLE, 200},
    {"PUT", MANAGER "/roles/" ID, NULL, OPERATION_PUT_ROLE, 200},
    {"DELETE", MANAGER "/roles/" ID, NULL, OPERATION_DELETE_ROLE, 200},
    {"GET", MANAGER "/audit", NULL, OPERATION_LIST_AUDIT, 200},

    {"POST", POLICY "/session", NULL, OPERATION_CREATE_SESSION, 201},
    {"GET", POLICY "/session/" ID, NULL, OPERATION_GET_SESSION, 200},
    {"POST", POLICY "/session/" ID, "restart", OPERATION_RESTART_SESSION, 200},
    {"POST", POLICY "/session/" ID, "terminate", OPERATION_TERMINATE_SESSION, 200},
    {"POST", POLICY "/session/" ID, "share", OPERATION_SHARE_SESSION, 200},
    {"POST", POLICY "/session/" ID, "unshare", OPERATION_UNSHARE_SESSION, 200},
    {"POST", POLICY "/session/" ID, "transfer", OPERATION_TRANSFER_SESSION, 200},
    {"DELETE", POLICY "/session/" ID, NULL, OPERATION_DELETE_SESSION, 200},
    {"GET", POLICY "/session/" ID "/CapturedFile", NULL, OPERATION_GET_CAPTURE_FILE, 200},
    {"GET", POLICY "/sessions", NULL, OPERATION_LIST_SESSIONS, 200},
    {"DELETE", POLICY "/sessions", NULL, OPERATION_DELETE_SESSIONS, 200},
};

static void find(const char *method, const char *path, const char *action, struct route_match *match)
{
    struct error error;

    if (route_find(method, path, action, match, &error) != STATUS_OK)
        fail_msg("%s %s: %s", method, path, error.message);
}

static void every_route_of_the_api(void **state)
{
    struct route_match match;

    (void)state;
    for (size_t i = 0; i < COUNT(FOUND); i++) {
        find(FOUND[i].method, FOUND[i].path, FOUND[i].action, &match);
        assert_int_equal(match.route->operation, FOUND[i].operation);
        assert_int_equal(match.route->success, FOUND[i].success);
        assert_string_equal(match.id, strstr(FOUND[i].path, ID) == NULL ? "" : ID);
    }
}

/* No row of the product's table hides another, whatever is added to it. */
static void every_row_leads_to_itself(void **state)
{
    struct route_match match;
    char path[256];

    (void)state;
    assert_true(route_count >= COUNT(FOUND));
    for (size_t i = 0; i < route_count; i++) {
        const char *mark = strstr(routes[i].path, "{id}");
        snprintf(path, sizeof path, "%s", routes[i].path);
        if (mark != NULL)
            snprintf(path, sizeof path, "%.*s%s%s", (int)(mark - routes[i].path), routes[i].path, ID,
                     mark + strlen("{id}"));
        find(routes[i].method, path, routes[i].action, &match);
        assert_ptr_equal(match.route, &routes[i]);
        assert_non_null(strstr(match.allow, routes[i].method));
    }
}

static void head_is_get(void **state)
{
    struct route_match got, head;

    (void)state;
    for (size_t i = 0; i < COUNT(FOUND); i++) {
        if (strcmp(FOUND[i].method, "GET") != 0)
            continue;
        find("GET", FOUND[i].path, NULL, &got);
        find("HEAD", FOUND[i].path, NULL, &head);
        assert_ptr_equal(got.route, head.route);
        assert_string_equal(got.id, head.id);
    }
}

/* ---- ids ---- */

/* The id is one segment, decoded already: what it means is the operation's business. */
static void ids(void **state)
{
    static const char *const IDS[] = {"a",   "session", "..", ".",    "%2F", "100%",
                                      "%00", "a b",     "é",  "{id}", "?",   "\\"};
    char path[256];
    struct route_match match;

    (void)state;
    for (size_t i = 0; i < COUNT(IDS); i++) {
        snprintf(path, sizeof path, MANAGER "/session/%s", IDS[i]);
        find("GET", path, NULL, &match);
        assert_int_equal(match.route->operation, OPERATION_GET_SESSION);
        assert_string_equal(match.id, IDS[i]);
        snprintf(path, sizeof path, POLICY "/session/%s/CapturedFile", IDS[i]);
        find("GET", path, NULL, &match);
        assert_int_equal(match.route->operation, OPERATION_GET_CAPTURE_FILE);
        assert_string_equal(match.id, IDS[i]);
    }
}

static void the_longest_id(void **state)
{
    struct route_match match;
    struct error error;
    char id[sizeof match.id + 1], path[256];

    (void)state;
    memset(id, 'x', sizeof id);
    id[sizeof match.id - 1] = '\0';
    snprintf(path, sizeof path, MANAGER "/session/%s", id);
    find("GET", path, NULL, &match);
    assert_string_equal(match.id, id);

    id[sizeof match.id - 1] = 'x';
    id[sizeof match.id] = '\0';
    snprintf(path, sizeof path, MANAGER "/session/%s", id);
    assert_int_equal(route_find("GET", path, NULL, &match, &error), STATUS_NOT_FOUND);
    assert_int_equal(error.code, ERROR_NO_SUCH_PATH);
}

/* ---- what is refused ---- */

static void unknown_paths(void **state)
{
    static const char *const PATHS[] = {"",
                                        "/",
                                        "*",
                                        "/favicon.ico",
                                        MANAGER,
                                        MANAGER "/",
                                        MANAGER "/session/",
                                        MANAGER "/session//",
                                        MANAGER "/session/" ID "/",
                                        MANAGER "/session/a/" ID,
                                        MANAGER "/session//capturefile",
                                        MANAGER "/session/" ID "/capturefile/",
                                        MANAGER "/session/" ID "/capturefile/x",
                                        MANAGER "/session/" ID "/CapturedFile",
                                        MANAGER "/session/" ID "/CAPTUREFILE",
                                        MANAGER "/sessions/",
                                        MANAGER "/sessions/" ID,
                                        MANAGER "/Session",
                                        "/" MANAGER "/session",
                                        MANAGER "//session",
                                        "/api/v2/pktcap/sessions",
                                        "/policy" MANAGER "/session",
                                        POLICY "/session/" ID "/capturefile",
                                        POLICY "/session/../sessions"};
    struct route_match match;
    struct error error;

    (void)state;
    for (size_t i = 0; i < COUNT(PATHS); i++) {
        enum status status = route_find("GET", PATHS[i], NULL, &match, &error);
        if (status != STATUS_NOT_FOUND || error.code != ERROR_NO_SUCH_PATH)
            fail_msg("GET %s: status %d, code %d", PATHS[i], status, error.code);
        assert_non_null(strstr(error.message, "there is no path "));
        assert_null(match.route);
    }
}

static void an_endless_path(void **state)
{
    char *path = malloc(100001);
    struct route_match match;
    struct error error;

    (void)state;
    assert_non_null(path);
    memset(path, '/', 100000);
    path[100000] = '\0';
    assert_int_equal(route_find("GET", path, NULL, &match, &error), STATUS_NOT_FOUND);
    free(path);
}

static void wrong_methods(void **state)
{
    static const struct {
        const char *method, *path, *allow;
    } CASES[] = {
        {"GET", MANAGER "/session", "POST"},
        {"HEAD", MANAGER "/session", "POST"},
        {"PUT", MANAGER "/session", "POST"},
        {"DELETE", MANAGER "/session/" ID, "GET, HEAD, POST"},
        {"PATCH", MANAGER "/session/" ID, "GET, HEAD, POST"},
        {"OPTIONS", MANAGER "/session/" ID, "GET, HEAD, POST"},
        {"POST", MANAGER "/session/" ID "/capturefile", "GET, HEAD"},
        {"DELETE", MANAGER "/sessions", "GET, HEAD, POST"},
        {"GET", POLICY "/session", "POST"},
        {"PUT", POLICY "/session/" ID, "GET, HEAD, POST, DELETE"},
        {"PUT", POLICY "/session/" ID "/CapturedFile", "GET, HEAD"},
        {"POST", POLICY "/sessions", "GET, HEAD, DELETE"},
        {"get", MANAGER "/sessions", "GET, HEAD, POST"},
        {"", MANAGER "/sessions", "GET, HEAD, POST"},
        {"GETGETGETGETGETGETGETGETGET", MANAGER "/sessions", "GET, HEAD, POST"},
    };
    struct route_match match;
    struct error error;

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        enum status status = route_find(CASES[i].method, CASES[i].path, NULL, &match, &error);
        if (status == STATUS_OK || error.code != ERROR_METHOD_NOT_ALLOWED)
            fail_msg("%s %s: status %d", CASES[i].method, CASES[i].path, status);
        assert_string_equal(match.allow, CASES[i].allow);
        assert_non_null(strstr(error.message, CASES[i].allow));
        assert_null(match.route);
    }
}

static void wrong_actions(void **state)
{
    static const struct {
        const char *method, *path, *action, *says;
    } CASES[] = {
        {"POST", MANAGER "/session/" ID, NULL, "action is required: one of restart, terminate, delete"},
        {"POST", MANAGER "/sessions", NULL, "action is required: one of delete"},
        {"POST", POLICY "/session/" ID, NULL, "action is required: one of restart, terminate"},
        {"POST", MANAGER "/session/" ID, "stop",
         "action has the value stop; it takes one of restart, terminate, delete"},
        {"POST", MANAGER "/session/" ID, "", "it takes one of restart, terminate, delete"},
        {"POST", MANAGER "/session/" ID, "Restart", "it takes one of restart, terminate, delete"},
        {"POST", MANAGER "/session/" ID, "restart ", "it takes one of restart, terminate, delete"},
        {"POST", MANAGER "/sessions", "restart", "it takes one of delete"},
        {"POST", POLICY "/session/" ID, "delete", "it takes one of restart, terminate"},
        {"POST", MANAGER "/session", "restart", "this path takes no action, and restart was given"},
        {"GET", MANAGER "/session/" ID, "delete", "this path takes no action, and delete was given"},
        {"HEAD", MANAGER "/session/" ID, "delete", "this path takes no action, and delete was given"},
        {"GET", MANAGER "/sessions", "delete", "this path takes no action"},
        {"DELETE", POLICY "/session/" ID, "delete", "this path takes no action"},
        {"GET", MANAGER "/session/" ID "/capturefile", "", "this path takes no action"},
    };
    struct route_match match;
    struct error error;

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        enum status status = route_find(CASES[i].method, CASES[i].path, CASES[i].action, &match, &error);
        if (status != STATUS_INVALID_ARGUMENT || strstr(error.message, CASES[i].says) == NULL)
            fail_msg("%s %s: %s", CASES[i].method, CASES[i].path, error.message);
        assert_int_equal(error.code, ERROR_BAD_PARAMETER);
        assert_string_equal(error.field, "action");
        assert_null(match.route);
    }
}

static void which_routes_are_of_the_policy_api(void **state)
{
    size_t policy = 0;

    (void)state;
    for (size_t i = 0; i < route_count; i++) {
        bool expected = strncmp(routes[i].path, "/policy/", strlen("/policy/")) == 0;
        if (route_is_policy(&routes[i]) != expected)
            fail_msg("%s %s", routes[i].method, routes[i].path);
        policy += expected;
    }
    assert_in_range(policy, 1, route_count - 1);
}

/* ---- query parameters ---- */

static void parameters_of_routes(void **state)
{
    static const char *const LISTS[] = {"page_size", "cursor", "sort_by", "sort_ascending"};

    (void)state;
    for (size_t i = 0; i < route_count; i++) {
        enum operation operation = routes[i].operation;
        for (size_t j = 0; j < COUNT(LISTS); j++)
            assert_int_equal(route_takes(&routes[i], LISTS[j]),
                             operation == OPERATION_LIST_SESSIONS ||
                                 (operation == OPERATION_LIST_AUDIT && j < 2));
        assert_int_equal(route_takes(&routes[i], "since"), operation == OPERATION_LIST_AUDIT);
        assert_int_equal(route_takes(&routes[i], "user"),
                         operation == OPERATION_LIST_AUDIT || operation == OPERATION_LIST_TOKENS);
        assert_int_equal(route_takes(&routes[i], "run"), operation == OPERATION_GET_CAPTURE_FILE);
        assert_int_equal(route_takes(&routes[i], "cappoint"), operation == OPERATION_LIST_POINTS);
        assert_int_equal(route_takes(&routes[i], "netns"), operation == OPERATION_LIST_POINTS);
        assert_int_equal(route_takes(&routes[i], "action"), routes[i].action != NULL);
        assert_false(route_takes(&routes[i], ""));
        assert_false(route_takes(&routes[i], "Page_size"));
    }
}

/* ---- Range ---- */

static const struct {
    const char *header;
    int64_t size;
    enum range_kind kind;
    int64_t first, last;
} RANGES[] = {
    /* RFC 9110, section 14.1.2 */
    {"bytes=0-499", 10000, RANGE_PART, 0, 499},
    {"bytes=500-999", 10000, RANGE_PART, 500, 999},
    {"bytes=-500", 10000, RANGE_PART, 9500, 9999},
    {"bytes=9500-", 10000, RANGE_PART, 9500, 9999},
    {"bytes=0-0,-1", 10000, RANGE_WHOLE, 0, 0},
    {"bytes= 0-999, 4500-5499, -1000", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=500-600,601-999", 10000, RANGE_WHOLE, 0, 0},

    /* edges */
    {"bytes=0-", 1, RANGE_PART, 0, 0},
    {"bytes=0-0", 10000, RANGE_PART, 0, 0},
    {"bytes=9999-9999", 10000, RANGE_PART, 9999, 9999},
    {"bytes=9999-10000", 10000, RANGE_PART, 9999, 9999},
    {"bytes=0-9999", 10000, RANGE_PART, 0, 9999},
    {"bytes=-1", 10000, RANGE_PART, 9999, 9999},
    {"bytes=-10000", 10000, RANGE_PART, 0, 9999},
    {"bytes=-10001", 10000, RANGE_PART, 0, 9999},
    {"bytes=5000000000-", 6000000000, RANGE_PART, 5000000000, 5999999999},
    {"bytes=007-08", 10000, RANGE_PART, 7, 8},
    {"Bytes=0-1", 10000, RANGE_PART, 0, 1},
    {"BYTES=0-1", 10000, RANGE_PART, 0, 1},
    {"bytes= \t0-1 \t", 10000, RANGE_PART, 0, 1},

    /* outside the file */
    {"bytes=10000-", 10000, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=10000-10001", 10000, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-0", 10000, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-", 0, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=0-0", 0, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=-5", 0, RANGE_UNSATISFIABLE, 0, 0},

    /* numbers beyond 64 bits */
    {"bytes=0-99999999999999999999", 10000, RANGE_PART, 0, 9999},
    {"bytes=-99999999999999999999", 10000, RANGE_PART, 0, 9999},
    {"bytes=99999999999999999999-", 10000, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=9223372036854775807-", INT64_MAX, RANGE_UNSATISFIABLE, 0, 0},
    {"bytes=9223372036854775806-9223372036854775807", INT64_MAX, RANGE_PART, INT64_MAX - 1, INT64_MAX - 1},
    {"bytes=-9223372036854775807", INT64_MAX, RANGE_PART, 0, INT64_MAX - 1},

    /* to be ignored: no header, other units, bad syntax */
    {NULL, 10000, RANGE_WHOLE, 0, 0},
    {"", 10000, RANGE_WHOLE, 0, 0},
    {"bytes", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=-", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=5", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=999-500", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=5-0", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=--5", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=-5-", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=+1-2", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=1-+2", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=0 - 1", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=0- 1", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=0x10-0x20", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=1.0-2.0", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=0-1;", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=0-1,", 10000, RANGE_WHOLE, 0, 0},
    {"bytes =0-1", 10000, RANGE_WHOLE, 0, 0},
    {" bytes=0-1", 10000, RANGE_WHOLE, 0, 0},
    {"lines=0-1", 10000, RANGE_WHOLE, 0, 0},
    {"bytesx=0-1", 10000, RANGE_WHOLE, 0, 0},
    {"0-1", 10000, RANGE_WHOLE, 0, 0},
    {"bytes=\xd9\xa0-\xd9\xa1", 10000, RANGE_WHOLE, 0, 0},
};

/* first and last are set for a part only: the rest leaves the whole file as it was. */
static void ranges(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(RANGES); i++) {
        bool part = RANGES[i].kind == RANGE_PART;
        int64_t first = -7, last = -7;
        enum range_kind kind = range_parse(RANGES[i].header, RANGES[i].size, &first, &last);
        if (kind != RANGES[i].kind || first != (part ? RANGES[i].first : -7) ||
            last != (part ? RANGES[i].last : -7))
            fail_msg("%s of %lld bytes: kind %d, %lld to %lld", RANGES[i].header, (long long)RANGES[i].size,
                     kind, (long long)first, (long long)last);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_of_the_api),
        cmocka_unit_test(every_row_leads_to_itself),
        cmocka_unit_test(head_is_get),
        cmocka_unit_test(ids),
        cmocka_unit_test(the_longest_id),
        cmocka_unit_test(unknown_paths),
        cmocka_unit_test(an_endless_path),
        cmocka_unit_test(wrong_methods),
        cmocka_unit_test(wrong_actions),
        cmocka_unit_test(which_routes_are_of_the_policy_api),
        cmocka_unit_test(parameters_of_routes),
        cmocka_unit_test(ranges),
    };

    return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
