#include "capture/capture_state.h"

#include "capture/own_traffic.h"
#include "capture/place.h"
#include "core/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t capture_deadline_ms(const struct capture *capture)
{
    return capture->run.started_ms + capture->plan.session.limits.duration_s * MS_PER_S;
}

/* Says in errormsg from when to when nothing was captured: until now, as the tap opens a moment after the
 * worker. */
static void note_gap(struct capture *capture)
{
    char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], text[128];
    int64_t to_ms = clock_now_ms();

    if (capture->blind_from_ms == 0)
        return;
    if (to_ms > capture_deadline_ms(capture))
        to_ms = capture_deadline_ms(capture);
    snprintf(text, sizeof text, "not captured from %s to %s: no worker was running",
             clock_text(capture->blind_from_ms, from), clock_text(to_ms, to));
    capture_note(capture, text);
    capture->blind_from_ms = 0;
}

static enum stop_reason point_stop_reason(const struct error *error)
{
    switch (error->code) {
    case ERROR_HOST:
    case ERROR_INTERNAL:
        return STOP_INTERNAL;
    case ERROR_NO_PRIVILEGE:
        return STOP_PERMISSION;
    default:
        return STOP_INTERFACE_GONE;
    }
}

/* An alias or an address may have moved since whoever asked was allowed to capture what it meant. */
static enum status check_meaning(const struct capture *capture, struct error *error)
{
    const struct session *session = &capture->plan.session;
    char value[POINT_VALUE_SIZE];

    if (session->point[0] == '\0' || strcmp(session->point, point_value(&capture->point, value)) == 0)
        return STATUS_OK;
    return error_set(error, ERROR_NO_PRIVILEGE, NULL,
                     "capvalue %.120s meant %.120s when it was allowed, and means %.120s now",
                     session->request.capvalue, session->point, value);
}

/* Finds the interface anew, as the request may be old, and watches it. A namespace that only has the name of
 * the one that an earlier worker captured in is another place. */
static void find_point(struct capture *capture)
{
    const struct packet_capture_request *request = &capture->plan.session.request;
    const struct capture_plan *plan = &capture->plan;
    char value[POINT_VALUE_SIZE];
    struct error error;
    enum status status =
        point_find(plan->broker, request->cappoint, request->capvalue, &capture->point, &error);

    if (status == STATUS_OK && capture->point.unseen)
        status =
            error_set(&error, ERROR_NO_PRIVILEGE, NULL, "the worker cannot look into network namespaces");
    if (status == STATUS_OK)
        status = check_meaning(capture, &error);
    if (status == STATUS_OK && plan->lease.resumed &&
        place_has_changed(capture->run.place, &capture->point, plan->boot_id))
        status =
            error_set(&error, ERROR_NO_SUCH_NETNS, NULL,
                      "network namespace %.200s was replaced by another of the same name while no worker "
                      "was running",
                      capture->point.netns);
    if (status == STATUS_OK && !capture->point.up)
        status = error_set(&error, ERROR_UNKNOWN_INTERFACE, NULL, "interface %s is down",
                           point_value(&capture->point, value));
    if (status == STATUS_OK)
        status = point_watch_open(plan->broker, &capture->point, &capture->watch, &error);
    if (status != STATUS_OK) {
        capture_end_with_error(capture, point_stop_reason(&error), &error);
        return;
    }
    place_of(&capture->point, plan->boot_id, capture->run.place);
}

/* What the tap keeps of a packet: of a stream, enough to know its own packets by. */
static uint32_t snaplen_of(const struct capture *capture)
{
    uint32_t snaplen = (uint32_t)capture->plan.session.limits.snaplen;

    return capture_is_stream(capture) && snaplen < ECHO_SNAPLEN ? ECHO_SNAPLEN : snaplen;
}

/* Rather than claim that none of the API's packets are in the file. */
static void note_missing(struct capture *capture)
{
    char text[160];

    snprintf(text, sizeof text,
             "the API's own packets are left out for %zu addresses of this host, and not for %zu others",
             capture->exclusions.api_count, capture->exclusions.api_missing);
    if (strstr(capture->run.errormsg, text) == NULL) /* an earlier worker may have said so */
        capture_note(capture, text);
}

