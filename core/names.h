/*
 * Enumerations with names: one table per enumeration, read by the JSON codec, the store, the
 * configuration and the error messages alike.
 */
#ifndef PKTCAPD_CORE_NAMES_H
#define PKTCAPD_CORE_NAMES_H

#include <stddef.h>

/* names[value] is the name of value; names[0] is NULL where 0 means absent. */
struct names {
    const char *const *names;
    size_t count;
};

/* Defines a table: NAMES_DEFINE(static, colours, "RED", "BLUE"); storage may be empty. */
#define NAMES_DEFINE(storage, name, ...)                                                                     \
    static const char *const name##_array[] = {__VA_ARGS__};                                                 \
    storage const struct names name = {name##_array, sizeof name##_array / sizeof name##_array[0]}

/* The name of a value, or "" if it has none. */
const char *names_of(const struct names *names, int value);

/* The value of a name, compared exactly; -1 if there is none. */
int names_find(const struct names *names, const char *name);

/* The known name nearest to a misspelt one, or NULL if none is near: at most one edit, and one more
 * for every three characters. */
const char *names_nearest(const struct names *names, const char *misspelt);

/* Writes "A, B, C" into out; returns out. */
const char *names_list(const struct names *names, char *out, size_t size);

/* Case-insensitive edit distance of two words (Levenshtein), at most 64 characters of each. */
size_t edit_distance(const char *a, const char *b);

#endif
