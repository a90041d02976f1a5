#include "core/people.h"

#include <string.h>

NAMES_DEFINE(
    , role_kind_names, [ROLE_ADMIN] = "admin", [ROLE_OPERATOR] = "operator", [ROLE_AUDITOR] = "auditor");
NAMES_DEFINE(, way_names, [WAY_NONE] = "none", [WAY_BASIC] = "basic", [WAY_COOKIE] = "cookie",
             [WAY_TOKEN] = "token", [WAY_PROXY] = "proxy", [WAY_CONSOLE] = "console");

static const char LETTERS_AND_DIGITS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
static const char NAME_CHARACTERS[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@+";

bool person_name_is_valid(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length < PERSON_NAME_SIZE && strchr(LETTERS_AND_DIGITS, name[0]) != NULL &&
           strspn(name, NAME_CHARACTERS) == length;
}

bool line_is_in(const char *lines, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = lines; *at != '\0'; at += *at == '\n') {
        size_t here = strcspn(at, "\n");
        if (here == length && memcmp(at, name, length) == 0)
            return true;
        at += here;
    }
    return false;
}
