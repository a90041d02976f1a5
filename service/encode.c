#include "service/codec.h"
#include "service/encode_parts.h"
#include "service/fields.h"
#include "service/json_add.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct json_object *options_encode(const struct packet_capture_request *request)
{
    struct json_object *values = json_object_new_array(), *options = json_object_new_object();

    for (uint32_t i = 0; i < request->option_count; i++) {
        struct json_object *option = json_object_new_object();
        json_add_text(option, "name", names_of(&option_names, (int)request->options[i].name));
        json_add(option, "value", json_object_new_string(request->options[i].value));
        json_object_array_add(values, option);
    }
    json_add(options, "values", values);
    return options;
}

static struct json_object *tags_encode(const struct packet_capture_request *request)
{
    struct json_object *tags = json_object_new_array();

    for (uint32_t i = 0; i < request->tag_count; i++) {
        struct json_object *tag = json_object_new_object();
        json_add(tag, "scope", json_object_new_string(request->tags[i].scope));
        json_add(tag, "tag", json_object_new_string(request->tags[i].tag));
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
        json_add_text(object, field->name, at);
        break;
    case FIELD_INTEGER:
        if (*number != INT_ABSENT)
            json_add_integer(object, field->name, *number);
        break;
    case FIELD_NAME:
        json_add_text(object, field->name, names_of(field->names, *number));
        break;
    case FIELD_FLAG:
        if (*number != INT_ABSENT)
            json_add(object, field->name, json_object_new_boolean(*number));
        break;
    case FIELD_OPTIONS:
        if (request->has_options)
            json_add(object, field->name, options_encode(request));
        break;
    case FIELD_TAGS:
        if (request->tag_count > 0)
            json_add(object, field->name, tags_encode(request));
        break;
    }
}

struct json_object *request_encode(const struct packet_capture_request *request,
                                   const struct session_view *view)
{
    struct json_object *object = json_object_new_object();

    for (size_t i = 0; i < request_field_count; i++)
        if (request_fields[i].offset == offsetof(struct packet_capture_request, cappoint) &&
            request->cappoint == CAPPOINT_SEGMENTPORT && !view->policy)
            json_add_text(object, "cappoint", names_of(&cappoint_names, CAPPOINT_LOGICALPORT));
        else
            field_encode(object, &request_fields[i], request);
    return object;
}

struct json_object *limits_encode(const struct limits *limits, const struct packet_capture_request *request)
{
    struct json_object *object = json_object_new_object();

    json_add_integer(object, "capduration", limits->duration_s);
    if (limits->packets != 0)
        json_add_integer(object, "capamount", limits->packets);
    if (request->capmode != CAPMODE_STREAM)
        json_add_integer(object, "capfilesize", limits->file_size_mb);
    if (request->capfilecount > 0)
        json_add_integer(object, "capfilecount", request->capfilecount);
    json_add_integer(object, "capsnaplen", limits->snaplen);
    if (request->caprate > 0)
        json_add_integer(object, "caprate", request->caprate);
    return object;
}

static struct json_object *runtime_encode(const struct session *session)
{
    struct json_object *object = json_object_new_object();
    const struct run *run = &session->run;

    json_add_text(object, "node", session->node_id);
    if (run->started_ms != 0)
        json_add_integer(object, "started", run->started_ms);
    json_add_integer(object, "run", run->number);
    json_add_integer(object, "packets_captured", run->counters.packets_captured);
    json_add_integer(object, "packets_dropped", run->counters.packets_dropped);
    json_add_integer(object, "packets_dropped_interface", run->counters.packets_dropped_interface);
    json_add_integer(object, "packets_skipped", run->counters.packets_skipped);
    json_add_integer(object, "bytes_captured", run->counters.bytes_captured);
    if (session->request.capfilecount > 0)
        json_add_integer(object, "packets_overwritten", run->counters.packets_overwritten);
    if (session->request.capmode == CAPMODE_STREAM) {
        json_add_integer(object, "packets_streamed", run->counters.packets_streamed);
        json_add_integer(object, "packets_unsent", run->counters.packets_unsent);
        json_add_integer(object, "packets_fragmented", run->counters.packets_fragmented);
    }
    return object;
}

static void file_encode(struct json_object *object, const struct run *run, const char *data_dir)
{
    char location[1200];

    if (run->file[0] != '\0') {
        snprintf(location, sizeof location, "%s/%s", data_dir, run->file);
        json_add_text(object, "filelocation", location);
    }
    /* NSX's filesize is an int32, and its Java clients refuse more. */
    json_add_integer(object, "filesize",
                     run->counters.file_size > INT32_MAX ? INT32_MAX : run->counters.file_size);
    json_add_integer(object, "filesize_bytes", run->counters.file_size);
}

static void run_encode(struct json_object *object, const struct session *session, const char *data_dir)
{
    const struct run *run = &session->run;

    json_add_text(object, "sessionstatus", names_of(&session_state_names, (int)run->state));
    json_add_text(object, "stop_reason", names_of(&stop_reason_names, (int)run->stop_reason));
    json_add_text(object, "errormsg", run->errormsg);
    json_add_integer(object, "starttime", session->create_time_ms);
    if (run->ended_ms != 0)
        json_add_integer(object, "endtime", run->ended_ms);
    file_encode(object, run, data_dir);
    json_add(object, "runtime", runtime_encode(session));
}

