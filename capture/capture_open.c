#include "capture/capture_state.h"

#include "capture/own_traffic.h"
#include "capture/place.h"
#include "capture/ring.h"
#include "core/clock.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
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

static const struct file_format *format_of(const struct capture *capture)
{
    return capture->plan.session.request.capformat == CAPFORMAT_PCAPNG ? &pcapng_format : &pcap_format;
}

static bool wants_ring(const struct capture *capture)
{
    return capture->plan.session.request.capfilecount > 0;
}

static int64_t file_limit(const struct capture *capture)
{
    return capture->plan.session.limits.file_size_mb * 1000000;
}

static enum status ring_make(const struct capture *capture, struct ring **ring, struct error *error)
{
    struct ring_settings settings = {
        .directory = capture->plan.directory,
        .session_id = capture->plan.session.id,
        .run = capture->run.number,
        .claim = capture->plan.lease.claim,
        .most = (size_t)capture->plan.session.request.capfilecount,
        .format = format_of(capture),
    };

    return ring_open(&settings, ring, error);
}

/* From now on reports tell of the ring. */
static void ring_publish(struct capture *capture, struct ring *ring)
{
    pthread_mutex_lock(&capture->mutex);
    capture->ring = ring;
    pthread_mutex_unlock(&capture->mutex);
}

static enum status reopen_ring(struct capture *capture, struct file_tally *tally, struct error *error)
{
    struct ring_known known = {capture->plan.files, capture->plan.file_count,
                               capture->run.counters.packets_overwritten};
    struct ring *ring;

    if (ring_make(capture, &ring, error) != STATUS_OK)
        return error->status;
    if (ring_reopen(ring, &known, &capture->sink, tally, error) != STATUS_OK) {
        ring_free(ring);
        return error->status;
    }
    ring_publish(capture, ring);
    return STATUS_OK;
}

static enum status reopen_sink(struct capture *capture, struct file_tally *tally, struct error *error)
{
    char path[DATA_PATH_SIZE];

    if (wants_ring(capture))
        return reopen_ring(capture, tally, error);
    data_dir_path(capture->plan.directory, capture->run.file, path);
    return capture_file_reopen(path, format_of(capture), &capture->sink, tally, error);
}

/* Where the sink stands, for the counters and the limits. */
static void note_sink_state(struct capture *capture, const struct file_tally *tally)
{
    const struct sink *sink = &capture->sink;

    capture->totals.packets = tally->packets;
    capture->totals.packet_bytes = tally->packet_bytes;
    capture->totals.overwritten = sink->overwritten;
    capture->totals.size = sink->size;
    capture->packets = capture->packets_before = tally->packets + sink->overwritten;
    capture->size = sink->file_size;
}

