#include "capture/capture_state.h"

#include "capture/pcap_file.h"
#include "core/clock.h"

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
    capture->blind_from_ms = capture->plan.lease.reported_ms;
    if (capture->blind_from_ms < tally.last_ns / NS_PER_MS)
        capture->blind_from_ms = tally.last_ns / NS_PER_MS;
    if (clock_now_ms() >= deadline_ms(capture)) {
        capture_end(capture, STATE_ERROR, STOP_WORKER_LOST);
        capture->run.ended_ms = deadline_ms(capture);
    }
}

static void open_tap(struct capture *capture)
{
    const struct packet_capture_request *request = &capture->plan.session.request;
    struct tap_settings settings = {
        .point = &capture->point,
        .request = request,
        .snaplen = (uint32_t)capture->plan.session.limits.snaplen,
        .ring_mb = capture->plan.ring_mb,
    };
    enum stop_reason reason = STOP_INTERNAL;
    struct error error;

    if (point_find(request->cappoint, request->capvalue, &capture->point, &error) != STATUS_OK) {
        capture_end_with_error(capture, error.code == ERROR_HOST ? STOP_INTERNAL : STOP_INTERFACE_GONE,
                               &error);
        return;
    }
    if (point_look(capture->point.index, &capture->interface_dropped_start) == POINT_UP)
        capture->interface_dropped = capture->interface_dropped_start;
    if (tap_open(&settings, &capture->tap, &reason, &error) != STATUS_OK)
        capture_end_with_error(capture, reason, &error);
}

static void open_file(struct capture *capture)
{
    char name[sizeof capture->run.file], path[DATA_PATH_SIZE];
    struct error error;

    if (capture_is_stream(capture)) {
        capture_open_stream(capture);
        return;
    }
    if (capture->sink_open) {
        if (pcap_file_linktype(&capture->sink) != tap_linktype(capture->tap)) {
            error_set(&error, ERROR_HOST, NULL, "interface %s has another link type now",
                      capture->point.name);
            capture_end_with_error(capture, STOP_INTERFACE_GONE, &error);
        }
        return;
    }
    data_dir_capture_name(capture->plan.session.id, capture->run.number, capture->plan.lease.claim, name,
                          sizeof name);
    data_dir_path(capture->plan.directory, name, path);
    if (pcap_file_create(path, tap_linktype(capture->tap), (uint32_t)capture->plan.session.limits.snaplen,
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
    uint64_t reserve =
        capture_is_stream(capture) ? 0 : writer_reserve(directory, capture->plan.reserve_bytes);
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
    uint64_t reserve = writer_reserve(directory, capture->plan.reserve_bytes);
    struct error error;

    if (!capture_is_stream(capture) &&
        writer_check_space(directory, reserve, WRITER_BATCH_SIZE, &error) != STATUS_OK)
        capture_end_with_error(capture, STOP_DISK_LOW, &error);
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
    capture->size_limit =
        capture_is_stream(capture) ? INT64_MAX : capture->plan.session.limits.file_size_mb * 1000000;
}

void capture_open(struct capture *capture)
{
    static void (*const STEPS[])(struct capture *) = {check_space, open_tap,    note_gap,
                                                      open_file,   open_writer, start_clock};

    capture->dropped_before = capture->run.counters.packets_dropped;
    capture->interface_dropped_before = capture->run.counters.packets_dropped_interface;
    if (capture->plan.lease.resumed && capture_is_stream(capture))
        capture_take_stream_over(capture);
    else if (capture->plan.lease.resumed)
        take_over(capture);
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && !capture_has_ended(capture); i++)
        STEPS[i](capture);
    note_gap(capture); /* where it came to no tap */
}
