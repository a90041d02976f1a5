#include "auth/credentials.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* What follows the scheme's name and the spaces behind it; NULL if it is another scheme. */
static const char *behind_scheme(const char *header, const char *scheme)
{
    size_t length = strlen(scheme);

    if (strncasecmp(header, scheme, length) != 0 || header[length] != ' ')
        return NULL;
    return header + length + strspn(header + length, " ");
}

static int base64_digit(char c)
{
    static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c == '\0' ? NULL : strchr(DIGITS, c);

    return at == NULL ? -1 : (int)(at - DIGITS);
}

/* Padding may be left out, as many clients do. Returns the number of bytes, or -1. */
static int64_t base64_decode(const char *text, char *out, size_t size)
{
    size_t digits = strcspn(text, "= "), used = 0;
    uint32_t bits = 0;

    if (strspn(text + digits, "= ") != strlen(text + digits) || digits % 4 == 1)
        return -1;
    for (size_t i = 0; i < digits; i++) {
        int digit = base64_digit(text[i]);
        if (digit < 0)
            return -1;
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 == 0)
            continue;
        if (used == size)
            return -1;
        out[used++] = (char)(bits >> (6 - 2 * (i % 4)) & 0xff);
    }
    return (int64_t)used;
}

/* Takes what may be a user's name and a password; what cannot be one is left empty and unknown. */
static bool login_fill(struct password_login *login, const char *user, const char *password)
{
    bool known = person_name_is_valid(user) && password[0] != '\0' && strlen(password) <= PASSWORD_MAX;

    *login = (struct password_login){0};
    if (!known)
        return false;
    snprintf(login->user, sizeof login->user, "%s", user);
    snprintf(login->password, sizeof login->password, "%s", password);
    return true;
}

bool credentials_read_basic(const char *header, struct password_login *login, bool *known)
{
    char text[1024];
    const char *encoded = behind_scheme(header, "Basic");
    int64_t length = encoded == NULL ? -1 : base64_decode(encoded, text, sizeof text - 1);
    char *colon;

    if (length < 0)
        return false;
    text[length] = '\0';
    if (strlen(text) != (size_t)length || (colon = strchr(text, ':')) == NULL)
        return false;
    *colon = '\0';
    *known = login_fill(login, text, colon + 1);
    return true;
}

const char *credentials_read_bearer(const char *header)
{
    return behind_scheme(header, "Bearer");
}

const char *credentials_read_cookie(const char *header, const char *name, char *out, size_t size)
{
    size_t length = strlen(name);

    for (const char *at = header; *(at += strspn(at, "; \t")) != '\0'; at += strcspn(at, ";")) {
        if (strncmp(at, name, length) != 0 || at[length] != '=')
            continue;
        const char *value = at + length + 1;
        size_t size_needed = strcspn(value, "; \t");
        if (size_needed >= 2 && value[0] == '"' && value[size_needed - 1] == '"') {
            value++;
            size_needed -= 2;
        }
        if (size_needed == 0 || size_needed >= size)
            continue;
        memcpy(out, value, size_needed);
        out[size_needed] = '\0';
        return at + strcspn(at, ";");
    }
    return NULL;
}

static int hex_digit(char c)
{
    static const char DIGITS[] = "0123456789abcdef";
    const char *at = c == '\0' ? NULL : strchr(DIGITS, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c);

    return at == NULL ? -1 : (int)(at - DIGITS);
}

/* Decodes one name or value of a form. false: badly encoded, too long, or with a NUL in it. */
static bool form_decode(const char *at, const char *end, char *out, size_t size)
{
    size_t used = 0;

    for (; at < end; at++) {
        int c = (unsigned char)*at;
        if (c == '+') {
            c = ' ';
        } else if (c == '%') {
            int high = end - at > 2 ? hex_digit(at[1]) : -1, low = high < 0 ? -1 : hex_digit(at[2]);
            if (low < 0)
                return false;
            c = high << 4 | low;
            at += 2;
        }
        if (c == 0 || used + 1 >= size)
            return false;
        out[used++] = (char)c;
    }
    out[used] = '\0';
    return true;
}

enum { FORM_VALUE_SIZE = 1024 };

struct form {
    bool has_user, has_password;
    char user[FORM_VALUE_SIZE], password[FORM_VALUE_SIZE];
};

static bool form_field_read(struct form *form, const char *at, const char *end)
{
    const char *equals = memchr(at, '=', (size_t)(end - at));
    char name[32];

    if (at == end)
        return true;
    if (equals == NULL || !form_decode(at, equals, name, sizeof name))
        return false;
    bool user = strcmp(name, "j_username") == 0, password = strcmp(name, "j_password") == 0;
    if ((user && form->has_user) || (password && form->has_password))
        return false;
    form->has_user |= user;
    form->has_password |= password;
    if (!user && !password)
        return true;
    return form_decode(equals + 1, end, user ? form->user : form->password, FORM_VALUE_SIZE);
}

bool credentials_read_form(const char *body, size_t length, struct password_login *login, bool *known)
{
    struct form form = {0};
    const char *end = body + length;

    while (length > 0 && (end[-1] == '\n' || end[-1] == '\r')) /* of a file that was sent */
        end--, length--;
    for (const char *at = body; at < end;) {
        const char *ampersand = memchr(at, '&', (size_t)(end - at));
        const char *stop = ampersand == NULL ? end : ampersand;
        if (!form_field_read(&form, at, stop))
            return false;
        at = stop + 1;
    }
    if (!form.has_user || !form.has_password)
        return false;
    *known = login_fill(login, form.user, form.password);
    return true;
}
