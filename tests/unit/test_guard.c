/* What is remembered of right and wrong passwords, and who has to wait. */
#include "auth/guard.h"
#include "auth/guesses.h"
#include "auth/secrets.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
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
    guard = guard_open(2, 64);
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

/* Many at once. Each has a row with the password "right"; it is the password that makes it wrong. */
struct attempt {
    char user[32];
    const char *password;
    const char *address;
    enum guard_answer answer;
    int wait_s;
    pthread_t thread;
};

static void *attempt(void *context)
{
    struct attempt *one = context;

    one->answer = guard_check(guard, one->user, &alice, one->password, one->address, 1000, &one->wait_s);
    return NULL;
}

static void together(struct attempt *attempts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&attempts[i].thread, NULL, attempt, &attempts[i]), 0);
    for (size_t i = 0; i < count; i++)
        pthread_join(attempts[i].thread, NULL);
}

static int count_of(const struct attempt *attempts, size_t count, enum guard_answer answer)
{
    int found = 0;

    for (size_t i = 0; i < count; i++)
        found += attempts[i].answer == answer;
    return found;
}

enum { CROWD = 40 };

/* A script that starts with many requests at once has one check for all of them. */
static void many_at_once_with_the_right_one(void **state)
{
    struct attempt attempts[CROWD];

    (void)state;
    for (int i = 0; i < CROWD; i++)
        attempts[i] = (struct attempt){.user = "alice", .password = "right", .address = "192.0.2.1"};
    together(attempts, CROWD);
    assert_int_equal(count_of(attempts, CROWD, GUARD_RIGHT), CROWD);
}

/* The same wrong password at once is one guess. */
static void many_at_once_with_the_wrong_one(void **state)
{
    struct attempt attempts[CROWD];

    (void)state;
    for (int i = 0; i < CROWD; i++)
        attempts[i] = (struct attempt){.user = "alice", .password = "wrong", .address = "192.0.2.1"};
    together(attempts, CROWD);
    assert_int_equal(count_of(attempts, CROWD, GUARD_RIGHT), 0);
}

static void many_users_at_once_behind_one_address(void **state)
{
    struct attempt attempts[CROWD];

    (void)state;
    for (int i = 0; i < CROWD; i++) {
        attempts[i] = (struct attempt){.password = "right", .address = "192.0.2.1"};
        snprintf(attempts[i].user, sizeof attempts[i].user, "user%d", i);
    }
    together(attempts, CROWD);
    assert_int_equal(count_of(attempts, CROWD, GUARD_RIGHT), CROWD);
}

