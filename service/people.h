/*
 * What can be done with people: users, roles, tokens, sharing. As in operations.h, without HTTP or JSON; the
 * API and the command line both come here. Whether the caller may do it was decided before (access.h), but
 * for what depends on the content: a user changes only the own password, and makes only own tokens.
 */
#ifndef PKTCAPD_SERVICE_PEOPLE_H
#define PKTCAPD_SERVICE_PEOPLE_H

#include "db/people.h"
#include "service/operations.h"

/* Text fields are NULL where nothing was given. */
struct user_request {
    const char *name;
    const char *role;
    const char *groups;       /* a name a line */
    const char *password;     /* 8 to 256 bytes */
    const char *old_password; /* of the caller, who changes the own one */
    int disabled;             /* 0, 1, or -1: not given */
};

MUST_USE enum status op_create_user(const struct context *context, const struct user_request *request,
                                    struct user *user, struct errors *errors);
MUST_USE enum status op_get_user(const struct context *context, const char *name, struct user *user,
                                 struct errors *errors);
MUST_USE enum status op_change_user(const struct context *context, const struct user_request *request,
                                    struct user *user, struct errors *errors);
MUST_USE enum status op_delete_user(const struct context *context, const char *name, struct user *user,
                                    struct errors *errors);
MUST_USE enum status op_list_users(const struct context *context,
                                   void (*visit)(void *visitor_context, const struct user *user),
                                   void *visitor_context, struct errors *errors);

MUST_USE enum status op_put_role(const struct context *context, const struct role *role,
                                 struct errors *errors);
MUST_USE enum status op_get_role(const struct context *context, const char *name, struct role *role,
                                 struct errors *errors);
MUST_USE enum status op_delete_role(const struct context *context, const char *name, struct role *role,
                                    struct errors *errors);
MUST_USE enum status op_list_roles(const struct context *context,
                                   void (*visit)(void *visitor_context, const struct role *role),
                                   void *visitor_context, struct errors *errors);

enum { TOKEN_SECRET_SIZE = 80 };

struct token_request {
    const char *user;     /* NULL: the caller */
    const char *name;     /* free text */
    int64_t expires_in_s; /* 0: never */
};

/* secret is the token itself: shown now, and never again. */
MUST_USE enum status op_create_token(const struct context *context, const struct token_request *request,
                                     struct token *token, char secret[TOKEN_SECRET_SIZE],
                                     struct errors *errors);
MUST_USE enum status op_get_token(const struct context *context, const char *id, struct token *token,
                                  struct errors *errors);
MUST_USE enum status op_revoke_token(const struct context *context, const char *id, struct token *token,
                                     struct errors *errors);

/* Of one user, NULL: the caller's; an administrator may ask for everybody's with "*". */
MUST_USE enum status op_list_tokens(const struct context *context, const char *user,
                                    void (*visit)(void *visitor_context, const struct token *token),
                                    void *visitor_context, struct errors *errors);

MUST_USE enum status op_share_session(const struct context *context, const char *id,
                                      const struct share *share, bool on, struct session *session,
                                      struct errors *errors);
MUST_USE enum status op_transfer_session(const struct context *context, const char *id, const char *owner,
                                         struct session *session, struct errors *errors);

/* Newest first; see struct audit_query. next is the place of the next page, 0: there is none. */
MUST_USE enum status op_list_audit(const struct context *context, const struct audit_query *query,
                                   void (*visit)(void *visitor_context, const struct audit_record *record),
                                   void *visitor_context, int64_t *total, int64_t *next,
                                   struct errors *errors);

/* Of the caller. */
MUST_USE enum status op_get_usage(const struct context *context, struct usage *usage, struct errors *errors);

/* As errors_add_error(). Where the store blames a name that came in a body, that has another field than a
 * path has. */
enum status errors_add_user_error(struct errors *errors, struct error *error, const char *field);

/* Makes the first administrator, named admin, if there is none yet. password may be NULL: then one is made,
 * and printed holds it; else printed is empty. */
MUST_USE enum status people_begin(struct store *store, const char *password, char printed[TOKEN_SECRET_SIZE],
                                  struct error *error);

#endif
