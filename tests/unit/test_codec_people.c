/*
 * People in JSON, in and out. Bodies are decoded from memory that ends with them, so that a sanitizer sees
 * what reads on.
 */
#include "service/codec_people.h"
#include "service/people_fields.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum record { USER, CHANGE, ROLE, TOKEN, SHARE, OWNER };

/* What decode() made of a body. */
static struct user_body user;
static struct role role;
static struct token_body token;
static struct share share;
static char owner[UTF8_SIZE(64)];
static struct errors errors;

static void decode(enum record record, const char *body)
{
    size_t length = strlen(body);
    char *copy = malloc(length == 0 ? 1 : length);

    assert_non_null(copy);
    memcpy(copy, body, length);
    memset(&errors, 0, sizeof errors);
    switch (record) {
    case USER:
        codec_decode_user(copy, length, &user, &errors);
        break;
    case CHANGE:
        codec_decode_user_change(copy, length, "anna", &user, &errors);
        break;
    case ROLE:
        codec_decode_role(copy, length, "lab", &role, &errors);
        break;
    case TOKEN:
        codec_decode_token(copy, length, &token, &errors);
        break;
    case SHARE:
        codec_decode_share(copy, length, &share, &errors);
        break;
    case OWNER:
        codec_decode_owner(copy, length, owner, &errors);
        break;
    }
    free(copy);
}

static void decode_well(enum record record, const char *body)
{
    decode(record, body);
    for (size_t i = 0; i < errors.count; i++)
        print_error("%s: %s\n", errors.items[i].field, errors.items[i].message);
    assert_int_equal(errors.count, 0);
}

/* ---- what is taken ---- */

static void a_user(void **state)
{
    (void)state;
    decode_well(USER,
                "{\"name\": \"anna\", \"role\": \"operator\", \"groups\": [\"ops\", \"net\"], \"password\": "
                "\"correct horse\", \"disabled\": true}");
    assert_string_equal(user.request.name, "anna");
    assert_string_equal(user.request.role, "operator");
    assert_string_equal(user.request.groups, "ops\nnet");
    assert_string_equal(user.request.password, "correct horse");
    assert_null(user.request.old_password);
    assert_int_equal(user.request.disabled, 1);
}

/* null means absent, and [] does not. */
static void absent_fields(void **state)
{
    (void)state;
    decode_well(CHANGE, "{\"role\": null, \"groups\": [], \"disabled\": false}");
    assert_string_equal(user.request.name, "anna");
    assert_null(user.request.role);
    assert_string_equal(user.request.groups, "");
    assert_null(user.request.password);
    assert_int_equal(user.request.disabled, 0);
    decode_well(CHANGE, "{\"old_password\": \"a\", \"password\": \"b\"}");
    assert_string_equal(user.request.old_password, "a");
    assert_null(user.request.groups);
    assert_int_equal(user.request.disabled, -1);
}

static void a_role(void **state)
{
    (void)state;
    decode_well(ROLE,
                "{\"name\": \"lab\", \"built_in\": false, \"kind\": \"auditor\", \"policy\": {\"points\": "
                "[\"VNIC lab*\", \"eth1\"], \"max_duration\": 1, \"max_filesize\": 2, \"max_snaplen\": 96, "
                "\"max_sessions\": 4, \"max_stored_mb\": 5, \"max_hourly\": 6, \"stream\": true, "
                "\"networks\": [\"192.0.2.0/24\"], \"see_others\": true, \"download_others\": true}}");
    assert_string_equal(role.name, "lab");
    assert_int_equal(role.kind, ROLE_AUDITOR);
    assert_string_equal(role.policy.points, "VNIC lab*\neth1");
    assert_string_equal(role.policy.networks, "192.0.2.0/24");
    assert_int_equal(role.policy.max_duration_s, 1);
    assert_int_equal(role.policy.max_file_size_mb, 2);
    assert_int_equal(role.policy.max_snaplen, 96);
    assert_int_equal(role.policy.max_sessions, 4);
    assert_int_equal(role.policy.max_stored_mb, 5);
    assert_int_equal(role.policy.max_hourly, 6);
    assert_true(role.policy.stream && role.policy.see_others && role.policy.download_others);
    decode_well(ROLE, "{}");
    assert_int_equal(role.kind, 0);
}

/* Who says nothing of points may capture everywhere. */
static void points_of_a_role(void **state)
{
    (void)state;
    decode_well(ROLE, "{}");
    assert_string_equal(role.policy.points, "*");
    decode_well(ROLE, "{\"policy\": {\"stream\": true}}");
    assert_string_equal(role.policy.points, "*");
    decode_well(ROLE, "{\"policy\": {\"points\": null}}");
    assert_string_equal(role.policy.points, "*");
    decode_well(ROLE, "{\"policy\": {\"points\": []}}");
    assert_string_equal(role.policy.points, "");
}

