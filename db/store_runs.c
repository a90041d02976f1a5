/* The worker's half of the store: claims, reports and ends of runs. */
#include "db/columns.h"
#include "db/rows.h"

#include <stdio.h>

static enum status claim_run(struct store *store, const char *node_id, const char *worker, int64_t now_ms,
                             int64_t lease_ms, bool *found, struct lease *lease, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, CLAIM_RUN, error);

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, node_id);
    bind_text(statement, 2, worker);
    bind_integer(statement, 3, now_ms);
    bind_integer(statement, 4, now_ms + lease_ms);
    enum status status = statement_step(store, statement, found, error);
    if (status != STATUS_OK || !*found)
        return status;
    *lease = (struct lease){
        .key = sqlite3_column_int64(statement, 0),
        .claim = sqlite3_column_int64(statement, 1),
        .resumed = sqlite3_column_int(statement, 2) != 0,
        .overdue = sqlite3_column_int(statement, 3) != 0,
        .stop_requested = sqlite3_column_int(statement, 4) != 0,
        .reported_ms = sqlite3_column_int64(statement, 5),
    };
    bool more; /* steps to the end, which commits */
    return statement_step(store, statement, &more, error);
}

static enum status run_session_read(struct store *store, struct lease *lease, struct session *session,
                                    struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, GET_RUN_SESSION, error);
    int64_t key;
    bool row;

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, lease->key);
    if (statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    if (!row)
        return error_set(error, ERROR_NO_SUCH_SESSION, NULL, "the claimed run is gone");
    rows_read(statement, session, &key);
    lease->owner_bytes = sqlite3_column_int64(statement, sqlite3_column_count(statement) - 1);
    sqlite3_reset(statement);
    return rows_read_lists(store, key, session, error);
}

enum status store_claim_run(struct store *store, const char *node_id, const char *worker, int64_t now_ms,
                            int64_t lease_ms, bool *found, struct lease *lease, struct session *session,
                            struct error *error)
{
    enum status status = haste_begin(store, error);

    if (status == STATUS_OK)
        status =
            haste_end(store, claim_run(store, node_id, worker, now_ms, lease_ms, found, lease, error), error);
    if (status == STATUS_OK && *found)
        status = run_session_read(store, lease, session, error);
    return status;
}

static enum status report_write(struct store *store, struct run_report *report, int64_t lease_until_ms,
                                struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, REPORT_RUN, error);
    const struct counters *counters = &report->run.counters;
    const int64_t values[] = {
        counters->packets_captured, counters->packets_dropped,     counters->packets_dropped_interface,
        counters->packets_skipped,  counters->packets_overwritten, counters->packets_streamed,
        counters->packets_unsent,   counters->packets_fragmented,  counters->bytes_captured,
        counters->file_size,
    };
    const int count = sizeof values / sizeof values[0];
    bool row;

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, report->lease.key);
    bind_integer(statement, 2, report->lease.claim);
    for (int i = 0; i < count; i++)
        bind_integer(statement, 3 + i, values[i]);
    bind_text(statement, 3 + count, report->run.errormsg);
    bind_integer(statement, 4 + count, report->reported_ms);
    bind_integer(statement, 5 + count, lease_until_ms);
    bind_text(statement, 6 + count, report->run.file);
    if (statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    report->lost = !row;
    if (row)
        report->stop_requested = sqlite3_column_int(statement, 0) != 0;
    sqlite3_reset(statement);
    return report->lost ? STATUS_OK : files_write(store, report, error);
}

/* The one place where a worker moves a run: allowed by the state table, and only by who holds the lease.
 * *lost says that the lease is another's, or that the move is not in the table. */
static enum status move_check(struct store *store, struct run_report *report, enum session_state to,
                              struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, GET_RUN_STATE, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, report->lease.key);
    bind_integer(statement, 2, report->lease.claim);
    if (statement_step(store, statement, &row, error) != STATUS_OK)
        return error->status;
    report->lost = true;
    if (!row)
        return STATUS_OK;
    int from = names_find(&session_state_names, (const char *)sqlite3_column_text(statement, 0));
    report->lost = from < 0 || !session_state_may_become((enum session_state)from, to);
    report->stop_requested = sqlite3_column_int(statement, 1) != 0;
    sqlite3_reset(statement);
    return STATUS_OK;
}

static enum status start_run(struct store *store, struct run_report *report, struct error *error)
{
    bool row;
    enum status status = move_check(store, report, STATE_STARTED, error);

    if (status != STATUS_OK || report->lost)
        return status;
    sqlite3_stmt *statement = statement_get(store, START_RUN, error);
    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, report->lease.key);
    bind_integer(statement, 2, report->run.started_ms);
    bind_text(statement, 3, report->run.file);
    bind_integer(statement, 4, report->run.counters.file_size);
    bind_integer(statement, 5, report->reported_ms);
    bind_text(statement, 6, report->run.place);
    if ((status = statement_step(store, statement, &row, error)) != STATUS_OK ||
        (status = files_write(store, report, error)) != STATUS_OK)
        return status;
    return session_touch(store, report->lease.key, "", report->run.started_ms, error);
}

