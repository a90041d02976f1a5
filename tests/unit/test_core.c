/* core/: errors, names, states, ids, clock, log. The configuration has test_config.c. */
#include "core/clock.h"
#include "core/error.h"
#include "core/log.h"
#include "core/names.h"
#include "core/session.h"
#include "core/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- errors ---- */

static void error_set_fills_everything(void **state)
{
    struct error error;

    (void)state;
    memset(&error, 0x5a, sizeof error);
    assert_int_equal(error_set(&error, ERROR_NO_SUCH_NODE, "node", "no node %s of %d", "a", 3),
                     STATUS_NOT_FOUND);
    assert_int_equal(error.status, STATUS_NOT_FOUND);
    assert_int_equal(error.code, ERROR_NO_SUCH_NODE);
    assert_string_equal(error.field, "node");
    assert_string_equal(error.message, "no node a of 3");
    assert_int_equal(error_set(&error, ERROR_MALFORMED_JSON, NULL, "x"), STATUS_INVALID_ARGUMENT);
    assert_string_equal(error.field, "");
}

static const struct {
    const char *given, *plain;
} TEXTS[] = {
    {"", ""},
    {"plain, with 'quotes' and ünïcode 標籤 🌙", "plain, with 'quotes' and ünïcode 標籤 🌙"},
    {"a \"quoted\" word", "a 'quoted' word"},
    {"back\\slash", "back'slash"},
    {"two\nlines\r\n", "two lines  "},
    {"tab\there, bell\a, escape\033[1m, delete\177", "tab here, bell , escape [1m, delete "},
    /* What is no UTF-8 would make the JSON of the answer invalid. */
    {"cut \xc3", "cut ?"},
    {"cut \xe6\xa8 here", "cut ?? here"},
    {"cut \xf0\x9f\x8c", "cut ???"},
    {"stray \x80\xbf, \xff and \xfe", "stray ??, ? and ?"},
    {"overlong \xc0\xaf \xe0\x80\xaf \xf0\x80\x80\xaf", "overlong ?? ??? ????"},
    {"surrogate \xed\xa0\x80, too high \xf4\x90\x80\x80 \xf5\x80\x80\x80",
     "surrogate ???, too high ???? ????"},
    {"the last of each: \x7e \xdf\xbf \xed\x9f\xbf \xef\xbf\xbf \xf4\x8f\xbf\xbf",
     "the last of each: \x7e \xdf\xbf \xed\x9f\xbf \xef\xbf\xbf \xf4\x8f\xbf\xbf"},
};

static void text_is_made_plain(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        char text[256];
        struct error error;
        strcpy(text, TEXTS[i].given);
        text_make_plain(text);
        assert_string_equal(text, TEXTS[i].plain);
        assert_true(text_is_utf8(text));
        assert_int_equal(text_is_utf8(TEXTS[i].given), strchr(text, '?') == NULL);
        assert_int_equal(error_set(&error, ERROR_BAD_VALUE, TEXTS[i].given, "%s", TEXTS[i].given),
                         STATUS_INVALID_ARGUMENT);
        assert_string_equal(error.message, TEXTS[i].plain);
        assert_memory_equal(error.field, TEXTS[i].plain, strnlen(TEXTS[i].plain, sizeof error.field - 4));
    }
}

/* Whatever the offset at which a long text is cut, the cut leaves no half character. */
static void long_texts_are_cut_between_characters(void **state)
{
    char text[2048] = "";
    struct error error;

    (void)state;
    for (size_t used = 0; used + 4 < sizeof text; used += 4)
        memcpy(text + used, "𝄞", 5);
    for (int shift = 0; shift < 4; shift++) {
        assert_int_equal(error_set(&error, ERROR_BAD_VALUE, text + 4 - shift, "%.*s%s", shift, "abc", text),
                         STATUS_INVALID_ARGUMENT);
        assert_int_equal(strlen(error.message), sizeof error.message - 1);
        assert_int_equal(strlen(error.field), sizeof error.field - 1);
        char again[sizeof error.message];
        strcpy(again, error.message);
        text_make_plain(again);
        assert_string_equal(again, error.message);
    }
}

