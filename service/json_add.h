/* Building JSON objects: what the encoders share. */
#ifndef PKTCAPD_SERVICE_JSON_ADD_H
#define PKTCAPD_SERVICE_JSON_ADD_H

#include <json-c/json.h>
#include <stdint.h>

/* key is a literal, and each is added once. Takes the value over. */
void json_add(struct json_object *object, const char *key, struct json_object *value);

/* Absent (empty) strings are left out. */
void json_add_text(struct json_object *object, const char *key, const char *text);

void json_add_integer(struct json_object *object, const char *key, int64_t value);

/* The text of an object, which it takes over. The caller frees it; NULL if memory is out. */
char *json_text_of(struct json_object *object);

#endif
