/*
 * Who may do what: users, the roles that they have, tokens, logins and the audit. All records are plain and
 * copyable; a string is absent when empty, times are epoch milliseconds and 0 when absent.
 *
 * A role is one of three kinds (enum role_kind), which decides what operations there are for its people, with
 * a policy, which decides where and how much. The three built-in roles are named like their kinds.
 */
#ifndef PKTCAPD_CORE_PEOPLE_H
#define PKTCAPD_CORE_PEOPLE_H

#include "core/names.h"

#include <stdbool.h>
#include <stdint.h>

enum role_kind {
    ROLE_ADMIN = 1, /* everything */
    ROLE_OPERATOR,  /* captures, and rules over own sessions */
    ROLE_AUDITOR,   /* reads everything, changes nothing */
};

enum {
    PERSON_NAME_SIZE = 65, /* letters, digits and . _ - @ + */
    GROUPS_SIZE = 1024,
    ROLE_POINTS_SIZE = 2048,
    ROLE_NETWORKS_SIZE = 1024,
    PASSWORD_HASH_SIZE = 128,
    PASSWORD_MIN = 8,
    PASSWORD_MAX = 256, /* bytes */
    SECRET_HASH_SIZE = 32,
    CLIENT_ADDRESS_SIZE = 46,
};

/* Numbers: 0 is no limit. */
struct policy {
    char points[ROLE_POINTS_SIZE];     /* where to capture: patterns, a line each (see access.h) */
    int64_t max_duration_s;            /* of each session */
    int64_t max_file_size_mb;          /* of each file, MB of 10^6 bytes */
    int64_t max_snaplen;               /* bytes */
    int64_t max_sessions;              /* of one user that have not ended */
    int64_t max_stored_mb;             /* of all files of one user */
    int64_t max_hourly;                /* sessions of one user in any 60 minutes */
    bool stream;                       /* whether capmode STREAM is allowed, */
    char networks[ROLE_NETWORKS_SIZE]; /* and where to: prefixes, a line each; empty: anywhere */
    bool see_others;                   /* other people's sessions are visible */
    bool download_others;              /* and so are their files */
};

struct role {
    char name[PERSON_NAME_SIZE];
    enum role_kind kind;
    bool built_in;
    struct policy policy;
};

struct user {
    char name[PERSON_NAME_SIZE];
    char role[PERSON_NAME_SIZE];
    char groups[GROUPS_SIZE];               /* a name a line */
    char password_hash[PASSWORD_HASH_SIZE]; /* libsodium's string; empty: no password opens */
    bool disabled;
    int64_t generation; /* grows with each change: what was verified before counts no longer */
    int64_t created_ms;
    char created_by[PERSON_NAME_SIZE];
};

struct token {
    char id[37]; /* lower-case UUID, no secret */
    char user[PERSON_NAME_SIZE];
    char name[256]; /* free text */
    uint8_t hash[SECRET_HASH_SIZE];
    int64_t created_ms;
    int64_t expires_ms; /* 0: never */
    int64_t revoked_ms;
    int64_t used_ms; /* last, to the minute */
};

/* A session of NSX's kind (JSESSIONID), called login here: sessions are captures. */
struct login {
    uint8_t hash[SECRET_HASH_SIZE]; /* of the cookie */
    uint8_t xsrf[SECRET_HASH_SIZE]; /* hash of the X-XSRF-TOKEN that goes with it */
    char user[PERSON_NAME_SIZE];
    int64_t generation; /* of the user when it was made */
    int64_t created_ms;
    int64_t used_ms;
};

/* How a client got in. */
enum way {
    WAY_NONE = 1, /* nobody: an act that failed before that, or needs nobody */
    WAY_BASIC,
    WAY_COOKIE,
    WAY_TOKEN,
    WAY_PROXY,   /* asserted by a trusted proxy */
    WAY_CONSOLE, /* pktcapd's own command line */
};

struct audit_record {
    int64_t key; /* order of the acts; given by the store */
    int64_t time_ms;
    char user[PERSON_NAME_SIZE]; /* as claimed where way is NONE */
    enum way way;
    char address[CLIENT_ADDRESS_SIZE]; /* the client's own, behind any trusted proxy */
    char operation[32];                /* "create", "download", "login", ... */
    char session[37];                  /* id, where the act is about one */
    char object[128];                  /* what else it was about: a user, a role, a token's id */
    int32_t status;                    /* HTTP status; 200 for the console's acts that went well */
    int32_t code;                      /* error_code, 0: none */
    char detail[256];
};

/* How much one user has. */
struct usage {
    int64_t unfinished;   /* sessions that have not ended */
    int64_t stored_bytes; /* of all runs' files */
    int64_t hourly;       /* sessions created, or restarted by the user, in the last 60 minutes */
};

extern const struct names role_kind_names;
extern const struct names way_names;

/* Whether a name may be a user's, group's or role's: 1 to 64 letters, digits and . _ - @ +, a letter or digit
 * first. */
bool person_name_is_valid(const char *name);

/* Whether a name is one of the lines of a text. */
bool line_is_in(const char *lines, const char *name);

#endif
