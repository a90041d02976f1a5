#include "auth/authenticate.h"

#include "auth/client.h"
#include "auth/credentials.h"
#include "auth/guard.h"
#include "auth/secrets.h"
#include "core/clock.h"
#include "db/people.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LOGINS_MOST = 1000 }; /* of one user: the oldest make room, so that nobody is locked out by scripts */

enum { COOKIES_MOST = 8 }; /* of that name in a request: other applications of the host have it too */

static const char COOKIE[] = "JSESSIONID";

static enum status wrong_password(struct error *error)
{
    return error_set(error, ERROR_BAD_CREDENTIALS, NULL, "the user name or the password is wrong");
}

/* A user and the role of one moment: what was taken away meanwhile is not given back by what is read later.
 */
struct person {
    struct user user;
    struct role role;
};

static enum status person_find(struct store *store, const char *name, bool *found, struct person *person,
                               struct error *error)
{
    enum status status = store_get_user_role(store, name, &person->user, &person->role, error);

    *found = status == STATUS_OK;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static void caller_fill(const struct person *person, enum way way, struct caller *who)
{
    who->way = way;
    memcpy(who->user, person->user.name, sizeof who->user);
    memcpy(who->groups, person->user.groups, sizeof who->groups);
    who->role = person->role;
    who->generation = person->user.generation;
}

/* ---- passwords ---- */

static enum status password_check(const struct visit *visit, const struct password_login *login, bool known,
                                  struct person *person, struct challenge *challenge, struct error *error)
{
    bool found = false;
    enum status status = known ? person_find(visit->store, login->user, &found, person, error) : STATUS_OK;

    if (status != STATUS_OK)
        return status;
    switch (guard_check(visit->guard, login->user, found ? &person->user : NULL, login->password,
                        visit->client->address, clock_monotonic_ms(), &challenge->retry_after_s)) {
    case GUARD_RIGHT:
        return STATUS_OK;
    case GUARD_WRONG:
        challenge->retry_after_s = 0;
        return wrong_password(error);
    case GUARD_WAIT:
        return error_set(error, ERROR_TOO_MANY_ATTEMPTS, NULL,
                         "too many wrong passwords, or too many checks at once; try again in %d s",
                         challenge->retry_after_s);
    }
    return wrong_password(error);
}

static enum status by_password(const struct visit *visit, struct password_login *login, bool known,
                               struct person *person, struct caller *who, struct challenge *challenge,
                               struct error *error)
{
    memcpy(who->user, login->user, sizeof who->user);
    enum status status = password_check(visit, login, known, person, challenge, error);
    secret_forget(login->password, sizeof login->password);
    return status;
}

static enum status no_credentials(struct challenge *challenge, struct error *error)
{
    challenge->ask = true;
    return error_set(error, ERROR_NO_CREDENTIALS, NULL,
                     "this needs a user: HTTP Basic, an API token (Authorization: Bearer), or the cookie of "
                     "POST /api/session/create");
}

static enum status by_basic(const struct visit *visit, const char *header, struct caller *who,
                            struct challenge *challenge, struct error *error)
{
    struct password_login login = {0};
    struct person person;
    bool known;

    if (!credentials_read_basic(header, &login, &known))
        return error_set(error, ERROR_BAD_CREDENTIALS, "Authorization",
                         "the header Authorization cannot be read: Basic takes base64 of USER:PASSWORD");
    enum status status = by_password(visit, &login, known, &person, who, challenge, error);
    if (status == STATUS_OK)
        caller_fill(&person, WAY_BASIC, who);
    return status;
}

/* ---- tokens ---- */

static enum status by_token(const struct visit *visit, const char *secret, struct caller *who,
                            struct error *error)
{
    uint8_t hash[SECRET_HASH_SIZE];
    int64_t now_ms = clock_now_ms();
    struct token token;
    struct person person;
    bool found;

