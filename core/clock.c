#include "core/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t clock_read_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_now_ms(void)
{
    return clock_read_ns(CLOCK_REALTIME) / NS_PER_MS;
}

int64_t clock_now_ns(void)
{
    return clock_read_ns(CLOCK_REALTIME);
}

int64_t clock_monotonic_ms(void)
{
    return clock_read_ns(CLOCK_MONOTONIC) / NS_PER_MS;
}

int64_t clock_monotonic_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

const char *clock_text(int64_t epoch_ms, char *out)
{
    time_t seconds = (time_t)(epoch_ms / MS_PER_S);
    struct tm utc;
    char date[24];

    gmtime_r(&seconds, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, CLOCK_TEXT_SIZE, "%s.%03dZ", date, (int)(epoch_ms % MS_PER_S));
    return out;
}
