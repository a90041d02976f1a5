#include "db/columns.h"

#include <stdio.h>
#include <string.h>

static void column_bind(sqlite3_stmt *statement, int at, const struct column *column, const void *record)
{
    const char *field = (const char *)record + column->offset;
    int32_t small;
    int64_t large;

    switch (column->kind) {
    case COLUMN_TEXT:
        bind_text(statement, at, field);
        break;
    case COLUMN_INT32:
        memcpy(&small, field, sizeof small);
        if (small == INT_ABSENT)
            sqlite3_bind_null(statement, at);
        else
            bind_integer(statement, at, small);
        break;
    case COLUMN_INT64:
        memcpy(&large, field, sizeof large);
        bind_integer(statement, at, large);
        break;
    case COLUMN_NAME:
        memcpy(&small, field, sizeof small);
        bind_text(statement, at, names_of(column->names, small));
        break;
    case COLUMN_FLAG:
        bind_integer(statement, at, *(const bool *)field);
        break;
    case COLUMN_BYTES:
        sqlite3_bind_blob(statement, at, field, (int)column->size, SQLITE_STATIC);
        break;
    }
}

void text_read(sqlite3_stmt *statement, int at, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(statement, at);
    size_t length = text == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, at);

    if (length >= size)
        length = size - 1;
    if (length > 0)
        memcpy(out, text, length);
    out[length] = '\0';
}

/* The value of a name's column, 0 where it is NULL or unknown. */
static int32_t name_read(sqlite3_stmt *statement, int at, const struct names *names)
{
    const unsigned char *text = sqlite3_column_text(statement, at);
    int value = text == NULL ? 0 : names_find(names, (const char *)text);

    return value < 0 ? 0 : value;
}

static void bytes_read(sqlite3_stmt *statement, int at, char *out, size_t size)
{
    const void *bytes = sqlite3_column_blob(statement, at);
    size_t length = bytes == NULL ? 0 : (size_t)sqlite3_column_bytes(statement, at);

    memset(out, 0, size);
    if (length > 0)
        memcpy(out, bytes, length < size ? length : size);
}

/* Rows are read for every GET: each kind asks SQLite for what it needs and no more. */
static void column_read(sqlite3_stmt *statement, int at, const struct column *column, void *record)
{
    char *field = (char *)record + column->offset;
    int32_t small;
    int64_t large;

    switch (column->kind) {
    case COLUMN_TEXT:
        text_read(statement, at, field, column->size);
        break;
    case COLUMN_INT32:
        small = sqlite3_column_type(statement, at) == SQLITE_NULL ? INT_ABSENT
                                                                  : sqlite3_column_int(statement, at);
        memcpy(field, &small, sizeof small);
        break;
    case COLUMN_INT64:
        large = sqlite3_column_int64(statement, at);
        memcpy(field, &large, sizeof large);
        break;
    case COLUMN_NAME:
        small = name_read(statement, at, column->names);
        memcpy(field, &small, sizeof small);
        break;
    case COLUMN_FLAG:
        *(bool *)field = sqlite3_column_int(statement, at) > 0;
        break;
    case COLUMN_BYTES:
        bytes_read(statement, at, field, column->size);
        break;
    }
}

void columns_bind(sqlite3_stmt *statement, const struct columns *columns, const void *record)
{
    size_t parameters = (size_t)sqlite3_bind_parameter_count(statement);

    for (size_t i = 0; i < columns->count && i < parameters; i++)
        column_bind(statement, (int)i + 1, &columns->list[i], record);
}

int columns_read(sqlite3_stmt *statement, int at, const struct columns *columns, void *record)
{
    for (size_t i = 0; i < columns->count; i++)
        column_read(statement, at++, &columns->list[i], record);
    return at;
}

enum status columns_step(struct store *store, sqlite3_stmt *statement, const struct columns *columns,
                         void *record, bool *row, struct error *error)
{
    enum status status = statement_step(store, statement, row, error);

    if (status == STATUS_OK && *row)
        columns_read(statement, 0, columns, record);
    return status;
}

size_t columns_names(const struct columns *columns, const char *table, char *out, size_t size)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < columns->count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s%s", i == 0 ? "" : ", ", table,
                                 columns->list[i].name);
    return used;
}
