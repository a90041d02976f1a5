/* Whose sessions they are: access, shares, owners, and what each owner may have. */
#include "db/people_rows.h"
#include "db/rows.h"

/* owner: whose the session must be, or NULL. */
static enum status session_key(struct store *store, const char *id, const char *owner, int64_t *key,
                               struct error *error)
{
    sqlite3_stmt *statement = statement_of(store, GET_SESSION_KEY, id, error);

    if (statement != NULL)
        sqlite3_bind_text(statement, 2, owner, -1, SQLITE_STATIC);
    enum status status = number_read(store, statement, key, error);

    return status == STATUS_OK && *key == 0 ? no_such_session(id, error) : status;
}

enum status store_get_access(struct store *store, const char *id, const char *user, const char *groups,
                             struct session_access *access, struct error *error)
{
    sqlite3_stmt *statement = statement_of(store, GET_ACCESS, id, error);
    bool row;

    if (statement == NULL)
        return error->status;
    sqlite3_bind_text(statement, 2, user, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, groups, -1, SQLITE_STATIC);
    if (statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    if (!row)
        return no_such_session(id, error);
    text_read(statement, 0, access->owner, sizeof access->owner);
    access->shared = sqlite3_column_int(statement, 1) != 0;
    sqlite3_reset(statement);
    return STATUS_OK;
}

/* The session has changed: as session_touch(), by its key. */
static enum status key_touch(struct store *store, int64_t key, const char *by, int64_t now_ms,
                             struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, TOUCH_KEY, error);

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, key);
    bind_integer(statement, 2, now_ms);
    bind_text(statement, 3, by);
    return statement_finish(store, statement, error);
}

/* ---- shares ---- */

enum status share_write(struct store *store, int64_t key, const struct share *share, bool on,
                        struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, on ? INSERT_SHARE : DELETE_SHARE, error);

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, key);
    bind_text(statement, 2, names_of(&share_kind_names, (int)share->kind));
    bind_text(statement, 3, share->name);
    return statement_finish(store, statement, error);
}

static enum status share_count(struct store *store, int64_t key, int change, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, COUNT_SHARE, error);
    int64_t count;

    if (statement != NULL) {
        bind_integer(statement, 1, key);
        bind_integer(statement, 2, change);
    }
    enum status status = number_read(store, statement, &count, error);
    if (status == STATUS_OK && change > 0 && count > SHARES_MAX)
        return error_set(error, ERROR_OUT_OF_RANGE, "name",
                         "a session can be shared with at most %d users and groups", SHARES_MAX);
    return status;
}

static enum status share_session(struct store *store, const char *id, const char *owner,
                                 const struct share *share, bool on, const char *by, int64_t now_ms,
                                 struct error *error)
{
    int64_t key;
    enum status status = session_key(store, id, owner, &key, error);

    if (status == STATUS_OK)
        status = share_write(store, key, share, on, error);
    if (status != STATUS_OK || sqlite3_changes(store->db) == 0)
        return status;
    status = share_count(store, key, on ? 1 : -1, error);
    return status == STATUS_OK ? key_touch(store, key, by, now_ms, error) : status;
}

enum status store_share_session(struct store *store, const char *id, const char *owner,
                                const struct share *share, bool on, const char *by, int64_t now_ms,
                                struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, share_session(store, id, owner, share, on, by, now_ms, error), error);
    return status;
}

/* ---- owners ---- */

static enum status transfer_session(struct store *store, const char *id, const char *owner, const char *by,
                                    int64_t now_ms, struct error *error)
{
    int64_t key;
    enum status status = session_key(store, id, NULL, &key, error);

    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *statement = statement_get(store, TRANSFER_SESSION, error);
    if (statement != NULL) {
        bind_integer(statement, 1, key);
        bind_text(statement, 2, owner);
    }
    status = statement_finish(store, statement, error);
    return status == STATUS_OK ? key_touch(store, key, by, now_ms, error) : status;
}

enum status store_transfer_session(struct store *store, const char *id, const char *owner, const char *by,
                                   int64_t now_ms, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, transfer_session(store, id, owner, by, now_ms, error), error);
    return status;
}

/* ---- quotas ---- */

enum status store_get_usage(struct store *store, const char *user, int64_t hour_ms, struct usage *usage,
                            struct error *error)
{
    sqlite3_stmt *statement = statement_of(store, GET_USAGE, user, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 2, hour_ms);
    if (statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    *usage = (struct usage){
        .unfinished = sqlite3_column_int64(statement, 0),
        .stored_bytes = sqlite3_column_int64(statement, 1),
        .hourly = sqlite3_column_int64(statement, 2),
    };
    sqlite3_reset(statement);
    return STATUS_OK;
}

/* Tells when so many of them are an hour old that one more is allowed. */
static enum status retry_find(struct store *store, const char *owner, int64_t too_many, int64_t now_ms,
                              struct error *error)
{
    struct error failure;
    sqlite3_stmt *statement = statement_of(store, GET_CREATION, owner, &failure);
    int64_t time_ms;

    if (statement != NULL) {
        bind_integer(statement, 2, now_ms - HOUR_MS);
        bind_integer(statement, 3, too_many);
    }
    if (number_read(store, statement, &time_ms, &failure) == STATUS_OK)
        error->retry_after_s = (int)((time_ms + HOUR_MS - now_ms + 999) / 1000);
    else
        *error = failure;
    return error->status;
}

enum status quota_check(struct store *store, const char *owner, const struct quota *quota, int64_t now_ms,
                        struct error *error)
{
    struct usage usage;

    if (quota == NULL || (quota->sessions == 0 && quota->stored_bytes == 0 && quota->hourly == 0))
        return STATUS_OK;
    enum status status = store_get_usage(store, owner, now_ms - HOUR_MS, &usage, error);
    if (status != STATUS_OK)
        return status;
    for (int kind = 0; kind < QUOTA_KINDS && status == STATUS_OK; kind++)
        status = quota_allows((enum quota_kind)kind, owner, quota, &usage, error);
    if (status != STATUS_OK && error->code == ERROR_QUOTA_HOURLY)
        status = retry_find(store, owner, usage.hourly - quota->hourly, now_ms, error);
    return status;
}
