/*
 * How records lie in tables: a table of columns says which member is which column, and binding and reading
 * are loops over it. Private to db/.
 */
#ifndef PKTCAPD_DB_COLUMNS_H
#define PKTCAPD_DB_COLUMNS_H

#include "db/sqlite.h"

#include <stddef.h>

enum column_kind { COLUMN_TEXT, COLUMN_INT32, COLUMN_INT64, COLUMN_NAME, COLUMN_FLAG, COLUMN_BYTES };

struct column {
    const char *name;
    enum column_kind kind;
    size_t offset, size;
    const struct names *names; /* COLUMN_NAME: stored as the name, so that the tables read well */
};

struct columns {
    const struct column *list;
    size_t count;
};

#define COLUMN_AT(type, member)           offsetof(type, member), sizeof(((type *)0)->member), NULL
#define COLUMN_NAMED(type, member, names) offsetof(type, member), sizeof(((type *)0)->member), &(names)

/* The first column is the statement's first parameter; columns beyond the last parameter are left out. */
void columns_bind(sqlite3_stmt *statement, const struct columns *columns, const void *record);

/* at is the place of the first one in the row; returns the place behind the last. */
int columns_read(sqlite3_stmt *statement, int at, const struct columns *columns, void *record);

/* Steps, and reads the row that there is; see statement_step(). */
MUST_USE enum status columns_step(struct store *store, sqlite3_stmt *statement, const struct columns *columns,
                                  void *record, bool *row, struct error *error);

/* "a, b, c", each behind the name of the table ("s.", or ""); returns the length. */
size_t columns_names(const struct columns *columns, const char *table, char *out, size_t size);

/* One column of text, "" for NULL. */
void text_read(sqlite3_stmt *statement, int at, char *out, size_t size);

#endif
