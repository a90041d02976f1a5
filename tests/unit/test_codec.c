/*
 * JSON in and out. Bodies are decoded from memory that ends with them, so that a sanitizer sees what
 * reads on, into a request full of rubbish, so that a field left unset shows.
 */
#include "service/codec.h"
#include "service/fields.h"

#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define AT(member)   offsetof(struct packet_capture_request, member)

/* What decode() made of a body. */
static struct packet_capture_request request;
static struct errors errors;

static void decode_bytes(const char *body, size_t length)
{
    char *copy = malloc(length == 0 ? 1 : length);

    assert_non_null(copy);
    memcpy(copy, body, length);
    memset(&request, 0xa5, sizeof request);
    memset(&errors, 0, sizeof errors);
    codec_decode_request(copy, length, &request, &errors);
    free(copy);
}

PRINTF_LIKE(1, 2)
static void decode(const char *format, ...)
{
    char *body = NULL;
    va_list arguments;

    va_start(arguments, format);
    assert_true(vasprintf(&body, format, arguments) >= 0);
    va_end(arguments);
    decode_bytes(body, strlen(body));
    free(body);
}

static void print_errors(void)
{
    for (size_t i = 0; i < errors.count; i++)
        print_error("%d %s: %s\n", errors.items[i].code, errors.items[i].field, errors.items[i].message);
}

static void assert_accepted(const char *what)
{
    print_errors();
    if (errors.count > 0)
        fail_msg("%s is refused", what);
}

/* Exactly one error, of this code, that blames the field (NULL: none) and says this. */
static void assert_refused(const char *what, enum error_code code, const char *field, const char *says)
{
    const struct error *error = &errors.items[0];
    bool right = errors.count == 1 && error->code == code && error->status == error_code_status(code) &&
                 strcmp(error->field, field == NULL ? "" : field) == 0 &&
                 strstr(error->message, says) != NULL;

    if (right)
        return;
    print_errors();
    fail_msg("%s: wanted %d %s, saying: %s", what, code, field, says);
}

static const char *text_at(size_t offset)
{
    return (const char *)&request + offset;
}

static int number_at(size_t offset)
{
    int number;

    memcpy(&number, (const char *)&request + offset, sizeof number);
    return number;
}

/* So many copies of a character; the caller frees. */
static char *repeated(const char *character, size_t count)
{
    size_t length = strlen(character);
    char *text = malloc(count * length + 1);

    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * length, character, length);
    text[count * length] = '\0';
    return text;
}

/* ---- the fields ---- */

static const struct {
    const char *name;
    size_t offset, characters;
} TEXTS[] = {
    {"node", AT(node), 64},
    {"node_ip", AT(node_ip), 45},
    {"capvalue", AT(capvalue), 256},
    {"name", AT(name), 255},
    {"description", AT(description), 1024},
    {"capexpression", AT(capexpression), 1024},
    {"streamaddress", AT(streamaddress), 64},
};

static const struct {
    const char *name;
    size_t offset;
    int32_t most;
} INTEGERS[] = {
    {"capduration", AT(capduration), INT32_MAX}, {"capamount", AT(capamount), INT32_MAX},
    {"capfilesize", AT(capfilesize), INT32_MAX}, {"capsnaplen", AT(capsnaplen), INT32_MAX},
    {"caprate", AT(caprate), INT32_MAX},         {"capcore", AT(capcore), INT32_MAX},
    {"streamport", AT(streamport), 65535},       {"capfilecount", AT(capfilecount), 1000},
};

static const struct {
    const char *name;
    size_t offset;
} FLAGS[] = {{"captureself", AT(captureself)}};

static const struct {
    const char *name;
    size_t offset;
    const char *value;
    int number;
} NAMES[] = {
    {"cappoint", AT(cappoint), "VNIC", CAPPOINT_VNIC},
    {"cappoint", AT(cappoint), "VMKNIC", CAPPOINT_VMKNIC},
    {"cappoint", AT(cappoint), "VMNIC", CAPPOINT_VMNIC},
    {"cappoint", AT(cappoint), "PNIC", CAPPOINT_PNIC},
    {"cappoint", AT(cappoint), "VIF", CAPPOINT_VIF},
    {"cappoint", AT(cappoint), "FCPORT", CAPPOINT_FCPORT},
    {"cappoint", AT(cappoint), "VDRPORT", CAPPOINT_VDRPORT},
    {"cappoint", AT(cappoint), "DVFILTER", CAPPOINT_DVFILTER},
    {"cappoint", AT(cappoint), "LOGICALPORT", CAPPOINT_LOGICALPORT},
    {"cappoint", AT(cappoint), "SEGMENTPORT", CAPPOINT_SEGMENTPORT},
    {"capsource", AT(capsource), "CLI", CAPSOURCE_CLI},
    {"capsource", AT(capsource), "UI", CAPSOURCE_UI},
    {"direction", AT(direction), "INPUT", DIRECTION_INPUT},
    {"direction", AT(direction), "OUTPUT", DIRECTION_OUTPUT},
    {"direction", AT(direction), "DUAL", DIRECTION_DUAL},
    {"filtertype", AT(filtertype), "PRE", FILTERTYPE_PRE},
    {"filtertype", AT(filtertype), "POST", FILTERTYPE_POST},
    {"capmode", AT(capmode), "STANDALONE", CAPMODE_STANDALONE},
    {"capmode", AT(capmode), "STREAM", CAPMODE_STREAM},
    {"capformat", AT(capformat), "PCAP", CAPFORMAT_PCAP},
    {"capformat", AT(capformat), "PCAPNG", CAPFORMAT_PCAPNG},
};

/* Whether the request is as an empty body makes it, but for this field. */
static void assert_else_empty(const char *what, size_t offset, size_t size)
{
    struct packet_capture_request decoded = request, empty;

    decode("{}");
    empty = request;
    request = decoded;
    memset((char *)&decoded + offset, 0, size);
    memset((char *)&empty + offset, 0, size);
    if (memcmp(&decoded, &empty, sizeof empty) != 0)
        fail_msg("%s also set another field", what);
}

static void texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        decode("{\"%s\": \"Grüße von %s\"}", TEXTS[i].name, TEXTS[i].name);
        assert_accepted(TEXTS[i].name);
        assert_memory_equal(text_at(TEXTS[i].offset), "Grüße von ", strlen("Grüße von "));
        assert_string_equal(text_at(TEXTS[i].offset) + strlen("Grüße von "), TEXTS[i].name);
        assert_else_empty(TEXTS[i].name, TEXTS[i].offset, UTF8_SIZE(TEXTS[i].characters));
    }
}

static void integers(void **state)
{
    static const int32_t VALUES[] = {0, 1, 24, 1000, 1001, 65535, 65536, INT32_MAX};

    (void)state;
    for (size_t i = 0; i < COUNT(INTEGERS); i++)
        for (size_t j = 0; j < COUNT(VALUES) && VALUES[j] <= INTEGERS[i].most; j++) {
            decode("{\"%s\": %d}", INTEGERS[i].name, VALUES[j]);
            assert_accepted(INTEGERS[i].name);
            assert_int_equal(number_at(INTEGERS[i].offset), VALUES[j]);
            assert_else_empty(INTEGERS[i].name, INTEGERS[i].offset, sizeof(int32_t));
        }
}

static void names(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(NAMES); i++) {
        decode("{\"%s\": \"%s\"}", NAMES[i].name, NAMES[i].value);
        assert_accepted(NAMES[i].value);
        assert_int_equal(number_at(NAMES[i].offset), NAMES[i].number);
        assert_else_empty(NAMES[i].name, NAMES[i].offset, sizeof(int));
    }
}

static void flags(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(FLAGS); i++)
        for (int value = 0; value <= 1; value++) {
            decode("{\"%s\": %s}", FLAGS[i].name, value ? "true" : "false");
            assert_accepted(FLAGS[i].name);
            assert_int_equal(number_at(FLAGS[i].offset), value);
            assert_else_empty(FLAGS[i].name, FLAGS[i].offset, sizeof(int32_t));
        }
}

