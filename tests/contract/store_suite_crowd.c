/* Many at once: threads and processes, each with a handle of its own. */
#include "tests/contract/store_suite.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { THREADS = 8, PROCESSES = 4, ROWS = 300 };

static void rows_insert(struct fixture *fixture)
{
    struct session session;

    for (int i = 0; i < ROWS; i++)
        session_insert(fixture, &session);
}

/* What one claimer got. cmocka's assertions belong to the main thread, so failures are carried home. */
struct haul {
    int64_t keys[ROWS];
    size_t count;
    struct error error; /* STATUS_OK, or what stopped it */
};

static void claim_all(const struct fixture *fixture, struct haul *haul)
{
    struct session *session = malloc(sizeof *session);
    struct store *store = NULL;
    char worker[UUID_SIZE];
    struct lease lease;
    bool found = true;
    enum status status = fixture->backend->open(fixture->path, &store, &haul->error);

    uuid_make(worker);
    haul->count = 0;
    while (status == STATUS_OK && found && haul->count < ROWS) {
        status = store_claim_run(store, NODE, worker, T0, LEASE_MS, &found, &lease, session, &haul->error);
        if (status == STATUS_OK && found)
            haul->keys[haul->count++] = lease.claim == 1 ? lease.key : -1;
    }
    if (status == STATUS_OK)
        haul->error.status = STATUS_OK;
    fixture->backend->close(store);
    free(session);
}

static int compare_keys(const void *a, const void *b)
{
    const int64_t *left = a, *right = b;

    return (*left > *right) - (*left < *right);
}

static void assert_each_once(const struct haul *hauls, size_t count)
{
    static int64_t keys[THREADS * ROWS];
    size_t total = 0;

    for (size_t i = 0; i < count; i++) {
        if (hauls[i].error.status != STATUS_OK)
            fail_msg("claimer %zu: %s", i, hauls[i].error.message);
        memcpy(keys + total, hauls[i].keys, hauls[i].count * sizeof keys[0]);
        total += hauls[i].count;
    }
    assert_int_equal(total, ROWS);
    qsort(keys, total, sizeof keys[0], compare_keys);
    for (size_t i = 0; i < total; i++)
        assert_true(keys[i] > (i == 0 ? 0 : keys[i - 1]));
}

struct thread {
    pthread_t id;
    const struct fixture *fixture;
    pthread_barrier_t *start;
    struct haul haul;
};

static void *thread_main(void *context)
{
    struct thread *thread = context;

    pthread_barrier_wait(thread->start);
    claim_all(thread->fixture, &thread->haul);
    return NULL;
}

static void threads_claim_each_run_once(void **state)
{
    struct fixture *fixture = *state;
    static struct thread threads[THREADS];
    static struct haul hauls[THREADS];
    pthread_barrier_t start;

    rows_insert(fixture);
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        threads[i].fixture = fixture;
        threads[i].start = &start;
        assert_int_equal(pthread_create(&threads[i].id, NULL, thread_main, &threads[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i].id, NULL);
        hauls[i] = threads[i].haul;
    }
    pthread_barrier_destroy(&start);
    assert_each_once(hauls, THREADS);
}

/* ---- processes: they start when the parent closes the gate, and write what they have into a pipe ---- */

struct process {
    pid_t id;
    int from; /* read end */
};

typedef void process_body(const struct fixture *fixture, struct haul *haul);

static _Noreturn void process_main(const struct fixture *fixture, process_body *body, int gate, int to)
{
    static struct haul haul;
    char byte;

    while (read(gate, &byte, 1) > 0)
        continue;
    body(fixture, &haul);
    for (size_t sent = 0; sent < sizeof haul;) {
        ssize_t wrote = write(to, (const char *)&haul + sent, sizeof haul - sent);
        if (wrote <= 0)
            _exit(1);
        sent += (size_t)wrote;
    }
    _exit(0);
}

static struct process process_start(const struct fixture *fixture, process_body *body, const int gate[2])
{
    struct process process;
    int answer[2];

    assert_int_equal(pipe(answer), 0);
    process.id = fork();
    assert_true(process.id >= 0);
    if (process.id == 0) {
        close(gate[1]);
        close(answer[0]);
        process_main(fixture, body, gate[0], answer[1]);
    }
    close(answer[1]);
    process.from = answer[0];
    return process;
}

