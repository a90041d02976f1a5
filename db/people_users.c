/* Users. */
#include "db/people_rows.h"

static enum status insert_user(struct store *store, const struct user *user, struct error *error)
{
    int64_t key;
    enum status status =
        number_read(store, statement_of(store, GET_USER_KEY, user->name, error), &key, error);

    if (status == STATUS_OK && key != 0)
        status = error_set(error, ERROR_EXISTS, "username", "there is a user %.64s already", user->name);
    if (status == STATUS_OK)
        status = role_must_be(store, user->role, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *statement = statement_get(store, INSERT_USER, error);
    if (statement != NULL)
        columns_bind(statement, &user_columns, user);
    return statement_finish(store, statement, error);
}

enum status store_insert_user(struct store *store, const struct user *user, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, insert_user(store, user, error), error);
    return status;
}

static enum status user_read(struct store *store, enum statement which, const char *name, struct user *user,
                             struct role *role, struct error *error)
{
    sqlite3_stmt *statement = statement_of(store, which, name, error);
    bool row;

    if (statement == NULL || statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    if (!row)
        return no_such_user(name, error);
    int at = columns_read(statement, 0, &user_columns, user);
    if (role != NULL)
        columns_read(statement, at, &role_columns, role);
    sqlite3_reset(statement);
    return STATUS_OK;
}

enum status store_get_user(struct store *store, const char *name, struct user *user, struct error *error)
{
    return user_read(store, GET_USER, name, user, NULL, error);
}

enum status store_get_user_role(struct store *store, const char *name, struct user *user, struct role *role,
                                struct error *error)
{
    return user_read(store, GET_USER_ROLE, name, user, role, error);
}

enum status store_list_users(struct store *store, void (*visit)(void *context, const struct user *user),
                             void *context, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, LIST_USERS, error);
    struct user user;
    enum status status;
    bool row;

    if (statement == NULL)
        return error->status;
    while ((status = columns_step(store, statement, &user_columns, &user, &row, error)) == STATUS_OK && row)
        visit(context, &user);
    return status;
}

/* ---- changes ---- */

static enum status user_write(struct store *store, int64_t key, const struct user_change *change,
                              bool ends_logins, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, CHANGE_USER, error);

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, key);
    sqlite3_bind_text(statement, 2, change->role, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, change->groups, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, change->password_hash, -1, SQLITE_STATIC);
    if (change->disabled < 0)
        sqlite3_bind_null(statement, 5);
    else
        bind_integer(statement, 5, change->disabled != 0);
    bind_integer(statement, 6, ends_logins);
    return statement_finish(store, statement, error);
}

static enum status logins_end(struct store *store, int64_t user, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, DELETE_USER_LOGINS, error);

    if (statement != NULL)
        bind_integer(statement, 1, user);
    return statement_finish(store, statement, error);
}

static enum status change_user(struct store *store, const char *name, const struct user_change *change,
                               struct error *error)
{
    bool ends_logins = change->role != NULL || change->password_hash != NULL || change->disabled >= 0, admin;
    int64_t key;
    enum status status = user_key(store, name, &key, error);

    if (status == STATUS_OK && change->role != NULL)
        status = role_must_be(store, change->role, error);
    if (status == STATUS_OK)
        status = admin_can_enter(store, &admin, error);
    if (status == STATUS_OK)
        status = user_write(store, key, change, ends_logins, error);
    if (status == STATUS_OK)
        status = admin_must_stay(store, admin, error);
    if (status == STATUS_OK && ends_logins)
        status = logins_end(store, key, error);
    return status;
}

enum status store_change_user(struct store *store, const char *name, const struct user_change *change,
                              struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, change_user(store, name, change, error), error);
    return status;
}

/* What the user has captured ends: those who are left have no quota for it. */
static enum status captures_stop(struct store *store, const char *name, int64_t now_ms, struct error *error)
{
    static const enum statement STEPS[] = {TOUCH_USER_SESSIONS, STOP_USER_RUNS};
    enum status status = STATUS_OK;

    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && status == STATUS_OK; i++) {
        sqlite3_stmt *statement = statement_of(store, STEPS[i], name, error);
        if (statement != NULL)
            bind_integer(statement, 2, now_ms);
        status = statement_finish(store, statement, error);
    }
    return status;
}

/* Whoever is given the name later gets nothing of what was this user's. Tokens and logins go with the row. */
static enum status delete_user(struct store *store, const char *name, int64_t now_ms, struct error *error)
{
    static const enum statement STEPS[] = {UNCOUNT_SHARES,        DELETE_USER_SHARES, DISOWN_SESSIONS,
                                           DELETE_USER_CREATIONS, DELETE_USER_STORED, DELETE_USER};
    int64_t key;
    bool admin = false;
    enum status status = user_key(store, name, &key, error);

    if (status == STATUS_OK)
        status = admin_can_enter(store, &admin, error);
    if (status == STATUS_OK)
        status = captures_stop(store, name, now_ms, error);
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && status == STATUS_OK; i++)
        status = statement_finish(store, statement_of(store, STEPS[i], name, error), error);
    return status == STATUS_OK ? admin_must_stay(store, admin, error) : status;
}

enum status store_delete_user(struct store *store, const char *name, int64_t now_ms, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, delete_user(store, name, now_ms, error), error);
    return status;
}

enum status store_has_admin(struct store *store, bool *has, struct error *error)
{
    int64_t found;
    enum status status = number_read(store, statement_get(store, HAS_ADMIN, error), &found, error);

    if (status == STATUS_OK)
        *has = found != 0;
    return status;
}