/* 0 is the first CPU: a client that leaves capcore out has not asked for it. */
static void the_first_cpu_is_not_any_cpu(void **state)
{
    (void)state;
    decode("{\"capcore\": 0}");
    assert_accepted("capcore 0");
    assert_int_equal(request.capcore, 0);
    decode("{\"capcore\": null}");
    assert_int_equal(request.capcore, INT_ABSENT);
    decode("{}");
    assert_int_equal(request.capcore, INT_ABSENT);
}

/* The tables above against the product's: a field that these tests do not know is not tested. */
static void every_field_is_in_a_table_here(void **state)
{
    size_t named = 2; /* options and tags */

    (void)state;
    for (size_t i = 0; i < COUNT(NAMES); i++)
        named += i == 0 || strcmp(NAMES[i].name, NAMES[i - 1].name) != 0;
    assert_int_equal(request_field_count, COUNT(TEXTS) + COUNT(INTEGERS) + COUNT(FLAGS) + named);
}

static void options(void **state)
{
    char values[4096] = "", item[128];

    (void)state;
    for (int name = OPTION_ETHTYPE; name <= OPTION_INNER; name++) {
        snprintf(item, sizeof item, "%s{\"value\": \"of %s\", \"name\": \"%s\"}",
                 values[0] == '\0' ? "" : ", ", names_of(&option_names, name), names_of(&option_names, name));
        strcat(values, item);
    }
    decode("{\"options\": {\"values\": [%s]}}", values);
    assert_accepted("every option");
    assert_true(request.has_options);
    assert_int_equal(request.option_count, OPTION_INNER);
    for (int name = OPTION_ETHTYPE; name <= OPTION_INNER; name++) {
        const struct capture_option *option = &request.options[name - OPTION_ETHTYPE];
        assert_int_equal(option->name, name);
        assert_memory_equal(option->value, "of ", 3);
        assert_string_equal(option->value + 3, names_of(&option_names, name));
    }
}

static void options_that_say_nothing(void **state)
{
    static const char *const EMPTY[] = {"{}", "{\"values\": []}", "{\"values\": null}"};

    (void)state;
    for (size_t i = 0; i < COUNT(EMPTY); i++) {
        decode("{\"options\": %s}", EMPTY[i]);
        assert_accepted(EMPTY[i]);
        assert_true(request.has_options);
        assert_int_equal(request.option_count, 0);
    }
    decode("{\"options\": null}");
    assert_false(request.has_options);
}

/* NSX's own clients send the fields of its ListResult along. */
static void options_ignore_what_lists_hold(void **state)
{
    (void)state;
    decode("{\"options\": {\"cursor\": \"0\", \"result_count\": 1, \"sort_by\": \"name\", "
           "\"sort_ascending\": true,"
           " \"_links\": [{\"href\": \"/\"}], \"_schema\": \"S\", \"_self\": {\"rel\": \"self\"},"
           " \"values\": [{\"name\": \"PORT\", \"value\": \"80\"}]}}");
    assert_accepted("NSX's list fields");
    assert_int_equal(request.option_count, 1);
    assert_int_equal(request.options[0].name, OPTION_PORT);
    assert_string_equal(request.options[0].value, "80");
}

static void tags(void **state)
{
    (void)state;
    decode(
        "{\"tags\": [{\"scope\": \"lab\", \"tag\": \"rack 7\"}, {\"tag\": \"only\"}, {\"scope\": \"bare\"},"
        " {\"scope\": null, \"tag\": null}, {}]}");
    assert_accepted("tags");
    assert_int_equal(request.tag_count, 5);
    assert_string_equal(request.tags[0].scope, "lab");
    assert_string_equal(request.tags[0].tag, "rack 7");
    assert_string_equal(request.tags[1].scope, "");
    assert_string_equal(request.tags[1].tag, "only");
    assert_string_equal(request.tags[2].scope, "bare");
    assert_string_equal(request.tags[2].tag, "");
    assert_string_equal(request.tags[4].tag, "");
}

/* ---- absent ---- */

static void empty_object(void **state)
{
    (void)state;
    decode("{}");
    assert_accepted("{}");
    for (size_t i = 0; i < COUNT(TEXTS); i++)
        assert_string_equal(text_at(TEXTS[i].offset), "");
    for (size_t i = 0; i < COUNT(INTEGERS); i++)
        assert_int_equal(number_at(INTEGERS[i].offset), INT_ABSENT);
    for (size_t i = 0; i < COUNT(FLAGS); i++)
        assert_int_equal(number_at(FLAGS[i].offset), INT_ABSENT);
    for (size_t i = 0; i < COUNT(NAMES); i++)
        assert_int_equal(number_at(NAMES[i].offset), 0);
    assert_false(request.has_options);
    assert_int_equal(request.option_count, 0);
    assert_int_equal(request.tag_count, 0);
}

static void null_is_absent(void **state)
{
    (void)state;
    for (size_t i = 0; i < request_field_count; i++) {
        decode("{\"%s\": null}", request_fields[i].name);
        assert_accepted(request_fields[i].name);
        assert_else_empty(request_fields[i].name, 0, 0);
    }
}

static void empty_text_is_absent(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        decode("{\"%s\": \"\"}", TEXTS[i].name);
        assert_accepted(TEXTS[i].name);
        assert_else_empty(TEXTS[i].name, 0, 0);
    }
}

/* ---- wrong types and ranges ---- */

static const struct {
    const char *json, *called;
} TYPES[] = {
    {"true", "a boolean"},       {"1.5", "a number with a fraction"},
    {"7", "an integer"},         {"{\"a\": 1}", "an object"},
    {"[\"VNIC\"]", "an array"},  {"\"7\"", "a string"},
    {"false", "a boolean"},      {"-0.0", "a number with a fraction"},
    {"0", "an integer"},         {"{}", "an object"},
    {"[]", "an array"},          {"\"\"", "a string"},
    {"1.0", "a number with a"},  {"1e3", "a number with a"},
    {"1E-400", "a number with"},
};

static const char *json_type_of(enum field_kind kind)
{
    switch (kind) {
    case FIELD_TEXT:
    case FIELD_NAME:
        return "a string";
    case FIELD_INTEGER:
        return "an integer";
    case FIELD_OPTIONS:
        return "an object";
    case FIELD_TAGS:
        return "an array";
    case FIELD_FLAG:
        return "a boolean";
    }
    return NULL;
}

static void wrong_types(void **state)
{
    (void)state;
    for (size_t i = 0; i < request_field_count; i++)
        for (size_t j = 0; j < COUNT(TYPES); j++) {
            const char *right = json_type_of(request_fields[i].kind);
            if (strcmp(TYPES[j].called, right) == 0)
                continue;
            decode("{\"%s\": %s}", request_fields[i].name, TYPES[j].json);
            assert_refused(TYPES[j].json, ERROR_WRONG_TYPE, request_fields[i].name, TYPES[j].called);
            assert_refused(TYPES[j].json, ERROR_WRONG_TYPE, request_fields[i].name, "it takes ");
            assert_else_empty(request_fields[i].name, 0, 0);
        }
}

