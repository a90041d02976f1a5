/* The list of capture points as JSON. */
#include "service/codec.h"
#include "service/encode_parts.h"
#include "service/json_add.h"

#include <stdlib.h>

struct points_list {
    struct json_object *results, *namespaces;
};

struct points_list *codec_points_open(void)
{
    struct points_list *list = malloc(sizeof *list);

    if (list != NULL)
        *list = (struct points_list){json_object_new_array(), json_object_new_array()};
    return list;
}

static struct json_object *cappoints_encode(unsigned cappoints)
{
    struct json_object *names = json_object_new_array();

    for (int cappoint = 1; (size_t)cappoint < cappoint_names.count; cappoint++)
        if (cappoints & 1u << cappoint)
            json_object_array_add(names, json_object_new_string(names_of(&cappoint_names, cappoint)));
    return names;
}

static struct json_object *addresses_encode(const struct point_details *details)
{
    struct json_object *addresses = json_object_new_array();

    for (size_t i = 0; i < details->address_count; i++)
        json_object_array_add(addresses, json_object_new_string(details->addresses[i]));
    return addresses;
}

struct json_object *point_encode(const struct point_details *details)
{
    struct json_object *object = json_object_new_object();
    char value[POINT_VALUE_SIZE];

    json_add_text(object, "capvalue", point_value(&details->point, value));
    json_add(object, "cappoints", cappoints_encode(details->point.cappoints));
    json_add_text(object, "name", details->point.name);
    json_add_text(object, "netns", details->point.netns);
    json_add_text(object, "mac", details->mac);
    json_add_text(object, "alias", details->alias);
    json_add_integer(object, "mtu", details->mtu);
    json_add_text(object, "state", details->point.up ? "UP" : "DOWN");
    json_add_text(object, "kind", details->kind);
    json_add_text(object, "master", details->master);
    json_add(object, "addresses", addresses_encode(details));
    return object;
}

void codec_points_add(void *visitor_context, const struct point_details *details)
{
    struct points_list *list = visitor_context;

    json_object_array_add(list->results, point_encode(details));
}

void codec_points_add_netns(void *visitor_context, const char *name, const char *missing)
{
    struct points_list *list = visitor_context;
    struct json_object *object = json_object_new_object();

    json_add_text(object, "name", name);
    json_add(object, "accessible", json_object_new_boolean(missing[0] == '\0'));
    json_add_text(object, "missing", missing);
    json_object_array_add(list->namespaces, object);
}

void codec_points_abandon(struct points_list *list)
{
    json_object_put(list->results);
    json_object_put(list->namespaces);
    free(list);
}

static struct json_object *abilities_encode(const struct broker_abilities *abilities)
{
    struct json_object *object = json_object_new_object();

    json_add(object, "capture", json_object_new_boolean(abilities->capture));
    json_add(object, "netns", json_object_new_boolean(abilities->netns));
    json_add(object, "firewall", json_object_new_boolean(abilities->firewall));
    return object;
}

char *codec_points_close(struct points_list *list, const struct broker_abilities *abilities)
{
    struct json_object *object = json_object_new_object();

    json_add(object, "results", list->results);
    json_add_integer(object, "result_count", (int64_t)json_object_array_length(list->results));
    json_add(object, "namespaces", list->namespaces);
    if (abilities != NULL)
        json_add(object, "abilities", abilities_encode(abilities));
    free(list);
    return json_text_of(object);
}
