/*
 * Files: what is refused stays as it is; migrations.
 *
 * schemas/NNNN.sql is a store as the release with migration NNNN left it. `test_store --history FILE` writes
 * the store that history_read() knows; `sqlite3 FILE .dump` with the two pragmas at its end becomes the next
 * one.
 */
#include "db/migrations.h"
#include "tests/contract/sqlite_store.h"

#include <glob.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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
        sqlite_ask(fixture->path, NEWER[i], answer);
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
        sqlite_backend.path(path);
        sqlite_ask(path, OTHERS[i], answer);
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
        {"hello, world\n", 13},
        {ZEROS, sizeof ZEROS},
        {ZEROS, 100},
        {"SQLite format 3", 16},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(FILES); i++) {
        char path[PLACE_SIZE];
        sqlite_backend.path(path);
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
    sqlite_backend.path(path);
    snprintf(below, sizeof below, "%s/a.db", path);
    MUST_FAIL(ERROR_STORE_FAILED, store_open(below, &store, &error));
    assert_non_null(strstr(error.message, below));
    assert_int_equal(mkdir(path, 0700), 0);
    MUST_FAIL(ERROR_STORE_FAILED, store_open(path, &store, &error));
    assert_non_null(strstr(error.message, path));
}

static void an_empty_file_becomes_a_store(void **state)
{
    struct fixture fixture = {.backend = &sqlite_backend};
    struct session session;

    (void)state;
    sqlite_backend.path(fixture.path);
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
    sqlite_backend.path(path);
    assert_string_equal(sqlite_ask(path, "PRAGMA application_id = 0x706b7463; CREATE TABLE run (x)", answer),
                        "");
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

static const char TWICE_RUN[] = "00000000-0000-4000-8000-000000000001",
                  BROKEN[] = "00000000-0000-4000-8000-000000000002",
                  AT_WORK[] = "00000000-0000-4000-8000-000000000003",
                  WAITING[] = "00000000-0000-4000-8000-000000000004";

static void history_insert(struct fixture *fixture, const char *id, void (*make)(struct session *))
{
    struct session session;
    struct error error;

    make(&session);
    strcpy(session.id, id);
    MUST(store_insert_session(fixture->store, &session, NULL, &error));
}

/* ---- people, since migration 0003 ---- */

static const uint8_t TOKEN_HASH[SECRET_HASH_SIZE] = {0, 1}, LOGIN_HASH[SECRET_HASH_SIZE] = {0, 2};

static void people_make(struct fixture *fixture)
{
    const struct role role = {.name = "lab",
                              .kind = ROLE_OPERATOR,
                              .policy = {.points = "lab-*\nVIF veth?", .max_stored_mb = 7, .stream = true}};
    const struct user user = {
        .name = "alice", .role = "lab", .groups = "net\nops", .password_hash = "$", .created_ms = T0};
    struct token token = {.id = "00000000-0000-4000-8000-000000000009", .user = "alice", .name = "ci"};
    struct login login = {.user = "alice", .generation = 7, .created_ms = T0, .used_ms = T0};
    const struct audit_record record = {
        .time_ms = T0, .user = "alice", .way = WAY_TOKEN, .operation = "create", .status = 200};
    struct error error;

    memcpy(token.hash, TOKEN_HASH, sizeof TOKEN_HASH);
    memcpy(login.hash, LOGIN_HASH, sizeof LOGIN_HASH);
    MUST(store_put_role(fixture->store, &role, &error));
    MUST(store_insert_user(fixture->store, &user, &error));
    MUST(store_insert_token(fixture->store, &token, &error));
    MUST(store_insert_login(fixture->store, &login, 10, 0, &error));
    MUST(store_append_audit(fixture->store, &record, &error));
    MUST(store_transfer_session(fixture->store, WAITING, "carol", "x", T0, &error));
    MUST(store_transfer_session(fixture->store, BROKEN, "", "x", T0, &error));
}

static void record_read(void *context, const struct audit_record *record)
{
    assert_string_equal(record->operation, "create");
    assert_int_equal(record->way, WAY_TOKEN);
    ++*(int *)context;
}

static void people_read(struct fixture *fixture)
{
    struct token token;
    struct login login;
    struct user user;
    struct role role;
    struct session session;
    struct error error;
    int64_t total, last;
    int records = 0;
    bool found;

    MUST(store_find_token(fixture->store, TOKEN_HASH, &found, &token, &user, &role, &error));
    assert_true(found);
    assert_string_equal(token.name, "ci");
    assert_string_equal(user.groups, "net\nops");
    assert_int_equal(role.policy.max_stored_mb, 7);
    assert_string_equal(role.policy.points, "lab-*\nVIF veth?");
    MUST(store_find_login(fixture->store, LOGIN_HASH, &found, &login, &user, &role, &error));
    assert_true(found && login.generation == 7);
    MUST(store_list_audit(fixture->store, &(struct audit_query){.page_size = 5}, record_read, &records,
                          &total, &last, &error));
    assert_int_equal(records, 1);
    session_get(fixture, WAITING, 0, &session);
    assert_string_equal(session.owner, "carol");
    session_get(fixture, BROKEN, 0, &session);
    assert_string_equal(session.owner, "");
    session_get(fixture, AT_WORK, 0, &session);
    assert_int_equal(session.share_count, 2);
    assert_string_equal(session.point, "blue/veth0");
}

static void history_make(struct fixture *fixture)
{
    struct session session;
    struct error error;

    history_insert(fixture, TWICE_RUN, session_make_full);
    struct run_report report = claim_next(fixture, WORKER_A, T0, &session);
    run_start(fixture, &report);
    report.run.counters = (struct counters){.packets_captured = 1,
                                            .packets_dropped = 2,
                                            .packets_dropped_interface = 3,
                                            .packets_skipped = 4,
                                            .bytes_captured = 5,
                                            .file_size = 6};
    run_end(fixture, &report, STATE_FINISHED);
    MUST(session_restart(fixture->store, TWICE_RUN, "bob", T0 + 9, &error));
    MUST(store_request_stop(fixture->store, TWICE_RUN, "bob", T0 + 10, &error));
    history_insert(fixture, BROKEN, session_make);
    report = claim_next(fixture, WORKER_A, T0, &session);
    strcpy(report.run.errormsg, "it's broken");
    run_end(fixture, &report, STATE_ERROR);
    history_insert(fixture, AT_WORK, session_make_full);
    report = claim_next(fixture, WORKER_A, T0, &session);
    struct run_file ring[] = {{7, "captures/a/run-1.000007.pcap", 1000, 20, 300},
                              {8, "captures/a/run-1.000008.pcap", 24, 0, 0}};
    report.files = ring, report.file_count = COUNT(ring);
    run_start(fixture, &report);
    history_insert(fixture, WAITING, session_make);
    people_make(fixture);
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
    MUST(session_restart(fixture->store, BROKEN, "bob", T0, &error));
    MUST(store_delete_session(fixture->store, TWICE_RUN, &error));
    claim_next(fixture, WORKER_B, T0, &session);
    assert_string_equal(session.id, BROKEN);
    assert_int_equal(session.run.number, 2);
}

static void the_history_is_what_the_test_knows(void **state)
{
    history_make(*state);
    history_read(*state);
    people_read(*state);
    history_work(*state);
}

/* What there was before people: whoever made a session owns it. */
static void assert_makers_own(const char *path)
{
    assert_answer(path, "SELECT count(*) FROM session WHERE owner IS NOT create_user", "0");
    assert_answer(path, "SELECT count(*) > 0 FROM stored WHERE bytes > 0", "1");
    assert_answer(
        path,
        "SELECT group_concat(name || ' ' || kind || ' ' || built_in) FROM (SELECT * FROM role ORDER BY name)",
        "admin admin 1,auditor auditor 1,operator operator 1");
}

static void assert_sums(const char *path)
{
    static const char PLAIN[] = "SELECT s.owner, count(DISTINCT s.key), sum(r.file_size) FROM session s"
                                " JOIN run r ON r.session = s.key WHERE s.owner IS NOT NULL GROUP BY s.owner",
                      STORED[] = "SELECT owner, sessions, bytes FROM stored WHERE sessions > 0";
    char sql[1024];

    snprintf(sql, sizeof sql, "SELECT count(*) FROM (%s EXCEPT %s)", PLAIN, STORED);
    assert_answer(path, sql, "0");
    snprintf(sql, sizeof sql, "SELECT count(*) FROM (%s EXCEPT %s)", STORED, PLAIN);
    assert_answer(path, sql, "0");
}

static void assert_migrates(struct fixture *fixture, const char *schema, const char *shape)
{
    struct bytes sql = file_read(schema);
    char answer[PLACE_SIZE], name[16];

    sqlite_backend.path(fixture->path);
    assert_string_equal(sqlite_ask(fixture->path, sql.data, answer), "");
    free(sql.data);
    snprintf(name, sizeof name, "%04d.sql", atoi(sqlite_ask(fixture->path, "PRAGMA user_version", answer)));
    assert_string_equal(strrchr(schema, '/') + 1, name);
    fixture_open(fixture);
    char *migrated = shape_read(fixture->path);
    if (strcmp(migrated, shape) != 0)
        fail_msg("%s becomes another schema than a new store: a released migration was changed", schema);
    free(migrated);
    history_read(fixture);
    if (atoi(name) >= 3)
        people_read(fixture);
    else
        assert_makers_own(fixture->path);
    assert_sums(fixture->path);
    history_work(fixture);
    fixture_close(fixture);
    assert_sums(fixture->path);
    assert_true(sqlite_backend.is_sound(fixture->path));
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

int sqlite_write_history(const char *path)
{
    struct fixture fixture = {.backend = &sqlite_backend};

    snprintf(fixture.path, sizeof fixture.path, "%s", path);
    fixture_open(&fixture);
    history_make(&fixture);
    fixture_close(&fixture);
    return 0;
}

int suite_sqlite_files(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(a_newer_store_is_refused),
        cmocka_unit_test(a_database_of_others_is_refused),
        cmocka_unit_test(what_is_no_database_is_refused),
        cmocka_unit_test(a_place_that_cannot_be_is_refused),
        cmocka_unit_test(an_empty_file_becomes_a_store),
        cmocka_unit_test(a_failed_migration_leaves_nothing),
        STORE_TEST(the_history_is_what_the_test_knows),
        STORE_TEST(every_released_schema_is_migrated),
    };

    return cmocka_run_group_tests_name("sqlite files", tests, NULL, NULL);
}
