/* The files of rings: what the workers report, and what the front end shows. */
#include "db/rows.h"

#include <stdlib.h>
#include <string.h>

static void file_read(sqlite3_stmt *statement, struct run_file *file)
{
    const unsigned char *name = sqlite3_column_text(statement, 1);

    *file = (struct run_file){
        .number = sqlite3_column_int(statement, 0),
        .file_size = sqlite3_column_int64(statement, 2),
        .packets = sqlite3_column_int64(statement, 3),
        .packet_bytes = sqlite3_column_int64(statement, 4),
    };
    if (name != NULL)
        memcpy(file->file, name, strnlen((const char *)name, sizeof file->file - 1));
}

enum status files_visit(struct store *store, const char *id, int32_t run,
                        void (*visit)(void *context, const struct run_file *file), void *context,
                        struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, LIST_FILES, error);
    struct run_file file;
    bool row;

    if (statement == NULL)
        return error->status;
    bind_text(statement, 1, id);
    bind_integer(statement, 2, run);
    for (;;) {
        enum status status = statement_step(store, statement, &row, error);
        if (status != STATUS_OK || !row)
            return status;
        file_read(statement, &file);
        visit(context, &file);
    }
}

enum status store_list_run_files(struct store *store, const char *id, int32_t run, struct session *session,
                                 void (*visit)(void *context, const struct run_file *file), void *context,
                                 struct error *error)
{
    enum status status = statement_run(store, BEGIN_READ, error);

    if (status != STATUS_OK)
        return status;
    if (session != NULL)
        status = store_get_session(store, id, run, session, error);
    if (status == STATUS_OK)
        status = files_visit(store, id, run, visit, context, error);
    return transaction_end(store, status, error);
}

/* ---- reports ---- */

/* Of the files, which both lists have in order, those that the store has as they are. */
static enum status files_compare(struct store *store, const struct run_report *report, bool *known,
                                 struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, LIST_FILE_STATES, error);
    size_t at = 0;
    bool row;

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, report->lease.key);
    for (;;) {
        enum status status = statement_step(store, statement, &row, error);
        if (status != STATUS_OK || !row)
            return status;
        int32_t number = sqlite3_column_int(statement, 0);
        while (at < report->file_count && report->files[at].number < number)
            at++;
        if (at < report->file_count && report->files[at].number == number)
            known[at] = report->files[at].file_size == sqlite3_column_int64(statement, 1) &&
                        report->files[at].packets == sqlite3_column_int64(statement, 2);
    }
}

static enum status file_put(struct store *store, int64_t run_key, const struct run_file *file,
                            struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, PUT_FILE, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, run_key);
    bind_integer(statement, 2, file->number);
    bind_text(statement, 3, file->file);
    bind_integer(statement, 4, file->file_size);
    bind_integer(statement, 5, file->packets);
    bind_integer(statement, 6, file->packet_bytes);
    return statement_step(store, statement, &row, error);
}

/* A ring goes at its old end; a crash may also have taken its newest file. */
static enum status files_delete(struct store *store, const struct run_report *report, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, DELETE_OLD_FILES, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, report->lease.key);
    bind_integer(statement, 2, report->files[0].number);
    bind_integer(statement, 3, report->files[report->file_count - 1].number);
    return statement_step(store, statement, &row, error);
}

enum status files_write(struct store *store, const struct run_report *report, struct error *error)
{
    bool known[FILE_COUNT_MAX + 1] = {false};

    if (report->files == NULL || report->file_count == 0)
        return STATUS_OK;
    if (report->file_count > sizeof known / sizeof known[0])
        return error_set(error, ERROR_INTERNAL, NULL, "a ring has more files than it may have");
    enum status status = files_compare(store, report, known, error);
    for (size_t i = 0; i < report->file_count && status == STATUS_OK; i++)
        if (!known[i])
            status = file_put(store, report->lease.key, &report->files[i], error);
    return status == STATUS_OK ? files_delete(store, report, error) : status;
}
