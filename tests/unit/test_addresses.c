/* How many connections an address has, and what counts as one address. */
#include "http/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct address_key key(const char *text)
{
    union {
        struct sockaddr_storage storage;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } peer = {0};
    bool is_ipv6 = strchr(text, ':') != NULL;

    peer.storage.ss_family = is_ipv6 ? AF_INET6 : AF_INET;
    void *at = is_ipv6 ? (void *)&peer.ipv6.sin6_addr : (void *)&peer.ipv4.sin_addr;
    assert_int_equal(inet_pton(peer.storage.ss_family, text, at), 1);
    return address_key_of(&peer.storage);
}

static bool same(const char *a, const char *b)
{
    struct address_key first = key(a), second = key(b);

    return memcmp(&first, &second, sizeof first) == 0;
}

static void what_is_one_address(void **state)
{
    (void)state;
    assert_true(same("192.0.2.1", "192.0.2.1"));
    assert_true(same("192.0.2.1", "::ffff:192.0.2.1"));
    assert_false(same("192.0.2.1", "192.0.2.2"));
    assert_true(same("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"));
    assert_false(same("2001:db8::1", "2001:db8:0:1::1"));
    assert_false(same("::1", "0.0.0.0"));
    assert_false(same("::1", "::ffff:0.0.0.1"));
}

static void counting(void **state)
{
    struct addresses *addresses = addresses_open(2);
    struct address_key one = key("192.0.2.1"), other = key("192.0.2.2");

    (void)state;
    assert_non_null(addresses);
    assert_true(addresses_enter(addresses, &one));
    assert_true(addresses_enter(addresses, &one));
    assert_false(addresses_enter(addresses, &one));
    assert_true(addresses_enter(addresses, &other));
    addresses_leave(addresses, &one);
    assert_true(addresses_enter(addresses, &one));
    assert_false(addresses_enter(addresses, &one));
    addresses_leave(addresses, &one);
    addresses_leave(addresses, &one);
    addresses_leave(addresses, &other);
    assert_true(addresses_enter(addresses, &one));
    addresses_close(addresses); /* with one that is still there */
}

static void many(void **state)
{
    struct addresses *addresses = addresses_open(1);
    char text[16];

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) {
            snprintf(text, sizeof text, "10.0.%d.%d", i / 250, i % 250);
            struct address_key one = key(text);
            assert_int_equal(addresses_enter(addresses, &one), round == 0 || i % 2 == 0);
            if (i % 2 == 0)
                addresses_leave(addresses, &one);
        }
    }
    addresses_close(addresses);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_one_address),
        cmocka_unit_test(counting),
        cmocka_unit_test(many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
