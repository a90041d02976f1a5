/* The operations on people, on a real store in a directory of its own. */
#include "auth/guard.h"
#include "auth/secrets.h"
#include "core/clock.h"
#include "service/people.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ID    "6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10"
#define RIGHT "a right password"

static char place[] = "/tmp/pktcap-people-XXXXXX", path[64];
static struct config config;
static struct data_dir directory;
static struct service service;
static const struct client CLIENT = {.address = "192.0.2.1"};
static struct caller admin, anna, stranger;
static struct context as_admin, as_anna, as_stranger;
static struct errors errors;
static struct user user;
static struct role role;
static struct token token;
static char secret[TOKEN_SECRET_SIZE];

/* ---- the world: admin, and anna, who is an operator ---- */

static struct caller caller_of(const char *name, enum way way)
{
    struct caller who = {.way = way};
    struct error error;

    assert_int_equal(store_get_user_role(as_admin.store, name, &user, &who.role, &error), STATUS_OK);
    snprintf(who.user, sizeof who.user, "%s", name);
    return who;
}

/* Refreshed with each use: an error of the call before must not be one of this. */
static struct errors *fresh(void)
{
    errors.count = 0;
    return &errors;
}

static void user_add(const char *name, const char *of)
{
    const struct user_request request = {.name = name, .role = of, .password = RIGHT, .disabled = -1};

    assert_int_equal(op_create_user(&as_admin, &request, &user, fresh()), STATUS_OK);
}

