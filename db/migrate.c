#include "db/migrations.h"
#include "db/sqlite.h"

#include <stdio.h>

/* Marks the file as ours: "pktc". user_version counts the migrations applied. */
enum { APPLICATION_ID = 0x706b7463 };

static int pragma_read(struct store *store, const char *text, int64_t *value)
{
    sqlite3_stmt *statement = NULL;
    int result = sqlite3_prepare_v2(store->db, text, -1, &statement, NULL);

    if (result == SQLITE_OK && (result = sqlite3_step(statement)) == SQLITE_ROW) {
        *value = sqlite3_column_int64(statement, 0);
        result = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return result;
}

enum status migrate_check(struct store *store, const char *path, struct error *error)
{
    int64_t version = 0, application = 0, tables = 0;

    if (pragma_read(store, "PRAGMA user_version", &version) != SQLITE_OK ||
        pragma_read(store, "PRAGMA application_id", &application) != SQLITE_OK ||
        pragma_read(store, "SELECT count(*) FROM sqlite_master", &tables) != SQLITE_OK)
        return error_set(error, ERROR_STORE_FAILED, NULL, "cannot read the database %s: %s", path,
                         sqlite3_errmsg(store->db));
    if (application != APPLICATION_ID && (application != 0 || version != 0 || tables != 0))
        return error_set(error, ERROR_STORE_FAILED, NULL, "%s is not a database of pktcapd", path);
    if (version > (int64_t)migration_count)
        return error_set(error, ERROR_STORE_FAILED, NULL,
                         "the database %s was made by a newer pktcapd: its schema is %lld, this program knows %zu; run "
                         "the newer program, or restore a backup from before the upgrade",
                         path, (long long)version, migration_count);
    return STATUS_OK;
}

static enum status migration_apply(struct store *store, size_t index, struct error *error)
{
    char mark[128];
    enum status status = STATUS_OK;

    snprintf(mark, sizeof mark, "PRAGMA application_id = %d; PRAGMA user_version = %zu", APPLICATION_ID, index + 1);
    if (sqlite3_exec(store->db, migrations[index].sql, NULL, NULL, NULL) != SQLITE_OK ||
        sqlite3_exec(store->db, mark, NULL, NULL, NULL) != SQLITE_OK)
        status = error_set(error, ERROR_STORE_FAILED, NULL, "migration %s failed: %s", migrations[index].name,
                           sqlite3_errmsg(store->db));
    return status;
}

/* One step: reads the version again under the write lock, as another program may be migrating too. */
static enum status migrate_once(struct store *store, const char *path, bool *done, struct error *error)
{
    int64_t version = 0;
    enum status status = statement_run(store, BEGIN_WRITE, error);

    if (status != STATUS_OK)
        return status;
    status = migrate_check(store, path, error);
    if (status == STATUS_OK && pragma_read(store, "PRAGMA user_version", &version) != SQLITE_OK)
        status = sqlite_failed(store, error);
    *done = version == (int64_t)migration_count;
    if (status == STATUS_OK && !*done)
        status = migration_apply(store, (size_t)version, error);
    return transaction_end(store, status, error);
}

enum status migrate(struct store *store, const char *path, struct error *error)
{
    int64_t version = 0;
    bool done;
    enum status status = STATUS_OK;

    /* The usual case takes no lock. */
    if (pragma_read(store, "PRAGMA user_version", &version) != SQLITE_OK)
        return sqlite_failed(store, error);
    done = version == (int64_t)migration_count;
    while (status == STATUS_OK && !done)
        status = migrate_once(store, path, &done, error);
    return status;
}
