/* Tokens and logins. */
#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- makers ---- */

static void hash_fill(uint8_t hash[SECRET_HASH_SIZE], unsigned seed)
{
    for (unsigned i = 0; i < SECRET_HASH_SIZE; i++)
        hash[i] = (uint8_t)(i == 0 ? 0 : seed * 31 + i); /* a zero first: bytes are no text */
}

static struct token token_insert(struct fixture *fixture, const char *user, unsigned seed)
{
    struct token token;
    struct error error;

    memset(&token, 0, sizeof token);
    uuid_make(token.id);
    strcpy(token.user, user);
    snprintf(token.name, sizeof token.name, "маркер %u", seed);
    hash_fill(token.hash, seed);
    token.created_ms = T0 + seed;
    token.expires_ms = T0 + 1000 + seed;
    MUST(store_insert_token(fixture->store, &token, &error));
    return token;
}

static struct login login_made(const char *user, unsigned seed)
{
    struct login login;

    memset(&login, 0, sizeof login);
    hash_fill(login.hash, seed);
    hash_fill(login.xsrf, seed + 100);
    strcpy(login.user, user);
    login.generation = 7;
    login.created_ms = login.used_ms = T0 + seed;
    return login;
}

bool login_is_there(struct fixture *fixture, unsigned seed)
{
    struct login wanted = login_made("", seed), login;
    struct user user;
    struct role role;
    struct error error;
    bool found;

    MUST(store_find_login(fixture->store, wanted.hash, &found, &login, &user, &role, &error));
    return found;
}

void login_insert(struct fixture *fixture, const char *user, unsigned seed, int64_t most, int64_t stale_ms)
{
    struct login login = login_made(user, seed);
    struct error error;

    MUST(store_insert_login(fixture->store, &login, most, stale_ms, &error));
}

/* ---- tokens ---- */

static void a_token_is_found_by_its_hash(void **state)
{
    struct fixture *fixture = *state;
    uint8_t unknown[SECRET_HASH_SIZE];
    struct token got;
    struct user user;
    struct role role;
    struct error error;
    bool found = true;

    user_insert(fixture, "alice", "operator");
    struct token token = token_insert(fixture, "alice", 1);
    hash_fill(unknown, 2);
    MUST(store_find_token(fixture->store, unknown, &found, &got, &user, &role, &error));
    assert_false(found);
    memset(&got, 0, sizeof got);
    MUST(store_find_token(fixture->store, token.hash, &found, &got, &user, &role, &error));
    assert_true(found);
    assert_memory_equal(&got, &token, sizeof got);
    assert_string_equal(user.name, "alice");
    assert_string_equal(role.name, "operator");
    assert_int_equal(role.kind, ROLE_OPERATOR);
    assert_string_equal(user.role, "operator");
    memset(&got, 0, sizeof got);
    MUST(store_get_token(fixture->store, token.id, &got, &error));
    assert_memory_equal(&got, &token, sizeof got);
    strcpy(token.user, "bob");
    MUST_FAIL(ERROR_NO_SUCH_USER, store_insert_token(fixture->store, &token, &error));
    MUST_FAIL(ERROR_NO_SUCH_TOKEN, store_get_token(fixture->store, "x", &got, &error));
    MUST_FAIL(ERROR_NO_SUCH_TOKEN, store_revoke_token(fixture->store, "x", T0, &error));
}

static void a_revoked_token_is_found_and_says_so(void **state)
{
    struct fixture *fixture = *state;
    struct token got;
    struct user user;
    struct role role;
    struct error error;
    bool found;

    user_insert(fixture, "alice", "operator");
    struct token token = token_insert(fixture, "alice", 1);
    MUST(store_revoke_token(fixture->store, token.id, T0 + 5, &error));
    MUST(store_revoke_token(fixture->store, token.id, T0 + 9, &error));
    MUST(store_find_token(fixture->store, token.hash, &found, &got, &user, &role, &error));
    assert_true(found);
    assert_int_equal(got.revoked_ms, T0 + 5);
}

static void a_use_of_a_token_is_noted_to_the_minute(void **state)
{
    struct fixture *fixture = *state;
    static const int64_t USES[][2] = {
        {T0, T0}, {T0 + 59999, T0}, {T0 + 60000, T0 + 60000}, {T0 - 5, T0 - 5} /* a clock set back */};
    struct error error;

    user_insert(fixture, "alice", "operator");
    struct token token = token_insert(fixture, "alice", 1);
    for (size_t i = 0; i < COUNT(USES); i++) {
        MUST(store_touch_token(fixture->store, &token, USES[i][0], &error));
        MUST(store_get_token(fixture->store, token.id, &token, &error));
        assert_int_equal(token.used_ms, USES[i][1]);
    }
}

static void token_seen(void *context, const struct token *token)
{
    name_add(context, token->name);
}

