/* The contract suite on SQLite, and what is SQLite's own: what is synced, who waits. */
#include "tests/contract/sqlite_store.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the backend ---- */

static char folder[PLACE_SIZE / 2];

static void new_path(char out[PLACE_SIZE])
{
    static int number;

    snprintf(out, PLACE_SIZE, "%s/%d.db", folder, ++number);
}

static int take_answer(void *answer, int columns, char **values, char **names)
{
    (void)names;
    if (columns > 0)
        snprintf(answer, PLACE_SIZE, "%s", values[0] == NULL ? "" : values[0]);
    return 0;
}

const char *sqlite_ask(const char *path, const char *sql, char answer[PLACE_SIZE])
{
    sqlite3 *db;
    char *message = NULL;

    answer[0] = '\0';
    if (sqlite3_open(path, &db) != SQLITE_OK ||
        sqlite3_exec(db, sql, take_answer, answer, &message) != SQLITE_OK)
        snprintf(answer, PLACE_SIZE, "failed: %s", message == NULL ? sqlite3_errmsg(db) : message);
    sqlite3_free(message);
    sqlite3_close(db);
    return answer;
}

void assert_answer(const char *path, const char *sql, const char *expected)
{
    char answer[PLACE_SIZE];

    assert_string_equal(sqlite_ask(path, sql, answer), expected);
}

static bool is_sound(const char *path)
{
    char integrity[PLACE_SIZE], orphans[PLACE_SIZE];

    sqlite_ask(path, "PRAGMA integrity_check", integrity);
    sqlite_ask(path, "SELECT count(*) FROM pragma_foreign_key_check", orphans);
    if (strcmp(integrity, "ok") == 0 && strcmp(orphans, "0") == 0)
        return true;
    print_error("%s: integrity: %s; rows without a parent: %s\n", path, integrity, orphans);
    return false;
}

const struct store_backend sqlite_backend = {"sqlite", store_open, store_close, new_path, is_sound};

/* ---- durability ---- */

/* These stand in for the C library's, so that the store's waits for the disk can be counted. */
static atomic_int syncs;

int fdatasync(int file)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fdatasync, file);
}

int fsync(int file)
{
    atomic_fetch_add(&syncs, 1);
    return (int)syscall(SYS_fsync, file);
}

static void assert_synced(bool expected, const char *what)
{
    int seen = atomic_exchange(&syncs, 0);

    if ((seen > 0) != expected)
        fail_msg("%s: %d syncs", what, seen);
}

/* Twice round: the setting that spares claims and reports must not spare what comes after them. */
static void every_change_is_synced_but_claims_and_progress(void **state)
{
    struct fixture *fixture = *state;
    struct session session, claimed;
    struct error error;

    atomic_store(&syncs, 0);
    for (int round = 0; round < 2; round++) {
        session_insert(fixture, &session);
        assert_synced(true, "insert");
        struct run_report report = claim_next(fixture, WORKER_A, T0, &claimed);
        assert_synced(false, "claim");
        run_start(fixture, &report);
        assert_synced(true, "start");
        for (int i = 0; i < 3; i++) {
            report.run.counters.file_size++;
            MUST(store_report_progress(fixture->store, &report, 1, T0 + LEASE_MS, &error));
            assert_synced(false, "progress");
        }
        MUST(store_request_stop(fixture->store, session.id, "bob", T0, &error));
        assert_synced(true, "stop");
        MUST(store_check_stops(fixture->store, &report, 1, &error));
        session_get(fixture, session.id, 0, &claimed);
        assert_synced(false, "check and get");
        run_end(fixture, &report, STATE_STOPPED);
        assert_synced(true, "finish");
        MUST(session_restart(fixture->store, session.id, "bob", T0, &error));
        assert_synced(true, "restart");
        MUST(store_request_stop(fixture->store, session.id, "bob", T0, &error));
        MUST(store_delete_session(fixture->store, session.id, &error));
        assert_synced(true, "delete");
    }
}

