#include "capture/echo.h"

#include <stdlib.h>
#include <string.h>

enum {
    NOTED = 1 << 16,
    BEGINNING = 64, /* bytes of a packet by which it is known */
    GRE_SIZE = 4,
};

struct echo {
    bool ethernet;
    uint64_t noted[NOTED]; /* by the low bits of the hash; 0: nothing */
};

struct echo *echo_open(bool ethernet)
{
    struct echo *echo = calloc(1, sizeof *echo);

    if (echo != NULL)
        echo->ethernet = ethernet;
    return echo;
}

void echo_free(struct echo *echo)
{
    free(echo);
}

/* FNV-1a, eight bytes at a time; never 0. */
static uint64_t hash_of(const uint8_t *data, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);

    size = size < BEGINNING ? size : BEGINNING;
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, data + at, size - at < sizeof word ? size - at : sizeof word);
        hash = (hash ^ word) * UINT64_C(0x100000001b3);
        hash ^= hash >> 29;
    }
    return hash | 1U << 31;
}

void echo_note(struct echo *echo, const uint8_t *data, size_t size)
{
    uint64_t hash = hash_of(data, size);

    echo->noted[hash % NOTED] = hash;
}

/* RFC 2784 without optional fields: flags of 0, and what follows. */
static bool is_gre(const struct echo *echo, const uint8_t *data)
{
    static const uint8_t FRAME[GRE_SIZE] = {0, 0, 0x65, 0x58};
    static const uint8_t IPV4[GRE_SIZE] = {0, 0, 0x08, 0x00}, IPV6[GRE_SIZE] = {0, 0, 0x86, 0xdd};

    if (echo->ethernet)
        return memcmp(data, FRAME, sizeof FRAME) == 0;
    return memcmp(data, IPV4, sizeof IPV4) == 0 || memcmp(data, IPV6, sizeof IPV6) == 0;
}

bool echo_is_own(const struct echo *echo, const uint8_t *data, size_t size)
{
    size_t end = size < ECHO_SNAPLEN ? size : ECHO_SNAPLEN;

    for (size_t at = 0; at + GRE_SIZE < end; at++) {
        if (data[at] != 0 || !is_gre(echo, data + at))
            continue;
        uint64_t hash = hash_of(data + at + GRE_SIZE, size - at - GRE_SIZE);
        if (echo->noted[hash % NOTED] == hash)
            return true;
    }
    return false;
}
