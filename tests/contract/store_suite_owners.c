/* Whose sessions they are: access, shares, owners, quotas. */
#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void owned_insert(struct fixture *fixture, const char *owner, struct session *session)
{
    struct error error;

    session_make(session);
    strcpy(session->owner, owner);
    MUST(store_insert_session(fixture->store, session, 0, NULL, &error));
}

static struct share share_made(enum share_kind kind, const char *name)
{
    struct share share = {.kind = kind};

    strcpy(share.name, name);
    return share;
}

static void share_set(struct fixture *fixture, const char *id, enum share_kind kind, const char *name,
                      bool on)
{
    struct share share = share_made(kind, name);
    struct error error;

    MUST(store_share_session(fixture->store, id, NULL, &share, on, "carol", T0 + 5, &error));
}

static void assert_access(struct fixture *fixture, const char *id, const char *user, const char *groups,
                          const char *owner, bool shared)
{
    struct session_access access;
    struct error error;

    MUST(store_get_access(fixture->store, id, user, groups, &access, &error));
    assert_string_equal(access.owner, owner);
    assert_int_equal(access.shared, shared);
}

/* ---- access and shares ---- */

static void access_tells_owner_and_shares(void **state)
{
    struct fixture *fixture = *state;
    struct session_access access;
    struct session session;
    struct error error;

    MUST_FAIL(ERROR_NO_SUCH_SESSION, store_get_access(fixture->store, NODE, "alice", "", &access, &error));
    owned_insert(fixture, "alice", &session);
    assert_access(fixture, session.id, "alice", "lab", "alice", false);
    share_set(fixture, session.id, SHARE_USER, "bob", true);
    share_set(fixture, session.id, SHARE_GROUP, "lab", true);
    assert_access(fixture, session.id, "bob", "", "alice", true);
    assert_access(fixture, session.id, "lab", "", "alice", false);
    assert_access(fixture, session.id, "", "", "alice", false);
    assert_access(fixture, session.id, "carol", "lab", "alice", true);
    assert_access(fixture, session.id, "carol", "net\nlab", "alice", true);
    assert_access(fixture, session.id, "carol", "lab\nnet", "alice", true);
    assert_access(fixture, session.id, "carol", "labs\nxlab\nla\nLAB\nbob", "alice", false);
    share_set(fixture, session.id, SHARE_GROUP, "lab", false);
    assert_access(fixture, session.id, "carol", "lab", "alice", false);
    assert_access(fixture, session.id, "bob", "", "alice", true);
    share_set(fixture, session.id, SHARE_USER, "bob", false);
    assert_access(fixture, session.id, "bob", "", "alice", false);
}

static void shares_come_with_the_session(void **state)
{
    struct fixture *fixture = *state;
    struct share share = share_made(SHARE_USER, "bob");
    struct session session, got;
    struct error error;

    MUST_FAIL(ERROR_NO_SUCH_SESSION,
              store_share_session(fixture->store, NODE, NULL, &share, true, "carol", T0, &error));
    owned_insert(fixture, "alice", &session);
    share_set(fixture, session.id, SHARE_USER, "bob", false); /* harmless */
    session_get(fixture, session.id, 0, &got);
    assert_int_equal(got.revision, session.revision);
    share_set(fixture, session.id, SHARE_USER, "bob", true);
    share_set(fixture, session.id, SHARE_GROUP, "bob", true);
    share_set(fixture, session.id, SHARE_USER, "bob", true); /* harmless */
    session_get(fixture, session.id, 0, &got);
    assert_int_equal(got.share_count, 2);
    assert_int_equal(got.shares[0].kind, SHARE_GROUP);
    assert_int_equal(got.shares[1].kind, SHARE_USER);
    assert_string_equal(got.shares[1].name, "bob");
    assert_int_equal(got.revision, session.revision + 2);
    assert_string_equal(got.last_modified_user, "carol");
    assert_int_equal(got.last_modified_time_ms, T0 + 5);
}

