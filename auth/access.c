#include "auth/access.h"

#include "core/prefix.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

/* The table. A password and tokens of one's own are nobody else's business: service/people.h looks after
 * that. */
static const struct {
    enum reach admin, operator, auditor;
} TABLE[OPERATION_COUNT] = {
    [OPERATION_CREATE_SESSION] = {REACH_PERSON, REACH_PERSON, REACH_NONE},
    [OPERATION_GET_SESSION] = {REACH_ALL, REACH_SEEN, REACH_SEEN},
    [OPERATION_RESTART_SESSION] = {REACH_ALL, REACH_OWN, REACH_NONE},
    [OPERATION_TERMINATE_SESSION] = {REACH_ALL, REACH_OWN, REACH_NONE},
    [OPERATION_DELETE_SESSION] = {REACH_ALL, REACH_OWN, REACH_NONE},
    [OPERATION_GET_CAPTURE_FILE] = {REACH_ALL, REACH_FILES, REACH_FILES},
    [OPERATION_LIST_SESSIONS] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_DELETE_SESSIONS] = {REACH_PERSON, REACH_PERSON, REACH_NONE},
    [OPERATION_LIST_POINTS] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_SHARE_SESSION] = {REACH_ALL, REACH_OWN, REACH_NONE},
    [OPERATION_UNSHARE_SESSION] = {REACH_ALL, REACH_OWN, REACH_NONE},
    [OPERATION_TRANSFER_SESSION] = {REACH_ALL, REACH_NONE, REACH_NONE},
    [OPERATION_LOGIN] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_LOGOUT] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_WHOAMI] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_CREATE_TOKEN] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_LIST_TOKENS] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_GET_TOKEN] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_REVOKE_TOKEN] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_CREATE_USER] = {REACH_PERSON, REACH_NONE, REACH_NONE},
    [OPERATION_LIST_USERS] = {REACH_PERSON, REACH_NONE, REACH_PERSON},
    [OPERATION_GET_USER] = {REACH_PERSON, REACH_NONE, REACH_PERSON},
    [OPERATION_CHANGE_USER] = {REACH_PERSON, REACH_PERSON, REACH_PERSON},
    [OPERATION_DELETE_USER] = {REACH_PERSON, REACH_NONE, REACH_NONE},
    [OPERATION_LIST_ROLES] = {REACH_PERSON, REACH_NONE, REACH_PERSON},
    [OPERATION_GET_ROLE] = {REACH_PERSON, REACH_NONE, REACH_PERSON},
    [OPERATION_PUT_ROLE] = {REACH_PERSON, REACH_NONE, REACH_NONE},
    [OPERATION_DELETE_ROLE] = {REACH_PERSON, REACH_NONE, REACH_NONE},
    [OPERATION_LIST_AUDIT] = {REACH_PERSON, REACH_NONE, REACH_PERSON},
};

enum reach access_reach(enum operation operation, enum role_kind kind)
{
    switch (kind) {
    case ROLE_ADMIN:
        return TABLE[operation].admin;
    case ROLE_OPERATOR:
        return TABLE[operation].operator;
    case ROLE_AUDITOR:
        return TABLE[operation].auditor;
    }
    return REACH_NONE;
}

bool access_changes(enum operation operation)
{
    switch (operation) {
    case OPERATION_GET_SESSION:
    case OPERATION_GET_CAPTURE_FILE:
    case OPERATION_LIST_SESSIONS:
    case OPERATION_LIST_POINTS:
    case OPERATION_WHOAMI:
    case OPERATION_LIST_TOKENS:
    case OPERATION_GET_TOKEN:
    case OPERATION_LIST_USERS:
    case OPERATION_GET_USER:
    case OPERATION_LIST_ROLES:
    case OPERATION_GET_ROLE:
    case OPERATION_LIST_AUDIT:
        return false;
    default:
        return true;
    }
}

