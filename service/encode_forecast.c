/* The answer to a dry run as JSON. */
#include "service/codec.h"
#include "service/encode_parts.h"
#include "service/json_add.h"

static struct json_object *disk_encode(const struct forecast *forecast)
{
    struct json_object *object = json_object_new_object();

    json_add_integer(object, "wanted_bytes", (int64_t)forecast->wanted_bytes);
    json_add_integer(object, "free_bytes", (int64_t)forecast->free_bytes);
    json_add_integer(object, "reserve_bytes", (int64_t)forecast->reserve_bytes);
    json_add(object, "suffices", json_object_new_boolean(forecast_disk_suffices(forecast)));
    return object;
}

static struct json_object *missing_encode(const struct forecast *forecast)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < forecast->missing_count; i++) {
        struct json_object *one = json_object_new_object();
        json_add_text(one, "what", forecast->missing[i].what);
        json_add_text(one, "why", forecast->missing[i].why);
        json_object_array_add(list, one);
    }
    return list;
}

char *codec_encode_forecast(const struct forecast *forecast, const struct session_view *view)
{
    struct json_object *object = json_object_new_object();

    json_add(object, "dry_run", json_object_new_boolean(true));
    json_add(object, "would_start", json_object_new_boolean(forecast_would_start(forecast)));
    json_add(object, "missing", missing_encode(forecast));
    json_add(object, "limits", limits_encode(&forecast->limits, &forecast->request));
    if (forecast->has_point)
        json_add(object, "point", point_encode(&forecast->point));
    json_add_text(object, "filter", forecast->filter);
    if (forecast->has_disk)
        json_add(object, "disk", disk_encode(forecast));
    json_add(object, "request", request_encode(&forecast->request, view));
    return json_text_of(object);
}
