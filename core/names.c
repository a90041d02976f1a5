#include "core/names.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

const char *names_of(const struct names *names, int value)
{
    if (value < 0 || (size_t)value >= names->count || names->names[value] == NULL)
        return "";
    return names->names[value];
}

int names_find(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (names->names[i] != NULL && strcmp(names->names[i], name) == 0)
            return (int)i;
    return -1;
}

enum { LONGEST = 64 };

size_t edit_distance(const char *a, const char *b)
{
    size_t row[LONGEST + 1];
    size_t length_a = strnlen(a, LONGEST), length_b = strnlen(b, LONGEST);

    for (size_t j = 0; j <= length_b; j++)
        row[j] = j;
    for (size_t i = 1; i <= length_a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= length_b; j++) {
            size_t change = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            size_t shift = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = change < shift ? change : shift;
        }
    }
    return row[length_b];
}

const char *names_nearest(const struct names *names, const char *misspelt)
{
    const char *nearest = NULL;
    size_t best = strnlen(misspelt, LONGEST) / 3 + 2;

    for (size_t i = 0; i < names->count; i++) {
        if (names->names[i] == NULL)
            continue;
        size_t distance = edit_distance(names->names[i], misspelt);
        if (distance < best) {
            best = distance;
            nearest = names->names[i];
        }
    }
    return nearest;
}

const char *names_list(const struct names *names, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < names->count; i++) {
        if (names->names[i] == NULL)
            continue;
        int wrote = snprintf(out + used, size - used, "%s%s", used == 0 ? "" : ", ", names->names[i]);
        if (wrote < 0 || (size_t)wrote >= size - used)
            break;
        used += (size_t)wrote;
    }
    return out;
}
