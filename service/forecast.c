#include "service/forecast.h"

#include "broker/broker.h"
#include "capture/filter.h"
#include "capture/own_traffic.h"
#include "core/clock.h"
#include "db/people.h"
#include "service/validate.h"

#include <pcap/dlt.h>
#include <stdio.h>
#include <string.h>

/* Bytes that a file takes besides its packets, and each packet besides its own: of PCAPNG, the larger. */
enum { FILE_OVERHEAD = 1024, PACKET_OVERHEAD = 48 };

static void missing_add(struct forecast *forecast, const char *what, const char *why)
{
    if (forecast->missing_count == FORECAST_MISSING_MAX)
        return;
    struct missing *missing = &forecast->missing[forecast->missing_count++];
    snprintf(missing->what, sizeof missing->what, "%s", what);
    snprintf(missing->why, sizeof missing->why, "%s", why);
}

/* The capability that a message of ERROR_NO_PRIVILEGE speaks of. */
static const char *capability_in(const char *message)
{
    static const char *const CAPABILITIES[] = {"CAP_SYS_ADMIN", "CAP_NET_ADMIN"};

    for (size_t i = 0; i < sizeof CAPABILITIES / sizeof CAPABILITIES[0]; i++)
        if (strstr(message, CAPABILITIES[i]) != NULL)
            return CAPABILITIES[i];
    return "CAP_NET_RAW";
}

/* What this node lacks moves from the errors to the forecast. */
static void privileges_sort_out(struct forecast *forecast, struct errors *errors)
{
    size_t kept = 0;

    for (size_t i = 0; i < errors->count; i++)
        if (errors->items[i].code == ERROR_NO_PRIVILEGE)
            missing_add(forecast, capability_in(errors->items[i].message), errors->items[i].message);
        else
            errors->items[kept++] = errors->items[i];
    errors->count = kept;
}

static void look_at_worker(struct forecast *forecast, struct broker *broker)
{
    struct broker_abilities abilities;
    struct error error;

    if (broker == NULL)
        missing_add(forecast, "worker", "no worker is running: the session would wait for one");
    else if (broker_abilities(broker, &abilities, &error) != STATUS_OK)
        missing_add(forecast, "worker", error.message);
    else if (!abilities.capture)
        missing_add(forecast, "CAP_NET_RAW",
                    "the worker lacks CAP_NET_RAW: the capture would end with PERMISSION");
}

/* A request that is checked and stored would be refused for these all the same. */
static enum status look_at_quotas(const struct context *context, struct forecast *forecast,
                                  struct error *error)
{
    const char *user = context->who->user;
    const struct quota quota = quota_of(context->who);
    struct usage usage;
    struct error refusal;
    enum status status =
        store_get_usage(context->store, user, clock_now_ms() - 3600 * MS_PER_S, &usage, error);

