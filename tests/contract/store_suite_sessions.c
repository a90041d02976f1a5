/* The front end's half: sessions go in and come out whole; stop, restart and delete. */
#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define AT(member)   offsetof(struct session, member), sizeof(((struct session *)0)->member)

/* Compares every byte: a field that some later version adds to struct session is covered too. */
static void assert_comes_back(struct fixture *fixture, const struct session *session)
{
    struct session got;
    struct error error;

    MUST(store_insert_session(fixture->store, session, 0, NULL, &error));
    session_get(fixture, session->id, 0, &got);
    assert_memory_equal(&got, session, sizeof got);
    session_get(fixture, session->id, 1, &got);
    assert_memory_equal(&got, session, sizeof got);
}

static void every_field_comes_back(void **state)
{
    struct session session;

    session_make_full(&session);
    assert_comes_back(*state, &session);
}

static void absent_fields_stay_absent(void **state)
{
    struct session session;

    session_make(&session);
    assert_comes_back(*state, &session);
}

static void a_session_outlives_its_handle(void **state)
{
    struct fixture *fixture = *state;
    struct session session, got;

    session_make_full(&session);
    assert_comes_back(fixture, &session);
    fixture_close(fixture);
    fixture_open(fixture);
    session_get(fixture, session.id, 0, &got);
    assert_memory_equal(&got, &session, sizeof got);
}

static void every_enum_value_comes_back(void **state)
{
    static const struct {
        size_t offset, size;
        const struct names *names;
        int least; /* 0 where the field may be absent */
    } ENUMS[] = {
        {AT(request.cappoint), &cappoint_names, 1},   {AT(request.capsource), &capsource_names, 1},
        {AT(request.direction), &direction_names, 0}, {AT(request.capmode), &capmode_names, 0},
        {AT(request.capformat), &capformat_names, 0},
    };
    struct session session;

    for (size_t i = 0; i < COUNT(ENUMS); i++) {
        assert_int_equal(ENUMS[i].size, sizeof(int));
        for (int value = ENUMS[i].least; value < (int)ENUMS[i].names->count; value++) {
            session_make(&session);
            memcpy((char *)&session + ENUMS[i].offset, &value, sizeof value);
            assert_comes_back(*state, &session);
        }
    }
}

static void every_integer_comes_back(void **state)
{
    static const struct {
        size_t offset, size;
    } INTEGERS[] = {{AT(request.capduration)},
                    {AT(request.capamount)},
                    {AT(request.capfilesize)},
                    {AT(request.capsnaplen)}};
    static const int32_t VALUES[] = {INT_ABSENT, 0, 1, INT32_MAX};
    struct session session;

    for (size_t i = 0; i < COUNT(INTEGERS); i++)
        for (size_t j = 0; j < COUNT(VALUES); j++) {
            session_make(&session);
            memcpy((char *)&session + INTEGERS[i].offset, &VALUES[j], INTEGERS[i].size);
            assert_comes_back(*state, &session);
        }
}

/* Fills a field with characters of four bytes, as many as fit. */
static void fill(char *field, size_t size)
{
    for (size_t used = 0; used + 4 < size; used += 4)
        memcpy(field + used, "𝄞", 5);
}

static void the_longest_strings_come_back(void **state)
{
    static const struct {
        size_t offset, size;
    } TEXTS[] = {{AT(request.node)}, {AT(request.node_ip)},     {AT(request.capvalue)},
                 {AT(request.name)}, {AT(request.description)}, {AT(request.capexpression)},
                 {AT(create_user)},  {AT(last_modified_user)}};
    struct session session;

    session_make_full(&session);
    for (size_t i = 0; i < COUNT(TEXTS); i++)
        fill((char *)&session + TEXTS[i].offset, TEXTS[i].size);
    assert_comes_back(*state, &session);
    assert_int_equal(strlen(session.request.description), sizeof session.request.description - 1);
}

static void full_lists_come_back_in_order(void **state)
{
    struct session session;
    struct packet_capture_request *request = &session.request;

    session_make(&session);
    request->has_options = true;
    request->option_count = OPTIONS_MAX;
    for (uint32_t i = 0; i < OPTIONS_MAX; i++) {
        request->options[i].name = (enum option_name)(1 + i % (option_names.count - 1));
        snprintf(request->options[i].value, sizeof request->options[i].value, "%u", OPTIONS_MAX - i);
    }
    fill(request->options[0].value, sizeof request->options[0].value);
    request->tag_count = TAGS_MAX;
    for (uint32_t i = 0; i < TAGS_MAX; i++) {
        fill(request->tags[i].scope, sizeof request->tags[i].scope);
        snprintf(request->tags[i].tag, sizeof request->tags[i].tag, "%u", TAGS_MAX - i);
    }
    fill(request->tags[0].tag, sizeof request->tags[0].tag);
    assert_comes_back(*state, &session);
}