static void shares_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    struct share share = share_made(SHARE_USER, "one.more");
    struct session session, got;
    struct error error;
    char name[16];

    owned_insert(fixture, "alice", &session);
    for (int i = 0; i < SHARES_MAX; i++) {
        snprintf(name, sizeof name, "user%02d", i);
        share_set(fixture, session.id, SHARE_USER, name, true);
    }
    MUST_FAIL(ERROR_OUT_OF_RANGE,
              store_share_session(fixture->store, session.id, NULL, &share, true, "carol", T0, &error));
    assert_access(fixture, session.id, "one.more", "", "alice", false);
    share_set(fixture, session.id, SHARE_USER, "user00", true);
    session_get(fixture, session.id, 0, &got);
    assert_int_equal(got.share_count, SHARES_MAX);
    share_set(fixture, session.id, SHARE_USER, "user00", false);
    share_set(fixture, session.id, SHARE_USER, "one.more", true);
    assert_access(fixture, session.id, "one.more", "", "alice", true);
}

/* ---- owners ---- */

static void a_session_is_transferred(void **state)
{
    struct fixture *fixture = *state;
    struct session session, got;
    struct error error;

    MUST_FAIL(ERROR_NO_SUCH_SESSION,
              store_transfer_session(fixture->store, NODE, "bob", "carol", T0, &error));
    owned_insert(fixture, "alice", &session);
    MUST(store_transfer_session(fixture->store, session.id, "not.in.the.table", "carol", T0 + 9, &error));
    session_get(fixture, session.id, 0, &got);
    assert_string_equal(got.owner, "not.in.the.table");
    assert_string_equal(got.create_user, "alice");
    assert_string_equal(got.last_modified_user, "carol");
    assert_int_equal(got.last_modified_time_ms, T0 + 9);
    assert_int_equal(got.revision, session.revision + 1);
}

static void a_transfer_brings_the_quota_of_the_new_owner(void **state)
{
    struct fixture *fixture = *state;
    struct role role = {.name = "guest", .kind = ROLE_OPERATOR, .policy.max_stored_mb = 5};
    struct user bob = {.name = "bob", .role = "guest"}, dora = {.name = "dora", .role = "operator"};
    struct session session;
    struct error error;

    MUST(store_put_role(fixture->store, &role, &error));
    MUST(store_insert_user(fixture->store, &bob, &error));
    MUST(store_insert_user(fixture->store, &dora, &error));
    owned_insert(fixture, "alice", &session);
    MUST(store_transfer_session(fixture->store, session.id, "bob", "carol", T0, &error));
    session_get(fixture, session.id, 0, &session);
    assert_int_equal(session.quota_bytes, 5000000);
    MUST(store_transfer_session(fixture->store, session.id, "not.in.the.table", "carol", T0, &error));
    session_get(fixture, session.id, 0, &session);
    assert_int_equal(session.quota_bytes, 5000000);
    MUST(store_transfer_session(fixture->store, session.id, "dora", "carol", T0, &error));
    session_get(fixture, session.id, 0, &session);
    assert_int_equal(session.quota_bytes, 0);
}

/* What was allowed to alice while it was hers. */
static void what_was_handed_over_is_not_the_owners_any_more(void **state)
{
    struct fixture *fixture = *state;
    const struct restart restart = {.owner = "alice", .user = "alice", .point = "", .now_ms = T0};
    struct share share = share_made(SHARE_USER, "alice");
    struct session session, got;
    struct store *store = fixture->store;
    struct error error;

    owned_insert(fixture, "alice", &session);
    MUST(store_transfer_session(store, session.id, "bob", "carol", T0, &error));
    MUST_FAIL(ERROR_NO_SUCH_SESSION, store_request_stop(store, session.id, "alice", "alice", T0, &error));
    MUST(store_request_stop(store, session.id, "bob", "bob", T0, &error));
    MUST_FAIL(ERROR_NO_SUCH_SESSION, store_restart_session(store, session.id, &restart, &error));
    MUST_FAIL(ERROR_NO_SUCH_SESSION,
              store_share_session(store, session.id, "alice", &share, true, "alice", T0, &error));
    MUST_FAIL(ERROR_NO_SUCH_SESSION, store_delete_session(store, session.id, "alice", &error));
    session_get(fixture, session.id, 0, &got);
    assert_int_equal(got.run.number, 1);
    assert_int_equal(got.share_count, 0);
    MUST(store_share_session(store, session.id, "bob", &share, true, "bob", T0, &error));
    MUST(store_delete_session(store, session.id, "bob", &error));
}

