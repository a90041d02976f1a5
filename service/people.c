#include "service/people.h"

#include "auth/guard.h"
#include "auth/secrets.h"
#include "core/clock.h"
#include "core/log.h"
#include "host/doorbell.h"
#include "service/validate.h"
#include "service/validate_people.h"

#include <stdio.h>
#include <string.h>

/* Who is here as an administrator may do everything. */
static bool is_admin(const struct context *context)
{
    return context->who->role.kind == ROLE_ADMIN;
}

static bool is_caller(const struct context *context, const char *name)
{
    return strcmp(context->who->user, name) == 0;
}

/* Who finds a token must not be able to make an administrator with a password from it. */
static bool makes_admins(const struct context *context, const struct role *role)
{
    return context->who->way == WAY_TOKEN && role->kind == ROLE_ADMIN;
}

/* A role of the wrong name is one error of several: the client learns all at once. */
static void check_role(const struct context *context, const char *name, struct errors *errors)
{
    struct role role;
    struct error error;

    validate_person_name("role", name, errors);
    if (errors_blame(errors, "role"))
        return;
    if (store_get_role(context->store, name, &role, &error) != STATUS_OK)
        errors_add_error(errors, &error);
    else if (makes_admins(context, &role))
        errors_add(errors, ERROR_FORBIDDEN, "role",
                   "a token makes no administrators, as role %s would; come in with the password", name);
}

enum status errors_add_user_error(struct errors *errors, struct error *error, const char *field)
{
    if (error->code == ERROR_NO_SUCH_USER || error->code == ERROR_EXISTS)
        snprintf(error->field, sizeof error->field, "%s", field);
    return errors_add_error(errors, error);
}

static enum status first_status(const struct errors *errors)
{
    return errors->count == 0 ? STATUS_OK : errors->items[0].status;
}

/* ---- users ---- */

static enum status check_new_user(const struct context *context, const struct user_request *request,
                                  struct errors *errors)
{
    validate_person_name("name", request->name, errors);
    check_role(context, request->role, errors);
    if (request->groups != NULL)
        validate_groups(request->groups, errors);
    if (request->password != NULL)
        validate_password(request->password, request->name, errors);
    if (request->old_password != NULL)
        errors_add(errors, ERROR_CONFLICT, "old_password",
                   "old_password cannot be given here: a new user has none");
    return first_status(errors);
}

enum status op_create_user(const struct context *context, const struct user_request *request,
                           struct user *user, struct errors *errors)
{
    struct error error;
    enum status status = check_new_user(context, request, errors);

    if (status != STATUS_OK)
        return status;
    *user = (struct user){.disabled = request->disabled > 0, .generation = 1, .created_ms = clock_now_ms()};
    snprintf(user->name, sizeof user->name, "%s", request->name);
    snprintf(user->role, sizeof user->role, "%s", request->role);
    snprintf(user->groups, sizeof user->groups, "%s", request->groups == NULL ? "" : request->groups);
    snprintf(user->created_by, sizeof user->created_by, "%s", context->who->user);
    if (request->password != NULL)
        status = secret_hash_password(request->password, user->password_hash, &error);
    if (status == STATUS_OK)
        status = store_insert_user(context->store, user, &error);
    return status == STATUS_OK ? STATUS_OK : errors_add_user_error(errors, &error, "name");
}

enum status op_get_user(const struct context *context, const char *name, struct user *user,
                        struct errors *errors)
{
    struct error error;

