#include "core/quota.h"

static bool is_used_up(int64_t used, int64_t most)
{
    return most > 0 && used >= most;
}

static enum status allows_sessions(const char *owner, int64_t used, int64_t most, struct error *error)
{
    if (!is_used_up(used, most))
        return STATUS_OK;
    return error_set(error, ERROR_QUOTA_SESSIONS, NULL, "%s has %lld session%s not ended, and may have %lld",
                     owner, (long long)used, used == 1 ? " that has" : "s that have", (long long)most);
}

static enum status allows_bytes(const char *owner, int64_t used, int64_t most, struct error *error)
{
    if (!is_used_up(used, most))
        return STATUS_OK;
    return error_set(error, ERROR_QUOTA_STORED, NULL, "%s has files of %lld bytes, and may have %lld", owner,
                     (long long)used, (long long)most);
}

static enum status allows_in_an_hour(const char *owner, int64_t used, int64_t most, struct error *error)
{
    if (!is_used_up(used, most))
        return STATUS_OK;
    return error_set(error, ERROR_QUOTA_HOURLY, NULL,
                     "%s has made %lld session%s in the last 60 minutes, and may make %lld", owner,
                     (long long)used, used == 1 ? "" : "s", (long long)most);
}

enum status quota_allows(enum quota_kind kind, const char *owner, const struct quota *quota,
                         const struct usage *usage, struct error *error)
{
    switch (kind) {
    case QUOTA_OF_SESSIONS:
        return allows_sessions(owner, usage->unfinished, quota->sessions, error);
    case QUOTA_OF_BYTES:
        return allows_bytes(owner, usage->stored_bytes, quota->stored_bytes, error);
    case QUOTA_OF_AN_HOUR:
        return allows_in_an_hour(owner, usage->hourly, quota->hourly, error);
    case QUOTA_KINDS:
        break;
    }
    return STATUS_OK;
}
