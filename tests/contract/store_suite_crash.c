/*
 * kill -9 at any moment. A child works on the store and confirms through a pipe what the store has taken; the
 * parent kills it after some confirmations and a random moment more. What was confirmed is there, what was
 * not is there whole or not at all, and the next worker finishes what was left.
 */
#include "core/clock.h"
#include "tests/contract/store_suite.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 20, CONFIRMED_MAX = 8192, OPENING_ROUNDS = 12 };

/* Smaller than PIPE_BUF, so one write is all or nothing. The first one, without an id, says: I am about to
 * open. */
struct confirmation {
    enum session_state state;
    char id[UUID_SIZE];
};

static const struct counters DONE = {.packets_captured = 7, .bytes_captured = 700, .file_size = 836};

/* ---- the child ---- */

static void child_confirm(int to, enum session_state state, const char *id)
{
    struct confirmation confirmation;

    memset(&confirmation, 0, sizeof confirmation);
    confirmation.state = state;
    strcpy(confirmation.id, id);
    if (write(to, &confirmation, sizeof confirmation) != (ssize_t)sizeof confirmation)
        _exit(2);
}

static void child_capture(struct store *store, int to, struct session *session)
{
    struct run_report report = {.reported_ms = T0};
    struct error error;
    bool found;

    if (store_claim_run(store, NODE, WORKER_A, T0, LEASE_MS, &found, &report.lease, session, &error) !=
        STATUS_OK)
        _exit(3);
    if (!found)
        return;
    report.run.started_ms = T0 + 1;
    if (store_start_run(store, &report, &error) != STATUS_OK || report.lost)
        _exit(4);
    child_confirm(to, STATE_STARTED, session->id);
    report.run.counters = DONE;
    if (store_report_progress(store, &report, 1, T0 + LEASE_MS, &error) != STATUS_OK || report.lost)
        _exit(5);
    report.run.state = STATE_FINISHED;
    report.run.stop_reason = STOP_DURATION;
    report.run.ended_ms = T0 + 2;
    if (store_finish_run(store, &report, &error) != STATUS_OK || report.lost)
        _exit(6);
    child_confirm(to, STATE_FINISHED, session->id);
}

static _Noreturn void child_main(const struct fixture *fixture, int to)
{
    static struct session session;
    struct store *store;
    struct error error;

    child_confirm(to, 0, "");
    if (fixture->backend->open(fixture->path, &store, &error) != STATUS_OK)
        _exit(1);
    for (unsigned i = 0;; i++) {
        session_make_full(&session);
        if (store_insert_session(store, &session, 0, NULL, &error) != STATUS_OK)
            _exit(1);
        child_confirm(to, STATE_CREATED, session.id);
        if (i % 2 == 1)
            child_capture(store, to, &session);
    }
}

/* ---- the parent ---- */

struct confirmations {
    struct confirmation items[CONFIRMED_MAX];
    size_t count;
};

static bool confirmation_read(int from, struct confirmations *all)
{
    assert_in_range(all->count, 0, CONFIRMED_MAX - 1);
    ssize_t got = read(from, &all->items[all->count], sizeof all->items[0]);
    if (got <= 0)
        return false;
    assert_int_equal(got, sizeof all->items[0]);
    all->count++;
    return true;
}

static void spin_us(unsigned microseconds)
{
    int64_t until = clock_monotonic_ns() + (int64_t)microseconds * 1000;

    while (clock_monotonic_ns() < until)
        continue;
}

static void child_kill(pid_t child, unsigned *seed)
{
    int status;

    spin_us((unsigned)rand_r(seed) % 2000);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status))
        fail_msg("the child ended by itself: %d", WEXITSTATUS(status));
}

/* Kills a child some moment after this many confirmations. */
static void crash_once(const struct fixture *fixture, int confirmations, unsigned *seed,
                       struct confirmations *all)
{
    int answer[2];