    if (store_get_user(context->store, name, user, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

static void forbid(bool given, const char *field, struct errors *errors)
{
    if (given)
        errors_add(errors, ERROR_FORBIDDEN, field, "only an administrator changes %s", field);
}

/* What the caller may not do, whatever the values are. */
static bool check_rights(const struct context *context, const struct user_request *request,
                         struct errors *errors)
{
    size_t before = errors->count;

    if (!is_admin(context)) {
        if (!is_caller(context, request->name))
            errors_add(errors, ERROR_FORBIDDEN, "name", "only an administrator changes other users");
        forbid(request->role != NULL, "role", errors);
        forbid(request->groups != NULL, "groups", errors);
        forbid(request->disabled >= 0, "disabled", errors);
    }
    /* Who finds a token must not be able to make more of it than it is. */
    if (request->password != NULL && context->who->way == WAY_TOKEN)
        errors_add(errors, ERROR_FORBIDDEN, "password",
                   "a token changes no passwords; come in with the password");
    return errors->count == before;
}

/* Guesses are held back as those of a login are. */
static void check_guess(const struct context *context, const struct user *user, const char *password,
                        struct errors *errors)
{
    int wait_s = 0;

    switch (guard_check(context->service->guard, user->name, user, password, context->client->address,
                        clock_monotonic_ms(), &wait_s)) {
    case GUARD_RIGHT:
        break;
    case GUARD_WRONG:
        errors_add(errors, ERROR_BAD_CREDENTIALS, "old_password", "old_password is wrong");
        break;
    case GUARD_WAIT:
        errors_add(errors, ERROR_TOO_MANY_ATTEMPTS, "old_password",
                   "there were too many wrong passwords; try again in %d s", wait_s);
        errors_retry_after(errors, wait_s);
    }
}

/* The old password is asked for where it says that the person is still the one who came in. */
static void check_old_password(const struct context *context, const struct user_request *request,
                               const struct user *user, struct errors *errors)
{
    bool own = is_caller(context, request->name);

    if (request->old_password == NULL) {
        if (request->password != NULL && !is_admin(context))
            errors_add(errors, ERROR_MISSING_FIELD, "old_password",
                       "old_password is required: the password that opens until now");
    } else if (!own || request->password == NULL) {
        errors_add(errors, ERROR_CONFLICT, "old_password",
                   "old_password cannot be given here: it goes with a new password of one's own");
    } else {
        check_guess(context, user, request->old_password, errors);
    }
}

static enum status check_change(const struct context *context, const struct user_request *request,
                                struct user *user, struct errors *errors)
{
    if (!check_rights(context, request, errors) ||
        op_get_user(context, request->name, user, errors) != STATUS_OK)
        return first_status(errors);
    if (request->role != NULL)
        check_role(context, request->role, errors);
    else if (request->disabled == 0 && user->disabled)
        check_role(context, user->role, errors);
    if (request->groups != NULL)
        validate_groups(request->groups, errors);
    if (request->password != NULL)
        validate_password(request->password, request->name, errors);
    if (errors->count == 0) /* a wrong guess is told only when nothing else is wrong */
        check_old_password(context, request, user, errors);
    return first_status(errors);
}

enum status op_change_user(const struct context *context, const struct user_request *request,
                           struct user *user, struct errors *errors)
{
    struct user_change change = {
        .role = request->role, .groups = request->groups, .disabled = request->disabled};
    char hash[PASSWORD_HASH_SIZE];
    struct error error;
    enum status status = check_change(context, request, user, errors);

    if (status != STATUS_OK)
        return status;
    if (request->password != NULL) {
        status = secret_hash_password(request->password, hash, &error);
        change.password_hash = hash;
    }
    /* A change of nothing must not end logins. */
    bool any =
        change.role != NULL || change.groups != NULL || change.password_hash != NULL || change.disabled >= 0;
    if (status == STATUS_OK && any)
        status = store_change_user(context->store, request->name, &change, &error);
    if (status != STATUS_OK)
        return errors_add_error(errors, &error);
    return op_get_user(context, request->name, user, errors);
}

enum status op_delete_user(const struct context *context, const char *name, struct user *user,
                           struct errors *errors)
{
    struct error error;

    if (store_get_user(context->store, name, user, &error) != STATUS_OK ||
        store_delete_user(context->store, name, clock_now_ms(), &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    doorbell_ring(context->service->directory);
    return STATUS_OK;
}

enum status op_list_users(const struct context *context,
                          void (*visit)(void *visitor_context, const struct user *user),
                          void *visitor_context, struct errors *errors)
{
    struct error error;

    if (store_list_users(context->store, visit, visitor_context, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

/* ---- roles ---- */

/* All people of a role become what it becomes. */
static void check_promotion(const struct context *context, const struct role *role, struct errors *errors)
{
    struct role before;
    struct error error;

    if (!makes_admins(context, role))
        return;
    enum status status = store_get_role(context->store, role->name, &before, &error);
    if (status != STATUS_OK && error.code != ERROR_NO_SUCH_ROLE)
        errors_add_error(errors, &error);
    else if (status != STATUS_OK || before.kind != ROLE_ADMIN)
        errors_add(errors, ERROR_FORBIDDEN, "kind",
                   "a token makes no roles of kind admin; come in with the password");
}

enum status op_put_role(const struct context *context, const struct role *role, struct errors *errors)
{
    struct error error;

    validate_role(role, errors);
    if (errors->count == 0)
        check_promotion(context, role, errors);
    if (errors->count > 0)
        return first_status(errors);
    if (store_put_role(context->store, role, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

enum status op_get_role(const struct context *context, const char *name, struct role *role,
                        struct errors *errors)
{
    struct error error;

    if (store_get_role(context->store, name, role, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

enum status op_delete_role(const struct context *context, const char *name, struct role *role,
                           struct errors *errors)
{
    struct error error;

    if (store_get_role(context->store, name, role, &error) != STATUS_OK ||
        store_delete_role(context->store, name, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

enum status op_list_roles(const struct context *context,
                          void (*visit)(void *visitor_context, const struct role *role),
                          void *visitor_context, struct errors *errors)
{
    struct error error;

    if (store_list_roles(context->store, visit, visitor_context, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

/* ---- whose a session is ---- */

/* Whether there may be users that are in no table of ours. */
static bool proxies_assert_users(const struct context *context)
{
    return context->service->config->user_header[0] != '\0';
}

/* A slip in a name would hand a session to nobody, or to whoever gets that name later. */
static void check_person(const struct context *context, const char *name, struct errors *errors)
{
    struct user user;
    struct error error;

    if (errors->count == 0 && store_get_user(context->store, name, &user, &error) != STATUS_OK &&
        (error.code != ERROR_NO_SUCH_USER || !proxies_assert_users(context)))
        (void)errors_add_user_error(errors, &error, "user");
}

static enum status session_read(const struct context *context, const char *id, enum status status,
                                struct error *error, struct session *session, struct errors *errors)
{
    if (status == STATUS_OK)
        status = store_get_session(context->store, id, 0, session, error);
    return status == STATUS_OK ? STATUS_OK : errors_add_error(errors, error);
}

enum status op_share_session(const struct context *context, const char *text, const struct share *share,
                             bool on, struct session *session, struct errors *errors)
{
    bool person = share->kind == SHARE_USER;
    char id[UUID_SIZE];
    struct error error;

    if (!validate_id(text, id, errors))
        return STATUS_NOT_FOUND;
    validate_person_name(person ? "user" : "group", share->name, errors);
    if (on && person)
        check_person(context, share->name, errors);
    if (errors->count > 0)
        return first_status(errors);
    enum status status = store_share_session(context->store, id, owner_of(context->who), share, on,
                                             context->who->user, clock_now_ms(), &error);
    return session_read(context, id, status, &error, session, errors);
}

enum status op_transfer_session(const struct context *context, const char *text, const char *owner,
                                struct session *session, struct errors *errors)
{
    char id[UUID_SIZE];
    struct error error;

    if (!validate_id(text, id, errors))
        return STATUS_NOT_FOUND;
    validate_person_name("user", owner, errors);
    check_person(context, owner, errors);
    if (errors->count > 0)
        return first_status(errors);
    enum status status =
        store_transfer_session(context->store, id, owner, context->who->user, clock_now_ms(), &error);
    if (status == STATUS_OK) /* the quota of a running one is another */
        doorbell_ring(context->service->directory);
    return session_read(context, id, status, &error, session, errors);
}

/* ---- the audit, and what a caller uses ---- */

enum status op_list_audit(const struct context *context, const struct audit_query *query,
                          void (*visit)(void *visitor_context, const struct audit_record *record),
                          void *visitor_context, int64_t *total, int64_t *next, struct errors *errors)
{
    struct error error;

    if (store_list_audit(context->store, query, visit, visitor_context, total, next, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

enum status op_get_usage(const struct context *context, struct usage *usage, struct errors *errors)
{
    struct error error;

    if (store_get_usage(context->store, context->who->user, clock_now_ms() - 3600 * MS_PER_S, usage,
                        &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

/* ---- the first administrator ---- */

static enum status first_check(struct store *store, const char *password, struct error *error)
{
    struct user other;
    enum status status = store_get_user(store, "admin", &other, error);

    if (status == STATUS_OK && other.disabled)
        return error_set(
            error, ERROR_EXISTS, "name",
            "there is no administrator: the user admin is disabled; pktcapd user enable admin ends that");
    if (status == STATUS_OK)
        return error_set(
            error, ERROR_EXISTS, "name",
            "there is no administrator: the user admin has the role %s; pktcapd user role admin admin "
            "changes that",
            other.role);
    if (error->code != ERROR_NO_SUCH_USER)
        return status;
    if (password != NULL && strlen(password) > PASSWORD_MAX)
        return error_set(error, ERROR_OUT_OF_RANGE, "password",
                         "the first administrator's password has %zu bytes; it takes at most %d",
                         strlen(password), PASSWORD_MAX);
    return STATUS_OK;
}

static enum status first_insert(struct store *store, const char *password, struct error *error)
{
    struct user admin = {.name = "admin", .role = "admin", .generation = 1, .created_ms = clock_now_ms()};
    enum status status = secret_hash_password(password, admin.password_hash, error);

    return status == STATUS_OK ? store_insert_user(store, &admin, error) : status;
}

enum status people_begin(struct store *store, const char *password, char printed[TOKEN_SECRET_SIZE],
                         struct error *error)
{
    bool has, given = password != NULL && password[0] != '\0';
    enum status status = store_has_admin(store, &has, error);

    printed[0] = '\0';
    if (status != STATUS_OK || has)
        return status;
    status = first_check(store, given ? password : NULL, error);
    if (status == STATUS_OK && !given)
        secret_make_password(printed, TOKEN_SECRET_SIZE);
    if (status == STATUS_OK && given && strlen(password) < PASSWORD_MIN)
        log_warning("the first administrator's password is shorter than %d bytes; change it", PASSWORD_MIN);
    if (status == STATUS_OK)
        status = first_insert(store, given ? password : printed, error);
    if (status == STATUS_OK)
        return STATUS_OK;
    printed[0] = '\0';
    /* Somebody else began at the same moment: then there is one, and it is theirs. */
    struct error again;
    if (error->code == ERROR_EXISTS && store_has_admin(store, &has, &again) == STATUS_OK && has)
        return STATUS_OK;
    return status;
}
