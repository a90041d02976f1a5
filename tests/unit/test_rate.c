/*
 * capture/rate against the plain meaning of caprate: of the packets admitted, no second holds more than the
 * limit, and a packet is skipped only where the second before it was full.
 */
#include "capture/rate.h"

#include "core/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PACKETS = 4000, START_S = 1764000000 };

#define START_NS (START_S * NS_PER_S)

/* What was admitted so far, oldest first. */
struct model {
    int64_t admitted_ns[PACKETS];
    size_t count;
};

static size_t admitted_since(const struct model *model, int64_t after_ns)
{
    size_t count = 0;

    for (size_t i = 0; i < model->count; i++)
        count += model->admitted_ns[i] > after_ns;
    return count;
}

static void offer(struct rate *rate, struct model *model, int64_t ns)
{
    bool room = admitted_since(model, ns - NS_PER_S) < (size_t)rate->limit;

    if (rate_admits(rate, ns) != room)
        fail_msg("at %lld ns, with %zu admitted in the second before: %s", (long long)(ns - START_NS),
                 admitted_since(model, ns - NS_PER_S), room ? "skipped" : "admitted");
    if (room)
        model->admitted_ns[model->count++] = ns;
}

/* Every window of one second, wherever it begins: it is enough to look at those that begin with a packet. */
static void assert_no_window_is_over(const struct model *model, int32_t limit)
{
    for (size_t i = 0; i + (size_t)limit < model->count; i++)
        assert_true(model->admitted_ns[i + (size_t)limit] - model->admitted_ns[i] >= NS_PER_S);
}

/* Gaps between packets: steady, in bursts, with silence in between, many at one instant. */
static int64_t gap_of(unsigned pattern, unsigned at)
{
    switch (pattern) {
    case 0:
        return 3 * NS_PER_MS;
    case 1:
        return at % 50 == 0 ? NS_PER_S * 3 / 4 : 1000;
    case 2:
        return at % 100 == 0 ? NS_PER_S - 1 : 0;
    case 3:
        return at % 100 == 0 ? NS_PER_S : 0;
    default:
        return rand() % 100 == 0 ? rand() % (2 * NS_PER_S) : rand() % (20 * NS_PER_MS);
    }
}

static void no_second_holds_more_than_the_limit(void **state)
{
    static const int32_t LIMITS[] = {1, 2, 7, 60, 99, 100, 101, 255, 256, 257, 1000, 3000};

    (void)state;
    srand(20260725);
    for (size_t i = 0; i < sizeof LIMITS / sizeof LIMITS[0]; i++)
        for (unsigned pattern = 0; pattern < 6; pattern++) {
            struct model *model = calloc(1, sizeof *model);
            struct rate rate = {.limit = LIMITS[i]};
            int64_t ns = START_NS;
            assert_non_null(model);
            for (unsigned at = 0; at < PACKETS; at++, ns += gap_of(pattern, at))
                offer(&rate, model, ns);
            assert_no_window_is_over(model, LIMITS[i]);
            assert_true(model->count > 0);
            rate_free(&rate);
            free(model);
        }
}

/* A second is half open: what came exactly one second ago counts no more, one nanosecond less and it does. */
static void a_second_ends_where_the_next_begins(void **state)
{
    struct rate rate = {.limit = 1};

    (void)state;
    assert_true(rate_admits(&rate, START_NS));
    assert_false(rate_admits(&rate, START_NS));
    assert_false(rate_admits(&rate, START_NS + NS_PER_S - 1));
    assert_true(rate_admits(&rate, START_NS + NS_PER_S));
    assert_false(rate_admits(&rate, START_NS + NS_PER_S + 1));
    rate_free(&rate);
}

/* Skipped packets do not count: a flood does not shut the door for good. */
static void a_flood_gets_its_share(void **state)
{
    struct rate rate = {.limit = 10};
    size_t admitted = 0;

    (void)state;
    for (int64_t us = 0; us < 5 * 1000000; us += 100)
        admitted += rate_admits(&rate, START_NS + us * 1000);
    assert_int_equal(admitted, 50);
    rate_free(&rate);
}

/* Whether this one more would make too many of any second that it lies in: those that begin with a packet. */
static bool would_be_too_many(const struct model *model, int64_t ns, int32_t limit)
{
    for (size_t i = 0; i <= model->count; i++) {
        int64_t from_ns = i == model->count ? ns : model->admitted_ns[i];
        int32_t count = ns >= from_ns && ns < from_ns + NS_PER_S;
        if (count == 0)
            continue;
        for (size_t j = 0; j < model->count; j++)
            count += model->admitted_ns[j] >= from_ns && model->admitted_ns[j] < from_ns + NS_PER_S;
        if (count > limit)
            return true;
    }
    return false;
}

