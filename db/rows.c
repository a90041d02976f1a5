#include "db/rows.h"

#include "db/columns.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define AT(member)          COLUMN_AT(struct session, member)
#define NAMED(member, list) COLUMN_NAMED(struct session, member, list)

static const struct column SESSION_COLUMNS[] = {
    {"id", COLUMN_TEXT, AT(id)},
    {"node_id", COLUMN_TEXT, AT(node_id)},
    {"run", COLUMN_INT32, AT(run.number)},
    {"create_user", COLUMN_TEXT, AT(create_user)},
    {"owner", COLUMN_TEXT, AT(owner)},
    {"point", COLUMN_TEXT, AT(point)},
    {"quota_bytes", COLUMN_INT64, AT(quota_bytes)},
    {"share_count", COLUMN_INT32, AT(share_count)},
    {"create_time_ms", COLUMN_INT64, AT(create_time_ms)},
    {"last_modified_user", COLUMN_TEXT, AT(last_modified_user)},
    {"last_modified_time_ms", COLUMN_INT64, AT(last_modified_time_ms)},
    {"revision", COLUMN_INT32, AT(revision)},
    {"node", COLUMN_TEXT, AT(request.node)},
    {"node_ip", COLUMN_TEXT, AT(request.node_ip)},
    {"cappoint", COLUMN_NAME, NAMED(request.cappoint, cappoint_names)},
    {"capvalue", COLUMN_TEXT, AT(request.capvalue)},
    {"capsource", COLUMN_NAME, NAMED(request.capsource, capsource_names)},
    {"direction", COLUMN_NAME, NAMED(request.direction, direction_names)},
    {"filtertype", COLUMN_NAME, NAMED(request.filtertype, filtertype_names)},
    {"capmode", COLUMN_NAME, NAMED(request.capmode, capmode_names)},
    {"capformat", COLUMN_NAME, NAMED(request.capformat, capformat_names)},
    {"capduration", COLUMN_INT32, AT(request.capduration)},
    {"capamount", COLUMN_INT32, AT(request.capamount)},
    {"capfilesize", COLUMN_INT32, AT(request.capfilesize)},
    {"capsnaplen", COLUMN_INT32, AT(request.capsnaplen)},
    {"caprate", COLUMN_INT32, AT(request.caprate)},
    {"capcore", COLUMN_INT32, AT(request.capcore)},
    {"capfilecount", COLUMN_INT32, AT(request.capfilecount)},
    {"streamaddress", COLUMN_TEXT, AT(request.streamaddress)},
    {"streamport", COLUMN_INT32, AT(request.streamport)},
    {"captureself", COLUMN_INT32, AT(request.captureself)},
    {"api_address", COLUMN_TEXT, AT(api_address)},
    {"name", COLUMN_TEXT, AT(request.name)},
    {"description", COLUMN_TEXT, AT(request.description)},
    {"capexpression", COLUMN_TEXT, AT(request.capexpression)},
    {"has_options", COLUMN_FLAG, AT(request.has_options)},
    {"option_count", COLUMN_INT32, AT(request.option_count)},
    {"tag_count", COLUMN_INT32, AT(request.tag_count)},
    {"limit_duration_s", COLUMN_INT64, AT(limits.duration_s)},
    {"limit_packets", COLUMN_INT64, AT(limits.packets)},
    {"limit_file_size_mb", COLUMN_INT64, AT(limits.file_size_mb)},
    {"limit_snaplen", COLUMN_INT64, AT(limits.snaplen)},
};

static const struct column RUN_COLUMNS[] = {
    {"number", COLUMN_INT32, AT(run.number)},
    {"state", COLUMN_NAME, NAMED(run.state, session_state_names)},
    {"created_ms", COLUMN_INT64, AT(run.created_ms)},
    {"started_ms", COLUMN_INT64, AT(run.started_ms)},
    {"ended_ms", COLUMN_INT64, AT(run.ended_ms)},
    {"stop_reason", COLUMN_NAME, NAMED(run.stop_reason, stop_reason_names)},
    {"errormsg", COLUMN_TEXT, AT(run.errormsg)},
    {"file", COLUMN_TEXT, AT(run.file)},
    {"place", COLUMN_TEXT, AT(run.place)},
    {"packets_captured", COLUMN_INT64, AT(run.counters.packets_captured)},
    {"packets_dropped", COLUMN_INT64, AT(run.counters.packets_dropped)},
    {"packets_dropped_interface", COLUMN_INT64, AT(run.counters.packets_dropped_interface)},
    {"packets_skipped", COLUMN_INT64, AT(run.counters.packets_skipped)},
    {"packets_overwritten", COLUMN_INT64, AT(run.counters.packets_overwritten)},
    {"packets_streamed", COLUMN_INT64, AT(run.counters.packets_streamed)},
    {"packets_unsent", COLUMN_INT64, AT(run.counters.packets_unsent)},
    {"packets_fragmented", COLUMN_INT64, AT(run.counters.packets_fragmented)},
    {"bytes_captured", COLUMN_INT64, AT(run.counters.bytes_captured)},
    {"file_size", COLUMN_INT64, AT(run.counters.file_size)},
};

