/* The client behind proxies, and which of their words count. */
#include "auth/client.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct config config;
static struct http_request request;
static struct client client;

static int begin(void **state)
{
    (void)state;
    config = (struct config){.trusted_proxies = "127.0.0.1, 10.0.0.0/8,2001:db8::/32"};
    request = (struct http_request){.method = "GET", .path = "/", .peer = "127.0.0.1"};
    return 0;
}

static void header(const char *name, const char *value)
{
    request.headers[request.header_count++] = (struct http_header){name, value};
}

static void find(void)
{
    client_find(&config, &request, &client);
}

static void without_a_proxy(void **state)
{
    (void)state;
    strcpy(request.peer, "192.0.2.9");
    header("Host", "capture.example:8080");
    header("X-Forwarded-For", "198.51.100.1");
    header("X-Forwarded-Proto", "https");
    header("X-Forwarded-Host", "evil.example");
    header("X-Forwarded-Prefix", "/evil");
    header("Forwarded", "for=198.51.100.2;proto=https;host=evil.example");
    find();
    assert_string_equal(client.address, "192.0.2.9");
    assert_string_equal(client.host, "capture.example:8080");
    assert_string_equal(client.prefix, "");
    assert_false(client.secure || client.trusted);
}

static void address(const char *list, const char *wanted)
{
    request.header_count = 0;
    header("X-Forwarded-For", list);
    find();
    if (strcmp(client.address, wanted) != 0)
        fail_msg("%s: %s, wanted %s", list, client.address, wanted);
}

static void x_forwarded_for(void **state)
{
    (void)state;
    address("198.51.100.1", "198.51.100.1");
    address("1.2.3.4, 198.51.100.1", "198.51.100.1"); /* the first is what the client wrote */
    address("198.51.100.1, 10.1.2.3", "198.51.100.1");
    address("6.6.6.6, 198.51.100.1,10.1.2.3 , 10.9.9.9", "198.51.100.1");
    address("10.1.2.3, 10.9.9.9", "10.1.2.3"); /* all trusted: the first */
    address("198.51.100.1:4711", "198.51.100.1");
    address("::ffff:198.51.100.1", "198.51.100.1");
    address("2001:DB9:0::1", "2001:db9::1");
    address("[2001:db9::1]:4711", "2001:db9::1");
    address("2001:db9::1", "2001:db9::1");
    address("2001:db9::1, 2001:db8::5", "2001:db9::1");
    address("unknown", "127.0.0.1");
    address("198.51.100.1, garbage", "127.0.0.1");
    address("198.51.100.1, garbage, 10.0.0.1", "10.0.0.1");
    address("198.51.100.0/24", "127.0.0.1");
    address("", "127.0.0.1");
    address(",", "127.0.0.1");
}

static void long_lists(void **state)
{
    static char list[8192];

    (void)state;
    for (size_t used = 0; used < sizeof list - 40;)
        used += (size_t)snprintf(list + used, sizeof list - used, "6.6.6.6, ");
    strcat(list, "198.51.100.1");
    address(list, "198.51.100.1");
    for (size_t used = 0; used < sizeof list - 40;)
        used += (size_t)snprintf(list + used, sizeof list - used, "for=6.6.6.6, ");
    strcat(list, "for=198.51.100.1");
    request.header_count = 0;
    header("Forwarded", list);
    find();
    assert_string_equal(client.address, "198.51.100.1");
}

static void several_headers_are_one_list(void **state)
{
    (void)state;
    header("X-Forwarded-For", "6.6.6.6");
    header("X-Forwarded-For", "198.51.100.1");
    find();
    assert_string_equal(client.address, "198.51.100.1");
}

static void the_rest_of_the_family(void **state)
{
    (void)state;
    header("Host", "127.0.0.1:8080");
    header("X-Forwarded-For", "198.51.100.1");
    header("X-Forwarded-Proto", "https");
    header("X-Forwarded-Host", "lab.example");
    header("X-Forwarded-Prefix", "/capture/");
    find();
    assert_true(client.trusted && client.secure);
    assert_string_equal(client.host, "lab.example");
    assert_string_equal(client.prefix, "/capture");
}

