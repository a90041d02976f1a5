/* What the store says that owners have, against a plain sum, whatever happens to sessions, runs and users;
 * and quotas that many want to use up at once. */
#include "tests/contract/store_suite.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { STEPS = 3000, SESSIONS = 40 };

static const char *const OWNERS[] = {"alice", "bob", "carol", ""};

/* A session, if id is not empty. */
struct known {
    char id[UUID_SIZE];
    const char *owner;
    enum session_state state;
    bool claimed;
    struct run_report report;
    int64_t earlier_bytes; /* of the runs before the newest */
};

struct world {
    struct fixture *fixture;
    struct known sessions[SESSIONS];
    unsigned seed;
};

static unsigned draw(struct world *world, size_t below)
{
    return (unsigned)rand_r(&world->seed) % (unsigned)below;
}

/* ---- what may happen to a session ---- */

static void make(struct world *world, struct known *known)
{
    struct session session;
    struct error error;

    session_make(&session);
    *known = (struct known){.owner = OWNERS[draw(world, COUNT(OWNERS))], .state = STATE_CREATED};
    strcpy(session.owner, known->owner);
    MUST(store_insert_session(world->fixture->store, &session, NULL, &error));
    memcpy(known->id, session.id, sizeof known->id);
}

/* Claims are given in an order that is not this test's. */
static void claim(struct world *world, struct known *ignored)
{
    struct run_report report = {0};
    struct session session;
    struct error error;
    bool found;

    (void)ignored;
    MUST(store_claim_run(world->fixture->store, NODE, WORKER_A, T0, LEASE_MS, &found, &report.lease, &session,
                         &error));
    for (size_t i = 0; found && i < SESSIONS; i++)
        if (strcmp(world->sessions[i].id, session.id) == 0) {
            report.run = session.run;
            run_start(world->fixture, &report);
            world->sessions[i].report = report;
            world->sessions[i].claimed = true;
            world->sessions[i].state = STATE_STARTED;
        }
}

/* Up and, as of a ring or after a crash, down. */
static void grow(struct world *world, struct known *known)
{
    struct error error;

    if (known->state != STATE_STARTED)
        return;
    known->report.run.counters.file_size = draw(world, 1000000);
    MUST(store_report_progress(world->fixture->store, &known->report, 1, T0 + LEASE_MS, &error));
    assert_false(known->report.lost);
}

static void end(struct world *world, struct known *known)
{
    struct error error;

    if (session_state_has_ended(known->state))
        return;
    if (known->claimed) {
        known->report.run.counters.file_size += draw(world, 1000);
        run_end(world->fixture, &known->report, STATE_FINISHED);
    } else {
        MUST(store_request_stop(world->fixture->store, known->id, "x", T0, &error));
    }
    known->state = STATE_STOPPED;
}

static void restart(struct world *world, struct known *known)
{
    struct error error;

    if (!session_state_has_ended(known->state))
        return;
    MUST(session_restart(world->fixture->store, known->id, "x", T0, &error));
    known->earlier_bytes += known->report.run.counters.file_size;
    known->report = (struct run_report){0};
    known->claimed = false;
    known->state = STATE_CREATED;
}

static void transfer(struct world *world, struct known *known)
{
    struct error error;

    known->owner = OWNERS[draw(world, COUNT(OWNERS))];
    MUST(store_transfer_session(world->fixture->store, known->id, known->owner, "x", T0, &error));
}

static void delete_one(struct world *world, struct known *known)
{
    struct error error;

    if (!session_state_has_ended(known->state))
        return;
    MUST(store_delete_session(world->fixture->store, known->id, &error));
    known->id[0] = '\0';
}

static void delete_owner(struct world *world, struct known *known)
{
    struct user user = {.role = "operator"};
    const char *owner = known->owner;
    struct error error;

    if (owner[0] == '\0' || draw(world, 10) != 0)
        return;
    strcpy(user.name, owner);
    MUST(store_insert_user(world->fixture->store, &user, &error));
    MUST(store_delete_user(world->fixture->store, owner, &error));
    for (size_t i = 0; i < SESSIONS; i++)
        if (world->sessions[i].id[0] != '\0' && strcmp(world->sessions[i].owner, owner) == 0)
            world->sessions[i].owner = "";
}

/* ---- the sums ---- */

static void ignore_session(void *context, const struct session *session)
{
    (void)context, (void)session;
}

