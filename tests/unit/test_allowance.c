/* capture/allowance against a plain list of files: what it says yes to never makes them larger than allowed,
 * and what it says no to would. */
#include "capture/allowance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STEPS = 5000, HEADER = 24, TRAILER = 7, FILES_MOST = 6 };

struct model {
    int64_t sizes[FILES_MOST];
    size_t count, most_files;
};

static int64_t total(const struct model *model, size_t from)
{
    int64_t sum = 0;

    for (size_t i = from; i < model->count; i++)
        sum += model->sizes[i];
    return sum;
}

static void begin_file(struct model *model, int64_t size)
{
    if (model->count == model->most_files) {
        memmove(model->sizes, model->sizes + 1, (model->count - 1) * sizeof model->sizes[0]);
        model->count--;
    }
    model->sizes[model->count++] = size;
}

/* The most that is on the disk at a time: a ring of one file makes the next before the last one goes. */
static int64_t peak_of_next(const struct model *model, int64_t packet)
{
    size_t gone = model->count == model->most_files;
    int64_t after = total(model, gone) + HEADER + TRAILER + packet;
    int64_t between = total(model, model->most_files > 1 ? gone : 0) + HEADER;

    return after > between ? after : between;
}

static void step(struct allowance *allowance, struct model *model, int64_t most)
{
    int64_t packet = 1 + rand() % 200;

    if (model->count == 0 || rand() % 5 == 0) {
        bool taken = allowance_takes_file(allowance, HEADER, TRAILER + packet);
        assert_int_equal(taken, peak_of_next(model, packet) <= most);
        if (taken) {
            allowance_add_file(allowance, HEADER + TRAILER);
            begin_file(model, HEADER + TRAILER);
        }
    } else if (allowance_takes(allowance, packet)) {
        allowance_add(allowance, packet);
        model->sizes[model->count - 1] += packet;
    } else {
        assert_true(total(model, 0) + packet > most);
    }
    assert_true(total(model, 0) <= most);
    assert_int_equal(allowance->used, total(model, 0));
}

static void files_stay_within_it(void **state)
{
    (void)state;
    srand(4711);
    for (size_t most_files = 1; most_files <= FILES_MOST; most_files++) {
        for (int64_t most = 0; most < 6000; most += 1999) {
            struct purse purse = {0};
            struct allowance allowance;
            struct model model = {.most_files = most_files};
            allowance_begin(&allowance, &purse, most, 0);
            assert_true(allowance_open(&allowance, most_files));
            for (int i = 0; i < STEPS; i++)
                step(&allowance, &model, most);
            allowance_free(&allowance);
        }
    }
}

static void a_ring_as_large_as_it_goes_on(void **state)
{
    struct purse purse = {0};
    struct allowance allowance;

    (void)state;
    allowance_begin(&allowance, &purse, 3000, 0);
    assert_true(allowance_open(&allowance, 3));
    for (int i = 0; i < 10; i++) {
        assert_true(allowance_takes_file(&allowance, HEADER, 1000 - HEADER));
        allowance_add_file(&allowance, HEADER);
        allowance_add(&allowance, 1000 - HEADER);
    }
    assert_false(allowance_takes(&allowance, 1));
    allowance_free(&allowance);
}

static void what_was_there_may_be_more_than_allowed(void **state)
{
    struct purse purse = {0};
    struct allowance allowance;

    (void)state;
    allowance_begin(&allowance, &purse, 100, 0);
    assert_true(allowance_open(&allowance, 2));
    allowance_add_file(&allowance, 90);
    allowance_add_file(&allowance, 90);
    assert_false(allowance_takes(&allowance, 0));
    assert_false(allowance_takes_file(&allowance, 11, 0));
    assert_true(allowance_takes_file(&allowance, 10, 0));
    allowance_free(&allowance);
}

static void without_a_limit_all_is_taken(void **state)
{
    struct purse purse = {0};
    struct allowance allowance;

    (void)state;
    allowance_begin(&allowance, &purse, INT64_MAX, 0);
    assert_true(allowance_open(&allowance, 1));
    allowance_add_file(&allowance, INT64_C(1) << 60);
    assert_true(allowance_takes(&allowance, INT64_C(1) << 60));
    assert_true(allowance_takes_file(&allowance, 24, INT64_C(1) << 60));
    allowance_free(&allowance);
}

/* Two runs of alice's, one of which becomes bob's. */
static void runs_of_an_owner_count_together(void **state)
{
    struct purse alice = {0}, bob = {0};
    struct allowance runs[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        allowance_begin(&runs[i], &alice, 1000, 400);
        assert_int_equal(alice.used, i == 0 ? 400 : 700);
        assert_true(allowance_open(&runs[i], 1)); /* what there was turns out to be less */
        allowance_add_file(&runs[i], 300);
    }
    assert_int_equal(allowance_room(&runs[0]), 400);
    allowance_add(&runs[0], 400);
    assert_false(allowance_takes(&runs[1], 1));
    allowance_move(&runs[0], &bob);
    assert_true(allowance_takes(&runs[0], INT64_MAX));
    allowance_set_most(&runs[0], 800);
    assert_int_equal(allowance_room(&runs[0]), 100);
    assert_int_equal(allowance_room(&runs[1]), 700);
    allowance_move(&runs[0], NULL);
    assert_int_equal(alice.used, 300);
    assert_int_equal(bob.used, 0);
    allowance_set_most(&runs[0], 1);
    assert_true(allowance_takes(&runs[0], 1000));
    for (int i = 0; i < 2; i++)
        allowance_free(&runs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_stay_within_it),
        cmocka_unit_test(a_ring_as_large_as_it_goes_on),
        cmocka_unit_test(what_was_there_may_be_more_than_allowed),
        cmocka_unit_test(without_a_limit_all_is_taken),
        cmocka_unit_test(runs_of_an_owner_count_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
