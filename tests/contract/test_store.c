/*
 * The contract suite on SQLite, and what is SQLite's own: syncing, what is refused, migrations.
 *
 * schemas/NNNN.sql is a store as the release with migration NNNN left it. `test_store --history FILE` writes the
 * store that history_check() knows; with `sqlite3 FILE .dump` and the two pragmas at its end it becomes the next one.
 */
#include "db/migrations.h"
#include "tests/contract/store_suite.h"

#include <ftw.h>
#include <glob.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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

/* Runs SQL on a file behind the store's back; the first column of the last row goes to answer. */
static int take_answer(void *answer, int columns, char **values, char **names)
{
    (void)names;
    if (columns > 0)
        snprintf(answer, PLACE_SIZE, "%s", values[0] == NULL ? "" : values[0]);
    return 0;
}

static const char *ask(const char *path, const char *sql, char answer[PLACE_SIZE])
{
    sqlite3 *db;
    char *message = NULL;

    answer[0] = '\0';
    if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, sql, take_answer, answer, &message) != SQLITE_OK)
        snprintf(answer, PLACE_SIZE, "failed: %s", message == NULL ? sqlite3_errmsg(db) : message);
    sqlite3_free(message);
    sqlite3_close(db);
    return answer;
}

static void assert_answer(const char *path, const char *sql, const char *expected)
{
    char answer[PLACE_SIZE];

    assert_string_equal(ask(path, sql, answer), expected);
}

static bool is_sound(const char *path)
{
    char integrity[PLACE_SIZE], orphans[PLACE_SIZE];

    ask(path, "PRAGMA integrity_check", integrity);
    ask(path, "SELECT count(*) FROM pragma_foreign_key_check", orphans);
    if (strcmp(integrity, "ok") == 0 && strcmp(orphans, "0") == 0)
        return true;
    print_error("%s: integrity: %s; rows without a parent: %s\n", path, integrity, orphans);
    return false;
}

static const struct store_backend sqlite = {"sqlite", store_open, store_close, new_path, is_sound};

/* ---- durability ---- */

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

