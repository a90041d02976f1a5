/* caprate: at most so many packets in any second, by the packets' own timestamps: whoever has the file can
 * check. */
#ifndef PKTCAPD_CAPTURE_RATE_H
#define PKTCAPD_CAPTURE_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The timestamps of the packets admitted in about the last second. All zero but for limit: none yet. */
struct rate {
    int32_t limit;         /* packets in any second; 0: no limit */
    int64_t not_before_ns; /* what came in the second before is not admitted: of what an earlier worker took
                              then, the times are gone */
    int64_t *admitted_ns;  /* a ring, in order of time */
    size_t capacity, first, count;
};

/* Whether this packet may be taken; if so, it counts. */
bool rate_admits(struct rate *rate, int64_t timestamp_ns);

void rate_free(struct rate *rate);

#endif