static const struct columns SESSION = {SESSION_COLUMNS, sizeof SESSION_COLUMNS / sizeof SESSION_COLUMNS[0]},
                            RUN = {RUN_COLUMNS, sizeof RUN_COLUMNS / sizeof RUN_COLUMNS[0]};

const char *rows_select_list(char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "s.key, ");

    used += columns_names(&SESSION, "s.", out + used, size - used);
    used += (size_t)snprintf(out + used, size - used, ", ");
    columns_names(&RUN, "r.", out + used, size - used);
    return out;
}

const char *rows_insert_text(char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "INSERT INTO session (");

    used += columns_names(&SESSION, "", out + used, size - used);
    used += (size_t)snprintf(out + used, size - used, ") VALUES (");
    for (size_t i = 0; i < SESSION.count; i++)
        used += (size_t)snprintf(out + used, size - used, i == 0 ? "?" : ", ?");
    snprintf(out + used, size - used, ")");
    return out;
}

void rows_bind_session(sqlite3_stmt *statement, const struct session *session)
{
    columns_bind(statement, &SESSION, session);
}

void rows_read(sqlite3_stmt *statement, struct session *session, int64_t *key)
{
    *key = sqlite3_column_int64(statement, 0);
    columns_read(statement, columns_read(statement, 1, &SESSION, session), &RUN, session);
}

enum status session_touch(struct store *store, int64_t run_key, const char *user, int64_t now_ms,
                          struct error *error)
{
    sqlite3_stmt *statement = statement_get(store, TOUCH_SESSION, error);
    bool row;

    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, run_key);
    bind_integer(statement, 2, now_ms);
    bind_text(statement, 3, user);
    return statement_step(store, statement, &row, error);
}

static void option_read(sqlite3_stmt *statement, struct session *session, uint32_t i)
{
    struct packet_capture_request *request = &session->request;
    int name = names_find(&option_names, (const char *)sqlite3_column_text(statement, 0));

    request->options[i].name = name < 0 ? 0 : (enum option_name)name;
    text_read(statement, 1, request->options[i].value, sizeof request->options[i].value);
}

static void tag_read(sqlite3_stmt *statement, struct session *session, uint32_t i)
{
    struct packet_capture_request *request = &session->request;

    text_read(statement, 0, request->tags[i].scope, sizeof request->tags[i].scope);
    text_read(statement, 1, request->tags[i].tag, sizeof request->tags[i].tag);
}

static void share_read(sqlite3_stmt *statement, struct session *session, uint32_t i)
{
    int kind = names_find(&share_kind_names, (const char *)sqlite3_column_text(statement, 0));

    session->shares[i].kind = kind < 0 ? 0 : (enum share_kind)kind;
    text_read(statement, 1, session->shares[i].name, sizeof session->shares[i].name);
}

/* Reads the rows of one list; *count says how many the session has, and afterwards how many were read. */
static enum status list_read(struct store *store, enum statement which, int64_t key, uint32_t *count,
                             uint32_t most, void (*read)(sqlite3_stmt *, struct session *, uint32_t),
                             struct session *session, struct error *error)
{
    uint32_t expected = *count;

    *count = 0;
    if (expected == 0)
        return STATUS_OK;
    sqlite3_stmt *statement = statement_get(store, which, error);
    if (statement == NULL)
        return error->status;
    bind_integer(statement, 1, key);
    for (;;) {
        bool row;
        enum status status = statement_step(store, statement, &row, error);
        if (status != STATUS_OK || !row)
            return status;
        if (*count < most)
            read(statement, session, (*count)++);
    }
}

enum status rows_read_lists(struct store *store, int64_t key, struct session *session, struct error *error)
{
    struct packet_capture_request *request = &session->request;
    enum status status =
        list_read(store, GET_OPTIONS, key, &request->option_count, OPTIONS_MAX, option_read, session, error);

    if (status == STATUS_OK)
        status = list_read(store, GET_TAGS, key, &request->tag_count, TAGS_MAX, tag_read, session, error);
    if (status == STATUS_OK)
        status =
            list_read(store, GET_SHARES, key, &session->share_count, SHARES_MAX, share_read, session, error);
    return status;
}