static int world_make(void **state)
{
    struct error error;
    char printed[TOKEN_SECRET_SIZE];

    (void)state;
    strcpy(place + strlen(place) - 6, "XXXXXX");
    if (!secrets_open() || mkdtemp(place) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/pktcapd.db", place);
    config = (struct config){0};
    snprintf(directory.path, sizeof directory.path, "%s", place); /* there is no worker to ring for */
    service = (struct service){.config = &config, .directory = &directory, .guard = guard_open(2, 64)};
    admin = (struct caller){.way = WAY_BASIC, .user = "admin", .role = {.name = "admin", .kind = ROLE_ADMIN}};
    as_admin = (struct context){.service = &service, .who = &admin, .client = &CLIENT};
    if (store_open(path, &as_admin.store, &error) != STATUS_OK ||
        people_begin(as_admin.store, RIGHT, printed, &error) != STATUS_OK)
        return -1;
    user_add("anna", "operator");
    anna = caller_of("anna", WAY_BASIC);
    stranger = (struct caller){.way = WAY_PROXY, .user = "zoe", .role = anna.role};
    as_anna = as_stranger = as_admin;
    as_anna.who = &anna;
    as_stranger.who = &stranger;
    return 0;
}

static int world_end(void **state)
{
    char name[80];

    (void)state;
    store_close(as_admin.store);
    guard_close(service.guard);
    for (const char *const *suffix = (const char *const[]){"", "-wal", "-shm", NULL}; *suffix != NULL;
         suffix++) {
        snprintf(name, sizeof name, "%s%s", path, *suffix);
        unlink(name);
    }
    return rmdir(place);
}

static void refused(enum status status, enum error_code code, const char *field)
{
    assert_int_not_equal(status, STATUS_OK);
    assert_true(errors.count > 0);
    assert_int_equal(errors.items[0].code, code);
    assert_int_equal(errors.items[0].status, status);
    assert_string_equal(errors.items[0].field, field);
}

static enum status change(const struct context *context, const char *name, struct user_request request)
{
    request.name = name;
    return op_change_user(context, &request, &user, fresh());
}

#define CHANGE(context, name, ...)                                                                           \
    change((context), (name), (struct user_request){.disabled = -1, __VA_ARGS__})
#define ABLE(context, name, not ) change((context), (name), (struct user_request){.disabled = (not )})

static bool opens(const char *name, const char *password)
{
    int wait_s;

    assert_int_equal(op_get_user(&as_admin, name, &user, fresh()), STATUS_OK);
    return guard_check(service.guard, name, &user, password, "192.0.2.9", clock_monotonic_ms(), &wait_s) ==
           GUARD_RIGHT;
}

/* ---- users ---- */

static void a_new_user(void **state)
{
    const struct user_request request = {
        .name = "bob", .role = "auditor", .groups = "ops\nnet", .password = RIGHT, .disabled = 1};

    (void)state;
    assert_int_equal(op_create_user(&as_admin, &request, &user, fresh()), STATUS_OK);
    assert_int_equal(op_get_user(&as_admin, "bob", &user, fresh()), STATUS_OK);
    assert_string_equal(user.role, "auditor");
    assert_string_equal(user.groups, "ops\nnet");
    assert_string_equal(user.created_by, "admin");
    assert_true(user.disabled && user.created_ms > 0);
    assert_null(strstr(user.password_hash, RIGHT));
    assert_false(opens("bob", RIGHT));
    assert_int_equal(ABLE(&as_admin, "bob", 0), STATUS_OK);
    assert_true(opens("bob", RIGHT));
    refused(op_create_user(&as_admin, &request, &user, fresh()), ERROR_EXISTS, "name");
}

/* All at once, each with its field. */
static void a_user_that_cannot_be(void **state)
{
    const struct user_request request = {.name = ".x",
                                         .role = "king",
                                         .groups = "a\na",
                                         .password = "short",
                                         .old_password = "y",
                                         .disabled = -1};

    (void)state;
    refused(op_create_user(&as_admin, &request, &user, fresh()), ERROR_BAD_VALUE, "name");
    assert_int_equal(errors.count, 5);
    assert_true(errors_blame(&errors, "role") && errors_blame(&errors, "groups") &&
                errors_blame(&errors, "password") && errors_blame(&errors, "old_password"));
    refused(op_create_user(&as_admin, &(struct user_request){.disabled = -1}, &user, fresh()),
            ERROR_MISSING_FIELD, "name");
    assert_true(errors_blame(&errors, "role"));
}

static void without_a_password_nothing_opens(void **state)
{
    const struct user_request request = {.name = "bob", .role = "operator", .disabled = -1};

    (void)state;
    assert_int_equal(op_create_user(&as_admin, &request, &user, fresh()), STATUS_OK);
    assert_string_equal(user.password_hash, "");
    assert_false(opens("bob", ""));
}

static void passwords(void **state)
{
    static const struct {
        const char *password;
        enum error_code code;
    } WRONG[] = {{"", ERROR_OUT_OF_RANGE},
                 {"1234567", ERROR_OUT_OF_RANGE},
                 {"tab\tin it all", ERROR_BAD_VALUE},
                 {"Anna-Maria", ERROR_BAD_VALUE}};
    char password[PASSWORD_MAX + 2];

    (void)state;
    user_add("anna-maria", "operator");
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++) {
        refused(CHANGE(&as_admin, "anna-maria", .password = WRONG[i].password), WRONG[i].code, "password");
        assert_true(strstr(errors.items[0].message, "Anna-Maria") == NULL);
    }
    memset(password, 'x', sizeof password);
    password[PASSWORD_MAX + 1] = '\0';
    refused(CHANGE(&as_admin, "anna-maria", .password = password), ERROR_OUT_OF_RANGE, "password");
    password[PASSWORD_MAX] = '\0';
    assert_int_equal(CHANGE(&as_admin, "anna-maria", .password = password), STATUS_OK);
    assert_true(opens("anna-maria", password));
}

static void ones_own_password(void **state)
{
    (void)state;
    refused(CHANGE(&as_anna, "anna", .password = "another password"), ERROR_MISSING_FIELD, "old_password");
    refused(CHANGE(&as_anna, "anna", .password = "another password", .old_password = "a guess"),
            ERROR_BAD_CREDENTIALS, "old_password");
    assert_true(opens("anna", RIGHT));
    assert_int_equal(CHANGE(&as_anna, "anna", .password = "another password", .old_password = RIGHT),
                     STATUS_OK);
    assert_true(opens("anna", "another password"));
    refused(CHANGE(&as_admin, "anna", .password = "another password", .old_password = "x"), ERROR_CONFLICT,
            "old_password");
    assert_int_equal(CHANGE(&as_admin, "admin", .password = "another password"), STATUS_OK);
}

