/*
 * What a request would lead to, without doing it (dry run): which interface it means, which limits apply, the
 * filter in words, the disk that the limits could take, and what this node lacks for it.
 */
#ifndef PKTCAPD_SERVICE_FORECAST_H
#define PKTCAPD_SERVICE_FORECAST_H

#include "capture/point.h"
#include "service/operations.h"

enum { FORECAST_FILTER_SIZE = 65536, FORECAST_MISSING_MAX = 8 };

/* Something that stands in the way now. */
struct missing {
    char what[32]; /* a capability's name, "worker", "interface", "route", "quota" or "disk" */
    char why[512];
};

struct forecast {
    struct packet_capture_request request;
    struct limits limits;
    bool has_point; /* not for DVFILTER on any, nor where a capability is missing to look at it */
    struct point_details point;
    char filter[FORECAST_FILTER_SIZE]; /* pcap-filter(7); empty: every packet */
    bool has_disk;                     /* the session would write files: */
    uint64_t wanted_bytes;             /* the most that its files can take */
    uint64_t free_bytes, reserve_bytes;
    size_t missing_count;
    struct missing missing[FORECAST_MISSING_MAX];
};

/* Checks the request as op_create_session() does, and fails as it does, but stores nothing; what this node
 * lacks is no failure. errors may hold what decoding found already. */
MUST_USE enum status op_forecast_session(const struct context *context,
                                         const struct packet_capture_request *request,
                                         struct forecast *forecast, struct errors *errors);

/* Whether the files can grow to their limits; and whether the session would start now. */
bool forecast_disk_suffices(const struct forecast *forecast);
bool forecast_would_start(const struct forecast *forecast);

#endif
