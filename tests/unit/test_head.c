/* Heads of requests: good ones, and what is refused. */
#include "http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MAX = 16 * 1024 };

#define GET  "GET /a HTTP/1.1\r\nHost: x\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: x\r\n"

struct reading {
    enum head_progress progress;
    bool good;
    size_t size;
    struct head head;
    struct head_problem problem;
    char *text;
};

/* Hands over the first byte, the first two, and so on, `step` more at a time. */
static struct reading read_in_steps(const char *text, size_t length, size_t step)
{
    struct reading reading = {.progress = HEAD_PART, .text = malloc(length)};
    size_t scanned = 0;

    assert_non_null(reading.text);
    for (size_t come = 0; come < length && reading.progress == HEAD_PART;) {
        come = length - come < step ? length : come + step;
        memcpy(reading.text, text, come);
        memset(reading.text + come, 'X', length - come); /* nothing behind may be looked at */
        reading.progress = head_find_end(reading.text, come, MAX, &scanned, &reading.size, &reading.problem);
    }
    if (reading.progress == HEAD_WHOLE)
        reading.good = head_read(reading.text, reading.size, &reading.head, &reading.problem);
    return reading;
}

static struct reading read_text(const char *text)
{
    struct reading reading = read_in_steps(text, strlen(text), 1);
    struct reading at_once = read_in_steps(text, strlen(text), SIZE_MAX / 2);

    if (reading.good != at_once.good || reading.size != at_once.size)
        fail_msg("%s: pieces make a difference", text);
    free(at_once.text);
    return reading;
}

/* ---- good ones ---- */

static void check_request(const char *text, const char *method, const char *path, const char *query)
{
    struct reading reading = read_text(text);

    if (!reading.good)
        fail_msg("%s: %s", text, reading.problem.message);
    assert_string_equal(reading.head.request.method, method);
    assert_string_equal(reading.head.request.path, path);
    assert_string_equal(reading.head.request.query, query);
    free(reading.text);
}

static void request_lines(void **state)
{
    (void)state;
    check_request("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/", "");
    check_request("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/a", "b=c");
    check_request("GET /a??b=/c?d HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/a", "?b=/c?d");
    check_request("DELETE //a//../%2e%00 HTTP/1.0\r\n\r\n", "DELETE", "//a//../%2e%00", "");
    check_request("X-!#$ /a HTTP/1.1\r\nHost: \r\n\r\n", "X-!#$", "/a", "");
    check_request("GET http://h:80/a?b HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/a", "b");
    check_request("GET HTTPS://[::1] HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/", "");
    check_request("GET http://h?b HTTP/1.1\r\nHost: x\r\n\r\n", "GET", "/", "b");
}

static void headers(void **state)
{
    struct reading reading =
        read_text("GET /a HTTP/1.1\r\nHost: x:1\r\nA:b\r\nB: \t c d\t \r\nC:\r\nd: \xe4\r\nA: e\r\n\r\n");
    const struct http_request *request = &reading.head.request;
    char list[16];

    (void)state;
    assert_true(reading.good);
    assert_int_equal(request->header_count, 6);
    assert_string_equal(http_header(request, "host"), "x:1");
    assert_string_equal(http_header(request, "b"), "c d");
    assert_string_equal(http_header(request, "c"), "");
    assert_string_equal(http_header(request, "D"), "\xe4");
    assert_null(http_header(request, "e"));
    assert_true(http_header_list(request, "A", list, sizeof list));
    assert_string_equal(list, "b, e");
    assert_false(http_header_list(request, "A", list, 4));
    free(reading.text);
}

static void check_connection(const char *text, bool close, bool chunked, int64_t length, bool expects)
{
    struct reading reading = read_text(text);

    if (!reading.good)
        fail_msg("%s: %s", text, reading.problem.message);
    if (reading.head.close != close || reading.head.chunked != chunked ||
        reading.head.content_length != length || reading.head.expects_continue != expects)
        fail_msg("%s: close %d, chunked %d, length %lld, expects %d", text, reading.head.close,
                 reading.head.chunked, (long long)reading.head.content_length, reading.head.expects_continue);
    free(reading.text);
}

