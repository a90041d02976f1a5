#include "db/sqlite.h"

#include "db/people_rows.h"
#include "db/rows.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum status sqlite_failed(struct store *store, struct error *error)
{
    int code = sqlite3_errcode(store->db);

    if (code == SQLITE_BUSY || code == SQLITE_LOCKED)
        return error_set(error, ERROR_STORE_BUSY, NULL, "the store is busy; try again");
    if (code == SQLITE_FULL || (code == SQLITE_IOERR && sqlite3_system_errno(store->db) == ENOSPC))
        return error_set(error, ERROR_STORE_FULL, NULL,
                         "the disk of the data directory is full: nothing was stored");
    return error_set(error, ERROR_STORE_FAILED, NULL, "the store failed: %s", sqlite3_errmsg(store->db));
}

/* What @NAME in a statement's text stands for; unknown ones stay. */
static size_t mark_write(const char *mark, size_t length, char *out, size_t size)
{
    static const struct {
        const char *name;
        const struct columns *columns;
    } MARKS[] = {{"@user", &user_columns},   {"@role", &role_columns},   {"@token", &token_columns},
                 {"@login", &login_columns}, {"@audit", &audit_columns}, {"@columns", NULL}};

    for (size_t i = 0; i < sizeof MARKS / sizeof MARKS[0]; i++)
        if (strlen(MARKS[i].name) == length && memcmp(MARKS[i].name, mark, length) == 0)
            return MARKS[i].columns == NULL ? strlen(rows_select_list(out, size))
                                            : columns_names(MARKS[i].columns, "", out, size);
    return (size_t)snprintf(out, size, "%.*s", (int)length, mark);
}

static void text_expand(const char *text, char *out, size_t size)
{
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz";
    size_t used = 0;

    out[0] = '\0';
    while (*text != '\0' && used < size) {
        bool is_mark = *text == '@';
        size_t length = is_mark ? 1 + strspn(text + 1, LETTERS) : strcspn(text, "@");
        used += is_mark ? mark_write(text, length, out + used, size - used)
                        : (size_t)snprintf(out + used, size - used, "%.*s", (int)length, text);
        text += length;
    }
}

sqlite3_stmt *statement_prepare(struct store *store, const char *text, struct error *error)
{
    char full[8192];
    sqlite3_stmt *statement = NULL;

    text_expand(text, full, sizeof full);
    if (sqlite3_prepare_v3(store->db, full, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) != SQLITE_OK)
        sqlite_failed(store, error);
    return statement;
}

sqlite3_stmt *statement_get(struct store *store, enum statement which, struct error *error)
{
    if (store->statements[which] == NULL) {
        if (which == INSERT_SESSION) {
            char text[4096];
            store->statements[which] = statement_prepare(store, rows_insert_text(text, sizeof text), error);
        } else {
            store->statements[which] = statement_prepare(store, statement_texts[which], error);
        }
    } else {
        sqlite3_reset(store->statements[which]);
    }
    return store->statements[which];
}

enum status statement_step(struct store *store, sqlite3_stmt *statement, bool *row, struct error *error)
{
    int result = sqlite3_step(statement);

    *row = result == SQLITE_ROW;
    if (result == SQLITE_ROW)
        return STATUS_OK;
    enum status status = result == SQLITE_DONE ? STATUS_OK : sqlite_failed(store, error);
    sqlite3_reset(statement);
    return status;
}

enum status statement_run(struct store *store, enum statement which, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, which, error);
    bool row;

    return statement == NULL ? error->status : statement_step(store, statement, &row, error);
}

enum status transaction_end(struct store *store, enum status status, struct error *error)
{
    struct error ignored;

    if (status == STATUS_OK)
        status = statement_run(store, COMMIT, error);
    /* A failed COMMIT leaves the transaction open; some failures have rolled back already. */
    if (status != STATUS_OK && !sqlite3_get_autocommit(store->db) &&
        statement_run(store, ROLLBACK, &ignored) != STATUS_OK)
        return status;
    return status;
}

enum status haste_begin(struct store *store, struct error *error)
{
    return statement_run(store, SYNCHRONOUS_NORMAL, error);
}

enum status haste_end(struct store *store, enum status status, struct error *error)
{
    struct error restore;

    if (statement_run(store, SYNCHRONOUS_FULL, &restore) != STATUS_OK && status == STATUS_OK) {
        *error = restore;
        status = restore.status;
    }
    return status;
}

void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
    if (text[0] == '\0')
        sqlite3_bind_null(statement, at);
    else
        sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

void bind_integer(sqlite3_stmt *statement, int at, int64_t value)
{
    sqlite3_bind_int64(statement, at, value);
}

/* Changing the journal mode takes the whole file, and busy_timeout does not wait for that. */
static int enter_wal(sqlite3 *db)
{
    int result = SQLITE_BUSY;

    for (int tries = 0; tries < 250 && result == SQLITE_BUSY; tries++) {
        result = sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
        if (result == SQLITE_BUSY)
            nanosleep(&(struct timespec){.tv_nsec = 20 * 1000 * 1000}, NULL);
    }
    return result;
}

/* A write-ahead log of at most about 1 MB leaves room on small disks and is folded in often and cheaply. */
static const char CONNECTION_SETTINGS[] = "PRAGMA synchronous = FULL;"
                                          "PRAGMA foreign_keys = ON;"
                                          "PRAGMA wal_autocheckpoint = 256;"
                                          "PRAGMA journal_size_limit = 4194304;"
                                          "PRAGMA trusted_schema = OFF;";

/* SQLite's memory statistics put one lock around every allocation of all threads, and nobody reads them. */
static void sqlite_configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

enum status store_open(const char *path, struct store **out, struct error *error)
{
    static pthread_once_t configured = PTHREAD_ONCE_INIT;
    struct store *store = calloc(1, sizeof *store);
    enum status status;

    pthread_once(&configured, sqlite_configure);
    if (store == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) {
        error_set(error, ERROR_STORE_FAILED, NULL, "cannot open the database %s: %s", path,
                  sqlite3_errmsg(store->db));
        goto failed;
    }
    sqlite3_busy_timeout(store->db, 5000);
    if ((status = migrate_check(store, path, error)) != STATUS_OK)
        goto failed;
    if (enter_wal(store->db) != SQLITE_OK ||
        sqlite3_exec(store->db, CONNECTION_SETTINGS, NULL, NULL, NULL) != SQLITE_OK) {
        error_set(error, ERROR_STORE_FAILED, NULL, "cannot open the database %s: %s", path,
                  sqlite3_errmsg(store->db));
        goto failed;
    }
    if ((status = migrate(store, path, error)) != STATUS_OK)
        goto failed;
    *out = store;
    return STATUS_OK;
failed:
    store_close(store);
    return error->status;
}

void store_close(struct store *store)
{
    if (store == NULL)
        return;
    for (size_t i = 0; i < STATEMENT_COUNT; i++)
        sqlite3_finalize(store->statements[i]);
    sqlite3_close(store->db);
    free(store);
}