static void every_code_has_its_status(void **state)
{
    static const struct {
        enum error_code code;
        enum status status;
    } CODES[] = {
        {ERROR_MALFORMED_JSON, STATUS_INVALID_ARGUMENT},
        {ERROR_UNKNOWN_FIELD, STATUS_INVALID_ARGUMENT},
        {ERROR_MISSING_FIELD, STATUS_INVALID_ARGUMENT},
        {ERROR_WRONG_TYPE, STATUS_INVALID_ARGUMENT},
        {ERROR_OUT_OF_RANGE, STATUS_INVALID_ARGUMENT},
        {ERROR_BAD_VALUE, STATUS_INVALID_ARGUMENT},
        {ERROR_NOT_BUILT, STATUS_INVALID_ARGUMENT},
        {ERROR_BAD_EXPRESSION, STATUS_INVALID_ARGUMENT},
        {ERROR_WRONG_POINT, STATUS_INVALID_ARGUMENT},
        {ERROR_UNKNOWN_INTERFACE, STATUS_INVALID_ARGUMENT},
        {ERROR_UNKNOWN_PARAMETER, STATUS_INVALID_ARGUMENT},
        {ERROR_BAD_PARAMETER, STATUS_INVALID_ARGUMENT},
        {ERROR_BAD_REQUEST, STATUS_INVALID_ARGUMENT},
        {ERROR_NO_SUCH_NETNS, STATUS_INVALID_ARGUMENT},
        {ERROR_CONFLICT, STATUS_INVALID_ARGUMENT},
        {ERROR_NO_SUCH_SESSION, STATUS_NOT_FOUND},
        {ERROR_NO_SUCH_NODE, STATUS_NOT_FOUND},
        {ERROR_NO_SUCH_FILE, STATUS_NOT_FOUND},
        {ERROR_NO_SUCH_PATH, STATUS_NOT_FOUND},
        {ERROR_METHOD_NOT_ALLOWED, STATUS_INVALID_ARGUMENT},
        {ERROR_SESSION_RUNNING, STATUS_FAILED_PRECONDITION},
        {ERROR_NO_PRIVILEGE, STATUS_FAILED_PRECONDITION},
        {ERROR_BODY_TOO_LARGE, STATUS_INVALID_ARGUMENT},
        {ERROR_MEDIA_TYPE, STATUS_INVALID_ARGUMENT},
        {ERROR_RANGE, STATUS_INVALID_ARGUMENT},
        {ERROR_STORE_BUSY, STATUS_UNAVAILABLE},
        {ERROR_STORE_FULL, STATUS_RESOURCE_EXHAUSTED},
        {ERROR_STORE_FAILED, STATUS_INTERNAL},
        {ERROR_HOST, STATUS_INTERNAL},
        {ERROR_INTERNAL, STATUS_INTERNAL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CODES); i++)
        if (error_code_status(CODES[i].code) != CODES[i].status)
            fail_msg("%d has status %d", (int)CODES[i].code, (int)error_code_status(CODES[i].code));
}

static void a_full_list_of_errors_stays_as_it_is(void **state)
{
    struct errors errors = {0}, full;
    struct error error;
    const size_t most = COUNT(errors.items);

    (void)state;
    for (size_t i = 0; i < most; i++) {
        char field[16];
        snprintf(field, sizeof field, "field %zu", i);
        errors_add(&errors, ERROR_BAD_VALUE, field, "message %zu", i);
    }
    assert_int_equal(errors.count, most);
    full = errors;
    errors_add(&errors, ERROR_BAD_VALUE, "late", "one too many");
    error_set(&error, ERROR_INTERNAL, "later", "two too many");
    errors_add_error(&errors, &error);
    assert_memory_equal(&errors, &full, sizeof full);
    assert_true(errors_blame(&errors, "field 31"));
    assert_false(errors_blame(&errors, "late"));
    assert_false(errors_blame(&errors, "later"));
}

