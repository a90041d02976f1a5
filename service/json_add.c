#include "service/json_add.h"

#include <string.h>

void json_add(struct json_object *object, const char *key, struct json_object *value)
{
    json_object_object_add_ex(object, key, value,
                              JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY);
}

void json_add_text(struct json_object *object, const char *key, const char *text)
{
    if (text[0] != '\0')
        json_add(object, key, json_object_new_string(text));
}

void json_add_integer(struct json_object *object, const char *key, int64_t value)
{
    json_add(object, key, json_object_new_int64(value));
}

char *json_text_of(struct json_object *object)
{
    const char *text =
        json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    char *copy = text == NULL ? NULL : strdup(text);

    json_object_put(object);
    return copy;
}
