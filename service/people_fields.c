#include "service/people_fields.h"

#define AT(member) offsetof(struct policy, member), sizeof(((struct policy *)0)->member)

const struct policy_field policy_fields[POLICY_FIELDS] = {
    {"points", "point", POLICY_LINES, AT(points),
     "PATTERN  where captures may be: [[NODE] CAPPOINT] NAME, * for everything; may be repeated"},
    {"max_duration", "max-duration", POLICY_NUMBER, AT(max_duration_s), "S  seconds of each session"},
    {"max_filesize", "max-filesize", POLICY_NUMBER, AT(max_file_size_mb), "MB  of each file"},
    {"max_snaplen", "max-snaplen", POLICY_NUMBER, AT(max_snaplen), "N  bytes of each packet"},
    {"max_sessions", "max-sessions", POLICY_NUMBER, AT(max_sessions),
     "N  sessions of one user that have not ended"},
    {"max_stored_mb", "max-stored", POLICY_NUMBER, AT(max_stored_mb), "MB  of all files of one user"},
    {"max_hourly", "max-hourly", POLICY_NUMBER, AT(max_hourly), "N  new sessions of one user in any hour"},
    {"stream", "stream", POLICY_FLAG, AT(stream), "yes|no  whether capmode STREAM is allowed"},
    {"networks", "network", POLICY_LINES, AT(networks),
     "PREFIX  where streams may go; may be repeated; none: anywhere"},
    {"see_others", "see-others", POLICY_FLAG, AT(see_others), "yes|no  other people's sessions are visible"},
    {"download_others", "download-others", POLICY_FLAG, AT(download_others),
     "yes|no  and so are their files"},
};