static void guesses_of_it_are_held_back(void **state)
{
    (void)state;
    for (int i = 0; i < GUARD_FREE_FAILURES; i++)
        refused(CHANGE(&as_anna, "anna", .password = "another password", .old_password = "a guess"),
                ERROR_BAD_CREDENTIALS, "old_password");
    refused(CHANGE(&as_anna, "anna", .password = "another password", .old_password = RIGHT),
            ERROR_TOO_MANY_ATTEMPTS, "old_password");
}

/* What else is wrong is told without a guess. */
static void guesses_come_last(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * GUARD_FREE_FAILURES; i++)
        refused(CHANGE(&as_anna, "anna", .password = "short", .old_password = "a guess"), ERROR_OUT_OF_RANGE,
                "password");
    assert_int_equal(CHANGE(&as_anna, "anna", .password = "another password", .old_password = RIGHT),
                     STATUS_OK);
}

static void what_only_administrators_change(void **state)
{
    (void)state;
    refused(CHANGE(&as_anna, "admin", .password = "another password", .old_password = RIGHT), ERROR_FORBIDDEN,
            "name");
    refused(change(&as_anna, "anna", (struct user_request){.role = "admin", .groups = "ops"}),
            ERROR_FORBIDDEN, "role");
    assert_int_equal(errors.count, 3);
    /* Nor does it tell who is there. */
    refused(ABLE(&as_anna, "nobody", 1), ERROR_FORBIDDEN, "name");
}

static void a_change_of_nothing(void **state)
{
    (void)state;
    assert_int_equal(op_get_user(&as_admin, "anna", &user, fresh()), STATUS_OK);
    int64_t generation = user.generation;
    assert_int_equal(CHANGE(&as_admin, "anna", .role = NULL), STATUS_OK);
    assert_int_equal(user.generation, generation);
    assert_int_equal(CHANGE(&as_admin, "anna", .role = "auditor"), STATUS_OK);
    assert_true(user.generation > generation);
}

static void somebody_rules(void **state)
{
    (void)state;
    refused(CHANGE(&as_admin, "admin", .role = "operator"), ERROR_LAST_ADMIN, "");
    refused(ABLE(&as_admin, "admin", 1), ERROR_LAST_ADMIN, "");
    refused(op_delete_user(&as_admin, "admin", &user, fresh()), ERROR_LAST_ADMIN, "");
    user_add("bob", "admin");
    assert_int_equal(op_delete_user(&as_admin, "admin", &user, fresh()), STATUS_OK);
    assert_string_equal(user.name, "admin");
    refused(op_get_user(&as_admin, "admin", &user, fresh()), ERROR_NO_SUCH_USER, "username");
}

static void count(void *counter, const struct user *one)
{
    assert_true(strcmp(one->name, "admin") == 0 || strcmp(one->name, "anna") == 0);
    ++*(int *)counter;
}

static void all_users(void **state)
{
    int counter = 0;

    (void)state;
    assert_int_equal(op_list_users(&as_admin, count, &counter, fresh()), STATUS_OK);
    assert_int_equal(counter, 2);
}

/* ---- what a token may not ---- */

static void tokens_make_no_administrators(void **state)
{
    struct user_request request = {.name = "eve", .role = "admin", .password = RIGHT, .disabled = -1};
    struct role made = {.name = "lab", .kind = ROLE_OPERATOR};

    (void)state;
    user_add("bob", "admin");
    user_add("carl", "admin");
    assert_int_equal(ABLE(&as_admin, "carl", 1), STATUS_OK);
    assert_int_equal(op_put_role(&as_admin, &made, fresh()), STATUS_OK);
    admin.way = WAY_TOKEN;
    refused(op_create_user(&as_admin, &request, &user, fresh()), ERROR_FORBIDDEN, "role");
    refused(CHANGE(&as_admin, "anna", .role = "admin"), ERROR_FORBIDDEN, "role");
    refused(ABLE(&as_admin, "carl", 0), ERROR_FORBIDDEN, "role");
    refused(CHANGE(&as_admin, "anna", .password = "another password"), ERROR_FORBIDDEN, "password");
    made.kind = ROLE_ADMIN;
    refused(op_put_role(&as_admin, &made, fresh()), ERROR_FORBIDDEN, "kind");
    snprintf(made.name, sizeof made.name, "new");
    refused(op_put_role(&as_admin, &made, fresh()), ERROR_FORBIDDEN, "kind");
    /* And all that is none. */
    assert_int_equal(CHANGE(&as_admin, "bob", .role = "operator"), STATUS_OK);
    request.role = "operator";
    assert_int_equal(op_create_user(&as_admin, &request, &user, fresh()), STATUS_OK);
    assert_int_equal(op_get_role(&as_admin, "admin", &made, fresh()), STATUS_OK);
    made.policy.max_duration_s = 60;
    assert_int_equal(op_put_role(&as_admin, &made, fresh()), STATUS_OK);
}

