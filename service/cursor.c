#include "service/cursor.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void cursor_write(const char *place, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (const char *c = place; *c != '\0' && used + 3 <= size; c++)
        used += (size_t)snprintf(out + used, size - used, "%02x", (unsigned char)*c);
}

bool cursor_read(const char *cursor, char *out, size_t size)
{
    size_t length = strlen(cursor) / 2;

    if (strlen(cursor) % 2 != 0 || length >= size)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned byte;
        if (!isxdigit((unsigned char)cursor[2 * i]) || !isxdigit((unsigned char)cursor[2 * i + 1]) ||
            sscanf(cursor + 2 * i, "%2x", &byte) != 1 || byte == 0)
            return false;
        out[i] = (char)byte;
    }
    out[length] = '\0';
    return true;
}
