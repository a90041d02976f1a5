#include "service/codec.h"
#include "service/fields.h"
#include "service/json_read.h"

#include <stdio.h>
#include <string.h>

static void integer_decode(const struct field *field, struct json_object *value, int32_t *out,
                           struct errors *errors)
{
    int32_t most = field->most == 0 ? INT32_MAX : field->most;
    char right[64];

    snprintf(right, sizeof right, "an integer from 0 to %d", most);
    if (!json_object_is_type(value, json_type_int)) {
        json_wrong_type(field->name, value, right, errors);
        return;
    }
    int64_t number = json_object_get_int64(value);
    if (number < 0 || number > most)
        errors_add(errors, ERROR_OUT_OF_RANGE, field->name, "%s has the value %s; it takes %s", field->name,
                   json_object_get_string(value), right);
    else
        *out = (int32_t)number;
}

static void name_refuse(const struct field *field, const char *text, struct errors *errors)
{
    char list[256];

    if (strcmp(field->name, "direction") == 0 && strcasecmp(text, "BOTH") == 0)
        errors_add(errors, ERROR_BAD_VALUE, field->name,
                   "direction has the value %s; for both directions it takes DUAL", text);
    else
        errors_add(errors, ERROR_BAD_VALUE, field->name, "%s has the value %.64s; it takes one of %s",
                   field->name, text, names_list(field->names, list, sizeof list));
}

static void name_decode(const struct field *field, struct json_object *value, int *out, struct errors *errors)
{
    const char *text = json_read_string(field->name, value, errors);

    if (text == NULL)
        return;
    int found = names_find(field->names, text);
    if (found > 0)
        *out = found;
    else
        name_refuse(field, text, errors);
}

static void flag_decode(const struct field *field, struct json_object *value, int32_t *out,
                        struct errors *errors)
{
    if (json_object_is_type(value, json_type_boolean))
        *out = json_object_get_boolean(value);
    else
        json_wrong_type(field->name, value, "true or false", errors);
}

/* ---- options ---- */

static void option_name_refuse(const char *name, struct errors *errors)
{
    const char *nearest = names_nearest(&option_names, name);

    if (nearest != NULL)
        errors_add(errors, ERROR_BAD_VALUE, "options", "there is no option %.64s; the nearest is %s", name,
                   nearest);
    else
        errors_add(errors, ERROR_BAD_VALUE, "options", "there is no option %.64s", name);
}

static void option_decode(struct json_object *value, struct packet_capture_request *request,
                          struct errors *errors)
{
    struct json_object *name = NULL, *text = NULL;
    char name_text[UTF8_SIZE(64)] = "", value_text[UTF8_SIZE(63)] = "";
    const struct capture_option *last = &request->options[OPTIONS_MAX - 1];

    if (!json_object_is_type(value, json_type_object)) {
        json_wrong_type("options", value, "values that are objects with name and value", errors);
        return;
    }
    json_object_object_foreach(value, key, member)
    {
        if (strcmp(key, "name") == 0)
            name = member;
        else if (strcmp(key, "value") == 0)
            text = member;
        else
            errors_add(errors, ERROR_UNKNOWN_FIELD, "options", "an option has name and value, not %.64s",
                       key);
    }
    if (name == NULL || text == NULL) {
        errors_add(errors, ERROR_MISSING_FIELD, "options", "an option needs both name and value");
        return;
    }
    if (!json_read_text("options", name, 64, name_text, errors) ||
        !json_read_text("options", text, 63, value_text, errors))
        return;
    int found = names_find(&option_names, name_text);
    if (found <= 0) {
        option_name_refuse(name_text, errors);
        return;
    }
    struct capture_option *option = &request->options[request->option_count];
    if (option > last) {
        if (!errors_blame(errors, "options"))
            errors_add(errors, ERROR_OUT_OF_RANGE, "options", "options holds more than %d values",
                       OPTIONS_MAX);
        return;
    }
    option->name = (enum option_name)found;
    strcpy(option->value, value_text);
    request->option_count++;
}

