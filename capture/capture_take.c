/* Taking packets from the tap: which of them, up to which limit, into which file. */
#include "capture/capture_state.h"

#include "core/clock.h"

#include <poll.h>

enum { READ_MOST = WRITER_BATCH_SIZE }; /* bytes, of one read */

void capture_summarize(const struct capture *capture, struct sink_summary *summary)
{
    struct tap_statistics statistics = {0};

    if (capture->tap != NULL)
        tap_read_statistics(capture->tap, &statistics);
    /* What the tap took in behind a limit is no part of the capture. */
    *summary = (struct sink_summary){
        .started_ns = capture->opened_ns,
        .ended_ns = clock_now_ns(),
        .matched = capture->packets - capture->packets_before + capture->skipped + statistics.dropped,
        .dropped = statistics.dropped,
        .skipped = capture->skipped,
        .dropped_interface = capture->interface_dropped < capture->interface_dropped_start
                                 ? 0
                                 : (int64_t)(capture->interface_dropped - capture->interface_dropped_start),
    };
}

/* In a ring, this packet begins the next file. */
static void start_file(struct capture *capture, const struct packet *packet)
{
    const struct sink *sink = &capture->sink;
    struct sink_summary summary;

    capture_summarize(capture, &summary);
    writer_start_file(capture->writer, packet, &summary);
    capture->size = (int64_t)sink->header_size;
    allowance_add_file(&capture->allowance, (int64_t)(sink->header_size + sink->trailer_size));
}

/* Whether the owner's quota has room for a packet of this size, and for a file around it where it begins one.
 */
static bool is_allowed(const struct capture *capture, int64_t size, bool starts_file)
{
    const struct sink *sink = &capture->sink;

    if (!starts_file)
        return allowance_takes(&capture->allowance, size);
    return allowance_takes_file(&capture->allowance, (int64_t)sink->header_size,
                                size + (int64_t)sink->trailer_size);
}

/* Finds room for a packet of this size; else the run has reached its end. */
static bool make_room(struct capture *capture, const struct packet *packet, int64_t size)
{
    bool full = capture->size + size > capture->size_limit;

    if (full && capture->ring == NULL)
        capture->limit_reached = STOP_FILE_SIZE;
    else if (!is_allowed(capture, size, full))
        capture->limit_reached = STOP_QUOTA;
    else if (full)
        start_file(capture, packet);
    return capture->limit_reached == 0;
}

static bool take_packet(void *context, const struct packet *packet)
{
    struct capture *capture = context;
    int64_t limit = capture->plan.session.limits.packets;

    if (capture->limit_reached != 0)
        return false;
    if (capture->cutoff_ns != 0 && packet->timestamp_ns > capture->cutoff_ns)
        return true;
    if (!rate_admits(&capture->rate, packet->timestamp_ns)) {
        capture->skipped++;
        return true;
    }
    int64_t size = (int64_t)writer_packet_size(capture->writer, packet->captured);
    if (!make_room(capture, packet, size))
        return false;
    size = (int64_t)writer_append(capture->writer, packet, (size_t)size);
    capture->size += size;
    allowance_add(&capture->allowance, size);
    capture->read_bytes += size;
    if (++capture->packets == limit)
        capture->limit_reached = STOP_PACKET_COUNT;
    return capture->limit_reached == 0 && capture->read_bytes < READ_MOST;
}

static bool take_for_stream(void *context, const struct packet *packet)
{
    struct packet cut = *packet;

    return capture_stream_takes(context, &cut) ? take_packet(context, &cut) : true;
}

/* No more than the disk takes at a time, so that a slow one does not hold up stop and deadline. */
int capture_read_packets(struct capture *capture, bool *more)
{
    capture->read_bytes = 0;
    int got = tap_read(capture->tap, capture->echo == NULL ? take_packet : take_for_stream, capture);
    *more = got == TAP_PACKETS_A_READ || capture->read_bytes >= READ_MOST;
    return got;
}

/* A block that is not full comes when it retires. */
void capture_drain(struct capture *capture)
{
    int64_t give_up_ns = clock_monotonic_ns() + 3 * TAP_RETIRE_MS * NS_PER_MS;
    struct tap_statistics statistics;
    struct pollfd ready = {.fd = capture->tap->fd, .events = POLLIN};
    bool more;

    capture->frozen_ms = clock_now_ms();
    tap_freeze(capture->tap);
    writer_hurry(capture->writer);
    for (;;) {
        int got = capture_read_packets(capture, &more);
        tap_read_statistics(capture->tap, &statistics);
        if (capture->limit_reached != 0 || statistics.waiting <= 0)
            return;
        if (got <= 0 && clock_monotonic_ns() >= give_up_ns)
            return;
        if (got <= 0)
            poll(&ready, 1, TAP_RETIRE_MS / 4);
    }
}