    for (int kind = 0; kind < QUOTA_KINDS && status == STATUS_OK; kind++)
        if (quota_allows((enum quota_kind)kind, user, &quota, &usage, &refusal) != STATUS_OK)
            missing_add(forecast, "quota", refusal.message);
    return status;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The most that the session's files can take: by their size, or by the packets. */
static uint64_t bytes_wanted(const struct forecast *forecast)
{
    const struct limits *limits = &forecast->limits;
    uint64_t files = forecast->request.capfilecount > 0 ? (uint64_t)forecast->request.capfilecount : 1;
    uint64_t wanted = files * (uint64_t)limits->file_size_mb * 1000000;

    if (limits->packets > 0)
        wanted = least(wanted, files * FILE_OVERHEAD +
                                   (uint64_t)limits->packets * ((uint64_t)limits->snaplen + PACKET_OVERHEAD));
    return wanted;
}

static void look_at_disk(const struct service *service, struct forecast *forecast)
{
    const char *path = service->directory->path;
    uint64_t setting = (uint64_t)service->config->disk_reserve_mb * 1000000, total;
    char why[160];

    if (forecast->request.capmode == CAPMODE_STREAM || !data_dir_space(path, &forecast->free_bytes, &total))
        return;
    forecast->has_disk = true;
    forecast->wanted_bytes = bytes_wanted(forecast);
    forecast->reserve_bytes = data_dir_reserve(path, setting);
    if (forecast_disk_suffices(forecast))
        return;
    snprintf(why, sizeof why,
             "the limits could take %llu MB; %llu MB are free and %llu MB are kept in reserve",
             (unsigned long long)(forecast->wanted_bytes / 1000000),
             (unsigned long long)(forecast->free_bytes / 1000000),
             (unsigned long long)(forecast->reserve_bytes / 1000000));
    missing_add(forecast, "disk", why);
}

bool forecast_disk_suffices(const struct forecast *forecast)
{
    return forecast->wanted_bytes + forecast->reserve_bytes <= forecast->free_bytes;
}

/* Only for want of room the session would still start: it ends when the disk is at its reserve. */
bool forecast_would_start(const struct forecast *forecast)
{
    for (size_t i = 0; i < forecast->missing_count; i++)
        if (strcmp(forecast->missing[i].what, "disk") != 0)
            return false;
    return true;
}

static void keep_details(void *context, const struct point_details *details)
{
    struct forecast *forecast = context;

    if (details->point.index != forecast->point.point.index)
        return;
    forecast->point = *details;
    forecast->has_point = true;
}

static void look_at_interface(struct forecast *forecast, const struct point *point)
{
    char value[POINT_VALUE_SIZE], why[POINT_VALUE_SIZE + 32];

    if (point->up)
        return;
    snprintf(why, sizeof why, "interface %s is down", point_value(point, value));
    missing_add(forecast, "interface", why);
}

/* Returns the linktype of the packets, Ethernet where the point cannot be looked at. */
static int look_at_point(struct broker *broker, struct forecast *forecast)
{
    const struct packet_capture_request *request = &forecast->request;
    const struct point_visitor visitor = {.context = forecast, .see_point = keep_details};
    struct point point;
    struct error error;

    if (point_find(broker, request->cappoint, request->capvalue, &point, &error) != STATUS_OK)
        return DLT_EN10MB;
    forecast->point.point = point;
    look_at_interface(forecast, &point);
    if (point.index != 0 && point_list(broker, request->cappoint, point.netns, &visitor, &error) != STATUS_OK)
        forecast->has_point = false;
    return point.linktype;
}

static void describe_filter(const struct service *service, struct broker *broker, int linktype,
                            struct forecast *forecast)
{
    const struct own_traffic_settings own = {.api_address = service->api_address,
                                             .api_ports = service->config->api_ports,
                                             .point = &forecast->point.point};
    struct filter_exclusions exclusions;
    struct error error;

    if (own_traffic_find(&forecast->request, &own, broker, &exclusions, &error) == STATUS_OK)
        filter_describe(&forecast->request, linktype, &exclusions, forecast->filter, sizeof forecast->filter);
    if (exclusions.has_stream && exclusions.stream_source.family == 0)
        missing_add(forecast, "route", "there is no route to streamaddress");
}

enum status op_forecast_session(const struct context *context, const struct packet_capture_request *request,
                                struct forecast *forecast, struct errors *errors)
{
    const struct service *service = context->service;
    char value[POINT_VALUE_SIZE];
    struct error error;

    *forecast = (struct forecast){.request = *request};
    validate_request(context, request, value, errors);
    privileges_sort_out(forecast, errors);
    if (errors->count > 0)
        return errors->items[0].status;
    if (look_at_quotas(context, forecast, &error) != STATUS_OK)
        return errors_add_error(errors, &error);
    forecast->limits = effective_limits(service->config, &context->who->role.policy, request);
    struct broker *broker = broker_connect(service->directory);
    look_at_worker(forecast, broker);
    look_at_disk(service, forecast);
    describe_filter(service, broker, look_at_point(broker, forecast), forecast);
    if (broker != NULL)
        broker_close(broker);
    return STATUS_OK;
}
