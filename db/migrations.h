/* The migrations/ folder, embedded by the build in order of their numbers. */
#ifndef PKTCAPD_DB_MIGRATIONS_H
#define PKTCAPD_DB_MIGRATIONS_H

#include <stddef.h>

struct migration {
    const char *name; /* file name without .sql */
    const char *sql;
};

extern const struct migration migrations[];
extern const size_t migration_count;

#endif