/* Who is given the name afterwards has none of it. */
static void sessions_of_a_deleted_user_are_nobodys(void **state)
{
    struct fixture *fixture = *state;
    struct user user = {.name = "alice", .role = "operator"};
    struct session mine, bobs, got;
    struct usage usage;
    struct error error;

    MUST(store_insert_user(fixture->store, &user, &error));
    owned_insert(fixture, "alice", &mine);
    owned_insert(fixture, "bob", &bobs);
    share_set(fixture, bobs.id, SHARE_USER, "alice", true);
    share_set(fixture, bobs.id, SHARE_GROUP, "alice", true);
    MUST(store_delete_user(fixture->store, "alice", T0, &error));
    session_get(fixture, mine.id, 0, &got);
    assert_string_equal(got.owner, "");
    assert_string_equal(got.create_user, "alice");
    session_get(fixture, bobs.id, 0, &got);
    assert_int_equal(got.share_count, 1);
    assert_access(fixture, bobs.id, "alice", "", "bob", false);
    assert_access(fixture, bobs.id, "x", "alice", "bob", true);
    MUST(store_insert_user(fixture->store, &user, &error));
    MUST(store_get_usage(fixture->store, "alice", T0 - 1, &usage, &error));
    assert_int_equal(usage.unfinished + usage.stored_bytes + usage.hourly, 0);
}

static void captures_of_a_deleted_user_end(void **state)
{
    struct fixture *fixture = *state;
    struct user user = {.name = "alice", .role = "operator"};
    struct session started, claimed, waiting, ended, bobs, got;
    struct error error;

    MUST(store_insert_user(fixture->store, &user, &error));
    session_reach(fixture, STATE_FINISHED, &ended);
    struct run_report reports[2] = {session_reach(fixture, STATE_STARTED, &started)};
    owned_insert(fixture, "alice", &claimed);
    reports[1] = claim_next(fixture, WORKER_A, T0, &got);
    owned_insert(fixture, "alice", &waiting);
    owned_insert(fixture, "bob", &bobs);
    session_get(fixture, ended.id, 0, &ended);
    MUST(store_delete_user(fixture->store, "alice", T0 + 7, &error));
    MUST(store_check_stops(fixture->store, reports, 2, &error));
    assert_true(reports[0].stop_requested && reports[1].stop_requested);
    session_get(fixture, waiting.id, 0, &got);
    assert_int_equal(got.run.state, STATE_STOPPED);
    assert_int_equal(got.run.stop_reason, STOP_TERMINATED);
    assert_int_equal(got.run.ended_ms, T0 + 7);
    assert_int_equal(got.revision, waiting.revision + 1);
    session_get(fixture, ended.id, 0, &got);
    assert_memory_equal(&got.run, &ended.run, sizeof got.run);
    assert_int_equal(got.revision, ended.revision);
    session_get(fixture, bobs.id, 0, &got);
    assert_int_equal(got.run.state, STATE_CREATED);
}

