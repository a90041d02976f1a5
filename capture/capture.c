#include "capture/capture_state.h"

#include "core/clock.h"
#include "core/log.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    FLUSH_MS = 250, /* a growing file is this fresh */
    STREAM_FLUSH_MS = 20,
    LOOK_MS = 1000, /* how often the interface is looked at, traffic or not */
    COUNT_MS = 20,  /* what the disk gets before the counters ask it again */
    NAP_MOST_MS = 16,
};

static void notify(const struct capture *capture)
{
    uint64_t one = 1;

    if (write(capture->plan.notify_fd, &one, sizeof one) < 0 && errno != EAGAIN)
        log_error("cannot notify: %s", strerror(errno));
}

/* What the sink has to say goes to errormsg once, while the capture goes on. */
static void note_sink(struct capture *capture)
{
    if (strcmp(capture->totals.note, capture->noted) == 0)
        return;
    memcpy(capture->noted, capture->totals.note, sizeof capture->noted);
    if (capture->noted[0] != '\0')
        capture_note(capture, capture->noted);
}

void capture_count(struct capture *capture)
{
    struct counters *counters = &capture->run.counters;
    struct tap_statistics statistics;

    if (capture->writer != NULL)
        writer_read_totals(capture->writer, &capture->totals);
    counters->packets_captured = capture->totals.packets;
    counters->bytes_captured = capture->totals.packet_bytes;
    counters->file_size = capture->totals.size;
    counters->packets_skipped = capture->skipped_before + capture->skipped;
    counters->packets_overwritten = capture->totals.overwritten;
    counters->packets_streamed = capture->totals.streamed;
    counters->packets_unsent = capture->totals.unsent;
    counters->packets_fragmented = capture->totals.fragmented;
    note_sink(capture);
    if (capture->tap == NULL)
        return;
    tap_read_statistics(capture->tap, &statistics);
    counters->packets_dropped = capture->dropped_before + statistics.dropped + capture->totals.lost_packets;
    /* A driver may start its counters anew. */
    if (capture->interface_dropped >= capture->interface_dropped_start)
        counters->packets_dropped_interface =
            capture->interface_dropped_before +
            (int64_t)(capture->interface_dropped - capture->interface_dropped_start);
}

static void report_publish(struct capture *capture, enum capture_phase phase)
{
    pthread_mutex_lock(&capture->mutex);
    bool changed = capture->report.phase != phase;
    capture->report.phase = phase;
    capture->report.run = capture->run;
    capture->report.reported_ms = capture->totals.flushed_ms;
    pthread_mutex_unlock(&capture->mutex);
    if (changed)
        notify(capture);
}

void capture_end(struct capture *capture, enum session_state state, enum stop_reason reason)
{
    capture->run.state = state;
    capture->run.stop_reason = reason;
    capture->run.ended_ms = clock_now_ms();
}

/* When the sentences become too many, the first and the newest are kept. */
void capture_note(struct capture *capture, const char *text)
{
    static const char BETWEEN[] = "; ", CUT[] = "; more was left out; ";
    char *message = capture->run.errormsg;
    const char *join = message[0] == '\0' ? "" : BETWEEN;

    if (strlen(message) + strlen(CUT) + strlen(text) >= sizeof capture->run.errormsg) {
        size_t first = strcspn(message, ";");
        message[first < sizeof capture->run.errormsg / 3 ? first : 0] = '\0';
        join = CUT;
    }
    size_t used = strlen(message);
    snprintf(message + used, sizeof capture->run.errormsg - used, "%s%s", join, text);
    text_make_plain(message);
}

void capture_end_with_error(struct capture *capture, enum stop_reason reason, const struct error *error)
{
    capture_note(capture, error->message);
    capture_end(capture, STATE_ERROR, reason);
}

static void suspend(struct capture *capture, bool held_back)
{
    pthread_mutex_lock(&capture->mutex);
    capture->report.suspended = true;
    capture->report.held_back = held_back;
    pthread_mutex_unlock(&capture->mutex);
}

void capture_hold_back(struct capture *capture, const struct error *error)
{
    log_info("session %s waits: %s", capture->plan.session.id, error->message);
    suspend(capture, true);
}

bool capture_has_ended(const struct capture *capture)
{
    return session_state_has_ended(capture->run.state) || capture->report.suspended;
}

/* ---- running ---- */

static void look_at_interface(struct capture *capture)
{
    struct error error;
    enum status status = point_watch_look(capture->watch, &capture->interface_dropped, &error);

    capture->look_ns = clock_monotonic_ns() + LOOK_MS * NS_PER_MS;
    if (status == STATUS_OK)
        return;
    capture_drain(capture);
    capture_end_with_error(capture, STOP_INTERFACE_GONE, &error);
}

