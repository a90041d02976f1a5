#include "fake_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const sort_names[] = {"starttime", "endtime", "sessionname", "sessionstatus", "filesize"};

const struct names store_sort_names = {sort_names, sizeof sort_names / sizeof sort_names[0]};

struct store *fake_store_new(void)
{
    return calloc(1, sizeof(struct store));
}

void fake_store_free(struct store *store)
{
    for (size_t i = 0; i < store->count; i++)
        free(store->rows[i]);
    free(store);
}

/* The run of this number, or the newest if it is 0. */
static struct fake_row *row_find(const struct store *store, const char *id, int32_t run)
{
    struct fake_row *found = NULL;

    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->rows[i]->session.id, id) == 0 &&
            (run == 0 || store->rows[i]->session.run.number == run))
            found = store->rows[i];
    return found;
}

static struct fake_row *row_add(struct store *store, const struct session *session)
{
    struct fake_row *row = calloc(1, sizeof *row);

    if (row == NULL || store->count == FAKE_ROWS_MAX)
        abort();
    row->session = *session;
    row->key = ++store->last_key;
    store->rows[store->count++] = row;
    return row;
}

struct session *fake_store_add(struct store *store, const char *id, enum session_state status)
{
    const struct fake_row *earlier = row_find(store, id, 0);
    struct session *session = calloc(1, sizeof *session);

    if (session == NULL)
        abort();
    session->run.number = earlier == NULL ? 1 : earlier->session.run.number + 1;
    session->run.state = status;
    session->request.cappoint = earlier == NULL ? CAPPOINT_VMKNIC : earlier->session.request.cappoint;
    session->request.capsource = CAPSOURCE_CLI;
    if (earlier != NULL)
        memcpy(session->owner, earlier->session.owner, sizeof session->owner);
    snprintf(session->id, sizeof session->id, "%s", id);
    struct session *added = &row_add(store, session)->session;
    free(session);
    return added;
}

/* Counts the call; whether it fails. */
static bool called(struct store *store, enum fake_call call, struct error *error)
{
    bool fails = store->fails[call] != 0 && store->calls[call] >= store->fails_after[call];

    store->calls[call]++;
    if (fails)
        error_set(error, store->fails[call], NULL, "the store was told to fail");
    return fails;
}

static enum status no_such(const char *id, struct error *error)
{
    return error_set(error, ERROR_NO_SUCH_SESSION, "session-id", "there is no capture session %s", id);
}

static enum status running(const char *id, struct error *error)
{
    return error_set(error, ERROR_SESSION_RUNNING, "session-id", "session %s is running", id);
}

enum status store_insert_session(struct store *store, const struct session *session, int64_t generation,
                                 const struct quota *quota, struct error *error)
{
    (void)generation;
    store->has_quota = quota != NULL;
    if (quota != NULL)
        store->quota = *quota;
    if (called(store, FAKE_INSERT, error))
        return error->status;
    row_add(store, session);
    return STATUS_OK;
}

static void row_go_on(struct store *store, struct fake_row *row)
{
    if (!row->stop_requested || session_state_has_ended(row->session.run.state))
        return;
    if (store->reads_until_end == 0)
        row->session.run.state = STATE_STOPPED;
    else if (store->reads_until_end > 0)
        store->reads_until_end--;
}

enum status store_get_session(struct store *store, const char *id, int32_t run, struct session *session,
                              struct error *error)
{
    struct fake_row *row = row_find(store, id, run);

    if (called(store, FAKE_GET, error))
        return error->status;
    if (row == NULL || (store->vanishing_id != NULL && strcmp(store->vanishing_id, id) == 0))
        return no_such(id, error);
    row_go_on(store, row);
    *session = row->session;
    return STATUS_OK;
}

enum status store_list_run_files(struct store *store, const char *id, int32_t run, struct session *session,
                                 void (*visit)(void *context, const struct run_file *file), void *context,
                                 struct error *error)
{
    const struct fake_row *row = row_find(store, id, run);

    if (row == NULL)
        return no_such(id, error);
    *session = row->session;
    for (size_t i = 0; i < store->file_count; i++)
        visit(context, &store->files[i]);
    return STATUS_OK;
}

