#include "service/handlers_parts.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *parameter_find(const struct call *call, const char *name)
{
    for (size_t i = 0; i < call->parameter_count; i++)
        if (strcmp(call->parameters[i].name, name) == 0)
            return call->parameters[i].value;
    return NULL;
}

void parameters_check(const struct call *call, const struct route *route, struct errors *errors)
{
    char list[128] = "";
    size_t used = 0;

    for (size_t i = 0; route->parameters[i] != NULL; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i == 0 ? "; it takes " : ", ",
                                 route->parameters[i]);
    for (size_t i = 0; i < call->parameter_count; i++) {
        const char *name = call->parameters[i].name;
        if (!route_takes(route, name))
            errors_add(errors, ERROR_UNKNOWN_PARAMETER, name, "this path takes no query parameter %.64s%s",
                       name, list);
        for (size_t j = 0; j < i; j++)
            if (strcmp(call->parameters[j].name, name) == 0)
                errors_add(errors, ERROR_BAD_PARAMETER, name, "the query parameter %.64s is given twice",
                           name);
    }
}

int64_t parameter_integer(const struct call *call, const char *name, int64_t absent, int64_t least,
                          int64_t most, struct errors *errors)
{
    const char *text = parameter_find(call, name);
    char *end;

    if (text == NULL)
        return absent;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno == 0 && isdigit((unsigned char)text[0]) && *end == '\0' && value >= least && value <= most)
        return value;
    errors_add(errors, ERROR_BAD_PARAMETER, name,
               "%s has the value %.64s; it takes an integer from %lld to %lld", name, text, (long long)least,
               (long long)most);
    return absent;
}

bool parameter_boolean(const struct call *call, const char *name, bool absent, struct errors *errors)
{
    const char *text = parameter_find(call, name);

    if (text == NULL)
        return absent;
    if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0)
        errors_add(errors, ERROR_BAD_PARAMETER, name, "%s has the value %.64s; it takes true or false", name,
                   text);
    return strcasecmp(text, "true") == 0;
}