/* ---- sessions ---- */

static bool owns(const struct caller *who, const struct session_access *access)
{
    return access->owner[0] != '\0' && strcmp(access->owner, who->user) == 0;
}

bool access_sees_all(const struct caller *who)
{
    return who->role.kind == ROLE_ADMIN || who->role.policy.see_others;
}

bool access_rules_all(const struct caller *who)
{
    return who->role.kind == ROLE_ADMIN;
}

static bool sees(const struct caller *who, const struct session_access *access)
{
    return owns(who, access) || access->shared || access_sees_all(who);
}

static bool reaches(const struct caller *who, enum reach reach, const struct session_access *access)
{
    const struct policy *policy = &who->role.policy;

    switch (reach) {
    case REACH_NONE:
        return false;
    case REACH_PERSON:
    case REACH_ALL:
        return true;
    case REACH_OWN:
        return owns(who, access);
    case REACH_SEEN:
        return sees(who, access);
    case REACH_FILES:
        return owns(who, access) || access->shared || (policy->see_others && policy->download_others);
    }
    return false;
}

enum status access_check(const struct caller *who, enum operation operation, const char *session,
                         const struct session_access *access, struct error *error)
{
    static const struct session_access NOBODYS = {0};
    enum reach reach = access_reach(operation, who->role.kind);

    if (reaches(who, reach, access == NULL ? &NOBODYS : access))
        return STATUS_OK;
    if (access != NULL && !sees(who, access))
        return error_set(error, ERROR_NO_SUCH_SESSION, "session-id", "there is no capture session %.64s",
                         session);
    if (access == NULL || reach == REACH_NONE)
        return error_set(error, ERROR_FORBIDDEN, NULL, "role %s does not allow %s", who->role.name,
                         names_of(&operation_names, (int)operation));
    return error_set(error, ERROR_FORBIDDEN, "session-id",
                     "session %.64s is not %s's: role %s does not allow %s on it", session, who->user,
                     who->role.name, names_of(&operation_names, (int)operation));
}

/* ---- points ---- */

enum { WORDS_MAX = 3, WORD_SIZE = 400 };

/* A pattern's words, the last of them VALUE. */
struct pattern {
    size_t count;
    char words[WORDS_MAX][WORD_SIZE];
};

static bool pattern_read(const char *line, size_t length, struct pattern *pattern)
{
    const char *end = line + length;

    *pattern = (struct pattern){0};
    for (const char *at = line; at < end;) {
        size_t word = 0;
        while (at + word < end && at[word] != ' ')
            word++;
        if (word > 0) {
            if (pattern->count == WORDS_MAX || word >= WORD_SIZE)
                return false;
            memcpy(pattern->words[pattern->count++], at, word);
        }
        at += word + 1;
    }
    return pattern->count > 0;
}

static bool is_everything(const char *glob)
{
    return strcmp(glob, "*") == 0;
}

static bool glob_takes(const char *glob, const char *text)
{
    return is_everything(glob) || fnmatch(glob, text, FNM_PATHNAME) == 0;
}

/* The two APIs have two words for one thing. */
static bool glob_takes_cappoint(const char *glob, enum cappoint cappoint)
{
    if (glob_takes(glob, names_of(&cappoint_names, (int)cappoint)))
        return true;
    if (cappoint != CAPPOINT_LOGICALPORT && cappoint != CAPPOINT_SEGMENTPORT)
        return false;
    return glob_takes(glob, names_of(&cappoint_names, CAPPOINT_LOGICALPORT)) ||
           glob_takes(glob, names_of(&cappoint_names, CAPPOINT_SEGMENTPORT));
}

/* cappoint 0: any. */
static bool pattern_takes(const struct pattern *pattern, const struct node_names *node,
                          enum cappoint cappoint, const char *value)
{
    const char *name = pattern->words[pattern->count - 1];