static void empty_strings_in_lists_come_back(void **state)
{
    struct session session;

    session_make(&session);
    session.request.has_options = true;
    session.request.option_count = 1;
    session.request.options[0].name = OPTION_MAC;
    session.request.tag_count = 3;
    strcpy(session.request.tags[1].scope, "scope only");
    strcpy(session.request.tags[2].tag, "tag only");
    assert_comes_back(*state, &session);
}

static void given_but_empty_options_are_not_absent_ones(void **state)
{
    struct session session;

    session_make(&session);
    session.request.has_options = true;
    assert_comes_back(*state, &session);
}

static void an_id_is_taken_once(void **state)
{
    struct fixture *fixture = *state;
    struct session session, twin, got;
    struct error error;

    session_make_full(&session);
    assert_comes_back(fixture, &session);
    session_make(&twin);
    strcpy(twin.id, session.id);
    twin.request.tag_count = TAGS_MAX;
    MUST_FAIL(ERROR_STORE_FAILED, store_insert_session(fixture->store, &twin, 0, NULL, &error));
    session_get(fixture, session.id, 0, &got);
    assert_memory_equal(&got, &session, sizeof got);
    /* The refused transaction is over: the next one works. */
    session_insert(fixture, &twin);
}

static void unknown_ids_are_not_found(void **state)
{
    static const char *const IDS[] = {"00000000-0000-4000-8000-000000000000", "",
                                      "'; DROP TABLE session; --"};
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    struct session known, got, before;
    struct error error;
    bool has = true;

    session_insert(fixture, &known);
    memset(&got, 0x5a, sizeof got);
    before = got;
    for (size_t i = 0; i < COUNT(IDS); i++) {
        MUST_FAIL(ERROR_NO_SUCH_SESSION, store_get_session(store, IDS[i], 0, &got, &error));
        MUST_FAIL(ERROR_NO_SUCH_SESSION, store_request_stop(store, IDS[i], NULL, "eve", T0, &error));
        MUST_FAIL(ERROR_NO_SUCH_SESSION, session_restart(store, IDS[i], "eve", T0, &error));
        MUST_FAIL(ERROR_NO_SUCH_SESSION, store_delete_session(store, IDS[i], NULL, &error));
        MUST(store_has_session(store, IDS[i], &has, &error));
        assert_false(has);
    }
    assert_memory_equal(&got, &before, sizeof got);
    MUST(store_has_session(store, known.id, &has, &error));
    assert_true(has);
}

static void unknown_runs_are_not_found(void **state)
{
    static const int32_t RUNS[] = {2, -1, INT32_MAX};
    struct fixture *fixture = *state;
    struct session known, got;
    struct error error;

    session_insert(fixture, &known);
    for (size_t i = 0; i < COUNT(RUNS); i++)
        MUST_FAIL(ERROR_NO_SUCH_SESSION, store_get_session(fixture->store, known.id, RUNS[i], &got, &error));
}

static void stop_of_an_unclaimed_run_ends_it(void **state)
{
    struct fixture *fixture = *state;
    struct session session, got;
    struct error error;

    session_insert(fixture, &session);
    MUST(store_request_stop(fixture->store, session.id, NULL, "bob", T0 + 5, &error));
    session_get(fixture, session.id, 0, &got);
    assert_int_equal(got.run.state, STATE_STOPPED);
    assert_int_equal(got.run.stop_reason, STOP_TERMINATED);
    assert_int_equal(got.run.ended_ms, T0 + 5);
    assert_int_equal(got.run.started_ms, 0);
    assert_string_equal(got.last_modified_user, "bob");
    assert_int_equal(got.last_modified_time_ms, T0 + 5);
    assert_int_equal(got.revision, session.revision + 1);
    assert_true(claim_finds_nothing(fixture, WORKER_A, T0 + 6));
}

static void stop_of_a_held_run_sets_its_flag(void **state)
{
    static const enum session_state HELD[] = {STATE_CREATED, STATE_STARTED};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(HELD); i++) {
        struct session before, after;
        struct error error;
        struct run_report report = session_reach(fixture, HELD[i], &before);

        MUST(store_check_stops(fixture->store, &report, 1, &error));
        assert_false(report.stop_requested);
        MUST(store_request_stop(fixture->store, before.id, NULL, "bob", T0 + 5, &error));
        MUST(store_check_stops(fixture->store, &report, 1, &error));
        assert_true(report.stop_requested);
        session_get(fixture, before.id, 0, &after);
        assert_memory_equal(&after.run, &before.run, sizeof after.run);
        assert_string_equal(after.last_modified_user, "bob");
        assert_int_equal(after.last_modified_time_ms, T0 + 5);
    }
}

