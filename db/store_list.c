/* The list of sessions, a page at a time: keyset pagination, so that a page costs the same wherever it is. */
#include "db/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SORT_STARTTIME, SORT_ENDTIME, SORT_SESSIONNAME, SORT_SESSIONSTATUS, SORT_FILESIZE };

static const char *const sort_names[] = {
    [SORT_STARTTIME] = "starttime",         [SORT_ENDTIME] = "endtime",   [SORT_SESSIONNAME] = "sessionname",
    [SORT_SESSIONSTATUS] = "sessionstatus", [SORT_FILESIZE] = "filesize",
};

const struct names store_sort_names = {sort_names, sizeof sort_names / sizeof sort_names[0]};

/* The order of acceptance is the order of keys, and the key is indexed: no sorting for the default. */
static const struct {
    const char *expression;
    const char *bound; /* how the place of the last page's end is compared */
} SORTS[] = {
    [SORT_STARTTIME] = {"0", "CAST(?1 AS INTEGER)"},
    [SORT_ENDTIME] = {"r.ended_ms", "CAST(?1 AS INTEGER)"},
    [SORT_SESSIONNAME] = {"coalesce(s.name, s.id)", "?1"},
    [SORT_SESSIONSTATUS] = {"r.state", "?1"},
    [SORT_FILESIZE] = {"r.file_size", "CAST(?1 AS INTEGER)"},
};

enum { FILTER_SIZE = 2048, TEXT_SIZE = 4096 };

/* The values of the statements below, by their places. */
enum { AT_AFTER_VALUE = 1, AT_AFTER_KEY, AT_LIMIT, AT_OWNER, AT_READER, AT_GROUPS };

/* The keys of what a reader owns, and of what is shared with the user, or with one of the groups, which come
 * as a text of lines. */
#define OWNED       "SELECT key FROM session WHERE owner = ?5"
#define USER_SHARED "SELECT session FROM share WHERE kind = 'user' AND name = ?5"
#define GROUP_SHARED                                                                                         \
    "SELECT session FROM share WHERE kind = 'group' AND name IN ("                                           \
    "WITH RECURSIVE line (name, rest) AS (SELECT NULL, ?6 || char(10) UNION ALL"                             \
    " SELECT substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)"            \
    " FROM line WHERE rest <> '') SELECT name FROM line WHERE name IS NOT NULL)"

static const char READABLE[] = " AND s.key IN (" OWNED " UNION " USER_SHARED " UNION " GROUP_SHARED ")";

/* In the order of keys, no more of each than a page takes: where nothing else is filtered. */
static const char READABLE_PAGE[] = " AND s.key IN (SELECT * FROM (" OWNED "%s ORDER BY key %s LIMIT ?3)"
                                    " UNION SELECT * FROM (" USER_SHARED "%s ORDER BY session %s LIMIT ?3)"
                                    " UNION SELECT * FROM (" GROUP_SHARED "%s ORDER BY session %s LIMIT ?3))";

static void readable_text(const struct list_query *query, int sort, char *out, size_t size)
{
    const char *order = query->descending ? "DESC" : "ASC", *key = "", *session = "";

    if (query->has_after) {
        key = query->descending ? " AND key < ?2" : " AND key > ?2";
        session = query->descending ? " AND session < ?2" : " AND session > ?2";
    }
    if (sort == SORT_STARTTIME && !query->ended_only && query->owner == NULL)
        snprintf(out, size, READABLE_PAGE, key, order, session, order, session, order);
    else
        snprintf(out, size, "%s", READABLE);
}

/* Who may see what is listed. */
static void filter_text(const struct list_query *query, int sort, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s%s",
                                   query->ended_only ? " AND r.state NOT IN ('CREATED', 'STARTED')" : "",
                                   query->owner == NULL ? "" : " AND s.owner = ?4");

    if (query->reader != NULL)
        readable_text(query, sort, out + used, size - used);
}

static void filter_bind(sqlite3_stmt *statement, const struct list_query *query)
{
    sqlite3_bind_text(statement, AT_OWNER, query->owner, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, AT_READER, query->reader, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, AT_GROUPS, query->groups == NULL ? "" : query->groups, -1, SQLITE_STATIC);
}

static void list_text(const struct list_query *query, char *out, size_t size)
{
    int sort = query->sort_by == NULL ? SORT_STARTTIME : names_find(&store_sort_names, query->sort_by);
    const char *expression = SORTS[sort].expression, *order = query->descending ? "DESC" : "ASC";
    char after[256] = "1", filter[FILTER_SIZE];

    filter_text(query, sort, filter, sizeof filter);
    if (query->has_after && sort == SORT_STARTTIME)
        snprintf(after, sizeof after, "s.key %s ?2", query->descending ? "<" : ">");
    else if (query->has_after)
        snprintf(after, sizeof after, "(%s, s.key) %s (%s, ?2)", expression, query->descending ? "<" : ">",
                 SORTS[sort].bound);
    /* The sort value comes last in the row, behind what rows_read() reads. */
    snprintf(out, size,
             "SELECT @columns, %s FROM session s JOIN run r ON r.session = s.key AND r.number = s.run"
             " WHERE %s%s ORDER BY %s%s%s s.key %s LIMIT ?3",
             expression, after, filter, sort == SORT_STARTTIME ? "" : expression,
             sort == SORT_STARTTIME ? "" : " ",
             sort == SORT_STARTTIME ? "" : (query->descending ? "DESC," : "ASC,"), order);
}

