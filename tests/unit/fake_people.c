/* The fake store's people: rows in arrays, found and changed as they are, without the rules about them. */
#include "fake_store.h"

#include <stdlib.h>
#include <string.h>

/* The row of this name or id, which every record here begins with; NULL if there is none. */
static void *row_find(void *rows, size_t size, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp((char *)rows + size * i, name) == 0)
            return (char *)rows + size * i;
    return NULL;
}

static struct user *user_find(struct store *store, const char *name)
{
    return row_find(store->users, sizeof store->users[0], store->user_count, name);
}

static struct role *role_find(struct store *store, const char *name)
{
    return row_find(store->roles, sizeof store->roles[0], store->role_count, name);
}

static struct token *token_find(struct store *store, const char *id)
{
    return row_find(store->tokens, sizeof store->tokens[0], store->token_count, id);
}

static bool fails(const struct store *store, struct error *error)
{
    if (store->people_fail != 0)
        error_set(error, store->people_fail, NULL, "the store was told to fail");
    return store->people_fail != 0;
}

static void *row_new(void *rows, size_t size, size_t *count)
{
    if (*count == FAKE_PEOPLE_MAX)
        abort();
    return (char *)rows + size * (*count)++;
}

static void row_remove(void *rows, size_t size, size_t *count, void *row)
{
    char *end = (char *)rows + size * *count, *next = (char *)row + size;

    memmove(row, next, (size_t)(end - next));
    --*count;
}

/* ---- users ---- */

enum status store_insert_user(struct store *store, const struct user *user, struct error *error)
{
    if (fails(store, error))
        return error->status;
    if (user_find(store, user->name) != NULL)
        return error_set(error, ERROR_EXISTS, "username", "there is a user %s already", user->name);
    *(struct user *)row_new(store->users, sizeof *user, &store->user_count) = *user;
    return STATUS_OK;
}

enum status store_get_user(struct store *store, const char *name, struct user *user, struct error *error)
{
    const struct user *found = user_find(store, name);

    if (fails(store, error))
        return error->status;
    if (found == NULL)
        return error_set(error, ERROR_NO_SUCH_USER, "username", "there is no user %s", name);
    *user = *found;
    return STATUS_OK;
}

enum status store_get_user_role(struct store *store, const char *name, struct user *user, struct role *role,
                                struct error *error)
{
    enum status status = store_get_user(store, name, user, error);

    return status == STATUS_OK ? store_get_role(store, user->role, role, error) : status;
}

enum status store_list_users(struct store *store, void (*visit)(void *context, const struct user *user),
                             void *context, struct error *error)
{
    if (fails(store, error))
        return error->status;
    for (size_t i = 0; i < store->user_count; i++)
        visit(context, &store->users[i]);
    return STATUS_OK;
}

static void text_set(char *out, size_t size, const char *text)
{
    if (text != NULL)
        strncpy(out, text, size - 1);
}

enum status store_change_user(struct store *store, const char *name, const struct user_change *change,
                              struct error *error)
{
    struct user *user = user_find(store, name);

    if (fails(store, error))
        return error->status;
    if (user == NULL)
        return error_set(error, ERROR_NO_SUCH_USER, "username", "there is no user %s", name);
    text_set(user->role, sizeof user->role, change->role);
    text_set(user->groups, sizeof user->groups, change->groups);
    text_set(user->password_hash, sizeof user->password_hash, change->password_hash);
    if (change->disabled >= 0)
        user->disabled = change->disabled != 0;
    user->generation++;
    return STATUS_OK;
}

enum status store_delete_user(struct store *store, const char *name, int64_t now_ms, struct error *error)
{
    (void)now_ms;
    struct user *user = user_find(store, name);

    if (fails(store, error))
        return error->status;
    if (user == NULL)
        return error_set(error, ERROR_NO_SUCH_USER, "username", "there is no user %s", name);
    row_remove(store->users, sizeof *user, &store->user_count, user);
    return STATUS_OK;
}

enum status store_has_admin(struct store *store, bool *has, struct error *error)
{
    if (fails(store, error))
        return error->status;
    *has = false;
    for (size_t i = 0; i < store->user_count; i++)
        *has = *has || (!store->users[i].disabled && strcmp(store->users[i].role, "admin") == 0);
    return STATUS_OK;
}

