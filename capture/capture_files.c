/* Getting there where the packets go to a file or a ring of files: new ones, or an earlier worker's. */
#include "capture/capture_state.h"

#include "core/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A power cut may have taken the file, as only its end is waited for: then the run goes on with a new one. A
 * worker that is slow may still hold it: then the run waits for that, as long as it has time. */
static void not_taken_over(struct capture *capture, const struct error *error)
{
    if (error->code == ERROR_NO_SUCH_FILE)
        capture->blind_from_ms = capture->run.started_ms;
    else if (error->code != ERROR_SESSION_RUNNING)
        capture_end_with_error(capture, STOP_INTERNAL, error);
    else if (clock_now_ms() < capture_deadline_ms(capture))
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
void capture_take_files_over(struct capture *capture)
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
    if (clock_now_ms() >= capture_deadline_ms(capture)) {
        capture_end(capture, STATE_ERROR, STOP_WORKER_LOST);
        capture->run.ended_ms = capture_deadline_ms(capture);
    }
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

/* ---- how much they may take ---- */

static void end_without_room(struct capture *capture)
{
    if (capture->run.state == STATE_CREATED)
        capture_note(capture, "the owner's files take all that they may: there was no room for another");
    capture_end(capture, STATE_FINISHED, STOP_QUOTA);
}

/* The quota counts what an earlier worker wrote. */
static enum status allow_for_files(struct capture *capture, struct error *error)
{
    struct counters ignored;
    size_t count = 0;

    if (capture->ring == NULL) {
        allowance_add_file(&capture->allowance, capture->sink.size);
        return STATUS_OK;
    }
    struct run_file *files = capture_read_files(capture, &count, &ignored);
    if (files == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    for (size_t i = 0; i < count; i++)
        allowance_add_file(&capture->allowance, files[i].file_size);
    free(files);
    return STATUS_OK;
}

static void open_allowance(struct capture *capture)
{
    size_t most_files = wants_ring(capture) ? (size_t)capture->plan.session.request.capfilecount : 1;
    struct error error;
    enum status status = STATUS_OK;

    if (!allowance_open(&capture->allowance, capture->plan.lease.quota_left, most_files))
        status = error_set(&error, ERROR_INTERNAL, NULL, "out of memory");
    if (status == STATUS_OK && capture->sink_open)
        status = allow_for_files(capture, &error);
    if (status != STATUS_OK)
        capture_hold_back(capture, &error);
}

/* ---- new ones ---- */

static void create_sink(struct capture *capture, const struct file_header *header)
{
    size_t trailer_size = format_of(capture)->trailer_size;
    const struct file_tally nothing = {0};
    struct error error;

    if (!allowance_takes_file(&capture->allowance, (int64_t)header->size, (int64_t)trailer_size)) {
        end_without_room(capture);
        return;
    }
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
    allowance_add_file(&capture->allowance, (int64_t)(header->size + trailer_size));
}

/* ---- those of an earlier worker ---- */

/* How large the newest file may become: capfilesize, or what the quota leaves. */
static int64_t growth_limit(const struct capture *capture)
{
    const struct allowance *allowance = &capture->allowance;

    if (allowance_takes(allowance, file_limit(capture) - capture->sink.file_size))
        return file_limit(capture);
    return capture->sink.file_size + allowance->most - allowance->used;
}

/* Whether the file, or some file of the ring, can go on; else the run ends. */
static bool can_continue(struct capture *capture, const struct file_header *header)
{
    bool ring = capture->ring != NULL;

    if (!ring && !capture_file_has_room(&capture->sink, header, file_limit(capture)))
        capture_end(capture, STATE_FINISHED, STOP_FILE_SIZE);
    else if (!allowance_takes(&capture->allowance, 0) ||
             (!ring && !capture_file_has_room(&capture->sink, header, growth_limit(capture))))
        end_without_room(capture);
    return !capture_has_ended(capture);
}

/* Whether a worker's section was begun in the newest file; else that waits for the next file of the ring. */
static void note_section(struct capture *capture, int64_t size_before, bool begun)
{
    const struct sink *sink = &capture->sink;

    capture->totals.size = sink->size;
    capture->size = begun ? sink->file_size : file_limit(capture);
    if (begun && format_of(capture)->has_sections)
        allowance_add(&capture->allowance, sink->file_size - size_before + (int64_t)sink->trailer_size);
}

/* Goes on with what capture_take_files_over() found. */
static void continue_sink(struct capture *capture, const struct file_header *header)
{
    struct sink *sink = &capture->sink;
    bool ring = capture->ring != NULL;
    int64_t limit = growth_limit(capture), size_before = sink->file_size;
    struct error error;
    enum status status;

    if ((ring ? ring_linktype(sink) : capture_file_linktype(sink)) != capture->tap->linktype) {
        error_set(&error, ERROR_HOST, NULL, "interface %s has another link type now", capture->point.name);
        capture_end_with_error(capture, STOP_INTERFACE_GONE, &error);
        return;
    }
    if (!can_continue(capture, header))
        return;
    status = ring ? ring_continue(sink, header, limit, &error) : capture_file_continue(sink, header, &error);
    if (status != STATUS_OK)
        capture_end_with_error(capture, error.code == ERROR_STORE_FULL ? STOP_DISK_LOW : STOP_INTERNAL,
                               &error);
    note_section(capture, size_before, !ring || sink->file_size != limit);
}

void capture_open_files(struct capture *capture)
{
    struct file_header *header = malloc(sizeof *header);
    struct error error;

    if (header == NULL) {
        error_set(&error, ERROR_INTERNAL, NULL, "out of memory");
        capture_hold_back(capture, &error);
        return;
    }
    make_header(capture, header);
    open_allowance(capture);
    if (!capture_has_ended(capture) && capture->sink_open)
        continue_sink(capture, header);
    else if (!capture_has_ended(capture))
        create_sink(capture, header);
    capture->size_limit = file_limit(capture) - (int64_t)format_of(capture)->trailer_size;
    free(header);
}
