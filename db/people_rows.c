#include "db/people_rows.h"

#define COUNTED(list)                                                                                        \
    {                                                                                                        \
        list, sizeof(list) / sizeof((list)[0])                                                               \
    }

#define USER(member)  COLUMN_AT(struct user, member)
#define ROLE(member)  COLUMN_AT(struct role, member)
#define TOKEN(member) COLUMN_AT(struct token, member)
#define LOGIN(member) COLUMN_AT(struct login, member)
#define AUDIT(member) COLUMN_AT(struct audit_record, member)

static const struct column USER_COLUMNS[] = {
    {"u.name", COLUMN_TEXT, USER(name)},
    {"u.role", COLUMN_TEXT, USER(role)},
    {"u.groups", COLUMN_TEXT, USER(groups)},
    {"u.password_hash", COLUMN_TEXT, USER(password_hash)},
    {"u.disabled", COLUMN_FLAG, USER(disabled)},
    /* never again the one of an earlier user of that name */
    {"(u.key << 32) + u.generation", COLUMN_INT64, USER(generation)},
    {"u.created_ms", COLUMN_INT64, USER(created_ms)},
    {"u.created_by", COLUMN_TEXT, USER(created_by)},
};

static const struct column ROLE_COLUMNS[] = {
    {"o.name", COLUMN_TEXT, ROLE(name)},
    {"o.kind", COLUMN_NAME, COLUMN_NAMED(struct role, kind, role_kind_names)},
    {"o.points", COLUMN_TEXT, ROLE(policy.points)},
    {"o.max_duration_s", COLUMN_INT64, ROLE(policy.max_duration_s)},
    {"o.max_file_size_mb", COLUMN_INT64, ROLE(policy.max_file_size_mb)},
    {"o.max_snaplen", COLUMN_INT64, ROLE(policy.max_snaplen)},
    {"o.max_sessions", COLUMN_INT64, ROLE(policy.max_sessions)},
    {"o.max_stored_mb", COLUMN_INT64, ROLE(policy.max_stored_mb)},
    {"o.max_hourly", COLUMN_INT64, ROLE(policy.max_hourly)},
    {"o.stream", COLUMN_FLAG, ROLE(policy.stream)},
    {"o.networks", COLUMN_TEXT, ROLE(policy.networks)},
    {"o.see_others", COLUMN_FLAG, ROLE(policy.see_others)},
    {"o.download_others", COLUMN_FLAG, ROLE(policy.download_others)},
    {"o.built_in", COLUMN_FLAG, ROLE(built_in)},
};

static const struct column TOKEN_COLUMNS[] = {
    {"t.id", COLUMN_TEXT, TOKEN(id)},
    {"u.name", COLUMN_TEXT, TOKEN(user)},
    {"t.name", COLUMN_TEXT, TOKEN(name)},
    {"t.hash", COLUMN_BYTES, TOKEN(hash)},
    {"t.created_ms", COLUMN_INT64, TOKEN(created_ms)},
    {"t.expires_ms", COLUMN_INT64, TOKEN(expires_ms)},
    {"t.revoked_ms", COLUMN_INT64, TOKEN(revoked_ms)},
    {"t.used_ms", COLUMN_INT64, TOKEN(used_ms)},
};

static const struct column LOGIN_COLUMNS[] = {
    {"l.hash", COLUMN_BYTES, LOGIN(hash)},
    {"l.xsrf", COLUMN_BYTES, LOGIN(xsrf)},
    {"u.name", COLUMN_TEXT, LOGIN(user)},
    {"l.generation", COLUMN_INT64, LOGIN(generation)},
    {"l.created_ms", COLUMN_INT64, LOGIN(created_ms)},
    {"l.used_ms", COLUMN_INT64, LOGIN(used_ms)},
};

static const struct column AUDIT_COLUMNS[] = {
    {"a.time_ms", COLUMN_INT64, AUDIT(time_ms)},
    {"a.user", COLUMN_TEXT, AUDIT(user)},
    {"a.way", COLUMN_NAME, COLUMN_NAMED(struct audit_record, way, way_names)},
    {"a.address", COLUMN_TEXT, AUDIT(address)},
    {"a.operation", COLUMN_TEXT, AUDIT(operation)},
    {"a.session", COLUMN_TEXT, AUDIT(session)},
    {"a.object", COLUMN_TEXT, AUDIT(object)},
    {"a.status", COLUMN_INT32, AUDIT(status)},
    {"a.code", COLUMN_INT32, AUDIT(code)},
    {"a.detail", COLUMN_TEXT, AUDIT(detail)},
    {"a.key", COLUMN_INT64, AUDIT(key)},
};

const struct columns user_columns = COUNTED(USER_COLUMNS), role_columns = COUNTED(ROLE_COLUMNS),
                     token_columns = COUNTED(TOKEN_COLUMNS), login_columns = COUNTED(LOGIN_COLUMNS),
                     audit_columns = COUNTED(AUDIT_COLUMNS);

sqlite3_stmt *statement_of(struct store *store, enum statement which, const char *text, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, which, error);

    if (statement != NULL)
        bind_text(statement, 1, text);
    return statement;
}

enum status number_read(struct store *store, sqlite3_stmt *statement, int64_t *number, struct error *error)
{
    bool row;

    if (statement == NULL || statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    *number = row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return STATUS_OK;
}

enum status statement_finish(struct store *store, sqlite3_stmt *statement, struct error *error)
{
    bool row;

    return statement == NULL ? error->status : statement_step(store, statement, &row, error);
}

enum status no_such_user(const char *name, struct error *error)
{
    return error_set(error, ERROR_NO_SUCH_USER, "username", "there is no user %.64s", name);
}

enum status no_such_role(const char *name, struct error *error)
{
    return error_set(error, ERROR_NO_SUCH_ROLE, "role", "there is no role %.64s", name);
}

enum status user_key(struct store *store, const char *name, int64_t *key, struct error *error)
{
    enum status status = number_read(store, statement_of(store, GET_USER_KEY, name, error), key, error);

    return status == STATUS_OK && *key == 0 ? no_such_user(name, error) : status;
}

enum status role_must_be(struct store *store, const char *name, struct error *error)
{
    int64_t found;
    enum status status = number_read(store, statement_of(store, GET_ROLE_EXISTS, name, error), &found, error);

    return status == STATUS_OK && found == 0 ? no_such_role(name, error) : status;
}

enum status admin_can_enter(struct store *store, bool *can, struct error *error)
{
    int64_t found;
    enum status status = number_read(store, statement_get(store, ADMIN_CAN_ENTER, error), &found, error);

    if (status == STATUS_OK)
        *can = found != 0;
    return status;
}

enum status admin_must_stay(struct store *store, bool was, struct error *error)
{
    bool is;
    enum status status = admin_can_enter(store, &is, error);

    if (status == STATUS_OK && was && !is)
        return error_set(error, ERROR_LAST_ADMIN, NULL,
                         "nobody would be left who can log in with a password and has a role of kind admin; "
                         "make another such user first");
    return status;
}