    assert_int_equal(pipe(answer), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(answer[0]);
        child_main(fixture, answer[1]);
    }
    close(answer[1]);
    while (confirmations-- > 0)
        assert_true(confirmation_read(answer[0], all));
    child_kill(child, seed);
    while (confirmation_read(answer[0], all))
        continue;
    close(answer[0]);
}

/* A whole session is the template but for its id and its run. */
static void visit_whole(void *context, const struct session *session)
{
    static struct session template;
    int *count = context;

    session_make_full(&template);
    if (memcmp(&session->request, &template.request, sizeof template.request) != 0 ||
        memcmp(&session->limits, &template.limits, sizeof template.limits) != 0 || session->run.number != 1 ||
        (session->run.state == STATE_FINISHED && memcmp(&session->run.counters, &DONE, sizeof DONE) != 0))
        *count = INT32_MIN;
    ++*count;
}

static int assert_all_whole(struct fixture *fixture)
{
    struct list_page page;
    struct error error;
    int count = 0;

    MUST(store_list_sessions(fixture->store, &(struct list_query){.page_size = INT32_MAX - 1}, visit_whole,
                             &count, &page, &error));
    assert_int_equal(count, page.total);
    return count;
}

static void assert_all_there(struct fixture *fixture, const struct confirmations *all)
{
    for (size_t i = 0; i < all->count; i++)
        if (all->items[i].id[0] != '\0')
            assert_true(session_state(fixture, all->items[i].id) >= all->items[i].state);
}

static void assert_all_can_be_ended(struct fixture *fixture, int sessions)
{
    struct list_page page;
    struct session session;
    struct error error;
    int ignored = 0;

    for (bool found = true; found;) {
        struct run_report report = {.run = {.state = STATE_STOPPED, .stop_reason = STOP_WORKER_LOST}};
        MUST(store_claim_run(fixture->store, NODE, WORKER_B, T0 + LEASE_MS, LEASE_MS, &found, &report.lease,
                             &session, &error));
        if (found)
            MUST(store_finish_run(fixture->store, &report, &error));
    }
    MUST(store_list_sessions(fixture->store, &(struct list_query){.page_size = 1, .ended_only = true},
                             visit_whole, &ignored, &page, &error));
    assert_int_equal(page.total, sessions);
}

static void nothing_confirmed_is_lost_and_nothing_is_torn(void **state)
{
    static struct confirmations all;
    struct fixture *fixture = *state;
    unsigned seed = 20261123;

    all.count = 0;
    for (int round = 0; round < ROUNDS; round++) {
        fixture_close(fixture);
        crash_once(fixture, 1 + rand_r(&seed) % 12, &seed, &all);
        fixture_open(fixture);
    }
    assert_true(all.count > ROUNDS);
    assert_all_there(fixture, &all);
    assert_all_can_be_ended(fixture, assert_all_whole(fixture));
}

static void check_sound(struct fixture *fixture)
{
    fixture_close(fixture);
    assert_true(fixture->backend->is_sound(fixture->path));
    fixture_open(fixture);
}

/* The same while the store is being made: each round has a new place. */
static void a_store_half_made_is_made_whole(void **state)
{
    static struct confirmations all;
    struct fixture *fixture = *state;
    unsigned seed = 20261124;

    for (int round = 0; round < OPENING_ROUNDS; round++) {
        fixture_close(fixture);
        fixture->backend->path(fixture->path);
        all.count = 0;
        crash_once(fixture, 1, &seed, &all);
        fixture_open(fixture);
        check_sound(fixture);
        assert_all_there(fixture, &all);
        assert_all_whole(fixture);
    }
}

int suite_crash(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(nothing_confirmed_is_lost_and_nothing_is_torn),
        STORE_TEST(a_store_half_made_is_made_whole),
    };

    return cmocka_run_group_tests_name("crash", tests, NULL, NULL);
}
