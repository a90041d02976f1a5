#include "service/codec.h"
#include "service/fields.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Keys are literals, and each is added once. */
enum { ADD = JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY };

static void add(struct json_object *object, const char *key, struct json_object *value)
{
    json_object_object_add_ex(object, key, value, ADD);
}

/* Absent strings are left out. */
static void add_text(struct json_object *object, const char *key, const char *text)
{
    if (text[0] != '\0')
        add(object, key, json_object_new_string(text));
}

static void add_integer(struct json_object *object, const char *key, int64_t value)
{
    add(object, key, json_object_new_int64(value));
}

static struct json_object *options_encode(const struct packet_capture_request *request)
{
    struct json_object *values = json_object_new_array(), *options = json_object_new_object();

    for (uint32_t i = 0; i < request->option_count; i++) {
        struct json_object *option = json_object_new_object();
        add_text(option, "name", names_of(&option_names, (int)request->options[i].name));
        add(option, "value", json_object_new_string(request->options[i].value));
        json_object_array_add(values, option);
    }
    add(options, "values", values);
    return options;
}

static struct json_object *tags_encode(const struct packet_capture_request *request)
{
    struct json_object *tags = json_object_new_array();

    for (uint32_t i = 0; i < request->tag_count; i++) {
        struct json_object *tag = json_object_new_object();
        add(tag, "scope", json_object_new_string(request->tags[i].scope));
        add(tag, "tag", json_object_new_string(request->tags[i].tag));
        json_object_array_add(tags, tag);
    }
    return tags;
}

static void field_encode(struct json_object *object, const struct field *field,
                         const struct packet_capture_request *request)
{
    const char *at = (const char *)request + field->offset;
    const int *number = (const int *)(const void *)at; /* to be read where the field is one */

    switch (field->kind) {
    case FIELD_TEXT:
        add_text(object, field->name, at);
        break;
    case FIELD_INTEGER:
        if (*number != INT_ABSENT)
            add_integer(object, field->name, *number);
        break;
    case FIELD_NAME:
        add_text(object, field->name, names_of(field->names, *number));
        break;
    case FIELD_FLAG:
        if (*number != INT_ABSENT)
            add(object, field->name, json_object_new_boolean(*number));
        break;
    case FIELD_OPTIONS:
        if (request->has_options)
            add(object, field->name, options_encode(request));
        break;
    case FIELD_TAGS:
        if (request->tag_count > 0)
            add(object, field->name, tags_encode(request));
        break;
    }
}

static struct json_object *request_encode(const struct packet_capture_request *request)
{
    struct json_object *object = json_object_new_object();

    for (size_t i = 0; i < request_field_count; i++)
        field_encode(object, &request_fields[i], request);
    return object;
}

static struct json_object *limits_encode(const struct limits *limits)
{
    struct json_object *object = json_object_new_object();

    add_integer(object, "capduration", limits->duration_s);
    if (limits->packets != 0)
        add_integer(object, "capamount", limits->packets);
    add_integer(object, "capfilesize", limits->file_size_mb);
    add_integer(object, "capsnaplen", limits->snaplen);
    return object;
}

static struct json_object *runtime_encode(const struct session *session)
{
    struct json_object *object = json_object_new_object();
    const struct run *run = &session->run;

    add_text(object, "node", session->node_id);
    if (run->started_ms != 0)
        add_integer(object, "started", run->started_ms);
    add_integer(object, "run", run->number);
    add_integer(object, "packets_captured", run->counters.packets_captured);
    add_integer(object, "packets_dropped", run->counters.packets_dropped);
    add_integer(object, "packets_dropped_interface", run->counters.packets_dropped_interface);
    add_integer(object, "packets_skipped", run->counters.packets_skipped);
    add_integer(object, "bytes_captured", run->counters.bytes_captured);
    if (session->request.capmode == CAPMODE_STREAM) {
        add_integer(object, "packets_streamed", run->counters.packets_streamed);
        add_integer(object, "packets_unsent", run->counters.packets_unsent);
        add_integer(object, "packets_fragmented", run->counters.packets_fragmented);
    }
    return object;
}

static void file_encode(struct json_object *object, const struct run *run, const char *data_dir)
{
    char location[1200];

    if (run->file[0] != '\0') {
        snprintf(location, sizeof location, "%s/%s", data_dir, run->file);
        add_text(object, "filelocation", location);
    }
    /* NSX's filesize is an int32, and its Java clients refuse more. */
    add_integer(object, "filesize",
                run->counters.file_size > INT32_MAX ? INT32_MAX : run->counters.file_size);
    add_integer(object, "filesize_bytes", run->counters.file_size);
}