static void framing(void **state)
{
    (void)state;
    check_connection(GET "\r\n", false, false, 0, false);
    check_connection(GET "Connection: close\r\n\r\n", true, false, 0, false);
    check_connection(GET "Connection: keep-alive, Close\r\n\r\n", true, false, 0, false);
    check_connection(GET "Connection: closed\r\nConnection: x\r\n\r\n", false, false, 0, false);
    check_connection("GET /a HTTP/1.0\r\n\r\n", true, false, 0, false);
    check_connection("GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", false, false, 0, false);
    check_connection(POST "Content-Length: 007\r\n\r\n", false, false, 7, false);
    check_connection(POST "Content-Length: 9223372036854775807\r\n\r\n", false, false, INT64_MAX, false);
    check_connection(POST "Content-Length: 99999999999999999999\r\n\r\n", false, false, INT64_MAX, false);
    check_connection(POST "transfer-encoding: Chunked\r\n\r\n", false, true, 0, false);
    check_connection(POST "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n", false, false, 1, true);
    check_connection("POST /a HTTP/1.0\r\nExpect: 100-continue\r\n\r\n", true, false, 0, false);
}

static void the_host_of_an_absolute_target_counts(void **state)
{
    static const char *const HEADS[] = {"GET http://one:8/a HTTP/1.1\r\nA: b\r\nHost: two\r\n\r\n",
                                        "GET http://one:8/a HTTP/1.0\r\nA: b\r\n\r\n"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct reading reading = read_text(HEADS[i]);
        assert_true(reading.good);
        assert_string_equal(http_header(&reading.head.request, "Host"), "one:8");
        assert_int_equal(reading.head.request.header_count, 2);
        free(reading.text);
    }
}

static void what_is_behind_the_head_stays(void **state)
{
    const char *text = GET "\r\nGET /b";
    struct reading reading = read_in_steps(text, strlen(text), 1000);

    (void)state;
    assert_true(reading.good);
    assert_int_equal(reading.size, strlen(GET) + 2);
    assert_memory_equal(reading.text + reading.size, "GET /b", 6);
    free(reading.text);
}

/* ---- hostile ones ---- */