static void tokens_are_listed_oldest_first(void **state)
{
    struct fixture *fixture = *state;
    struct names_seen all = {""}, alices = {""}, nobodys = {""};
    struct error error;

    user_insert(fixture, "alice", "operator");
    user_insert(fixture, "bob", "operator");
    for (unsigned i = 1; i <= 4; i++)
        token_insert(fixture, i % 2 == 0 ? "alice" : "bob", i);
    MUST(store_list_tokens(fixture->store, NULL, token_seen, &all, &error));
    assert_string_equal(all.text, "маркер 1 маркер 2 маркер 3 маркер 4 ");
    MUST(store_list_tokens(fixture->store, "alice", token_seen, &alices, &error));
    assert_string_equal(alices.text, "маркер 2 маркер 4 ");
    MUST(store_list_tokens(fixture->store, "carol", token_seen, &nobodys, &error));
    assert_string_equal(nobodys.text, "");
}

/* ---- logins ---- */

static void a_login_is_found_by_its_hash(void **state)
{
    struct fixture *fixture = *state;
    struct login login = login_made("alice", 1), got;
    struct user user;
    struct role role;
    struct error error;
    bool found;

    MUST_FAIL(ERROR_NO_SUCH_USER, store_insert_login(fixture->store, &login, 8, 0, &error));
    user_insert(fixture, "alice", "operator");
    MUST(store_insert_login(fixture->store, &login, 8, 0, &error));
    memset(&got, 0, sizeof got);
    MUST(store_find_login(fixture->store, login.hash, &found, &got, &user, &role, &error));
    assert_true(found);
    assert_memory_equal(&got, &login, sizeof got);
    assert_string_equal(user.name, "alice");
    assert_string_equal(role.name, "operator");
    assert_string_equal(role.policy.points, "*");
    MUST(store_touch_login(fixture->store, &got, T0 + 60000, &error));
    MUST(store_touch_login(fixture->store, &got, T0 + 61001, &error));
    MUST(store_find_login(fixture->store, login.hash, &found, &got, &user, &role, &error));
    assert_int_equal(got.used_ms, T0 + 61001);
    MUST(store_delete_login(fixture->store, login.hash, &error));
    MUST(store_delete_login(fixture->store, login.hash, &error));
    assert_false(login_is_there(fixture, 1));
}

/* The clock stands still: the order of insertion decides. */
static void the_newest_logins_of_a_user_are_kept(void **state)
{
    struct fixture *fixture = *state;

    user_insert(fixture, "alice", "operator");
    user_insert(fixture, "bob", "operator");
    login_insert(fixture, "bob", 50, 3, 0);
    for (unsigned i = 20; i > 10; i--) {
        login_insert(fixture, "alice", i, 3, 0);
        for (unsigned j = 20; j > 10; j--)
            assert_int_equal(login_is_there(fixture, j), j >= i && j < i + 3);
    }
    assert_true(login_is_there(fixture, 50));
}

static void stale_logins_are_removed(void **state)
{
    struct fixture *fixture = *state;
    struct login used = login_made("alice", 2);
    struct error error;

    user_insert(fixture, "alice", "operator");
    user_insert(fixture, "bob", "operator");
    login_insert(fixture, "alice", 1, 8, 0);
    login_insert(fixture, "alice", 2, 8, 0);
    login_insert(fixture, "alice", 3, 8, 0);
    MUST(store_touch_login(fixture->store, &used, T0 + 70000, &error));
    login_insert(fixture, "bob", 10, 8, T0 + 3);
    assert_false(login_is_there(fixture, 1));
    assert_true(login_is_there(fixture, 2));
    assert_true(login_is_there(fixture, 3));
    assert_true(login_is_there(fixture, 10));
}

static void what_a_user_entered_with_goes_with_the_user(void **state)
{
    struct fixture *fixture = *state;
    struct token got;
    struct user user;
    struct role role;
    struct error error;
    bool found;

    user_insert(fixture, "alice", "operator");
    user_insert(fixture, "bob", "operator");
    struct token token = token_insert(fixture, "alice", 1), bobs = token_insert(fixture, "bob", 2);
    login_insert(fixture, "alice", 3, 8, 0);
    login_insert(fixture, "bob", 4, 8, 0);
    MUST(store_delete_user(fixture->store, "alice", &error));
    user_insert(fixture, "alice", "operator");
    MUST(store_find_token(fixture->store, token.hash, &found, &got, &user, &role, &error));
    assert_false(found);
    assert_false(login_is_there(fixture, 3));
    MUST(store_find_token(fixture->store, bobs.hash, &found, &got, &user, &role, &error));
    assert_true(found);
    assert_true(login_is_there(fixture, 4));
}

int suite_tokens(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_token_is_found_by_its_hash),
        STORE_TEST(a_revoked_token_is_found_and_says_so),
        STORE_TEST(a_use_of_a_token_is_noted_to_the_minute),
        STORE_TEST(tokens_are_listed_oldest_first),
        STORE_TEST(a_login_is_found_by_its_hash),
        STORE_TEST(the_newest_logins_of_a_user_are_kept),
        STORE_TEST(stale_logins_are_removed),
        STORE_TEST(what_a_user_entered_with_goes_with_the_user),
    };

    return cmocka_run_group_tests_name("tokens", tests, NULL, NULL);
}
