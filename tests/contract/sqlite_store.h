/* What the tests of the SQLite store share: the backend, and ways to look behind its back. */
#ifndef PKTCAPD_TESTS_SQLITE_STORE_H
#define PKTCAPD_TESTS_SQLITE_STORE_H

#include "tests/contract/store_suite.h"

extern const struct store_backend sqlite_backend;

/* Runs SQL on a file; the first column of the last row, or what went wrong, goes to answer. */
const char *sqlite_ask(const char *path, const char *sql, char answer[PLACE_SIZE]);
void assert_answer(const char *path, const char *sql, const char *expected);

/* sqlite_files.c: what is refused, and migrations. */
int suite_sqlite_files(struct fixture *fixture);

/* sqlite_people.c: the audit, and how rows are searched for. */
int suite_sqlite_people(struct fixture *fixture);

/* Writes the store that the migration test knows (--history). */
int sqlite_write_history(const char *path);

#endif