static void a_user_who_was_changed_makes_no_session(void **state)
{
    struct fixture *fixture = *state;
    struct user user = {.name = "alice", .role = "operator"};
    const struct user_change change = {.role = "operator", .disabled = -1};
    struct session session;
    struct store *store = fixture->store;
    struct error error;

    MUST(store_insert_user(store, &user, &error));
    MUST(store_get_user(store, "alice", &user, &error));
    session_make(&session);
    MUST(store_insert_session(store, &session, user.generation, NULL, &error));
    session_make(&session);
    MUST(store_change_user(store, "alice", &change, &error));
    MUST_FAIL(ERROR_BAD_CREDENTIALS, store_insert_session(store, &session, user.generation, NULL, &error));
    MUST(store_get_user(store, "alice", &user, &error));
    MUST(store_delete_user(store, "alice", T0, &error));
    MUST_FAIL(ERROR_BAD_CREDENTIALS, store_insert_session(store, &session, user.generation, NULL, &error));
    MUST(store_insert_user(store, &user, &error));
    MUST_FAIL(ERROR_BAD_CREDENTIALS, store_insert_session(store, &session, user.generation, NULL, &error));
    MUST_FAIL(ERROR_NO_SUCH_SESSION, store_get_session(store, session.id, 0, &session, &error));
    MUST(store_insert_session(store, &session, 0, NULL, &error));
}

/* ---- quotas ---- */

static void assert_usage(struct fixture *fixture, const char *user, int64_t hour_ms, int64_t unfinished,
                         int64_t stored_bytes, int64_t hourly)
{
    struct usage usage;
    struct error error;

    MUST(store_get_usage(fixture->store, user, hour_ms, &usage, &error));
    assert_int_equal(usage.unfinished, unfinished);
    assert_int_equal(usage.stored_bytes, stored_bytes);
    assert_int_equal(usage.hourly, hourly);
}

static enum status quota_insert(struct fixture *fixture, const struct quota *quota, int64_t now_ms,
                                struct session *session, struct error *error)
{
    session_make(session);
    session->create_time_ms = now_ms;
    return store_insert_session(fixture->store, session, 0, quota, error);
}

static void sessions_that_have_not_ended_are_counted(void **state)
{
    struct fixture *fixture = *state;
    const struct quota two = {.sessions = 2};
    struct session first, second, third;
    struct error error;

    MUST(quota_insert(fixture, &two, T0, &first, &error));
    MUST(quota_insert(fixture, &two, T0, &second, &error));
    owned_insert(fixture, "bob", &third);
    assert_usage(fixture, "alice", T0, 2, 0, 0);
    MUST_FAIL(ERROR_QUOTA_SESSIONS, quota_insert(fixture, &two, T0, &third, &error));
    assert_string_equal(error.message, "alice has 2 sessions that have not ended, and may have 2");
    MUST(store_request_stop(fixture->store, first.id, NULL, "alice", T0, &error));
    MUST(quota_insert(fixture, &two, T0, &third, &error));
    const struct restart restart = {.user = "alice", .point = "", .quota = &two, .now_ms = T0};
    MUST_FAIL(ERROR_QUOTA_SESSIONS, store_restart_session(fixture->store, first.id, &restart, &error));
    MUST(store_request_stop(fixture->store, third.id, NULL, "alice", T0, &error));
    MUST(store_restart_session(fixture->store, first.id, &restart, &error));
}

