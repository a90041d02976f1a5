#include "service/fields.h"

#include <string.h>

#define AT(member) offsetof(struct packet_capture_request, member)

const struct field request_fields[] = {
    {.name = "node", .kind = FIELD_TEXT, .offset = AT(node), .characters = 64},
    {.name = "node_ip", .kind = FIELD_TEXT, .offset = AT(node_ip), .characters = 45},
    {.name = "cappoint", .kind = FIELD_NAME, .offset = AT(cappoint), .names = &cappoint_names},
    {.name = "capvalue", .kind = FIELD_TEXT, .offset = AT(capvalue), .characters = 256},
    {.name = "capsource", .kind = FIELD_NAME, .offset = AT(capsource), .names = &capsource_names},
    {.name = "direction", .kind = FIELD_NAME, .offset = AT(direction), .names = &direction_names},
    {.name = "filtertype", .kind = FIELD_NAME, .offset = AT(filtertype), .names = &filtertype_names},
    {.name = "capduration", .kind = FIELD_INTEGER, .offset = AT(capduration)},
    {.name = "capamount", .kind = FIELD_INTEGER, .offset = AT(capamount)},
    {.name = "capfilesize", .kind = FIELD_INTEGER, .offset = AT(capfilesize)},
    {.name = "capsnaplen", .kind = FIELD_INTEGER, .offset = AT(capsnaplen)},
    {.name = "caprate", .kind = FIELD_INTEGER, .offset = AT(caprate)},
    {.name = "capcore", .kind = FIELD_INTEGER, .offset = AT(capcore)},
    {.name = "capmode", .kind = FIELD_NAME, .offset = AT(capmode), .names = &capmode_names},
    {.name = "streamaddress", .kind = FIELD_TEXT, .offset = AT(streamaddress), .characters = 64},
    {.name = "streamport", .kind = FIELD_INTEGER, .offset = AT(streamport), .most = 65535},
    {.name = "options", .kind = FIELD_OPTIONS},
    {.name = "name", .kind = FIELD_TEXT, .offset = AT(name), .characters = 255},
    {.name = "description", .kind = FIELD_TEXT, .offset = AT(description), .characters = 1024},
    {.name = "tags", .kind = FIELD_TAGS},
    {.name = "capexpression", .kind = FIELD_TEXT, .offset = AT(capexpression), .characters = 1024},
    {.name = "capformat", .kind = FIELD_NAME, .offset = AT(capformat), .names = &capformat_names},
    {.name = "capfilecount", .kind = FIELD_INTEGER, .offset = AT(capfilecount), .most = FILE_COUNT_MAX},
    {.name = "captureself", .kind = FIELD_FLAG, .offset = AT(captureself)},
};

const size_t request_field_count = sizeof request_fields / sizeof request_fields[0];

const struct field *field_find(const char *name)
{
    for (size_t i = 0; i < request_field_count; i++)
        if (strcmp(request_fields[i].name, name) == 0)
            return &request_fields[i];
    return NULL;
}

const char *field_nearest(const char *misspelt)
{
    const char *names[sizeof request_fields / sizeof request_fields[0]];

    for (size_t i = 0; i < request_field_count; i++)
        names[i] = request_fields[i].name;
    return names_nearest(&(struct names){names, request_field_count}, misspelt);
}