static void errors_are_kept_in_order(void **state)
{
    struct errors errors = {0};
    struct error error;

    (void)state;
    assert_false(errors_blame(&errors, ""));
    errors_add(&errors, ERROR_MISSING_FIELD, "cappoint", "cappoint is required");
    error_set(&error, ERROR_SESSION_RUNNING, NULL, "it runs");
    errors_add_error(&errors, &error);
    assert_int_equal(errors.count, 2);
    assert_int_equal(errors.items[0].code, ERROR_MISSING_FIELD);
    assert_int_equal(errors.items[0].status, STATUS_INVALID_ARGUMENT);
    assert_memory_equal(&errors.items[1], &error, sizeof error);
    assert_true(errors_blame(&errors, "cappoint"));
    assert_false(errors_blame(&errors, "capp"));
}

/* ---- names ---- */

static const char *const words[] = {NULL, "VNIC", "VMKNIC", "VMNIC", "DUAL"};
static const struct names WORDS = {words, COUNT(words)};

static void names_go_both_ways(void **state)
{
    (void)state;
    for (int i = 1; i < (int)WORDS.count; i++)
        assert_int_equal(names_find(&WORDS, names_of(&WORDS, i)), i);
    static const int NONE[] = {0, -1, 5, 1000, INT32_MIN, INT32_MAX};
    for (size_t i = 0; i < COUNT(NONE); i++)
        assert_string_equal(names_of(&WORDS, NONE[i]), "");
    static const char *const UNKNOWN[] = {"", "vnic", "VNI", "VNICS", " VNIC"};
    for (size_t i = 0; i < COUNT(UNKNOWN); i++)
        assert_int_equal(names_find(&WORDS, UNKNOWN[i]), -1);
}

static void every_value_of_every_enumeration_has_a_name(void **state)
{
    static const struct {
        const struct names *names;
        int last;
    } LISTS[] = {
        {&cappoint_names, CAPPOINT_SEGMENTPORT}, {&capsource_names, CAPSOURCE_UI},
        {&direction_names, DIRECTION_DUAL},      {&filtertype_names, FILTERTYPE_POST},
        {&capmode_names, CAPMODE_STREAM},        {&capformat_names, CAPFORMAT_PCAPNG},
        {&option_names, OPTION_INNER},           {&session_state_names, STATE_ERROR},
        {&stop_reason_names, STOP_QUOTA},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(LISTS); i++) {
        assert_int_equal(LISTS[i].names->count, LISTS[i].last + 1);
        assert_string_equal(names_of(LISTS[i].names, 0), "");
        for (int value = 1; value <= LISTS[i].last; value++) {
            const char *name = names_of(LISTS[i].names, value);
            assert_int_equal(strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), strlen(name));
            assert_int_equal(names_find(LISTS[i].names, name), value);
        }
    }
}