static void wrong_types_inside(void **state)
{
    static const struct {
        const char *body, *field, *says;
    } CASES[] = {
        {"{\"options\": {\"values\": {}}}", "options", "an object; it takes values that are an array"},
        {"{\"options\": {\"values\": \"PORT\"}}", "options", "a string; it takes values that are an array"},
        {"{\"options\": {\"values\": [\"PORT\"]}}", "options", "a string; it takes values that are objects"},
        {"{\"options\": {\"values\": [null]}}", "options", "null; it takes values that are objects"},
        {"{\"options\": {\"values\": [[]]}}", "options", "an array; it takes values that are objects"},
        {"{\"options\": {\"values\": [{\"name\": 1, \"value\": \"80\"}]}}", "options", "an integer"},
        {"{\"options\": {\"values\": [{\"name\": \"PORT\", \"value\": 80}]}}", "options",
         "an integer; it takes a string"},
        {"{\"options\": {\"values\": [{\"name\": \"PORT\", \"value\": {}}]}}", "options", "an object"},
        {"{\"tags\": [\"lab\"]}", "tags", "a string; it takes an array of objects"},
        {"{\"tags\": [null]}", "tags", "null; it takes an array of objects"},
        {"{\"tags\": [{\"scope\": 1}]}", "tags", "an integer; it takes a string"},
        {"{\"tags\": [{\"tag\": []}]}", "tags", "an array; it takes a string"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        decode("%s", CASES[i].body);
        assert_refused(CASES[i].body, ERROR_WRONG_TYPE, CASES[i].field, CASES[i].says);
    }
}

static void integers_out_of_range(void **state)
{
    static const char *const VALUES[] = {"-1",
                                         "2147483648",
                                         "-2147483648",
                                         "4294967296",
                                         "9223372036854775807",
                                         "9223372036854775808",
                                         "-9223372036854775808",
                                         "18446744073709551615"};
    char right[64];

    (void)state;
    for (size_t i = 0; i < COUNT(INTEGERS); i++)
        for (size_t j = 0; j < COUNT(VALUES); j++) {
            decode("{\"%s\": %s}", INTEGERS[i].name, VALUES[j]);
            snprintf(right, sizeof right, "it takes an integer from 0 to %d", INTEGERS[i].most);
            assert_refused(VALUES[j], ERROR_OUT_OF_RANGE, INTEGERS[i].name, VALUES[j]);
            assert_refused(VALUES[j], ERROR_OUT_OF_RANGE, INTEGERS[i].name, right);
            assert_int_equal(number_at(INTEGERS[i].offset), INT_ABSENT);
        }
}

static void integers_one_too_large(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(INTEGERS); i++) {
        decode("{\"%s\": %lld}", INTEGERS[i].name, INTEGERS[i].most + 1LL);
        assert_refused(INTEGERS[i].name, ERROR_OUT_OF_RANGE, INTEGERS[i].name, "it takes an integer from 0");
        assert_else_empty(INTEGERS[i].name, 0, 0);
    }
}

/* json-c holds no such numbers: what it makes of them is refused. */
static void integers_beyond_64_bits(void **state)
{
    static const char *const VALUES[] = {"18446744073709551616", "-9223372036854775809",
                                         "100000000000000000000000000000000000000000000"};

    (void)state;
    for (size_t i = 0; i < COUNT(VALUES); i++) {
        decode("{\"capamount\": %s}", VALUES[i]);
        assert_int_equal(errors.count, 1);
        assert_int_equal(errors.items[0].status, STATUS_INVALID_ARGUMENT);
        assert_int_equal(request.capamount, INT_ABSENT);
    }
}

/* ---- texts ---- */

static const char *const CHARACTERS[] = {"x", "é", "€", "𝄞"};

static void texts_of_the_greatest_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(TEXTS); i++)
        for (size_t j = 0; j < COUNT(CHARACTERS); j++) {
            char *fits = repeated(CHARACTERS[j], TEXTS[i].characters);
            decode("{\"%s\": \"%s\"}", TEXTS[i].name, fits);
            assert_accepted(TEXTS[i].name);
            assert_string_equal(text_at(TEXTS[i].offset), fits);
            assert_else_empty(TEXTS[i].name, TEXTS[i].offset, UTF8_SIZE(TEXTS[i].characters));
            free(fits);
        }
}

static void texts_too_long(void **state)
{
    char says[64];

    (void)state;
    for (size_t i = 0; i < COUNT(TEXTS); i++)
        for (size_t j = 0; j < COUNT(CHARACTERS); j++) {
            char *longer = repeated(CHARACTERS[j], TEXTS[i].characters + 1);
            decode("{\"%s\": \"%s\"}", TEXTS[i].name, longer);
            snprintf(says, sizeof says, "has %zu characters; it takes at most %zu", TEXTS[i].characters + 1,
                     TEXTS[i].characters);
            assert_refused(TEXTS[i].name, ERROR_OUT_OF_RANGE, TEXTS[i].name, says);
            assert_else_empty(TEXTS[i].name, 0, 0);
            free(longer);
        }
}

static void texts_inside_of_the_greatest_length(void **state)
{
    char *value = repeated("€", 63), *scope = repeated("𝄞", 128), *tag = repeated("é", 256);

    (void)state;
    decode("{\"options\": {\"values\": [{\"name\": \"IP\", \"value\": \"%s\"}]},"
           " \"tags\": [{\"scope\": \"%s\", \"tag\": \"%s\"}]}",
           value, scope, tag);
    assert_accepted("texts inside");
    assert_string_equal(request.options[0].value, value);
    assert_string_equal(request.tags[0].scope, scope);
    assert_string_equal(request.tags[0].tag, tag);
    free(value);
    free(scope);
    free(tag);
}

static void texts_inside_too_long(void **state)
{
    static const struct {
        const char *format, *field, *says;
        size_t characters;
    } CASES[] = {
        {"{\"options\": {\"values\": [{\"name\": \"IP\", \"value\": \"%s\"}]}}", "options", "at most 63", 64},
        {"{\"options\": {\"values\": [{\"value\": \"1\", \"name\": \"%s\"}]}}", "options", "at most 64", 65},
        {"{\"tags\": [{\"scope\": \"%s\"}]}", "tags", "at most 128", 129},
        {"{\"tags\": [{\"tag\": \"%s\"}]}", "tags", "at most 256", 257},
    };
    char body[4096];

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++)
        for (size_t j = 0; j < COUNT(CHARACTERS); j++) {
            char *longer = repeated(CHARACTERS[j], CASES[i].characters);
            size_t before = strcspn(CASES[i].format, "%");
            snprintf(body, sizeof body, "%.*s%s%s", (int)before, CASES[i].format, longer,
                     CASES[i].format + before + 2);
            decode("%s", body);
            assert_refused(CASES[i].format, ERROR_OUT_OF_RANGE, CASES[i].field, CASES[i].says);
            free(longer);
        }
}

