#include "service/codec.h"
#include "service/fields.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 8 };

static const char *type_name(const struct json_object *value)
{
    static const char *const NAMES[] = {
        [json_type_boolean] = "a boolean", [json_type_double] = "a number with a fraction",
        [json_type_int] = "an integer",    [json_type_object] = "an object",
        [json_type_array] = "an array",    [json_type_string] = "a string",
        [json_type_null] = "null",
    };

    return NAMES[json_object_get_type(value)];
}

static void wrong_type(const char *field, const struct json_object *value, const char *right,
                       struct errors *errors)
{
    errors_add(errors, ERROR_WRONG_TYPE, field, "%s is %s; it takes %s", field, type_name(value), right);
}

static size_t utf8_characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* The text of a JSON string, or NULL and an error. json-c lets overlong forms and surrogates pass, which no
 * client could read back. */
static const char *string_read(const char *field, struct json_object *value, struct errors *errors)
{
    if (!json_object_is_type(value, json_type_string)) {
        wrong_type(field, value, "a string", errors);
        return NULL;
    }
    const char *text = json_object_get_string(value);
    if (strlen(text) != (size_t)json_object_get_string_len(value))
        errors_add(errors, ERROR_BAD_VALUE, field, "%s holds a NUL character", field);
    else if (!text_is_utf8(text))
        errors_add(errors, ERROR_BAD_VALUE, field, "%s is not valid UTF-8", field);
    else
        return text;
    return NULL;
}

/* Copies a JSON string of at most so many characters into out, which has room for them. */
static bool text_decode(const char *field, struct json_object *value, size_t characters, char *out,
                        struct errors *errors)
{
    const char *text = string_read(field, value, errors);

    if (text == NULL)
        return false;
    size_t length = utf8_characters(text);
    if (length > characters) {
        errors_add(errors, ERROR_OUT_OF_RANGE, field, "%s has %zu characters; it takes at most %zu", field,
                   length, characters);
        return false;
    }
    strcpy(out, text);
    return true;
}

static void integer_decode(const struct field *field, struct json_object *value, int32_t *out,
                           struct errors *errors)
{
    int32_t most = field->most == 0 ? INT32_MAX : field->most;
    char right[64];

    snprintf(right, sizeof right, "an integer from 0 to %d", most);
    if (!json_object_is_type(value, json_type_int)) {
        wrong_type(field->name, value, right, errors);
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
    const char *text = string_read(field->name, value, errors);

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
        wrong_type(field->name, value, "true or false", errors);
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
        wrong_type("options", value, "values that are objects with name and value", errors);
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
    if (!text_decode("options", name, 64, name_text, errors) ||
        !text_decode("options", text, 63, value_text, errors))
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
        wrong_type("options", value, "an object with values", errors);
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
            wrong_type("options", member, "values that are an array", errors);
        }
    }
}

/* ---- tags ---- */

static void tag_decode(struct json_object *value, struct packet_capture_request *request,
                       struct errors *errors)
{
    struct tag tag = {"", ""};

    if (!json_object_is_type(value, json_type_object)) {
        wrong_type("tags", value, "an array of objects with scope and tag", errors);
        return;
    }
    json_object_object_foreach(value, key, member)
    {
        bool known = strcmp(key, "scope") == 0 || strcmp(key, "tag") == 0;
        if (!known)
            errors_add(errors, ERROR_UNKNOWN_FIELD, "tags", "a tag has scope and tag, not %.64s", key);
        else if (member != NULL && strcmp(key, "scope") == 0)
            (void)text_decode("tags", member, 128, tag.scope, errors);
        else if (member != NULL)
            (void)text_decode("tags", member, 256, tag.tag, errors);
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
        wrong_type("tags", value, "an array of objects with scope and tag", errors);
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
        (void)text_decode(field->name, value, field->characters, at, errors);
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

static void unknown_field(const char *name, struct errors *errors)
{
    const char *nearest = field_nearest(name);

    if (nearest != NULL)
        errors_add(errors, ERROR_UNKNOWN_FIELD, name, "there is no field %.64s; the nearest is %s", name,
                   nearest);
    else
        errors_add(errors, ERROR_UNKNOWN_FIELD, name, "there is no field %.64s", name);
}

/* The whole body must be one JSON value. Returns NULL, and an error with the position, if it is not. */
static struct json_object *parse(const char *body, size_t length, struct errors *errors)
{
    struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    struct json_object *root;

    if (tokener == NULL) {
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
        return NULL;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    root = json_tokener_parse_ex(tokener, body, (int)length);
    enum json_tokener_error problem = json_tokener_get_error(tokener);
    size_t at = json_tokener_get_parse_end(tokener);
    /* A bare number or word is only complete when something follows it. */
    if (problem == json_tokener_continue) {
        root = json_tokener_parse_ex(tokener, " ", 1);
        problem = json_tokener_get_error(tokener);
        at = length;
    }
    if (problem == json_tokener_continue)
        errors_add(errors, ERROR_MALFORMED_JSON, NULL,
                   "the body is not JSON: it ends too early, after %zu bytes", length);
    else if (problem != json_tokener_success)
        errors_add(errors, ERROR_MALFORMED_JSON, NULL, "the body is not JSON: %s at byte %zu",
                   json_tokener_error_desc(problem), at);
    else if (at < length && strspn(body + at, " \t\r\n") < length - at)
        errors_add(errors, ERROR_MALFORMED_JSON, NULL,
                   "the body is not JSON: something follows its end at byte %zu", at);
    json_tokener_free(tokener);
    if (errors->count == 0)
        return root;
    json_object_put(root);
    return NULL;
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
    struct json_object *root = parse(body, length, errors);

    request_clear(request);
    if (errors->count > 0)
        return;
    if (!json_object_is_type(root, json_type_object)) {
        errors_add(errors, ERROR_MALFORMED_JSON, NULL, "the body is %s; it must be an object",
                   type_name(root));
        json_object_put(root);
        return;
    }
    json_object_object_foreach(root, name, value)
    {
        const struct field *field = field_find(name);
        if (field == NULL)
            unknown_field(name, errors);
        else if (value != NULL)
            field_decode(field, value, request, errors);
    }
    json_object_put(root);
}
