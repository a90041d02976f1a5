/* What clients send to say who they are: the headers Authorization and Cookie, and the form of a login. */
#include "fuzz/fuzz.h"

#include "auth/credentials.h"

static void check_login(const struct password_login *login, bool known)
{
    must(strnlen(login->user, sizeof login->user) < sizeof login->user);
    must(strnlen(login->password, sizeof login->password) < sizeof login->password);
    must(known == person_name_is_valid(login->user) || !known);
    must(known || (login->user[0] == '\0' && login->password[0] == '\0'));
}

static void read_headers(const char *text)
{
    struct password_login login;
    bool known = false;
    char cookie[65];

    if (credentials_read_basic(text, &login, &known))
        check_login(&login, known);
    const char *bearer = credentials_read_bearer(text);
    must(bearer == NULL || (bearer > text && bearer <= text + strlen(text)));
    for (const char *at = text;
         (at = credentials_read_cookie(at, "JSESSIONID", cookie, sizeof cookie)) != NULL;) {
        must(at > text && at <= text + strlen(text));
        must(cookie[0] != '\0' && strnlen(cookie, sizeof cookie) < sizeof cookie);
        must(strpbrk(cookie, "; \t") == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = text_of(data, size), *body = copy_of(data, size);
    struct password_login login;
    bool known = false;

    read_headers(text);
    if (credentials_read_form(body, size, &login, &known))
        check_login(&login, known);
    free(text);
    free(body);
    return 0;
}
