/* The list: every order, page by page; a cursor visits everything once, also while sessions come and go. */
#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { MOST = 64 };

/* What the test knows of a session: enough to say where it belongs. */
struct entry {
    char id[UUID_SIZE];
    char name[32];
    enum session_state state;
    int64_t ended_ms, file_size;
    size_t accepted; /* the order of insertion */
};

struct entries {
    struct entry items[MOST];
    size_t count;
};

static void entry_visit(void *context, const struct session *session)
{
    struct entries *entries = context;

    if (entries->count == MOST)
        return;
    struct entry *entry = &entries->items[entries->count++];
    memset(entry, 0, sizeof *entry);
    strcpy(entry->id, session->id);
    snprintf(entry->name, sizeof entry->name, "%.31s", session->request.name);
    entry->state = session->run.state;
    entry->ended_ms = session->run.ended_ms;
    entry->file_size = session->run.counters.file_size;
}

static struct list_page page_read(struct fixture *fixture, const struct list_query *query,
                                  struct entries *entries)
{
    struct list_page page;
    struct error error;

    memset(&page, 0x5a, sizeof page);
    MUST(store_list_sessions(fixture->store, query, entry_visit, entries, &page, &error));
    return page;
}

static void query_continue(struct list_query *query, const struct list_page *page)
{
    query->has_after = true;
    strcpy(query->after_value, page->last_value);
    query->after_key = page->last_key;
}

/* Reads all pages; each but the last is full, and each tells the same total. */
static void pages_read(struct fixture *fixture, struct list_query query, size_t total, struct entries *all)
{
    struct list_page page;
    size_t read = 0;

    all->count = 0;
    do {
        page = page_read(fixture, &query, all);
        assert_int_equal(page.total, total);
        assert_in_range(all->count - read, page.has_more ? query.page_size : 0, query.page_size);
        read = all->count;
        query_continue(&query, &page);
        assert_in_range(read, 0, total);
    } while (page.has_more);
}

/* ---- what the order ought to be ---- */

