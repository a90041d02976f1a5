/* People as JSON. */
#include "service/codec_people.h"
#include "service/json_add.h"
#include "service/people_fields.h"

#include <stdlib.h>
#include <string.h>

static void add_flag(struct json_object *object, const char *key, bool value)
{
    json_add(object, key, json_object_new_boolean(value));
}

/* A time that has not come is left out. */
static void add_time(struct json_object *object, const char *key, int64_t time_ms)
{
    if (time_ms != 0)
        json_add_integer(object, key, time_ms);
}

static void add_lines(struct json_object *object, const char *key, const char *lines)
{
    struct json_object *array = json_object_new_array();

    for (const char *at = lines; *at != '\0'; at += *at == '\n') {
        size_t length = strcspn(at, "\n");
        json_object_array_add(array, json_object_new_string_len(at, (int)length));
        at += length;
    }
    json_add(object, key, array);
}

static struct json_object *user_encode(const struct user *user)
{
    struct json_object *object = json_object_new_object();

    json_add_text(object, "name", user->name);
    json_add_text(object, "role", user->role);
    add_lines(object, "groups", user->groups);
    add_flag(object, "disabled", user->disabled);
    json_add_integer(object, "created", user->created_ms);
    json_add_text(object, "created_by", user->created_by);
    return object;
}

static void policy_field_encode(struct json_object *object, const struct policy_field *field,
                                const struct policy *policy)
{
    const char *at = (const char *)policy + field->offset;

    switch (field->kind) {
    case POLICY_NUMBER:
        if (*(const int64_t *)(const void *)at != 0)
            json_add_integer(object, field->name, *(const int64_t *)(const void *)at);
        break;
    case POLICY_FLAG:
        add_flag(object, field->name, *(const bool *)at);
        break;
    case POLICY_LINES:
        add_lines(object, field->name, at);
        break;
    }
}

static struct json_object *policy_encode(const struct policy *policy)
{
    struct json_object *object = json_object_new_object();

    for (size_t i = 0; i < POLICY_FIELDS; i++)
        policy_field_encode(object, &policy_fields[i], policy);
    return object;
}

static struct json_object *role_encode(const struct role *role)
{
    struct json_object *object = json_object_new_object();

    json_add_text(object, "name", role->name);
    json_add_text(object, "kind", names_of(&role_kind_names, (int)role->kind));
    add_flag(object, "built_in", role->built_in);
    json_add(object, "policy", policy_encode(&role->policy));
    return object;
}

static struct json_object *token_encode(const struct token *token)
{
    struct json_object *object = json_object_new_object();

    json_add_text(object, "id", token->id);
    json_add_text(object, "user", token->user);
    json_add_text(object, "name", token->name);
    json_add_integer(object, "created", token->created_ms);
    add_time(object, "expires", token->expires_ms);
    add_time(object, "last_used", token->used_ms);
    add_time(object, "revoked", token->revoked_ms);
    return object;
}

static struct json_object *audit_encode(const struct audit_record *record)
{
    struct json_object *object = json_object_new_object();

    json_add_integer(object, "time", record->time_ms);
    json_add_text(object, "user", record->user);
    json_add_text(object, "way", names_of(&way_names, (int)record->way));
    json_add_text(object, "address", record->address);
    json_add_text(object, "operation", record->operation);
    json_add_text(object, "session", record->session);
    json_add_text(object, "object", record->object);
    json_add_integer(object, "status", record->status);
    if (record->code != 0)
        json_add_integer(object, "error_code", record->code);
    json_add_text(object, "detail", record->detail);
    return object;
}

char *codec_encode_user(const struct user *user)
{
    return json_text_of(user_encode(user));
}

char *codec_encode_role(const struct role *role)
{
    return json_text_of(role_encode(role));
}

char *codec_encode_token(const struct token *token, const char *secret)
{
    struct json_object *object = token_encode(token);

    if (secret != NULL)
        json_add_text(object, "token", secret);
    return json_text_of(object);
}

char *codec_encode_whoami(const struct caller *who, const struct usage *usage)
{
    struct json_object *object = json_object_new_object(), *used = json_object_new_object();

    json_add_text(object, "user", who->user);
    json_add_text(object, "way", names_of(&way_names, (int)who->way));
    json_add_text(object, "role", who->role.name);
    json_add_text(object, "kind", names_of(&role_kind_names, (int)who->role.kind));
    add_lines(object, "groups", who->groups);
    json_add(object, "policy", policy_encode(&who->role.policy));
    json_add_integer(used, "unfinished", usage->unfinished);
    json_add_integer(used, "stored_bytes", usage->stored_bytes);
    json_add_integer(used, "hourly", usage->hourly);
    json_add(object, "usage", used);
    return json_text_of(object);
}

/* ---- lists ---- */

struct people_list {
    struct json_object *results;
};

struct people_list *codec_people_open(void)
{
    struct people_list *list = malloc(sizeof *list);

    if (list != NULL)
        list->results = json_object_new_array();
    return list;
}

static void list_add(void *visitor_context, struct json_object *object)
{
    const struct people_list *list = visitor_context;

    json_object_array_add(list->results, object);
}

void codec_people_add_user(void *visitor_context, const struct user *user)
{
    list_add(visitor_context, user_encode(user));
}

void codec_people_add_role(void *visitor_context, const struct role *role)
{
    list_add(visitor_context, role_encode(role));
}

void codec_people_add_token(void *visitor_context, const struct token *token)
{
    list_add(visitor_context, token_encode(token));
}

void codec_people_add_audit(void *visitor_context, const struct audit_record *record)
{
    list_add(visitor_context, audit_encode(record));
}

void codec_people_abandon(struct people_list *list)
{
    json_object_put(list->results);
    free(list);
}

char *codec_people_close(struct people_list *list, int64_t total, const char *cursor)
{
    struct json_object *object = json_object_new_object();

    json_add(object, "results", list->results);
    json_add_integer(object, "result_count",
                     total < 0 ? (int64_t)json_object_array_length(list->results) : total);
    json_add_text(object, "cursor", cursor);
    free(list);
    return json_text_of(object);
}