/* The audit and the times of last use may go with a power cut; who may do what may not. */
static void people_are_synced_but_uses_and_the_audit(void **state)
{
    struct fixture *fixture = *state;
    struct store *store = fixture->store;
    const struct user_change change = {.groups = "lab", .disabled = -1};
    const struct audit_record record = {.way = WAY_BASIC, .operation = "create"};
    struct user user = {.name = "alice", .role = "lab", .created_ms = T0}, found_user;
    struct role role = {.name = "lab", .kind = ROLE_OPERATOR}, found_role;
    struct token token = {.id = "1", .user = "alice", .hash = {1}}, found_token;
    struct login login = {.user = "alice", .hash = {2}}, found_login;
    struct session session;
    struct error error;
    bool found;

    for (int round = 0; round < 2; round++) {
        atomic_store(&syncs, 0);
        MUST(store_put_role(store, &role, &error));
        assert_synced(true, "a role");
        MUST(store_insert_user(store, &user, &error));
        assert_synced(true, "a user");
        MUST(store_change_user(store, "alice", &change, &error));
        assert_synced(true, "a change");
        MUST(store_insert_token(store, &token, &error));
        assert_synced(true, "a token");
        MUST(store_insert_login(store, &login, 10, 0, &error));
        assert_synced(true, "a login");
        MUST(store_touch_token(store, &token, T0, &error));
        MUST(store_touch_login(store, &login, T0, &error));
        MUST(store_append_audit(store, &record, &error));
        MUST(store_find_token(store, token.hash, &found, &found_token, &found_user, &found_role, &error));
        assert_int_equal(found_token.used_ms, T0);
        MUST(store_find_login(store, login.hash, &found, &found_login, &found_user, &found_role, &error));
        assert_int_equal(found_login.used_ms, T0);
        assert_synced(false, "uses and the audit");
        MUST(store_revoke_token(store, token.id, T0, &error));
        assert_synced(true, "a revocation");
        MUST(store_delete_login(store, login.hash, &error));
        assert_synced(true, "a logout");
        session_insert(fixture, &session);
        MUST(store_share_session(store, session.id, &(struct share){SHARE_USER, "bob"}, true, "x", T0,
                                 &error));
        atomic_store(&syncs, 0);
        MUST(store_share_session(store, session.id, &(struct share){SHARE_USER, "bob"}, false, "x", T0,
                                 &error));
        assert_synced(true, "a share that ends");
        MUST(store_transfer_session(store, session.id, "bob", "x", T0, &error));
        assert_synced(true, "a transfer");
        MUST(store_delete_user(store, "alice", &error));
        assert_synced(true, "a user that goes");
        MUST(store_delete_role(store, "lab", &error));
        assert_synced(true, "a role that goes");
    }
}

static void readers_do_not_wait_for_a_writer(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct error error;
    sqlite3 *writer;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    assert_int_equal(sqlite3_open(fixture->path, &writer), SQLITE_OK);
    assert_int_equal(sqlite3_exec(writer, "BEGIN IMMEDIATE; DELETE FROM session", NULL, NULL, NULL),
                     SQLITE_OK);
    session_get(fixture, session.id, 0, &session);
    MUST(store_check_stops(fixture->store, &report, 1, &error));
    assert_false(report.lost);
    sqlite3_close(writer);
}

static void a_deleted_session_leaves_no_rows(void **state)
{
    static const char *const TABLES[] = {"session", "session_option", "session_tag", "run", "share"};
    struct fixture *fixture = *state;
    struct session session;
    struct error error;

    session_make_full(&session);
    MUST(store_insert_session(fixture->store, &session, NULL, &error));
    MUST(store_request_stop(fixture->store, session.id, "bob", T0, &error));
    for (int deleted = 0; deleted < 2; deleted++) {
        for (size_t i = 0; i < COUNT(TABLES); i++) {
            char sql[PLACE_SIZE];
            snprintf(sql, sizeof sql, "SELECT count(*) > 0 FROM %s", TABLES[i]);
            assert_answer(fixture->path, sql, deleted ? "0" : "1");
        }
        if (!deleted)
            MUST(store_delete_session(fixture->store, session.id, &error));
    }
}

/* ---- main ---- */

static int suite_sqlite(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_change_is_synced_but_claims_and_progress),
        STORE_TEST(people_are_synced_but_uses_and_the_audit),
        STORE_TEST(readers_do_not_wait_for_a_writer),
        STORE_TEST(a_deleted_session_leaves_no_rows),
    };

    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

int main(int argc, char **argv)
{
    const char *parent = getenv("TMPDIR");
    struct fixture fixture = {.backend = &sqlite_backend};

    if (argc == 3 && strcmp(argv[1], "--history") == 0)
        return sqlite_write_history(argv[2]);
    snprintf(folder, sizeof folder, "%.80s/test_store.XXXXXX", parent == NULL ? "/tmp" : parent);
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    int failed = store_suite_run(&sqlite_backend) + suite_sqlite(&fixture) + suite_sqlite_files(&fixture) +
                 suite_sqlite_people(&fixture);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return failed == 0 ? 0 : 1;
}
