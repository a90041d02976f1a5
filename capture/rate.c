#include "capture/rate.h"

#include "core/clock.h"

#include <stdlib.h>

/* The ring grows with what is really admitted in a second, not with the limit. */
static bool grow(struct rate *rate)
{
    size_t capacity = rate->capacity == 0 ? 256 : 2 * rate->capacity;
    int64_t *grown = malloc(capacity * sizeof *grown);

    if (grown == NULL)
        return false;
    for (size_t i = 0; i < rate->count; i++)
        grown[i] = rate->admitted_ns[(rate->first + i) % rate->capacity];
    free(rate->admitted_ns);
    rate->admitted_ns = grown;
    rate->capacity = capacity;
    rate->first = 0;
    return true;
}

static void forget_before(struct rate *rate, int64_t ns)
{
    while (rate->count > 0 && rate->admitted_ns[rate->first] <= ns) {
        rate->first = (rate->first + 1) % rate->capacity;
        rate->count--;
    }
}

bool rate_admits(struct rate *rate, int64_t timestamp_ns)
{
    if (rate->limit == 0)
        return true;
    if (timestamp_ns < rate->not_before_ns)
        return false;
    forget_before(rate, timestamp_ns - NS_PER_S);
    if (rate->count >= (size_t)rate->limit)
        return false;
    if (rate->count == rate->capacity && !grow(rate))
        return false; /* for want of memory: fewer than asked for, never more */
    rate->admitted_ns[(rate->first + rate->count++) % rate->capacity] = timestamp_ns;
    return true;
}

void rate_free(struct rate *rate)
{
    free(rate->admitted_ns);
    *rate = (struct rate){0};
}
