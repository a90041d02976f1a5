#include "service/http_range.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Reads decimal digits; -1 if there are none. */
static int64_t number_read(const char **at)
{
    if (!isdigit((unsigned char)**at))
        return -1;
    char *end;
    int64_t number = strtoll(*at, &end, 10); /* saturates, which serves */
    *at = end;
    return number;
}

static enum range_kind suffix(int64_t length, int64_t size, int64_t *first, int64_t *last)
{
    if (length == 0 || size == 0)
        return RANGE_UNSATISFIABLE;
    *first = length > size ? 0 : size - length;
    *last = size - 1;
    return RANGE_PART;
}

enum range_kind range_parse(const char *header, int64_t size, int64_t *first, int64_t *last)
{
    static const char UNIT[] = "bytes=";

    if (header == NULL || strncasecmp(header, UNIT, sizeof UNIT - 1) != 0)
        return RANGE_WHOLE;
    const char *at = header + sizeof UNIT - 1;
    at += strspn(at, " \t");
    int64_t from = number_read(&at);
    if (*at++ != '-')
        return RANGE_WHOLE;
    int64_t to = number_read(&at);
    at += strspn(at, " \t");
    if (*at != '\0' || (from < 0 && to < 0) || (from >= 0 && to >= 0 && to < from))
        return RANGE_WHOLE;
    if (from < 0)
        return suffix(to, size, first, last);
    if (from >= size)
        return RANGE_UNSATISFIABLE;
    *first = from;
    *last = to < 0 || to >= size ? size - 1 : to;
    return RANGE_PART;
}
