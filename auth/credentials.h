/*
 * What clients send to say who they are, taken apart: pure functions on hostile text. Out parameters are
 * written on success only.
 */
#ifndef PKTCAPD_AUTH_CREDENTIALS_H
#define PKTCAPD_AUTH_CREDENTIALS_H

#include "core/people.h"

#include <stddef.h>

struct password_login {
    char user[PERSON_NAME_SIZE];
    char password[PASSWORD_MAX + 1];
};

/* The value of Authorization: "Basic" and base64 of USER:PASSWORD (RFC 7617). A user name that can be none,
 * or a password that is too long, is read as one that nobody has: *known is false then. */
bool credentials_read_basic(const char *header, struct password_login *login, bool *known);

/* "Bearer" and a token (RFC 6750); returns the token within header, NULL if it is none. */
const char *credentials_read_bearer(const char *header);

/* The value of the first cookie of that name in the header Cookie (RFC 6265, section 4.2.1) that has one and
 * fits. Returns what is behind it, to go on with; NULL: there is none. */
const char *credentials_read_cookie(const char *header, const char *name, char *out, size_t size);

/* application/x-www-form-urlencoded with j_username and j_password, each once (NSX's form). false: it is no
 * such form. */
bool credentials_read_form(const char *body, size_t length, struct password_login *login, bool *known);

#endif