static void options_decode(struct json_object *value, struct packet_capture_request *request,
                           struct errors *errors)
{
    /* NSX's ListResult fields, which its own clients send along. */
    static const char *const IGNORED[] = {"cursor", "result_count", "sort_by", "sort_ascending",
                                          "_links", "_schema",      "_self"};
    static const struct names ignored = {IGNORED, sizeof IGNORED / sizeof IGNORED[0]};

    if (!json_object_is_type(value, json_type_object)) {
        json_wrong_type("options", value, "an object with values", errors);
        return;
    }
    request->has_options = true;
    json_object_object_foreach(value, key, member)
    {
        if (strcmp(key, "values") != 0) {
            if (names_find(&ignored, key) < 0)
                errors_add(errors, ERROR_UNKNOWN_FIELD, "options",
                           "options has no field %.64s; it takes values", key);
        } else if (json_object_is_type(member, json_type_array)) {
            for (size_t i = 0; i < json_object_array_length(member); i++)
                option_decode(json_object_array_get_idx(member, i), request, errors);
        } else if (member != NULL) {
            json_wrong_type("options", member, "values that are an array", errors);
        }
    }
}

/* ---- tags ---- */

static void tag_decode(struct json_object *value, struct packet_capture_request *request,
                       struct errors *errors)
{
    struct tag tag = {"", ""};

    if (!json_object_is_type(value, json_type_object)) {
        json_wrong_type("tags", value, "an array of objects with scope and tag", errors);
        return;
    }
    json_object_object_foreach(value, key, member)
    {
        bool known = strcmp(key, "scope") == 0 || strcmp(key, "tag") == 0;
        if (!known)
            errors_add(errors, ERROR_UNKNOWN_FIELD, "tags", "a tag has scope and tag, not %.64s", key);
        else if (member != NULL && strcmp(key, "scope") == 0)
            (void)json_read_text("tags", member, 128, tag.scope, errors);
        else if (member != NULL)
            (void)json_read_text("tags", member, 256, tag.tag, errors);
    }
    if (request->tag_count < TAGS_MAX)
        request->tags[request->tag_count++] = tag;
    else if (!errors_blame(errors, "tags"))
        errors_add(errors, ERROR_OUT_OF_RANGE, "tags", "tags holds more than %d values", TAGS_MAX);
}

static void tags_decode(struct json_object *value, struct packet_capture_request *request,
                        struct errors *errors)
{
    if (!json_object_is_type(value, json_type_array)) {
        json_wrong_type("tags", value, "an array of objects with scope and tag", errors);
        return;
    }
    for (size_t i = 0; i < json_object_array_length(value); i++)
        tag_decode(json_object_array_get_idx(value, i), request, errors);
}

/* ---- the request ---- */

static void field_decode(const struct field *field, struct json_object *value,
                         struct packet_capture_request *request, struct errors *errors)
{
    char *at = (char *)request + field->offset;

    switch (field->kind) {
    case FIELD_TEXT:
        (void)json_read_text(field->name, value, field->characters, at, errors);
        break;
    case FIELD_INTEGER:
        integer_decode(field, value, (int32_t *)(void *)at, errors);
        break;
    case FIELD_NAME:
        name_decode(field, value, (int *)(void *)at, errors);
        break;
    case FIELD_FLAG:
        flag_decode(field, value, (int32_t *)(void *)at, errors);
        break;
    case FIELD_OPTIONS:
        options_decode(value, request, errors);
        break;
    case FIELD_TAGS:
        tags_decode(value, request, errors);
        break;
    }
}

static void request_clear(struct packet_capture_request *request)
{
    memset(request, 0, sizeof *request);
    for (size_t i = 0; i < request_field_count; i++)
        if (request_fields[i].kind == FIELD_INTEGER || request_fields[i].kind == FIELD_FLAG)
            *(int32_t *)(void *)((char *)request + request_fields[i].offset) = INT_ABSENT;
}

void codec_decode_request(const char *body, size_t length, struct packet_capture_request *request,
                          struct errors *errors)
{
    struct json_object *root = json_parse_object(body, length, errors);

    request_clear(request);
    if (root == NULL)
        return;
    json_object_object_foreach(root, name, value)
    {
        const struct field *field = field_find(name);
        if (field == NULL)
            json_unknown_field(name, field_nearest(name), errors);
        else if (value != NULL)
            field_decode(field, value, request, errors);
    }
    json_object_put(root);
}
