#include "service/json_read.h"

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

void json_wrong_type(const char *field, const struct json_object *value, const char *right,
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

/* json-c lets overlong forms and surrogates pass, which no client could read back. */
const char *json_read_string(const char *field, struct json_object *value, struct errors *errors)
{
    if (!json_object_is_type(value, json_type_string)) {
        json_wrong_type(field, value, "a string", errors);
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

bool json_read_text(const char *field, struct json_object *value, size_t characters, char *out,
                    struct errors *errors)
{
    const char *text = json_read_string(field, value, errors);

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

/* What is wrong with the text, if anything. at: where reading ended. */
static void parse_refuse(enum json_tokener_error problem, size_t at, const char *body, size_t length,
                         struct errors *errors)
{
    if (problem == json_tokener_continue)
        errors_add(errors, ERROR_MALFORMED_JSON, NULL,
                   "the body is not JSON: it ends too early, after %zu bytes", length);
    else if (problem != json_tokener_success)
        errors_add(errors, ERROR_MALFORMED_JSON, NULL, "the body is not JSON: %s at byte %zu",
                   json_tokener_error_desc(problem), at);
    else if (at < length && strspn(body + at, " \t\r\n") < length - at)
        errors_add(errors, ERROR_MALFORMED_JSON, NULL,
                   "the body is not JSON: something follows its end at byte %zu", at);
}

/* The whole body must be one JSON value, which may be null: only errors say that it is none. */
static struct json_object *parse(const char *body, size_t length, struct errors *errors)
{
    struct json_tokener *tokener = json_tokener_new_ex(DEPTH_MAX);
    size_t before = errors->count;

    if (tokener == NULL) {
        errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
        return NULL;
    }
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *root = json_tokener_parse_ex(tokener, body, (int)length);
    enum json_tokener_error problem = json_tokener_get_error(tokener);
    size_t at = json_tokener_get_parse_end(tokener);
    /* A bare number or word is only complete when something follows it. */
    if (problem == json_tokener_continue) {
        root = json_tokener_parse_ex(tokener, " ", 1);
        problem = json_tokener_get_error(tokener);
        at = length;
    }
    parse_refuse(problem, at, body, length, errors);
    json_tokener_free(tokener);
    if (errors->count == before)
        return root;
    json_object_put(root);
    return NULL;
}

struct json_object *json_parse_object(const char *body, size_t length, struct errors *errors)
{
    size_t before = errors->count;
    struct json_object *root = parse(body, length, errors);

    if (errors->count > before || json_object_is_type(root, json_type_object))
        return root;
    errors_add(errors, ERROR_MALFORMED_JSON, NULL, "the body is %s; it must be an object", type_name(root));
    json_object_put(root);
    return NULL;
}

void json_unknown_field(const char *name, const char *nearest, struct errors *errors)
{
    if (nearest != NULL)
        errors_add(errors, ERROR_UNKNOWN_FIELD, name, "there is no field %.64s; the nearest is %s", name,
                   nearest);
    else
        errors_add(errors, ERROR_UNKNOWN_FIELD, name, "there is no field %.64s", name);
}
