/* Leases: when a run may be claimed again, and whose words no longer count. */
#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const enum session_state HELD[] = {STATE_CREATED, STATE_STARTED};

static void a_lease_holds_until_its_time(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(HELD); i++) {
        struct session session, claimed;

        session_reach(fixture, HELD[i], &session);
        assert_true(claim_finds_nothing(fixture, WORKER_B, T0 + LEASE_MS - 1));
        struct run_report report = claim_next(fixture, WORKER_B, T0 + LEASE_MS, &claimed);
        assert_memory_equal(&claimed, &session, sizeof claimed);
        assert_int_equal(report.lease.claim, 2);
        assert_int_equal(report.lease.resumed, HELD[i] == STATE_STARTED);
        assert_true(report.lease.overdue);
        run_end(fixture, &report, STATE_STOPPED);
    }
}

static void claim_numbers_grow(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct run_report first = session_reach(fixture, STATE_STARTED, &session);

    for (int64_t i = 1; i <= 5; i++) {
        struct run_report report =
            claim_next(fixture, i % 2 == 0 ? WORKER_A : WORKER_B, T0 + i * LEASE_MS, &session);
        assert_int_equal(report.lease.key, first.lease.key);
        assert_int_equal(report.lease.claim, first.lease.claim + i);
    }
}

static void progress_renews_the_lease(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    MUST(store_report_progress(fixture->store, &report, 1, T0 + 5 * LEASE_MS, &error));
    assert_true(claim_finds_nothing(fixture, WORKER_B, T0 + 5 * LEASE_MS - 1));
    claim_next(fixture, WORKER_B, T0 + 5 * LEASE_MS, &session);
}

/* Late, but nobody has taken over: the capture goes on. */
static void a_late_holder_keeps_what_nobody_took(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    assert_true(claim_finds_nothing(fixture, WORKER_B, T0 + LEASE_MS - 1));
    MUST(store_report_progress(fixture->store, &report, 1, T0 + 3 * LEASE_MS, &error));
    assert_false(report.lost);
    assert_true(claim_finds_nothing(fixture, WORKER_B, T0 + 2 * LEASE_MS));
}

/* ---- the earlier holder ---- */

static enum status check_one(struct store *store, struct run_report *report, struct error *error)
{
    return store_check_stops(store, report, 1, error);
}

static enum status report_one(struct store *store, struct run_report *report, struct error *error)
{
    return store_report_progress(store, report, 1, T0 + 1000 * LEASE_MS, error);
}

static const struct {
    const char *name;
    enum status (*say)(struct store *store, struct run_report *report, struct error *error);
} WORDS[] = {
    {"start", store_start_run},   {"report", report_one},         {"check", check_one},
    {"finish", store_finish_run}, {"release", store_release_run},
};

/* Whatever it says, it is told that it lost, and the session stays as it is. */
static void assert_counts_for_nothing(struct fixture *fixture, const struct lease *lease, const char *id)
{
    struct session before, after;

    session_get(fixture, id, 0, &before);
    for (size_t i = 0; i < COUNT(WORDS); i++) {
        struct run_report report = {.lease = *lease, .reported_ms = T0 + 99};
        struct error error;

        report.run.state = STATE_ERROR;
        report.run.stop_reason = STOP_INTERNAL;
        report.run.started_ms = report.run.ended_ms = T0 + 98;
        report.run.counters.file_size = 666;
        strcpy(report.run.errormsg, "not mine");
        MUST(WORDS[i].say(fixture->store, &report, &error));
        if (!report.lost)
            fail_msg("%s was not told that it lost", WORDS[i].name);
        session_get(fixture, id, 0, &after);
        assert_memory_equal(&after, &before, sizeof after);
    }
}

static void who_lost_the_lease_counts_for_nothing(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(HELD); i++) {
        struct session session;
        struct error error;
        struct run_report earlier = session_reach(fixture, HELD[i], &session);
        struct run_report report = claim_next(fixture, WORKER_B, T0 + LEASE_MS, &session);

        assert_counts_for_nothing(fixture, &earlier.lease, session.id);
        /* Its words have not shortened or lengthened the new lease either. */
        assert_true(claim_finds_nothing(fixture, WORKER_C, T0 + 2 * LEASE_MS - 1));
        MUST(check_one(fixture->store, &report, &error));
        assert_false(report.lost);
        run_end(fixture, &report, STATE_STOPPED);
        assert_counts_for_nothing(fixture, &earlier.lease, session.id);
    }
}