static void tokens_make_no_tokens(void **state)
{
    (void)state;
    anna.way = WAY_TOKEN;
    refused(op_create_token(&as_anna, &(struct token_request){0}, &token, secret, fresh()), ERROR_FORBIDDEN,
            "");
    refused(CHANGE(&as_anna, "anna", .password = "another password", .old_password = RIGHT), ERROR_FORBIDDEN,
            "password");
}

/* ---- roles ---- */

static void a_role(void **state)
{
    struct role made = {.name = "lab",
                        .kind = ROLE_OPERATOR,
                        .policy = {.points = "lab-*/*\nVNIC tap*",
                                   .max_hourly = 7,
                                   .networks = "192.0.2.0/24\n2001:db8::/32"}};

    (void)state;
    assert_int_equal(op_put_role(&as_admin, &made, fresh()), STATUS_OK);
    assert_int_equal(op_get_role(&as_admin, "lab", &role, fresh()), STATUS_OK);
    assert_string_equal(role.policy.points, made.policy.points);
    assert_string_equal(role.policy.networks, made.policy.networks);
    assert_int_equal(role.policy.max_hourly, 7);
    assert_false(role.built_in);
    user_add("bob", "lab");
    refused(op_delete_role(&as_admin, "lab", &role, fresh()), ERROR_ROLE_IN_USE, "role");
    assert_int_equal(CHANGE(&as_admin, "bob", .role = "operator"), STATUS_OK);
    assert_int_equal(op_delete_role(&as_admin, "lab", &role, fresh()), STATUS_OK);
    refused(op_get_role(&as_admin, "lab", &role, fresh()), ERROR_NO_SUCH_ROLE, "role");
}

