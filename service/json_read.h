/* Reading JSON: what the decoders share. Whatever is wrong is an error that names the field. */
#ifndef PKTCAPD_SERVICE_JSON_READ_H
#define PKTCAPD_SERVICE_JSON_READ_H

#include "core/error.h"

#include <json-c/json.h>

/* The body as one JSON object, which the caller puts; NULL, and an error with the position, if it is none. */
struct json_object *json_parse_object(const char *body, size_t length, struct errors *errors);

/* nearest is a known name, or NULL. */
void json_unknown_field(const char *name, const char *nearest, struct errors *errors);

/* right says what the field takes. */
void json_wrong_type(const char *field, const struct json_object *value, const char *right,
                     struct errors *errors);

/* The text of a JSON string, which stays the value's; NULL, and an error, if it is none, or not valid UTF-8.
 */
const char *json_read_string(const char *field, struct json_object *value, struct errors *errors);

/* Copies a JSON string of at most so many characters into out, which has room for them (UTF8_SIZE). */
bool json_read_text(const char *field, struct json_object *value, size_t characters, char *out,
                    struct errors *errors);

#endif
