/* What is remembered of right and wrong passwords, and who has to wait. */
#include "auth/guard.h"
#include "auth/secrets.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct guard *guard;
static struct user alice, bob;
static int retry_s;

static int begin(void **state)
{
    struct error error;

    (void)state;
    guard = guard_open(2);
    alice = (struct user){.name = "alice", .generation = 1};
    bob = (struct user){.name = "bob", .generation = 1};
    return !secrets_open() || guard == NULL ||
           secret_hash_password("right", alice.password_hash, &error) != STATUS_OK ||
           secret_hash_password("correct", bob.password_hash, &error) != STATUS_OK;
}

static int end(void **state)
{
    (void)state;
    guard_close(guard);
    return 0;
}

static enum guard_answer try(const struct user *user, const char *password, const char *address,
                             int64_t now_ms)
{
    return guard_check(guard, user->name, user, password, address, now_ms, &retry_s);
}

static void right_and_wrong(void **state)
{
    (void)state;
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1000), GUARD_RIGHT);
    assert_int_equal(try(&alice, "wrong", "192.0.2.1", 1000), GUARD_WRONG);
    assert_int_equal(try(&bob, "right", "192.0.2.1", 1000), GUARD_WRONG);
    assert_int_equal(guard_check(guard, "carol", NULL, "right", "192.0.2.1", 1000, &retry_s), GUARD_WRONG);
    alice.password_hash[0] = '\0';
    alice.generation++;
    assert_int_equal(try(&alice, "", "192.0.2.1", 1000), GUARD_WRONG);
}

static void guessing_is_held_back(void **state)
{
    int64_t now_ms = 1000, wait_ms = 1000;

    (void)state;
    for (int i = 0; i < GUARD_FREE_FAILURES; i++)
        assert_int_equal(try(&alice, "wrong", "192.0.2.1", now_ms), GUARD_WRONG);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(try(&alice, "right", "192.0.2.1", now_ms + 1), GUARD_WAIT);
        assert_in_range(retry_s, 1, wait_ms / 1000);
        now_ms += wait_ms;
        assert_int_equal(try(&alice, "wrong", "192.0.2.1", now_ms), GUARD_WRONG);
        wait_ms = 2 * wait_ms < GUARD_WAIT_MOST_MS ? 2 * wait_ms : GUARD_WAIT_MOST_MS;
    }
    assert_int_equal(try(&alice, "right", "192.0.2.1", now_ms + wait_ms), GUARD_RIGHT);
    assert_int_equal(try(&alice, "wrong", "192.0.2.1", now_ms + wait_ms),
                     GUARD_WRONG); /* and it begins anew */
}

static void only_the_pair_is_held_back(void **state)
{
    (void)state;
    for (int i = 0; i < GUARD_FREE_FAILURES; i++)
        assert_int_equal(try(&alice, "wrong", "192.0.2.1", 1000), GUARD_WRONG);
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1001), GUARD_WAIT);
    assert_int_equal(try(&bob, "correct", "192.0.2.1", 1001), GUARD_RIGHT);
    assert_int_equal(try(&alice, "right", "192.0.2.2", 1001), GUARD_RIGHT);
    /* and now it is known, at the first address too */
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1002), GUARD_RIGHT);
}

static void a_network_of_ipv6_is_one_address(void **state)
{
    char address[64];

    (void)state;
    for (int i = 0; i < GUARD_FREE_FAILURES; i++) {
        snprintf(address, sizeof address, "2001:db8:1:2::%x", i + 1);
        assert_int_equal(try(&alice, "wrong", address, 1000), GUARD_WRONG);
    }
    assert_int_equal(try(&alice, "right", "2001:db8:1:2:ffff::9", 1001), GUARD_WAIT);
    assert_int_equal(try(&alice, "right", "2001:db8:1:3::1", 1001), GUARD_RIGHT);
}

static void a_change_is_forgotten_at_once(void **state)
{
    (void)state;
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1000), GUARD_RIGHT);
    alice.disabled = true;
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1000), GUARD_WRONG);
    alice.disabled = false;
    alice.generation++;
    strcpy(alice.password_hash, bob.password_hash);
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1000), GUARD_WRONG);
    assert_int_equal(try(&alice, "correct", "192.0.2.1", 1000), GUARD_RIGHT);
}

