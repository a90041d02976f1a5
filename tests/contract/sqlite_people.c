/*
 * The audit cannot be changed even with SQL; and what is asked for at every call, or for every page, is found
 * by an index. To know the statements, the test listens to what the connection runs, and has each explained.
 */
#include "db/sqlite.h"
#include "tests/contract/sqlite_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- the audit ---- */

static void the_audit_cannot_be_changed(void **state)
{
    static const char *const ATTEMPTS[] = {
        "UPDATE audit SET user = 'mallory'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE key = 1",
        "UPDATE audit SET key = 7 WHERE key = 1",
        "REPLACE INTO audit (key, time_ms, way, operation, status) VALUES (1, 1, 'basic', 'create', 200)",
    };
    struct fixture *fixture = *state;
    const struct audit_record record = {
        .time_ms = T0, .user = "alice", .way = WAY_BASIC, .operation = "create", .status = 200};
    struct error error;

    MUST(store_append_audit(fixture->store, &record, &error));
    for (size_t i = 0; i < COUNT(ATTEMPTS); i++) {
        char answer[PLACE_SIZE], sql[PLACE_SIZE];
        snprintf(sql, sizeof sql, "PRAGMA recursive_triggers = ON; %s", ATTEMPTS[i]);
        assert_string_equal(sqlite_ask(fixture->path, sql, answer), "failed: the audit is append-only");
    }
    assert_answer(fixture->path, "SELECT group_concat(key || user) FROM audit", "1alice");
}

/* ---- how rows are searched for ---- */

enum { STATEMENTS_MAX = 200 };

struct statements {
    char *texts[STATEMENTS_MAX];
    size_t count;
};

static int statement_heard(unsigned kind, void *context, void *statement, void *text)
{
    struct statements *heard = context;

    (void)kind;
    if (strncmp(text, "--", 2) == 0 || heard->count == STATEMENTS_MAX) /* a trigger's */
        return 0;
    char *expanded = sqlite3_expanded_sql(statement);
    heard->texts[heard->count++] = strdup(expanded);
    sqlite3_free(expanded);
    return 0;
}

static void statements_free(struct statements *heard)
{
    while (heard->count > 0)
        free(heard->texts[--heard->count]);
}

/* A walk over a table that grows, or over all of an index of one. What has not ended is little, and has an
 * index of its own. */
static bool is_full_scan(const char *step)
{
    static const char *const GROW[] = {"session", "s", "run",  "r", "audit", "a",        "token", "t",
                                       "login",   "l", "user", "u", "share", "creation", "stored"};
    char name[32] = "";

    if (sscanf(step, "SCAN %31s", name) != 1 || strstr(step, "run_unfinished") != NULL)
        return false;
    for (size_t i = 0; i < COUNT(GROW); i++)
        if (strcmp(name, GROW[i]) == 0)
            return true;
    return false;
}

static void check_plan(sqlite3 *db, const char *text)
{
    char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", text);
    sqlite3_stmt *plan;

    assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &plan, NULL), SQLITE_OK);
    while (sqlite3_step(plan) == SQLITE_ROW) {
        const char *step = (const char *)sqlite3_column_text(plan, 3);
        if (is_full_scan(step))
            fail_msg("%s: %s", step, text);
    }
    sqlite3_finalize(plan);
    sqlite3_free(explain);
}

static bool is_explained(const char *text)
{
    static const char *const VERBS[] = {"SELECT", "INSERT", "UPDATE", "DELETE"};

    for (size_t i = 0; i < COUNT(VERBS); i++)
        if (strncmp(text, VERBS[i], strlen(VERBS[i])) == 0)
            return true;
    return false;
}

/* Explains what `work` has the connection run, which is at least so many statements. */
static void assert_no_full_scan(struct fixture *fixture, void (*work)(struct fixture *), size_t least)
{
    struct statements heard = {.count = 0};
    sqlite3 *db = fixture->store->db;
    size_t explained = 0;

    sqlite3_trace_v2(db, SQLITE_TRACE_STMT, statement_heard, &heard);
    work(fixture);
    sqlite3_trace_v2(db, 0, NULL, NULL);
    assert_in_range(heard.count, 1, STATEMENTS_MAX - 1);
    for (size_t i = 0; i < heard.count; i++)
        if (is_explained(heard.texts[i])) {
            check_plan(db, heard.texts[i]);
            explained++;
        }
    statements_free(&heard);
    assert_true(explained >= least);
}

static void ignore_session(void *context, const struct session *session)
{
    (void)context, (void)session;
}

static void ignore_record(void *context, const struct audit_record *record)
{
    (void)context, (void)record;
}

