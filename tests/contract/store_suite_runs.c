/* The worker's half: what is claimed next, and how a run moves from claim to end. */
#include "tests/contract/store_suite.h"

#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void a_claim_hands_over_the_whole_session(void **state)
{
    struct fixture *fixture = *state;
    struct session session, claimed;
    struct error error;

    session_make_full(&session);
    MUST(store_insert_session(fixture->store, &session, 0, NULL, &error));
    struct run_report report = claim_next(fixture, WORKER_A, T0, &claimed);
    assert_memory_equal(&claimed, &session, sizeof claimed);
    assert_int_equal(report.lease.claim, 1);
    assert_false(report.lease.resumed);
    assert_false(report.lease.overdue);
    assert_int_equal(report.lease.reported_ms, 0);
}

static void an_empty_queue_gives_nothing(void **state)
{
    static const enum session_state STATES[] = {STATE_STOPPED, STATE_FINISHED, STATE_ERROR};
    struct session session;

    assert_true(claim_finds_nothing(*state, WORKER_A, T0));
    for (size_t i = 0; i < COUNT(STATES); i++)
        session_reach(*state, STATES[i], &session);
    assert_true(claim_finds_nothing(*state, WORKER_A, T0 + 1000 * LEASE_MS));
}

static void the_oldest_is_claimed_first(void **state)
{
    struct fixture *fixture = *state;
    struct session sessions[4], claimed;

    for (size_t i = 0; i < COUNT(sessions); i++)
        session_insert(fixture, &sessions[i]);
    for (size_t i = 0; i < COUNT(sessions); i++) {
        claim_next(fixture, i % 2 == 0 ? WORKER_A : WORKER_B, T0, &claimed);
        assert_string_equal(claimed.id, sessions[i].id);
    }
    assert_true(claim_finds_nothing(fixture, WORKER_A, T0));
}

/* A restart queues behind what waits already. */
static void a_restart_queues_at_the_end(void **state)
{
    struct fixture *fixture = *state;
    struct session first, second, claimed;
    struct error error;

    session_reach(fixture, STATE_FINISHED, &first);
    session_insert(fixture, &second);
    MUST(session_restart(fixture->store, first.id, "bob", T0, &error));
    claim_next(fixture, WORKER_A, T0, &claimed);
    assert_string_equal(claimed.id, second.id);
    claim_next(fixture, WORKER_A, T0, &claimed);
    assert_string_equal(claimed.id, first.id);
}

/* What was being captured is blind until someone takes over; what waits can wait. */
static void what_was_started_comes_before_what_waits(void **state)
{
    struct fixture *fixture = *state;
    struct session waiting, started[2], claimed;

    session_reach(fixture, STATE_CREATED, &waiting);
    for (size_t i = 0; i < COUNT(started); i++)
        session_reach(fixture, STATE_STARTED, &started[i]);
    const char *const expected[] = {started[0].id, started[1].id, waiting.id};
    for (size_t i = 0; i < COUNT(expected); i++) {
        struct run_report report = claim_next(fixture, WORKER_B, T0 + LEASE_MS, &claimed);
        assert_string_equal(claimed.id, expected[i]);
        assert_int_equal(report.lease.resumed, expected[i] != waiting.id);
    }
}

static void each_node_claims_its_own(void **state)
{
    static const char OTHER[] = "22222222-2222-4222-8222-222222222222";
    struct fixture *fixture = *state;
    struct session here, there, claimed;
    struct lease lease;
    struct error error;
    bool found = false;

    session_make(&there);
    strcpy(there.node_id, OTHER);
    MUST(store_insert_session(fixture->store, &there, 0, NULL, &error));
    session_insert(fixture, &here);
    claim_next(fixture, WORKER_A, T0, &claimed);
    assert_string_equal(claimed.id, here.id);
    assert_true(claim_finds_nothing(fixture, WORKER_A, T0));
    MUST(store_claim_run(fixture->store, OTHER, WORKER_B, T0, LEASE_MS, &found, &lease, &claimed, &error));
    assert_true(found);
    assert_string_equal(claimed.id, there.id);
}