static void hosts_and_prefixes_that_are_none(void **state)
{
    static const char *const BAD[] = {"//evil", "/a/../b", "evil", "/a b", "/a\"b", "/a;b", "/.x", "/<x>"};

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        request.header_count = 0;
        header("Host", "lab.example");
        header("X-Forwarded-Host", "x/\"y");
        header("X-Forwarded-Prefix", BAD[i]);
        find();
        assert_string_equal(client.host, "lab.example");
        assert_string_equal(client.prefix, "");
    }
}

static void forwarded(const char *value, const char *wanted)
{
    request.header_count = 0;
    header("Forwarded", value);
    find();
    if (strcmp(client.address, wanted) != 0)
        fail_msg("%s: %s, wanted %s", value, client.address, wanted);
}

static void rfc_7239(void **state)
{
    (void)state;
    forwarded("for=198.51.100.1", "198.51.100.1");
    forwarded("For=\"198.51.100.1:4711\";proto=https", "198.51.100.1");
    forwarded("for=\"[2001:db9:cafe::17]:4711\"", "2001:db9:cafe::17");
    forwarded("for=6.6.6.6, for=198.51.100.1;by=10.0.0.1, for=10.2.2.2", "198.51.100.1");
    forwarded("for=198.51.100.1, for=unknown", "127.0.0.1");
    forwarded("for=_hidden", "127.0.0.1");
    forwarded("for=\"198.51.100.1", "127.0.0.1");
    forwarded("for=\"6.6.6.6, for=198.51.100.1", "198.51.100.1"); /* a quotation mark of the client's */
    forwarded("garbage;;=, for=198.51.100.1", "198.51.100.1");
    forwarded("for=\"[2001:DB9:0::1]\"", "2001:db9::1");
    forwarded("nonsense", "127.0.0.1");
    forwarded("for=198.51.100.1;host=\"a,b\";proto=https", "198.51.100.1");
    assert_true(client.secure);
    forwarded("for=198.51.100.1;proto=https;host=lab.example:8443, for=10.0.0.2;proto=http;host=inner",
              "198.51.100.1");
    assert_true(client.secure);
    assert_string_equal(client.host, "lab.example:8443");
}

/* A proxy that sets the one hands on the other as it came. */
static void only_one_family_counts(void **state)
{
    (void)state;
    header("X-Forwarded-For", "198.51.100.1");
    header("Forwarded", "for=6.6.6.6;proto=https");
    find();
    assert_string_equal(client.address, "198.51.100.1");
    assert_false(client.secure);
    config.forwarded = FORWARDED_RFC7239;
    find();
    assert_string_equal(client.address, "6.6.6.6");
    assert_true(client.secure);
    config.forwarded = FORWARDED_X;
    find();
    assert_string_equal(client.address, "198.51.100.1");
}

static void origins(void **state)
{
    static const struct {
        const char *host, *origin;
        bool secure, same;
    } CASES[] = {
        {"lab.example", "http://lab.example", false, true},
        {"lab.example", "http://LAB.example", false, true},
        {"lab.example", "https://lab.example", false, false},
        {"lab.example", "https://lab.example", true, true},
        {"lab.example:443", "https://lab.example", true, true},
        {"lab.example:80", "http://lab.example", false, true},
        {"lab.example:8080", "http://lab.example:8080", false, true},
        {"lab.example:8080", "http://lab.example", false, false},
        {"lab.example", "http://lab.example.evil", false, false},
        {"lab.example", "http://evil", false, false},
        {"lab.example", "null", false, false},
        {"", "http://", false, false},
        {"[2001:db8::1]:8080", "http://[2001:db8::1]:8080", false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        client = (struct client){.secure = CASES[i].secure};
        strcpy(client.host, CASES[i].host);
        if (client_is_origin(&client, CASES[i].origin) != CASES[i].same)
            fail_msg("%s at %s", CASES[i].origin, CASES[i].host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(without_a_proxy, begin),
        cmocka_unit_test_setup(x_forwarded_for, begin),
        cmocka_unit_test_setup(long_lists, begin),
        cmocka_unit_test_setup(several_headers_are_one_list, begin),
        cmocka_unit_test_setup(the_rest_of_the_family, begin),
        cmocka_unit_test_setup(hosts_and_prefixes_that_are_none, begin),
        cmocka_unit_test_setup(rfc_7239, begin),
        cmocka_unit_test_setup(only_one_family_counts, begin),
        cmocka_unit_test_setup(origins, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
