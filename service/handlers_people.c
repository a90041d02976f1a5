#include "service/handlers_people.h"

#include "service/codec_people.h"
#include "service/cursor.h"
#include "service/detail.h"
#include "service/handlers_parts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A body that is no JSON at all has no fields to check. */
static bool is_readable(const struct errors *errors)
{
    for (size_t i = 0; i < errors->count; i++)
        if (errors->items[i].code == ERROR_MALFORMED_JSON)
            return false;
    return true;
}

/* ---- what goes on record ---- */

static void about(struct call *call, const char *what)
{
    snprintf(call->about, sizeof call->about, "%.127s", what == NULL ? "" : what);
}

/* ---- users ---- */

static void create_user(struct call *call, struct answer *answer, struct errors *errors)
{
    struct user_body body;
    struct user user;

    codec_decode_user(call->body, call->body_length, &body, errors);
    about(call, body.request.name);
    detail_add_user(call->detail, &body.request);
    if (is_readable(errors) && op_create_user(call->context, &body.request, &user, errors) == STATUS_OK)
        answer->body = codec_encode_user(&user);
}

static void change_user(struct call *call, const char *name, struct answer *answer, struct errors *errors)
{
    struct user_body body;
    struct user user;

    codec_decode_user_change(call->body, call->body_length, name, &body, errors);
    detail_add_user(call->detail, &body.request);
    if (is_readable(errors) && op_change_user(call->context, &body.request, &user, errors) == STATUS_OK)
        answer->body = codec_encode_user(&user);
}

typedef enum status (*user_operation)(const struct context *, const char *, struct user *, struct errors *);

static void one_user(const struct call *call, const char *name, user_operation operation,
                     struct answer *answer, struct errors *errors)
{
    struct user user;

    if (operation(call->context, name, &user, errors) == STATUS_OK)
        answer->body = codec_encode_user(&user);
}

/* ---- roles ---- */

static void put_role(struct call *call, const char *name, struct answer *answer, struct errors *errors)
{
    struct role role;

    codec_decode_role(call->body, call->body_length, name, &role, errors);
    detail_add_role(call->detail, &role);
    if (is_readable(errors) && op_put_role(call->context, &role, errors) == STATUS_OK &&
        op_get_role(call->context, name, &role, errors) == STATUS_OK)
        answer->body = codec_encode_role(&role);
}

typedef enum status (*role_operation)(const struct context *, const char *, struct role *, struct errors *);

static void one_role(const struct call *call, const char *name, role_operation operation,
                     struct answer *answer, struct errors *errors)
{
    struct role role;

    if (operation(call->context, name, &role, errors) == STATUS_OK)
        answer->body = codec_encode_role(&role);
}

/* ---- tokens ---- */

static void create_token(struct call *call, struct answer *answer, struct errors *errors)
{
    struct token_body body;
    struct token token;
    char secret[TOKEN_SECRET_SIZE];

    codec_decode_token(call->body, call->body_length, &body, errors);
    if (is_readable(errors) &&
        op_create_token(call->context, &body.request, &token, secret, errors) == STATUS_OK) {
        about(call, token.id);
        detail_add(call->detail, "of %s", token.user);
        answer->body = codec_encode_token(&token, secret);
    }
}

typedef enum status (*token_operation)(const struct context *, const char *, struct token *, struct errors *);

static void one_token(const struct call *call, const char *id, token_operation operation,
                      struct answer *answer, struct errors *errors)
{
    struct token token;

    if (operation(call->context, id, &token, errors) == STATUS_OK)
        answer->body = codec_encode_token(&token, NULL);
}

/* ---- lists ---- */

static struct people_list *list_open(struct errors *errors)
{
    struct people_list *list = codec_people_open();

    if (list == NULL)
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    return list;
}

static void list_close(struct people_list *list, enum status status, struct answer *answer)
{
    if (status == STATUS_OK)
        answer->body = codec_people_close(list, -1, "");
    else
        codec_people_abandon(list);
}