/* Takes over what an earlier worker left: its files, its counters and the rest of the limits. */
static void take_over(struct capture *capture)
{
    const struct limits *limits = &capture->plan.session.limits;
    struct file_tally tally;
    struct error error;

    if (reopen_sink(capture, &tally, &error) != STATUS_OK) {
        not_taken_over(capture, &error);
        return;
    }
    capture->sink_open = true;
    capture->totals = (struct writer_totals){.flushed_ms = capture->plan.lease.reported_ms};
    note_sink_state(capture, &tally);
    capture_count(capture);
    if (limits->packets != 0 && capture->packets >= limits->packets) {
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
    char value[POINT_VALUE_SIZE];
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

static void make_header(const struct capture *capture, struct file_header *header)
{
    const struct session *session = &capture->plan.session;
    const struct packet_capture_request *request = &session->request;
    char description[1200], interface[POINT_VALUE_SIZE], filter[FILE_TEXT_MAX];
    struct file_subject subject = {
        .linktype = capture->tap->linktype,
        .snaplen = (uint32_t)session->limits.snaplen,
        .interface = point_value(&capture->point, interface),
        .description = description,
        .filter = filter,
    };

    filter_describe(request, capture->tap->linktype, &capture->exclusions, filter, sizeof filter);
    snprintf(description, sizeof description, "%s of session %s",
             names_of(&cappoint_names, (int)request->cappoint),
             request->name[0] == '\0' ? session->id : request->name);
    format_of(capture)->make_header(&subject, header);
}

static enum status create_file(struct capture *capture, const struct file_header *header, struct error *error)
{
    struct capture_name name = {
        .session_id = capture->plan.session.id,
        .run = capture->run.number,
        .claim = capture->plan.lease.claim,
        .suffix = format_of(capture)->suffix,
    };
    char file[sizeof capture->run.file], path[DATA_PATH_SIZE];

    data_dir_capture_name(&name, file, sizeof file);
    data_dir_path(capture->plan.directory, file, path);
    enum status status = capture_file_create(path, format_of(capture), header, &capture->sink, error);
    if (status == STATUS_OK)
        memcpy(capture->run.file, file, sizeof file);
    return status;
}

static enum status create_ring(struct capture *capture, const struct file_header *header, struct error *error)
{
    struct ring *ring;

    if (ring_make(capture, &ring, error) != STATUS_OK)
        return error->status;
    if (ring_create(ring, header, &capture->sink, error) != STATUS_OK) {
        ring_free(ring);
        return error->status;
    }
    ring_publish(capture, ring);
    return STATUS_OK;
}

static void create_sink(struct capture *capture, const struct file_header *header)
{
    const struct file_tally nothing = {0};
    struct error error;
    enum status status =
        wants_ring(capture) ? create_ring(capture, header, &error) : create_file(capture, header, &error);

    if (status != STATUS_OK && error.code == ERROR_SESSION_RUNNING)
        capture_hold_back(capture, &error);
    else if (status != STATUS_OK)
        capture_end_with_error(capture, error.code == ERROR_STORE_FULL ? STOP_DISK_LOW : STOP_INTERNAL,
                               &error);
    if (status != STATUS_OK)
        return;
    capture->sink_open = true;
    note_sink_state(capture, &nothing);
}

/* Goes on with what take_over() found. */
static void continue_sink(struct capture *capture, const struct file_header *header)
{
    struct sink *sink = &capture->sink;
    bool ring = capture->ring != NULL;
    struct error error;
    enum status status;

    if ((ring ? ring_linktype(sink) : capture_file_linktype(sink)) != capture->tap->linktype) {
        error_set(&error, ERROR_HOST, NULL, "interface %s has another link type now", capture->point.name);
        capture_end_with_error(capture, STOP_INTERFACE_GONE, &error);
        return;
    }
    if (!ring && !capture_file_has_room(sink, header, file_limit(capture))) {
        capture_end(capture, STATE_FINISHED, STOP_FILE_SIZE);
        return;
    }
    status = ring ? ring_continue(sink, header, file_limit(capture), &error)
                  : capture_file_continue(sink, header, &error);
    if (status != STATUS_OK)
        capture_end_with_error(capture, error.code == ERROR_STORE_FULL ? STOP_DISK_LOW : STOP_INTERNAL,
                               &error);
    capture->totals.size = sink->size;
    capture->size = sink->file_size;
}

static void open_file(struct capture *capture)
{
    struct file_header *header = malloc(sizeof *header);
    struct error error;

    if (header == NULL) {
        error_set(&error, ERROR_INTERNAL, NULL, "out of memory");
        capture_hold_back(capture, &error);
        return;
    }
    make_header(capture, header);
    if (capture->sink_open)
        continue_sink(capture, header);
    else
        create_sink(capture, header);
    free(header);
}

static void open_sink(struct capture *capture)
{
    if (capture_is_stream(capture))
        capture_open_stream(capture);
    else
        open_file(capture);
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
    int64_t left_ms = deadline_ms(capture) - now_ms < most_ms ? deadline_ms(capture) - now_ms : most_ms;
    capture->deadline_ns = clock_monotonic_ns() + left_ms * NS_PER_MS;
    capture->size_limit =
        capture_is_stream(capture) ? INT64_MAX : file_limit(capture) - (int64_t)capture->sink.trailer_size;
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
        take_over(capture);
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0] && !capture_has_ended(capture); i++)
        STEPS[i](capture);
    note_gap(capture); /* where it came to no tap */
}