static void process_end(struct process *process, struct haul *haul)
{
    size_t got = 0;
    ssize_t n;
    int status;

    while (got < sizeof *haul && (n = read(process->from, (char *)haul + got, sizeof *haul - got)) > 0)
        got += (size_t)n;
    close(process->from);
    assert_int_equal(waitpid(process->id, &status, 0), process->id);
    assert_int_equal(status, 0);
    assert_int_equal(got, sizeof *haul);
}

/* No handle may cross a fork: the fixture's must be closed. */
static void processes_run(const struct fixture *fixture, process_body *body, struct haul *hauls)
{
    struct process processes[PROCESSES];
    int gate[2];

    assert_null(fixture->store);
    assert_int_equal(pipe(gate), 0);
    for (size_t i = 0; i < PROCESSES; i++)
        processes[i] = process_start(fixture, body, gate);
    close(gate[0]);
    close(gate[1]);
    for (size_t i = 0; i < PROCESSES; i++)
        process_end(&processes[i], &hauls[i]);
}

static void processes_claim_each_run_once(void **state)
{
    static struct haul hauls[PROCESSES];
    struct fixture *fixture = *state;

    rows_insert(fixture);
    fixture_close(fixture);
    processes_run(fixture, claim_all, hauls);
    fixture_open(fixture);
    assert_each_once(hauls, PROCESSES);
}

static void open_and_insert(const struct fixture *fixture, struct haul *haul)
{
    struct session *session = malloc(sizeof *session);
    struct store *store = NULL;

    session_make_full(session);
    if (fixture->backend->open(fixture->path, &store, &haul->error) == STATUS_OK &&
        store_insert_session(store, session, 0, NULL, &haul->error) == STATUS_OK)
        haul->error.status = STATUS_OK;
    fixture->backend->close(store);
    free(session);
}

static void count_visit(void *context, const struct session *session)
{
    (void)session;
    ++*(int *)context;
}

static void processes_make_one_store_together(void **state)
{
    enum { ROUNDS = 8 };
    static struct haul hauls[PROCESSES];
    struct fixture *fixture = *state;

    for (int round = 0; round < ROUNDS; round++) {
        struct list_page page;
        struct error error;
        int count = 0;

        fixture_close(fixture);
        fixture->backend->path(fixture->path);
        processes_run(fixture, open_and_insert, hauls);
        for (size_t i = 0; i < PROCESSES; i++)
            if (hauls[i].error.status != STATUS_OK)
                fail_msg("process %zu: %s", i, hauls[i].error.message);
        fixture_open(fixture);
        MUST(store_list_sessions(fixture->store, &(struct list_query){.page_size = 100}, count_visit, &count,
                                 &page, &error));
        assert_int_equal(count, PROCESSES);
    }
}

/* ---- the two halves of the product on one store ---- */

enum { EACH = 40, HALVES = 3 };

struct half {
    pthread_t id;
    const struct fixture *fixture;
    atomic_bool *broken; /* some thread failed, or is done: the others need not wait for it */
    struct error error;
};

static void half_end(struct half *half, struct store *store, enum status status)
{
    half->error.status = status;
    if (status != STATUS_OK)
        atomic_store(half->broken, true);
    half->fixture->backend->close(store);
}

static void *front_end_main(void *context)
{
    struct half *half = context;
    struct session *session = malloc(sizeof *session);
    struct store *store = NULL;
    enum status status = half->fixture->backend->open(half->fixture->path, &store, &half->error);

    for (int i = 0; status == STATUS_OK && i < EACH; i++) {
        session_make_full(session);
        status = store_insert_session(store, session, 0, NULL, &half->error);
        if (status == STATUS_OK)
            status = store_get_session(store, session->id, 0, session, &half->error);
    }
    half_end(half, store, status);
    free(session);
    return NULL;
}

static enum status capture_one(struct store *store, struct run_report *report, struct error *error)
{
    enum status status = store_start_run(store, report, error);