static void start_writes_time_and_file(void **state)
{
    struct fixture *fixture = *state;
    struct session session, got;
    struct error error;

    session_insert(fixture, &session);
    struct run_report report = claim_next(fixture, WORKER_A, T0, &session);
    report.run.started_ms = T0 + 11;
    report.run.counters.file_size = 24;
    report.reported_ms = T0 + 12;
    strcpy(report.run.file, "captures/ü.pcap");
    MUST(store_start_run(fixture->store, &report, &error));
    assert_false(report.lost || report.stop_requested);
    session_get(fixture, session.id, 0, &got);
    assert_int_equal(got.run.state, STATE_STARTED);
    assert_int_equal(got.run.started_ms, T0 + 11);
    assert_int_equal(got.run.ended_ms, 0);
    assert_int_equal(got.run.counters.file_size, 24);
    assert_string_equal(got.run.file, "captures/ü.pcap");
    assert_string_equal(got.last_modified_user, session.last_modified_user);
    assert_int_equal(got.last_modified_time_ms, T0 + 11);
    assert_int_equal(got.revision, session.revision + 1);
    report = claim_next(fixture, WORKER_B, T0 + LEASE_MS, &got);
    assert_int_equal(report.lease.reported_ms, T0 + 12);
}

/* Numbers that do not fit into 32 bits, each its own. */
static const struct counters COUNTERS = {
    .packets_captured = INT64_C(5000000001),
    .packets_dropped = INT64_C(5000000002),
    .packets_dropped_interface = INT64_C(5000000003),
    .packets_skipped = INT64_C(5000000004),
    .bytes_captured = INT64_C(5000000005),
    .file_size = INT64_MAX >> 8, /* which is summed up */
};

static void progress_writes_counters_and_message(void **state)
{
    struct fixture *fixture = *state;
    struct session before, after;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_STARTED, &before);

    report.run.counters = COUNTERS;
    report.reported_ms = T0 + 100;
    strcpy(report.run.errormsg, "blind for 3 s — the worker was lost");
    MUST(store_report_progress(fixture->store, &report, 1, T0 + LEASE_MS, &error));
    assert_false(report.lost || report.stop_requested);
    session_get(fixture, before.id, 0, &after);
    before.run.counters = COUNTERS;
    strcpy(before.run.errormsg, report.run.errormsg);
    assert_memory_equal(&after, &before, sizeof after);
    report = claim_next(fixture, WORKER_B, T0 + LEASE_MS, &after);
    assert_int_equal(report.lease.reported_ms, T0 + 100);
}

static void every_end_comes_back(void **state)
{
    static const enum session_state ENDS[] = {STATE_STOPPED, STATE_FINISHED, STATE_ERROR};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(ENDS); i++)
        for (int reason = 1; reason < (int)stop_reason_names.count; reason++) {
            struct session session;
            struct error error;
            struct run_report report = session_reach(fixture, STATE_STARTED, &session);

            report.run.state = session.run.state = ENDS[i];
            report.run.stop_reason = session.run.stop_reason = (enum stop_reason)reason;
            report.run.ended_ms = session.run.ended_ms = session.last_modified_time_ms = T0 + 77;
            report.run.counters = session.run.counters = COUNTERS;
            session.revision++;
            memset(report.run.errormsg, 'x', sizeof report.run.errormsg - 1);
            strcpy(session.run.errormsg, report.run.errormsg);
            MUST(store_finish_run(fixture->store, &report, &error));
            assert_false(report.lost);
            struct session got;
            session_get(fixture, session.id, 0, &got);
            assert_memory_equal(&got, &session, sizeof got);
        }
}