static int compare(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int by_acceptance(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;

    return compare((int64_t)left->accepted, (int64_t)right->accepted);
}

static int by_end(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = compare(left->ended_ms, right->ended_ms);

    return order != 0 ? order : by_acceptance(a, b);
}

/* A session without a name goes by its id. */
static int by_name(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = strcmp(left->name[0] == '\0' ? left->id : left->name,
                       right->name[0] == '\0' ? right->id : right->name);

    return order != 0 ? order : by_acceptance(a, b);
}

static int by_state(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = strcmp(names_of(&session_state_names, (int)left->state),
                       names_of(&session_state_names, (int)right->state));

    return order != 0 ? order : by_acceptance(a, b);
}

static int by_size(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int order = compare(left->file_size, right->file_size);

    return order != 0 ? order : by_acceptance(a, b);
}

static const struct {
    const char *sort_by;
    int (*compare)(const void *, const void *);
} ORDERS[] = {
    {NULL, by_acceptance},    {"starttime", by_acceptance}, {"endtime", by_end},
    {"sessionname", by_name}, {"sessionstatus", by_state},  {"filesize", by_size},
};

/* ---- the sessions ---- */

/* Names, ends and sizes tie, numbers have different lengths, and text order is not acceptance order. */
static const struct {
    const char *name;
    enum session_state state;
    int64_t ended_ms, file_size;
} SESSIONS[] = {
    {"web", STATE_FINISHED, 900, 24},   {"", STATE_CREATED, 0, 0},       {"db", STATE_STARTED, 0, 1000},
    {"web", STATE_STOPPED, 900, 1000},  {"", STATE_ERROR, 10000, 0},     {"Web", STATE_FINISHED, 10000, 999},
    {"10", STATE_STARTED, 0, 24},       {"9", STATE_FINISHED, 900, 24},  {"web", STATE_CREATED, 0, 0},
    {"ähre", STATE_STOPPED, 99999, 24}, {"", STATE_FINISHED, 5, 99999},  {"it's; --", STATE_ERROR, 5, 99999},
    {"db", STATE_STARTED, 0, 5},        {"", STATE_STOPPED, 10000, 5},   {"web", STATE_FINISHED, 900, 24},
    {"0", STATE_ERROR, 1, 1},           {"db", STATE_FINISHED, 5, 1000},
};

static void run_advance(struct fixture *fixture, struct run_report *report, size_t i)
{
    struct error error;

    report->run.counters.file_size = SESSIONS[i].file_size;
    run_start(fixture, report);
    if (!session_state_has_ended(SESSIONS[i].state))
        return;
    report->run.state = SESSIONS[i].state;
    report->run.ended_ms = SESSIONS[i].ended_ms;
    report->run.stop_reason = STOP_DURATION;
    MUST(store_finish_run(fixture->store, report, &error));
    assert_false(report->lost);
}

static void sessions_make(struct fixture *fixture, struct entries *expected)
{
    expected->count = 0;
    for (size_t i = 0; i < COUNT(SESSIONS); i++) {
        struct session session;
        struct error error;

        session_make(&session);
        strcpy(session.request.name, SESSIONS[i].name);
        MUST(store_insert_session(fixture->store, &session, 0, NULL, &error));
        struct run_report report = claim_next(fixture, WORKER_A, T0, &session);
        if (SESSIONS[i].state != STATE_CREATED)
            run_advance(fixture, &report, i);
        session_get(fixture, session.id, 0, &session);
        entry_visit(expected, &session);
        expected->items[i].accepted = i;
    }
}

/* The entries in an order; ended_only leaves out the others. Descending is the exact reverse. */
static void entries_arrange(struct entries *entries, int (*compare_entries)(const void *, const void *),
                            const struct list_query *query)
{
    size_t kept = 0;

    for (size_t i = 0; i < entries->count; i++)
        if (!query->ended_only || session_state_has_ended(entries->items[i].state))
            entries->items[kept++] = entries->items[i];
    entries->count = kept;
    qsort(entries->items, kept, sizeof entries->items[0], compare_entries);
    for (size_t i = 0; query->descending && i < kept / 2; i++) {
        struct entry swap = entries->items[i];
        entries->items[i] = entries->items[kept - 1 - i];
        entries->items[kept - 1 - i] = swap;
    }
}

static void assert_same_order(const struct entries *got, const struct entries *expected,
                              const struct list_query *query)
{
    assert_int_equal(got->count, expected->count);
    for (size_t i = 0; i < got->count; i++)
        if (strcmp(got->items[i].id, expected->items[i].id) != 0)
            fail_msg("by %s%s%s in pages of %d: place %zu is wrong",
                     query->sort_by == NULL ? "default" : query->sort_by,
                     query->descending ? ", descending" : "", query->ended_only ? ", ended" : "",
                     query->page_size, i);
}

static void check_order(struct fixture *fixture, const struct entries *all, size_t order, bool descending,
                        bool ended_only)
{
    static const int32_t PAGE_SIZES[] = {1, 4, COUNT(SESSIONS) - 1, COUNT(SESSIONS), 1000};
    struct entries expected = *all, got;

    for (size_t i = 0; i < COUNT(PAGE_SIZES); i++) {
        struct list_query query = {.sort_by = ORDERS[order].sort_by,
                                   .descending = descending,
                                   .ended_only = ended_only,
                                   .page_size = PAGE_SIZES[i]};
        entries_arrange(&expected, ORDERS[order].compare, &query);
        pages_read(fixture, query, expected.count, &got);
        assert_same_order(&got, &expected, &query);
        expected = *all;
    }
}

static void every_order_visits_everything_once(void **state)
{
    struct entries all;

    sessions_make(*state, &all);
    for (size_t order = 0; order < COUNT(ORDERS); order++)
        for (int bits = 0; bits < 4; bits++)
            check_order(*state, &all, order, (bits & 1) != 0, (bits & 2) != 0);
}

static void the_test_knows_every_sort_name(void **state)
{
    (void)state;
    assert_int_equal(store_sort_names.count, COUNT(ORDERS) - 1);
    for (size_t i = 1; i < COUNT(ORDERS); i++)
        assert_true(names_find(&store_sort_names, ORDERS[i].sort_by) >= 0);
}

static void an_empty_store_has_one_empty_page(void **state)
{
    for (int ended_only = 0; ended_only < 2; ended_only++) {
        struct entries got;
        pages_read(*state, (struct list_query){.page_size = 10, .ended_only = ended_only != 0}, 0, &got);
        assert_int_equal(got.count, 0);
    }
}

static void copy_visit(void *context, const struct session *session)
{
    memcpy(context, session, sizeof *session);
}

static void a_listed_session_is_whole(void **state)
{
    struct fixture *fixture = *state;
    const struct list_query query = {.page_size = 10};
    struct session session, got;
    struct list_page page;
    struct error error;

    session_make_full(&session);
    MUST(store_insert_session(fixture->store, &session, 0, NULL, &error));
    MUST(store_list_sessions(fixture->store, &query, copy_visit, &got, &page, &error));
    assert_memory_equal(&got, &session, sizeof got);
}

static void the_newest_run_is_listed(void **state)
{
    struct fixture *fixture = *state;
    struct session session, got;
    struct list_page page;
    struct error error;

    session_reach(fixture, STATE_FINISHED, &session);
    MUST(session_restart(fixture->store, session.id, "bob", T0, &error));
    MUST(store_list_sessions(fixture->store, &(struct list_query){.page_size = 2}, copy_visit, &got, &page,
                             &error));
    assert_int_equal(page.total, 1);
    assert_int_equal(got.run.number, 2);
    MUST(store_list_sessions(fixture->store, &(struct list_query){.page_size = 2, .ended_only = true},
                             copy_visit, &got, &page, &error));
    assert_int_equal(page.total, 0);
}

static void the_longest_name_is_a_cursor(void **state)
{
    struct fixture *fixture = *state;
    struct entries got;

    for (int i = 0; i < 3; i++) {
        struct session session;
        struct error error;

        session_make(&session);
        for (size_t used = 0; used + 4 < sizeof session.request.name; used += 4)
            memcpy(session.request.name + used, "𝄞", 5);
        MUST(store_insert_session(fixture->store, &session, 0, NULL, &error));
    }
    pages_read(fixture, (struct list_query){.page_size = 1, .sort_by = "sessionname"}, 3, &got);
    assert_int_equal(got.count, 3);
}

/* ---- while others write ---- */

static void delete_stopped(struct fixture *fixture, const char *id)
{
    struct error error;

    MUST(store_request_stop(fixture->store, id, NULL, "bob", T0, &error));
    MUST(store_delete_session(fixture->store, id, NULL, &error));
}

static void a_cursor_survives_the_deletion_of_its_session(void **state)
{
    struct fixture *fixture = *state;
    struct session sessions[3];
    struct list_query query = {.page_size = 1};
    struct entries got = {.count = 0};

    for (size_t i = 0; i < COUNT(sessions); i++)
        session_insert(fixture, &sessions[i]);
    struct list_page page = page_read(fixture, &query, &got);
    delete_stopped(fixture, sessions[0].id);
    query_continue(&query, &page);
    page_read(fixture, &query, &got);
    assert_int_equal(got.count, 2);
    assert_string_equal(got.items[1].id, sessions[1].id);
}

/* A place in the order of acceptance is never given twice: what came after the cursor's session is seen. */
static void a_cursor_sees_what_came_after_a_deletion(void **state)
{
    struct fixture *fixture = *state;
    struct session last, later;
    struct list_query query = {.page_size = 1};
    struct entries got = {.count = 0};

    session_insert(fixture, &last);
    struct list_page page = page_read(fixture, &query, &got);
    delete_stopped(fixture, last.id);
    session_insert(fixture, &later);
    query_continue(&query, &page);
    page_read(fixture, &query, &got);
    assert_int_equal(got.count, 2);
    assert_string_equal(got.items[1].id, later.id);
}

int suite_list(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_order_visits_everything_once),
        STORE_TEST(the_test_knows_every_sort_name),
        STORE_TEST(an_empty_store_has_one_empty_page),
        STORE_TEST(a_listed_session_is_whole),
        STORE_TEST(the_newest_run_is_listed),
        STORE_TEST(the_longest_name_is_a_cursor),
        STORE_TEST(a_cursor_survives_the_deletion_of_its_session),
        STORE_TEST(a_cursor_sees_what_came_after_a_deletion),
    };

    return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
