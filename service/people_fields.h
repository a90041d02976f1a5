/* The fields of a role's policy: one table for decoding, encoding, checks, the command line and tests. */
#ifndef PKTCAPD_SERVICE_PEOPLE_FIELDS_H
#define PKTCAPD_SERVICE_PEOPLE_FIELDS_H

#include "core/people.h"

#include <stddef.h>

enum policy_kind {
    POLICY_NUMBER, /* an int64_t, 0 to INT32_MAX; 0: no limit */
    POLICY_FLAG,   /* a bool */
    POLICY_LINES,  /* text, a member a line; an array in JSON */
};

struct policy_field {
    const char *name; /* in JSON */
    const char *flag; /* on the command line, without the dashes; of lines: of one member */
    enum policy_kind kind;
    size_t offset, size; /* in struct policy */
    const char *help;    /* for the command line: the value, and what it is */
};

enum { POLICY_FIELDS = 11 };

extern const struct policy_field policy_fields[POLICY_FIELDS];

#endif