static void a_stop_reaches_whoever_speaks(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_CREATED, &session);

    MUST(store_request_stop(fixture->store, session.id, NULL, "bob", T0, &error));
    run_start(fixture, &report);
    assert_true(report.stop_requested);
    report.stop_requested = false;
    MUST(store_report_progress(fixture->store, &report, 1, T0 + LEASE_MS, &error));
    assert_true(report.stop_requested);
    report.stop_requested = false;
    MUST(store_check_stops(fixture->store, &report, 1, &error));
    assert_true(report.stop_requested);
    run_end(fixture, &report, STATE_STOPPED);
}

static void a_stop_outlives_the_worker_that_did_not_see_it(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;

    session_reach(fixture, STATE_STARTED, &session);
    MUST(store_request_stop(fixture->store, session.id, NULL, "bob", T0, &error));
    struct run_report report = claim_next(fixture, WORKER_B, T0 + LEASE_MS, &session);
    MUST(store_check_stops(fixture->store, &report, 1, &error));
    assert_true(report.stop_requested);
}

static void flags_are_each_runs_own(void **state)
{
    struct fixture *fixture = *state;
    struct session sessions[3];
    struct run_report reports[3];
    struct error error;

    for (size_t i = 0; i < COUNT(reports); i++) {
        reports[i] = session_reach(fixture, STATE_STARTED, &sessions[i]);
        reports[i].stop_requested = i != 1;
    }
    MUST(store_request_stop(fixture->store, sessions[1].id, NULL, "bob", T0, &error));
    MUST(store_check_stops(fixture->store, reports, COUNT(reports), &error));
    for (size_t i = 0; i < COUNT(reports); i++) {
        assert_false(reports[i].lost);
        assert_int_equal(reports[i].stop_requested, i == 1);
    }
    MUST(store_check_stops(fixture->store, NULL, 0, &error));
    MUST(store_report_progress(fixture->store, NULL, 0, T0, &error));
}

/* From every state to every state, by the worker that holds the run: the table of moves and the store agree.
 */
static void check_move(struct fixture *fixture, enum session_state from, enum session_state to)
{
    struct session before, after;
    struct error error;
    struct run_report report = session_reach(fixture, from, &before);

    report.run.state = to;
    report.run.stop_reason = STOP_INTERNAL;
    report.run.started_ms = report.run.ended_ms = T0 + 50;
    report.lost = session_state_may_become(from, to);
    if (to == STATE_STARTED)
        MUST(store_start_run(fixture->store, &report, &error));
    else
        MUST(store_finish_run(fixture->store, &report, &error));
    if (report.lost == session_state_may_become(from, to))
        fail_msg("from %s to %s: lost is %d", names_of(&session_state_names, (int)from),
                 names_of(&session_state_names, (int)to), report.lost);
    session_get(fixture, before.id, 0, &after);
    if (report.lost)
        assert_memory_equal(&after, &before, sizeof after);
    else
        assert_int_equal(after.run.state, to);
}

static void runs_move_as_the_table_says(void **state)
{
    for (int from = STATE_CREATED; from <= STATE_ERROR; from++)
        for (int to = STATE_STARTED; to <= STATE_ERROR; to++)
            check_move(*state, (enum session_state)from, (enum session_state)to);
}

int suite_runs(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_claim_hands_over_the_whole_session),
        STORE_TEST(an_empty_queue_gives_nothing),
        STORE_TEST(the_oldest_is_claimed_first),
        STORE_TEST(a_restart_queues_at_the_end),
        STORE_TEST(what_was_started_comes_before_what_waits),
        STORE_TEST(each_node_claims_its_own),
        STORE_TEST(start_writes_time_and_file),
        STORE_TEST(progress_writes_counters_and_message),
        STORE_TEST(every_end_comes_back),
        STORE_TEST(a_stop_reaches_whoever_speaks),
        STORE_TEST(a_stop_outlives_the_worker_that_did_not_see_it),
        STORE_TEST(flags_are_each_runs_own),
        STORE_TEST(runs_move_as_the_table_says),
    };

    return cmocka_run_group_tests_name("runs", tests, NULL, NULL);
}