enum status store_start_run(struct store *store, struct run_report *report, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, start_run(store, report, error), error);
    return status;
}

static void check_read(sqlite3_stmt *statement, struct run_report *report)
{
    report->stop_requested = sqlite3_column_int(statement, 0) != 0;
    text_read(statement, 1, report->owner, sizeof report->owner);
    report->quota_bytes = sqlite3_column_int64(statement, 2);
    report->owner_bytes = sqlite3_column_int64(statement, 3);
    report->over_quota =
        report->owner[0] != '\0' && report->quota_bytes > 0 && report->owner_bytes >= report->quota_bytes;
}

enum status store_check_stops(struct store *store, struct run_report *reports, size_t count,
                              struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, CHECK_RUN, error);

    if (statement == NULL)
        return error->status;
    for (size_t i = 0; i < count; i++) {
        bool row;
        bind_integer(statement, 1, reports[i].lease.key);
        bind_integer(statement, 2, reports[i].lease.claim);
        if (statement_step(store, statement, &row, error) != STATUS_OK)
            return error->status;
        reports[i].lost = !row;
        reports[i].stop_requested = reports[i].over_quota = false;
        if (row)
            check_read(statement, &reports[i]);
        sqlite3_reset(statement);
    }
    return STATUS_OK;
}

enum status store_report_progress(struct store *store, struct run_report *reports, size_t count,
                                  int64_t lease_until_ms, struct error *error)
{
    enum status status = haste_begin(store, error);

    if (status != STATUS_OK)
        return status;
    if ((status = statement_run(store, BEGIN_WRITE, error)) == STATUS_OK) {
        for (size_t i = 0; i < count && status == STATUS_OK; i++)
            status = report_write(store, &reports[i], lease_until_ms, error);
        if (status == STATUS_OK) /* now that all files of an owner are known */
            status = store_check_stops(store, reports, count, error);
        status = transaction_end(store, status, error);
    }
    return haste_end(store, status, error);
}

static enum status finish_run(struct store *store, struct run_report *report, struct error *error)
{
    const struct run *run = &report->run;
    bool row;
    enum status status = move_check(store, report, run->state, error);

    if (status != STATUS_OK || report->lost)
        return status;
    if ((status = report_write(store, report, 0, error)) != STATUS_OK)
        return status;
    sqlite3_stmt *statement = statement_get(store, FINISH_RUN, error);
    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, report->lease.key);
    bind_text(statement, 2, names_of(&session_state_names, (int)run->state));
    bind_text(statement, 3, names_of(&stop_reason_names, (int)run->stop_reason));
    bind_integer(statement, 4, run->ended_ms);
    if ((status = statement_step(store, statement, &row, error)) != STATUS_OK)
        return status;
    return session_touch(store, report->lease.key, "", run->ended_ms, error);
}

enum status store_finish_run(struct store *store, struct run_report *report, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, finish_run(store, report, error), error);
    return status;
}

static enum status release_run(struct store *store, struct run_report *report, struct error *error)
{
    bool row;
    enum status status = report_write(store, report, 0, error);

    if (status != STATUS_OK || report->lost)
        return status;
    sqlite3_stmt *statement = statement_get(store, RELEASE_RUN, error);
    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, report->lease.key);
    bind_integer(statement, 2, report->not_before_ms);
    return statement_step(store, statement, &row, error);
}

enum status store_release_run(struct store *store, struct run_report *report, struct error *error)
{
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status == STATUS_OK)
        status = transaction_end(store, release_run(store, report, error), error);
    return status;
}

/* The holders are walked in order of their names; *found says whether there is one after this one. */
static enum status next_holder(struct store *store, const char *node_id, char worker[UUID_SIZE], bool *found,
                               struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, NEXT_HOLDER, error);

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, node_id);
    sqlite3_bind_text(statement, 2, worker, -1, SQLITE_TRANSIENT);
    if (statement_step(store, statement, found, error) != STATUS_OK)
        return error->status;
    if (*found)
        snprintf(worker, UUID_SIZE, "%s", (const char *)sqlite3_column_text(statement, 0));
    sqlite3_reset(statement);
    return STATUS_OK;
}

static enum status leases_end(struct store *store, const char *worker, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, END_LEASES, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, worker);
    return statement_step(store, statement, &row, error);
}

enum status store_end_lost_leases(struct store *store, const char *node_id,
                                  bool (*lives)(void *context, const char *worker), void *context,
                                  struct error *error)
{
    char worker[UUID_SIZE] = "";

    for (;;) {
        bool found;
        enum status status = next_holder(store, node_id, worker, &found, error);
        if (status == STATUS_OK && found && !lives(context, worker))
            status = leases_end(store, worker, error);
        if (status != STATUS_OK || !found)
            return status;
    }
}
