#include "http/request.h"

#include <stdio.h>
#include <strings.h>

const char *http_header(const struct http_request *request, const char *name)
{
    for (size_t i = 0; i < request->header_count; i++)
        if (strcasecmp(request->headers[i].name, name) == 0)
            return request->headers[i].value;
    return NULL;
}

bool http_header_list(const struct http_request *request, const char *name, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < request->header_count; i++) {
        if (strcasecmp(request->headers[i].name, name) != 0)
            continue;
        int added =
            snprintf(out + used, size - used, "%s%s", used == 0 ? "" : ", ", request->headers[i].value);
        if (added < 0 || (size_t)added >= size - used)
            return false;
        used += (size_t)added;
    }
    return true;
}
