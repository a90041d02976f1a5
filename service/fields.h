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
};

struct field {
    const char *name;
    enum field_kind kind;
    size_t offset;                 /* in struct packet_capture_request */
    size_t characters;             /* FIELD_TEXT: at most this many */
    const struct names *names;     /* FIELD_NAME: the values */
    const struct names *not_built; /* FIELD_NAME: values that NSX or API.md has and we have not yet */
    bool refused;                  /* the whole field is not built yet */
    bool zero_means_something;     /* refused even when 0, which elsewhere means not set */
};

extern const struct field request_fields[];
extern const size_t request_field_count;

/* Options that NSX or API.md has and we have not yet. */
extern const struct names options_not_built;

const struct field *field_find(const char *name);

/* The field name nearest to a misspelt one, or NULL. */
const char *field_nearest(const char *misspelt);

#endif