static void list_users(const struct call *call, struct answer *answer, struct errors *errors)
{
    struct people_list *list = list_open(errors);

    if (list != NULL)
        list_close(list, op_list_users(call->context, codec_people_add_user, list, errors), answer);
}

static void list_roles(const struct call *call, struct answer *answer, struct errors *errors)
{
    struct people_list *list = list_open(errors);

    if (list != NULL)
        list_close(list, op_list_roles(call->context, codec_people_add_role, list, errors), answer);
}

static void list_tokens(const struct call *call, struct answer *answer, struct errors *errors)
{
    const char *user = parameter_find(call, "user");
    struct people_list *list = list_open(errors);

    if (list != NULL)
        list_close(list, op_list_tokens(call->context, user, codec_people_add_token, list, errors), answer);
}

/* ---- the audit ---- */

/* A cursor of this list is "audit KEY". */
static int64_t place_read(const char *cursor, struct errors *errors)
{
    char text[64];
    long long key;
    int used = 0;

    if (cursor == NULL)
        return 0;
    if (cursor_read(cursor, text, sizeof text) && sscanf(text, "audit %lld%n", &key, &used) == 1 && key > 0 &&
        text[used] == '\0')
        return key;
    errors_add(errors, ERROR_BAD_PARAMETER, "cursor", "the cursor is none that this list gave out");
    return 0;
}

static const char *place_write(int64_t key, char *out, size_t size)
{
    char text[64];

    out[0] = '\0';
    if (key == 0)
        return out;
    snprintf(text, sizeof text, "audit %lld", (long long)key);
    cursor_write(text, out, size);
    return out;
}

/* The id as the audit has it, in lower case. */
static const char *session_parameter(const struct call *call, char id[UUID_SIZE], struct errors *errors)
{
    const char *text = parameter_find(call, "session");

    if (text != NULL && !uuid_parse(text, id))
        errors_add(errors, ERROR_BAD_PARAMETER, "session",
                   "session has the value %.64s; it takes the id of a session, a UUID", text);
    return id;
}

static const char *operation_parameter(const struct call *call, struct errors *errors)
{
    const char *text = parameter_find(call, "operation");

    if (text == NULL || names_find(&operation_names, text) >= 0)
        return text == NULL ? "" : text;
    const char *nearest = names_nearest(&operation_names, text);
    errors_add(errors, ERROR_BAD_PARAMETER, "operation", "there is no operation %.64s%s%s", text,
               nearest == NULL ? "" : "; the nearest is ", nearest == NULL ? "" : nearest);
    return "";
}

/* An address as the audit has it: in the shortest form. */
static const char *address_parameter(const struct call *call, char address[CLIENT_ADDRESS_SIZE],
                                     struct errors *errors)
{
    const char *text = parameter_find(call, "address");
    struct in6_addr binary;
    int family = text != NULL && strchr(text, ':') != NULL ? AF_INET6 : AF_INET;

    if (text == NULL)
        return "";
    if (inet_pton(family, text, &binary) == 1)
        return inet_ntop(family, &binary, address, CLIENT_ADDRESS_SIZE);
    errors_add(errors, ERROR_BAD_PARAMETER, "address",
               "address has the value %.64s; it takes an IPv4 or IPv6 address", text);
    return "";
}

static void audit_answer(const struct call *call, const struct audit_query *query, struct answer *answer,
                         struct errors *errors)
{
    struct people_list *list = list_open(errors);
    char cursor[160];
    int64_t total, next;

    if (list == NULL)
        return;
    if (op_list_audit(call->context, query, codec_people_add_audit, list, &total, &next, errors) == STATUS_OK)
        answer->body = codec_people_close(list, total, place_write(next, cursor, sizeof cursor));
    else
        codec_people_abandon(list);
}