/* What a role is shown with can be put back. */
static void a_role_comes_back(void **state)
{
    struct role before = {.name = "lab", .kind = ROLE_OPERATOR, .policy = {.points = "*", .max_hourly = 7}};

    (void)state;
    char *text = codec_encode_role(&before);
    decode_well(ROLE, text);
    free(text);
    assert_memory_equal(&role.policy, &before.policy, sizeof role.policy);
    assert_int_equal(role.kind, before.kind);
}

static void a_token(void **state)
{
    (void)state;
    decode_well(TOKEN, "{\"name\": \"CI\", \"user\": \"anna\", \"expires_in\": 3600}");
    assert_string_equal(token.request.name, "CI");
    assert_string_equal(token.request.user, "anna");
    assert_int_equal(token.request.expires_in_s, 3600);
    decode_well(TOKEN, "");
    assert_null(token.request.name);
    assert_null(token.request.user);
    assert_int_equal(token.request.expires_in_s, 0);
}

static void shares_and_owners(void **state)
{
    (void)state;
    decode_well(SHARE, "{\"user\": \"bob\", \"group\": null}");
    assert_int_equal(share.kind, SHARE_USER);
    assert_string_equal(share.name, "bob");
    decode_well(SHARE, "{\"group\": \"ops\"}");
    assert_int_equal(share.kind, SHARE_GROUP);
    assert_string_equal(share.name, "ops");
    decode_well(OWNER, "{\"user\": \"carol\"}");
    assert_string_equal(owner, "carol");
}

/* ---- what is refused ---- */

static const struct {
    enum record record;
    const char *body;
    enum error_code code;
    const char *field, *says;
} REFUSED[] = {
    {USER, "", ERROR_MALFORMED_JSON, "", "ends too early"},
    {USER, "[]", ERROR_MALFORMED_JSON, "", "the body is an array"},
    {USER, "null", ERROR_MALFORMED_JSON, "", "the body is null"},
    {USER, "{\"naem\": \"x\"}", ERROR_UNKNOWN_FIELD, "naem", "the nearest is name"},
    {USER, "{\"old_password\": \"x\"}", ERROR_UNKNOWN_FIELD, "old_password", "password"},
    {USER, "{\"name\": 5}", ERROR_WRONG_TYPE, "name", "an integer; it takes a string"},
    {USER, "{\"name\": \"a\\u0000b\"}", ERROR_BAD_VALUE, "name", "NUL"},
    {USER, "{\"groups\": \"ops\"}", ERROR_WRONG_TYPE, "groups", "an array of strings"},
    {USER, "{\"groups\": [\"ops\", 5]}", ERROR_WRONG_TYPE, "groups", "an integer"},
    {USER, "{\"groups\": [null]}", ERROR_WRONG_TYPE, "groups", "null"},
    {USER, "{\"groups\": [\"a\\nb\"]}", ERROR_BAD_VALUE, "groups", "line break"},
    {USER, "{\"groups\": [\"\"]}", ERROR_BAD_VALUE, "groups", "empty"},
    {USER, "{\"disabled\": 1}", ERROR_WRONG_TYPE, "disabled", "true or false"},
    {CHANGE, "{\"name\": \"bob\"}", ERROR_UNKNOWN_FIELD, "name", "no field name"},
    {ROLE, "{\"name\": \"bar\"}", ERROR_BAD_VALUE, "name", "in this path it is lab"},
    {ROLE, "{\"kind\": \"king\"}", ERROR_BAD_VALUE, "kind", "admin, operator, auditor"},
    {ROLE, "{\"policy\": []}", ERROR_WRONG_TYPE, "policy", "an object"},
    {ROLE, "{\"policy\": {\"max_duratoin\": 1}}", ERROR_UNKNOWN_FIELD, "max_duratoin", "max_duration"},
    {ROLE, "{\"policy\": {\"max_hourly\": -1}}", ERROR_OUT_OF_RANGE, "max_hourly", "value -1"},
    {ROLE, "{\"policy\": {\"max_hourly\": 2147483648}}", ERROR_OUT_OF_RANGE, "max_hourly", "to 2147483647"},
    {ROLE, "{\"policy\": {\"max_hourly\": 1.5}}", ERROR_WRONG_TYPE, "max_hourly", "fraction"},
    {ROLE, "{\"policy\": {\"stream\": \"yes\"}}", ERROR_WRONG_TYPE, "stream", "true or false"},
    {TOKEN, "{\"expires_in\": \"1\"}", ERROR_WRONG_TYPE, "expires_in", "an integer from 0"},
    {SHARE, "{}", ERROR_MISSING_FIELD, "user", "neither"},
    {SHARE, "{\"user\": \"a\", \"group\": \"b\"}", ERROR_CONFLICT, "group", "both"},
};

static void what_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(REFUSED); i++) {
        decode(REFUSED[i].record, REFUSED[i].body);
        const struct error *error = &errors.items[0];
        if (errors.count != 1 || error->code != REFUSED[i].code ||
            strcmp(error->field, REFUSED[i].field) != 0 || strstr(error->message, REFUSED[i].says) == NULL)
            fail_msg("%s: %zu errors, %d %s: %s", REFUSED[i].body, errors.count, error->code, error->field,
                     error->message);
    }
}