static void stop_of_a_run_given_back_before_its_start_ends_it(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_CREATED, &session);

    MUST(store_release_run(fixture->store, &report, &error));
    MUST(store_request_stop(fixture->store, session.id, NULL, "bob", T0 + 5, &error));
    assert_int_equal(session_state(fixture, session.id), STATE_STOPPED);
}

/* There is a file, and whoever takes over has to end it properly. */
static void stop_of_a_run_given_back_after_its_start_waits(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    MUST(store_release_run(fixture->store, &report, &error));
    MUST(store_request_stop(fixture->store, session.id, NULL, "bob", T0 + 5, &error));
    assert_int_equal(session_state(fixture, session.id), STATE_STARTED);
    report = claim_next(fixture, WORKER_B, T0 + 6, &session);
    MUST(store_check_stops(fixture->store, &report, 1, &error));
    assert_true(report.stop_requested);
}

static void stop_without_a_user_keeps_the_last_one(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;

    session_insert(fixture, &session);
    MUST(store_request_stop(fixture->store, session.id, NULL, "", T0 + 5, &error));
    session_get(fixture, session.id, 0, &session);
    assert_string_equal(session.last_modified_user, "alice");
}

static const enum session_state ENDED[] = {STATE_STOPPED, STATE_FINISHED, STATE_ERROR};

static void stop_of_an_ended_run_changes_nothing(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(ENDED); i++) {
        struct session before, after;
        struct error error;

        session_reach(fixture, ENDED[i], &before);
        MUST(store_request_stop(fixture->store, before.id, NULL, "bob", T0 + 5, &error));
        session_get(fixture, before.id, 0, &after);
        assert_memory_equal(&after, &before, sizeof after);
    }
}

static void what_has_not_ended_is_neither_restarted_nor_deleted(void **state)
{
    static const enum session_state RUNNING[] = {STATE_CREATED, STATE_STARTED};
    struct fixture *fixture = *state;
    struct session before, after;
    struct error error;

    for (size_t i = 0; i < COUNT(RUNNING); i++) {
        session_reach(fixture, RUNNING[i], &before);
        MUST_FAIL(ERROR_SESSION_RUNNING, session_restart(fixture->store, before.id, "bob", T0 + 5, &error));
        MUST_FAIL(ERROR_SESSION_RUNNING, store_delete_session(fixture->store, before.id, NULL, &error));
        session_get(fixture, before.id, 0, &after);
        assert_memory_equal(&after, &before, sizeof after);
    }
    session_insert(fixture, &before);
    MUST_FAIL(ERROR_SESSION_RUNNING, session_restart(fixture->store, before.id, "bob", T0 + 5, &error));
    MUST_FAIL(ERROR_SESSION_RUNNING, store_delete_session(fixture->store, before.id, NULL, &error));
}

static void assert_is_fresh_run(const struct run *run, int32_t number, int64_t created_ms)
{
    struct run expected;

    memset(&expected, 0, sizeof expected);
    expected.number = number;
    expected.state = STATE_CREATED;
    expected.created_ms = created_ms;
    assert_memory_equal(run, &expected, sizeof expected);
}

static void restart_adds_a_run_and_keeps_the_earlier(void **state)
{
    struct fixture *fixture = *state;

    for (size_t i = 0; i < COUNT(ENDED); i++) {
        struct session first, again, earlier;
        struct error error;

        session_reach(fixture, ENDED[i], &first);
        MUST(session_restart(fixture->store, first.id, "bob", T0 + 9, &error));
        session_get(fixture, first.id, 0, &again);
        assert_is_fresh_run(&again.run, 2, T0 + 9);
        assert_memory_equal(&again.request, &first.request, sizeof again.request);
        assert_string_equal(again.last_modified_user, "bob");
        assert_int_equal(again.last_modified_time_ms, T0 + 9);
        assert_int_equal(again.create_time_ms, first.create_time_ms);
        assert_int_equal(again.revision, first.revision + 1);
        session_get(fixture, first.id, 1, &earlier);
        assert_memory_equal(&earlier.run, &first.run, sizeof earlier.run);
        MUST(store_request_stop(fixture->store, first.id, NULL, "bob", T0 + 10, &error));
    }
}