/* ---- roles ---- */

enum status store_get_role(struct store *store, const char *name, struct role *role, struct error *error)
{
    const struct role *found = role_find(store, name);

    if (fails(store, error))
        return error->status;
    if (found == NULL)
        return error_set(error, ERROR_NO_SUCH_ROLE, "role", "there is no role %s", name);
    *role = *found;
    return STATUS_OK;
}

enum status store_list_roles(struct store *store, void (*visit)(void *context, const struct role *role),
                             void *context, struct error *error)
{
    if (fails(store, error))
        return error->status;
    for (size_t i = 0; i < store->role_count; i++)
        visit(context, &store->roles[i]);
    return STATUS_OK;
}

enum status store_put_role(struct store *store, const struct role *role, struct error *error)
{
    struct role *found = role_find(store, role->name);

    if (fails(store, error))
        return error->status;
    if (found == NULL)
        found = row_new(store->roles, sizeof *role, &store->role_count);
    *found = *role;
    return STATUS_OK;
}

enum status store_delete_role(struct store *store, const char *name, struct error *error)
{
    struct role *role = role_find(store, name);

    if (fails(store, error))
        return error->status;
    if (role == NULL)
        return error_set(error, ERROR_NO_SUCH_ROLE, "role", "there is no role %s", name);
    row_remove(store->roles, sizeof *role, &store->role_count, role);
    return STATUS_OK;
}

/* ---- tokens and logins ---- */

enum status store_insert_token(struct store *store, const struct token *token, struct error *error)
{
    if (fails(store, error))
        return error->status;
    *(struct token *)row_new(store->tokens, sizeof *token, &store->token_count) = *token;
    return STATUS_OK;
}

enum status store_find_token(struct store *store, const uint8_t hash[SECRET_HASH_SIZE], bool *found,
                             struct token *token, struct user *user, struct role *role, struct error *error)
{
    if (fails(store, error))
        return error->status;
    *found = false;
    for (size_t i = 0; i < store->token_count && !*found; i++) {
        *token = store->tokens[i];
        *found = memcmp(token->hash, hash, SECRET_HASH_SIZE) == 0;
    }
    return *found ? store_get_user_role(store, token->user, user, role, error) : STATUS_OK;
}

enum status store_get_token(struct store *store, const char *id, struct token *token, struct error *error)
{
    const struct token *found = token_find(store, id);

    if (fails(store, error))
        return error->status;
    if (found == NULL)
        return error_set(error, ERROR_NO_SUCH_TOKEN, "token", "there is no token %s", id);
    *token = *found;
    return STATUS_OK;
}

enum status store_list_tokens(struct store *store, const char *user,
                              void (*visit)(void *context, const struct token *token), void *context,
                              struct error *error)
{
    if (fails(store, error))
        return error->status;
    for (size_t i = 0; i < store->token_count; i++)
        if (user == NULL || strcmp(store->tokens[i].user, user) == 0)
            visit(context, &store->tokens[i]);
    return STATUS_OK;
}

enum status store_revoke_token(struct store *store, const char *id, int64_t now_ms, struct error *error)
{
    struct token *token = token_find(store, id);

    if (fails(store, error))
        return error->status;
    if (token == NULL)
        return error_set(error, ERROR_NO_SUCH_TOKEN, "token", "there is no token %s", id);
    if (token->revoked_ms == 0)
        token->revoked_ms = now_ms;
    return STATUS_OK;
}

enum status store_touch_token(struct store *store, const struct token *token, int64_t now_ms,
                              struct error *error)
{
    struct token *found = token_find(store, token->id);

    if (fails(store, error))
        return error->status;
    if (found != NULL)
        found->used_ms = now_ms;
    return STATUS_OK;
}

static struct login *login_find(struct store *store, const uint8_t hash[SECRET_HASH_SIZE])
{
    for (size_t i = 0; i < store->login_count; i++)
        if (memcmp(store->logins[i].hash, hash, SECRET_HASH_SIZE) == 0)
            return &store->logins[i];
    return NULL;
}

enum status store_insert_login(struct store *store, const struct login *login, int64_t most, int64_t stale_ms,
                               struct error *error)
{
    (void)most, (void)stale_ms;
    if (fails(store, error))
        return error->status;
    *(struct login *)row_new(store->logins, sizeof *login, &store->login_count) = *login;
    return STATUS_OK;
}