/* Twice round: the setting that spares the reports must not spare what comes after them. */
static void every_change_is_synced_but_progress(void **state)
{
    struct fixture *fixture = *state;
    struct session session, claimed;
    struct error error;

    atomic_store(&syncs, 0);
    for (int round = 0; round < 2; round++) {
        session_insert(fixture, &session);
        assert_synced(true, "insert");
        struct run_report report = claim_next(fixture, WORKER_A, T0, &claimed);
        assert_synced(true, "claim");
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
        MUST(store_restart_session(fixture->store, session.id, "bob", T0, &error));
        assert_synced(true, "restart");
        MUST(store_request_stop(fixture->store, session.id, "bob", T0, &error));
        MUST(store_delete_session(fixture->store, session.id, &error));
        assert_synced(true, "delete");
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
    assert_int_equal(sqlite3_exec(writer, "BEGIN IMMEDIATE; DELETE FROM session", NULL, NULL, NULL), SQLITE_OK);
    session_get(fixture, session.id, 0, &session);
    MUST(store_check_stops(fixture->store, &report, 1, &error));
    assert_false(report.lost);
    sqlite3_close(writer);
}

static void a_deleted_session_leaves_no_rows(void **state)
{
    static const char *const TABLES[] = {"session", "session_option", "session_tag", "run"};
    struct fixture *fixture = *state;
    struct session session;
    struct error error;

    session_make_full(&session);
    MUST(store_insert_session(fixture->store, &session, &error));
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

/* ---- what is refused stays as it is ---- */

struct bytes {
    char *data;
    size_t size;
};

static struct bytes file_read(const char *path)
{
    struct bytes bytes = {0};
    struct stat status;
    FILE *file = fopen(path, "rb");

    assert_non_null(file);
    assert_int_equal(fstat(fileno(file), &status), 0);
    bytes.data = calloc(1, (size_t)status.st_size + 1);
    bytes.size = fread(bytes.data, 1, (size_t)status.st_size, file);
    assert_int_equal(bytes.size, status.st_size);
    fclose(file);
    return bytes;
}

static void file_write(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void assert_no_file(const char *path, const char *suffix)
{
    char name[PLACE_SIZE + 8];

    snprintf(name, sizeof name, "%s%s", path, suffix);
    assert_int_equal(access(name, F_OK), -1);
}

/* The words are what the message must hold. */
static void assert_refused(const char *path, const char *const *words, size_t count)
{
    struct bytes before = file_read(path);
    struct store *store = NULL;
    struct error error;

    MUST_FAIL(ERROR_STORE_FAILED, store_open(path, &store, &error));
    assert_null(store);
    for (size_t i = 0; i < count; i++)
        if (strstr(error.message, words[i]) == NULL)
            fail_msg("%s does not say %s", error.message, words[i]);
    struct bytes after = file_read(path);
    assert_int_equal(after.size, before.size);
    assert_memory_equal(after.data, before.data, before.size);
    free(before.data);
    free(after.data);
    assert_no_file(path, "-wal");
    assert_no_file(path, "-journal");
}

static void a_newer_store_is_refused(void **state)
{
    static const char *const NEWER[] = {"PRAGMA user_version = 4711",
                                        "PRAGMA journal_mode = DELETE; PRAGMA user_version = 4711"};
    struct fixture *fixture = *state;
    struct session session;

    for (size_t i = 0; i < COUNT(NEWER); i++) {
        char answer[PLACE_SIZE];
        session_insert(fixture, &session);
        fixture_close(fixture);
        ask(fixture->path, NEWER[i], answer);
        assert_refused(fixture->path, (const char *const[]){fixture->path, "newer", "4711"}, 3);
        fixture->backend->path(fixture->path);
        fixture_open(fixture);
    }
}

static void a_database_of_others_is_refused(void **state)
{
    static const char *const OTHERS[] = {
        "CREATE TABLE session (key INTEGER PRIMARY KEY)",
        "PRAGMA application_id = 1; CREATE TABLE t (x)",
        "PRAGMA application_id = 1",
        "PRAGMA user_version = 1",
        "PRAGMA journal_mode = WAL; CREATE TABLE t (x)",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(OTHERS); i++) {
        char path[PLACE_SIZE], answer[PLACE_SIZE];
        new_path(path);
        ask(path, OTHERS[i], answer);
        assert_refused(path, (const char *const[]){path, "not a database of pktcapd"}, 2);
    }
}

static void what_is_no_database_is_refused(void **state)
{
    static const char ZEROS[8192];
    static const struct {
        const char *data;
        size_t size;
    } FILES[] = {
        {"hello, world\n", 13}, {ZEROS, sizeof ZEROS}, {ZEROS, 100}, {"SQLite format 3", 16},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(FILES); i++) {
        char path[PLACE_SIZE];
        new_path(path);
        file_write(path, FILES[i].data, FILES[i].size);
        assert_refused(path, (const char *const[]){path}, 1);
    }
}

static void a_place_that_cannot_be_is_refused(void **state)
{
    char path[PLACE_SIZE], below[PLACE_SIZE + 8];
    struct store *store;
    struct error error;

    (void)state;
    new_path(path);
    snprintf(below, sizeof below, "%s/a.db", path);
    MUST_FAIL(ERROR_STORE_FAILED, store_open(below, &store, &error));
    assert_non_null(strstr(error.message, below));
    assert_int_equal(mkdir(path, 0700), 0);
    MUST_FAIL(ERROR_STORE_FAILED, store_open(path, &store, &error));
    assert_non_null(strstr(error.message, path));
}

static void an_empty_file_becomes_a_store(void **state)
{
    struct fixture fixture = {.backend = &sqlite};
    struct session session;

    (void)state;
    new_path(fixture.path);
    file_write(fixture.path, "", 0);
    fixture_open(&fixture);
    session_insert(&fixture, &session);
    fixture_close(&fixture);
}

/* ---- migrations ---- */

/* A table in the way of the last statement: what the migration did before must be undone. */
static void a_failed_migration_leaves_nothing(void **state)
{
    char path[PLACE_SIZE], answer[PLACE_SIZE];
    struct store *store = NULL;
    struct error error;

    (void)state;
    new_path(path);
    assert_string_equal(ask(path, "PRAGMA application_id = 0x706b7463; CREATE TABLE run (x)", answer), "");
    MUST_FAIL(ERROR_STORE_FAILED, store_open(path, &store, &error));
    assert_null(store);
    assert_non_null(strstr(error.message, migrations[0].name));
    assert_answer(path, "PRAGMA user_version", "0");
    assert_answer(path, "SELECT group_concat(sql) FROM sqlite_master", "CREATE TABLE run (x)");
    assert_answer(path, "DROP TABLE run", "");
    MUST(store_open(path, &store, &error));
    store_close(store);
}

static const char SHAPE[] = "SELECT count(*) || hex(group_concat(type || name || coalesce(sql, ''), ';'))"
                            " FROM (SELECT * FROM sqlite_master ORDER BY type, name)";

static char *shape_read(const char *path)
{
    sqlite3 *db;
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, SHAPE, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    char *shape = strdup((const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return shape;
}

static const char TWICE_RUN[] = "00000000-0000-4000-8000-000000000001", BROKEN[] = "00000000-0000-4000-8000-000000000002",
                  AT_WORK[] = "00000000-0000-4000-8000-000000000003", WAITING[] = "00000000-0000-4000-8000-000000000004";

static void history_insert(struct fixture *fixture, const char *id, void (*make)(struct session *))
{
    struct session session;
    struct error error;

    make(&session);
    strcpy(session.id, id);
    MUST(store_insert_session(fixture->store, &session, &error));
}

static void history_make(struct fixture *fixture)
{
    struct session session;
    struct error error;

    history_insert(fixture, TWICE_RUN, session_make_full);
    struct run_report report = claim_next(fixture, WORKER_A, T0, &session);
    run_start(fixture, &report);
    report.run.counters = (struct counters){1, 2, 3, 4, 5, 6};
    run_end(fixture, &report, STATE_FINISHED);
    MUST(store_restart_session(fixture->store, TWICE_RUN, "bob", T0 + 9, &error));
    MUST(store_request_stop(fixture->store, TWICE_RUN, "bob", T0 + 10, &error));
    history_insert(fixture, BROKEN, session_make);
    report = claim_next(fixture, WORKER_A, T0, &session);
    strcpy(report.run.errormsg, "it's broken");
    run_end(fixture, &report, STATE_ERROR);
    history_insert(fixture, AT_WORK, session_make_full);
    report = claim_next(fixture, WORKER_A, T0, &session);
    run_start(fixture, &report);
    history_insert(fixture, WAITING, session_make);
}

/* Fields are compared one by one: a later schema knows more of them than the stored one. */
static void history_read(struct fixture *fixture)
{
    struct session session, full;

    session_make_full(&full);
    session_get(fixture, TWICE_RUN, 0, &session);
    assert_int_equal(session.run.state, STATE_STOPPED);
    assert_string_equal(session.request.name, full.request.name);
    assert_string_equal(session.request.description, full.request.description);
    assert_int_equal(session.request.cappoint, full.request.cappoint);
    assert_int_equal(session.request.capduration, full.request.capduration);
    assert_int_equal(session.request.option_count, full.request.option_count);
    assert_string_equal(session.request.options[1].value, full.request.options[1].value);
    assert_int_equal(session.request.tag_count, full.request.tag_count);
    assert_string_equal(session.request.tags[1].tag, full.request.tags[1].tag);
    session_get(fixture, TWICE_RUN, 1, &session);
    assert_int_equal(session.run.state, STATE_FINISHED);
    assert_int_equal(session.run.counters.file_size, 6);
    session_get(fixture, BROKEN, 0, &session);
    assert_int_equal(session.run.state, STATE_ERROR);
    assert_int_equal(session.request.capamount, INT_ABSENT);
    assert_string_equal(session.run.errormsg, "it's broken");
}

static void history_work(struct fixture *fixture)
{
    static const char *const UNFINISHED[] = {AT_WORK, WAITING};
    struct session session;
    struct error error;

    for (size_t i = 0; i < COUNT(UNFINISHED); i++) {
        struct run_report report = claim_next(fixture, WORKER_B, T0 + LEASE_MS, &session);
        assert_string_equal(session.id, UNFINISHED[i]);
        if (!report.lease.resumed)
            run_start(fixture, &report);
        run_end(fixture, &report, STATE_FINISHED);
    }
    assert_true(claim_finds_nothing(fixture, WORKER_B, T0 + LEASE_MS));
    MUST(store_restart_session(fixture->store, BROKEN, "bob", T0, &error));
    MUST(store_delete_session(fixture->store, TWICE_RUN, &error));
    claim_next(fixture, WORKER_B, T0, &session);
    assert_string_equal(session.id, BROKEN);
    assert_int_equal(session.run.number, 2);
}

static void the_history_is_what_the_test_knows(void **state)
{
    history_make(*state);
    history_read(*state);
    history_work(*state);
}

static void assert_migrates(struct fixture *fixture, const char *schema, const char *shape)
{
    struct bytes sql = file_read(schema);
    char answer[PLACE_SIZE], name[16];

    new_path(fixture->path);
    assert_string_equal(ask(fixture->path, sql.data, answer), "");
    free(sql.data);
    snprintf(name, sizeof name, "%04d.sql", atoi(ask(fixture->path, "PRAGMA user_version", answer)));
    assert_string_equal(strrchr(schema, '/') + 1, name);
    fixture_open(fixture);
    char *migrated = shape_read(fixture->path);
    if (strcmp(migrated, shape) != 0)
        fail_msg("%s becomes another schema than a new store: a released migration was changed", schema);
    free(migrated);
    history_read(fixture);
    history_work(fixture);
    fixture_close(fixture);
    assert_true(is_sound(fixture->path));
}

static void every_released_schema_is_migrated(void **state)
{
    struct fixture *fixture = *state;
    glob_t schemas;
    char *shape = shape_read(fixture->path);

    fixture_close(fixture);
    assert_int_equal(glob(TESTS_DIR "/contract/schemas/*.sql", 0, NULL, &schemas), 0);
    for (size_t i = 0; i < schemas.gl_pathc; i++)
        assert_migrates(fixture, schemas.gl_pathv[i], shape);
    globfree(&schemas);
    free(shape);
}

/* ---- main ---- */

static int suite_sqlite(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_change_is_synced_but_progress),
        STORE_TEST(readers_do_not_wait_for_a_writer),
        STORE_TEST(a_deleted_session_leaves_no_rows),
        STORE_TEST(a_newer_store_is_refused),
        cmocka_unit_test(a_database_of_others_is_refused),
        cmocka_unit_test(what_is_no_database_is_refused),
        cmocka_unit_test(a_place_that_cannot_be_is_refused),
        cmocka_unit_test(an_empty_file_becomes_a_store),
        cmocka_unit_test(a_failed_migration_leaves_nothing),
        STORE_TEST(the_history_is_what_the_test_knows),
        STORE_TEST(every_released_schema_is_migrated),
    };

    return cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
}

static int write_history(const char *path)
{
    struct fixture fixture = {.backend = &sqlite};

    snprintf(fixture.path, sizeof fixture.path, "%s", path);
    fixture_open(&fixture);
    history_make(&fixture);
    fixture_close(&fixture);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(path);
}

int main(int argc, char **argv)
{
    const char *parent = getenv("TMPDIR");
    struct fixture fixture = {.backend = &sqlite};

    if (argc == 3 && strcmp(argv[1], "--history") == 0)
        return write_history(argv[2]);
    snprintf(folder, sizeof folder, "%.80s/test_store.XXXXXX", parent == NULL ? "/tmp" : parent);
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    int failed = store_suite_run(&sqlite) + suite_sqlite(&fixture);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return failed == 0 ? 0 : 1;
}
