/* The audit: what is appended comes back, newest first, page by page, by any filter. */
#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { RECORDS = 240 };

static struct audit_record record_made(int i)
{
    static const char *const USERS[] = {"alice", "bob", "", "carol"};
    static const char *const OPERATIONS[] = {"create", "delete", "login"};
    struct audit_record record;

    memset(&record, 0, sizeof record);
    record.time_ms = T0 + i / 2 - (i % 7 == 0 ? 3 : 0); /* clocks are not in step */
    record.way = i % 2 == 0 ? WAY_TOKEN : WAY_NONE;
    record.status = 200 + i;
    record.code = i % 5 == 0 ? ERROR_FORBIDDEN : 0;
    strcpy(record.user, USERS[i % 4]);
    strcpy(record.operation, OPERATIONS[i % 3]);
    snprintf(record.address, sizeof record.address, "2001:db8::%d", i % 11);
    if (i % 3 != 2)
        snprintf(record.session, sizeof record.session, "00000000-0000-4000-8000-%012d", i % 13);
    snprintf(record.object, sizeof record.object, "%s", i % 3 == 2 ? "объект" : "");
    snprintf(record.detail, sizeof record.detail, "detail %d", i);
    return record;
}

static void records_append(struct fixture *fixture)
{
    struct error error;

    for (int i = 0; i < RECORDS; i++) {
        struct audit_record record = record_made(i);
        MUST(store_append_audit(fixture->store, &record, &error));
    }
}

static bool is_or_any(const char *wanted, const char *value)
{
    return wanted == NULL || wanted[0] == '\0' || strcmp(wanted, value) == 0;
}

static bool matches(const struct audit_query *query, const struct audit_record *record)
{
    return is_or_any(query->user, record->user) && is_or_any(query->operation, record->operation) &&
           is_or_any(query->session, record->session) && is_or_any(query->address, record->address) &&
           (query->since_ms == 0 || record->time_ms >= query->since_ms) &&
           (query->until_ms == 0 || record->time_ms < query->until_ms);
}

struct seen {
    size_t count;
    struct audit_record records[RECORDS + 1];
};

static void record_seen(void *context, const struct audit_record *record)
{
    struct seen *seen = context;

    if (seen->count <= RECORDS)
        seen->records[seen->count++] = *record;
}

/* Reads all pages; each but the last is full, and each tells the same total. */
static void pages_read(struct fixture *fixture, struct audit_query query, struct seen *seen)
{
    struct error error;
    int64_t total, next;

    seen->count = 0;
    do {
        size_t before = seen->count;
        MUST(store_list_audit(fixture->store, &query, record_seen, seen, &total, &next, &error));
        if (next != 0)
            assert_int_equal(seen->count - before, query.page_size);
        query.before_key = next;
        assert_true((size_t)total >= seen->count);
    } while (next != 0);
    assert_int_equal(total, seen->count);
}

static void assert_lists(struct fixture *fixture, const struct audit_query *query)
{
    static struct seen seen;
    size_t at = 0;
    int64_t key = INT64_MAX;

    pages_read(fixture, *query, &seen);
    for (int i = RECORDS - 1; i >= 0; i--) {
        struct audit_record record = record_made(i);
        if (!matches(query, &record))
            continue;
        assert_true(at < seen.count);
        assert_true(seen.records[at].key < key);
        record.key = key = seen.records[at].key;
        assert_memory_equal(&seen.records[at++], &record, sizeof record);
    }
    assert_int_equal(at, seen.count);
}

static void every_filter_finds_what_it_should(void **state)
{
    static const struct audit_query QUERIES[] = {
        {.user = NULL},
        {.user = "", .operation = "", .session = "", .address = ""},
        {.user = "alice"},
        {.user = "nobody"},
        {.operation = "login"},
        {.session = "00000000-0000-4000-8000-000000000007"},
        {.address = "2001:db8::3"},
        {.since_ms = T0 + 20},
        {.until_ms = T0 + 20},
        {.since_ms = T0 + 20, .until_ms = T0 + 30},
        {.since_ms = T0 + 30, .until_ms = T0 + 20},
        {.user = "bob", .operation = "delete", .since_ms = T0 + 10},
        {.user = "bob", .address = "2001:db8::3", .until_ms = T0 + 100},
        {.session = "00000000-0000-4000-8000-000000000007", .user = "alice", .operation = "create"},
        {.operation = "login", .address = "2001:db8::10", .since_ms = T0 + 1, .until_ms = T0 + 1000},
    };
    static const int32_t SIZES[] = {1, 7, 1000};
    struct fixture *fixture = *state;

    records_append(fixture);
    for (size_t i = 0; i < COUNT(QUERIES); i++)
        for (size_t j = 0; j < COUNT(SIZES); j++) {
            struct audit_query query = QUERIES[i];
            query.page_size = SIZES[j];
            assert_lists(fixture, &query);
        }
}

static void an_empty_audit_has_no_pages(void **state)
{
    struct fixture *fixture = *state;
    static struct seen seen;

    pages_read(fixture, (struct audit_query){.page_size = 5}, &seen);
    assert_int_equal(seen.count, 0);
    pages_read(fixture, (struct audit_query){.page_size = 5, .user = "alice"}, &seen);
    assert_int_equal(seen.count, 0);
}

/* What is appended while somebody turns pages comes before the first one. */
static void pages_hold_still(void **state)
{
    struct fixture *fixture = *state;
    struct audit_query query = {.page_size = 100};
    struct audit_record record = record_made(0);
    static struct seen seen;
    struct error error;
    int64_t total, next = 0;

    records_append(fixture);
    seen.count = 0;
    for (int page = 0; page < 3; page++) {
        query.before_key = next;
        MUST(store_list_audit(fixture->store, &query, record_seen, &seen, &total, &next, &error));
        MUST(store_append_audit(fixture->store, &record, &error));
    }
    assert_int_equal(next, 0);
    assert_int_equal(seen.count, RECORDS);
    assert_int_equal(total, RECORDS + 2);
    for (int i = 0; i < RECORDS; i++)
        assert_int_equal(seen.records[i].status, 200 + RECORDS - 1 - i);
}

static void the_longest_strings_of_a_record_come_back(void **state)
{
    struct fixture *fixture = *state;
    struct audit_record record = record_made(1);
    static struct seen seen;
    struct error error;

    memset(record.user, 'u', sizeof record.user - 1);
    memset(record.address, 'a', sizeof record.address - 1);
    memset(record.operation, 'o', sizeof record.operation - 1);
    memset(record.session, 's', sizeof record.session - 1);
    memset(record.object, 'b', sizeof record.object - 1);
    memset(record.detail, 'd', sizeof record.detail - 1);
    record.way = WAY_CONSOLE;
    MUST(store_append_audit(fixture->store, &record, &error));
    pages_read(fixture, (struct audit_query){.page_size = 5}, &seen);
    assert_int_equal(seen.count, 1);
    record.key = seen.records[0].key;
    assert_memory_equal(&seen.records[0], &record, sizeof record);
}

int suite_audit(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(every_filter_finds_what_it_should),
        STORE_TEST(an_empty_audit_has_no_pages),
        STORE_TEST(pages_hold_still),
        STORE_TEST(the_longest_strings_of_a_record_come_back),
    };

    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