static void list_audit(const struct call *call, struct answer *answer, struct errors *errors)
{
    const char *user = parameter_find(call, "user");
    char session[UUID_SIZE] = "", address[CLIENT_ADDRESS_SIZE];
    const struct audit_query query = {
        .user = user == NULL ? "" : user,
        .operation = operation_parameter(call, errors),
        .session = session_parameter(call, session, errors),
        .address = address_parameter(call, address, errors),
        .since_ms = parameter_integer(call, "since", 0, 0, INT64_MAX, errors),
        .until_ms = parameter_integer(call, "until", 0, 0, INT64_MAX, errors),
        .before_key = place_read(parameter_find(call, "cursor"), errors),
        .page_size = (int32_t)parameter_integer(call, "page_size", 100, 1, 1000, errors),
    };

    if (errors->count == 0)
        audit_answer(call, &query, answer, errors);
}

/* ---- whose a session is ---- */

static void share(struct call *call, const char *id, bool on, struct answer *answer, struct errors *errors)
{
    struct session *session = malloc(sizeof *session);
    struct share with;

    codec_decode_share(call->body, call->body_length, &with, errors);
    about(call, with.name);
    detail_add(call->detail, "%s", names_of(&share_kind_names, (int)with.kind));
    if (session == NULL)
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    else if (errors->count == 0 &&
             op_share_session(call->context, id, &with, on, session, errors) == STATUS_OK)
        answer->body = session_text(call, session, errors);
    free(session);
}

static void transfer(struct call *call, const char *id, struct answer *answer, struct errors *errors)
{
    struct session *session = malloc(sizeof *session);
    char owner[UTF8_SIZE(64)];

    codec_decode_owner(call->body, call->body_length, owner, errors);
    about(call, owner);
    if (session == NULL)
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    else if (errors->count == 0 &&
             op_transfer_session(call->context, id, owner, session, errors) == STATUS_OK)
        answer->body = session_text(call, session, errors);
    free(session);
}

/* ---- who asks ---- */

static void whoami(const struct call *call, struct answer *answer, struct errors *errors)
{
    struct usage usage;

    if (op_get_usage(call->context, &usage, errors) == STATUS_OK)
        answer->body = codec_encode_whoami(call->context->who, &usage);
}

void people_dispatch(struct call *call, const struct route_match *match, struct answer *answer,
                     struct errors *errors)
{
    const char *id = match->id;

    switch ((int)match->route->operation) {
    case OPERATION_SHARE_SESSION:
        share(call, id, true, answer, errors);
        break;
    case OPERATION_UNSHARE_SESSION:
        share(call, id, false, answer, errors);
        break;
    case OPERATION_TRANSFER_SESSION:
        transfer(call, id, answer, errors);
        break;
    case OPERATION_WHOAMI:
        whoami(call, answer, errors);
        break;
    case OPERATION_CREATE_TOKEN:
        create_token(call, answer, errors);
        break;
    case OPERATION_LIST_TOKENS:
        list_tokens(call, answer, errors);
        break;
    case OPERATION_GET_TOKEN:
        one_token(call, id, op_get_token, answer, errors);
        break;
    case OPERATION_REVOKE_TOKEN:
        one_token(call, id, op_revoke_token, answer, errors);
        break;
    case OPERATION_CREATE_USER:
        create_user(call, answer, errors);
        break;
    case OPERATION_LIST_USERS:
        list_users(call, answer, errors);
        break;
    case OPERATION_GET_USER:
        one_user(call, id, op_get_user, answer, errors);
        break;
    case OPERATION_CHANGE_USER:
        change_user(call, id, answer, errors);
        break;
    case OPERATION_DELETE_USER:
        one_user(call, id, op_delete_user, answer, errors);
        break;
    case OPERATION_LIST_ROLES:
        list_roles(call, answer, errors);
        break;
    case OPERATION_GET_ROLE:
        one_role(call, id, op_get_role, answer, errors);
        break;
    case OPERATION_PUT_ROLE:
        put_role(call, id, answer, errors);
        break;
    case OPERATION_DELETE_ROLE:
        one_role(call, id, op_delete_role, answer, errors);
        break;
    case OPERATION_LIST_AUDIT:
        list_audit(call, answer, errors);
        break;
    default: /* the other half has them */
        errors_add(errors, ERROR_NO_SUCH_PATH, NULL, "there is no path %.128s", match->route->path);
    }
}