static void open_tap(struct capture *capture)
{
    const struct packet_capture_request *request = &capture->plan.session.request;
    struct tap_settings settings = {
        .broker = capture->plan.broker,
        .point = &capture->point,
        .request = request,
        .exclusions = &capture->exclusions,
        .session = capture->plan.session.id,
        .worker = capture->plan.worker,
        .snaplen = snaplen_of(capture),
        .ring_mb = capture->plan.ring_mb,
    };
    enum stop_reason reason = STOP_INTERNAL;
    struct error error;

    if (point_watch_look(capture->watch, &capture->interface_dropped_start, &error) == STATUS_OK)
        capture->interface_dropped = capture->interface_dropped_start;
    const struct own_traffic_settings own = {.api_address = capture->plan.session.api_address,
                                             .api_ports = capture->plan.api_ports,
                                             .run_key = capture->plan.lease.key,
                                             .point = &capture->point};
    if (own_traffic_find(request, &own, capture->plan.broker, &capture->exclusions, &error) != STATUS_OK) {
        capture_end_with_error(capture, STOP_INTERNAL, &error);
        return;
    }
    if (capture->exclusions.api_missing > 0)
        note_missing(capture);
    if (tap_open(&settings, &capture->tap, &reason, &error) != STATUS_OK)
        capture_end_with_error(capture, reason, &error);
}

static void open_sink(struct capture *capture)
{
    if (capture_is_stream(capture))
        capture_open_stream(capture);
    else
        capture_open_files(capture);
}

static void open_writer(struct capture *capture)
{
    const char *directory = capture->plan.directory->path;
    uint64_t reserve =
        capture_is_stream(capture) ? 0 : data_dir_reserve(directory, capture->plan.reserve_bytes);
    struct error error;

    capture->totals.flushed_ms = clock_now_ms();
    if (writer_open(capture->sink, directory, reserve, &capture->totals, &capture->writer, &error) !=
        STATUS_OK) {
        capture_hold_back(capture, &error);
        return;
    }
    capture->sink_open = false;
}

/* With less room than for one batch the capture would end with its first packets: better at once. */
static void check_space(struct capture *capture)
{
    const char *directory = capture->plan.directory->path;
    uint64_t reserve = data_dir_reserve(directory, capture->plan.reserve_bytes);
    struct error error;

    if (!capture_is_stream(capture) &&
        writer_check_space(directory, reserve, WRITER_BATCH_SIZE, &error) != STATUS_OK)
        capture_end_with_error(capture, STOP_DISK_LOW, &error);
}

/* capcore. The writer's thread is running by now, and stays where the kernel puts it. */
static void pin(struct capture *capture)
{
    int32_t core = capture->plan.session.request.capcore;
    cpu_set_t cores;
    struct error error;

    if (core == INT_ABSENT)
        return;
    CPU_ZERO(&cores);
    if (core < CPU_SETSIZE)
        CPU_SET((size_t)core, &cores);
    if (sched_setaffinity(0, sizeof cores, &cores) == 0)
        return;
    error_set(&error, ERROR_HOST, "capcore", "cannot capture on CPU %d: %s", core, strerror(errno));
    capture_end_with_error(capture, STOP_INTERNAL, &error);
}

static void start_clock(struct capture *capture)
{
    capture->opened_ns = clock_now_ns();
    int64_t now_ms = clock_now_ms(), most_ms = capture->plan.session.limits.duration_s * MS_PER_S;

    if (capture->run.state == STATE_CREATED) {
        capture->run.started_ms = now_ms;
        capture->run.state = STATE_STARTED;
    }
    /* Never longer than asked for, even if the clock was set back since the start. */
    int64_t left_ms =
        capture_deadline_ms(capture) - now_ms < most_ms ? capture_deadline_ms(capture) - now_ms : most_ms;
    capture->deadline_ns = clock_monotonic_ns() + left_ms * NS_PER_MS;
}

void capture_open(struct capture *capture)
{
    static void (*const STEPS[])(struct capture *) = {check_space, find_point,  open_tap, note_gap,
                                                      open_sink,   open_writer, pin,      start_clock};
    const struct packet_capture_request *request = &capture->plan.session.request;

    capture->rate.limit = request->caprate > 0 ? request->caprate : 0;
    capture->skipped_before = capture->run.counters.packets_skipped;
    capture->dropped_before = capture->run.counters.packets_dropped;
    capture->interface_dropped_before = capture->run.counters.packets_dropped_interface;
    if (capture->plan.lease.resumed && capture_is_stream(capture))
        capture_take_stream_over(capture);
    else if (capture->plan.lease.resumed)
        capture_take_files_over(capture);
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && !capture_has_ended(capture); i++)
        STEPS[i](capture);
    note_gap(capture); /* where it came to no tap */
}