static const char COUNT_OWNED[] = "SELECT coalesce((SELECT sessions FROM stored WHERE owner = ?4), 0)";

/* What has not ended is little. */
static const char COUNT_OWNED_ENDED[] =
    "SELECT coalesce((SELECT sessions FROM stored WHERE owner = ?4), 0) - (SELECT count(*)"
    " FROM run r CROSS JOIN session s ON s.key = r.session"
    " WHERE r.state IN ('CREATED', 'STARTED') AND s.owner = ?4)";

static const char COUNT_READABLE[] =
    "SELECT coalesce((SELECT sessions FROM stored WHERE owner = ?5), 0) + (SELECT count(*)"
    " FROM (" USER_SHARED " UNION " GROUP_SHARED ") h CROSS JOIN session s ON s.key = h.session"
    " WHERE s.owner IS NOT ?5)";

/* One owner's, or one reader's; where several filters meet, each session is looked at. */
static void count_text(const struct list_query *query, char *out, size_t size)
{
    char filter[FILTER_SIZE];

    if (query->reader == NULL)
        snprintf(out, size, "%s", query->ended_only ? COUNT_OWNED_ENDED : COUNT_OWNED);
    else if (query->owner == NULL && !query->ended_only)
        snprintf(out, size, "%s", COUNT_READABLE);
    else {
        filter_text(query, SORT_ENDTIME, filter, sizeof filter);
        snprintf(
            out, size,
            "SELECT count(*) FROM session s JOIN run r ON r.session = s.key AND r.number = s.run WHERE 1%s",
            filter);
    }
}

/* The common ones without a look at each session. */
static sqlite3_stmt *count_statement(struct store *store, const struct list_query *query, struct error *error)
{
    char text[TEXT_SIZE];

    if (query->owner == NULL && query->reader == NULL)
        return statement_get(store, query->ended_only ? COUNT_ENDED_SESSIONS : COUNT_SESSIONS, error);
    count_text(query, text, sizeof text);
    sqlite3_stmt *statement = statement_prepare(store, text, error);
    if (statement != NULL)
        filter_bind(statement, query);
    return statement;
}

static enum status count_read(struct store *store, const struct list_query *query, int64_t *count,
                              struct error *error)
{
    sqlite3_stmt *statement = count_statement(store, query, error);
    bool row;

    if (statement == NULL)
        return error->status;
    enum status status = statement_step(store, statement, &row, error);
    if (status == STATUS_OK)
        *count = sqlite3_column_int64(statement, 0);
    if (query->owner == NULL && query->reader == NULL)
        sqlite3_reset(statement);
    else
        sqlite3_finalize(statement);
    return status;
}

static void place_read(sqlite3_stmt *statement, int64_t key, struct list_page *page)
{
    const unsigned char *value = sqlite3_column_text(statement, sqlite3_column_count(statement) - 1);

    snprintf(page->last_value, sizeof page->last_value, "%s", value == NULL ? "" : (const char *)value);
    page->last_key = key;
}

static enum status page_read(struct store *store, sqlite3_stmt *statement, const struct list_query *query,
                             void (*visit)(void *, const struct session *), void *context,
                             struct session *session, struct list_page *page, struct error *error)
{
    /* One row more than asked for tells whether there is a next page. */
    for (int32_t seen = 0;; seen++) {
        int64_t key;
        bool row;
        enum status status = statement_step(store, statement, &row, error);
        if (status != STATUS_OK || !row)
            return status;
        page->has_more = seen == query->page_size;
        if (page->has_more)
            return STATUS_OK;
        rows_read(statement, session, &key);
        place_read(statement, key, page);
        if ((status = rows_read_lists(store, key, session, error)) != STATUS_OK)
            return status;
        visit(context, session);
        if (query->visit_file != NULL && session->request.capfilecount > 0)
            status = files_visit(store, session->id, session->run.number, query->visit_file, context, error);
        if (status != STATUS_OK)
            return status;
    }
}

enum status store_list_sessions(struct store *store, const struct list_query *query,
                                void (*visit)(void *context, const struct session *session), void *context,
                                struct list_page *page, struct error *error)
{
    char text[TEXT_SIZE];
    struct list_page found = {0};
    struct session *session = calloc(1, sizeof *session);
    enum status status;

    if (session == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    list_text(query, text, sizeof text);
    sqlite3_stmt *statement = statement_prepare(store, text, error);
    status = statement == NULL ? error->status : statement_run(store, BEGIN_READ, error);
    if (status != STATUS_OK)
        goto cleanup;
    sqlite3_bind_text(statement, AT_AFTER_VALUE, query->after_value, -1, SQLITE_STATIC);
    bind_integer(statement, AT_AFTER_KEY, query->after_key);
    bind_integer(statement, AT_LIMIT, (int64_t)query->page_size + 1);
    filter_bind(statement, query);
    status = count_read(store, query, &found.total, error);
    if (status == STATUS_OK)
        status = page_read(store, statement, query, visit, context, session, &found, error);
    sqlite3_reset(statement);
    status = transaction_end(store, status, error);
    if (status == STATUS_OK)
        *page = found;
cleanup:
    sqlite3_finalize(statement);
    free(session);
    return status;
}
