#include "capture/capture_state.h"

#include "capture/own_traffic.h"
#include "capture/pcap_file.h"
#include "capture/place.h"
#include "core/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

/* Wall-clock time at which the duration is over. */
static int64_t deadline_ms(const struct capture *capture)
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
    if (to_ms > deadline_ms(capture))
        to_ms = deadline_ms(capture);
    snprintf(text, sizeof text, "not captured from %s to %s: no worker was running",
             clock_text(capture->blind_from_ms, from), clock_text(to_ms, to));
    capture_note(capture, text);
    capture->blind_from_ms = 0;
}

/* A power cut may have taken the file, as only its end is waited for: then the run goes on with a new one. A
 * worker that is slow may still hold it: then the run waits for that, as long as it has time. */
static void not_taken_over(struct capture *capture, const struct error *error)
{
    if (error->code == ERROR_NO_SUCH_FILE)
        capture->blind_from_ms = capture->run.started_ms;
    else if (error->code != ERROR_SESSION_RUNNING)
        capture_end_with_error(capture, STOP_INTERNAL, error);
    else if (clock_now_ms() < deadline_ms(capture))
        capture_hold_back(capture, error);
    else
        capture_end_with_error(capture, STOP_WORKER_LOST, error);
}

/* Takes over what an earlier worker left: its file, its counters and the rest of the limits. */
static void take_over(struct capture *capture)
{
    const struct limits *limits = &capture->plan.session.limits;
    char path[DATA_PATH_SIZE];
    struct pcap_tally tally;
    struct error error;

    data_dir_path(capture->plan.directory, capture->run.file, path);
    if (pcap_file_reopen(path, &capture->sink, &tally, &error) != STATUS_OK) {
        not_taken_over(capture, &error);
        return;
    }
    capture->sink_open = true;
    capture->totals = (struct writer_totals){
        .packets = tally.packets, .packet_bytes = tally.packet_bytes, .size = tally.size};
    capture->totals.flushed_ms = capture->plan.lease.reported_ms;
    capture->packets = tally.packets;
    capture->size = tally.size;
    capture_count(capture);
    if (limits->packets != 0 && tally.packets >= limits->packets) {
        capture_end(capture, STATE_FINISHED, STOP_PACKET_COUNT);
        return;
    }
    /* When the earlier worker took what in the last second is forgotten. */
    if (tally.last_ns != 0)
        capture->rate.not_before_ns = tally.last_ns + NS_PER_S;
    capture->blind_from_ms = capture->plan.lease.reported_ms;
    if (capture->blind_from_ms < tally.last_ns / NS_PER_MS)
        capture->blind_from_ms = tally.last_ns / NS_PER_MS;
    if (clock_now_ms() >= deadline_ms(capture)) {
        capture_end(capture, STATE_ERROR, STOP_WORKER_LOST);
        capture->run.ended_ms = deadline_ms(capture);
    }
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

/* Finds the interface anew, as the request may be old, and watches it. A namespace that only has the name of
 * the one that an earlier worker captured in is another place. */
static void find_point(struct capture *capture)
{
    const struct packet_capture_request *request = &capture->plan.session.request;
    const struct capture_plan *plan = &capture->plan;
    struct error error;
    enum status status =
        point_find(plan->broker, request->cappoint, request->capvalue, &capture->point, &error);

    if (status == STATUS_OK && capture->point.unseen)
        status =
            error_set(&error, ERROR_NO_PRIVILEGE, NULL, "the worker cannot look into network namespaces");
    if (status == STATUS_OK && plan->lease.resumed &&
        place_has_changed(capture->run.place, &capture->point, plan->boot_id))
        status =
            error_set(&error, ERROR_NO_SUCH_NETNS, NULL,
                      "network namespace %.200s was replaced by another of the same name while no worker "
                      "was running",
                      capture->point.netns);
    if (status == STATUS_OK)
        status = point_watch_open(plan->broker, &capture->point, &capture->watch, &error);
    if (status != STATUS_OK) {
        capture_end_with_error(capture, point_stop_reason(&error), &error);
        return;
    }
    place_of(&capture->point, plan->boot_id, capture->run.place);
}

static void open_tap(struct capture *capture)
{
    const struct packet_capture_request *request = &capture->plan.session.request;
    struct tap_settings settings = {
        .broker = capture->plan.broker,
        .point = &capture->point,
        .request = request,
        .session = capture->plan.session.id,
        .worker = capture->plan.worker,
        .exclusions = &capture->exclusions,
        .snaplen = (uint32_t)capture->plan.session.limits.snaplen,
        .ring_mb = capture->plan.ring_mb,
    };
    enum stop_reason reason = STOP_INTERNAL;
    struct error error;

    if (point_watch_look(capture->watch, &capture->interface_dropped_start, &error) == STATUS_OK)
        capture->interface_dropped = capture->interface_dropped_start;
    if (own_traffic_find(&capture->plan.session, capture->plan.lease.key, capture->plan.api_ports,
                         capture->plan.broker, &capture->exclusions, &error) != STATUS_OK) {
        capture_end_with_error(capture, STOP_INTERNAL, &error);
        return;
    }
    if (tap_open(&settings, &capture->tap, &reason, &error) != STATUS_OK)
        capture_end_with_error(capture, reason, &error);
}

static void open_file(struct capture *capture)
{
    char name[sizeof capture->run.file], path[DATA_PATH_SIZE];
    struct error error;

    if (capture->sink_open) {
        if (pcap_file_linktype(&capture->sink) != capture->tap->linktype) {
            error_set(&error, ERROR_HOST, NULL, "interface %s has another link type now",
                      capture->point.name);
            capture_end_with_error(capture, STOP_INTERFACE_GONE, &error);
        }
        return;
    }
    data_dir_capture_name(capture->plan.session.id, capture->run.number, capture->plan.lease.claim, name,
                          sizeof name);
    data_dir_path(capture->plan.directory, name, path);
    if (pcap_file_create(path, capture->tap->linktype, (uint32_t)capture->plan.session.limits.snaplen,
                         &capture->sink, &error) != STATUS_OK) {
        capture_end_with_error(capture, error.code == ERROR_STORE_FULL ? STOP_DISK_LOW : STOP_INTERNAL,
                               &error);
        return;
    }
    capture->sink_open = true;
    capture->totals.size = capture->size = capture->sink.size;
    memcpy(capture->run.file, name, sizeof name);
}

static void open_writer(struct capture *capture)
{
    const char *directory = capture->plan.directory->path;
    struct error error;

    capture->totals.flushed_ms = clock_now_ms();
    if (writer_open(capture->sink, directory, writer_reserve(directory, capture->plan.reserve_bytes),
                    &capture->totals, &capture->writer, &error) != STATUS_OK) {
        capture_hold_back(capture, &error);
        return;
    }
    capture->sink_open = false;
}

/* With less room than for one batch the capture would end with its first packets: better at once. */
static void check_space(struct capture *capture)
{
    const char *directory = capture->plan.directory->path;
    uint64_t reserve = writer_reserve(directory, capture->plan.reserve_bytes);
    struct error error;

    if (writer_check_space(directory, reserve, WRITER_BATCH_SIZE, &error) != STATUS_OK)
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
    int64_t left_ms = deadline_ms(capture) - now_ms < most_ms ? deadline_ms(capture) - now_ms : most_ms;
    capture->deadline_ns = clock_monotonic_ns() + left_ms * NS_PER_MS;
    capture->size_limit = capture->plan.session.limits.file_size_mb * 1000000;
}

void capture_open(struct capture *capture)
{
    static void (*const STEPS[])(struct capture *) = {check_space, find_point,  open_tap, note_gap,
                                                      open_file,   open_writer, pin,      start_clock};
    const struct packet_capture_request *request = &capture->plan.session.request;

    capture->rate.limit = request->caprate > 0 ? request->caprate : 0;
    capture->skipped_before = capture->run.counters.packets_skipped;
    capture->dropped_before = capture->run.counters.packets_dropped;
    capture->interface_dropped_before = capture->run.counters.packets_dropped_interface;
    if (capture->plan.lease.resumed)
        take_over(capture);
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && !capture_has_ended(capture); i++)
        STEPS[i](capture);
    note_gap(capture); /* where it came to no tap */
}
