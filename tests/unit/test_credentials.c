/* What clients send to say who they are. */
#include "auth/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check_basic(const char *header, const char *user, const char *password)
{
    struct password_login login;
    bool known = false;

    if (!credentials_read_basic(header, &login, &known))
        fail_msg("%s cannot be read", header);
    assert_int_equal(known, user != NULL);
    assert_string_equal(login.user, user == NULL ? "" : user);
    assert_string_equal(login.password, user == NULL ? "" : password);
}

static void basic(void **state)
{
    (void)state;
    check_basic("Basic YWxpY2U6c2VjcmV0", "alice", "secret");
    check_basic("basic YWxpY2U6c2VjcmV0", "alice", "secret");
    check_basic("BASIC   YWxpY2U6c2VjcmV0", "alice", "secret");
    check_basic("Basic YTpiOmM=", "a", "b:c");
    check_basic("Basic YTpiOmM", "a", "b:c");
    check_basic("Basic YTrDpA==", "a", "\xc3\xa4");
    check_basic("Basic Og==", NULL, NULL);         /* ":" */
    check_basic("Basic YTo=", NULL, NULL);         /* "a:" */
    check_basic("Basic OmE=", NULL, NULL);         /* ":a" */
    check_basic("Basic YSBiOmM=", NULL, NULL);     /* "a b:c" */
    check_basic("Basic YQpiOmM=", NULL, NULL);     /* a line break in the name */
    check_basic("Basic Li4vZXRjOng=", NULL, NULL); /* "../etc:x" */
}

static void basic_that_cannot_be_read(void **state)
{
    static const char *const BAD[] = {"",
                                      "Basic",
                                      "Basic ",
                                      "Basic !!!!",
                                      "Basic YQ==",
                                      "Basic YTpiOm=M",
                                      "Basic YTpi\tOmM",
                                      "Basic A",
                                      "Bearer YTpiOmM=",
                                      "BasicYTpiOmM=",
                                      "Basic YToAYg==",
                                      "Basic YTpi YTpi"};
    struct password_login login;
    bool known;

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        if (credentials_read_basic(BAD[i], &login, &known))
            fail_msg("%s can be read", BAD[i]);
}

static void basic_that_is_long(void **state)
{
    char header[4096] = "Basic ";
    struct password_login login;
    bool known = true;

    (void)state;
    strcat(header, "YTph"); /* "a:a", and then a's */
    for (size_t i = 0; i < 90; i++)
        strcat(header, "YWFh");
    assert_true(credentials_read_basic(header, &login, &known));
    assert_false(known);
    for (size_t i = 0; i < 500; i++)
        strcat(header, "YWFh");
    assert_false(credentials_read_basic(header, &login, &known));
}

static void bearer(void **state)
{
    (void)state;
    assert_string_equal(credentials_read_bearer("Bearer abc"), "abc");
    assert_string_equal(credentials_read_bearer("bearer  abc"), "abc");
    assert_null(credentials_read_bearer("Bearer"));
    assert_null(credentials_read_bearer("Basic abc"));
}

static void cookies(void **state)
{
    static const struct {
        const char *header, *value;
    } CASES[] = {
        {"JSESSIONID=abc", "abc"},
        {"a=b; JSESSIONID=abc; c=d", "abc"},
        {"a=b;JSESSIONID=abc", "abc"},
        {"JSESSIONID=\"abc\"", "abc"},
        {"JSESSIONID=first; JSESSIONID=second", "first"},
        {"XJSESSIONID=no; JSESSIONID=abc", "abc"},
        {"JSESSIONID=; JSESSIONID=second", "second"},
        {"JSESSIONIDX=no", NULL},
        {"jsessionid=no", NULL},
        {"JSESSIONID=", NULL},
        {"JSESSIONID", NULL},
        {"", NULL},
        {";;;; ; =", NULL},
        {"JSESSIONID=0123456789012345678901234567890", "0123456789012345678901234567890"},
        {"JSESSIONID=01234567890123456789012345678901", NULL},
    };
    char value[32];

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        if ((credentials_read_cookie(CASES[i].header, "JSESSIONID", value, sizeof value) != NULL) !=
            (CASES[i].value != NULL))
            fail_msg("%s", CASES[i].header);
        if (CASES[i].value != NULL)
            assert_string_equal(value, CASES[i].value);
    }
}

static void cookies_of_the_same_name(void **state)
{
    const char *at = "JSESSIONID=one; a=b; JSESSIONID=\"two\";JSESSIONID=three ; c=d";
    char value[32];

    (void)state;
    assert_non_null(at = credentials_read_cookie(at, "JSESSIONID", value, sizeof value));
    assert_string_equal(value, "one");
    assert_non_null(at = credentials_read_cookie(at, "JSESSIONID", value, sizeof value));
    assert_string_equal(value, "two");
    assert_non_null(at = credentials_read_cookie(at, "JSESSIONID", value, sizeof value));
    assert_string_equal(value, "three");
    assert_null(credentials_read_cookie(at, "JSESSIONID", value, sizeof value));
}

static bool form_of(const char *body, struct password_login *login, bool *known)
{
    return credentials_read_form(body, strlen(body), login, known);
}

static void forms(void **state)
{
    struct password_login login;
    bool known = false;

    (void)state;
    assert_true(form_of("j_username=alice&j_password=s%26e%3dc+ret%21", &login, &known) && known);
    assert_string_equal(login.user, "alice");
    assert_string_equal(login.password, "s&e=c ret!");
    assert_true(form_of("j_password=x&j_username=a%40b&submit=Go\r\n", &login, &known) && known);
    assert_string_equal(login.user, "a@b");
    assert_true(form_of("j_username=&j_password=", &login, &known));
    assert_false(known);
    assert_true(form_of("j_username=a%20b&j_password=x", &login, &known));
    assert_false(known);
}

static void forms_that_cannot_be_read(void **state)
{
    static const char *const BAD[] = {"",
                                      "j_username=alice",
                                      "j_password=x",
                                      "j_username=a&j_username=b&j_password=x",
                                      "j_username=a&j_password=x&j_password=y",
                                      "j_username=%&j_password=x",
                                      "j_username=%4&j_password=x",
                                      "j_username=%zz&j_password=x",
                                      "j_username=%00&j_password=x",
                                      "j_username&j_password",
                                      "{\"j_username\":\"a\"}"};
    struct password_login login;
    bool known;

    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
        if (form_of(BAD[i], &login, &known))
            fail_msg("%s can be read", BAD[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(basic),
        cmocka_unit_test(basic_that_cannot_be_read),
        cmocka_unit_test(basic_that_is_long),
        cmocka_unit_test(bearer),
        cmocka_unit_test(cookies),
        cmocka_unit_test(cookies_of_the_same_name),
        cmocka_unit_test(forms),
        cmocka_unit_test(forms_that_cannot_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