static void the_nearest_name_is_found(void **state)
{
    static char long_word[301];
    memset(long_word, 'x', sizeof long_word - 1);
    const struct {
        const char *misspelt, *nearest;
    } TABLE[] = {
        {"VNIC", "VNIC"},    {"vnic", "VNIC"}, {"VNCI", "VNIC"},      {"VMKNICS", "VMKNIC"},
        {"VMNICC", "VMNIC"}, {"dual", "DUAL"}, {"DUEL", "DUAL"},      {"BOTH", NULL},
        {"", NULL},          {"X", NULL},      {"SEGMENTPORT", NULL}, {long_word, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(TABLE); i++) {
        const char *nearest = names_nearest(&WORDS, TABLE[i].misspelt);
        if (nearest == NULL || TABLE[i].nearest == NULL)
            assert_ptr_equal(nearest, TABLE[i].nearest);
        else
            assert_string_equal(nearest, TABLE[i].nearest);
    }
}

static void a_list_of_names_fits_its_room(void **state)
{
    static const char WHOLE[] = "VNIC, VMKNIC, VMNIC, DUAL";
    char out[64];

    (void)state;
    for (size_t size = 1; size <= sizeof WHOLE + 1; size++) {
        memset(out, '#', sizeof out);
        assert_ptr_equal(names_list(&WORDS, out, size), out);
        assert_in_range(strlen(out), 0, size - 1);
        assert_memory_equal(out, WHOLE, strlen(out));
        assert_int_equal(out[size], '#');
    }
    assert_string_equal(out, WHOLE);
}

static void edit_distance_counts_edits(void **state)
{
    static char x64[65], x80[81];
    memset(x64, 'x', 64);
    memset(x80, 'X', 80);
    const struct {
        const char *a, *b;
        size_t distance;
    } TABLE[] = {
        {"", "", 0},
        {"a", "", 1},
        {"abc", "abc", 0},
        {"ABC", "abc", 0},
        {"abc", "abd", 1},
        {"abc", "ab", 1},
        {"abc", "xabc", 1},
        {"ab", "ba", 2},
        {"kitten", "sitting", 3},
        {"flaw", "lawn", 2},
        {"saturday", "sunday", 3},
        {x64, "", 64},
        {x64, x80, 0} /* no more than 64 count */,
        {"xy", x64, 63},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(TABLE); i++) {
        assert_int_equal(edit_distance(TABLE[i].a, TABLE[i].b), TABLE[i].distance);
        assert_int_equal(edit_distance(TABLE[i].b, TABLE[i].a), TABLE[i].distance);
    }
}

/* ---- states ---- */

static void states_move_as_designed(void **state)
{
    /* From each state, what it may become; in order of the enumeration, CREATED to ERROR. */
    static const char *const MOVES[] = {
        [STATE_CREATED] = "-SSFE",  [STATE_STARTED] = "--SFE", [STATE_STOPPED] = "C----",
        [STATE_FINISHED] = "C----", [STATE_ERROR] = "C----",
    };

    (void)state;
    for (int from = STATE_CREATED; from <= STATE_ERROR; from++)
        for (int to = STATE_CREATED; to <= STATE_ERROR; to++)
            if (session_state_may_become((enum session_state)from, (enum session_state)to) !=
                (MOVES[from][to - 1] != '-'))
                fail_msg("%s to %s", names_of(&session_state_names, from),
                         names_of(&session_state_names, to));
}

static void three_states_have_ended(void **state)
{
    (void)state;
    assert_false(session_state_has_ended(STATE_CREATED));
    assert_false(session_state_has_ended(STATE_STARTED));
    assert_true(session_state_has_ended(STATE_STOPPED));
    assert_true(session_state_has_ended(STATE_FINISHED));
    assert_true(session_state_has_ended(STATE_ERROR));
}

/* ---- ids ---- */

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void made_uuids_are_random_and_of_version_4(void **state)
{
    static char ids[1000][UUID_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(ids); i++) {
        char parsed[UUID_SIZE];
        uuid_make(ids[i]);
        assert_true(uuid_parse(ids[i], parsed));
        assert_string_equal(parsed, ids[i]);
        assert_int_equal(ids[i][14], '4');
        assert_non_null(strchr("89ab", ids[i][19]));
    }
    qsort(ids, COUNT(ids), sizeof ids[0], compare_ids);
    for (size_t i = 1; i < COUNT(ids); i++)
        assert_string_not_equal(ids[i - 1], ids[i]);
}

static void uuids_are_parsed_strictly(void **state)
{
    static const struct {
        const char *text, *parsed;
    } TABLE[] = {
        {"0123abcd-4567-89ef-0123-456789abcdef", "0123abcd-4567-89ef-0123-456789abcdef"},
        {"0123ABCD-4567-89EF-0123-456789ABCDEF", "0123abcd-4567-89ef-0123-456789abcdef"},
        {"", NULL},
        {"0123abcd-4567-89ef-0123-456789abcde", NULL},
        {"0123abcd-4567-89ef-0123-456789abcdef0", NULL},
        {"0123abcd-4567-89ef-0123-456789abcdeg", NULL},
        {"0123abcd04567-89ef-0123-456789abcdef", NULL},
        {"-123abcd-4567-89ef-0123-456789abcdef", NULL},
        {" 123abcd-4567-89ef-0123-456789abcdef", NULL},
        {"{123abcd-4567-89ef-0123-456789abcde}", NULL},
        {"../../../../../../../../etc/password", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(TABLE); i++) {
        char parsed[UUID_SIZE] = "";
        if (uuid_parse(TABLE[i].text, parsed) != (TABLE[i].parsed != NULL))
            fail_msg("%s", TABLE[i].text);
        if (TABLE[i].parsed != NULL)
            assert_string_equal(parsed, TABLE[i].parsed);
    }
}

/* ---- time ---- */

static void times_are_written_in_utc(void **state)
{
    static const struct {
        int64_t epoch_ms;
        const char *text;
    } TABLE[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {INT64_C(951782399999), "2000-02-28T23:59:59.999Z"},
        {INT64_C(951782400000), "2000-02-29T00:00:00.000Z"},
        {INT64_C(1795474623123), "2026-11-23T22:57:03.123Z"},
        {INT64_C(4102444800000), "2100-01-01T00:00:00.000Z"},
    };
    char out[CLOCK_TEXT_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(TABLE); i++) {
        assert_ptr_equal(clock_text(TABLE[i].epoch_ms, out), out);
        assert_string_equal(out, TABLE[i].text);
    }
}

static void clocks_agree_on_their_units(void **state)
{
    const int64_t before_s = time(NULL), ns = clock_now_ns(), ms = clock_now_ms();
    const int64_t monotonic_ns = clock_monotonic_ns(), monotonic_ms = clock_monotonic_ms();

    (void)state;
    assert_in_range(ns / NS_PER_S, before_s - 1, before_s + 60);
    assert_in_range(ms / MS_PER_S, before_s - 1, before_s + 60);
    assert_in_range(monotonic_ms, monotonic_ns / NS_PER_MS, monotonic_ns / NS_PER_MS + 60 * MS_PER_S);
    assert_true(clock_monotonic_ns() >= monotonic_ns);
}

/* ---- log ---- */

/* What some calls write to standard error. */
static void log_capture(void (*speak)(void), char *out, size_t size)
{
    FILE *file = tmpfile();
    int kept = dup(STDERR_FILENO);

    assert_non_null(file);
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    speak();
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    out[fread(out, 1, size - 1, file)] = '\0';
    fclose(file);
}

static void log_speak(void)
{
    log_open("program", LOG_WARNING);
    log_debug("not this");
    log_info("nor this");
    log_warning("two\nlines of %s", "\"text\"");
    log_error("%0*d", 4000, 7);
}

static void a_message_is_one_line_of_the_log(void **state)
{
    char out[8192], expected[64];

    (void)state;
    log_capture(log_speak, out, sizeof out);
    snprintf(expected, sizeof expected, "Z WARNING program[%d]: two lines of 'text'\n", (int)getpid());
    assert_non_null(strstr(out, expected));
    assert_null(strstr(out, "this"));
    const char *second = strchr(out, '\n') + 1;
    assert_non_null(strstr(second, "Z ERROR program["));
    assert_ptr_equal(strchr(second, '\n'), out + strlen(out) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_set_fills_everything),
        cmocka_unit_test(text_is_made_plain),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(every_code_has_its_status),
        cmocka_unit_test(a_full_list_of_errors_stays_as_it_is),
        cmocka_unit_test(errors_are_kept_in_order),
        cmocka_unit_test(names_go_both_ways),
        cmocka_unit_test(every_value_of_every_enumeration_has_a_name),
        cmocka_unit_test(the_nearest_name_is_found),
        cmocka_unit_test(a_list_of_names_fits_its_room),
        cmocka_unit_test(edit_distance_counts_edits),
        cmocka_unit_test(states_move_as_designed),
        cmocka_unit_test(three_states_have_ended),
        cmocka_unit_test(made_uuids_are_random_and_of_version_4),
        cmocka_unit_test(uuids_are_parsed_strictly),
        cmocka_unit_test(times_are_written_in_utc),
        cmocka_unit_test(clocks_agree_on_their_units),
        cmocka_unit_test(a_message_is_one_line_of_the_log),
    };

    return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
