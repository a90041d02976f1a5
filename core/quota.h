/* What the owner of sessions may have at most, and the refusal of more. */
#ifndef PKTCAPD_CORE_QUOTA_H
#define PKTCAPD_CORE_QUOTA_H

#include "core/error.h"
#include "core/people.h"

/* 0: no limit. */
struct quota {
    int64_t sessions;     /* that have not ended */
    int64_t stored_bytes; /* of all files */
    int64_t hourly;       /* created, or restarted by their owner, in any 60 minutes */
};

enum quota_kind { QUOTA_OF_SESSIONS, QUOTA_OF_BYTES, QUOTA_OF_AN_HOUR, QUOTA_KINDS };

/* Refuses one more where this part of a quota is used up: ERROR_QUOTA_SESSIONS, ERROR_QUOTA_STORED or
 * ERROR_QUOTA_HOURLY, with the limit and how much is used. */
MUST_USE enum status quota_allows(enum quota_kind kind, const char *owner, const struct quota *quota,
                                  const struct usage *usage, struct error *error);

#endif
