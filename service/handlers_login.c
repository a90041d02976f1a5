/* NSX's logins: POST /api/session/create gives a cookie, /api/session/destroy takes it back. */
#include "service/handlers_parts.h"

#include <stdio.h>
#include <string.h>

static void cookie_add(const struct call *call, struct answer *answer, const char *value, const char *more)
{
    const struct client *client = call->context->client;
    char line[512];

    snprintf(line, sizeof line, "Set-Cookie: JSESSIONID=%s; Path=%s/; HttpOnly; SameSite=Strict%s%s", value,
             client->prefix, client->secure ? "; Secure" : "", more);
    answer_add_header(answer, line);
}

/* Names of users and roles hold nothing that JSON would want escaped. */
static void body_set(const struct call *call, struct answer *answer, struct errors *errors)
{
    if (asprintf(&answer->body, "{\"user\":\"%s\",\"role\":\"%s\"}", call->who.user, call->who.role.name) >=
        0)
        return;
    answer->body = NULL;
    errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
}

void login(struct call *call, struct answer *answer, struct errors *errors)
{
    struct challenge challenge;
    struct login_secrets secrets;
    const struct visit visit = visit_of(call->context);
    struct error error;
    char line[128];

    if (login_begin(&visit, call->request, &call->who, &secrets, &challenge, &error) != STATUS_OK) {
        errors_add_error(errors, &error);
        answer_add_challenge(answer, &challenge);
        return;
    }
    cookie_add(call, answer, secrets.cookie, "");
    snprintf(line, sizeof line, "X-XSRF-TOKEN: %s", secrets.xsrf);
    answer_add_header(answer, line);
    body_set(call, answer, errors);
}

void logout(struct call *call, struct answer *answer, struct errors *errors)
{
    const struct visit visit = visit_of(call->context);
    struct error error;

    if (login_end(&visit, call->request, &error) != STATUS_OK) {
        errors_add_error(errors, &error);
        return;
    }
    cookie_add(call, answer, "", "; Max-Age=0");
    body_set(call, answer, errors);
}
