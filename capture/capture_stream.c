/* Getting there where the packets are streamed: no file, and of an earlier worker just the counters. */
#include "capture/capture_state.h"
#include "capture/own_traffic.h"
#include "capture/stream_sink.h"
#include "core/clock.h"

#include <pcap/dlt.h>

bool capture_is_stream(const struct capture *capture)
{
    return capture->plan.session.request.capmode == CAPMODE_STREAM;
}

void capture_open_stream(struct capture *capture)
{
    const struct packet_capture_request *request = &capture->plan.session.request;
    const struct stream_settings settings = {
        .address = request->streamaddress,
        .port = request->streamport > 0 ? (uint16_t)request->streamport : STREAM_PORT,
        .mark = own_traffic_mark(capture->plan.lease.key),
        .linktype = capture->tap->linktype,
    };
    enum stop_reason reason = STOP_STREAM_UNREACHABLE;
    struct error error;

    if (stream_sink_open(&settings, &capture->sink, &error) != STATUS_OK) {
        if (error.code == ERROR_NO_PRIVILEGE)
            reason = STOP_PERMISSION;
        else if (error.code != ERROR_HOST && error.code != ERROR_BAD_VALUE)
            reason = STOP_INTERNAL;
        capture_end_with_error(capture, reason, &error);
        return;
    }
    capture->sink_open = true;
    capture->size_limit = INT64_MAX;
    if (!allowance_open(&capture->allowance, 1)) {
        error_set(&error, ERROR_INTERNAL, NULL, "out of memory");
        capture_hold_back(capture, &error);
        return;
    }
    allowance_add_file(&capture->allowance, 0);
    capture->echo = echo_open(settings.linktype == DLT_EN10MB);
    if (capture->echo == NULL) {
        error_set(&error, ERROR_INTERNAL, NULL, "out of memory");
        capture_hold_back(capture, &error);
    }
    capture->sink.streamed = capture->totals.streamed;
    capture->sink.streamed_bytes = capture->totals.packet_bytes;
    capture->sink.unsent = capture->totals.unsent;
    capture->sink.fragmented = capture->totals.fragmented;
}

bool capture_stream_takes(struct capture *capture, struct packet *packet)
{
    uint32_t snaplen = (uint32_t)capture->plan.session.limits.snaplen;

    if (echo_is_own(capture->echo, packet->data, packet->captured))
        return false;
    if (packet->captured > snaplen)
        packet->captured = snaplen;
    echo_note(capture->echo, packet->data, packet->captured);
    return true;
}

void capture_take_stream_over(struct capture *capture)
{
    const struct limits *limits = &capture->plan.session.limits;
    const struct counters *counters = &capture->run.counters;
    int64_t end_ms = capture->run.started_ms + limits->duration_s * MS_PER_S;

    capture->totals = (struct writer_totals){
        .packets = counters->packets_captured,
        .packet_bytes = counters->bytes_captured,
        .streamed = counters->packets_streamed,
        .unsent = counters->packets_unsent,
        .fragmented = counters->packets_fragmented,
        .flushed_ms = capture->plan.lease.reported_ms,
    };
    capture->packets = capture->handed_over = counters->packets_streamed + counters->packets_unsent;
    if (limits->packets != 0 && capture->packets >= limits->packets) {
        capture_end(capture, STATE_FINISHED, STOP_PACKET_COUNT);
        return;
    }
    capture->blind_from_ms = capture->plan.lease.reported_ms;
    if (clock_now_ms() >= end_ms) {
        capture_end(capture, STATE_ERROR, STOP_WORKER_LOST);
        capture->run.ended_ms = end_ms;
    }
}
