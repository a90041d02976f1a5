/*
 * kill -9 while people are changed: what was confirmed is there, what was not is there whole or not at all,
 * and the sums of what owners have are right.
 */
#include "core/clock.h"
#include "tests/contract/store_suite.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 20, PEOPLE_MAX = 2000, RUN_BYTES = 1000 };

/* What the child has confirmed: the person of this number was made, with all that goes with it, or is gone.
 */
struct confirmation {
    int number;
    bool gone;
};

static void person_name(int number, char out[PERSON_NAME_SIZE])
{
    snprintf(out, PERSON_NAME_SIZE, "person%d", number);
}

static void hash_of(int number, uint8_t hash[SECRET_HASH_SIZE])
{
    memset(hash, 0, SECRET_HASH_SIZE);
    memcpy(hash, &number, sizeof number);
}

/* ---- the child ---- */

static void child_must(enum status status, const struct error *error)
{
    if (status == STATUS_OK)
        return;
    print_error("%s\n", error->message);
    _exit(3);
}

static void child_confirm(int to, int number, bool gone)
{
    struct confirmation confirmation;

    memset(&confirmation, 0, sizeof confirmation);
    confirmation.number = number, confirmation.gone = gone;
    if (write(to, &confirmation, sizeof confirmation) != (ssize_t)sizeof confirmation)
        _exit(2);
}

static bool child_captures_next(struct store *store)
{
    struct run_report report = {.run = {.started_ms = T0}};
    struct session session;
    struct error error;
    bool found;

    child_must(store_claim_run(store, NODE, WORKER_A, T0, LEASE_MS, &found, &report.lease, &session, &error),
               &error);
    if (!found)
        return false;
    child_must(store_start_run(store, &report, &error), &error);
    report.run.state = STATE_FINISHED, report.run.stop_reason = STOP_DURATION, report.run.ended_ms = T0;
    report.run.counters.file_size = RUN_BYTES;
    child_must(store_finish_run(store, &report, &error), &error);
    return true;
}

/* With what earlier ones may have left. */
static void child_captures(struct store *store, const char *owner)
{
    struct session session;
    struct error error;

    session_make(&session);
    strcpy(session.owner, owner);
    child_must(store_insert_session(store, &session, NULL, &error), &error);
    while (child_captures_next(store))
        continue;
}

static void child_makes_person(struct store *store, int number)
{
    struct user user = {.role = "operator", .created_ms = T0};
    struct role role = {.kind = ROLE_OPERATOR};
    struct token token = {.created_ms = T0};
    struct login login = {.created_ms = T0, .used_ms = T0};
    const struct user_change change = {.role = role.name, .disabled = -1};
    struct error error;

    person_name(number, user.name);
    snprintf(role.name, sizeof role.name, "role%d", number);
    memcpy(token.user, user.name, sizeof token.user);
    memcpy(login.user, user.name, sizeof login.user);
    uuid_make(token.id);
    hash_of(number, token.hash);
    hash_of(number, login.hash);
    child_must(store_put_role(store, &role, &error), &error);
    child_must(store_insert_user(store, &user, &error), &error);
    child_must(store_change_user(store, user.name, &change, &error), &error);
    child_must(store_insert_token(store, &token, &error), &error);
    child_must(store_insert_login(store, &login, 10, 0, &error), &error);
    child_captures(store, user.name);
}

static _Noreturn void child_main(const struct fixture *fixture, int first, int to)
{
    char name[PERSON_NAME_SIZE];
    struct store *store;
    struct error error;

    child_must(fixture->backend->open(fixture->path, &store, &error), &error);
    for (int number = first;; number++) {
        child_makes_person(store, number);
        child_confirm(to, number, false);
        if (number % 3 != 0)
            continue;
        person_name(number, name);
        child_must(store_delete_user(store, name, &error), &error);
        child_confirm(to, number, true);
    }
}

/* ---- the parent ---- */

struct confirmed {
    bool made[PEOPLE_MAX], gone[PEOPLE_MAX];
    int last;
};