static void who_ended_a_run_has_let_go(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct run_report report = session_reach(fixture, STATE_FINISHED, &session);

    assert_counts_for_nothing(fixture, &report.lease, session.id);
}

static void who_gave_a_run_back_has_let_go(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(HELD); i++) {
        struct session session;
        struct error error;
        struct run_report report = session_reach(fixture, HELD[i], &session);

        MUST(store_release_run(fixture->store, &report, &error));
        assert_counts_for_nothing(fixture, &report.lease, session.id);
        report = claim_next(fixture, WORKER_B, T0, &session);
        run_end(fixture, &report, STATE_STOPPED);
    }
}

static void a_lease_is_not_of_the_next_run(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct run_report first = session_reach(fixture, STATE_FINISHED, &session);

    MUST(session_restart(fixture->store, session.id, "bob", T0, &error));
    claim_next(fixture, WORKER_B, T0, &session);
    assert_counts_for_nothing(fixture, &first.lease, session.id);
}

/* The key of a deleted run is never given to another: an old lease would hold it. */
static void a_lease_does_not_outlive_its_session(void **state)
{
    struct fixture *fixture = *state;
    struct session old, young;
    struct error error;
    struct run_report earlier = session_reach(fixture, STATE_STARTED, &old);
    struct run_report report = claim_next(fixture, WORKER_B, T0 + LEASE_MS, &old);

    run_end(fixture, &report, STATE_FINISHED);
    MUST(store_delete_session(fixture->store, old.id, NULL, &error));
    session_reach(fixture, STATE_STARTED, &young);
    assert_counts_for_nothing(fixture, &earlier.lease, young.id);
}

static void one_lost_run_does_not_spoil_the_batch(void **state)
{
    enum { RUNS = 40, LOST = 17 };
    struct fixture *fixture = *state;
    static struct session sessions[RUNS];
    static struct run_report reports[RUNS];
    struct error error;

    for (size_t i = 0; i < RUNS; i++) {
        reports[i] = session_reach(fixture, STATE_STARTED, &sessions[i]);
        reports[i].run.counters.file_size = 1000 + (int64_t)i;
        reports[i].lost = i != LOST;
    }
    reports[LOST].lease.claim--;
    MUST(store_report_progress(fixture->store, reports, RUNS, T0 + 2 * LEASE_MS, &error));
    for (size_t i = 0; i < RUNS; i++) {
        struct session got;
        session_get(fixture, sessions[i].id, 0, &got);
        assert_int_equal(reports[i].lost, i == LOST);
        assert_int_equal(got.run.counters.file_size, i == LOST ? 0 : 1000 + (int64_t)i);
    }
    /* Only the lost one's lease ends at its old time. */
    struct session claimed;
    claim_next(fixture, WORKER_B, T0 + LEASE_MS, &claimed);
    assert_string_equal(claimed.id, sessions[LOST].id);
    assert_true(claim_finds_nothing(fixture, WORKER_B, T0 + LEASE_MS));
}

/* ---- giving back, and ending the leases of the dead ---- */

static void a_run_given_back_is_claimed_at_once(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(HELD); i++) {
        struct session session, claimed;
        struct error error;
        struct run_report report = session_reach(fixture, HELD[i], &session);

        report.run.counters.file_size = session.run.counters.file_size = 4711;
        report.reported_ms = T0 + 60;
        MUST(store_release_run(fixture->store, &report, &error));
        assert_false(report.lost);
        report = claim_next(fixture, WORKER_B, T0, &claimed);
        assert_memory_equal(&claimed, &session, sizeof claimed);
        assert_int_equal(report.lease.claim, 2);
        assert_int_equal(report.lease.resumed, HELD[i] == STATE_STARTED);
        assert_false(report.lease.overdue);
        assert_int_equal(report.lease.reported_ms, T0 + 60);
        run_end(fixture, &report, STATE_STOPPED);
    }
}

/* Who lives, and how often each was asked after. */
struct census {
    const char *alive;
    int asked_a, asked_b, asked_c, asked_others;
};