/* What every call does before it is let in, and to see whose a session is. */
static void come_in(struct fixture *fixture)
{
    const uint8_t hash[SECRET_HASH_SIZE] = {1};
    struct session_access access;
    struct session session;
    struct token token = {.id = "1"};
    struct login login = {.hash = {1}};
    struct user user;
    struct role role;
    struct usage usage;
    struct error error;
    bool found;

    MUST(store_find_token(fixture->store, hash, &found, &token, &user, &role, &error));
    MUST(store_find_login(fixture->store, hash, &found, &login, &user, &role, &error));
    MUST_FAIL(ERROR_NO_SUCH_USER, store_get_user_role(fixture->store, "alice", &user, &role, &error));
    MUST(store_touch_token(fixture->store, &token, T0, &error));
    MUST(store_touch_login(fixture->store, &login, T0, &error));
    session_insert(fixture, &session);
    MUST(store_get_access(fixture->store, session.id, "bob", "lab\nops", &access, &error));
    MUST(store_get_usage(fixture->store, "alice", T0, &usage, &error));
}

/* In the order of acceptance, which a list without a wish has: both ways, the first page and a later one. */
static void list_sessions(struct fixture *fixture)
{
    static const struct list_query QUERIES[] = {
        {.owner = "alice"},
        {.owner = "alice", .ended_only = true},
        {.reader = "alice", .groups = "lab\nops"},
        {.reader = "alice", .groups = ""},
    };
    struct list_page page;
    struct error error;

    for (size_t i = 0; i < 4 * COUNT(QUERIES); i++) {
        struct list_query query = QUERIES[i / 4];
        query.page_size = 50;
        query.descending = i % 2 != 0;
        query.has_after = i % 4 > 1;
        query.after_key = 1000;
        MUST(store_list_sessions(fixture->store, &query, ignore_session, NULL, &page, &error));
    }
}

/* The audit of all people at all times is walked along its keys: that is no scan to be afraid of, but its
 * count is. */
static void list_audit(struct fixture *fixture)
{
    static const struct audit_query QUERIES[] = {
        {.user = "alice"},
        {.operation = "create"},
        {.session = "x"},
        {.address = "::1"},
        {.since_ms = T0},
        {.until_ms = T0},
        {.user = "alice", .operation = "create", .since_ms = T0, .until_ms = T0 + 5},
        {.session = "x", .address = "::1", .until_ms = T0},
        {0},
    };
    const struct audit_record record = {.time_ms = T0, .way = WAY_BASIC, .operation = "create"};
    int64_t total, last;
    struct error error;

    MUST(store_append_audit(fixture->store, &record, &error));
    for (size_t i = 0; i < 2 * COUNT(QUERIES); i++) {
        struct audit_query query = QUERIES[i / 2];
        query.page_size = 50;
        query.before_key = i % 2 == 0 ? 0 : 1000;
        MUST(store_list_audit(fixture->store, &query, ignore_record, NULL, &total, &last, &error));
    }
}

/* What a worker says twice a second of each capture. */
static void work(struct fixture *fixture)
{
    struct session session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    report.run.counters.file_size = 1000;
    MUST(store_report_progress(fixture->store, &report, 1, T0 + LEASE_MS, &error));
    MUST(store_check_stops(fixture->store, &report, 1, &error));
    run_end(fixture, &report, STATE_FINISHED);
}

static void nothing_is_looked_for_in_full(void **state)
{
    struct fixture *fixture = *state;

    assert_no_full_scan(fixture, work, 10);
    assert_no_full_scan(fixture, come_in, 8);
    assert_no_full_scan(fixture, list_sessions, 32);
    assert_no_full_scan(fixture, list_audit, 36);
}

/* The test would see one. */
static void list_by_end(struct fixture *fixture)
{
    struct list_page page;
    struct error error;

    MUST(store_list_sessions(fixture->store, &(struct list_query){.page_size = 5, .sort_by = "endtime"},
                             ignore_session, NULL, &page, &error));
}

static void full_scans_are_seen(void **state)
{
    struct fixture *fixture = *state;
    struct statements heard = {.count = 0};
    int scans = 0;

    sqlite3_trace_v2(fixture->store->db, SQLITE_TRACE_STMT, statement_heard, &heard);
    list_by_end(fixture);
    sqlite3_trace_v2(fixture->store->db, 0, NULL, NULL);
    for (size_t i = 0; i < heard.count; i++) {
        char *explain = sqlite3_mprintf("EXPLAIN QUERY PLAN %s", heard.texts[i]);
        sqlite3_stmt *plan = NULL;
        if (is_explained(heard.texts[i]) &&
            sqlite3_prepare_v2(fixture->store->db, explain, -1, &plan, NULL) == SQLITE_OK)
            while (sqlite3_step(plan) == SQLITE_ROW)
                scans += is_full_scan((const char *)sqlite3_column_text(plan, 3));
        sqlite3_finalize(plan);
        sqlite3_free(explain);
    }
    statements_free(&heard);
    assert_true(scans > 0);
}

int suite_sqlite_people(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(the_audit_cannot_be_changed),
        STORE_TEST(nothing_is_looked_for_in_full),
        STORE_TEST(full_scans_are_seen),
    };

    return cmocka_run_group_tests_name("sqlite people", tests, NULL, NULL);
}