/* NSX ManagedResource */
static void resource_encode(struct json_object *object, const struct session *session, const char *name)
{
    json_add_text(object, "id", session->id);
    json_add_text(object, "display_name", name);
    json_add_text(object, "description", session->request.description);
    if (session->request.tag_count > 0)
        json_add(object, "tags", tags_encode(&session->request));
    json_add_text(object, "resource_type", "PacketCaptureSession");
    json_add_text(object, "_create_user", session->create_user);
    json_add_integer(object, "_create_time", session->create_time_ms);
    json_add_text(object, "_last_modified_user", session->last_modified_user);
    json_add_integer(object, "_last_modified_time", session->last_modified_time_ms);
    json_add_integer(object, "_revision", session->revision);
    json_add_text(object, "_protection", "NOT_PROTECTED");
}

static struct json_object *shares_encode(const struct session *session)
{
    struct json_object *array = json_object_new_array();

    for (uint32_t i = 0; i < session->share_count; i++) {
        struct json_object *share = json_object_new_object();
        json_add_text(share, names_of(&share_kind_names, (int)session->shares[i].kind),
                      session->shares[i].name);
        json_object_array_add(array, share);
    }
    return array;
}

static struct json_object *session_encode(const struct session *session, const struct session_view *view)
{
    struct json_object *object = json_object_new_object();
    const char *name = session->request.name[0] == '\0' ? session->id : session->request.name;

    json_add_text(object, "sessionid", session->id);
    json_add_text(object, "sessionname", name);
    json_add_text(object, "owner", session->owner);
    if (session->share_count > 0)
        json_add(object, "shared_with", shares_encode(session));
    run_encode(object, session, view->data_dir);
    json_add(object, "limits", limits_encode(&session->limits, &session->request));
    json_add(object, "request", request_encode(&session->request, view));
    resource_encode(object, session, name);
    return object;
}

struct file_list {
    struct json_object *array;
};

struct file_list *codec_files_open(void)
{
    struct file_list *files = malloc(sizeof *files);

    if (files != NULL)
        files->array = json_object_new_array();
    return files;
}

static void file_add(struct json_object *array, const struct run_file *file)
{
    struct json_object *object = json_object_new_object();

    json_add_integer(object, "file", file->number);
    json_add_integer(object, "filesize", file->file_size);
    json_add_integer(object, "packets", file->packets);
    json_object_array_add(array, object);
}

void codec_files_add(void *visitor_context, const struct run_file *file)
{
    const struct file_list *files = visitor_context;

    file_add(files->array, file);
}

void codec_files_close(struct file_list *files)
{
    json_object_put(files->array);
    free(files);
}

char *codec_encode_session(const struct session *session, const struct session_view *view)
{
    struct json_object *object = session_encode(session, view);

    if (view->files != NULL && json_object_array_length(view->files->array) > 0)
        json_add(object, "files", json_object_get(view->files->array));
    return json_text_of(object);
}

/* NSX RelatedApiError */
static void error_encode(struct json_object *object, const struct error *error)
{
    char details[96];

    json_add_integer(object, "error_code", error->code);
    json_add_text(object, "module_name", "PacketCapture");
    json_add_text(object, "error_message", error->message);
    if (error->field[0] == '\0')
        return;
    snprintf(details, sizeof details, "field %s", error->field);
    json_add_text(object, "details", details);
    struct json_object *data = json_object_new_object();
    json_add_text(data, "field", error->field);
    json_add(object, "error_data", data);
}

char *codec_encode_errors(const struct errors *errors, const char *http_status)
{
    struct json_object *object = json_object_new_object(), *related = json_object_new_array();

    json_add_text(object, "httpStatus", http_status);
    error_encode(object, &errors->items[0]);
    for (size_t i = 0; i < errors->count; i++) {
        struct json_object *one = json_object_new_object();
        error_encode(one, &errors->items[i]);
        json_object_array_add(related, one);
    }
    json_add(object, "related_errors", related);
    return json_text_of(object);
}

struct session_list {
    struct session_view view;
    struct json_object *results;
};

struct session_list *codec_list_open(const struct session_view *view)
{
    struct session_list *list = malloc(sizeof *list);

    if (list != NULL)
        *list = (struct session_list){*view, json_object_new_array()};
    return list;
}

void codec_list_add(void *visitor_context, const struct session *session)
{
    struct session_list *list = visitor_context;

    json_object_array_add(list->results, session_encode(session, &list->view));
}

void codec_list_add_file(void *visitor_context, const struct run_file *file)
{
    struct session_list *list = visitor_context;
    struct json_object *last =
        json_object_array_get_idx(list->results, json_object_array_length(list->results) - 1);
    struct json_object *files = json_object_object_get(last, "files");

    if (files == NULL)
        json_add(last, "files", files = json_object_new_array());
    file_add(files, file);
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

    json_add(object, "results", list->results);
    json_add_integer(object, "result_count", total);
    json_add_text(object, "cursor", cursor);
    json_add_text(object, "sort_by", sort_by);
    json_add(object, "sort_ascending", json_object_new_boolean(sort_ascending));
    free(list);
    return json_text_of(object);
}