static const struct {
    int status;
    const char *text;
} REFUSED[] = {
    {400, "\r\n\r\n"},
    {400, "GET\r\n\r\n"},
    {400, "GET /a\r\n\r\n"},
    {400, "GET  /a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET /a  HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, " GET /a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET\t/a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "G(T /a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "G\xe4T /a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET * HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET /\xe4 HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET /a\tb HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http:// HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET http://a@b/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET ftp://a/ HTTP/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET /a HTTP/1.1 \r\nHost: x\r\n\r\n"},
    {400, "GET /a http/1.1\r\nHost: x\r\n\r\n"},
    {400, "GET /a HTTP/1.10\r\nHost: x\r\n\r\n"},
    {400, "GET /a HTTP/11\r\nHost: x\r\n\r\n"},
    {505, "GET /a HTTP/1.2\r\nHost: x\r\n\r\n"},
    {505, "GET /a HTTP/0.9\r\nHost: x\r\n\r\n"},
    {505, "PRI * HTTP/2.0\r\n\r\n"},
    {400, "GET /a HTTP/1.1\r\n\r\n"},
    {400, "GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n"},
    {400, "GET /a HTTP/1.1\r\nHost: a b\r\n\r\n"},
    {400, "GET /a HTTP/1.1\r\nHost: a@b\r\n\r\n"},
    {400, GET "Host: x\r\n\r\n"},
    {400, GET "A b\r\n\r\n"},
    {400, GET ": b\r\n\r\n"},
    {400, GET "A : b\r\n\r\n"},
    {400, GET "A\t: b\r\n\r\n"},
    {400, GET " A: b\r\n\r\n"},
    {400, GET "A: b\r\n c\r\n\r\n"},
    {400, GET "A: b\r\n\tc\r\n\r\n"},
    {400, GET "A: b\n\r\n"},
    {400, GET "A: b\rc\r\n\r\n"},
    {400, GET "A: b\r\r\n\r\n"},
    {400, GET "A: \x01\r\n\r\n"},
    {400, GET "A: \x7f\r\n\r\n"},
    {400, GET "A\x0b: b\r\n\r\n"},
    {400, "GET /a HTTP/1.1\nHost: x\n\n"},
    {400, "\n"},
    {400, "\x16\x03\x01"},
    {400, POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n"},
    {400, POST "Content-Length: 1, 1\r\n\r\n"},
    {400, POST "Content-Length: +1\r\n\r\n"},
    {400, POST "Content-Length: -1\r\n\r\n"},
    {400, POST "Content-Length: 0x1\r\n\r\n"},
    {400, POST "Content-Length: 1.0\r\n\r\n"},
    {400, POST "Content-Length:\r\n\r\n"},
    {400, POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, POST "Content-Length: 0\r\nTransfer-Encoding: identity\r\n\r\n"},
    {400, POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {400, "POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {501, POST "Transfer-Encoding: xchunked\r\n\r\n"},
    {501, POST "Transfer-Encoding: chunked, identity\r\n\r\n"},
    {501, POST "Transfer-Encoding: identity, chunked\r\n\r\n"},
    {501, POST "Transfer-Encoding: \"chunked\"\r\n\r\n"},
    {501, POST "Transfer-Encoding: chunked;\r\n\r\n"},
    {501, POST "Transfer-Encoding:\r\n\r\n"},
    {400, GET "Authorization: a\r\nauthorization: a\r\n\r\n"},
    {400, GET "Content-Type: a\r\nContent-Type: a\r\n\r\n"},
    {400, GET "Origin: a\r\nOrigin: a\r\n\r\n"},
    {400, GET "X-XSRF-TOKEN: a\r\nX-Xsrf-Token: a\r\n\r\n"},
};

static void check_refused(const char *text, size_t length, int status)
{
    struct reading reading = read_in_steps(text, length, 1);

    if (reading.progress == HEAD_PART || reading.good || reading.problem.status != status)
        fail_msg("%s: progress %d, good %d, %d %s", text, reading.progress, reading.good,
                 reading.problem.status, reading.problem.message);
    assert_true(reading.problem.message[0] != '\0');
    free(reading.text);
}

static void refused(void **state)
{
    static const char NUL[] = GET "A: b\0c\r\n\r\n";

    (void)state;
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++)
        check_refused(REFUSED[i].text, strlen(REFUSED[i].text), REFUSED[i].status);
    check_refused(NUL, sizeof NUL - 1, 400);
}

/* `before`, then so many bytes of `filling`, then `after`. */
static void check_long(const char *before, const char *filling, size_t count, const char *after, int status)
{
    static char text[64 * 1024];
    size_t length = strlen(before);

    memcpy(text, before, length);
    for (size_t i = 0; i < count; i++)
        text[length++] = filling[i % strlen(filling)];
    memcpy(text + length, after, strlen(after));
    length += strlen(after);
    struct reading reading = read_in_steps(text, length, 1000);
    if (reading.good != (status == 0) || (status != 0 && reading.problem.status != status))
        fail_msg("%s and %zu of %s: %d %s", before, count, filling, reading.problem.status,
                 reading.problem.message);
    free(reading.text);
}

static void too_long(void **state)
{
    size_t line = strlen("GET / HTTP/1.1\r\n"), head = strlen(GET "A: \r\n\r\n");

    (void)state;
    check_long("GET /", "a", HEAD_LINE_MAX - line, " HTTP/1.1\r\nHost: x\r\n\r\n", 0);
    check_long("GET /", "a", HEAD_LINE_MAX - line + 1, " HTTP/1.1\r\nHost: x\r\n\r\n", 414);
    check_long("GET /", "a", 3 * MAX, "", 414);
    check_long("", "a", 3 * MAX, "", 414);
    check_long(GET "A: ", "a", MAX - head, "\r\n\r\n", 0);
    check_long(GET "A: ", "a", MAX - head + 1, "\r\n\r\n", 431);
    check_long(GET "A: ", "a", 3 * MAX, "", 431);
    check_long(GET, "A: b\r\n", 6 * (HTTP_HEADERS_MAX - 1), "\r\n", 0);
    check_long(GET, "A: b\r\n", 6 * HTTP_HEADERS_MAX, "\r\n", 431);
}

/* With an absolute target in place of the header Host that is not there, the list may be full already. */
static void a_full_list_and_an_absolute_target(void **state)
{
    (void)state;
    check_long("GET http://h/a HTTP/1.0\r\n", "A: b\r\n", 6 * HTTP_HEADERS_MAX, "\r\n", 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_lines),
        cmocka_unit_test(headers),
        cmocka_unit_test(framing),
        cmocka_unit_test(the_host_of_an_absolute_target_counts),
        cmocka_unit_test(what_is_behind_the_head_stays),
        cmocka_unit_test(refused),
        cmocka_unit_test(too_long),
        cmocka_unit_test(a_full_list_and_an_absolute_target),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