static void run_encode(struct json_object *object, const struct session *session, const char *data_dir)
{
    const struct run *run = &session->run;

    add_text(object, "sessionstatus", names_of(&session_state_names, (int)run->state));
    add_text(object, "stop_reason", names_of(&stop_reason_names, (int)run->stop_reason));
    add_text(object, "errormsg", run->errormsg);
    add_integer(object, "starttime", session->create_time_ms);
    if (run->ended_ms != 0)
        add_integer(object, "endtime", run->ended_ms);
    file_encode(object, run, data_dir);
    add(object, "runtime", runtime_encode(session));
}

/* NSX ManagedResource */
static void resource_encode(struct json_object *object, const struct session *session, const char *name)
{
    add_text(object, "id", session->id);
    add_text(object, "display_name", name);
    add_text(object, "description", session->request.description);
    if (session->request.tag_count > 0)
        add(object, "tags", tags_encode(&session->request));
    add_text(object, "resource_type", "PacketCaptureSession");
    add_text(object, "_create_user", session->create_user);
    add_integer(object, "_create_time", session->create_time_ms);
    add_text(object, "_last_modified_user", session->last_modified_user);
    add_integer(object, "_last_modified_time", session->last_modified_time_ms);
    add_integer(object, "_revision", session->revision);
    add_text(object, "_protection", "NOT_PROTECTED");
}

static struct json_object *session_encode(const struct session *session, const char *data_dir)
{
    struct json_object *object = json_object_new_object();
    const char *name = session->request.name[0] == '\0' ? session->id : session->request.name;

    add_text(object, "sessionid", session->id);
    add_text(object, "sessionname", name);
    run_encode(object, session, data_dir);
    add(object, "limits", limits_encode(&session->limits));
    add(object, "request", request_encode(&session->request));
    resource_encode(object, session, name);
    return object;
}

/* Takes the object over. */
static char *text_of(struct json_object *object)
{
    const char *text =
        json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    char *copy = text == NULL ? NULL : strdup(text);

    json_object_put(object);
    return copy;
}

char *codec_encode_session(const struct session *session, const char *data_dir)
{
    return text_of(session_encode(session, data_dir));
}

/* NSX RelatedApiError */
static void error_encode(struct json_object *object, const struct error *error)
{
    char details[96];

    add_integer(object, "error_code", error->code);
    add_text(object, "module_name", "PacketCapture");
    add_text(object, "error_message", error->message);
    if (error->field[0] == '\0')
        return;
    snprintf(details, sizeof details, "field %s", error->field);
    add_text(object, "details", details);
    struct json_object *data = json_object_new_object();
    add_text(data, "field", error->field);
    add(object, "error_data", data);
}

char *codec_encode_errors(const struct errors *errors, const char *http_status)
{
    struct json_object *object = json_object_new_object(), *related = json_object_new_array();

    add_text(object, "httpStatus", http_status);
    error_encode(object, &errors->items[0]);
    for (size_t i = 0; i < errors->count; i++) {
        struct json_object *one = json_object_new_object();
        error_encode(one, &errors->items[i]);
        json_object_array_add(related, one);
    }
    add(object, "related_errors", related);
    return text_of(object);
}

struct session_list {
    const char *data_dir;
    struct json_object *results;
};

struct session_list *codec_list_open(const char *data_dir)
{
    struct session_list *list = malloc(sizeof *list);

    if (list != NULL)
        *list = (struct session_list){data_dir, json_object_new_array()};
    return list;
}

void codec_list_add(void *visitor_context, const struct session *session)
{
    struct session_list *list = visitor_context;

    json_object_array_add(list->results, session_encode(session, list->data_dir));
}

void codec_list_abandon(struct session_list *list)
{
    json_object_put(list->results);
    free(list);
}

char *codec_list_close(struct session_list *list, int64_t total, const char *cursor, const char *sort_by,
                       bool sort_ascending)
{
    struct json_object *object = json_object_new_object();

    add(object, "results", list->results);
    add_integer(object, "result_count", total);
    add_text(object, "cursor", cursor);
    add_text(object, "sort_by", sort_by);
    add(object, "sort_ascending", json_object_new_boolean(sort_ascending));
    free(list);
    return text_of(object);
}
