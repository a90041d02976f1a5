/*
 * The store's other half: people. Users, roles, tokens, logins, shares, quotas and the audit. What store.h
 * says of handles, durability and errors holds here too; the audit and the times of last use do not wait for
 * the disk.
 *
 * Every change of a user or of a role counts from the next call on: callers keep nothing that these functions
 * said, but what they compare user.generation for.
 */
#ifndef PKTCAPD_DB_PEOPLE_H
#define PKTCAPD_DB_PEOPLE_H

#include "core/people.h"
#include "db/store.h"

/* ---- users ---- */

/* ERROR_EXISTS if there is a user of that name, ERROR_NO_SUCH_ROLE. */
MUST_USE enum status store_insert_user(struct store *store, const struct user *user, struct error *error);

/* ERROR_NO_SUCH_USER. */
MUST_USE enum status store_get_user(struct store *store, const char *name, struct user *user,
                                    struct error *error);

/* The user with the role, of one moment. ERROR_NO_SUCH_USER. */
MUST_USE enum status store_get_user_role(struct store *store, const char *name, struct user *user,
                                         struct role *role, struct error *error);

/* In the order of names. visit must not use the store. */
MUST_USE enum status store_list_users(struct store *store,
                                      void (*visit)(void *context, const struct user *user), void *context,
                                      struct error *error);

/* What change_user() sets; NULL and negative: stays as it is. */
struct user_change {
    const char *role, *groups, *password_hash;
    int disabled; /* 0 or 1 */
};

/* Raises the generation and ends the logins, but for a change of groups alone. ERROR_NO_SUCH_USER,
 * ERROR_NO_SUCH_ROLE, ERROR_LAST_ADMIN where no enabled user of an admin role with a password would be left.
 */
MUST_USE enum status store_change_user(struct store *store, const char *name,
                                       const struct user_change *change, struct error *error);

/* With tokens, logins and shares; the user's sessions stay, without an owner. ERROR_NO_SUCH_USER,
 * ERROR_LAST_ADMIN. */
MUST_USE enum status store_delete_user(struct store *store, const char *name, int64_t now_ms,
                                       struct error *error);

/* Whether there is an enabled user of an admin role. */
MUST_USE enum status store_has_admin(struct store *store, bool *has, struct error *error);

/* ---- roles ---- */

/* ERROR_NO_SUCH_ROLE. */
MUST_USE enum status store_get_role(struct store *store, const char *name, struct role *role,
                                    struct error *error);

/* In the order of names. visit must not use the store. */
MUST_USE enum status store_list_roles(struct store *store,
                                      void (*visit)(void *context, const struct role *role), void *context,
                                      struct error *error);

/* Makes the role or replaces it. A built-in role keeps its kind: ERROR_BUILT_IN. ERROR_LAST_ADMIN. */
MUST_USE enum status store_put_role(struct store *store, const struct role *role, struct error *error);

/* ERROR_NO_SUCH_ROLE, ERROR_BUILT_IN, ERROR_ROLE_IN_USE. */
MUST_USE enum status store_delete_role(struct store *store, const char *name, struct error *error);

/* ---- tokens ---- */

/* ERROR_NO_SUCH_USER. */
MUST_USE enum status store_insert_token(struct store *store, const struct token *token, struct error *error);

/* By its hash, revoked and expired ones too; *found says whether there is one, and then user is its user,
 * with the role of that moment. */
MUST_USE enum status store_find_token(struct store *store, const uint8_t hash[SECRET_HASH_SIZE], bool *found,
                                      struct token *token, struct user *user, struct role *role,
                                      struct error *error);

/* By its id. ERROR_NO_SUCH_TOKEN. */
MUST_USE enum status store_get_token(struct store *store, const char *id, struct token *token,
                                     struct error *error);

/* Of one user, or of all (NULL), oldest first. visit must not use the store. */
MUST_USE enum status store_list_tokens(struct store *store, const char *user,
                                       void (*visit)(void *context, const struct token *token), void *context,
                                       struct error *error);

/* Harmless on a revoked one. ERROR_NO_SUCH_TOKEN. */
MUST_USE enum status store_revoke_token(struct store *store, const char *id, int64_t now_ms,
                                        struct error *error);

/* Notes the use, unless one was noted in the minute before. */
MUST_USE enum status store_touch_token(struct store *store, const struct token *token, int64_t now_ms,
                                       struct error *error);

/* ---- logins ---- */

/* Keeps the newest `most` logins of the user and removes every login last used before stale_ms.
 * ERROR_NO_SUCH_USER. */
MUST_USE enum status store_insert_login(struct store *store, const struct login *login, int64_t most,
                                        int64_t stale_ms, struct error *error);

MUST_USE enum status store_find_login(struct store *store, const uint8_t hash[SECRET_HASH_SIZE], bool *found,
                                      struct login *login, struct user *user, struct role *role,
                                      struct error *error);

/* Notes the use, unless one was noted in the minute before. */
MUST_USE enum status store_touch_login(struct store *store, const struct login *login, int64_t now_ms,
                                       struct error *error);

MUST_USE enum status store_delete_login(struct store *store, const uint8_t hash[SECRET_HASH_SIZE],
                                        struct error *error);

/* ---- sessions: whose they are ---- */

/* What decides on who may do what with a session. */
struct session_access {
    char owner[PERSON_NAME_SIZE]; /* empty: nobody's any more */
    bool shared;                  /* with the user or one of the groups that were asked for */
};

/* groups: a name a line. ERROR_NO_SUCH_SESSION. */
MUST_USE enum status store_get_access(struct store *store, const char *id, const char *user,
                                      const char *groups, struct session_access *access, struct error *error);

/* Shares a session, or ends that (on = false); harmless where it is so already. ERROR_NO_SUCH_SESSION,
 * ERROR_OUT_OF_RANGE beyond SHARES_MAX. */
MUST_USE enum status store_share_session(struct store *store, const char *id, const char *owner,
                                         const struct share *share, bool on, const char *by, int64_t now_ms,
                                         struct error *error);

/* ERROR_NO_SUCH_SESSION. The owner need not be in the table of users: proxies assert users too. */
MUST_USE enum status store_transfer_session(struct store *store, const char *id, const char *owner,
                                            const char *by, int64_t now_ms, struct error *error);

/* Sessions created after hour_ms count as hourly, wherever they are by now: deleted, or another owner's.
 * hour_ms is at most an hour ago. */
MUST_USE enum status store_get_usage(struct store *store, const char *user, int64_t hour_ms,
                                     struct usage *usage, struct error *error);

/* ---- the audit ---- */

MUST_USE enum status store_append_audit(struct store *store, const struct audit_record *record,
                                        struct error *error);

/* Empty and 0: any. */
struct audit_query {
    const char *user, *operation, *session, *address;
    int64_t since_ms, until_ms; /* since <= time < until */
    int64_t before_key;         /* only older ones: the place where a page starts */
    int32_t page_size;
};

/* Newest first. *total counts all pages, *last_key is the place of the next page, 0: there is none. visit
 * must not use the store. */
MUST_USE enum status store_list_audit(struct store *store, const struct audit_query *query,
                                      void (*visit)(void *context, const struct audit_record *record),
                                      void *context, int64_t *total, int64_t *last_key, struct error *error);

#endif