    secret_hash(secret, hash);
    enum status status =
        store_find_token(visit->store, hash, &found, &token, &person.user, &person.role, error);
    if (status != STATUS_OK)
        return status;
    if (found)
        memcpy(who->user, person.user.name, sizeof who->user);
    if (!found || person.user.disabled || token.revoked_ms != 0 ||
        (token.expires_ms != 0 && token.expires_ms <= now_ms))
        return error_set(error, ERROR_BAD_CREDENTIALS, "Authorization",
                         "the token is not valid: unknown, expired, revoked, or its user is disabled");
    memcpy(who->token, token.id, sizeof who->token);
    status = store_touch_token(visit->store, &token, now_ms, error);
    if (status == STATUS_OK)
        caller_fill(&person, WAY_TOKEN, who);
    return status;
}

/* ---- cookies ---- */

struct cookies {
    size_t count;
    uint8_t hashes[COOKIES_MOST][SECRET_HASH_SIZE];
};

/* Of all the headers that there are. */
static bool cookies_read(const struct http_request *request, struct cookies *cookies)
{
    char value[256];

    cookies->count = 0;
    for (size_t i = 0; i < request->header_count; i++) {
        const char *at = request->headers[i].value;
        if (strcasecmp(request->headers[i].name, "Cookie") != 0)
            continue;
        while (cookies->count < COOKIES_MOST &&
               (at = credentials_read_cookie(at, COOKIE, value, sizeof value)) != NULL)
            secret_hash(value, cookies->hashes[cookies->count++]);
    }
    return cookies->count > 0;
}

static bool login_lives(const struct config *config, const struct login *login, const struct user *user,
                        int64_t now_ms)
{
    return !user->disabled && login->generation == user->generation &&
           now_ms - login->used_ms < config->login_idle * 1000 &&
           now_ms - login->created_ms < config->login_lifetime * 1000;
}

static enum status xsrf_check(const struct http_request *request, const struct login *login,
                              struct error *error)
{
    const char *header = http_header(request, "X-XSRF-TOKEN");
    uint8_t hash[SECRET_HASH_SIZE];

    if (header != NULL) {
        secret_hash(header, hash);
        if (secret_equals(hash, login->xsrf))
            return STATUS_OK;
    }
    return error_set(error, ERROR_CROSS_SITE, "X-XSRF-TOKEN",
                     "%s: a call that changes something needs the X-XSRF-TOKEN that came with its cookie",
                     header == NULL ? "there is no X-XSRF-TOKEN" : "the X-XSRF-TOKEN is wrong");
}

static enum status by_one_cookie(const struct visit *visit, const struct http_request *request,
                                 const uint8_t hash[SECRET_HASH_SIZE], bool changing, struct caller *who,
                                 struct error *error)
{
    int64_t now_ms = clock_now_ms();
    struct login login;
    struct person person;
    bool found;
    enum status status =
        store_find_login(visit->store, hash, &found, &login, &person.user, &person.role, error);

    if (status != STATUS_OK)
        return status;
    if (found)
        memcpy(who->user, person.user.name, sizeof who->user);
    if (!found || !login_lives(visit->config, &login, &person.user, now_ms))
        return error_set(error, ERROR_BAD_CREDENTIALS, COOKIE,
                         "the login of this cookie is unknown, or has ended");
    if (changing && xsrf_check(request, &login, error) != STATUS_OK)
        return error->status;
    status = store_touch_login(visit->store, &login, now_ms, error);
    if (status == STATUS_OK)
        caller_fill(&person, WAY_COOKIE, who);
    return status;
}

/* The first that opens. If none does, one whose login lives, and lacks its token, has more to say. */
static enum status by_cookie(const struct visit *visit, const struct http_request *request,
                             const struct cookies *cookies, bool changing, struct caller *who,
                             struct error *error)
{
    struct error other = {0};