    if (status == STATUS_OK && !report->lost)
        status = store_report_progress(store, report, 1, T0 + LEASE_MS, error);
    report->run.state = STATE_FINISHED;
    if (status == STATUS_OK && !report->lost)
        status = store_finish_run(store, report, error);
    return status == STATUS_OK && report->lost ? error_set(error, ERROR_INTERNAL, NULL, "lost a lease")
                                               : status;
}

/* Works until it has done its share, whoever's sessions they are. Between looks it lets the others write. */
static void *worker_main(void *context)
{
    struct half *half = context;
    struct session *session = malloc(sizeof *session);
    struct store *store = NULL;
    enum status status = half->fixture->backend->open(half->fixture->path, &store, &half->error);

    for (int done = 0; status == STATUS_OK && done < EACH && !atomic_load(half->broken);) {
        struct run_report report = {.run = {.started_ms = T0, .ended_ms = T0, .stop_reason = STOP_DURATION}};
        bool found = false;
        status = store_claim_run(store, NODE, WORKER_A, T0, LEASE_MS, &found, &report.lease, session,
                                 &half->error);
        if (status == STATUS_OK && found) {
            status = capture_one(store, &report, &half->error);
            done++;
        } else {
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    half_end(half, store, status);
    free(session);
    return NULL;
}

static void both_halves_work_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct half halves[2 * HALVES];
    struct list_page page;
    struct error error;
    atomic_bool broken = false;
    int ended = 0;

    for (size_t i = 0; i < COUNT(halves); i++) {
        halves[i].fixture = fixture;
        halves[i].broken = &broken;
        assert_int_equal(
            pthread_create(&halves[i].id, NULL, i < HALVES ? front_end_main : worker_main, &halves[i]), 0);
    }
    for (size_t i = 0; i < COUNT(halves); i++)
        pthread_join(halves[i].id, NULL);
    for (size_t i = 0; i < COUNT(halves); i++)
        if (halves[i].error.status != STATUS_OK)
            fail_msg("thread %zu: %s", i, halves[i].error.message);
    MUST(store_list_sessions(fixture->store, &(struct list_query){.page_size = 1000, .ended_only = true},
                             count_visit, &ended, &page, &error));
    assert_int_equal(ended, HALVES * EACH);
}

/* ---- one comes and goes while the other looks ---- */

enum { COMINGS = 200 };

static void *come_and_go_main(void *context)
{
    struct half *half = context;
    struct session *session = malloc(sizeof *session);
    struct store *store = NULL;
    enum status status = half->fixture->backend->open(half->fixture->path, &store, &half->error);

    session_make_full(session);
    strcpy(session->id, NODE);
    for (int i = 0; status == STATUS_OK && i < COMINGS; i++) {
        status = store_insert_session(store, session, 0, NULL, &half->error);
        if (status == STATUS_OK)
            status = store_request_stop(store, session->id, NULL, "bob", T0, &half->error);
        if (status == STATUS_OK)
            status = store_delete_session(store, session->id, NULL, &half->error);
    }
    half_end(half, store, status);
    atomic_store(half->broken, true);
    free(session);
    return NULL;
}

static void a_session_is_read_whole_or_not_at_all(void **state)
{
    struct fixture *fixture = *state;
    struct session session, full;
    struct error error;
    atomic_bool over = false;
    struct half half = {.fixture = fixture, .broken = &over};
    int seen = 0, torn = 0;

    session_make_full(&full);
    assert_int_equal(pthread_create(&half.id, NULL, come_and_go_main, &half), 0);
    while (!atomic_load(&over)) {
        memset(&session, 0, sizeof session);
        if (store_get_session(fixture->store, NODE, 0, &session, &error) != STATUS_OK)
            continue;
        seen++;
        torn += memcmp(&session.request, &full.request, sizeof full.request) != 0;
    }
    pthread_join(half.id, NULL);
    if (half.error.status != STATUS_OK)
        fail_msg("%s", half.error.message);
    assert_true(seen > 0);
    assert_int_equal(torn, 0);
}

int suite_crowd(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(threads_claim_each_run_once),           STORE_TEST(processes_claim_each_run_once),
        STORE_TEST(processes_make_one_store_together),     STORE_TEST(both_halves_work_at_once),
        STORE_TEST(a_session_is_read_whole_or_not_at_all),
    };

    return cmocka_run_group_tests_name("crowd", tests, NULL, NULL);
}
