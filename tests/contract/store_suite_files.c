/* The files of rings: reported by workers, shown by the front end. */
#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = FILE_COUNT_MAX + 1 };

/* What a listing gave. */
struct seen {
    size_t count;
    struct run_file files[MOST];
};

static void see(void *context, const struct run_file *file)
{
    struct seen *seen = context;

    assert_true(seen->count < MOST);
    seen->files[seen->count++] = *file;
}

static struct run_file file_of(int32_t number, int64_t size)
{
    struct run_file file = {
        .number = number, .file_size = size, .packets = size / 10, .packet_bytes = size / 2};

    snprintf(file.file, sizeof file.file, "captures/a/run-1.%06d.pcap", number);
    return file;
}

/* The files from `first` to `last`, the last one of another size. */
static void report_files(struct run_report *report, int32_t first, int32_t last, int64_t newest_size)
{
    static struct run_file files[MOST];

    report->files = files;
    report->file_count = 0;
    for (int32_t number = first; number <= last; number++)
        files[report->file_count++] = file_of(number, number == last ? newest_size : 1000 + number);
}

static void assert_listed(struct fixture *fixture, const char *id, int32_t run,
                          const struct run_report *report)
{
    static struct seen seen;
    struct error error;

    memset(&seen, 0, sizeof seen);
    MUST(store_list_run_files(fixture->store, id, run, NULL, see, &seen, &error));
    assert_int_equal(seen.count, report->file_count);
    assert_memory_equal(seen.files, report->files, seen.count * sizeof seen.files[0]);
}

static void progress(struct fixture *fixture, struct run_report *report)
{
    struct error error;

    MUST(store_report_progress(fixture->store, report, 1, T0 + LEASE_MS, &error));
    assert_false(report->lost);
}

static void files_come_grow_and_go(void **state)
{
    static const struct {
        int32_t first, last;
        int64_t newest;
    } RINGS[] = {{1, 1, 24}, {1, 1, 500},    {1, 3, 70},    {2, 3, 900},
                 {3, 4, 24}, {700, 702, 24}, {700, 701, 33}};
    struct fixture *fixture = *state;
    struct session session;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session), none = {0};

    assert_listed(fixture, session.id, 0, &none);
    for (size_t i = 0; i < sizeof RINGS / sizeof RINGS[0]; i++) {
        report_files(&report, RINGS[i].first, RINGS[i].last, RINGS[i].newest);
        progress(fixture, &report);
        assert_listed(fixture, session.id, 0, &report);
        assert_listed(fixture, session.id, 1, &report);
        assert_listed(fixture, session.id, 2, &none);
    }
    fixture_close(fixture);
    fixture_open(fixture);
    assert_listed(fixture, session.id, 0, &report);
}

/* An older file changes too, where a power cut took its end. */
static void any_file_may_change(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    report_files(&report, 5, 9, 40);
    progress(fixture, &report);
    report.files[1].file_size--;
    progress(fixture, &report);
    assert_listed(fixture, session.id, 0, &report);
    report.files[3].packets--;
    progress(fixture, &report);
    assert_listed(fixture, session.id, 0, &report);
}

static void as_many_as_there_can_be(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    report_files(&report, 1, MOST, 24);
    progress(fixture, &report);
    assert_listed(fixture, session.id, 0, &report);
    report_files(&report, MOST, 2 * MOST - 1, 24);
    progress(fixture, &report);
    assert_listed(fixture, session.id, 0, &report);
}

/* Start, finish and release say it as well; a report without files says nothing. */
static void every_report_tells_of_files(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_CREATED, &session), silent;

    report_files(&report, 1, 1, 24);
    run_start(fixture, &report);
    assert_listed(fixture, session.id, 0, &report);
    silent = report;
    silent.files = NULL, silent.file_count = 0;
    progress(fixture, &silent);
    assert_listed(fixture, session.id, 0, &report);
    report_files(&report, 1, 2, 24);
    MUST(store_release_run(fixture->store, &report, &error));
    assert_listed(fixture, session.id, 0, &report);
    struct run_report heir = claim_next(fixture, WORKER_B, T0 + 1, &session);
    report_files(&heir, 2, 3, 99);
    run_end(fixture, &heir, STATE_FINISHED);
    assert_listed(fixture, session.id, 0, &heir);
}

