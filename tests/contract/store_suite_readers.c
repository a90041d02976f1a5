/* Lists of what one owner has and of what one reader may see, against a plain look at every session. */
#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SESSIONS = 80, CHANGES = 60 };

static const char *const PEOPLE[] = {"alice", "bob", "carol", ""}, *const GROUPS[] = {"lab", "ops", "la"},
                         *const LINES[] = {"", "lab", "ops", "lab\nops", "x\nla\nlab", "bob"};

/* What the test knows of a session; in the order of acceptance. */
struct known {
    char id[UUID_SIZE];
    const char *owner;
    bool user_shares[COUNT(PEOPLE)], group_shares[COUNT(GROUPS)];
    bool ended, deleted;
};

struct world {
    struct known sessions[SESSIONS];
    size_t count;
    unsigned seed;
};

static unsigned draw(struct world *world, size_t below)
{
    return (unsigned)rand_r(&world->seed) % (unsigned)below;
}

/* ---- making it ---- */

static void session_add(struct fixture *fixture, struct world *world)
{
    struct known *known = &world->sessions[world->count++];
    struct session session;
    struct error error;

    session_make(&session);
    known->owner = PEOPLE[draw(world, COUNT(PEOPLE))];
    strcpy(session.owner, known->owner);
    MUST(store_insert_session(fixture->store, &session, NULL, &error));
    memcpy(known->id, session.id, sizeof known->id);
    if (draw(world, 2) == 0) {
        MUST(store_request_stop(fixture->store, session.id, "x", T0 + draw(world, 5), &error));
        known->ended = true;
    }
}

static void share_toss(struct fixture *fixture, struct world *world, struct known *known)
{
    bool group = draw(world, 2) == 0, on = draw(world, 3) != 0;
    size_t which = draw(world, group ? COUNT(GROUPS) : COUNT(PEOPLE) - 1);
    struct share share = {.kind = group ? SHARE_GROUP : SHARE_USER};
    struct error error;

    strcpy(share.name, group ? GROUPS[which] : PEOPLE[which]);
    MUST(store_share_session(fixture->store, known->id, &share, on, "x", T0, &error));
    if (group)
        known->group_shares[which] = on;
    else
        known->user_shares[which] = on;
}

static void change_one(struct fixture *fixture, struct world *world)
{
    struct known *known = &world->sessions[draw(world, world->count)];
    struct error error;

    if (known->deleted)
        return;
    switch (draw(world, 4)) {
    case 0:
        known->owner = PEOPLE[draw(world, COUNT(PEOPLE))];
        MUST(store_transfer_session(fixture->store, known->id, known->owner, "x", T0, &error));
        break;
    case 1:
        if (!known->ended)
            break;
        MUST(store_delete_session(fixture->store, known->id, &error));
        known->deleted = true;
        break;
    default:
        share_toss(fixture, world, known);
    }
}

static void world_make(struct fixture *fixture, struct world *world)
{
    *world = (struct world){.seed = 20261126};
    while (world->count < SESSIONS) {
        session_add(fixture, world);
        if (draw(world, 2) == 0)
            share_toss(fixture, world, &world->sessions[world->count - 1]);
    }
    for (int i = 0; i < CHANGES; i++)
        change_one(fixture, world);
}

/* ---- what should be seen ---- */

static bool is_readable(const struct known *known, const char *reader, const char *groups)
{
    bool readable = strcmp(known->owner, reader) == 0;

    for (size_t i = 0; i < COUNT(PEOPLE); i++)
        readable = readable || (known->user_shares[i] && strcmp(PEOPLE[i], reader) == 0);
    for (size_t i = 0; i < COUNT(GROUPS); i++)
        readable = readable || (known->group_shares[i] && line_is_in(groups, GROUPS[i]));
    return readable;
}

static bool is_listed(const struct known *known, const struct list_query *query)
{
    return !known->deleted && (known->ended || !query->ended_only) &&
           (query->owner == NULL || strcmp(known->owner, query->owner) == 0) &&
           (query->reader == NULL || is_readable(known, query->reader, query->groups));
}

/* ---- what is seen ---- */

struct seen {
    size_t count;
    char ids[SESSIONS][UUID_SIZE];
};

static void session_seen(void *context, const struct session *session)
{
    struct seen *seen = context;

    assert_true(seen->count < SESSIONS);
    memcpy(seen->ids[seen->count++], session->id, UUID_SIZE);
}