static void obey(struct capture *capture)
{
    enum capture_order order = (enum capture_order)atomic_load(&capture->order);

    if (order == ORDER_NONE)
        return;
    /* What the ring still holds would only take the files further beyond the quota. */
    if (order != ORDER_ABANDON && order != ORDER_QUOTA)
        capture_drain(capture);
    if (order == ORDER_TERMINATE)
        capture_end(capture, STATE_STOPPED, STOP_TERMINATED);
    else if (order == ORDER_QUOTA)
        capture_end(capture, STATE_FINISHED, STOP_QUOTA);
    else
        suspend(capture, false);
}

static void check_writer(struct capture *capture)
{
    bool disk_full = capture->totals.error.code == ERROR_STORE_FULL;

    if (capture->totals.failed && capture->run.state != STATE_ERROR)
        capture_end_with_error(capture, disk_full ? STOP_DISK_LOW : STOP_INTERNAL, &capture->totals.error);
}

static void check_limits(struct capture *capture)
{
    if (capture->limit_reached != 0) {
        capture_end(capture, STATE_FINISHED, capture->limit_reached);
    } else if (clock_monotonic_ns() >= capture->deadline_ns) {
        capture_end(capture, STATE_FINISHED, STOP_DURATION);
        capture->cutoff_ns = clock_now_ns() - (clock_monotonic_ns() - capture->deadline_ns);
        capture_drain(capture);
    }
}

static void flush(struct capture *capture, int64_t now_ns)
{
    capture->flush_ns = now_ns + (capture_is_stream(capture) ? STREAM_FLUSH_MS : FLUSH_MS) * NS_PER_MS;
    /* What is younger than a block's retirement may still be in the ring. */
    writer_flush(capture->writer, clock_now_ms() - TAP_RETIRE_MS);
    capture->handed_over = capture->packets;
}

static void tick(struct capture *capture)
{
    int64_t now_ns = clock_monotonic_ns();
    bool due = now_ns >= capture->flush_ns || now_ns >= capture->look_ns;

    if (!due && (capture->count_ns == 0 || now_ns < capture->count_ns))
        return;
    if (due)
        flush(capture, now_ns);
    if (now_ns >= capture->look_ns)
        look_at_interface(capture);
    capture_count(capture);
    /* The writer is still at it: on an interface that fell silent nothing else would bring the rest. */
    bool behind = capture->totals.packets + capture->totals.overwritten + capture->totals.unsent +
                      capture->totals.lost_packets <
                  capture->handed_over;
    capture->count_ns = behind ? now_ns + COUNT_MS * NS_PER_MS : 0;
    check_writer(capture);
    report_publish(capture, CAPTURE_RUNNING);
}

/* How long packets may gather in the ring while they flow: each wake-up costs more than hundreds of packets
 * do. Half a millisecond for each MiB leaves a third of the ring free at 10 Gbit/s. */
static int64_t nap_ns(const struct capture *capture)
{
    int64_t ns = capture->plan.ring_mb * NS_PER_MS / 2;

    return ns < NAP_MOST_MS * NS_PER_MS ? ns : NAP_MOST_MS * NS_PER_MS;
}

static int64_t time_to_wake_ns(const struct capture *capture)
{
    int64_t next_ns = capture->deadline_ns;

    if (capture->look_ns < next_ns)
        next_ns = capture->look_ns;
    if (writer_has_pending(capture->writer) && capture->flush_ns < next_ns)
        next_ns = capture->flush_ns;
    if (capture->count_ns != 0 && capture->count_ns < next_ns)
        next_ns = capture->count_ns;
    next_ns -= clock_monotonic_ns();
    return next_ns < 0 ? 0 : next_ns;
}

/* Sleeps until there is something to do. With packets flowing that is when the nap is over, or an order
 * comes; a tap that is to be read at once leaves no time for naps. */
static void wait_for_work(const struct capture *capture, bool flowing, struct pollfd ready[3])
{
    int64_t wait_ns = time_to_wake_ns(capture);
    bool naps = flowing && !capture->tap->prompt;
    int first = naps ? 1 : 0;

    if (naps && nap_ns(capture) < wait_ns)
        wait_ns = nap_ns(capture);
    ready[0].revents = ready[1].revents = ready[2].revents = 0;
    ppoll(ready + first, (nfds_t)(3 - first),
          &(struct timespec){.tv_sec = wait_ns / NS_PER_S, .tv_nsec = wait_ns % NS_PER_S}, NULL);
}

static void run(struct capture *capture)
{
    struct pollfd ready[] = {{.fd = capture->tap->fd, .events = POLLIN},
                             {.fd = capture->order_fd, .events = POLLIN},
                             {.fd = point_watch_fd(capture->watch), .events = POLLIN}};
    bool more = false;
    int got = 0;

    while (!capture_has_ended(capture)) {
        if (!more)
            wait_for_work(capture, got > 0, ready);
        got = capture_read_packets(capture, &more);
        check_limits(capture);
        if (!capture_has_ended(capture))
            obey(capture);
        if (!capture_has_ended(capture) &&
            (got < 0 || (ready[0].revents & POLLERR) != 0 || point_watch_read(capture->watch)))
            look_at_interface(capture);
        if (!capture_has_ended(capture))
            tick(capture);
    }
}

