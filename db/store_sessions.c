/* The front end's half of the store: sessions. The list has a file of its own. */
#include "db/people_rows.h"
#include "db/rows.h"

#include <stdio.h>
#include <string.h>

static enum status lists_insert(struct store *store, int64_t key, const struct session *session,
                                struct error *error)
{
    const struct packet_capture_request *request = &session->request;
    sqlite3_stmt *option = statement_get(store, INSERT_OPTION, error);
    sqlite3_stmt *tag = statement_get(store, INSERT_TAG, error);
    bool row;

    if (option == NULL || tag == NULL)
        return error->status;
    for (uint32_t i = 0; i < request->option_count; i++) {
        bind_integer(option, 1, key);
        bind_integer(option, 2, i);
        bind_text(option, 3, names_of(&option_names, (int)request->options[i].name));
        sqlite3_bind_text(option, 4, request->options[i].value, -1, SQLITE_STATIC);
        if (statement_step(store, option, &row, error) != STATUS_OK)
            return error->status;
    }
    for (uint32_t i = 0; i < request->tag_count; i++) {
        bind_integer(tag, 1, key);
        bind_integer(tag, 2, i);
        sqlite3_bind_text(tag, 3, request->tags[i].scope, -1, SQLITE_STATIC);
        sqlite3_bind_text(tag, 4, request->tags[i].tag, -1, SQLITE_STATIC);
        if (statement_step(store, tag, &row, error) != STATUS_OK)
            return error->status;
    }
    for (uint32_t i = 0; i < session->share_count; i++)
        if (share_write(store, key, &session->shares[i], true, error) != STATUS_OK)
            return error->status;
    return STATUS_OK;
}

/* Notes that the owner made the newest run, and forgets what was an hour before. */
static enum status creation_note(struct store *store, const char *id, const char *owner, int64_t now_ms,
                                 struct error *error)
{
    sqlite3_stmt *note = statement_get(store, INSERT_CREATION, error);
    sqlite3_stmt *forget = statement_get(store, DELETE_OLD_CREATIONS, error);
    bool row;

    if (note == NULL || forget == NULL)
        return error->status;
    bind_text(note, 1, id);
    bind_text(forget, 1, owner);
    bind_integer(forget, 2, now_ms - HOUR_MS);
    if (statement_step(store, note, &row, error) != STATUS_OK)
        return error->status;
    return statement_step(store, forget, &row, error);
}

static enum status run_insert(struct store *store, const char *id, int64_t now_ms, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, INSERT_RUN, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, id);
    bind_integer(statement, 2, now_ms);
    return statement_step(store, statement, &row, error);
}

/* Else whoever is given the name later would get what a deleted user was about to make. */
static enum status owner_check(struct store *store, const char *owner, int64_t generation,
                               struct error *error)
{
    int64_t now = 0;

    if (generation == 0)
        return STATUS_OK;
    enum status status =
        number_read(store, statement_of(store, GET_USER_GENERATION, owner, error), &now, error);
    if (status == STATUS_OK && now != generation)
        return error_set(error, ERROR_BAD_CREDENTIALS, NULL,
                         "user %s was changed or deleted while this was asked for", owner);
    return status;
}

static enum status session_insert(struct store *store, const struct session *session, int64_t generation,
                                  const struct quota *quota, struct error *error)
{
    bool row;
    enum status status = owner_check(store, session->owner, generation, error);

    if (status == STATUS_OK)
        status = quota_check(store, session->owner, quota, session->create_time_ms, error);
    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *statement = statement_get(store, INSERT_SESSION, error);
    if (statement == NULL)
        return error->status;
    rows_bind_session(statement, session);
    if ((status = statement_step(store, statement, &row, error)) != STATUS_OK)
        return status;
    int64_t key = sqlite3_last_insert_rowid(store->db);
    if ((status = lists_insert(store, key, session, error)) != STATUS_OK ||
        (status = run_insert(store, session->id, session->create_time_ms, error)) != STATUS_OK)
        return status;
    return creation_note(store, session->id, session->owner, session->create_time_ms, error);
}

enum status store_insert_session(struct store *store, const struct session *session, int64_t generation,
                                 const struct quota *quota, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, session_insert(store, session, generation, quota, error), error);
    return status;
}

enum status no_such_session(const char *id, struct error *error)
{
    return error_set(error, ERROR_NO_SUCH_SESSION, "session-id", "there is no capture session %.64s", id);
}

/* The first statement stays at its row until the lists are read: so all is of one moment, and a deletion
 * cannot fall between. */
enum status store_get_session(struct store *store, const char *id, int32_t run, struct session *session,
                              struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, run == 0 ? GET_SESSION : GET_SESSION_RUN, error);
    int64_t key;
    bool row;

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, id);
    if (run != 0)
        bind_integer(statement, 2, run);
    if (statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    if (!row)
        return no_such_session(id, error);
    rows_read(statement, session, &key);
    enum status status = rows_read_lists(store, key, session, error);
    sqlite3_reset(statement);
    return status;
}