/* CPUs stamp packets each for themselves, and then queue: packets may come a little out of order. */
static void packets_out_of_order(void **state)
{
    static const int64_t JITTER_NS[] = {1000, NS_PER_MS, 20 * NS_PER_MS, 99 * NS_PER_MS};
    static const int32_t LIMITS[] = {1, 20, 300};

    (void)state;
    srand(7);
    for (size_t i = 0; i < 12; i++) {
        struct model *model = calloc(1, sizeof *model);
        struct rate rate = {.limit = LIMITS[i % 3]};
        assert_non_null(model);
        for (int64_t at = 0; at < PACKETS; at++) {
            int64_t ns = START_NS + at * NS_PER_MS - rand() % JITTER_NS[i / 3];
            bool room = !would_be_too_many(model, ns, rate.limit);
            if (rate_admits(&rate, ns) != room)
                fail_msg("limit %d, packet %d: %s", rate.limit, (int)at, room ? "skipped" : "admitted");
            if (room)
                model->admitted_ns[model->count++] = ns;
        }
        assert_in_range(model->count, 3 * (size_t)rate.limit, 5 * (size_t)rate.limit);
        rate_free(&rate);
        free(model);
    }
}

/* Time goes on, from where it is set to. */
static void a_clock_that_was_set_back(void **state)
{
    static const int64_t BACK_NS[] = {NS_PER_S / 5, NS_PER_S, 2 * NS_PER_S, 3600 * NS_PER_S};

    (void)state;
    for (size_t i = 0; i < sizeof BACK_NS / sizeof BACK_NS[0]; i++) {
        struct rate rate = {.limit = 3};
        size_t admitted = 0;
        for (int at = 0; at < 3; at++)
            assert_true(rate_admits(&rate, START_NS + at));
        for (int64_t at = 0; at < 3000; at++)
            admitted += rate_admits(&rate, START_NS - BACK_NS[i] + at * NS_PER_MS);
        assert_int_equal(admitted, 9);
        rate_free(&rate);
    }
}

/* A small step is as packets out of order are: of the second before it, nothing is forgotten. */
static void a_clock_that_was_set_back_a_little(void **state)
{
    struct rate rate = {.limit = 3};

    (void)state;
    for (int at = 0; at < 3; at++)
        assert_true(rate_admits(&rate, START_NS + at));
    assert_false(rate_admits(&rate, START_NS - NS_PER_S / 20));
    assert_false(rate_admits(&rate, START_NS + NS_PER_S - 1));
    assert_true(rate_admits(&rate, START_NS + NS_PER_S));
    rate_free(&rate);
}

static void no_limit(void **state)
{
    struct rate rate = {0};

    (void)state;
    rate.not_before_ns = START_NS + NS_PER_S;
    for (int i = 0; i < PACKETS; i++)
        assert_true(rate_admits(&rate, START_NS));
    assert_null(rate.admitted_ns);
    rate_free(&rate);
}

/* Memory goes with what is admitted in a second, not with what might be. */
static void a_huge_limit_takes_little_memory(void **state)
{
    struct rate rate = {.limit = INT32_MAX};

    (void)state;
    for (int64_t at = 0; at < 100000; at++)
        assert_true(rate_admits(&rate, START_NS + at * NS_PER_MS));
    assert_in_range(rate.count, 1000, 1200);
    assert_in_range(rate.capacity, 1000, 2048);
    rate_free(&rate);
    assert_null(rate.admitted_ns);
}

static void a_clock_that_was_set_back_between_workers(void **state)
{
    struct rate rate = {.limit = 1, .not_before_ns = START_NS + NS_PER_S};

    (void)state;
    assert_true(rate_admits(&rate, START_NS - NS_PER_S));
    rate_free(&rate);
}

/* What an earlier worker took in the last second is not known: nothing is admitted until it is over. */
static void nothing_before_its_time(void **state)
{
    struct rate rate = {.limit = 2, .not_before_ns = START_NS + NS_PER_S};

    (void)state;
    assert_false(rate_admits(&rate, START_NS));
    assert_false(rate_admits(&rate, START_NS + NS_PER_S - 1));
    assert_int_equal(rate.count, 0);
    assert_true(rate_admits(&rate, START_NS + NS_PER_S));
    assert_true(rate_admits(&rate, START_NS + NS_PER_S));
    assert_false(rate_admits(&rate, START_NS + NS_PER_S));
    assert_false(rate_admits(&rate, START_NS)); /* also later on */
    rate_free(&rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_second_holds_more_than_the_limit),
        cmocka_unit_test(a_second_ends_where_the_next_begins),
        cmocka_unit_test(a_flood_gets_its_share),
        cmocka_unit_test(packets_out_of_order),
        cmocka_unit_test(a_clock_that_was_set_back),
        cmocka_unit_test(a_clock_that_was_set_back_a_little),
        cmocka_unit_test(a_clock_that_was_set_back_between_workers),
        cmocka_unit_test(no_limit),
        cmocka_unit_test(a_huge_limit_takes_little_memory),
        cmocka_unit_test(nothing_before_its_time),
    };

    return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