static void roles_that_cannot_be(void **state)
{
    static const struct {
        struct role role;
        enum error_code code;
        const char *field;
    } WRONG[] = {
        {{.name = "a b", .kind = ROLE_OPERATOR}, ERROR_BAD_VALUE, "name"},
        {{.name = "lab"}, ERROR_MISSING_FIELD, "kind"},
        {{.name = "lab", .kind = ROLE_OPERATOR, .policy.max_hourly = -1}, ERROR_OUT_OF_RANGE, "max_hourly"},
        {{.name = "lab", .kind = ROLE_OPERATOR, .policy.max_duration_s = INT64_C(1) << 31},
         ERROR_OUT_OF_RANGE,
         "max_duration"},
        {{.name = "lab", .kind = ROLE_OPERATOR, .policy.max_snaplen = 23}, ERROR_OUT_OF_RANGE, "max_snaplen"},
        {{.name = "lab", .kind = ROLE_OPERATOR, .policy.points = "a\na"}, ERROR_BAD_VALUE, "points"},
        {{.name = "lab", .kind = ROLE_OPERATOR, .policy.points = "NODE WRONG a"}, ERROR_BAD_VALUE, "points"},
        {{.name = "lab", .kind = ROLE_OPERATOR, .policy.networks = "home"}, ERROR_BAD_VALUE, "networks"},
        {{.name = "admin", .kind = ROLE_OPERATOR}, ERROR_BUILT_IN, "kind"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        refused(op_put_role(&as_admin, &WRONG[i].role, fresh()), WRONG[i].code, WRONG[i].field);
    refused(op_delete_role(&as_admin, "operator", &role, fresh()), ERROR_BUILT_IN, "role");
}

/* ---- tokens ---- */

static void a_token(void **state)
{
    uint8_t hash[SECRET_HASH_SIZE];
    struct error error;
    bool found;

    (void)state;
    const struct token_request request = {.name = "nightly", .expires_in_s = 60};
    assert_int_equal(op_create_token(&as_anna, &request, &token, secret, fresh()), STATUS_OK);
    assert_string_equal(token.user, "anna");
    assert_int_equal(token.expires_ms - token.created_ms, 60000);
    secret_hash(secret, hash);
    assert_int_equal(store_find_token(as_admin.store, hash, &found, &token, &user, &role, &error), STATUS_OK);
    assert_true(found);
    assert_int_equal(op_revoke_token(&as_anna, token.id, &token, fresh()), STATUS_OK);
    int64_t revoked_ms = token.revoked_ms;
    assert_true(revoked_ms > 0);
    assert_int_equal(op_revoke_token(&as_admin, token.id, &token, fresh()), STATUS_OK);
    assert_int_equal(token.revoked_ms, revoked_ms);
}

static void tokens_that_cannot_be(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'x', sizeof name);
    name[256] = '\0';
    refused(op_create_token(&as_anna, &(struct token_request){.name = name}, &token, secret, fresh()),
            ERROR_OUT_OF_RANGE, "name");
    refused(op_create_token(&as_anna, &(struct token_request){.name = "a\nb"}, &token, secret, fresh()),
            ERROR_BAD_VALUE, "name");
    refused(op_create_token(&as_anna, &(struct token_request){.expires_in_s = INT64_C(1) << 31}, &token,
                            secret, fresh()),
            ERROR_OUT_OF_RANGE, "expires_in");
    refused(op_create_token(&as_anna, &(struct token_request){.user = "admin"}, &token, secret, fresh()),
            ERROR_FORBIDDEN, "user");
    refused(op_create_token(&as_admin, &(struct token_request){.user = "nobody"}, &token, secret, fresh()),
            ERROR_NO_SUCH_USER, "user");
    /* Whom a proxy vouches for is in no table here. */
    refused(op_create_token(&as_stranger, &(struct token_request){0}, &token, secret, fresh()),
            ERROR_NO_SUCH_USER, "user");
}

/* In the same words, so that ids cannot be tried out. */
static void somebody_elses_token_is_not_there(void **state)
{
    char message[sizeof errors.items[0].message];

    (void)state;
    assert_int_equal(op_create_token(&as_admin, &(struct token_request){0}, &token, secret, fresh()),
                     STATUS_OK);
    struct token other = token;
    refused(op_get_token(&as_anna, other.id, &token, fresh()), ERROR_NO_SUCH_TOKEN, "id");
    snprintf(message, sizeof message, "%s", errors.items[0].message);
    refused(op_revoke_token(&as_anna, other.id, &token, fresh()), ERROR_NO_SUCH_TOKEN, "id");
    refused(op_get_token(&as_anna, ID, &token, fresh()), ERROR_NO_SUCH_TOKEN, "id");
    assert_int_equal(strlen(message), strlen(errors.items[0].message));
    refused(op_get_token(&as_anna, "no-uuid", &token, fresh()), ERROR_NO_SUCH_TOKEN, "id");
    assert_int_equal(op_get_token(&as_admin, other.id, &token, fresh()), STATUS_OK);
    assert_int_equal(token.revoked_ms, 0);
}

static void count_tokens(void *counter, const struct token *one)
{
    (void)one;
    ++*(int *)counter;
}

static int tokens_of(const struct context *context, const char *whose)
{
    int counter = 0;

    return op_list_tokens(context, whose, count_tokens, &counter, fresh()) == STATUS_OK ? counter : -1;
}

static void lists_of_tokens(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++)
        assert_int_equal(op_create_token(&as_anna, &(struct token_request){0}, &token, secret, fresh()),
                         STATUS_OK);
    assert_int_equal(op_create_token(&as_admin, &(struct token_request){0}, &token, secret, fresh()),
                     STATUS_OK);
    assert_int_equal(tokens_of(&as_anna, NULL), 2);
    assert_int_equal(tokens_of(&as_anna, "anna"), 2);
    assert_int_equal(tokens_of(&as_admin, NULL), 1);
    assert_int_equal(tokens_of(&as_admin, "*"), 3);
    assert_int_equal(tokens_of(&as_anna, "*"), -1);
    assert_int_equal(errors.items[0].code, ERROR_FORBIDDEN);
    assert_int_equal(tokens_of(&as_anna, "admin"), -1);
    assert_int_equal(tokens_of(&as_admin, "anne"), -1);
    assert_int_equal(errors.items[0].code, ERROR_NO_SUCH_USER);
}