/* A session that was deleted was made all the same; a restart by its owner counts as well. */
static void sessions_of_the_last_hour_are_counted(void **state)
{
    struct fixture *fixture = *state;
    const struct quota two = {.hourly = 2};
    struct restart restart = {.user = "alice", .point = "", .quota = &two};
    const int64_t hour = 3600000;
    struct session first, session;
    struct error error;

    MUST(quota_insert(fixture, &two, T0, &first, &error));
    MUST(quota_insert(fixture, &two, T0 + 1, &session, &error));
    assert_usage(fixture, "alice", T0, 2, 0, 1);
    MUST(store_request_stop(fixture->store, session.id, NULL, "alice", T0, &error));
    MUST(store_delete_session(fixture->store, session.id, NULL, &error));
    MUST(store_transfer_session(fixture->store, first.id, "bob", "carol", T0, &error));
    MUST_FAIL(ERROR_QUOTA_HOURLY, quota_insert(fixture, &two, T0 + 1000, &session, &error));
    assert_int_equal(error.retry_after_s, 3599);
    const struct quota one = {.hourly = 1}; /* lowered meanwhile: two have to leave */
    MUST_FAIL(ERROR_QUOTA_HOURLY, quota_insert(fixture, &one, T0 + 1000, &session, &error));
    assert_int_equal(error.retry_after_s, 3600);
    MUST_FAIL(ERROR_QUOTA_HOURLY, quota_insert(fixture, &two, T0 + hour - 1, &session, &error));
    assert_int_equal(error.retry_after_s, 1);
    assert_string_equal(error.message, "alice has made 2 sessions in the last 60 minutes, and may make 2");
    MUST(quota_insert(fixture, &two, T0 + hour, &session, &error));
    MUST_FAIL(ERROR_QUOTA_HOURLY, quota_insert(fixture, &two, T0 + hour, &session, &error));
    MUST(quota_insert(fixture, &two, T0 + hour + 1, &session, &error));
    MUST(store_request_stop(fixture->store, session.id, NULL, "alice", T0, &error));
    restart.now_ms = T0 + hour + 2;
    MUST_FAIL(ERROR_QUOTA_HOURLY, store_restart_session(fixture->store, session.id, &restart, &error));
    restart.now_ms = T0 + 2 * hour;
    MUST(store_restart_session(fixture->store, session.id, &restart, &error));
    assert_usage(fixture, "alice", T0 + hour, 2, 0, 2);
    MUST(store_request_stop(fixture->store, session.id, NULL, "alice", T0, &error));
    MUST(session_restart(fixture->store, session.id, "carol", T0 + 2 * hour, &error));
    assert_usage(fixture, "alice", T0 + hour, 2, 0, 2);
    assert_usage(fixture, "carol", T0 + hour, 0, 0, 0);
}

static void run_grow(struct fixture *fixture, struct run_report *report, int64_t file_size)
{
    struct error error;

    report->run.counters.file_size = file_size;
    MUST(store_report_progress(fixture->store, report, 1, T0 + LEASE_MS, &error));
}

static void files_are_counted(void **state)
{
    struct fixture *fixture = *state;
    const struct quota thousand = {.stored_bytes = 1000};
    const struct restart restart = {.user = "alice", .point = "", .quota = &thousand, .now_ms = T0};
    struct session first, session;
    struct error error;
    struct run_report report = session_reach(fixture, STATE_STARTED, &first);

    run_grow(fixture, &report, 999);
    MUST(quota_insert(fixture, &thousand, T0, &session, &error));
    run_grow(fixture, &report, 1000);
    MUST_FAIL(ERROR_QUOTA_STORED, quota_insert(fixture, &thousand, T0, &session, &error));
    assert_string_equal(error.message, "alice has files of 1000 bytes, and may have 1000");
    run_end(fixture, &report, STATE_FINISHED);
    assert_usage(fixture, "alice", 0, 1, 1000, 2);
    MUST_FAIL(ERROR_QUOTA_STORED, store_restart_session(fixture->store, first.id, &restart, &error));
    MUST(store_transfer_session(fixture->store, first.id, "bob", "carol", T0, &error));
    assert_usage(fixture, "alice", 0, 1, 0, 2);
    assert_usage(fixture, "bob", 0, 0, 1000, 0);
    MUST(store_transfer_session(fixture->store, first.id, "alice", "carol", T0, &error));
    MUST(store_delete_session(fixture->store, first.id, NULL, &error));
    assert_usage(fixture, "alice", 0, 1, 0, 2);
    assert_usage(fixture, "bob", 0, 0, 0, 0);
}

static void restarts_renew_point_quota_and_limits(void **state)
{
    struct fixture *fixture = *state;
    const struct restart restart = {
        .user = "bob", .point = "red/veth1", .quota_bytes = 4711, .limits = {1, 2, 3, 4}, .now_ms = T0 + 3};
    struct session session;
    struct error error;

    session_reach(fixture, STATE_FINISHED, &session);
    assert_string_equal(session.point, "");
    MUST(store_restart_session(fixture->store, session.id, &restart, &error));
    session_get(fixture, session.id, 0, &session);
    assert_string_equal(session.point, "red/veth1");
    assert_int_equal(session.quota_bytes, 4711);
    assert_memory_equal(&session.limits, &restart.limits, sizeof session.limits);
    assert_string_equal(session.last_modified_user, "bob");
}

