/* How people and the audit lie in the tables, and what the files of people share. Private to db/. */
#ifndef PKTCAPD_DB_PEOPLE_ROWS_H
#define PKTCAPD_DB_PEOPLE_ROWS_H

#include "db/columns.h"
#include "db/people.h"

/* In statements @user, @role, @token, @login and @audit stand for these, of the tables u, o, t, l and a; the
 * user of a token or login is u.name. */
extern const struct columns user_columns, role_columns, token_columns, login_columns, audit_columns;

/* The statement with this text as its first parameter; NULL as statement_get(). */
sqlite3_stmt *statement_of(struct store *store, enum statement which, const char *text, struct error *error);

/* Reads the first column of a statement's only row; 0 if there is none. */
MUST_USE enum status number_read(struct store *store, sqlite3_stmt *statement, int64_t *number,
                                 struct error *error);

/* Runs a statement that gives no rows. */
MUST_USE enum status statement_finish(struct store *store, sqlite3_stmt *statement, struct error *error);

enum status no_such_user(const char *name, struct error *error);
enum status no_such_role(const char *name, struct error *error);

/* The key of a user, ERROR_NO_SUCH_USER; whether there is a role, ERROR_NO_SUCH_ROLE. */
MUST_USE enum status user_key(struct store *store, const char *name, int64_t *key, struct error *error);
MUST_USE enum status role_must_be(struct store *store, const char *name, struct error *error);

/* Within a write transaction: whether somebody can log in and do everything; and the refusal of a change
 * after which nobody can any more. */
MUST_USE enum status admin_can_enter(struct store *store, bool *can, struct error *error);
MUST_USE enum status admin_must_stay(struct store *store, bool was, struct error *error);

#endif