/* ---- sessions ---- */

static struct session session;

static void session_add(void)
{
    struct session made = {
        .id = ID,
        .node_id = "0b0e0c8a-7d53-4c7c-8b55-1d2c3b4a5f60",
        .request = {.cappoint = CAPPOINT_VNIC, .capsource = CAPSOURCE_CLI, .capvalue = "eth0"},
        .create_user = "anna",
        .owner = "anna",
        .last_modified_user = "anna",
        .run = {.number = 1, .state = STATE_CREATED}};
    struct error error;

    made.create_time_ms = made.last_modified_time_ms = made.run.created_ms = clock_now_ms();
    assert_int_equal(store_insert_session(as_admin.store, &made, 0, NULL, &error), STATUS_OK);
}

static enum status share_with(enum share_kind kind, const char *name, bool on)
{
    struct share share = {.kind = kind};

    snprintf(share.name, sizeof share.name, "%s", name);
    return op_share_session(&as_anna, ID, &share, on, &session, fresh());
}

static void shares(void **state)
{
    (void)state;
    session_add();
    assert_int_equal(share_with(SHARE_USER, "admin", true), STATUS_OK);
    assert_int_equal(share_with(SHARE_GROUP, "anybody", true), STATUS_OK);
    assert_int_equal(session.share_count, 2);
    assert_string_equal(session.last_modified_user, "anna");
    assert_int_equal(share_with(SHARE_USER, "admin", false), STATUS_OK);
    assert_int_equal(session.share_count, 1);
    refused(share_with(SHARE_USER, "nobody", true), ERROR_NO_SUCH_USER, "user");
    refused(share_with(SHARE_GROUP, "a b", true), ERROR_BAD_VALUE, "group");
    assert_int_equal(share_with(SHARE_USER, "nobody", false), STATUS_OK);
    /* Where proxies vouch for users, anybody may come. */
    snprintf(config.user_header, sizeof config.user_header, "X-Forwarded-User");
    assert_int_equal(share_with(SHARE_USER, "nobody", true), STATUS_OK);
}

static void transfers(void **state)
{
    (void)state;
    session_add();
    assert_int_equal(op_transfer_session(&as_admin, ID, "admin", &session, fresh()), STATUS_OK);
    assert_string_equal(session.owner, "admin");
    assert_string_equal(session.create_user, "anna");
    refused(op_transfer_session(&as_admin, ID, "nobody", &session, fresh()), ERROR_NO_SUCH_USER, "user");
    refused(op_transfer_session(&as_admin, ID, "", &session, fresh()), ERROR_MISSING_FIELD, "user");
    refused(op_transfer_session(&as_admin, "no-uuid", "admin", &session, fresh()), ERROR_NO_SUCH_SESSION,
            "session-id");
}

static void usage(void **state)
{
    struct usage used;

    (void)state;
    session_add();
    assert_int_equal(op_get_usage(&as_anna, &used, fresh()), STATUS_OK);
    assert_int_equal(used.unfinished, 1);
    assert_int_equal(used.hourly, 1);
    assert_int_equal(op_get_usage(&as_admin, &used, fresh()), STATUS_OK);
    assert_int_equal(used.hourly, 0);
}

/* ---- the first administrator ---- */

static enum status begin(const char *password, char printed[TOKEN_SECRET_SIZE], struct error *error)
{
    struct error ignored;

