#include "service/detail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void detail_add(char detail[DETAIL_SIZE], const char *format, ...)
{
    size_t used = strlen(detail);
    va_list arguments;

    if (used > 0 && used + 2 < DETAIL_SIZE) {
        strcpy(detail + used, ", ");
        used += 2;
    }
    va_start(arguments, format);
    vsnprintf(detail + used, DETAIL_SIZE - used, format, arguments);
    va_end(arguments);
}

/* A list with a space for each line break. */
static void detail_add_lines(char detail[DETAIL_SIZE], const char *what, const char *lines)
{
    size_t used = strlen(detail);

    if (lines[0] == '\0')
        detail_add(detail, "no %s", what);
    else
        detail_add(detail, "%s %s", what, lines);
    for (char *c = detail + used; *c != '\0'; c++)
        if (*c == '\n')
            *c = ' ';
}

void detail_add_user(char detail[DETAIL_SIZE], const struct user_request *request)
{
    if (request->role != NULL)
        detail_add(detail, "role %s", request->role);
    if (request->groups != NULL)
        detail_add_lines(detail, "groups", request->groups);
    if (request->password != NULL)
        detail_add(detail, "password");
    if (request->disabled >= 0)
        detail_add(detail, request->disabled ? "disabled" : "enabled");
}

void detail_add_role(char detail[DETAIL_SIZE], const struct role *role)
{
    detail_add(detail, "kind %s", names_of(&role_kind_names, (int)role->kind));
    detail_add_lines(detail, "points", role->policy.points);
}