bool fake_store_is_shared(const struct session *session, const char *user, const char *groups)
{
    for (uint32_t i = 0; i < session->share_count; i++) {
        const struct share *share = &session->shares[i];
        if (share->kind == SHARE_USER ? strcmp(share->name, user) == 0
                                      : groups != NULL && line_is_in(groups, share->name))
            return true;
    }
    return false;
}

static bool row_listed(const struct store *store, const struct fake_row *row, const struct list_query *query)
{
    return row == row_find(store, row->session.id, 0) &&
           (!query->ended_only || session_state_has_ended(row->session.run.state)) &&
           (query->owner == NULL || strcmp(query->owner, row->session.owner) == 0) &&
           (query->reader == NULL || strcmp(query->reader, row->session.owner) == 0 ||
            fake_store_is_shared(&row->session, query->reader, query->groups));
}

static bool row_behind(const struct fake_row *row, const struct list_query *query)
{
    if (!query->has_after)
        return true;
    return query->descending ? row->key < query->after_key : row->key > query->after_key;
}

enum status store_list_sessions(struct store *store, const struct list_query *query,
                                void (*visit)(void *context, const struct session *session), void *context,
                                struct list_page *page, struct error *error)
{
    struct list_page found = {0};
    int32_t seen = 0;

    store->query = *query;
    if (called(store, FAKE_LIST, error))
        return error->status;
    for (size_t i = 0; i < store->count; i++) {
        const struct fake_row *row = store->rows[query->descending ? store->count - 1 - i : i];
        if (!row_listed(store, row, query))
            continue;
        found.total++;
        if (!row_behind(row, query))
            continue;
        if (seen == query->page_size) {
            found.has_more = true;
            continue;
        }
        visit(context, &row->session);
        found.last_key = row->key;
        seen++;
    }
    snprintf(found.last_value, sizeof found.last_value, "%s",
             store->last_value == NULL ? "" : store->last_value);
    *page = found;
    return STATUS_OK;
}

static void asked(struct store *store, const char *user, int64_t now_ms)
{
    snprintf(store->user, sizeof store->user, "%s", user);
    store->now_ms = now_ms;
}

enum status store_request_stop(struct store *store, const char *id, const char *owner, const char *user,
                               int64_t now_ms, struct error *error)
{
    (void)owner;
    struct fake_row *row = row_find(store, id, 0);

    asked(store, user, now_ms);
    if (called(store, FAKE_STOP, error))
        return error->status;
    if (row == NULL)
        return no_such(id, error);
    row->stop_requested = true;
    if (row->session.run.state == STATE_CREATED)
        row->session.run.state = STATE_STOPPED;
    return STATUS_OK;
}

enum status store_restart_session(struct store *store, const char *id, const struct restart *restart,
                                  struct error *error)
{
    const struct fake_row *row = row_find(store, id, 0);

    asked(store, restart->user, restart->now_ms);
    store->has_quota = restart->quota != NULL;
    if (restart->quota != NULL)
        store->quota = *restart->quota;
    snprintf(store->point, sizeof store->point, "%s", restart->point);
    if (called(store, FAKE_RESTART, error))
        return error->status;
    if (row == NULL)
        return no_such(id, error);
    if (!session_state_has_ended(row->session.run.state))
        return running(id, error);
    fake_store_add(store, id, STATE_CREATED);
    return STATUS_OK;
}

static void rows_remove(struct store *store, const char *id)
{
    size_t kept = 0;

    for (size_t i = 0; i < store->count; i++)
        if (strcmp(store->rows[i]->session.id, id) == 0)
            free(store->rows[i]);
        else
            store->rows[kept++] = store->rows[i];
    store->count = kept;
}

enum status store_delete_session(struct store *store, const char *id, const char *owner, struct error *error)
{
    char copy[UUID_SIZE];
    const struct fake_row *row = row_find(store, id, 0);

    (void)owner;
    store->watched_seen = store->watched != NULL && access(store->watched, F_OK) == 0;
    if (called(store, FAKE_DELETE, error))
        return error->status;
    if (row == NULL)
        return no_such(id, error);
    if (store->full_while != NULL && access(store->full_while, F_OK) == 0)
        return error_set(error, ERROR_STORE_FULL, NULL, "the disk is full");
    if (!session_state_has_ended(row->session.run.state) ||
        (store->stuck_id != NULL && strcmp(store->stuck_id, id) == 0))
        return running(id, error);
    snprintf(copy, sizeof copy, "%s", id);
    rows_remove(store, copy);
    return STATUS_OK;
}