static bool census_lives(void *context, const char *worker)
{
    struct census *census = context;

    if (strcmp(worker, WORKER_A) == 0)
        census->asked_a++;
    else if (strcmp(worker, WORKER_B) == 0)
        census->asked_b++;
    else if (strcmp(worker, WORKER_C) == 0)
        census->asked_c++;
    else
        census->asked_others++;
    return census->alive != NULL && strcmp(worker, census->alive) == 0;
}

static void claim_for(struct fixture *fixture, const char *worker, struct session *session)
{
    session_insert(fixture, session);
    struct run_report report = claim_next(fixture, worker, T0, session);
    run_start(fixture, &report);
}

static void the_leases_of_the_dead_end(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.alive = WORKER_B};
    struct session of_a[2], of_b, of_c, claimed;
    struct error error;

    claim_for(fixture, WORKER_A, &of_a[0]);
    claim_for(fixture, WORKER_B, &of_b);
    claim_for(fixture, WORKER_A, &of_a[1]);
    claim_for(fixture, WORKER_C, &of_c);
    MUST(store_end_lost_leases(fixture->store, NODE, census_lives, &census, &error));
    assert_int_equal(census.asked_a, 1);
    assert_int_equal(census.asked_b, 1);
    assert_int_equal(census.asked_c, 1);
    const char *const expected[] = {of_a[0].id, of_a[1].id, of_c.id};
    for (size_t i = 0; i < COUNT(expected); i++) {
        struct run_report report = claim_next(fixture, WORKER_B, T0, &claimed);
        assert_string_equal(claimed.id, expected[i]);
        assert_true(report.lease.resumed);
        assert_false(report.lease.overdue);
        assert_int_equal(report.lease.claim, 2);
    }
    assert_true(claim_finds_nothing(fixture, WORKER_B, T0 + LEASE_MS - 1));
}

static void who_is_thought_dead_has_lost(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.alive = NULL};
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    MUST(store_end_lost_leases(fixture->store, NODE, census_lives, &census, &error));
    assert_counts_for_nothing(fixture, &report.lease, session.id);
    claim_next(fixture, WORKER_B, T0, &session);
}

static void only_holders_of_this_node_are_asked_after(void **state)
{
    struct fixture *fixture = *state;
    struct census census = {.alive = NULL};
    struct session session;
    struct error error;

    session_reach(fixture, STATE_FINISHED, &session);
    session_insert(fixture, &session);
    MUST(store_end_lost_leases(fixture->store, NODE, census_lives, &census, &error));
    claim_next(fixture, WORKER_A, T0, &session);
    MUST(store_end_lost_leases(fixture->store, "22222222-2222-4222-8222-222222222222", census_lives, &census,
                               &error));
    assert_int_equal(census.asked_a + census.asked_b + census.asked_c + census.asked_others, 0);
}

static void any_number_of_workers_may_have_died(void **state)
{
    enum { WORKERS = 100 };
    struct fixture *fixture = *state;
    struct census census = {.alive = NULL};
    struct session session;
    struct error error;

    for (int i = 0; i < WORKERS; i++) {
        char worker[UUID_SIZE];
        uuid_make(worker);
        session_insert(fixture, &session);
        claim_next(fixture, worker, T0, &session);
    }
    MUST(store_end_lost_leases(fixture->store, NODE, census_lives, &census, &error));
    assert_int_equal(census.asked_others, WORKERS);
    for (int i = 0; i < WORKERS; i++)
        claim_next(fixture, WORKER_B, T0, &session);
}

int suite_leases(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_lease_holds_until_its_time),
        STORE_TEST(claim_numbers_grow),
        STORE_TEST(progress_renews_the_lease),
        STORE_TEST(a_late_holder_keeps_what_nobody_took),
        STORE_TEST(who_lost_the_lease_counts_for_nothing),
        STORE_TEST(who_ended_a_run_has_let_go),
        STORE_TEST(who_gave_a_run_back_has_let_go),
        STORE_TEST(a_lease_is_not_of_the_next_run),
        STORE_TEST(a_lease_does_not_outlive_its_session),
        STORE_TEST(one_lost_run_does_not_spoil_the_batch),
        STORE_TEST(a_run_given_back_is_claimed_at_once),
        STORE_TEST(the_leases_of_the_dead_end),
        STORE_TEST(who_is_thought_dead_has_lost),
        STORE_TEST(only_holders_of_this_node_are_asked_after),
        STORE_TEST(any_number_of_workers_may_have_died),
    };

    return cmocka_run_group_tests_name("leases", tests, NULL, NULL);
}