enum status store_find_login(struct store *store, const uint8_t hash[SECRET_HASH_SIZE], bool *found,
                             struct login *login, struct user *user, struct role *role, struct error *error)
{
    const struct login *row = login_find(store, hash);

    if (fails(store, error))
        return error->status;
    *found = row != NULL;
    if (row == NULL)
        return STATUS_OK;
    *login = *row;
    return store_get_user_role(store, row->user, user, role, error);
}

enum status store_touch_login(struct store *store, const struct login *login, int64_t now_ms,
                              struct error *error)
{
    struct login *row = login_find(store, login->hash);

    if (fails(store, error))
        return error->status;
    if (row != NULL)
        row->used_ms = now_ms;
    return STATUS_OK;
}

enum status store_delete_login(struct store *store, const uint8_t hash[SECRET_HASH_SIZE], struct error *error)
{
    struct login *row = login_find(store, hash);

    if (fails(store, error))
        return error->status;
    if (row != NULL)
        row_remove(store->logins, sizeof *row, &store->login_count, row);
    return STATUS_OK;
}

/* ---- sessions ---- */

static struct session *session_find(struct store *store, const char *id, struct error *error)
{
    for (size_t i = store->count; i > 0; i--)
        if (strcmp(store->rows[i - 1]->session.id, id) == 0)
            return &store->rows[i - 1]->session;
    error_set(error, ERROR_NO_SUCH_SESSION, "session-id", "there is no capture session %s", id);
    return NULL;
}

enum status store_get_access(struct store *store, const char *id, const char *user, const char *groups,
                             struct session_access *access, struct error *error)
{
    const struct session *session = fails(store, error) ? NULL : session_find(store, id, error);

    if (session == NULL)
        return error->status;
    memcpy(access->owner, session->owner, sizeof access->owner);
    access->shared = fake_store_is_shared(session, user, groups);
    return STATUS_OK;
}

enum status store_share_session(struct store *store, const char *id, const char *owner,
                                const struct share *share, bool on, const char *by, int64_t now_ms,
                                struct error *error)
{
    (void)owner;
    struct session *session = fails(store, error) ? NULL : session_find(store, id, error);
    size_t at = 0, count;

    (void)by, (void)now_ms;
    if (session == NULL)
        return error->status;
    while (at < session->share_count &&
           (session->shares[at].kind != share->kind || strcmp(session->shares[at].name, share->name) != 0))
        at++;
    count = session->share_count;
    if (on && at == count)
        session->shares[session->share_count++] = *share;
    else if (!on && at < count) {
        row_remove(session->shares, sizeof *share, &count, &session->shares[at]);
        session->share_count = (uint32_t)count;
    }
    return STATUS_OK;
}

enum status store_transfer_session(struct store *store, const char *id, const char *owner, const char *by,
                                   int64_t now_ms, struct error *error)
{
    struct session *session = fails(store, error) ? NULL : session_find(store, id, error);

    (void)by, (void)now_ms;
    if (session == NULL)
        return error->status;
    memset(session->owner, 0, sizeof session->owner);
    text_set(session->owner, sizeof session->owner, owner);
    return STATUS_OK;
}

enum status store_get_usage(struct store *store, const char *user, int64_t hour_ms, struct usage *usage,
                            struct error *error)
{
    (void)user, (void)hour_ms;
    if (fails(store, error))
        return error->status;
    *usage = (struct usage){0};
    return STATUS_OK;
}

/* ---- the audit ---- */

enum status store_append_audit(struct store *store, const struct audit_record *record, struct error *error)
{
    if (fails(store, error))
        return error->status;
    if (store->audit_count < FAKE_AUDIT_MAX)
        store->audit[store->audit_count] = *record;
    store->audit_count++;
    return STATUS_OK;
}

enum status store_list_audit(struct store *store, const struct audit_query *query,
                             void (*visit)(void *context, const struct audit_record *record), void *context,
                             int64_t *total, int64_t *last_key, struct error *error)
{
    if (fails(store, error))
        return error->status;
    store->audit_query = *query;
    for (size_t i = store->audit_count; i > 0; i--)
        visit(context, &store->audit[i - 1]);
    *total = (int64_t)store->audit_count;
    *last_key = 0;
    return STATUS_OK;
}