static void check_owner(struct world *world, const char *owner)
{
    int64_t unfinished = 0, bytes = 0, sessions = 0, ended = 0;
    struct list_page page;
    struct usage usage;
    struct error error;

    for (size_t i = 0; i < SESSIONS; i++) {
        const struct known *known = &world->sessions[i];
        if (known->id[0] == '\0' || strcmp(known->owner, owner) != 0)
            continue;
        sessions++;
        bytes += known->earlier_bytes + known->report.run.counters.file_size;
        unfinished += !session_state_has_ended(known->state);
        ended += session_state_has_ended(known->state);
    }
    MUST(store_get_usage(world->fixture->store, owner, T0, &usage, &error));
    assert_int_equal(usage.stored_bytes, bytes);
    assert_int_equal(usage.unfinished, unfinished);
    for (int ended_only = 0; ended_only <= 1; ended_only++) {
        struct list_query query = {.owner = owner, .page_size = 1, .ended_only = ended_only != 0};
        MUST(store_list_sessions(world->fixture->store, &query, ignore_session, NULL, &page, &error));
        assert_int_equal(page.total, ended_only ? ended : sessions);
    }
}

static void sums_stay_right(void **state)
{
    static void (*const DEEDS[])(struct world *, struct known *) = {
        claim, grow, grow, grow, end, end, restart, transfer, transfer, delete_one, delete_owner};
    static struct world world;

    world = (struct world){.fixture = *state, .seed = 20261126};
    for (int step = 0; step < STEPS; step++) {
        struct known *known = &world.sessions[draw(&world, SESSIONS)];
        if (known->id[0] == '\0')
            make(&world, known);
        else
            DEEDS[draw(&world, COUNT(DEEDS))](&world, known);
        for (size_t i = 0; step % 20 == 0 && i < COUNT(OWNERS) - 1; i++)
            check_owner(&world, OWNERS[i]);
    }
    for (size_t i = 0; i < COUNT(OWNERS) - 1; i++)
        check_owner(&world, OWNERS[i]);
}

/* ---- many at once ---- */

enum { THREADS = 8, TRIES = 12, MOST = 20 };

struct greedy {
    pthread_t thread;
    const struct fixture *fixture;
    const struct quota *quota;
    enum error_code refusal;
    int taken, refused;
};

/* Others make sessions all the time, which do not count. */
static void *greedy_main(void *context)
{
    struct greedy *greedy = context;
    struct session session;
    struct store *store;
    struct error error;

    if (greedy->fixture->backend->open(greedy->fixture->path, &store, &error) != STATUS_OK)
        return NULL;
    for (int i = 0; i < TRIES; i++) {
        session_make(&session);
        strcpy(session.owner, "alice");
        if (store_insert_session(store, &session, greedy->quota, &error) == STATUS_OK)
            greedy->taken++;
        else if (error.code == greedy->refusal)
            greedy->refused++;
        session_make(&session);
        strcpy(session.owner, "bob");
        if (store_insert_session(store, &session, NULL, &error) != STATUS_OK)
            break;
    }
    greedy->fixture->backend->close(store);
    return NULL;
}

static void race(struct fixture *fixture, const struct quota *quota, enum error_code refusal)
{
    struct greedy crowd[THREADS];
    int taken = 0, refused = 0;

    for (size_t i = 0; i < THREADS; i++) {
        crowd[i] = (struct greedy){.fixture = fixture, .quota = quota, .refusal = refusal};
        assert_int_equal(pthread_create(&crowd[i].thread, NULL, greedy_main, &crowd[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(crowd[i].thread, NULL);
        taken += crowd[i].taken;
        refused += crowd[i].refused;
    }
    assert_int_equal(taken, MOST);
    assert_int_equal(refused, THREADS * TRIES - MOST);
}

static void a_crowd_gets_as_many_sessions_as_the_quota_has(void **state)
{
    race(*state, &(struct quota){.sessions = MOST}, ERROR_QUOTA_SESSIONS);
}

static void a_crowd_makes_as_many_in_an_hour_as_the_quota_has(void **state)
{
    race(*state, &(struct quota){.hourly = MOST}, ERROR_QUOTA_HOURLY);
}

int suite_stored(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(sums_stay_right),
        STORE_TEST(a_crowd_gets_as_many_sessions_as_the_quota_has),
        STORE_TEST(a_crowd_makes_as_many_in_an_hour_as_the_quota_has),
    };

    return cmocka_run_group_tests_name("stored", tests, NULL, NULL);
}
