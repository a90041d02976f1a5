/* The operations on API tokens: see people.h. */
#include "auth/secrets.h"
#include "core/clock.h"
#include "service/people.h"
#include "service/validate_people.h"

#include <stdio.h>
#include <string.h>

static bool is_admin(const struct context *context)
{
    return context->who->role.kind == ROLE_ADMIN;
}

/* Whose token is meant. */
static const char *user_of(const struct context *context, const char *user)
{
    return user == NULL ? context->who->user : user;
}

static bool may_act_for(const struct context *context, const char *user)
{
    return is_admin(context) || strcmp(context->who->user, user) == 0;
}

/* Tokens belong to a row of the table of users: a caller whom a proxy vouches for may have none. */
static enum status user_check(const struct context *context, const char *user, struct errors *errors)
{
    struct user row;
    struct error error;

    if (store_get_user(context->store, user, &row, &error) == STATUS_OK)
        return STATUS_OK;
    if (error.code != ERROR_NO_SUCH_USER || strcmp(context->who->user, user) != 0)
        return errors_add_user_error(errors, &error, "user");
    errors_add(errors, ERROR_NO_SUCH_USER, "user",
               "%s is known through a proxy only, and has no tokens; an administrator can make the user here",
               user);
    return STATUS_NOT_FOUND;
}

static enum status check_new_token(const struct context *context, const struct token_request *request,
                                   struct errors *errors)
{
    const char *user = user_of(context, request->user);

    /* Else who finds one token could keep others when it is revoked. */
    if (context->who->way == WAY_TOKEN)
        errors_add(errors, ERROR_FORBIDDEN, NULL, "a token makes no tokens; come in with the password");
    else if (!may_act_for(context, user))
        errors_add(errors, ERROR_FORBIDDEN, "user", "only an administrator makes tokens for others");
    if (errors->count > 0)
        return errors->items[0].status;
    validate_person_name("user", user, errors);
    validate_text("name", request->name, sizeof((struct token *)NULL)->name - 1, errors);
    if (request->expires_in_s < 0 || request->expires_in_s > INT32_MAX)
        errors_add(errors, ERROR_OUT_OF_RANGE, "expires_in",
                   "expires_in has the value %lld; it takes seconds from 0 (never) to %d",
                   (long long)request->expires_in_s, INT32_MAX);
    return errors->count > 0 ? errors->items[0].status : user_check(context, user, errors);
}

enum status op_create_token(const struct context *context, const struct token_request *request,
                            struct token *token, char secret[TOKEN_SECRET_SIZE], struct errors *errors)
{
    struct error error;
    enum status status = check_new_token(context, request, errors);

    if (status != STATUS_OK)
        return status;
    *token = (struct token){.created_ms = clock_now_ms()};
    uuid_make(token->id);
    snprintf(token->user, sizeof token->user, "%s", user_of(context, request->user));
    snprintf(token->name, sizeof token->name, "%s", request->name == NULL ? "" : request->name);
    if (request->expires_in_s > 0)
        token->expires_ms = token->created_ms + request->expires_in_s * MS_PER_S;
    secret_make("pktcap_", secret, TOKEN_SECRET_SIZE, token->hash);
    if (store_insert_token(context->store, token, &error) != STATUS_OK)
        return errors_add_user_error(errors, &error, "user");
    return STATUS_OK;
}

/* What is somebody else's is not there, and says so in the same words. */
static enum status no_such_token(const char *id, struct errors *errors)
{
    errors_add(errors, ERROR_NO_SUCH_TOKEN, "id", "there is no token %.64s", id);
    return STATUS_NOT_FOUND;
}

enum status op_get_token(const struct context *context, const char *text, struct token *token,
                         struct errors *errors)
{
    char id[UUID_SIZE];
    struct error error;

    if (!uuid_parse(text, id))
        return no_such_token(text, errors);
    if (store_get_token(context->store, id, token, &error) == STATUS_OK)
        return may_act_for(context, token->user) ? STATUS_OK : no_such_token(text, errors);
    return error.code == ERROR_NO_SUCH_TOKEN ? no_such_token(text, errors) : errors_add_error(errors, &error);
}

enum status op_revoke_token(const struct context *context, const char *text, struct token *token,
                            struct errors *errors)
{
    struct error error;
    enum status status = op_get_token(context, text, token, errors);

    if (status != STATUS_OK)
        return status;
    if (store_revoke_token(context->store, token->id, clock_now_ms(), &error) != STATUS_OK ||
        store_get_token(context->store, token->id, token, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}

enum status op_list_tokens(const struct context *context, const char *user,
                           void (*visit)(void *visitor_context, const struct token *token),
                           void *visitor_context, struct errors *errors)
{
    const char *whose = user_of(context, user);
    bool all = strcmp(whose, "*") == 0;
    struct user row;
    struct error error;

    if (!may_act_for(context, whose)) {
        errors_add(errors, ERROR_FORBIDDEN, "user", "only an administrator lists the tokens of others");
        return STATUS_PERMISSION_DENIED;
    }
    /* A slip in a name must not look like a user without tokens. */
    if (user != NULL && !all && store_get_user(context->store, user, &row, &error) != STATUS_OK)
        return errors_add_user_error(errors, &error, "user");
    if (store_list_tokens(context->store, all ? NULL : whose, visit, visitor_context, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    return STATUS_OK;
}
