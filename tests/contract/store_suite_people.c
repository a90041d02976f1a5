/* Users and roles. */
#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- makers ---- */

static struct user user_made(const char *name, const char *role)
{
    struct user user = {.created_ms = T0};

    strcpy(user.name, name);
    strcpy(user.role, role);
    strcpy(user.password_hash, "$argon2id$");
    return user;
}

void user_insert(struct fixture *fixture, const char *name, const char *role)
{
    struct user user = user_made(name, role);
    struct error error;

    MUST(store_insert_user(fixture->store, &user, &error));
}

static struct user user_get(struct fixture *fixture, const char *name)
{
    struct user user;
    struct error error;

    memset(&user, 0, sizeof user);
    MUST(store_get_user(fixture->store, name, &user, &error));
    return user;
}

static struct role role_made(const char *name, enum role_kind kind)
{
    struct role role = {.kind = kind};

    strcpy(role.name, name);
    strcpy(role.policy.points, "*");
    return role;
}

static void role_put(struct fixture *fixture, const char *name, enum role_kind kind)
{
    struct role role = role_made(name, kind);
    struct error error;

    MUST(store_put_role(fixture->store, &role, &error));
}

/* ---- users ---- */

static void every_field_of_a_user_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct user user = user_made("alice@example.org", "operator"), got;
    struct role role;
    struct error error;

    memset(user.groups, 'g', sizeof user.groups - 1);
    memset(user.password_hash, 'h', sizeof user.password_hash - 1);
    strcpy(user.created_by, "root");
    user.disabled = true;
    MUST(store_insert_user(fixture->store, &user, &error));
    fixture_close(fixture);
    fixture_open(fixture);
    got = user_get(fixture, user.name);
    user.generation = got.generation;
    assert_memory_equal(&got, &user, sizeof got);
    memset(&got, 0, sizeof got);
    MUST(store_get_user_role(fixture->store, user.name, &got, &role, &error));
    assert_memory_equal(&got, &user, sizeof got);
    assert_string_equal(role.name, "operator");
    assert_int_equal(role.kind, ROLE_OPERATOR);
}

static void a_user_needs_a_new_name_and_a_role(void **state)
{
    struct fixture *fixture = *state;
    struct user user = user_made("alice", "operator");
    struct role role;
    struct error error;

    MUST_FAIL(ERROR_NO_SUCH_USER, store_get_user(fixture->store, "alice", &user, &error));
    MUST_FAIL(ERROR_NO_SUCH_USER, store_get_user_role(fixture->store, "alice", &user, &role, &error));
    MUST_FAIL(ERROR_NO_SUCH_USER, store_delete_user(fixture->store, "alice", &error));
    MUST(store_insert_user(fixture->store, &user, &error));
    MUST_FAIL(ERROR_EXISTS, store_insert_user(fixture->store, &user, &error));
    user = user_made("bob", "nobody");
    MUST_FAIL(ERROR_NO_SUCH_ROLE, store_insert_user(fixture->store, &user, &error));
    user_insert(fixture, "Alice", "auditor"); /* another one */
}

void name_add(struct names_seen *seen, const char *name)
{
    size_t used = strlen(seen->text);

    snprintf(seen->text + used, sizeof seen->text - used, "%s ", name);
}

static void user_seen(void *context, const struct user *user)
{
    name_add(context, user->name);
}

static void users_are_listed_by_name(void **state)
{
    struct fixture *fixture = *state;
    struct names_seen seen = {""};
    struct error error;

    MUST(store_list_users(fixture->store, user_seen, &seen, &error));
    assert_string_equal(seen.text, "");
    user_insert(fixture, "carol", "admin");
    user_insert(fixture, "alice", "operator");
    user_insert(fixture, "bob", "operator");
    MUST(store_list_users(fixture->store, user_seen, &seen, &error));
    assert_string_equal(seen.text, "alice bob carol ");
}

#define KEEP                                                                                                 \
    {                                                                                                        \
        .disabled = -1                                                                                       \
    }

static void a_change_sets_what_is_given(void **state)
{
    struct fixture *fixture = *state;
    struct user_change changes[] = {KEEP, KEEP, KEEP, KEEP, KEEP};
    struct user before, after;
    struct error error;

    changes[0].role = "auditor", changes[1].groups = "lab\nnet", changes[2].password_hash = "$new$";
    changes[3].disabled = 1, changes[4].groups = changes[4].password_hash = "";
    user_insert(fixture, "alice", "operator");
    for (size_t i = 0; i < COUNT(changes); i++) {
        before = user_get(fixture, "alice");
        MUST(store_change_user(fixture->store, "alice", &changes[i], &error));
        after = user_get(fixture, "alice");
        bool verified = i != 1;
        assert_true(verified ? after.generation > before.generation : after.generation == before.generation);
        assert_string_equal(after.role, "auditor");
        assert_string_equal(after.groups, i >= 1 && i < 4 ? "lab\nnet" : "");
        assert_string_equal(after.password_hash, i < 2 ? "$argon2id$" : i < 4 ? "$new$" : "");
        assert_int_equal(after.disabled, i >= 3);
    }
    MUST_FAIL(ERROR_NO_SUCH_USER, store_change_user(fixture->store, "bob", &changes[0], &error));
    changes[0].role = "nobody";
    MUST_FAIL(ERROR_NO_SUCH_ROLE, store_change_user(fixture->store, "alice", &changes[0], &error));
}

