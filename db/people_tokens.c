/* Tokens, which programs send, and logins, which browsers send. Both are found by the hash of the secret. */
#include "db/people_rows.h"

enum { NOTE_MS = 60 * 1000 };

/* A use is worth noting when the last one noted is old, or of a clock that was ahead. */
static bool is_worth_noting(int64_t used_ms, int64_t now_ms)
{
    return used_ms > now_ms || now_ms - used_ms >= NOTE_MS;
}

/* *found says whether there is a row; then it is read, with user and role behind it. */
static enum status secret_find(struct store *store, enum statement which, const uint8_t *hash, bool *found,
                               const struct columns *columns, void *record, struct user *user,
                               struct role *role, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, which, error);

    if (statement == NULL)
        return error->status;
    sqlite3_bind_blob(statement, 1, hash, SECRET_HASH_SIZE, SQLITE_STATIC);
    if (statement_step(store, statement, found, error) != STATUS_OK)
        return error->status;
    if (*found) {
        int at = columns_read(statement, 0, columns, record);
        at = columns_read(statement, at, &user_columns, user);
        columns_read(statement, at, &role_columns, role);
    }
    sqlite3_reset(statement);
    return STATUS_OK;
}

/* Runs a statement whose first two values are bound, without waiting for the disk. */
static enum status use_note(struct store *store, sqlite3_stmt *statement, int64_t now_ms, struct error *error)
{
    if (statement == NULL)
        return error->status;
    bind_integer(statement, 2, now_ms);
    enum status status = haste_begin(store, error);
    return status == STATUS_OK ? haste_end(store, statement_finish(store, statement, error), error) : status;
}

/* ---- tokens ---- */

enum status store_insert_token(struct store *store, const struct token *token, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, INSERT_TOKEN, error);

    if (statement == NULL)
        return error->status;
    columns_bind(statement, &token_columns, token);
    enum status status = statement_finish(store, statement, error);
    if (status == STATUS_OK && sqlite3_changes(store->db) == 0)
        return no_such_user(token->user, error);
    return status;
}

enum status store_find_token(struct store *store, const uint8_t hash[SECRET_HASH_SIZE], bool *found,
                             struct token *token, struct user *user, struct role *role, struct error *error)
{
    return secret_find(store, FIND_TOKEN, hash, found, &token_columns, token, user, role, error);
}

static enum status no_such_token(const char *id, struct error *error)
{
    return error_set(error, ERROR_NO_SUCH_TOKEN, "token", "there is no token %.64s", id);
}

enum status store_get_token(struct store *store, const char *id, struct token *token, struct error *error)
{
    sqlite3_stmt *statement = statement_of(store, GET_TOKEN, id, error);
    bool row;

    if (statement == NULL || statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    if (!row)
        return no_such_token(id, error);
    columns_read(statement, 0, &token_columns, token);
    sqlite3_reset(statement);
    return STATUS_OK;
}

enum status store_list_tokens(struct store *store, const char *user,
                              void (*visit)(void *context, const struct token *token), void *context,
                              struct error *error)
{
    sqlite3_stmt *statement = user == NULL ? statement_get(store, LIST_TOKENS, error)
                                           : statement_of(store, LIST_USER_TOKENS, user, error);
    struct token token;
    enum status status;
    bool row;

    if (statement == NULL)
        return error->status;
    while ((status = columns_step(store, statement, &token_columns, &token, &row, error)) == STATUS_OK && row)
        visit(context, &token);
    return status;
}

static enum status revoke_token(struct store *store, const char *id, int64_t now_ms, struct error *error)
{
    struct token token;
    enum status status = store_get_token(store, id, &token, error);

    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *statement = statement_of(store, REVOKE_TOKEN, id, error);
    if (statement != NULL)
        bind_integer(statement, 2, now_ms);
    return statement_finish(store, statement, error);
}

enum status store_revoke_token(struct store *store, const char *id, int64_t now_ms, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, revoke_token(store, id, now_ms, error), error);
    return status;
}

enum status store_touch_token(struct store *store, const struct token *token, int64_t now_ms,
                              struct error *error)
{
    if (!is_worth_noting(token->used_ms, now_ms))
        return STATUS_OK;
    return use_note(store, statement_of(store, TOUCH_TOKEN, token->id, error), now_ms, error);
}

/* ---- logins ---- */

/* The statement with this hash as its first value. */
static sqlite3_stmt *login_statement(struct store *store, enum statement which, const uint8_t *hash,
                                     struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, which, error);

    if (statement != NULL)
        sqlite3_bind_blob(statement, 1, hash, SECRET_HASH_SIZE, SQLITE_STATIC);
    return statement;
}

static enum status logins_tidy(struct store *store, int64_t user, int64_t most, int64_t stale_ms,
                               struct error *error)
{
    sqlite3_stmt *stale = statement_get(store, DELETE_STALE_LOGINS, error);
    sqlite3_stmt *old = statement_get(store, DELETE_OLD_LOGINS, error);

    if (stale == NULL || old == NULL)
        return error->status;
    bind_integer(stale, 1, stale_ms);
    bind_integer(old, 1, user);
    bind_integer(old, 2, most);
    enum status status = statement_finish(store, stale, error);
    return status == STATUS_OK ? statement_finish(store, old, error) : status;
}

static enum status insert_login(struct store *store, const struct login *login, int64_t most,
                                int64_t stale_ms, struct error *error)
{
    int64_t user;
    enum status status = user_key(store, login->user, &user, error);

    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *statement = statement_get(store, INSERT_LOGIN, error);
    if (statement != NULL)
        columns_bind(statement, &login_columns, login);
    status = statement_finish(store, statement, error);
    return status == STATUS_OK ? logins_tidy(store, user, most, stale_ms, error) : status;
}

enum status store_insert_login(struct store *store, const struct login *login, int64_t most, int64_t stale_ms,
                               struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, insert_login(store, login, most, stale_ms, error), error);
    return status;
}

enum status store_find_login(struct store *store, const uint8_t hash[SECRET_HASH_SIZE], bool *found,
                             struct login *login, struct user *user, struct role *role, struct error *error)
{
    return secret_find(store, FIND_LOGIN, hash, found, &login_columns, login, user, role, error);
}

enum status store_touch_login(struct store *store, const struct login *login, int64_t now_ms,
                              struct error *error)
{
    if (!is_worth_noting(login->used_ms, now_ms))
        return STATUS_OK;
    return use_note(store, login_statement(store, TOUCH_LOGIN, login->hash, error), now_ms, error);
}

enum status store_delete_login(struct store *store, const uint8_t hash[SECRET_HASH_SIZE], struct error *error)
{
    return statement_finish(store, login_statement(store, DELETE_LOGIN, hash, error), error);
}