    for (size_t i = 0; i < cookies->count; i++) {
        enum status status = by_one_cookie(visit, request, cookies->hashes[i], changing, who, error);
        if (status == STATUS_OK || (error->code != ERROR_BAD_CREDENTIALS && error->code != ERROR_CROSS_SITE))
            return status;
        if (other.code == 0 || error->code == ERROR_CROSS_SITE)
            other = *error;
    }
    *error = other;
    return error->status;
}

/* ---- a trusted proxy's word ---- */

/* Names of groups, separated by commas or semicolons; what can be no group's name is passed over. */
static void groups_read(const char *list, char out[GROUPS_SIZE])
{
    static const char SEPARATORS[] = ",;", SPACES[] = " \t";
    size_t used = 0;

    out[0] = '\0';
    for (const char *at = list; *(at += strspn(at, ",; \t")) != '\0'; at += strcspn(at, SEPARATORS)) {
        char name[PERSON_NAME_SIZE];
        size_t length = strcspn(at, SEPARATORS);
        while (length > 0 && strchr(SPACES, at[length - 1]) != NULL)
            length--;
        if (length >= sizeof name || used + length + 2 > GROUPS_SIZE)
            continue;
        snprintf(name, sizeof name, "%.*s", (int)length, at);
        if (person_name_is_valid(name))
            used += (size_t)snprintf(out + used, GROUPS_SIZE - used, "%s%s", used == 0 ? "" : "\n", name);
    }
}

/* The role of the first GROUP:ROLE whose group is among these; for everybody: that of *:ROLE. */
static bool group_role(const char *setting, const char *groups, bool everybody, char role[PERSON_NAME_SIZE])
{
    for (const char *at = setting; *(at += strspn(at, ", ")) != '\0'; at += strcspn(at, ", ")) {
        char pair[2 * PERSON_NAME_SIZE], *colon;
        snprintf(pair, sizeof pair, "%.*s", (int)strcspn(at, ", "), at);
        if ((colon = strrchr(pair, ':')) == NULL)
            continue;
        *colon = '\0';
        if (everybody ? strcmp(pair, "*") == 0 : line_is_in(groups, pair)) {
            snprintf(role, PERSON_NAME_SIZE, "%.*s", PERSON_NAME_SIZE - 1, colon + 1);
            return true;
        }
    }
    return false;
}

/* A role that a group gives goes before the user's own here, and that before what everybody gets. */
static enum status asserted_role(const struct visit *visit, const struct role *own, struct caller *who,
                                 struct error *error)
{
    const char *setting = visit->config->group_roles;
    char role[PERSON_NAME_SIZE];

    if (!group_role(setting, who->groups, false, role)) {
        if (own != NULL) {
            who->role = *own;
            return STATUS_OK;
        }
        if (!group_role(setting, who->groups, true, role))
            return error_set(error, ERROR_FORBIDDEN, NULL,
                             "user %s has no role here, and none of the user's groups", who->user);
    }
    return store_get_role(visit->store, role, &who->role, error);
}

/* A proxy that adds its header to the client's own would let anybody be anybody. */
static bool is_given_twice(const struct http_request *request, const char *name)
{
    size_t count = 0;

    for (size_t i = 0; i < request->header_count; i++)
        count += strcasecmp(request->headers[i].name, name) == 0;
    return count > 1;
}

static enum status by_proxy(const struct visit *visit, const struct http_request *request, const char *name,
                            struct caller *who, struct error *error)
{
    const struct config *config = visit->config;
    char list[4096] = "";
    struct person person;
    bool found;

    if (is_given_twice(request, config->user_header) || is_given_twice(request, config->groups_header))
        return error_set(error, ERROR_BAD_CREDENTIALS, config->user_header,
                         "%s or %s is given twice: the proxy must replace what clients send",
                         config->user_header,
                         config->groups_header[0] == '\0' ? "the header of groups" : config->groups_header);
    if (!person_name_is_valid(name))
        return error_set(error, ERROR_BAD_CREDENTIALS, config->user_header,
                         "%s names a user that can be none: 1 to 64 letters, digits and . _ - @ +",
                         config->user_header);
    snprintf(who->user, sizeof who->user, "%s", name);
    enum status status = person_find(visit->store, name, &found, &person, error);
    if (status != STATUS_OK)
        return status;
    if (found && person.user.disabled)
        return error_set(error, ERROR_BAD_CREDENTIALS, config->user_header, "user %s is disabled", name);
    if (found)
        memcpy(who->groups, person.user.groups, sizeof who->groups);
    if (config->groups_header[0] != '\0' &&
        http_header_list(request, config->groups_header, list, sizeof list) && list[0] != '\0')
        groups_read(list, who->groups);
    who->way = WAY_PROXY;
    return asserted_role(visit, found ? &person.role : NULL, who, error);
}

/* ---- all of them ---- */

/* Browsers send passwords, cookies and what a proxy knows along with other people's pages. They say so,
 * though. */
static enum status origin_check(const struct visit *visit, const struct http_request *request,
                                struct error *error)
{
    const char *origin = http_header(request, "Origin"), *site = http_header(request, "Sec-Fetch-Site");

