/* The audit. It only grows (the database itself refuses anything else), so its keys have no gaps, and the
 * last one is how many records there are. */
#include "db/people_rows.h"

#include <stdio.h>
#include <string.h>

enum status store_append_audit(struct store *store, const struct audit_record *record, struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, APPEND_AUDIT, error);

    if (statement == NULL)
        return error->status;
    columns_bind(statement, &audit_columns, record);
    enum status status = haste_begin(store, error);
    return status == STATUS_OK ? haste_end(store, statement_finish(store, statement, error), error) : status;
}

/* ---- lists ---- */

/* The filters, each a value of this place in the statement. */
enum { AT_USER = 1, AT_OPERATION, AT_SESSION, AT_ADDRESS, AT_SINCE, AT_UNTIL, AT_FIRST, AT_LAST, AT_LIMIT };

/* Which of the filters there are. Each that is one has an index that starts with it, and the first one is
 * used:
 * + hides the others from the planner, which cannot know which of them says most. Pages go by keys, and hide
 * the times too. */
static void filters_text(const struct audit_query *query, bool page, char *out, size_t size)
{
    const struct {
        const char *column, *value;
        int at;
    } texts[] = {{"session", query->session, AT_SESSION},
                 {"user", query->user, AT_USER},
                 {"address", query->address, AT_ADDRESS},
                 {"operation", query->operation, AT_OPERATION}};
    size_t used = (size_t)snprintf(out, size, "1");
    bool indexed = false;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i].value == NULL || texts[i].value[0] == '\0')
            continue;
        used += (size_t)snprintf(out + used, size - used, " AND %sa.%s = ?%d", indexed ? "+" : "",
                                 texts[i].column, texts[i].at);
        indexed = true;
    }
    const char *hidden = indexed || page ? "+" : "";
    if (query->since_ms > 0)
        used += (size_t)snprintf(out + used, size - used, " AND %sa.time_ms >= ?%d", hidden, AT_SINCE);
    if (query->until_ms > 0)
        snprintf(out + used, size - used, " AND %sa.time_ms < ?%d", hidden, AT_UNTIL);
}

static void filters_bind(sqlite3_stmt *statement, const struct audit_query *query)
{
    sqlite3_bind_text(statement, AT_USER, query->user, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, AT_OPERATION, query->operation, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, AT_SESSION, query->session, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, AT_ADDRESS, query->address, -1, SQLITE_STATIC);
    bind_integer(statement, AT_SINCE, query->since_ms);
    bind_integer(statement, AT_UNTIL, query->until_ms);
}

/* What all pages hold, and between which keys. */
struct extent {
    int64_t count, first, last;
};

static enum status extent_read(struct store *store, const struct audit_query *query, struct extent *extent,
                               struct error *error)
{
    char filters[256], text[512];
    bool row;

    filters_text(query, false, filters, sizeof filters);
    if (strcmp(filters, "1") == 0)
        snprintf(text, sizeof text, "SELECT max(key), 1, max(key) FROM audit");
    else
        snprintf(text, sizeof text, "SELECT count(*), min(a.key), max(a.key) FROM audit a WHERE %s", filters);
    sqlite3_stmt *statement = statement_prepare(store, text, error);
    if (statement == NULL)
        return error->status;
    filters_bind(statement, query);
    enum status status = statement_step(store, statement, &row, error);
    if (status == STATUS_OK)
        *extent = (struct extent){sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
                                  sqlite3_column_int64(statement, 2)};
    sqlite3_finalize(statement);
    return status;
}

/* Rows lie in the order of keys, and between the first and the last of them. */
static sqlite3_stmt *page_statement(struct store *store, const struct audit_query *query,
                                    const struct extent *extent, struct error *error)
{
    int64_t last = extent->last;
    char filters[256], text[1024];

    filters_text(query, true, filters, sizeof filters);
    if (query->before_key > 0 && query->before_key <= last)
        last = query->before_key - 1;
    snprintf(
        text, sizeof text,
        "SELECT @audit FROM audit a WHERE %s AND a.key >= ?%d AND a.key <= ?%d ORDER BY a.key DESC LIMIT ?%d",
        filters, AT_FIRST, AT_LAST, AT_LIMIT);
    sqlite3_stmt *statement = statement_prepare(store, text, error);
    if (statement == NULL)
        return NULL;
    filters_bind(statement, query);
    bind_integer(statement, AT_FIRST, extent->first);
    bind_integer(statement, AT_LAST, last);
    bind_integer(statement, AT_LIMIT, (int64_t)query->page_size + 1);
    return statement;
}

/* One row more than asked for tells whether there is a next page. */
static enum status page_visit(struct store *store, sqlite3_stmt *statement, int32_t page_size,
                              void (*visit)(void *context, const struct audit_record *record), void *context,
                              int64_t *next, struct error *error)
{
    struct audit_record record = {0};

    *next = 0;
    for (int32_t seen = 0;; seen++) {
        bool row;
        enum status status = statement_step(store, statement, &row, error);
        if (status != STATUS_OK || !row)
            return status;
        if (seen == page_size) {
            *next = record.key;
            return STATUS_OK;
        }
        record = (struct audit_record){0};
        columns_read(statement, 0, &audit_columns, &record);
        visit(context, &record);
    }
}

static enum status list_audit(struct store *store, const struct audit_query *query,
                              void (*visit)(void *context, const struct audit_record *record), void *context,
                              int64_t *total, int64_t *next, struct error *error)
{
    struct extent extent;
    enum status status = extent_read(store, query, &extent, error);

    if (status != STATUS_OK)
        return status;
    sqlite3_stmt *statement = page_statement(store, query, &extent, error);
    if (statement == NULL)
        return error->status;
    status = page_visit(store, statement, query->page_size, visit, context, next, error);
    sqlite3_finalize(statement);
    if (status == STATUS_OK)
        *total = extent.count;
    return status;
}

enum status store_list_audit(struct store *store, const struct audit_query *query,
                             void (*visit)(void *context, const struct audit_record *record), void *context,
                             int64_t *total, int64_t *last_key, struct error *error)
{
    enum status status = statement_run(store, BEGIN_READ, error);

    if (status == STATUS_OK)
        status =
            transaction_end(store, list_audit(store, query, visit, context, total, last_key, error), error);
    return status;
}