static void a_change_ends_logins_but_one_of_groups(void **state)
{
    struct fixture *fixture = *state;
    struct user_change groups = KEEP, disable = KEEP;
    struct error error;

    groups.groups = "lab", disable.disabled = 1;
    user_insert(fixture, "alice", "operator");
    user_insert(fixture, "bob", "operator");
    login_insert(fixture, "alice", 1, 8, 0);
    login_insert(fixture, "bob", 2, 8, 0);
    MUST(store_change_user(fixture->store, "alice", &groups, &error));
    assert_true(login_is_there(fixture, 1));
    MUST(store_change_user(fixture->store, "alice", &disable, &error));
    assert_false(login_is_there(fixture, 1));
    assert_true(login_is_there(fixture, 2));
}

/* Who knows a name and a generation by heart must not take a new user for the one before. */
static void a_generation_is_never_given_twice(void **state)
{
    struct fixture *fixture = *state;
    struct user_change change = KEEP;
    struct error error;
    int64_t generation = 0;

    change.password_hash = "$new$";
    for (int round = 0; round < 4; round++) {
        user_insert(fixture, "alice", "operator");
        assert_true(user_get(fixture, "alice").generation > generation);
        MUST(store_change_user(fixture->store, "alice", &change, &error));
        generation = user_get(fixture, "alice").generation;
        MUST(store_delete_user(fixture->store, "alice", &error));
    }
}

/* ---- the last administrator ---- */

static bool has_admin(struct fixture *fixture)
{
    struct error error;
    bool has;

    MUST(store_has_admin(fixture->store, &has, &error));
    return has;
}

static void the_last_admin_stays(void **state)
{
    struct fixture *fixture = *state;
    struct user_change demote = KEEP, disable = KEEP, open = KEEP, groups = KEEP, promote = KEEP;
    struct user user;
    struct error error;

    demote.role = "operator", disable.disabled = 1, open.password_hash = "", groups.groups = "lab";
    promote.role = "admin";
    assert_false(has_admin(fixture));
    user_insert(fixture, "root", "admin");
    user_insert(fixture, "alice", "operator");
    user = user_made("robot", "admin"); /* who cannot enter with a password */
    user.password_hash[0] = '\0';
    MUST(store_insert_user(fixture->store, &user, &error));
    user = user_made("retired", "admin");
    user.disabled = true;
    MUST(store_insert_user(fixture->store, &user, &error));
    assert_true(has_admin(fixture));

    MUST_FAIL(ERROR_LAST_ADMIN, store_change_user(fixture->store, "root", &demote, &error));
    MUST_FAIL(ERROR_LAST_ADMIN, store_change_user(fixture->store, "root", &disable, &error));
    MUST_FAIL(ERROR_LAST_ADMIN, store_change_user(fixture->store, "root", &open, &error));
    MUST_FAIL(ERROR_LAST_ADMIN, store_delete_user(fixture->store, "root", &error));
    user = user_get(fixture, "root"); /* nothing of that was kept */
    assert_string_equal(user.role, "admin");
    assert_false(user.disabled);
    MUST(store_change_user(fixture->store, "root", &groups, &error));

    MUST(store_change_user(fixture->store, "alice", &promote, &error));
    MUST(store_delete_user(fixture->store, "root", &error));
    MUST_FAIL(ERROR_LAST_ADMIN, store_change_user(fixture->store, "alice", &demote, &error));
}

/* Roles of one's own may be of kind admin too. */
static void the_last_admin_keeps_the_kind_of_the_role(void **state)
{
    struct fixture *fixture = *state;
    struct role role = role_made("chief", ROLE_OPERATOR);
    struct error error;

    role_put(fixture, "chief", ROLE_ADMIN);
    user_insert(fixture, "root", "chief");
    assert_true(has_admin(fixture));
    MUST_FAIL(ERROR_LAST_ADMIN, store_put_role(fixture->store, &role, &error));
    role = role_made("chief", ROLE_ADMIN);
    role.policy.max_sessions = 3;
    MUST(store_put_role(fixture->store, &role, &error));
    user_insert(fixture, "other", "admin");
    role.kind = ROLE_OPERATOR;
    MUST(store_put_role(fixture->store, &role, &error));
    MUST_FAIL(ERROR_LAST_ADMIN, store_delete_user(fixture->store, "other", &error));
}

