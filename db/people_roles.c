/* Roles. */
#include "db/people_rows.h"

/* *found says whether there is one. */
static enum status role_read(struct store *store, const char *name, bool *found, struct role *role,
                             struct error *error)
{
    sqlite3_stmt *statement = statement_of(store, GET_ROLE, name, error);

    if (statement == NULL || statement_step(store, statement, found, error) != STATUS_OK)
        return error->status;
    if (*found)
        columns_read(statement, 0, &role_columns, role);
    sqlite3_reset(statement);
    return STATUS_OK;
}

enum status store_get_role(struct store *store, const char *name, struct role *role, struct error *error)
{
    bool found;
    enum status status = role_read(store, name, &found, role, error);

    return status == STATUS_OK && !found ? no_such_role(name, error) : status;
}

enum status store_list_roles(struct store *store, void (*visit)(void *context, const struct role *role),
                             void *context, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, LIST_ROLES, error);
    struct role role;
    enum status status;
    bool row;

    if (statement == NULL)
        return error->status;
    while ((status = columns_step(store, statement, &role_columns, &role, &row, error)) == STATUS_OK && row)
        visit(context, &role);
    return status;
}

static enum status put_role(struct store *store, const struct role *role, struct error *error)
{
    struct role before;
    bool found, admin;
    enum status status = role_read(store, role->name, &found, &before, error);

    if (status == STATUS_OK && found && before.built_in && before.kind != role->kind)
        status = error_set(error, ERROR_BUILT_IN, "kind", "role %.64s is built in and stays of kind %s",
                           role->name, names_of(&role_kind_names, (int)before.kind));
    if (status == STATUS_OK)
        status = admin_can_enter(store, &admin, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *statement = statement_get(store, PUT_ROLE, error);
    if (statement != NULL)
        columns_bind(statement, &role_columns, role);
    status = statement_finish(store, statement, error);
    return status == STATUS_OK ? admin_must_stay(store, admin, error) : status;
}

enum status store_put_role(struct store *store, const struct role *role, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, put_role(store, role, error), error);
    return status;
}

static enum status delete_role(struct store *store, const char *name, struct error *error)
{
    struct role role;
    int64_t users;
    enum status status = store_get_role(store, name, &role, error);

    if (status == STATUS_OK && role.built_in)
        status = error_set(error, ERROR_BUILT_IN, "role", "role %.64s is built in and stays", name);
    if (status == STATUS_OK)
        status = number_read(store, statement_of(store, COUNT_ROLE_USERS, name, error), &users, error);
    if (status == STATUS_OK && users > 0)
        status =
            error_set(error, ERROR_ROLE_IN_USE, "role", "%lld user%s role %.64s; give them another one first",
                      (long long)users, users == 1 ? " has" : "s have", name);
    if (status == STATUS_OK)
        status = statement_finish(store, statement_of(store, DELETE_ROLE, name, error), error);
    return status;
}

enum status store_delete_role(struct store *store, const char *name, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, delete_role(store, name, error), error);
    return status;
}
