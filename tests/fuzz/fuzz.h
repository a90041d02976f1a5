/* One hostile input for one function. Whatever comes, the functions must neither crash nor break their word.
 */
#ifndef PKTCAPD_TESTS_FUZZ_H
#define PKTCAPD_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends with a report of the input. Unlike assert() it stays where NDEBUG is defined. */
static inline void must(int holds)
{
    if (!holds)
        abort();
}

/* A copy of its own, so that each byte read beside it is noticed; to be freed. */
static inline char *copy_of(const uint8_t *data, size_t size)
{
    char *copy = malloc(size > 0 ? size : 1);

    must(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* The same with a NUL behind it. */
static inline char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    must(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

#endif