/* Without any to lose, people can be changed. */
static void no_admin_cannot_be_lost(void **state)
{
    struct fixture *fixture = *state;
    struct user_change disable = KEEP;
    struct error error;

    disable.disabled = 1;
    user_insert(fixture, "alice", "operator");
    MUST(store_change_user(fixture->store, "alice", &disable, &error));
    MUST(store_delete_user(fixture->store, "alice", &error));
}

/* ---- roles ---- */

static void every_field_of_a_role_comes_back(void **state)
{
    struct fixture *fixture = *state;
    struct role role = role_made("lab", ROLE_AUDITOR), got;
    struct error error;

    memset(role.policy.points, 'p', sizeof role.policy.points - 1);
    memset(role.policy.networks, 'n', sizeof role.policy.networks - 1);
    role.policy.max_duration_s = 1, role.policy.max_file_size_mb = 2, role.policy.max_snaplen = 3;
    role.policy.max_sessions = 4, role.policy.max_stored_mb = INT64_C(1) << 40, role.policy.max_hourly = 6;
    for (int round = 0; round < 2; round++) {
        role.policy.stream = role.policy.see_others = round == 0;
        role.policy.download_others = round == 1;
        MUST(store_put_role(fixture->store, &role, &error));
        memset(&got, 0, sizeof got);
        MUST(store_get_role(fixture->store, "lab", &got, &error));
        assert_memory_equal(&got, &role, sizeof got);
        memset(role.policy.points, 0, sizeof role.policy.points);
        memset(role.policy.networks, 0, sizeof role.policy.networks);
    }
}

static void role_seen(void *context, const struct role *role)
{
    name_add(context, role->name);
}

static void built_in_roles_stay_of_their_kind(void **state)
{
    static const char *const NAMES[] = {"admin", "operator", "auditor"};
    struct fixture *fixture = *state;
    struct names_seen seen = {""};
    struct role role;
    struct error error;

    for (size_t i = 0; i < COUNT(NAMES); i++) {
        MUST(store_get_role(fixture->store, NAMES[i], &role, &error));
        assert_true(role.built_in);
        assert_string_equal(names_of(&role_kind_names, (int)role.kind), NAMES[i]);
        role.policy.max_sessions = 9;
        role.built_in = false;
        MUST(store_put_role(fixture->store, &role, &error));
        MUST(store_get_role(fixture->store, NAMES[i], &role, &error));
        assert_true(role.built_in);
        assert_int_equal(role.policy.max_sessions, 9);
        role.kind = role.kind == ROLE_ADMIN ? ROLE_OPERATOR : ROLE_ADMIN;
        MUST_FAIL(ERROR_BUILT_IN, store_put_role(fixture->store, &role, &error));
        MUST_FAIL(ERROR_BUILT_IN, store_delete_role(fixture->store, NAMES[i], &error));
    }
    role_put(fixture, "lab", ROLE_OPERATOR);
    MUST(store_list_roles(fixture->store, role_seen, &seen, &error));
    assert_string_equal(seen.text, "admin auditor lab operator ");
}

static void a_role_in_use_stays(void **state)
{
    struct fixture *fixture = *state;
    struct role role;
    struct error error;

    MUST_FAIL(ERROR_NO_SUCH_ROLE, store_get_role(fixture->store, "lab", &role, &error));
    MUST_FAIL(ERROR_NO_SUCH_ROLE, store_delete_role(fixture->store, "lab", &error));
    role_put(fixture, "lab", ROLE_OPERATOR);
    user_insert(fixture, "alice", "lab");
    MUST_FAIL(ERROR_ROLE_IN_USE, store_delete_role(fixture->store, "lab", &error));
    MUST(store_delete_user(fixture->store, "alice", &error));
    MUST(store_delete_role(fixture->store, "lab", &error));
    MUST_FAIL(ERROR_NO_SUCH_ROLE, store_get_role(fixture->store, "lab", &role, &error));
}

int suite_people(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_field_of_a_user_comes_back),
        STORE_TEST(a_user_needs_a_new_name_and_a_role),
        STORE_TEST(users_are_listed_by_name),
        STORE_TEST(a_change_sets_what_is_given),
        STORE_TEST(a_change_ends_logins_but_one_of_groups),
        STORE_TEST(a_generation_is_never_given_twice),
        STORE_TEST(the_last_admin_stays),
        STORE_TEST(the_last_admin_keeps_the_kind_of_the_role),
        STORE_TEST(no_admin_cannot_be_lost),
        STORE_TEST(every_field_of_a_role_comes_back),
        STORE_TEST(built_in_roles_stay_of_their_kind),
        STORE_TEST(a_role_in_use_stays),
    };

    return cmocka_run_group_tests_name("people", tests, NULL, NULL);
}