    if (pattern->count == 3 && !glob_takes(pattern->words[0], node->id) &&
        !glob_takes(pattern->words[0], node->name))
        return false;
    if (pattern->count >= 2 && cappoint != 0 &&
        !glob_takes_cappoint(pattern->words[pattern->count - 2], cappoint))
        return false;
    /* It stands for all interfaces: what is like a name does not take it in. */
    if (strcmp(value, "any") == 0)
        return is_everything(name) || strcmp(name, value) == 0;
    return glob_takes(name, value);
}

bool policy_takes_point(const struct policy *policy, const struct node_names *node, enum cappoint cappoint,
                        const char *value)
{
    struct pattern pattern;

    for (const char *at = policy->points; *(at += strspn(at, "\n")) != '\0'; at += strcspn(at, "\n"))
        if (pattern_read(at, strcspn(at, "\n"), &pattern) && pattern_takes(&pattern, node, cappoint, value))
            return true;
    return false;
}

bool policy_takes_netns(const struct policy *policy, const char *netns)
{
    struct pattern pattern;

    for (const char *at = policy->points; *(at += strspn(at, "\n")) != '\0'; at += strcspn(at, "\n")) {
        if (!pattern_read(at, strcspn(at, "\n"), &pattern))
            continue;
        char *glob = pattern.words[pattern.count - 1], *slash = strrchr(glob, '/');
        if (is_everything(glob))
            return true;
        if (slash == NULL)
            continue;
        *slash = '\0';
        if (fnmatch(glob, netns, FNM_PATHNAME) == 0)
            return true;
    }
    return false;
}

bool policy_takes_every_point(const struct policy *policy)
{
    return line_is_in(policy->points, "*");
}

static bool names_a_cappoint(const char *glob)
{
    for (int i = CAPPOINT_VNIC; i <= CAPPOINT_SEGMENTPORT; i++)
        if (glob_takes(glob, names_of(&cappoint_names, i)))
            return true;
    return false;
}

bool policy_pattern_is_valid(const char *line, const char **why)
{
    struct pattern pattern;

    *why = "it takes one to three words, [[NODE] CAPPOINT] NAME";
    for (const char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            return false;
    if (!pattern_read(line, strlen(line), &pattern))
        return false;
    *why = "the word before the last is no cappoint";
    return pattern.count < 2 || names_a_cappoint(pattern.words[pattern.count - 2]);
}

/* ---- the rest of a request ---- */

bool policy_takes_network(const struct policy *policy, const char *address)
{
    return policy->networks[0] == '\0' || prefixes_hold(policy->networks, "\n", address);
}

static void check_most(const struct role *role, const char *field, int64_t value, int64_t most,
                       const char *unit, struct errors *errors)
{
    if (most > 0 && value > most && !errors_blame(errors, field))
        errors_add(errors, ERROR_POLICY, field, "%s is %lld; role %s allows at most %lld %s", field,
                   (long long)value, role->name, (long long)most, unit);
}

void policy_check_request(const struct role *role, const struct packet_capture_request *request,
                          struct errors *errors)
{
    const struct policy *policy = &role->policy;

    check_most(role, "capduration", request->capduration, policy->max_duration_s, "seconds", errors);
    check_most(role, "capfilesize", request->capfilesize, policy->max_file_size_mb, "MB", errors);
    check_most(role, "capsnaplen", request->capsnaplen, policy->max_snaplen, "bytes", errors);
    if (request->capmode != CAPMODE_STREAM)
        return;
    if (!policy->stream)
        errors_add(errors, ERROR_POLICY, "capmode", "capmode is STREAM; role %s does not allow streams",
                   role->name);
    else if (request->streamaddress[0] != '\0' && !policy_takes_network(policy, request->streamaddress))
        errors_add(errors, ERROR_POLICY, "streamaddress",
                   "streamaddress is %.64s; role %s does not allow streams to that network",
                   request->streamaddress, role->name);
}