static void nul_characters(void **state)
{
    static const struct {
        const char *body, *field;
    } CASES[] = {
        {"{\"node\": \"\\u0000\"}", "node"},
        {"{\"capvalue\": \"eth0\\u0000; rm\"}", "capvalue"},
        {"{\"name\": \"x\\u0000\"}", "name"},
        {"{\"cappoint\": \"VNIC\\u0000\"}", "cappoint"},
        {"{\"direction\": \"BOTH\\u0000\"}", "direction"},
        {"{\"options\": {\"values\": [{\"name\": \"PORT\\u0000\", \"value\": \"80\"}]}}", "options"},
        {"{\"options\": {\"values\": [{\"name\": \"PORT\", \"value\": \"80\\u0000\"}]}}", "options"},
        {"{\"tags\": [{\"scope\": \"a\\u0000b\"}]}", "tags"},
        {"{\"tags\": [{\"tag\": \"a\\u0000b\"}]}", "tags"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        decode("%s", CASES[i].body);
        assert_refused(CASES[i].body, ERROR_BAD_VALUE, CASES[i].field, "holds a NUL character");
    }
}

/* RFC 3629: a stray or missing continuation byte, overlong forms, surrogates, beyond U+10FFFF. */
static void bytes_that_are_no_utf8(void **state)
{
    static const char *const BYTES[] = {
        "\xff",     "\x80",     "\xc3",         "\xc3(",        "\xe2\x82",         "\xf0\x9f\x98",
        "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80"};

    (void)state;
    for (size_t i = 0; i < COUNT(BYTES); i++) {
        decode("{\"name\": \"a%sb\"}", BYTES[i]);
        if (errors.count != 1)
            fail_msg("case %zu is accepted", i);
        assert_int_equal(errors.items[0].status, STATUS_INVALID_ARGUMENT);
        assert_string_equal(request.name, "");
    }
}

static void escapes(void **state)
{
    (void)state;
    decode("{\"name\": \"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud834\\udd1e\", \"capv\\u0061lue\": \"eth0\"}");
    assert_accepted("escapes");
    assert_string_equal(request.name, "\"\\/\b\f\n\r\té𝄞");
    assert_string_equal(request.capvalue, "eth0");
}

/* ---- names ---- */

static void bad_names(void **state)
{
    static const struct {
        const char *field, *value, *says;
    } CASES[] = {
        {"cappoint", "vnic",
         "cappoint has the value vnic; it takes one of VNIC, VMKNIC, VMNIC, PNIC, VIF, "
         "FCPORT, VDRPORT, DVFILTER, LOGICALPORT, SEGMENTPORT"},
        {"cappoint", "VNIC ", "it takes one of VNIC"},
        {"cappoint", "", "it takes one of VNIC"},
        {"capsource", "API", "capsource has the value API; it takes one of CLI, UI"},
        {"direction", "dual", "direction has the value dual; it takes one of INPUT, OUTPUT, DUAL"},
        {"direction", "BOTH", "for both directions it takes DUAL"},
        {"direction", "both", "for both directions it takes DUAL"},
        {"capmode", "FILE", "capmode has the value FILE; it takes one of STANDALONE, STREAM"},
        {"capformat", "pcap", "capformat has the value pcap; it takes one of PCAP, PCAPNG"},
        {"filtertype", "BOTH", "filtertype has the value BOTH; it takes one of PRE, POST"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        decode("{\"%s\": \"%s\"}", CASES[i].field, CASES[i].value);
        assert_refused(CASES[i].value, ERROR_BAD_VALUE, CASES[i].field, CASES[i].says);
        assert_else_empty(CASES[i].field, 0, 0);
    }
}

static void bad_options(void **state)
{
    static const struct {
        const char *item, *says;
        enum error_code code;
    } CASES[] = {
        {"{\"name\": \"PROT\", \"value\": \"80\"}", "there is no option PROT; the nearest is",
         ERROR_BAD_VALUE},
        {"{\"name\": \"port\", \"value\": \"80\"}", "the nearest is PORT", ERROR_BAD_VALUE},
        {"{\"name\": \"SRC_IP\", \"value\": \"::\"}", "the nearest is SRCIP", ERROR_BAD_VALUE},
        {"{\"name\": \"SOMETHING\", \"value\": \"80\"}", "there is no option SOMETHING", ERROR_BAD_VALUE},
        {"{\"name\": \"\", \"value\": \"80\"}", "there is no option", ERROR_BAD_VALUE},
        {"{\"name\": \"vni\", \"value\": \"5001\"}", "the nearest is VNI", ERROR_BAD_VALUE},
        {"{\"name\": \"INER\", \"value\": \"true\"}", "the nearest is INNER", ERROR_BAD_VALUE},
        {"{\"name\": \"PORT\"}", "both name and value", ERROR_MISSING_FIELD},
        {"{\"value\": \"80\"}", "both name and value", ERROR_MISSING_FIELD},
        {"{\"name\": null, \"value\": \"80\"}", "both name and value", ERROR_MISSING_FIELD},
        {"{\"name\": \"PORT\", \"value\": null}", "both name and value", ERROR_MISSING_FIELD},
        {"{}", "both name and value", ERROR_MISSING_FIELD},
        {"{\"name\": \"PORT\", \"value\": \"80\", \"not\": true}", "name and value, not not",
         ERROR_UNKNOWN_FIELD},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        decode("{\"options\": {\"values\": [%s]}}", CASES[i].item);
        assert_refused(CASES[i].item, CASES[i].code, "options", CASES[i].says);
    }
    decode("{\"options\": {\"value\": []}}");
    assert_refused("options.value", ERROR_UNKNOWN_FIELD, "options",
                   "options has no field value; it takes values");
    decode("{\"tags\": [{\"tag\": \"a\", \"key\": \"b\"}]}");
    assert_refused("tags.key", ERROR_UNKNOWN_FIELD, "tags", "a tag has scope and tag, not key");
}

static void unknown_fields(void **state)
{
    static const struct {
        const char *name, *says;
    } CASES[] = {
        {"capDuration", "there is no field capDuration; the nearest is capduration"},
        {"captureduration", "the nearest is capduration"},
        {"capfilessize", "the nearest is capfilesize"},
        {"cap_point", "the nearest is cappoint"},
        {"node_id", "the nearest is node_ip"},
        {"tag", "the nearest is tags"},
        {"option", "the nearest is options"},
        {"sessionid", "there is no field sessionid"},
        {"", "there is no field "},
        {"_revision", "there is no field _revision"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        decode("{\"%s\": null}", CASES[i].name);
        assert_refused(CASES[i].name, ERROR_UNKNOWN_FIELD, CASES[i].name, CASES[i].says);
    }
    decode("{\"completely_different\": 1}");
    assert_refused("completely_different", ERROR_UNKNOWN_FIELD, "completely_different",
                   "completely_different");
    assert_null(strstr(errors.items[0].message, "nearest"));
}

static void a_very_long_unknown_field(void **state)
{
    char *name = repeated("n", 60000);

    (void)state;
    decode("{\"%s\": 1}", name);
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.items[0].code, ERROR_UNKNOWN_FIELD);
    assert_memory_equal(errors.items[0].field, name, sizeof errors.items[0].field - 1);
    free(name);
}

/* ---- too many ---- */

/* A list of so many items; the caller frees. */
static char *listed(const char *item, size_t count)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    assert_non_null(stream);
    for (size_t i = 0; i < count; i++)
        fprintf(stream, "%s%s", i == 0 ? "" : ", ", item);
    fclose(stream);
    return text;
}

static void many_options(void **state)
{
    char *most = listed("{\"name\": \"PORT\", \"value\": \"80\"}", OPTIONS_MAX);

    (void)state;
    decode("{\"options\": {\"values\": [%s]}}", most);
    assert_accepted("64 options");
    assert_int_equal(request.option_count, OPTIONS_MAX);
    decode("{\"options\": {\"values\": [%s, {\"name\": \"IP\", \"value\": \"::\"}, {\"name\": \"IP\", "
           "\"value\": \"::\"}]}}",
           most);
    assert_refused("66 options", ERROR_OUT_OF_RANGE, "options", "options holds more than 64 values");
    assert_int_equal(request.option_count, OPTIONS_MAX);
    free(most);
}

static void many_tags(void **state)
{
    char *most = listed("{\"scope\": \"a\", \"tag\": \"b\"}", TAGS_MAX);

    (void)state;
    decode("{\"tags\": [%s]}", most);
    assert_accepted("30 tags");
    assert_int_equal(request.tag_count, TAGS_MAX);
    decode("{\"tags\": [%s, {}, {}, {}]}", most);
    assert_refused("33 tags", ERROR_OUT_OF_RANGE, "tags", "tags holds more than 30 values");
    assert_int_equal(request.tag_count, TAGS_MAX);
    free(most);
}

/* ---- malformed ---- */

static void malformed(void **state)
{
    static const struct {
        const char *body, *says;
    } CASES[] = {
        {"", "it ends too early, after 0 bytes"},
        {"   ", "it ends too early, after 3 bytes"},
        {"{", "it ends too early, after 1 bytes"},
        {"{\"name\": \"x\"", "it ends too early, after 12 bytes"},
        {"{\"name\": \"x", "it ends too early, after 11 bytes"},
        {"{\"name\" \"x\"}", "at byte 8"},
        {"{\"name\": x}", "at byte 9"},
        {"{\"name\": 'x'}", "at byte 9"},
        {"{name: 1}", "at byte 1"},
        {"{\"name\": \"x\",}", "at byte 13"},
        {"{\"name\": \"x\" \"node\": \"y\"}", "at byte 13"},
        {"{\"name\": \"\\x\"}", "at byte 11"},
        {"{\"capamount\": 01}", "at byte "},
        {"{\"capamount\": +1}", "at byte 14"},
        {"{\"capamount\": 0x10}", "at byte "},
        {"{\"capamount\": TRUE}", "at byte 14"},
        {"{} {}", "at byte 3"},
        {"{}}", "at byte 2"},
        {"{} x", "at byte 3"},
        {"{\"name\": \"x\"} trailing", "at byte 14"},
        {"/* comment */ {}", "at byte 0"},
        {"{} // comment", "at byte "},
        {"\xef\xbb\xbf{}", "at byte 0"},
        {"capvalue=eth0&cappoint=VNIC", "at byte 0"},
        {"<xml/>", "at byte 0"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        decode("%s", CASES[i].body);
        assert_refused(CASES[i].body, ERROR_MALFORMED_JSON, NULL, CASES[i].says);
        assert_memory_equal(errors.items[0].message,
                            "the body is not JSON: ", strlen("the body is not JSON: "));
        assert_else_empty(CASES[i].body, 0, 0);
    }
}

static void bytes_after_a_nul(void **state)
{
    (void)state;
    decode_bytes("{}\0{}", 5);
    assert_refused("{} NUL {}", ERROR_MALFORMED_JSON, NULL, "at byte 2");
    decode_bytes("{\"name\": \"a\0b\"}", 15);
    assert_int_equal(errors.count, 1);
    assert_int_equal(errors.items[0].code, ERROR_MALFORMED_JSON);
    decode_bytes("{}\0", 3);
    assert_int_equal(errors.count, 1);
}

static void space_around(void **state)
{
    static const char *const BODIES[] = {" {} ", "\r\n\t{}\r\n\t ", "{\n}\n"};

    (void)state;
    for (size_t i = 0; i < COUNT(BODIES); i++) {
        decode("%s", BODIES[i]);
        assert_accepted(BODIES[i]);
    }
}

static void no_object(void **state)
{
    static const struct {
        const char *body, *says;
    } CASES[] = {
        {"[]", "the body is an array; it must be an object"},
        {"[{\"name\": \"x\"}]", "the body is an array; it must be an object"},
        {"\"x\"", "the body is a string; it must be an object"},
        {"true ", "the body is a boolean; it must be an object"},
        {"null ", "the body is null; it must be an object"},
        {"12 ", "the body is an integer; it must be an object"},
        {"12", "the body is an integer; it must be an object"},
        {"null", "the body is null; it must be an object"},
        {"false", "the body is a boolean; it must be an object"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        decode("%s", CASES[i].body);
        assert_refused(CASES[i].body, ERROR_MALFORMED_JSON, NULL, CASES[i].says);
    }
}

static void too_deep(void **state)
{
    static const size_t DEPTHS[] = {8, 1000, 60000};

    (void)state;
    for (size_t i = 0; i < COUNT(DEPTHS); i++) {
        char *open = repeated("[", DEPTHS[i]), *close = repeated("]", DEPTHS[i]);
        decode("{\"options\": %s%s}", open, close);
        assert_refused("nested arrays", ERROR_MALFORMED_JSON, NULL, "nesting too deep at byte ");
        free(open);
        free(close);
    }
}

/* ---- several ---- */

static void all_errors_come_together(void **state)
{
    static const struct {
        enum error_code code;
        const char *field;
    } WANTED[] = {
        {ERROR_WRONG_TYPE, "node"},        {ERROR_BAD_VALUE, "cappoint"},
        {ERROR_BAD_VALUE, "capmode"},      {ERROR_OUT_OF_RANGE, "streamport"},
        {ERROR_OUT_OF_RANGE, "capamount"}, {ERROR_UNKNOWN_FIELD, "capdurations"},
        {ERROR_BAD_VALUE, "options"},      {ERROR_MISSING_FIELD, "options"},
        {ERROR_WRONG_TYPE, "options"},     {ERROR_UNKNOWN_FIELD, "options"},
        {ERROR_WRONG_TYPE, "tags"},        {ERROR_BAD_VALUE, "capformat"},
        {ERROR_WRONG_TYPE, "captureself"},
    };

    (void)state;
    decode("{\"node\": 7, \"cappoint\": \"ETH\", \"capvalue\": \"eth0\", \"capmode\": \"LIVE\", "
           "\"streamport\": 65536,"
           " \"capamount\": -5, \"capdurations\": 60, \"options\": {\"values\": [{\"name\": \"PORTS\", "
           "\"value\": \"1\"},"
           " {\"name\": \"IP\"}, {\"name\": \"PORT\", \"value\": \"80\"}, 9],"
           " \"more\": 1}, \"tags\": {}, \"capformat\": \"ERF\", \"captureself\": 1, "
           "\"capsnaplen\": 96, \"caprate\": 5}");
    assert_int_equal(errors.count, COUNT(WANTED));
    for (size_t i = 0; i < COUNT(WANTED); i++) {
        assert_int_equal(errors.items[i].code, WANTED[i].code);
        assert_string_equal(errors.items[i].field, WANTED[i].field);
    }
    /* and what is right was read: validation goes on with it */
    assert_string_equal(request.capvalue, "eth0");
    assert_int_equal(request.capsnaplen, 96);
    assert_int_equal(request.caprate, 5);
    assert_int_equal(request.option_count, 1);
}

static void more_errors_than_an_answer_holds(void **state)
{
    char *items = listed("7", 5000);

    (void)state;
    decode("{\"tags\": [%s]}", items);
    assert_int_equal(errors.count, COUNT(errors.items));
    free(items);
}

/* ---- out ---- */

static const char ID[] = "6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10";
static const char NODE[] = "0b0e0c8a-7d53-4c7c-8b55-1d2c3b4a5f60";
static const struct session_view MANAGER = {.data_dir = "/data", .policy = false};
static const struct session_view POLICY = {.data_dir = "/data", .policy = true};

static struct session *session_new(enum session_state status)
{
    struct session *session = calloc(1, sizeof *session);

    assert_non_null(session);
    decode("{\"cappoint\": \"VMKNIC\", \"capvalue\": \"lo\", \"capsource\": \"CLI\"}");
    session->request = request;
    snprintf(session->id, sizeof session->id, "%s", ID);
    snprintf(session->node_id, sizeof session->node_id, "%s", NODE);
    snprintf(session->create_user, sizeof session->create_user, "anna");
    snprintf(session->last_modified_user, sizeof session->last_modified_user, "otto");
    session->limits = (struct limits){.duration_s = 600, .file_size_mb = 10000, .snaplen = 262144};
    session->create_time_ms = 1764000000123;
    session->last_modified_time_ms = 1764000060456;
    session->revision = 3;
    session->run = (struct run){.number = 1, .state = status, .created_ms = 1764000000123};
    return session;
}

static struct json_object *parsed(const char *text)
{
    enum json_tokener_error problem;
    struct json_object *object = json_tokener_parse_verbose(text, &problem);

    if (object == NULL)
        fail_msg("%s in %s", json_tokener_error_desc(problem), text);
    return object;
}

/* The answer means the same as the text, key by key, type by type. Takes answer over. */
static void assert_json(char *answer, const char *wanted)
{
    assert_non_null(answer);
    struct json_object *is = parsed(answer), *should_be = parsed(wanted);

    if (!json_object_equal(is, should_be))
        fail_msg("wanted %s\ngot %s", wanted, answer);
    json_object_put(is);
    json_object_put(should_be);
    free(answer);
}

#define RESOURCE                                                                                             \
    "\"id\": \"6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10\", \"resource_type\": \"PacketCaptureSession\","         \
    "\"_create_user\": \"anna\", \"_create_time\": 1764000000123, \"_last_modified_user\": \"otto\","        \
    "\"_last_modified_time\": 1764000060456, \"_revision\": 3, \"_protection\": \"NOT_PROTECTED\","          \
    "\"sessionid\": \"6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10\", \"starttime\": 1764000000123,"
#define UNNAMED                                                                                              \
    "\"sessionname\": \"6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10\","                                             \
    "\"display_name\": \"6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10\","
#define REQUEST "\"request\": {\"cappoint\": \"VMKNIC\", \"capvalue\": \"lo\", \"capsource\": \"CLI\"},"
#define LIMITS  "\"limits\": {\"capduration\": 600, \"capfilesize\": 10000, \"capsnaplen\": 262144},"
#define RUNTIME(started, run, counters)                                                                      \
    "\"runtime\": {\"node\": \"0b0e0c8a-7d53-4c7c-8b55-1d2c3b4a5f60\"," started "\"run\": " run "," counters \
    "}"
#define ZEROS                                                                                                \
    "\"packets_captured\": 0, \"packets_dropped\": 0, \"packets_dropped_interface\": 0, "                    \
    "\"packets_skipped\": 0,"                                                                                \
    "\"bytes_captured\": 0"
#define COUNTERS                                                                                             \
    "\"packets_captured\": 7, \"packets_dropped\": 1, \"packets_dropped_interface\": 2, "                    \
    "\"packets_skipped\": 3,"                                                                                \
    "\"bytes_captured\": 4294967296"
#define FILE_OF(run) "\"filelocation\": \"/data/captures/x/run-" run ".pcap\","

static void encode_created(void **state)
{
    struct session *session = session_new(STATE_CREATED);

    (void)state;
    assert_json(codec_encode_session(session, &MANAGER),
                "{" RESOURCE UNNAMED REQUEST LIMITS "\"sessionstatus\": \"CREATED\", \"filesize\": 0,"
                "\"filesize_bytes\": 0," RUNTIME("", "1", ZEROS) "}");
    free(session);
}

static struct session *session_with_file(enum session_state status, int32_t run)
{
    struct session *session = session_new(status);

    session->run.number = run;
    session->run.started_ms = 1764000000200;
    snprintf(session->run.file, sizeof session->run.file, "captures/x/run-%d.pcap", run);
    session->run.counters = (struct counters){.packets_captured = 7,
                                              .packets_dropped = 1,
                                              .packets_dropped_interface = 2,
                                              .packets_skipped = 3,
                                              .bytes_captured = 4294967296,
                                              .file_size = 824};
    return session;
}

static void encode_started(void **state)
{
    struct session *session = session_with_file(STATE_STARTED, 1);

    (void)state;
    assert_json(
        codec_encode_session(session, &MANAGER),
        "{" RESOURCE UNNAMED REQUEST LIMITS FILE_OF(
            "1") "\"sessionstatus\": \"STARTED\", \"filesize\": 824,"
                 "\"filesize_bytes\": 824," RUNTIME("\"started\": 1764000000200,", "1", COUNTERS) "}");
    free(session);
}

static void encode_finished(void **state)
{
    struct session *session = session_with_file(STATE_FINISHED, 12);

    (void)state;
    session->run.ended_ms = 1764000600200;
    session->run.stop_reason = STOP_DURATION;
    session->limits.packets = 100;
    assert_json(codec_encode_session(session, &MANAGER),
                "{" RESOURCE UNNAMED REQUEST
                "\"limits\": {\"capduration\": 600, \"capamount\": 100, \"capfilesize\": 10000, "
                "\"capsnaplen\": 262144}," FILE_OF(
                    "12") "\"sessionstatus\": \"FINISHED\", \"stop_reason\": \"DURATION\","
                          "\"endtime\": 1764000600200, \"filesize\": 824, \"filesize_bytes\": 824," RUNTIME(
                              "\"started\": 1764000000200,", "12", COUNTERS) "}");
    free(session);
}

/* Terminated before a worker had it: an end, but no start and no file. */
static void encode_stopped(void **state)
{
    struct session *session = session_new(STATE_STOPPED);

    (void)state;
    session->run.ended_ms = 1764000000300;
    session->run.stop_reason = STOP_TERMINATED;
    assert_json(
        codec_encode_session(session, &MANAGER),
        "{" RESOURCE UNNAMED REQUEST LIMITS "\"sessionstatus\": \"STOPPED\", \"stop_reason\": \"TERMINATED\","
        "\"endtime\": 1764000000300, \"filesize\": 0, \"filesize_bytes\": 0," RUNTIME("", "1", ZEROS) "}");
    free(session);
}

static void encode_error(void **state)
{
    struct session *session = session_with_file(STATE_ERROR, 1);

    (void)state;
    session->run.ended_ms = 1764000000300;
    session->run.stop_reason = STOP_DISK_LOW;
    snprintf(session->run.errormsg, sizeof session->run.errormsg, "the disk is full");
    assert_json(
        codec_encode_session(session, &(struct session_view){.data_dir = ""}),
        "{" RESOURCE UNNAMED REQUEST LIMITS "\"filelocation\": \"/captures/x/run-1.pcap\","
        "\"sessionstatus\": \"ERROR\", \"stop_reason\": \"DISK_LOW\", \"errormsg\": \"the disk is full\","
        "\"endtime\": 1764000000300, \"filesize\": 824, \"filesize_bytes\": 824," RUNTIME(
            "\"started\": 1764000000200,", "1", COUNTERS) "}");
    free(session);
}

static void encode_every_reason(void **state)
{
    char wanted[64];

    (void)state;
    for (int reason = STOP_DURATION; reason <= STOP_INTERNAL; reason++) {
        struct session *session = session_new(STATE_ERROR);
        session->run.stop_reason = (enum stop_reason)reason;
        char *text = codec_encode_session(session, &MANAGER);
        snprintf(wanted, sizeof wanted, "\"stop_reason\":\"%s\"", names_of(&stop_reason_names, reason));
        assert_non_null(strstr(text, wanted));
        free(text);
        free(session);
    }
}

/* name, description and tags are the resource's too. */
static void encode_what_the_user_named(void **state)
{
    struct session *session = session_new(STATE_CREATED);

    (void)state;
    decode("{\"cappoint\": \"VMKNIC\", \"capvalue\": \"lo\", \"capsource\": \"UI\", \"name\": \"my capture\","
           " \"description\": \"why\", \"tags\": [{\"scope\": \"s\", \"tag\": \"t\"}, {\"tag\": \"u\"}]}");
    session->request = request;
    assert_json(codec_encode_session(session, &MANAGER),
                "{" RESOURCE LIMITS "\"sessionname\": \"my capture\", \"display_name\": \"my capture\","
                "\"description\": \"why\", \"tags\": [{\"scope\": \"s\", \"tag\": \"t\"}, {\"scope\": \"\", "
                "\"tag\": \"u\"}],"
                "\"request\": {\"cappoint\": \"VMKNIC\", \"capvalue\": \"lo\", \"capsource\": \"UI\","
                "\"name\": \"my capture\", \"description\": \"why\","
                "\"tags\": [{\"scope\": \"s\", \"tag\": \"t\"}, {\"scope\": \"\", \"tag\": \"u\"}]},"
                "\"sessionstatus\": \"CREATED\", \"filesize\": 0, \"filesize_bytes\": 0," RUNTIME("", "1",
                                                                                                  ZEROS) "}");
    free(session);
}

static int64_t integer_in(struct json_object *object, const char *key)
{
    struct json_object *value = json_object_object_get(object, key);

    if (!json_object_is_type(value, json_type_int))
        fail_msg("%s is no integer", key);
    return json_object_get_int64(value);
}

/* NSX's filesize is an int32, and Java clients refuse more. */
static void encode_large_files(void **state)
{
    static const struct {
        int64_t bytes, shown;
    } SIZES[] = {{2147483646, 2147483646},
                 {2147483647, 2147483647},
                 {2147483648, 2147483647},
                 {4294967296, 2147483647},
                 {9000000000000000000, 2147483647}};

    (void)state;
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        struct session *session = session_with_file(STATE_STARTED, 1);
        session->run.counters.file_size = SIZES[i].bytes;
        char *text = codec_encode_session(session, &MANAGER);
        struct json_object *object = parsed(text);
        assert_int_equal(integer_in(object, "filesize"), SIZES[i].shown);
        assert_int_equal(integer_in(object, "filesize_bytes"), SIZES[i].bytes);
        json_object_put(object);
        free(text);
        free(session);
    }
}

static void encode_special_characters(void **state)
{
    struct session *session = session_new(STATE_CREATED);

    (void)state;
    snprintf(session->request.name, sizeof session->request.name, "a\"b\\c\nd\te\x01/é</script>");
    char *text = codec_encode_session(session, &MANAGER);
    assert_non_null(strstr(text, "\"sessionname\":\"a\\\"b\\\\c\\nd\\te\\u0001/é</script>\""));
    for (const char *c = text; *c != '\0'; c++)
        assert_true((unsigned char)*c >= 0x20);
    struct json_object *object = parsed(text);
    assert_string_equal(json_object_get_string(json_object_object_get(object, "sessionname")),
                        session->request.name);
    json_object_put(object);
    free(text);
    free(session);
}

/* Counters that could only be 0 elsewhere are shown where they mean something. */
static void encode_counters_of_rings_and_streams(void **state)
{
    static const char *const STREAM[] = {"packets_streamed", "packets_unsent", "packets_fragmented"};

    (void)state;
    for (int which = 0; which < 4; which++) {
        struct session *session = session_with_file(STATE_STARTED, 1);
        bool ring = (which & 1) != 0, stream = (which & 2) != 0;
        session->request.capfilecount = ring ? 3 : 0;
        session->request.capmode = stream ? CAPMODE_STREAM : CAPMODE_STANDALONE;
        session->run.counters.packets_overwritten = 11;
        session->run.counters.packets_streamed = 12;
        session->run.counters.packets_unsent = 13;
        session->run.counters.packets_fragmented = 14;
        char *text = codec_encode_session(session, &MANAGER);
        struct json_object *object = parsed(text), *runtime = json_object_object_get(object, "runtime");
        assert_int_equal(json_object_object_get(runtime, "packets_overwritten") != NULL, ring);
        if (ring)
            assert_int_equal(integer_in(runtime, "packets_overwritten"), 11);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(json_object_object_get(runtime, STREAM[i]) != NULL, stream);
            if (stream)
                assert_int_equal(integer_in(runtime, STREAM[i]), 12 + i);
        }
        json_object_put(object);
        free(text);
        free(session);
    }
}

/* What "request" says is the request, field by field. Takes text over. */
static void assert_request(char *text, const char *wanted)
{
    struct json_object *object = parsed(text);
    const char *request_text = json_object_to_json_string(json_object_object_get(object, "request"));

    assert_json(strdup(request_text), wanted);
    json_object_put(object);
    free(text);
}

#define SEGMENT_PORT "{\"cappoint\": \"SEGMENTPORT\", \"capvalue\": \"port7\", \"capsource\": \"UI\"}"
#define LOGICAL_PORT "{\"cappoint\": \"LOGICALPORT\", \"capvalue\": \"port7\", \"capsource\": \"UI\"}"

/* The management plane knows no SEGMENTPORT; the policy API knows both words. */
static void encode_in_the_words_of_the_api(void **state)
{
    static const struct {
        const char *given;
        const struct session_view *view;
        const char *shown;
    } CASES[] = {
        {SEGMENT_PORT, &MANAGER, LOGICAL_PORT},
        {SEGMENT_PORT, &POLICY, SEGMENT_PORT},
        {LOGICAL_PORT, &MANAGER, LOGICAL_PORT},
        {LOGICAL_PORT, &POLICY, LOGICAL_PORT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct session *session = session_new(STATE_CREATED);
        decode("%s", CASES[i].given);
        session->request = request;
        assert_request(codec_encode_session(session, CASES[i].view), CASES[i].shown);
        assert_int_equal(session->request.cappoint, request.cappoint);
        free(session);
    }
}

/* ---- out: errors ---- */

static void encode_one_error(void **state)
{
    (void)state;
    memset(&errors, 0, sizeof errors);
    errors_add(&errors, ERROR_MALFORMED_JSON, NULL, "the body is no good");
    assert_json(codec_encode_errors(&errors, "BAD_REQUEST"),
                "{\"httpStatus\": \"BAD_REQUEST\", \"error_code\": 36001, \"module_name\": \"PacketCapture\","
                "\"error_message\": \"the body is no good\", \"related_errors\": [{\"error_code\": 36001,"
                "\"module_name\": \"PacketCapture\", \"error_message\": \"the body is no good\"}]}");
}

static void encode_many_errors(void **state)
{
    (void)state;
    memset(&errors, 0, sizeof errors);
    errors_add(&errors, ERROR_MISSING_FIELD, "cappoint", "first");
    errors_add(&errors, ERROR_OUT_OF_RANGE, "capamount", "second \"said\"");
    assert_json(
        codec_encode_errors(&errors, "BAD_REQUEST"),
        "{\"httpStatus\": \"BAD_REQUEST\", \"error_code\": 36003, \"module_name\": \"PacketCapture\","
        "\"error_message\": \"first\", \"details\": \"field cappoint\", \"error_data\": {\"field\": "
        "\"cappoint\"},"
        "\"related_errors\": [{\"error_code\": 36003, \"module_name\": \"PacketCapture\","
        "\"error_message\": \"first\", \"details\": \"field cappoint\", \"error_data\": {\"field\": "
        "\"cappoint\"}},"
        "{\"error_code\": 36005, \"module_name\": \"PacketCapture\", \"error_message\": \"second 'said'\","
        "\"details\": \"field capamount\", \"error_data\": {\"field\": \"capamount\"}}]}");
}

static void encode_as_many_errors_as_there_can_be(void **state)
{
    char *items = listed("7", 100);

    (void)state;
    decode("{\"tags\": [%s]}", items);
    char *text = codec_encode_errors(&errors, "BAD_REQUEST");
    struct json_object *object = parsed(text);
    assert_int_equal(json_object_array_length(json_object_object_get(object, "related_errors")),
                     COUNT(errors.items));
    json_object_put(object);
    free(text);
    free(items);
}

static struct json_object *parsed_strictly(const char *text)
{
    struct json_tokener *tokener = json_tokener_new();

    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *object = json_tokener_parse_ex(tokener, text, (int)strlen(text) + 1);
    json_tokener_free(tokener);
    return object;
}

/* What the client wrote comes back in messages, cut to their length: never inside a character. */
static void errors_quote_whole_characters(void **state)
{
    static const char *const FORMATS[] = {
        "{\"%s\": 1}", "{\"cappoint\": \"%s\"}", "{\"options\": {\"%s\": 1}}",
        "{\"options\": {\"values\": [{\"name\": \"%s\", \"value\": \"\"}]}}", "{\"tags\": [{\"%s\": 1}]}"};
    char body[512];

    (void)state;
    for (size_t i = 0; i < COUNT(FORMATS); i++)
        for (size_t shift = 0; shift < 4; shift++) {
            char *quoted = repeated("𝄞", 40), *before = repeated("x", shift);
            size_t mark = strcspn(FORMATS[i], "%");
            snprintf(body, sizeof body, "%.*s%s%s%s", (int)mark, FORMATS[i], before, quoted,
                     FORMATS[i] + mark + 2);
            decode("%s", body);
            char *text = codec_encode_errors(&errors, "BAD_REQUEST");
            struct json_object *object = parsed_strictly(text);
            if (object == NULL)
                fail_msg("no UTF-8: %s", text);
            json_object_put(object);
            free(text);
            free(quoted);
            free(before);
        }
}

/* ---- out: lists ---- */

static void encode_empty_list(void **state)
{
    struct session_list *list = codec_list_open(&MANAGER);

    (void)state;
    assert_non_null(list);
    assert_json(
        codec_list_close(list, 0, "", "starttime", true),
        "{\"results\": [], \"result_count\": 0, \"sort_by\": \"starttime\", \"sort_ascending\": true}");
}

static void encode_list(void **state)
{
    struct session_list *list = codec_list_open(&MANAGER);
    struct session *session = session_new(STATE_CREATED);
    char *one = codec_encode_session(session, &MANAGER), *wanted = NULL;

    (void)state;
    assert_non_null(list);
    codec_list_add(list, session);
    codec_list_add(list, session);
    free(session);
    assert_true(asprintf(&wanted,
                         "{\"results\": [%s, %s], \"result_count\": 5000000000, \"cursor\": \"0031\","
                         "\"sort_by\": \"filesize\", \"sort_ascending\": false}",
                         one, one) > 0);
    assert_json(codec_list_close(list, 5000000000, "0031", "filesize", false), wanted);
    free(wanted);
    free(one);
}

static void encode_list_in_the_words_of_the_api(void **state)
{
    static const struct session_view *const VIEWS[] = {&MANAGER, &POLICY};

    (void)state;
    for (size_t i = 0; i < COUNT(VIEWS); i++) {
        struct session_view view = *VIEWS[i];
        struct session_list *list = codec_list_open(&view);
        struct session *session = session_new(STATE_CREATED);
        session->request.cappoint = CAPPOINT_SEGMENTPORT;
        view.policy = !view.policy; /* the list keeps what it was opened with */
        codec_list_add(list, session);
        char *text = codec_list_close(list, 1, "", "starttime", true);
        bool segment = strstr(text, "\"cappoint\":\"SEGMENTPORT\"") != NULL;
        bool logical = strstr(text, "\"cappoint\":\"LOGICALPORT\"") != NULL;
        assert_int_equal(segment, VIEWS[i]->policy);
        assert_int_equal(logical, !VIEWS[i]->policy);
        free(text);
        free(session);
    }
}

static void abandon_list(void **state)
{
    struct session_list *list = codec_list_open(&MANAGER);
    struct session *session = session_new(STATE_CREATED);

    (void)state;
    codec_list_add(list, session);
    codec_list_abandon(list);
    free(session);
}

/* ---- and back ---- */

static void round_trip(void **state)
{
    static const char *const BODIES[] = {
        "{}",
        "{\"cappoint\": \"VIF\", \"capsource\": \"UI\", \"capduration\": 0, \"capamount\": 0, \"options\": "
        "{}}",
        "{\"node\": \"edge-7\", \"node_ip\": \"2001:db8::1\", \"cappoint\": \"PNIC\", \"capvalue\": \"eth0\","
        " \"capsource\": \"CLI\", \"direction\": \"OUTPUT\", \"capmode\": \"STANDALONE\", \"capformat\": "
        "\"PCAP\","
        " \"capduration\": 2147483647, \"capamount\": 1, \"capfilesize\": 0, \"capsnaplen\": 96,"
        " \"name\": \"a \\\"b\\\" \\\\ \\u0001 é 𝄞\", \"description\": \"line\\nline\", \"capexpression\": "
        "\"tcp[13] & 2 != 0\","
        " \"options\": {\"values\": [{\"name\": \"PORT\", \"value\": \"80\"}, {\"name\": \"IP6\", \"value\": "
        "\"::/0\"},"
        " {\"name\": \"PORT\", \"value\": \"443\"}]}, \"tags\": [{\"scope\": \"s\", \"tag\": \"t\"}, "
        "{\"tag\": \"u\"}, {}]}",
        "{\"cappoint\": \"DVFILTER\", \"capvalue\": \"any\", \"filtertype\": \"POST\", \"caprate\": 1000, "
        "\"capcore\": 0, \"capmode\": \"STREAM\", \"streamaddress\": \"2001:db8::1\", \"streamport\": 65535, "
        "\"captureself\": true, \"options\": {\"values\": [{\"name\": \"VNI\", \"value\": \"5001\"}, "
        "{\"name\": \"INNER\", \"value\": \"true\"}]}}",
        "{\"cappoint\": \"LOGICALPORT\", \"capformat\": \"PCAPNG\", \"capfilesize\": 1, \"capfilecount\": "
        "1000, "
        "\"caprate\": 0, \"streamport\": 0, \"captureself\": false, \"filtertype\": \"PRE\"}",
    };

    (void)state;
    for (size_t i = 0; i < COUNT(BODIES); i++) {
        struct session *session = session_new(STATE_CREATED);
        decode("%s", BODIES[i]);
        assert_accepted(BODIES[i]);
        session->request = request;
        char *text = codec_encode_session(session, &MANAGER);
        struct json_object *object = parsed(text);
        decode("%s", json_object_to_json_string(json_object_object_get(object, "request")));
        assert_accepted(BODIES[i]);
        assert_memory_equal(&request, &session->request, sizeof request);
        json_object_put(object);
        free(text);
        free(session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(integers),
        cmocka_unit_test(names),
        cmocka_unit_test(flags),
        cmocka_unit_test(the_first_cpu_is_not_any_cpu),
        cmocka_unit_test(every_field_is_in_a_table_here),
        cmocka_unit_test(options),
        cmocka_unit_test(options_that_say_nothing),
        cmocka_unit_test(options_ignore_what_lists_hold),
        cmocka_unit_test(tags),
        cmocka_unit_test(empty_object),
        cmocka_unit_test(null_is_absent),
        cmocka_unit_test(empty_text_is_absent),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(wrong_types_inside),
        cmocka_unit_test(integers_out_of_range),
        cmocka_unit_test(integers_one_too_large),
        cmocka_unit_test(integers_beyond_64_bits),
        cmocka_unit_test(texts_of_the_greatest_length),
        cmocka_unit_test(texts_too_long),
        cmocka_unit_test(texts_inside_of_the_greatest_length),
        cmocka_unit_test(texts_inside_too_long),
        cmocka_unit_test(nul_characters),
        cmocka_unit_test(bytes_that_are_no_utf8),
        cmocka_unit_test(escapes),
        cmocka_unit_test(bad_names),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(unknown_fields),
        cmocka_unit_test(a_very_long_unknown_field),
        cmocka_unit_test(many_options),
        cmocka_unit_test(many_tags),
        cmocka_unit_test(malformed),
        cmocka_unit_test(bytes_after_a_nul),
        cmocka_unit_test(space_around),
        cmocka_unit_test(no_object),
        cmocka_unit_test(too_deep),
        cmocka_unit_test(all_errors_come_together),
        cmocka_unit_test(more_errors_than_an_answer_holds),
        cmocka_unit_test(encode_created),
        cmocka_unit_test(encode_started),
        cmocka_unit_test(encode_finished),
        cmocka_unit_test(encode_stopped),
        cmocka_unit_test(encode_error),
        cmocka_unit_test(encode_every_reason),
        cmocka_unit_test(encode_what_the_user_named),
        cmocka_unit_test(encode_large_files),
        cmocka_unit_test(encode_special_characters),
        cmocka_unit_test(encode_counters_of_rings_and_streams),
        cmocka_unit_test(encode_in_the_words_of_the_api),
        cmocka_unit_test(encode_one_error),
        cmocka_unit_test(encode_many_errors),
        cmocka_unit_test(encode_as_many_errors_as_there_can_be),
        cmocka_unit_test(errors_quote_whole_characters),
        cmocka_unit_test(encode_empty_list),
        cmocka_unit_test(encode_list),
        cmocka_unit_test(encode_list_in_the_words_of_the_api),
        cmocka_unit_test(abandon_list),
        cmocka_unit_test(round_trip),
    };

    return cmocka_run_group_tests_name("codec", tests, NULL, NULL);
}