struct newest_run {
    int64_t key;
    enum session_state state;
    bool claimed;
    char owner[sizeof((struct session *)0)->owner]; /* of the session */
};

static enum status newest_run_read(struct store *store, const char *id, struct newest_run *run,
                                   struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, GET_NEWEST_RUN, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, id);
    if (statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    if (!row)
        return no_such_session(id, error);
    run->key = sqlite3_column_int64(statement, 0);
    run->state =
        (enum session_state)names_find(&session_state_names, (const char *)sqlite3_column_text(statement, 1));
    run->claimed = sqlite3_column_int(statement, 2) != 0;
    text_read(statement, 3, run->owner, sizeof run->owner);
    sqlite3_reset(statement);
    return STATUS_OK;
}

/* owner: whose the session must be, or NULL. */
static enum status newest_run_of(struct store *store, const char *id, const char *owner,
                                 struct newest_run *run, struct error *error)
{
    enum status status = newest_run_read(store, id, run, error);

    if (status == STATUS_OK && owner != NULL && strcmp(run->owner, owner) != 0)
        return no_such_session(id, error);
    return status;
}

static enum status stop_newest_run(struct store *store, const char *id, const char *owner, const char *user,
                                   int64_t now_ms, struct error *error)
{
    struct newest_run run;
    bool row;
    enum status status = newest_run_of(store, id, owner, &run, error);

    if (status != STATUS_OK || session_state_has_ended(run.state))
        return status;
    bool at_once = run.state == STATE_CREATED && !run.claimed;
    sqlite3_stmt *statement = statement_get(store, at_once ? STOP_RUN : FLAG_RUN, error);
    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, run.key);
    if (at_once)
        bind_integer(statement, 2, now_ms);
    if ((status = statement_step(store, statement, &row, error)) != STATUS_OK)
        return status;
    return session_touch(store, run.key, user, now_ms, error);
}

enum status store_request_stop(struct store *store, const char *id, const char *owner, const char *user,
                               int64_t now_ms, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, stop_newest_run(store, id, owner, user, now_ms, error), error);
    return status;
}

/* Reads the newest run and refuses if it has not ended. */
static enum status ended_run_read(struct store *store, const char *id, const char *owner, const char *deed,
                                  struct newest_run *run, struct error *error)
{
    enum status status = newest_run_of(store, id, owner, run, error);

    if (status == STATUS_OK && !session_state_has_ended(run->state))
        return error_set(error, ERROR_SESSION_RUNNING, "session-id",
                         "session %s is %s and cannot be %s; terminate it first (?action=terminate)", id,
                         names_of(&session_state_names, (int)run->state), deed);
    return status;
}

static enum status by_id(struct store *store, enum statement which, const char *id, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, which, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, id);
    return statement_step(store, statement, &row, error);
}

static enum status session_renew(struct store *store, const char *id, const struct restart *restart,
                                 struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, RENEW_SESSION, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, id);
    bind_text(statement, 2, restart->point);
    bind_integer(statement, 3, restart->quota_bytes);
    bind_integer(statement, 4, restart->limits.duration_s);
    bind_integer(statement, 5, restart->limits.packets);
    bind_integer(statement, 6, restart->limits.file_size_mb);
    bind_integer(statement, 7, restart->limits.snaplen);
    return statement_step(store, statement, &row, error);
}

static enum status next_run(struct store *store, const char *id, const struct restart *restart,
                            struct error *error)
{
    struct newest_run run;
    enum status status = ended_run_read(store, id, restart->owner, "restarted", &run, error);

    if (status == STATUS_OK)
        status = quota_check(store, run.owner, restart->quota, restart->now_ms, error);
    if (status == STATUS_OK)
        status = session_touch(store, run.key, restart->user, restart->now_ms, error);
    if (status == STATUS_OK)
        status = session_renew(store, id, restart, error);
    if (status == STATUS_OK)
        status = run_insert(store, id, restart->now_ms, error);
    /* What others have captured again does not count. */
    if (status == STATUS_OK && strcmp(run.owner, restart->user) == 0)
        status = creation_note(store, id, run.owner, restart->now_ms, error);
    return status;
}

enum status store_restart_session(struct store *store, const char *id, const struct restart *restart,
                                  struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, next_run(store, id, restart, error), error);
    return status;
}

static enum status ended_session_delete(struct store *store, const char *id, const char *owner,
                                        struct error *error)
{
    struct newest_run run;
    enum status status = ended_run_read(store, id, owner, "deleted", &run, error);

    return status == STATUS_OK ? by_id(store, DELETE_SESSION, id, error) : status;
}

enum status store_delete_session(struct store *store, const char *id, const char *owner, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, ended_session_delete(store, id, owner, error), error);
    return status;
}

enum status store_has_session(struct store *store, const char *id, bool *has, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, GET_SESSION_EXISTS, error);

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, id);
    enum status status = statement_step(store, statement, has, error);
    sqlite3_reset(statement);
    return status;
}