static void who_lost_the_lease_says_nothing_of_files(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session), none = {0};

    claim_next(fixture, WORKER_B, T0 + LEASE_MS, &session);
    report_files(&report, 1, 2, 24);
    MUST(store_report_progress(fixture->store, &report, 1, T0 + LEASE_MS, &error));
    assert_true(report.lost);
    assert_listed(fixture, session.id, 0, &none);
}

static void a_listing_reads_the_session_of_its_moment(void **state)
{
    struct fixture *fixture = *state;
    struct session session, read;
    struct error error;
    struct seen *seen = calloc(1, sizeof *seen);
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    assert_non_null(seen);
    report.run.counters.file_size = 4711;
    report_files(&report, 1, 2, 24);
    progress(fixture, &report);
    MUST(store_list_run_files(fixture->store, session.id, 0, &read, see, seen, &error));
    assert_int_equal(read.run.counters.file_size, 4711);
    assert_int_equal(seen->count, 2);
    MUST_FAIL(ERROR_NO_SUCH_SESSION,
              store_list_run_files(fixture->store, "00000000-0000-4000-8000-00000000dead", 0, &read, see,
                                   seen, &error));
    free(seen);
}

/* Lists show the files of rings behind their sessions. */
struct order {
    char text[64];
};

static void order_session(void *context, const struct session *session)
{
    (void)session;
    strcat(((struct order *)context)->text, "s");
}

static void order_file(void *context, const struct run_file *file)
{
    (void)file;
    strcat(((struct order *)context)->text, "f");
}

static void lists_show_files_behind_their_session(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct list_page page;
    struct order order = {""};
    struct list_query query = {.page_size = 10, .visit_file = order_file};

    session_reach(fixture, STATE_STARTED, &session);
    for (int32_t last = 1; last <= 2; last++) {
        session_make(&session);
        session.request.capfilecount = 2;
        MUST(store_insert_session(fixture->store, &session, 0, NULL, &error));
        struct run_report report = claim_next(fixture, WORKER_A, T0, &session);
        report_files(&report, 1, last, 24);
        run_start(fixture, &report);
    }
    MUST(store_list_sessions(fixture->store, &query, order_session, &order, &page, &error));
    assert_string_equal(order.text, "ssfsff");
    query.visit_file = NULL;
    order.text[0] = '\0';
    MUST(store_list_sessions(fixture->store, &query, order_session, &order, &page, &error));
    assert_string_equal(order.text, "sss");
}

/* Files belong to a run and go with the session. */
static void each_run_has_its_own(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session), none = {0};

    report_files(&report, 1, 3, 24);
    run_end(fixture, &report, STATE_FINISHED);
    MUST(session_restart(fixture->store, session.id, "bob", T0, &error));
    assert_listed(fixture, session.id, 0, &none);
    assert_listed(fixture, session.id, 1, &report);
    struct run_report second = claim_next(fixture, WORKER_A, T0 + 5, &session);
    run_start(fixture, &second);
    run_end(fixture, &second, STATE_FINISHED);
    MUST(store_delete_session(fixture->store, session.id, NULL, &error));
    assert_listed(fixture, session.id, 1, &none);
}

int suite_files(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(files_come_grow_and_go),
        STORE_TEST(any_file_may_change),
        STORE_TEST(as_many_as_there_can_be),
        STORE_TEST(every_report_tells_of_files),
        STORE_TEST(who_lost_the_lease_says_nothing_of_files),
        STORE_TEST(a_listing_reads_the_session_of_its_moment),
        STORE_TEST(lists_show_files_behind_their_session),
        STORE_TEST(each_run_has_its_own),
    };

    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