static double ms_since(const struct timespec *start)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) * 1e3 + (double)(now.tv_nsec - start->tv_nsec) / 1e6;
}

static double cost_ms(const char *user, const struct user *row, const char *password, int tries)
{
    struct timespec start;

    clock_gettime(CLOCK_MONOTONIC, &start);
    for (int i = 0; i < tries; i++) {
        char address[32];
        snprintf(address, sizeof address, "192.0.2.%d", i);
        guard_check(guard, user, row, password, address, 1000, &retry_s);
    }
    return ms_since(&start) / tries;
}

/* Whether a user exists cannot be told by the time it takes; and what was verified costs next to nothing. */
static void time_tells_nothing(void **state)
{
    (void)state;
    cost_ms("alice", &alice, "wrong", 3);
    double wrong = cost_ms("alice", &alice, "wrong", 20), nobody = cost_ms("carol", NULL, "wrong", 20);
    assert_true(nobody > wrong * 0.5 && nobody < wrong * 2);
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1000), GUARD_RIGHT);
    assert_true(cost_ms("alice", &alice, "right", 20) < wrong / 4);
}

struct attempt {
    const char *password;
    enum guard_answer answer;
};

static void *attempt(void *context)
{
    struct attempt *one = context;
    int wait_s;

    one->answer = guard_check(guard, "alice", &alice, one->password, "192.0.2.1", 1000, &wait_s);
    return NULL;
}

enum { CROWD = 9 }; /* one at the check, eight that wait */

static void together(struct attempt *attempts, const char *const *passwords)
{
    pthread_t threads[CROWD];

    for (int i = 0; i < CROWD; i++) {
        attempts[i].password = passwords[i];
        assert_int_equal(pthread_create(&threads[i], NULL, attempt, &attempts[i]), 0);
    }
    for (int i = 0; i < CROWD; i++)
        pthread_join(threads[i], NULL);
}

/* A script that starts with many requests at once has one check for all of them. */
static void many_at_once_with_the_right_one(void **state)
{
    static const char *const RIGHT[CROWD] = {"right", "right", "right", "right", "right",
                                             "right", "right", "right", "right"};
    struct attempt attempts[CROWD];

    (void)state;
    together(attempts, RIGHT);
    for (int i = 0; i < CROWD; i++)
        assert_int_equal(attempts[i].answer, GUARD_RIGHT);
}

static void many_at_once_that_guess(void **state)
{
    static const char *const WRONG[CROWD] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
    struct attempt attempts[CROWD];
    int checked = 0;

    (void)state;
    together(attempts, WRONG);
    for (int i = 0; i < CROWD; i++)
        checked += attempts[i].answer == GUARD_WRONG;
    assert_int_equal(checked, GUARD_FREE_FAILURES);
}

/* Names that somebody makes up push out neither each other's counts too early nor what is known. */
static void made_up_names(void **state)
{
    (void)state;
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1000), GUARD_RIGHT);
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "user%d", i);
        assert_int_equal(guard_check(guard, name, NULL, "x", "192.0.2.1", 1000, &retry_s), GUARD_WRONG);
    }
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1000), GUARD_RIGHT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(right_and_wrong, begin, end),
        cmocka_unit_test_setup_teardown(guessing_is_held_back, begin, end),
        cmocka_unit_test_setup_teardown(only_the_pair_is_held_back, begin, end),
        cmocka_unit_test_setup_teardown(a_network_of_ipv6_is_one_address, begin, end),
        cmocka_unit_test_setup_teardown(a_change_is_forgotten_at_once, begin, end),
        cmocka_unit_test_setup_teardown(time_tells_nothing, begin, end),
        cmocka_unit_test_setup_teardown(many_at_once_with_the_right_one, begin, end),
        cmocka_unit_test_setup_teardown(many_at_once_that_guess, begin, end),
        cmocka_unit_test_setup_teardown(made_up_names, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