static bool confirmation_read(int from, struct confirmed *confirmed)
{
    struct confirmation confirmation;
    ssize_t got = read(from, &confirmation, sizeof confirmation);

    if (got <= 0)
        return false;
    assert_int_equal(got, sizeof confirmation);
    assert_in_range(confirmation.number, 0, PEOPLE_MAX - 1);
    confirmed->made[confirmation.number] = true;
    confirmed->gone[confirmation.number] = confirmation.gone;
    confirmed->last = confirmation.number;
    return true;
}

static void crash_once(const struct fixture *fixture, unsigned *seed, struct confirmed *confirmed)
{
    int answer[2], status, first = confirmed->last + 2; /* the one between may be there in part */

    assert_int_equal(pipe(answer), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(answer[0]);
        child_main(fixture, first, answer[1]);
    }
    close(answer[1]);
    for (int i = rand_r(seed) % 4; i > 0; i--)
        assert_true(confirmation_read(answer[0], confirmed));
    int64_t until_ns = clock_monotonic_ns() + (rand_r(seed) % 10000) * 1000;
    while (clock_monotonic_ns() < until_ns)
        continue;
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (confirmation_read(answer[0], confirmed))
        continue;
    close(answer[0]);
    confirmed->last++;
}

static void check_person(struct fixture *fixture, int number, bool gone)
{
    uint8_t hash[SECRET_HASH_SIZE];
    char name[PERSON_NAME_SIZE];
    struct user user;
    struct role role;
    struct token token;
    struct login login;
    struct usage usage;
    struct error error;
    bool token_found, login_found;

    person_name(number, name);
    hash_of(number, hash);
    MUST(store_find_token(fixture->store, hash, &token_found, &token, &user, &role, &error));
    MUST(store_find_login(fixture->store, hash, &login_found, &login, &user, &role, &error));
    MUST(store_get_usage(fixture->store, name, T0 - 1, &usage, &error));
    assert_int_equal(usage.stored_bytes, gone ? 0 : RUN_BYTES);
    assert_int_equal(token_found, !gone);
    assert_int_equal(login_found, !gone);
    if (gone) {
        MUST_FAIL(ERROR_NO_SUCH_USER, store_get_user(fixture->store, name, &user, &error));
        return;
    }
    assert_string_equal(user.name, name);
    assert_string_equal(user.role, role.name);
    assert_int_equal(atoi(role.name + strlen("role")), number);
    assert_int_equal(usage.hourly, 1);
}

/* Of one that was not confirmed: a user with a role, or none; never a token without one. */
static void check_unconfirmed(struct fixture *fixture, int number)
{
    uint8_t hash[SECRET_HASH_SIZE];
    char name[PERSON_NAME_SIZE];
    struct user user;
    struct role role;
    struct token token;
    struct error error;
    bool found;

    person_name(number, name);
    hash_of(number, hash);
    bool there = store_get_user_role(fixture->store, name, &user, &role, &error) == STATUS_OK;
    if (!there)
        assert_int_equal(error.code, ERROR_NO_SUCH_USER);
    MUST(store_find_token(fixture->store, hash, &found, &token, &user, &role, &error));
    assert_true(there || !found);
}

static void people_that_were_confirmed_are_there(void **state)
{
    static struct confirmed confirmed;
    struct fixture *fixture = *state;
    unsigned seed = 20261126;

    confirmed = (struct confirmed){.last = -1};
    for (int round = 0; round < ROUNDS; round++) {
        fixture_close(fixture);
        crash_once(fixture, &seed, &confirmed);
        assert_true(fixture->backend->is_sound(fixture->path));
        fixture_open(fixture);
    }
    for (int number = 0; number <= confirmed.last + 1; number++)
        if (confirmed.made[number] && (confirmed.gone[number] || number % 3 != 0))
            check_person(fixture, number, confirmed.gone[number]);
        else
            check_unconfirmed(fixture, number);
}

int suite_people_crash(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(people_that_were_confirmed_are_there),
    };

    return cmocka_run_group_tests_name("people crash", tests, NULL, NULL);
}
