/*
 * What the files of the SQLite store share: the connection with its prepared statements, and
 * short ways to bind, step and read. Private to db/.
 */
#ifndef PKTCAPD_DB_SQLITE_H
#define PKTCAPD_DB_SQLITE_H

#include "db/store.h"

#include <sqlite3.h>

/* Prepared once for each connection, at first use; the texts are in statements.c. */
enum statement {
    BEGIN_READ,
    BEGIN_WRITE,
    COMMIT,
    ROLLBACK,
    SYNCHRONOUS_NORMAL,
    SYNCHRONOUS_FULL,
    INSERT_SESSION,
    INSERT_OPTION,
    INSERT_TAG,
    INSERT_SHARE,
    INSERT_RUN,
    GET_SESSION,
    GET_SESSION_RUN,
    GET_RUN_SESSION,
    GET_OPTIONS,
    GET_TAGS,
    GET_SHARES,
    GET_NEWEST_RUN,
    GET_SESSION_EXISTS,
    COUNT_SESSIONS,
    COUNT_ENDED_SESSIONS,
    GET_USAGE,
    GET_CREATION,
    INSERT_CREATION,
    DELETE_OLD_CREATIONS,
    RENEW_SESSION,
    TOUCH_SESSION,
    STOP_RUN,
    FLAG_RUN,
    DELETE_SESSION,
    CLAIM_RUN,
    GET_RUN_STATE,
    START_RUN,
    REPORT_RUN,
    CHECK_RUN,
    FINISH_RUN,
    RELEASE_RUN,
    NEXT_HOLDER,
    LIST_FILES,
    LIST_FILE_STATES,
    DELETE_OLD_FILES,
    PUT_FILE,
    END_LEASES,
    GET_ACCESS,
    GET_SESSION_KEY,
    DELETE_SHARE,
    COUNT_SHARE,
    TOUCH_KEY,
    TRANSFER_SESSION,
    GET_USER,
    GET_USER_ROLE,
    GET_USER_KEY,
    GET_USER_GENERATION,
    LIST_USERS,
    INSERT_USER,
    CHANGE_USER,
    UNCOUNT_SHARES,
    DELETE_USER_SHARES,
    TOUCH_USER_SESSIONS,
    STOP_USER_RUNS,
    DISOWN_SESSIONS,
    DELETE_USER_CREATIONS,
    DELETE_USER_STORED,
    DELETE_USER,
    HAS_ADMIN,
    ADMIN_CAN_ENTER,
    GET_ROLE,
    GET_ROLE_EXISTS,
    LIST_ROLES,
    PUT_ROLE,
    COUNT_ROLE_USERS,
    DELETE_ROLE,
    INSERT_TOKEN,
    FIND_TOKEN,
    GET_TOKEN,
    LIST_TOKENS,
    LIST_USER_TOKENS,
    REVOKE_TOKEN,
    TOUCH_TOKEN,
    INSERT_LOGIN,
    FIND_LOGIN,
    TOUCH_LOGIN,
    DELETE_LOGIN,
    DELETE_STALE_LOGINS,
    DELETE_OLD_LOGINS,
    DELETE_USER_LOGINS,
    APPEND_AUDIT,
    STATEMENT_COUNT,
};

extern const char *const statement_texts[STATEMENT_COUNT];

struct store {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
};

/* Describes the connection's last failure. */
enum status sqlite_failed(struct store *store, struct error *error);

/* The statement, reset and ready to bind; NULL (and *error) if it cannot be prepared. */
sqlite3_stmt *statement_get(struct store *store, enum statement which, struct error *error);

/* Prepares a text in which @columns stands for rows_select_list(), and @user and so on for what people_rows.h
 * says. The caller finalizes. */
sqlite3_stmt *statement_prepare(struct store *store, const char *text, struct error *error);

/* Steps once. *row says whether there is a row to read; without one the statement is reset. */
MUST_USE enum status statement_step(struct store *store, sqlite3_stmt *statement, bool *row,
                                    struct error *error);

/* Runs a statement that takes no values and gives no rows. */
MUST_USE enum status statement_run(struct store *store, enum statement which, struct error *error);

/* Ends a write transaction: COMMIT if status is OK, else ROLLBACK. Returns the first failure. */
MUST_USE enum status transaction_end(struct store *store, enum status status, struct error *error);

/* Around a write that need not survive a power cut: the disk is not waited for. haste_end() passes status on,
 * or its own failure. */
MUST_USE enum status haste_begin(struct store *store, struct error *error);
MUST_USE enum status haste_end(struct store *store, enum status status, struct error *error);

void bind_text(sqlite3_stmt *statement, int at, const char *text); /* "" binds NULL */
void bind_integer(sqlite3_stmt *statement, int at, int64_t value);

/* migrate.c: refuses a file that is no store of ours, or a newer one, before anything is changed; then brings
 * the schema up to date, each migration in a transaction of its own. */
MUST_USE enum status migrate_check(struct store *store, const char *path, struct error *error);
MUST_USE enum status migrate(struct store *store, const char *path, struct error *error);

#endif
