/* Chunked bodies: good ones, and what is refused. */
#include "http/chunked.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { ROOM = 20 };

struct reading {
    enum chunked_progress progress;
    char body[ROOM];
    size_t filled, used;
};

static struct reading read_in_steps(const char *text, size_t length, size_t step)
{
    struct reading reading = {.progress = CHUNKED_PART};
    struct chunked chunked = {0};

    while (reading.progress == CHUNKED_PART && reading.used < length) {
        size_t piece = length - reading.used < step ? length - reading.used : step, used;
        reading.progress =
            chunked_read(&chunked, text + reading.used, piece, &used, reading.body, ROOM, &reading.filled);
        assert_true(used <= piece && reading.filled <= ROOM);
        if (reading.progress == CHUNKED_PART)
            assert_int_equal(used, piece);
        reading.used += used;
    }
    return reading;
}

static const struct {
    enum chunked_progress progress;
    const char *text, *body;
    size_t behind; /* bytes behind the body's end */
} CASES[] = {
    {CHUNKED_WHOLE, "0\r\n\r\n", "", 0},
    {CHUNKED_WHOLE, "000\r\n\r\nGET /", "", 5},
    {CHUNKED_WHOLE, "2\r\n{}\r\n0\r\n\r\n", "{}", 0},
    {CHUNKED_WHOLE, "1\r\n{\r\n1\r\n}\r\n0\r\n\r\n0\r\n\r\n", "{}", 5},
    {CHUNKED_WHOLE, "00000002\r\n\r\n\r\n0\r\n\r\n", "\r\n", 0},
    {CHUNKED_WHOLE, "A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n", "0123456789abcdefghij", 0},
    {CHUNKED_WHOLE, "2;a\r\n{}\r\n0;b=\"c;\td\"\r\n\r\n", "{}", 0},
    {CHUNKED_WHOLE, "2;\r\n{}\r\n0\r\nA: b\r\nTransfer-Encoding: gzip\r\n\r\nX", "{}", 1},
    {CHUNKED_PART, "2\r\n{}\r\n0\r\n", "{}", 0},
    {CHUNKED_PART, "2\r\n{", "{", 0},
    {CHUNKED_PART, "2\r\n{}\r\n0\r\nA: b\r\n\r", "{}", 0},
    {CHUNKED_BROKEN, "\r\n", "", 0},
    {CHUNKED_BROKEN, "\n", "", 0},
    {CHUNKED_BROKEN, ";a\r\n", "", 0},
    {CHUNKED_BROKEN, "x\r\n", "", 0},
    {CHUNKED_BROKEN, "-1\r\n", "", 0},
    {CHUNKED_BROKEN, "+1\r\n", "", 0},
    {CHUNKED_BROKEN, "0x1\r\n", "", 0},
    {CHUNKED_BROKEN, " 1\r\n", "", 0},
    {CHUNKED_BROKEN, "1 \r\n", "", 0},
    {CHUNKED_BROKEN, "1\n{", "", 0},
    {CHUNKED_BROKEN, "1\r{", "", 0},
    {CHUNKED_BROKEN, "1\r\r\n{", "", 0},
    {CHUNKED_BROKEN, "000000001\r\n{\r\n", "", 0},
    {CHUNKED_BROKEN, "100000000\r\n", "", 0},
    {CHUNKED_BROKEN, "10000000000000001\r\n", "", 0},
    {CHUNKED_BROKEN, "1;a\n{", "", 0},
    {CHUNKED_BROKEN, "1;\x01\r\n", "", 0},
    {CHUNKED_BROKEN, "1;\x7f\r\n", "", 0},
    {CHUNKED_BROKEN, "1\r\n{}\r\n", "{", 0},
    {CHUNKED_BROKEN, "1\r\n{\n0\r\n\r\n", "{", 0},
    {CHUNKED_BROKEN, "1\r\n{\r0", "{", 0},
    {CHUNKED_BROKEN, "1\r\n{0\r\n\r\n", "{", 0},
    {CHUNKED_BROKEN, "0\r\n\n", "", 0},
    {CHUNKED_BROKEN, "0\r\nA: b\n\r\n", "", 0},
    {CHUNKED_BROKEN, "0\r\nA: \x01\r\n\r\n", "", 0},
    {CHUNKED_BROKEN, "0\r\n\rX", "", 0},
    {CHUNKED_TOO_LARGE, "15\r\n0123456789", "", 0},
    {CHUNKED_TOO_LARGE, "ffffffff\r\n0", "", 0},
    {CHUNKED_TOO_LARGE, "14\r\n01234567890123456789\r\n1\r\n0", "01234567890123456789", 0},
};

/* However it is cut into pieces. */
static void cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const char *text = CASES[i].text;
        size_t length = strlen(text);
        for (size_t step = 1; step <= length; step++) {
            struct reading reading = read_in_steps(text, length, step);
            size_t wanted = strlen(CASES[i].body);
            if (reading.progress != CASES[i].progress || reading.filled != wanted ||
                memcmp(reading.body, CASES[i].body, wanted) != 0)
                fail_msg("%s by %zu: progress %d, %zu bytes", text, step, reading.progress, reading.filled);
            if (reading.progress == CHUNKED_WHOLE)
                assert_int_equal(reading.used, length - CASES[i].behind);
        }
    }
}

static void a_nul_within(void **state)
{
    static const char DATA[] = "2\r\n\0\0\r\n0\r\n\r\n", EXTENSION[] = "2;\0\r\n";
    struct reading reading = read_in_steps(DATA, sizeof DATA - 1, 3);

    (void)state;
    assert_int_equal(reading.progress, CHUNKED_WHOLE);
    assert_memory_equal(reading.body, "\0\0", 2);
    assert_int_equal(read_in_steps(EXTENSION, sizeof EXTENSION - 1, 1).progress, CHUNKED_BROKEN);
}

/* Extensions and trailers together take at most 4 KiB, however they are spread. */
static void endless(void **state)
{
    static char text[64 * 1024];
    size_t length = 0, most = sizeof text - 16;

    (void)state;
    for (length = 0; length < most; length += 4)
        memcpy(text + length, "0;aa", 4);
    assert_int_equal(read_in_steps(text, length, 100).progress, CHUNKED_BROKEN);
    memcpy(text, "0\r\n", 3);
    for (length = 3; length < most; length += 6)
        memcpy(text + length, "A: b\r\n", 6);
    assert_int_equal(read_in_steps(text, length, 100).progress, CHUNKED_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases),
        cmocka_unit_test(a_nul_within),
        cmocka_unit_test(endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
