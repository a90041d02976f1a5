/*
 * Time, with the unit in every name. Rows hold wall-clock milliseconds; waiting and deadlines use
 * the monotonic clock, which no administrator sets back.
 */
#ifndef PKTCAPD_CORE_CLOCK_H
#define PKTCAPD_CORE_CLOCK_H

#include <stdint.h>

#define MS_PER_S  INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

enum { CLOCK_TEXT_SIZE = 32 };

/* CLOCK_REALTIME since the epoch. */
int64_t clock_now_ms(void);
int64_t clock_now_ns(void);

/* CLOCK_MONOTONIC. */
int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_ns(void);

/* Writes "2026-11-23T22:57:03.123Z" into out (CLOCK_TEXT_SIZE bytes); returns out. */
const char *clock_text(int64_t epoch_ms, char *out);

#endif