    if ((origin == NULL || client_is_origin(visit->client, origin)) &&
        (site == NULL || strcasecmp(site, "cross-site") != 0))
        return STATUS_OK;
    return error_set(error, ERROR_CROSS_SITE, origin == NULL ? "Sec-Fetch-Site" : "Origin",
                     "a web page of another origin (%.64s) changes nothing here",
                     origin == NULL ? site : origin);
}

static enum status by_what_there_is(const struct visit *visit, const struct http_request *request,
                                    bool changing, struct caller *who, struct challenge *challenge,
                                    struct error *error)
{
    const struct config *config = visit->config;
    const char *header = http_header(request, "Authorization"), *bearer;
    struct cookies cookies;

    if (config->user_header[0] != '\0' && visit->client->trusted) {
        const char *name = http_header(request, config->user_header);
        if (name != NULL && name[0] != '\0')
            return by_proxy(visit, request, name, who, error);
    }
    if (header != NULL && (bearer = credentials_read_bearer(header)) != NULL)
        return by_token(visit, bearer, who, error);
    if (header != NULL && strncasecmp(header, "Basic ", 6) == 0)
        return by_basic(visit, header, who, challenge, error);
    if (header == NULL && cookies_read(request, &cookies))
        return by_cookie(visit, request, &cookies, changing, who, error);
    return no_credentials(challenge, error);
}

enum status authenticate(const struct visit *visit, const struct http_request *request, bool changing,
                         struct caller *who, struct challenge *challenge, struct error *error)
{
    *who = (struct caller){.way = WAY_NONE};
    *challenge = (struct challenge){0};
    enum status status = by_what_there_is(visit, request, changing, who, challenge, error);
    if (status == STATUS_OK && changing && who->way != WAY_TOKEN)
        status = origin_check(visit, request, error);
    if (status != STATUS_OK)
        who->way = WAY_NONE;
    return status;
}

/* ---- logins ---- */

/* user: as the password was checked against. */
static enum status login_make(const struct visit *visit, const struct user *user,
                              struct login_secrets *secrets, struct error *error)
{
    const struct config *config = visit->config;
    int64_t now_ms = clock_now_ms();
    struct login login = {.generation = user->generation, .created_ms = now_ms, .used_ms = now_ms};

    memcpy(login.user, user->name, sizeof login.user);
    secret_make("", secrets->cookie, sizeof secrets->cookie, login.hash);
    secret_make("", secrets->xsrf, sizeof secrets->xsrf, login.xsrf);
    return store_insert_login(visit->store, &login, LOGINS_MOST, now_ms - config->login_idle * 1000, error);
}

enum status login_begin(const struct visit *visit, const struct http_request *request, struct caller *who,
                        struct login_secrets *secrets, struct challenge *challenge, struct error *error)
{
    struct password_login login = {0};
    struct person person;
    bool known;

    *who = (struct caller){.way = WAY_NONE};
    *challenge = (struct challenge){0};
    if (origin_check(visit, request, error) != STATUS_OK)
        return error->status;
    if (!credentials_read_form(request->body, request->body_length, &login, &known))
        return error_set(error, ERROR_BAD_REQUEST, "j_username",
                         "the body is no form with j_username and j_password, each once "
                         "(application/x-www-form-urlencoded)");
    enum status status = by_password(visit, &login, known, &person, who, challenge, error);
    if (status != STATUS_OK)
        return status;
    caller_fill(&person, WAY_COOKIE, who);
    return login_make(visit, &person.user, secrets, error);
}

enum status login_end(const struct visit *visit, const struct http_request *request, struct error *error)
{
    struct cookies cookies;
    enum status status = STATUS_OK;

    if (!cookies_read(request, &cookies))
        return STATUS_OK;
    for (size_t i = 0; i < cookies.count && status == STATUS_OK; i++)
        status = store_delete_login(visit->store, cookies.hashes[i], error);
    return status;
}