/* ---- the thread ---- */

static void close_writer(struct capture *capture)
{
    struct writer *writer = capture->writer;
    struct sink_summary summary;

    writer_flush(writer, capture->frozen_ms == 0 ? clock_now_ms() : capture->frozen_ms);
    capture->writer = NULL;
    capture_summarize(capture, &summary);
    writer_close(writer, &summary, &capture->totals);
    check_writer(capture);
}

static void close_tap(struct capture *capture)
{
    struct tap_statistics statistics;

    capture_count(capture);
    tap_read_statistics(capture->tap, &statistics);
    /* Without a disk to write to, what the kernel had taken in is lost as well. */
    if (capture->totals.failed)
        capture->run.counters.packets_dropped += statistics.waiting;
    tap_close(capture->tap);
    capture->tap = NULL;
}

static void close_all(struct capture *capture)
{
    struct error error;

    /* The statistics in the file are the session's: nothing is counted any more. */
    if (capture->tap != NULL) {
        tap_freeze(capture->tap);
        if (point_watch_look(capture->watch, &capture->interface_dropped, &error) != STATUS_OK)
            log_debug("%s", error.message); /* the end has been told already, or this came behind it */
    }
    if (capture->writer != NULL)
        close_writer(capture);
    else if (capture->sink_open && capture->sink.ops->close(&capture->sink, NULL, &error) != STATUS_OK)
        capture_note(capture, error.message);
    if (capture->tap != NULL)
        close_tap(capture);
    if (capture->watch != NULL)
        point_watch_close(capture->watch);
}

static void *capture_thread(void *argument)
{
    struct capture *capture = argument;

    capture_open(capture);
    if (!capture_has_ended(capture)) {
        capture_count(capture);
        report_publish(capture, CAPTURE_RUNNING);
        run(capture);
    }
    close_all(capture);
    report_publish(capture, CAPTURE_ENDED);
    return NULL;
}

enum status capture_start(const struct capture_plan *plan, struct capture **out, struct error *error)
{
    struct capture *capture = calloc(1, sizeof *capture);
    int failed;

    if (capture == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    capture->plan = *plan;
    capture->run = plan->session.run;
    capture->report.run = capture->run;
    capture->report.reported_ms = plan->lease.reported_ms;
    allowance_begin(&capture->allowance, plan->purse, plan->most, capture->run.counters.file_size);
    capture->order_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    pthread_mutex_init(&capture->mutex, NULL);
    failed = capture->order_fd < 0 ? errno : pthread_create(&capture->thread, NULL, capture_thread, capture);
    if (failed != 0) {
        error_set(error, ERROR_INTERNAL, NULL, "cannot start a capture thread: %s", strerror(failed));
        if (capture->order_fd >= 0)
            close(capture->order_fd);
        pthread_mutex_destroy(&capture->mutex);
        allowance_move(&capture->allowance, NULL);
        free(capture);
        return error->status;
    }
    *out = capture;
    return STATUS_OK;
}

void capture_give_order(struct capture *capture, enum capture_order order)
{
    int none = ORDER_NONE;
    uint64_t one = 1;

    if (atomic_compare_exchange_strong(&capture->order, &none, (int)order) &&
        write(capture->order_fd, &one, sizeof one) < 0)
        log_error("cannot give an order: %s", strerror(errno));
}

void capture_move(struct capture *capture, struct purse *purse)
{
    allowance_move(&capture->allowance, purse);
}

void capture_set_most(struct capture *capture, int64_t most)
{
    allowance_set_most(&capture->allowance, most);
}

int64_t capture_bytes(const struct capture *capture)
{
    return atomic_load(&capture->allowance.used);
}

void capture_read_report(struct capture *capture, struct capture_report *report)
{
    pthread_mutex_lock(&capture->mutex);
    *report = capture->report;
    pthread_mutex_unlock(&capture->mutex);
}

struct run_file *capture_read_files(struct capture *capture, size_t *count, struct counters *counters)
{
    pthread_mutex_lock(&capture->mutex);
    struct ring *ring = capture->ring;
    pthread_mutex_unlock(&capture->mutex);
    if (ring == NULL)
        return NULL;
    struct run_file *files = malloc(ring_room(ring) * sizeof *files);
    if (files != NULL)
        *count = ring_read(ring, files, counters);
    return files;
}

void capture_free(struct capture *capture)
{
    pthread_join(capture->thread, NULL);
    close(capture->order_fd);
    pthread_mutex_destroy(&capture->mutex);
    rate_free(&capture->rate);
    allowance_free(&capture->allowance);
    echo_free(capture->echo);
    if (capture->ring != NULL)
        ring_free(capture->ring);
    free(capture->plan.files);
    free(capture);
}