static void many_at_once_that_guess(void **state)
{
    static const char *const WRONG[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
    enum { GUESSES = sizeof WRONG / sizeof WRONG[0] };
    struct attempt attempts[GUESSES];

    (void)state;
    for (int i = 0; i < GUESSES; i++)
        attempts[i] = (struct attempt){.user = "alice", .password = WRONG[i], .address = "192.0.2.1"};
    together(attempts, GUESSES);
    assert_int_equal(count_of(attempts, GUESSES, GUARD_WRONG), GUARD_FREE_FAILURES);
    assert_int_equal(count_of(attempts, GUESSES, GUARD_WAIT), GUESSES - GUARD_FREE_FAILURES);
}

/* ---- floods ---- */

enum { FLOOD_MOST = 48 };

/* Addresses: a number goes between the two. */
struct place {
    const char *before, *behind;
};

static const struct place LAB = {"192.0.2.", ""}, SITE = {"2001:db8:1:", "::1"},
                          OTHER_SITE = {"2001:db8:2:", "::1"};

static void address_in(const struct place *place, int number, char address[CLIENT_ADDRESS_SIZE])
{
    snprintf(address, CLIENT_ADDRESS_SIZE, "%s%d%s", place->before, number, place->behind);
}

static struct flooding {
    atomic_bool over;
    atomic_int checked;
    const struct place *place;
    int addresses;
    pthread_t threads[FLOOD_MOST];
    int count;
} flooding;

/* As fast as it can, with another name each time. */
static void *flood(void *context)
{
    const int *number = context;

    for (int i = 0; !flooding.over; i++) {
        char name[32], address[CLIENT_ADDRESS_SIZE];
        int wait_s;
        snprintf(name, sizeof name, "made-up-%d-%d", *number, i);
        address_in(flooding.place, (*number + i) % flooding.addresses, address);
        enum guard_answer answer = guard_check(guard, name, NULL, "x", address, 1000, &wait_s);
        flooding.checked += answer == GUARD_WRONG;
        if (answer == GUARD_WAIT) /* the way to a server and back */
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    return NULL;
}

/* Returns when it is under way: enough was checked for its addresses to be known. */
static void flood_begin(int threads, const struct place *place, int addresses, int checked)
{
    static int numbers[FLOOD_MOST];

    flooding.over = false;
    flooding.checked = 0;
    flooding.place = place;
    flooding.addresses = addresses;
    flooding.count = threads;
    for (int i = 0; i < threads; i++) {
        numbers[i] = i;
        assert_int_equal(pthread_create(&flooding.threads[i], NULL, flood, &numbers[i]), 0);
    }
    while (flooding.checked < checked)
        sched_yield();
}

static void flood_end(void)
{
    flooding.over = true;
    for (int i = 0; i < flooding.count; i++)
        pthread_join(flooding.threads[i], NULL);
}

/* Somebody whom nobody knows yet comes, and comes again after the wait that was asked for. */
static bool gets_in(const char *address, int tries)
{
    static int number;
    int64_t now_ms = 1000;
    char name[32];

    snprintf(name, sizeof name, "newcomer-%d", ++number);
    for (int i = 0; i < tries; i++) {
        int wait_s;
        if (guard_check(guard, name, &alice, "right", address, now_ms, &wait_s) == GUARD_RIGHT)
            return true;
        now_ms += (int64_t)wait_s * 1000;
    }
    return false;
}

static int come_to(const char *address, int newcomers, int tries)
{
    int in = 0;

    for (int i = 0; i < newcomers; i++)
        in += gets_in(address, tries);
    return in;
}

/* Each at an address of its own. */
static int come_around(const struct place *place, int number, int newcomers, int tries)
{
    char address[CLIENT_ADDRESS_SIZE];
    int in = 0;

    for (int i = 0; i < newcomers; i++) {
        address_in(place, number + i, address);
        in += gets_in(address, tries);
    }
    return in;
}

static void a_flood_from_one_address(void **state)
{
    (void)state;
    flood_begin(12, &LAB, 1, 20);
    int elsewhere = come_around(&LAB, 100, 5, 1), there = come_to("192.0.2.0", 3, 2);
    flood_end();
    assert_int_equal(elsewhere, 5);
    assert_int_equal(there, 3);
}

static void a_flood_of_many_threads_from_one_address(void **state)
{
    (void)state;
    flood_begin(FLOOD_MOST, &LAB, 1, 20);
    int elsewhere = come_around(&LAB, 100, 5, 1), there = come_to("192.0.2.0", 3, 3);
    flood_end();
    assert_int_equal(elsewhere, 5);
    assert_int_equal(there, 3);
}

static void a_flood_from_some_addresses(void **state)
{
    (void)state;
    flood_begin(FLOOD_MOST, &LAB, 6, 120);
    int elsewhere = come_around(&LAB, 100, 5, 1), there = come_to("192.0.2.3", 3, 3);
    flood_end();
    assert_int_equal(elsewhere, 5);
    assert_int_equal(there, 3);
}

/* Of a /48, each request from a /64 of its own: none of these has failures, but all together have. */
static void a_flood_from_a_site_of_ipv6(void **state)
{
    (void)state;
    flood_begin(FLOOD_MOST, &SITE, 9999, 60);
    int elsewhere = come_around(&OTHER_SITE, 1, 5, 1) + come_around(&LAB, 100, 5, 1);
    flood_end();
    assert_int_equal(elsewhere, 10);
}

/* Before anything is known of it, too. */
static void a_flood_that_begins(void **state)
{
    (void)state;
    flood_begin(FLOOD_MOST, &LAB, 1, 0);
    int elsewhere = come_around(&LAB, 100, 5, 2);
    flood_end();
    assert_int_equal(elsewhere, 5);
}

/* ---- what is remembered ---- */

static void pair_hash(int number, uint8_t hash[SECRET_HASH_SIZE])
{
    char name[32];

    snprintf(name, sizeof name, "user%d", number);
    secret_hash_keyed(name, "192.0.2.1", hash);
}

/* Nobody's back-off is forgotten because somebody makes up names. */
static void pairs_that_count_stay(void **state)
{
    enum { MADE_UP = 100000 };
    struct guesses *guesses = guesses_open();
    uint8_t hash[SECRET_HASH_SIZE];
    bool room;

    (void)state;
    assert_non_null(guesses);
    for (int i = 0; i < MADE_UP; i++) {
        pair_hash(i, hash);
        pair_failed(guesses, hash, 1000 + i);
    }
    for (int i = 0; i < MADE_UP; i++) {
        pair_hash(i, hash);
        assert_non_null(pair_find(guesses, hash, 1000 + MADE_UP, &room));
    }
    pair_hash(MADE_UP, hash);
    assert_null(pair_find(guesses, hash, 1000 + MADE_UP, &room));
    assert_true(room);
    guesses_close(guesses);
}

/* A full set has no room for new ones until an old one is forgotten; and loses none. */
static void a_full_set_has_no_room(void **state)
{
    struct guesses *guesses = guesses_open();
    uint8_t hash[SECRET_HASH_SIZE] = {0};
    bool room = true;
    int kept = 0;

    (void)state;
    assert_non_null(guesses);
    for (; kept < 255; kept++) {
        hash[31] = (uint8_t)(kept + 1);
        pair_find(guesses, hash, 1000, &room);
        if (!room)
            break;
        pair_failed(guesses, hash, 1000);
    }
    assert_in_range(kept, 8, 64);
    pair_failed(guesses, hash, 1000);
    for (int i = 0; i < kept; i++) {
        hash[31] = (uint8_t)(i + 1);
        assert_non_null(pair_find(guesses, hash, 1000, &room));
    }
    hash[31] = 255;
    assert_null(pair_find(guesses, hash, 1001 + GUARD_FORGET_MS, &room));
    assert_true(room);
    guesses_close(guesses);
}

static void a_flood_does_not_end_the_wait(void **state)
{
    (void)state;
    for (int i = 0; i < GUARD_FREE_FAILURES; i++)
        assert_int_equal(try(&alice, "wrong", "192.0.2.1", 1000), GUARD_WRONG);
    flood_begin(12, &LAB, 2, 50);
    enum guard_answer meanwhile = try(&alice, "right", "192.0.2.1", 1001);
    flood_end();
    assert_int_equal(meanwhile, GUARD_WAIT);
    assert_int_equal(try(&alice, "right", "192.0.2.1", 1001), GUARD_WAIT);
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
        cmocka_unit_test_setup_teardown(many_at_once_with_the_wrong_one, begin, end),
        cmocka_unit_test_setup_teardown(many_users_at_once_behind_one_address, begin, end),
        cmocka_unit_test_setup_teardown(many_at_once_that_guess, begin, end),
        cmocka_unit_test_setup_teardown(a_flood_from_one_address, begin, end),
        cmocka_unit_test_setup_teardown(a_flood_of_many_threads_from_one_address, begin, end),
        cmocka_unit_test_setup_teardown(a_flood_from_some_addresses, begin, end),
        cmocka_unit_test_setup_teardown(a_flood_from_a_site_of_ipv6, begin, end),
        cmocka_unit_test_setup_teardown(a_flood_that_begins, begin, end),
        cmocka_unit_test(pairs_that_count_stay),
        cmocka_unit_test(a_full_set_has_no_room),
        cmocka_unit_test_setup_teardown(a_flood_does_not_end_the_wait, begin, end),
        cmocka_unit_test_setup_teardown(made_up_names, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
