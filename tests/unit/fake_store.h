/*
 * A store in memory, for tests of what stands above the store: the test lays out the rows, says which calls
 * fail, and looks at what was asked. It defines the front end's half of db/store.h and, in fake_people.c,
 * db/people.h, so that the real one is not linked. People are kept without the rules about them: the contract
 * suite tests those.
 */
#ifndef PKTCAPD_TESTS_FAKE_STORE_H
#define PKTCAPD_TESTS_FAKE_STORE_H

#include "db/people.h"

enum fake_call { FAKE_INSERT, FAKE_GET, FAKE_LIST, FAKE_STOP, FAKE_RESTART, FAKE_DELETE, FAKE_CALLS };

enum { FAKE_ROWS_MAX = 512 };

enum { FAKE_AUDIT_MAX = 64, FAKE_PEOPLE_MAX = 16 };

/* A run with its session. */
struct fake_row {
    int64_t key;
    bool stop_requested;
    struct session session;
};

struct store {
    size_t count;
    struct fake_row *rows[FAKE_ROWS_MAX]; /* in order of keys; the last row of a session is its newest run */
    int64_t last_key;

    int calls[FAKE_CALLS];
    enum error_code fails[FAKE_CALLS]; /* 0: it works */
    int fails_after[FAKE_CALLS];       /* once so many calls have worked */
    const char *full_while;            /* deleting fails as on a full disk while this file is there */
    const char *stuck_id;              /* deleting this one fails as if it ran */
    const char *vanishing_id;          /* getting this one fails as if it were deleted meanwhile */

    int reads_until_end;    /* a run that was asked to stop is seen running so often; -1: for ever */
    const char *last_value; /* what list pages give as the last row's sort value */

    const struct run_file *files; /* of every ring */
    size_t file_count;

    /* people: fake_people.c */
    struct user users[FAKE_PEOPLE_MAX];
    struct role roles[FAKE_PEOPLE_MAX];
    struct token tokens[FAKE_PEOPLE_MAX];
    struct login logins[FAKE_PEOPLE_MAX];
    size_t user_count, role_count, token_count, login_count;
    enum error_code people_fail;               /* every call about them fails so; 0: they work */
    struct audit_record audit[FAKE_AUDIT_MAX]; /* the first ones */
    size_t audit_count;
    struct audit_query audit_query;

    /* what was asked */
    struct list_query query;
    bool has_quota;
    struct quota quota;
    char point[320];
    char user[64];
    int64_t now_ms;
    const char *watched; /* whether this file was there when a row was deleted: */
    bool watched_seen;
};

struct store *fake_store_new(void);
void fake_store_free(struct store *store);

/* Adds a run: the first of a session of this id, or one more. The session stays the store's. */
struct session *fake_store_add(struct store *store, const char *id, enum session_state status);

/* Whether a session is shared with this user or one of the groups (lines, or NULL). */
bool fake_store_is_shared(const struct session *session, const char *user, const char *groups);

#endif