static void pages_read(struct fixture *fixture, struct list_query query, size_t total, struct seen *seen)
{
    struct list_page page = {.has_more = true};
    struct error error;

    seen->count = 0;
    while (page.has_more) {
        size_t before = seen->count;
        MUST(store_list_sessions(fixture->store, &query, session_seen, seen, &page, &error));
        assert_int_equal(page.total, total);
        assert_true(seen->count - before == (size_t)query.page_size || !page.has_more);
        query.has_after = true;
        strcpy(query.after_value, page.last_value);
        query.after_key = page.last_key;
    }
}

static bool has_seen(const struct seen *seen, const char *id)
{
    for (size_t i = 0; i < seen->count; i++)
        if (strcmp(seen->ids[i], id) == 0)
            return true;
    return false;
}

static void check(struct fixture *fixture, const struct world *world, const struct list_query *query)
{
    const char *expected[SESSIONS];
    struct seen seen;
    size_t total = 0;

    for (size_t i = 0; i < world->count; i++) {
        const struct known *known = &world->sessions[query->descending ? world->count - 1 - i : i];
        if (is_listed(known, query))
            expected[total++] = known->id;
    }
    pages_read(fixture, *query, total, &seen);
    assert_int_equal(seen.count, total);
    for (size_t i = 0; i < total; i++)
        if (query->sort_by == NULL)
            assert_string_equal(seen.ids[i], expected[i]);
        else
            assert_true(has_seen(&seen, expected[i]));
}

/* Every size of page, order and sort: what is asked for is in `query`. */
static void check_all(struct fixture *fixture, const struct world *world, struct list_query query)
{
    static const int32_t SIZES[] = {1, 3, SESSIONS};

    for (unsigned choice = 0; choice < 24; choice++) {
        query.page_size = SIZES[choice % 3];
        query.descending = choice / 3 % 2 != 0;
        query.ended_only = choice / 6 % 2 != 0;
        query.sort_by = choice / 12 == 0 ? NULL : "sessionstatus";
        check(fixture, world, &query);
    }
}

/* ---- tests ---- */

static void an_owner_sees_what_is_owned(void **state)
{
    struct fixture *fixture = *state;
    struct world world;

    world_make(fixture, &world);
    for (size_t i = 0; i < COUNT(PEOPLE) - 1; i++)
        check_all(fixture, &world, (struct list_query){.owner = PEOPLE[i]});
    check_all(fixture, &world, (struct list_query){.owner = "nobody"});
    check_all(fixture, &world, (struct list_query){0});
}

static void a_reader_sees_what_is_owned_and_shared(void **state)
{
    struct fixture *fixture = *state;
    struct world world;

    world_make(fixture, &world);
    for (size_t i = 0; i < COUNT(LINES); i++)
        for (size_t j = 0; j < COUNT(PEOPLE) - 1; j++)
            check_all(fixture, &world, (struct list_query){.reader = PEOPLE[j], .groups = LINES[i]});
    check_all(fixture, &world, (struct list_query){.reader = "nobody", .groups = "lab\nops"});
    check_all(fixture, &world, (struct list_query){.reader = "bob", .groups = "lab", .owner = "alice"});
}

/* What is deleted, or shared no more, between two pages is not missed by the next. */
static void pages_of_a_reader_hold_still(void **state)
{
    struct fixture *fixture = *state;
    struct world world;
    struct seen seen = {0};
    struct list_page page;
    struct error error;
    struct list_query query = {.reader = "alice", .groups = "lab", .page_size = 4, .descending = true};

    world_make(fixture, &world);
    MUST(store_list_sessions(fixture->store, &query, session_seen, &seen, &page, &error));
    assert_true(page.has_more);
    int64_t total = page.total;
    struct session session;
    session_make(&session); /* newer: before the place */
    MUST(store_insert_session(fixture->store, &session, NULL, &error));
    MUST(store_transfer_session(fixture->store, seen.ids[3], "nobody", "x", T0, &error));
    query.has_after = true, query.after_key = page.last_key, query.page_size = SESSIONS;
    MUST(store_list_sessions(fixture->store, &query, session_seen, &seen, &page, &error));
    assert_int_equal(seen.count, total);
    for (size_t i = 1; i < seen.count; i++)
        assert_string_not_equal(seen.ids[i], seen.ids[i - 1]);
}

int suite_readers(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(an_owner_sees_what_is_owned),
        STORE_TEST(a_reader_sees_what_is_owned_and_shared),
        STORE_TEST(pages_of_a_reader_hold_still),
    };

    return cmocka_run_group_tests_name("readers", tests, NULL, NULL);
}
