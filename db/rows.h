/* How a struct session lies in the tables: one table of columns (rows.c) for binding and reading. Private to
 * db/. */
#ifndef PKTCAPD_DB_ROWS_H
#define PKTCAPD_DB_ROWS_H

#include "db/sqlite.h"

/* "s.key, s.id, ..., r.number, ...": the columns of session s and run r that rows_read() reads. */
const char *rows_select_list(char *out, size_t size);

/* The text of INSERT_SESSION; rows_bind_session() binds it. */
const char *rows_insert_text(char *out, size_t size);
void rows_bind_session(sqlite3_stmt *statement, const struct session *session);

/* Reads the current row of a statement that selects rows_select_list(); *key is the session's. Options and
 * tags are not among them: rows_read_lists() fetches them. */
void rows_read(sqlite3_stmt *statement, struct session *session, int64_t *key);
MUST_USE enum status rows_read_lists(struct store *store, int64_t key, struct session *session,
                                     struct error *error);

enum status no_such_session(const char *id, struct error *error);

/* Adds a share to a session or removes it, without counting; sqlite3_changes() says whether it was news. */
MUST_USE enum status share_write(struct store *store, int64_t key, const struct share *share, bool on,
                                 struct error *error);

#define HOUR_MS INT64_C(3600000)

/* Within a write transaction: refuses one more run of this owner's where the quota (or NULL) is used up. */
MUST_USE enum status quota_check(struct store *store, const char *owner, const struct quota *quota,
                                 int64_t now_ms, struct error *error);

/* Brings the files of a ring to what the report says of them, if it does. */
MUST_USE enum status files_write(struct store *store, const struct run_report *report, struct error *error);

/* store_list_run_files() within a transaction. */
MUST_USE enum status files_visit(struct store *store, const char *id, int32_t run,
                                 void (*visit)(void *context, const struct run_file *file), void *context,
                                 struct error *error);

/* The session of this run has changed: counts its revision up and notes when and by whom ("": user
 * unchanged). */
MUST_USE enum status session_touch(struct store *store, int64_t run_key, const char *user, int64_t now_ms,
                                   struct error *error);

#endif
