/* A stream's own packets are known by what they carry, wherever they stand; others are not. */
#include "capture/echo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 300 };

static void fill(uint8_t *data, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        data[i] = (uint8_t)(1 + (seed * 31 + i * 7 + i * i) % 255);
}

/* Writes `before` bytes, the GRE header of this protocol, and so much of the packet; returns the size. */
static size_t wrap(uint8_t *out, size_t before, uint16_t protocol, const uint8_t *packet, size_t size)
{
    const uint8_t gre[] = {0, 0, (uint8_t)(protocol >> 8), (uint8_t)protocol};

    fill(out, before, 99);
    memcpy(out + before, gre, sizeof gre);
    memcpy(out + before + sizeof gre, packet, size);
    return before + sizeof gre + size;
}

static void known_at_any_depth(void **state)
{
    struct echo *echo = echo_open(true);
    uint8_t packet[SIZE], wrapped[3 * SIZE];

    (void)state;
    for (size_t size = 14; size < SIZE; size += 13) {
        fill(packet, size, (unsigned)size);
        echo_note(echo, packet, size);
        for (size_t before = 42; before < 300; before += 17)
            assert_true(echo_is_own(echo, wrapped, wrap(wrapped, before, 0x6558, packet, size)));
    }
    echo_free(echo);
}

/* The first fragment, and what an ICMP error quotes, hold its beginning only. */
static void known_by_the_beginning(void **state)
{
    struct echo *echo = echo_open(true);
    uint8_t packet[SIZE], wrapped[2 * SIZE];

    (void)state;
    fill(packet, SIZE, 5);
    echo_note(echo, packet, SIZE);
    assert_true(echo_is_own(echo, wrapped, wrap(wrapped, 70, 0x6558, packet, 64)));
    assert_false(echo_is_own(echo, wrapped, wrap(wrapped, 70, 0x6558, packet, 63)));
    echo_free(echo);
}

static void others_are_not_known(void **state)
{
    struct echo *echo = echo_open(true);
    uint8_t packet[SIZE], other[SIZE], wrapped[2 * SIZE];

    (void)state;
    fill(packet, SIZE, 1);
    fill(other, SIZE, 2);
    assert_false(echo_is_own(echo, wrapped, wrap(wrapped, 42, 0x6558, packet, SIZE)));
    echo_note(echo, packet, SIZE);
    assert_false(echo_is_own(echo, packet, SIZE));
    assert_false(echo_is_own(echo, wrapped, wrap(wrapped, 42, 0x6558, other, SIZE)));
    assert_false(echo_is_own(echo, wrapped, wrap(wrapped, 42, 0x0800, packet, SIZE)));
    for (size_t size = 0; size < 8; size++)
        assert_false(echo_is_own(echo, packet, size));
    echo_free(echo);
}

static void packets_without_ethernet(void **state)
{
    struct echo *echo = echo_open(false);
    uint8_t packet[SIZE], wrapped[2 * SIZE];

    (void)state;
    fill(packet, SIZE, 3);
    echo_note(echo, packet, SIZE);
    assert_true(echo_is_own(echo, wrapped, wrap(wrapped, 28, 0x0800, packet, SIZE)));
    assert_true(echo_is_own(echo, wrapped, wrap(wrapped, 48, 0x86dd, packet, SIZE)));
    assert_false(echo_is_own(echo, wrapped, wrap(wrapped, 48, 0x6558, packet, SIZE)));
    echo_free(echo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_at_any_depth),
        cmocka_unit_test(known_by_the_beginning),
        cmocka_unit_test(others_are_not_known),
        cmocka_unit_test(packets_without_ethernet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
