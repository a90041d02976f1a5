/* The helpers of server.h for handlers. */
#include "http/server.h"

#include <stdio.h>
#include <string.h>

bool http_add_header(struct http_response *response, const char *name, const char *value)
{
    size_t used = strlen(response->headers), room = sizeof response->headers - used;

    if (strpbrk(value, "\r\n") != NULL)
        return false;
    int length = snprintf(response->headers + used, room, "%s: %s\r\n", name, value);
    if (length < 0 || (size_t)length >= room) {
        response->headers[used] = '\0';
        return false;
    }
    return true;
}

const char *http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } REASONS[] = {
        {200, "OK"},
        {201, "Created"},
        {206, "Partial Content"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {412, "Precondition Failed"},
        {413, "Payload Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
        {505, "HTTP Version Not Supported"},
    };

    for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++)
        if (REASONS[i].status == status)
            return REASONS[i].reason;
    return "Error";
}