static void runs_are_numbered_and_work_as_the_first(void **state)
{
    struct fixture *fixture = *state;
    struct session session, got;
    struct error error;

    session_reach(fixture, STATE_FINISHED, &session);
    for (int32_t number = 2; number <= 5; number++) {
        MUST(session_restart(fixture->store, session.id, "bob", T0 + number, &error));
        struct run_report report = claim_next(fixture, WORKER_A, T0 + number, &got);
        assert_string_equal(got.id, session.id);
        assert_int_equal(got.run.number, number);
        assert_false(report.lease.resumed || report.lease.overdue);
        MUST(store_check_stops(fixture->store, &report, 1, &error));
        assert_false(report.stop_requested);
        run_start(fixture, &report);
        report.run.counters.file_size = 100 + number;
        run_end(fixture, &report, STATE_FINISHED);
    }
    for (int32_t number = 2; number <= 5; number++) {
        session_get(fixture, session.id, number, &got);
        assert_int_equal(got.run.number, number);
        assert_int_equal(got.run.counters.file_size, 100 + number);
    }
}

static void a_stop_ends_one_run_only(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;

    session_insert(fixture, &session);
    MUST(store_request_stop(fixture->store, session.id, NULL, "bob", T0 + 1, &error));
    MUST(session_restart(fixture->store, session.id, "bob", T0 + 2, &error));
    struct run_report report = claim_next(fixture, WORKER_A, T0 + 3, &session);
    MUST(store_check_stops(fixture->store, &report, 1, &error));
    assert_false(report.stop_requested);
}

/* The same id again shows whether anything of the first session was left behind. */
static void a_deleted_session_leaves_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct session session, plain, got;
    struct error error;
    bool has = true;

    session_make_full(&session);
    MUST(store_insert_session(fixture->store, &session, 0, NULL, &error));
    MUST(store_request_stop(fixture->store, session.id, NULL, "bob", T0, &error));
    MUST(session_restart(fixture->store, session.id, "bob", T0, &error));
    MUST(store_request_stop(fixture->store, session.id, NULL, "bob", T0, &error));
    MUST(store_delete_session(fixture->store, session.id, NULL, &error));
    MUST_FAIL(ERROR_NO_SUCH_SESSION, store_get_session(fixture->store, session.id, 0, &got, &error));
    MUST_FAIL(ERROR_NO_SUCH_SESSION, store_get_session(fixture->store, session.id, 1, &got, &error));
    MUST_FAIL(ERROR_NO_SUCH_SESSION, store_delete_session(fixture->store, session.id, NULL, &error));
    MUST(store_has_session(fixture->store, session.id, &has, &error));
    assert_false(has);
    session_make(&plain);
    strcpy(plain.id, session.id);
    assert_comes_back(fixture, &plain);
    MUST_FAIL(ERROR_NO_SUCH_SESSION, store_get_session(fixture->store, plain.id, 2, &got, &error));
}

static void deletion_spares_the_others(void **state)
{
    struct fixture *fixture = *state;
    struct session kept, doomed, got;
    struct error error;

    session_make_full(&kept);
    assert_comes_back(fixture, &kept);
    session_make_full(&doomed);
    assert_comes_back(fixture, &doomed);
    MUST(store_request_stop(fixture->store, doomed.id, NULL, "bob", T0, &error));
    MUST(store_delete_session(fixture->store, doomed.id, NULL, &error));
    session_get(fixture, kept.id, 0, &got);
    assert_memory_equal(&got, &kept, sizeof got);
}

int suite_sessions(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_field_comes_back),
        STORE_TEST(absent_fields_stay_absent),
        STORE_TEST(a_session_outlives_its_handle),
        STORE_TEST(every_enum_value_comes_back),
        STORE_TEST(every_integer_comes_back),
        STORE_TEST(the_longest_strings_come_back),
        STORE_TEST(full_lists_come_back_in_order),
        STORE_TEST(empty_strings_in_lists_come_back),
        STORE_TEST(given_but_empty_options_are_not_absent_ones),
        STORE_TEST(an_id_is_taken_once),
        STORE_TEST(unknown_ids_are_not_found),
        STORE_TEST(unknown_runs_are_not_found),
        STORE_TEST(stop_of_an_unclaimed_run_ends_it),
        STORE_TEST(stop_of_a_held_run_sets_its_flag),
        STORE_TEST(stop_of_a_run_given_back_before_its_start_ends_it),
        STORE_TEST(stop_of_a_run_given_back_after_its_start_waits),
        STORE_TEST(stop_without_a_user_keeps_the_last_one),
        STORE_TEST(stop_of_an_ended_run_changes_nothing),
        STORE_TEST(what_has_not_ended_is_neither_restarted_nor_deleted),
        STORE_TEST(restart_adds_a_run_and_keeps_the_earlier),
        STORE_TEST(runs_are_numbered_and_work_as_the_first),
        STORE_TEST(a_stop_ends_one_run_only),
        STORE_TEST(a_deleted_session_leaves_nothing),
        STORE_TEST(deletion_spares_the_others),
    };

    return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
