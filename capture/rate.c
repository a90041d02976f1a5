#include "capture/rate.h"

#include "core/clock.h"

#include <stdlib.h>

/* CPUs stamp packets before they queue for the ring, so these come a little out of order. What is out of
 * order by more comes from a clock that was set back, and begins anew: the time before is lived once more. */
#define DISORDER_NS (NS_PER_S / 10)

static int64_t *admitted(const struct rate *rate, size_t at)
{
    return &rate->admitted_ns[(rate->first + at) % rate->capacity];
}

/* The ring grows with what is really admitted in a second, not with the limit. */
static bool grow(struct rate *rate)
{
    size_t capacity = rate->capacity == 0 ? 256 : 2 * rate->capacity;
    int64_t *grown = malloc(capacity * sizeof *grown);

    if (grown == NULL)
        return false;
    for (size_t i = 0; i < rate->count; i++)
        grown[i] = *admitted(rate, i);
    free(rate->admitted_ns);
    rate->admitted_ns = grown;
    rate->capacity = capacity;
    rate->first = 0;
    return true;
}

/* Keeps what can share a second with this packet, or with one that comes late. */
static void forget(struct rate *rate, int64_t timestamp_ns)
{
    if (rate->count > 0 && timestamp_ns < *admitted(rate, rate->count - 1) - DISORDER_NS)
        rate->count = 0;
    while (rate->count > 0 && *admitted(rate, 0) <= timestamp_ns - NS_PER_S - DISORDER_NS) {
        rate->first = (rate->first + 1) % rate->capacity;
        rate->count--;
    }
}

/* Where the packet belongs among those admitted, which are in order of time. */
static size_t place_of(const struct rate *rate, int64_t timestamp_ns)
{
    size_t place = rate->count;

    while (place > 0 && *admitted(rate, place - 1) > timestamp_ns)
        place--;
    return place;
}

/* Whether, with the packet at its place, one more than the limit would lie within a second: those that it is
 * the last of, the first, or in between. */
static bool is_too_much(const struct rate *rate, int64_t timestamp_ns, size_t place)
{
    size_t limit = (size_t)rate->limit;

    for (size_t from = place < limit ? 0 : place - limit; from <= place && from + limit <= rate->count;
         from++) {
        size_t to = from + limit;
        int64_t from_ns = from == place ? timestamp_ns : *admitted(rate, from);
        int64_t to_ns = to == place ? timestamp_ns : *admitted(rate, to - 1);
        if (to_ns - from_ns < NS_PER_S)
            return true;
    }
    return false;
}

static void insert(struct rate *rate, int64_t timestamp_ns, size_t place)
{
    for (size_t at = rate->count++; at > place; at--)
        *admitted(rate, at) = *admitted(rate, at - 1);
    *admitted(rate, place) = timestamp_ns;
}

bool rate_admits(struct rate *rate, int64_t timestamp_ns)
{
    if (rate->limit == 0)
        return true;
    if (timestamp_ns < rate->not_before_ns && timestamp_ns >= rate->not_before_ns - NS_PER_S - DISORDER_NS)
        return false;
    forget(rate, timestamp_ns);
    size_t place = place_of(rate, timestamp_ns);
    if (is_too_much(rate, timestamp_ns, place))
        return false;
    if (rate->count == rate->capacity && !grow(rate))
        return false; /* for want of memory: fewer than asked for, never more */
    insert(rate, timestamp_ns, place);
    return true;
}

void rate_free(struct rate *rate)
{
    free(rate->admitted_ns);
    *rate = (struct rate){0};
}
