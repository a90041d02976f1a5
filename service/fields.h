/* The fields of PacketCaptureRequest: one table for decoding, encoding, messages and tests. */
#ifndef PKTCAPD_SERVICE_FIELDS_H
#define PKTCAPD_SERVICE_FIELDS_H

#include "core/session.h"

#include <stddef.h>

enum field_kind {
    FIELD_TEXT,
    FIELD_INTEGER,
    FIELD_NAME,    /* an enumeration */
    FIELD_OPTIONS, /* PacketCaptureOptionList */
    FIELD_TAGS,
    FIELD_FLAG, /* true or false, kept as an integer */
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;             /* in struct packet_capture_request */
    size_t characters;         /* FIELD_TEXT: at most this many */
    const struct names *names; /* FIELD_NAME: the values */
    int32_t most;              /* FIELD_INTEGER: the largest value; 0: INT32_MAX */
};

extern const struct field request_fields[];
extern const size_t request_field_count;

const struct field *field_find(const char *name);

/* The field name nearest to a misspelt one, or NULL. */
const char *field_nearest(const char *misspelt);

#endif
