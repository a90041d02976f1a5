/*
 * The suite that every backend of db/store.h passes. It knows db/store.h only: a backend is a row of function
 * pointers, and test_NAME.c runs the suite on it and adds what is the backend's own (files, migrations).
 */
#ifndef PKTCAPD_TESTS_STORE_SUITE_H
#define PKTCAPD_TESTS_STORE_SUITE_H

#include "db/people.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { PLACE_SIZE = 256 };

struct store_backend {
    const char *name;
    enum status (*open)(const char *path, struct store **store, struct error *error);
    void (*close)(struct store *store);
    void (*path)(char out[PLACE_SIZE]); /* where there is no store yet */
    bool (*is_sound)(const char *path); /* the backend's own check, while nobody has it open */
};

/* Runs everything; returns the number of tests that failed. */
int store_suite_run(const struct store_backend *backend);

/* ---- for the files of the suite and for the tests of one backend ---- */

/* What a test gets as *state: a fresh store of its own, opened. */
struct fixture {
    const struct store_backend *backend;
    char path[PLACE_SIZE];
    struct store *store;
};

int fixture_setup(void **state);
int fixture_teardown(void **state);
void fixture_close(struct fixture *fixture);
void fixture_open(struct fixture *fixture);

/* A test of a list in which `fixture` is the struct fixture to use. */
#define STORE_TEST(function)                                                                                 \
    cmocka_unit_test_prestate_setup_teardown(function, fixture_setup, fixture_teardown, fixture)

/* Both name the call and the message when they fail. */
#define MUST(call)                must((call), &error, #call, __FILE__, __LINE__)
#define MUST_FAIL(expected, call) must_fail((call), &error, (expected), #call, __FILE__, __LINE__)

void must(enum status status, const struct error *error, const char *call, const char *file, int line);
void must_fail(enum status status, const struct error *error, enum error_code code, const char *call,
               const char *file, int line);

/* The node of all sessions that nothing else is said of, three workers, and a time to start from. */
extern const char NODE[], WORKER_A[], WORKER_B[], WORKER_C[];
#define T0       INT64_C(1700000000000)
#define LEASE_MS INT64_C(10000)

/* A session with a new id and only what is required; or with every field filled, each with its own value. */
void session_make(struct session *session);
void session_make_full(struct session *session);

/* Makes and inserts one that has only what is required. */
void session_insert(struct fixture *fixture, struct session *session);

/* store_restart_session() with nothing but who and when. */
MUST_USE enum status session_restart(struct store *store, const char *id, const char *user, int64_t now_ms,
                                     struct error *error);

/* Reads the newest run; run N; or one value of the newest. */
void session_get(struct fixture *fixture, const char *id, int32_t run, struct session *out);
enum session_state session_state(struct fixture *fixture, const char *id);

/* Claims what is next and fails the test if there is nothing; the report is ready to be filled. */
struct run_report claim_next(struct fixture *fixture, const char *worker, int64_t now_ms,
                             struct session *session);
bool claim_finds_nothing(struct fixture *fixture, const char *worker, int64_t now_ms);

/* Say STARTED at T0 + 1; say the end at T0 + 2. They fail the test if the lease is lost. */
void run_start(struct fixture *fixture, struct run_report *report);
void run_end(struct fixture *fixture, struct run_report *report, enum session_state state);

/* A user of that role, with a password. */
void user_insert(struct fixture *fixture, const char *name, const char *role);

/* Names as they are visited, a blank behind each. */
struct names_seen {
    char text[1024];
};
void name_add(struct names_seen *seen, const char *name);

/* A login that is known by its number. */
void login_insert(struct fixture *fixture, const char *user, unsigned seed, int64_t most, int64_t stale_ms);
bool login_is_there(struct fixture *fixture, unsigned seed);

/* Inserts a session and brings it into a state, CREATED being claimed but not started. */
struct run_report session_reach(struct fixture *fixture, enum session_state state, struct session *session);

/* The groups: each runs its tests and returns how many failed. */
int suite_sessions(struct fixture *fixture);
int suite_list(struct fixture *fixture);
int suite_runs(struct fixture *fixture);
int suite_files(struct fixture *fixture);
int suite_leases(struct fixture *fixture);
int suite_people(struct fixture *fixture);
int suite_tokens(struct fixture *fixture);
int suite_owners(struct fixture *fixture);
int suite_readers(struct fixture *fixture);
int suite_stored(struct fixture *fixture);
int suite_audit(struct fixture *fixture);
int suite_crowd(struct fixture *fixture);
int suite_crash(struct fixture *fixture);
int suite_people_crash(struct fixture *fixture);

#endif
