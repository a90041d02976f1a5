#include "service/target.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that two hex digits stand for; negative if they are none. */
static int pair_read(const char *from)
{
    int high = hex_digit(from[0]), low = hex_digit(from[1]);

    return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* Decodes length bytes into out, which has room for as many and a NUL. False: they cannot be decoded. A slash
 * of a path that is encoded would be one name to a proxy, and two to us. */
static bool decode(const char *from, size_t length, bool is_path, char *out)
{
    size_t used = 0;

    for (size_t i = 0; i < length; i++) {
        int c = (unsigned char)from[i];
        if (c == '%') {
            c = length - i > 2 ? pair_read(from + i + 1) : -1;
            if (c <= 0 || (is_path && c == '/'))
                return false;
            i += 2;
        } else if (c == '+' && !is_path) {
            c = ' ';
        }
        out[used++] = (char)c;
    }
    out[used] = '\0';
    return true;
}

/* NAME=VALUE, or NAME, at `from`, to where *out is; moves *out behind it. */
static bool parameter_read(const char *from, size_t length, char **out, struct parameter *parameter)
{
    const char *equals = memchr(from, '=', length);
    size_t name_length = equals == NULL ? length : (size_t)(equals - from);

    parameter->name = *out;
    if (!decode(from, name_length, false, *out))
        return false;
    *out += strlen(*out) + 1;
    parameter->value = *out;
    if (equals == NULL)
        **out = '\0';
    else if (!decode(equals + 1, length - name_length - 1, false, *out))
        return false;
    *out += strlen(*out) + 1;
    return true;
}

static bool query_read(const char *at, char *out, struct call *call)
{
    while (*at != '\0') {
        size_t length = strcspn(at, "&");
        if (length > 0 && call->parameter_count == PARAMETERS_MAX)
            return false;
        if (length > 0 && !parameter_read(at, length, &out, &call->parameters[call->parameter_count++]))
            return false;
        at += length + (at[length] == '&');
    }
    return true;
}

void target_read(const struct http_request *request, char path[TARGET_SIZE], char query[TARGET_SIZE],
                 struct call *call)
{
    size_t length = strlen(request->path);

    path[0] = '\0';
    if (length >= TARGET_SIZE || strlen(request->query) >= TARGET_SIZE - 2 * PARAMETERS_MAX ||
        !decode(request->path, length, true, path))
        errors_add(&call->errors, ERROR_BAD_REQUEST, NULL,
                   "the address is too long, or holds a NUL character, an encoded slash, or a percent sign "
                   "without two "
                   "hex digits");
    else if (!query_read(request->query, query, call))
        errors_add(&call->errors, ERROR_BAD_PARAMETER, NULL,
                   "the query string cannot be read, or has more than %d parameters", PARAMETERS_MAX);
}