    if (store_delete_user(as_admin.store, "anna", 0, &ignored) != STATUS_OK)
        return STATUS_INTERNAL;
    return people_begin(as_admin.store, password, printed, error);
}

/* Behind the store's back, which lets the last administrator not go: another place. */
static struct store *empty_store(char name[80])
{
    struct store *store;
    struct error error;

    snprintf(name, 80, "%s/empty.db", place);
    assert_int_equal(store_open(name, &store, &error), STATUS_OK);
    return store;
}

static void empty_store_end(struct store *store, const char *name)
{
    char file[100];

    store_close(store);
    unlink(name);
    for (const char *const *suffix = (const char *const[]){"-wal", "-shm", NULL}; *suffix != NULL; suffix++) {
        snprintf(file, sizeof file, "%s%s", name, *suffix);
        unlink(file);
    }
}

static void the_first_administrator(void **state)
{
    char name[80], printed[TOKEN_SECRET_SIZE];
    struct error error;
    struct store *store = empty_store(name);

    (void)state;
    assert_int_equal(people_begin(store, NULL, printed, &error), STATUS_OK);
    assert_true(strlen(printed) >= PASSWORD_MIN);
    assert_int_equal(store_get_user_role(store, "admin", &user, &role, &error), STATUS_OK);
    assert_int_equal(role.kind, ROLE_ADMIN);
    assert_true(secret_verify_password(user.password_hash, printed));
    assert_int_equal(people_begin(store, "another password", printed, &error), STATUS_OK);
    assert_string_equal(printed, "");
    empty_store_end(store, name);
    /* There is one already. */
    assert_int_equal(begin(NULL, printed, &error), STATUS_OK);
    assert_string_equal(printed, "");
}

static void a_name_that_is_taken(void **state)
{
    struct user taken = {.name = "admin", .role = "operator", .generation = 1, .created_ms = 1};
    char name[80], printed[TOKEN_SECRET_SIZE], password[PASSWORD_MAX + 2];
    struct error error;
    struct store *store = empty_store(name);

    (void)state;
    memset(password, 'x', sizeof password);
    password[PASSWORD_MAX + 1] = '\0';
    assert_int_not_equal(people_begin(store, password, printed, &error), STATUS_OK);
    assert_int_equal(error.code, ERROR_OUT_OF_RANGE);
    assert_int_equal(store_insert_user(store, &taken, &error), STATUS_OK);
    assert_int_not_equal(people_begin(store, NULL, printed, &error), STATUS_OK);
    assert_int_equal(error.code, ERROR_EXISTS);
    assert_non_null(strstr(error.message, "pktcapd user role admin admin"));
    assert_string_equal(printed, "");
    empty_store_end(store, name);
}

#define PEOPLE_TEST(function) cmocka_unit_test_setup_teardown(function, world_make, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PEOPLE_TEST(a_new_user),
        PEOPLE_TEST(a_user_that_cannot_be),
        PEOPLE_TEST(without_a_password_nothing_opens),
        PEOPLE_TEST(passwords),
        PEOPLE_TEST(ones_own_password),
        PEOPLE_TEST(guesses_of_it_are_held_back),
        PEOPLE_TEST(guesses_come_last),
        PEOPLE_TEST(what_only_administrators_change),
        PEOPLE_TEST(a_change_of_nothing),
        PEOPLE_TEST(somebody_rules),
        PEOPLE_TEST(all_users),
        PEOPLE_TEST(tokens_make_no_administrators),
        PEOPLE_TEST(tokens_make_no_tokens),
        PEOPLE_TEST(a_role),
        PEOPLE_TEST(roles_that_cannot_be),
        PEOPLE_TEST(a_token),
        PEOPLE_TEST(tokens_that_cannot_be),
        PEOPLE_TEST(somebody_elses_token_is_not_there),
        PEOPLE_TEST(lists_of_tokens),
        PEOPLE_TEST(shares),
        PEOPLE_TEST(transfers),
        PEOPLE_TEST(usage),
        PEOPLE_TEST(the_first_administrator),
        PEOPLE_TEST(a_name_that_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
