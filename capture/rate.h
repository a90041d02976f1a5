/* caprate: at most so many packets in any second, by the packets' own timestamps: whoever has the file can
 * check. */
#ifndef PKTCAPD_CAPTURE_RATE_H
#define PKTCAPD_CAPTURE_RATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The timestamps of the packets admitted in the last second. All zero but for limit: none yet. */
struct rate {
    int32_t limit;         /* packets in any second; 0: no limit */
    int64_t not_before_ns; /* what came earlier is not admitted: of what an earlier worker took, the times are
                              gone */
    int64_t *admitted_ns;  /* a ring */
    size_t capacity, first, count;
};

/* Whether this packet may be taken; if so, it counts. */
bool rate_admits(struct rate *rate, int64_t timestamp_ns);

void rate_free(struct rate *rate);

#endif
