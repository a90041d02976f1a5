#include "db/migrations.h"
#include "db/sqlite.h"

#include <stdio.h>

/* Marks the file as ours: "pktc". user_version counts the migrations applied. */
enum { APPLICATION_ID = 0x706b7463 };

/* What a file says of itself. One statement, and so one moment: another program may be migrating the file. */
struct marks {
    int64_t version, application, tables;
};

static int marks_read(struct store *store, struct marks *marks)
{
    sqlite3_stmt *statement = NULL;
    int result =
        sqlite3_prepare_v2(store->db,
                           "SELECT user_version, application_id, (SELECT count(*) FROM sqlite_master)"
                           " FROM pragma_user_version, pragma_application_id",
                           -1, &statement, NULL);

    if (result == SQLITE_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        marks->version = sqlite3_column_int64(statement, 0);
        marks->application = sqlite3_column_int64(statement, 1);
        marks->tables = sqlite3_column_int64(statement, 2);
        result = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return result;
}

static enum status marks_check(struct store *store, const char *path, struct marks *marks,
                               struct error *error)
{
    if (marks_read(store, marks) != SQLITE_OK)
        return error_set(error, ERROR_STORE_FAILED, NULL, "cannot read the database %s: %s", path,
                         sqlite3_errmsg(store->db));
    if (marks->application != APPLICATION_ID &&
        (marks->application != 0 || marks->version != 0 || marks->tables != 0))
        return error_set(error, ERROR_STORE_FAILED, NULL, "%s is not a database of pktcapd", path);
    if (marks->version > (int64_t)migration_count)
        return error_set(
            error, ERROR_STORE_FAILED, NULL,
            "the database %s was made by a newer pktcapd: its schema is %lld, this program knows %zu; run "
            "the newer program, or restore a backup from before the upgrade",
            path, (long long)marks->version, migration_count);
    return STATUS_OK;
}

enum status migrate_check(struct store *store, const char *path, struct error *error)
{
    struct marks marks;

    return marks_check(store, path, &marks, error);
}

static enum status migration_apply(struct store *store, size_t index, struct error *error)
{
    char mark[128];
    enum status status = STATUS_OK;

    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %zu", APPLICATION_ID,
             index + 1);
    if (sqlite3_exec(store->db, migrations[index].sql, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(store->db, mark, NULL, NULL, NULL) != SQLITE_OK)
        status = error_set(error, ERROR_STORE_FAILED, NULL, "migration %s failed: %s", migrations[index].name,
                           sqlite3_errmsg(store->db));
    return status;
}

/* One step: looks again under the write lock, as another program may be migrating too. */
static enum status migrate_once(struct store *store, const char *path, bool *done, struct error *error)
{
    struct marks marks;
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status != STATUS_OK)
        return status;
    status = marks_check(store, path, &marks, error);
    *done = status == STATUS_OK && marks.version == (int64_t)migration_count;
    if (status == STATUS_OK && !*done)
        status = migration_apply(store, (size_t)marks.version, error);
    return transaction_end(store, status, error);
}

enum status migrate(struct store *store, const char *path, struct error *error)
{
    struct marks marks;
    enum status status = marks_check(store, path, &marks, error);
    bool done =
        status == STATUS_OK && marks.version == (int64_t)migration_count; /* the usual case takes no lock */

    while (status == STATUS_OK && !done)
        status = migrate_once(store, path, &done, error);
    return status;
}