static void all_at_once(void **state)
{
    (void)state;
    decode(ROLE, "{\"kind\": 1, \"foo\": 2, \"policy\": {\"bar\": 1, \"stream\": 1, \"max_hourly\": -1}}");
    assert_int_equal(errors.count, 5);
}

/* So many bytes of members are the most, one more is too much. */
static void lists_that_do_not_fit(void **state)
{
    char body[4096];

    (void)state;
    for (int length = ROLE_POINTS_SIZE - 1 - 2; length <= ROLE_POINTS_SIZE - 2; length++) {
        snprintf(body, sizeof body, "{\"policy\": {\"points\": [\"a\", \"%0*d\"]}}", length, 0);
        decode(ROLE, body);
        assert_int_equal(errors.count, length > ROLE_POINTS_SIZE - 3);
    }
    assert_int_equal(errors.items[0].code, ERROR_OUT_OF_RANGE);
}

/* A name that was cut off must not become another one that is valid. */
static void long_names_stay_wrong(void **state)
{
    char body[512];

    (void)state;
    snprintf(body, sizeof body, "{\"user\": \"%063dé\"}", 0);
    decode_well(SHARE, body);
    assert_false(person_name_is_valid(share.name));
    snprintf(body, sizeof body, "{\"user\": \"%065d\"}", 0);
    decode(SHARE, body);
    assert_int_equal(errors.items[0].code, ERROR_OUT_OF_RANGE);
}

/* ---- what is shown ---- */

static void assert_shown(char *text, const char *expected)
{
    assert_string_equal(text, expected);
    free(text);
}

static void what_is_shown(void **state)
{
    const struct user anna = {.name = "anna",
                              .role = "operator",
                              .groups = "ops\nnet",
                              .password_hash = "$argon2id$",
                              .created_ms = 5,
                              .created_by = "admin"};
    const struct role lab = {
        .name = "lab", .kind = ROLE_OPERATOR, .policy = {.points = "*", .max_sessions = 2}};
    const struct token ci = {
        .id = "6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10", .user = "anna", .created_ms = 7, .revoked_ms = 9};
    const struct caller who = {
        .way = WAY_BASIC, .user = "anna", .role = {.name = "auditor", .kind = ROLE_AUDITOR}};
    const struct usage usage = {1, 2, 3};

    (void)state;
    assert_shown(codec_encode_user(&anna),
                 "{\"name\":\"anna\",\"role\":\"operator\",\"groups\":[\"ops\",\"net\"],"
                 "\"disabled\":false,\"created\":5,\"created_by\":\"admin\"}");
    assert_shown(codec_encode_role(&lab),
                 "{\"name\":\"lab\",\"kind\":\"operator\",\"built_in\":false,\"policy\":{\"points\":[\"*\"],"
                 "\"max_sessions\":2,\"stream\":false,\"networks\":[],\"see_others\":false,"
                 "\"download_others\":false}}");
    assert_shown(codec_encode_token(&ci, NULL),
                 "{\"id\":\"6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10\",\"user\":\"anna\","
                 "\"created\":7,\"revoked\":9}");
    assert_shown(
        codec_encode_token(&ci, "pktcap_x"),
        "{\"id\":\"6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10\",\"user\":\"anna\",\"created\":7,\"revoked\":9,"
        "\"token\":\"pktcap_x\"}");
    assert_shown(
        codec_encode_whoami(&who, &usage),
        "{\"user\":\"anna\",\"way\":\"basic\",\"role\":\"auditor\",\"kind\":\"auditor\",\"groups\":[],"
        "\"policy\":{\"points\":[],\"stream\":false,\"networks\":[],\"see_others\":false,"
        "\"download_others\":false},\"usage\":{\"unfinished\":1,\"stored_bytes\":2,\"hourly\":3}}");
}

static void lists(void **state)
{
    const struct audit_record record = {.key = 1,
                                        .time_ms = 2,
                                        .user = "bob",
                                        .way = WAY_NONE,
                                        .operation = "login",
                                        .status = 403,
                                        .code = ERROR_BAD_CREDENTIALS};
    struct people_list *list = codec_people_open();

    (void)state;
    assert_non_null(list);
    codec_people_add_audit(list, &record);
    assert_shown(
        codec_people_close(list, 12, "abc"),
        "{\"results\":[{\"time\":2,\"user\":\"bob\",\"way\":\"none\",\"operation\":\"login\",\"status\":403,"
        "\"error_code\":36601}],\"result_count\":12,\"cursor\":\"abc\"}");
    list = codec_people_open();
    assert_non_null(list);
    assert_shown(codec_people_close(list, -1, ""), "{\"results\":[],\"result_count\":0}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_user),
        cmocka_unit_test(absent_fields),
        cmocka_unit_test(a_role),
        cmocka_unit_test(points_of_a_role),
        cmocka_unit_test(a_role_comes_back),
        cmocka_unit_test(a_token),
        cmocka_unit_test(shares_and_owners),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(lists_that_do_not_fit),
        cmocka_unit_test(long_names_stay_wrong),
        cmocka_unit_test(what_is_shown),
        cmocka_unit_test(lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