/* ---- what workers hear of quotas ---- */

static struct session bounded_insert(struct fixture *fixture, int64_t quota_bytes)
{
    struct session session;
    struct error error;

    session_make(&session);
    session.quota_bytes = quota_bytes;
    MUST(store_insert_session(fixture->store, &session, 0, NULL, &error));
    return session;
}

static void a_claim_tells_what_the_owner_has(void **state)
{
    struct fixture *fixture = *state;
    struct session session;
    struct run_report report = session_reach(fixture, STATE_STARTED, &session);

    assert_int_equal(report.lease.owner_bytes, 0);
    run_grow(fixture, &report, 300);
    bounded_insert(fixture, 1000);
    struct run_report bounded = claim_next(fixture, WORKER_A, T0, &session);
    assert_int_equal(bounded.lease.owner_bytes, 300);
    assert_int_equal(session.quota_bytes, 1000);
    run_start(fixture, &bounded);
    run_grow(fixture, &bounded, 500);
    run_end(fixture, &report, STATE_FINISHED);
    struct run_report taken = claim_next(fixture, WORKER_B, T0 + LEASE_MS, &session);
    assert_true(taken.lease.resumed);
    assert_int_equal(taken.lease.owner_bytes, 800);
    assert_int_equal(session.run.counters.file_size, 500);
}

static void reports_tell_when_files_take_too_much(void **state)
{
    struct fixture *fixture = *state;
    struct session free, session;
    struct run_report reports[2] = {session_reach(fixture, STATE_STARTED, &free)};
    struct error error;

    bounded_insert(fixture, 1000);
    reports[1] = claim_next(fixture, WORKER_A, T0, &session);
    run_start(fixture, &reports[1]);
    for (int64_t size = 499; size <= 500; size++) {
        reports[0].run.counters.file_size = reports[1].run.counters.file_size = size;
        MUST(store_report_progress(fixture->store, reports, 2, T0 + LEASE_MS, &error));
        assert_false(reports[0].over_quota);
        assert_int_equal(reports[1].over_quota, size == 500);
        reports[1].over_quota = size != 500;
        MUST(store_check_stops(fixture->store, reports, 2, &error));
        assert_false(reports[0].over_quota);
        assert_int_equal(reports[1].over_quota, size == 500);
    }
    MUST(store_transfer_session(fixture->store, free.id, "bob", "carol", T0, &error));
    MUST(store_check_stops(fixture->store, reports, 2, &error));
    assert_false(reports[1].over_quota);
    assert_string_equal(reports[0].owner, "bob");
    assert_string_equal(reports[1].owner, "alice");
    assert_int_equal(reports[0].quota_bytes, 0);
    assert_int_equal(reports[1].quota_bytes, 1000);
    for (int i = 0; i < 2; i++)
        assert_int_equal(reports[i].owner_bytes, 500);
}

int suite_owners(struct fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(access_tells_owner_and_shares),
        STORE_TEST(shares_come_with_the_session),
        STORE_TEST(shares_are_bounded),
        STORE_TEST(a_session_is_transferred),
        STORE_TEST(a_transfer_brings_the_quota_of_the_new_owner),
        STORE_TEST(what_was_handed_over_is_not_the_owners_any_more),
        STORE_TEST(sessions_of_a_deleted_user_are_nobodys),
        STORE_TEST(captures_of_a_deleted_user_end),
        STORE_TEST(a_user_who_was_changed_makes_no_session),
        STORE_TEST(sessions_that_have_not_ended_are_counted),
        STORE_TEST(sessions_of_the_last_hour_are_counted),
        STORE_TEST(files_are_counted),
        STORE_TEST(restarts_renew_point_quota_and_limits),
        STORE_TEST(a_claim_tells_what_the_owner_has),
        STORE_TEST(reports_tell_when_files_take_too_much),
    };

    return cmocka_run_group_tests_name("owners", tests, NULL, NULL);
}
