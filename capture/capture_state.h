/*
 * A capture from within: what its thread works on. Private to capture.c (running and ending),
 * capture_take.c (taking packets), capture_open.c (getting there), capture_files.c and capture_stream.c
 * (where the packets go).
 */
#ifndef PKTCAPD_CAPTURE_CAPTURE_STATE_H
#define PKTCAPD_CAPTURE_CAPTURE_STATE_H

#include "capture/allowance.h"
#include "capture/capture.h"
#include "capture/echo.h"
#include "capture/point_watch.h"
#include "capture/rate.h"
#include "capture/ring.h"
#include "capture/tap.h"
#include "capture/writer.h"

#include <pthread.h>
#include <stdatomic.h>

struct capture {
    struct capture_plan plan;
    pthread_t thread;
    int order_fd; /* an eventfd, readable once there is an order */
    atomic_int order;

    pthread_mutex_t mutex; /* guards the next two */
    struct capture_report report;
    struct ring *ring; /* once all is known of it; NULL: there is none */

    /* The rest belongs to the thread. */
    struct point point;
    struct point_watch *watch;
    struct filter_exclusions exclusions; /* the service's own traffic */
    struct tap *tap;
    struct echo *echo; /* of a stream */
    struct sink sink;
    bool sink_open; /* and not yet the writer's */
    struct writer *writer;
    struct writer_totals totals;
    char noted[sizeof((struct writer_totals *)0)->note]; /* the sink's last word that is in errormsg */
    struct run run;
    int64_t opened_ns; /* epoch: the tap took packets in from then on */
    struct rate rate;
    int64_t skipped;                        /* by caprate, in this worker's time */
    int64_t skipped_before;                 /* and by earlier workers of this run */
    int64_t cutoff_ns;                      /* epoch: packets after it came after the deadline; 0: none yet */
    int64_t read_bytes;                     /* encoded in the read under way */
    int64_t packets, size, size_limit;      /* as encoded: ahead of totals; size and limit are of a file */
    struct allowance allowance;             /* of all files of the run */
    int64_t packets_before;                 /* by earlier workers of this run */
    int64_t handed_over;                    /* packets, to the writer, by the last flush */
    enum stop_reason limit_reached;         /* no more packets are taken */
    int64_t deadline_ns, flush_ns, look_ns; /* monotonic */
    int64_t count_ns;                       /* monotonic; 0: the counters have caught up */
    int64_t dropped_before;                 /* by earlier workers of this run */
    uint64_t interface_dropped_start, interface_dropped;
    int64_t interface_dropped_before;
    int64_t blind_from_ms; /* since then no worker captured; 0: told already, or never */
    int64_t frozen_ms;     /* when the tap took its last packet in; 0: it still takes */
};

/* Does what has to be done before the first packet: takes an earlier worker's file over, opens tap, file and
 * writer, and starts the clock. Ends the capture if something is in the way. */
void capture_open(struct capture *capture);

/* The run ends now, in this state and for this reason. */
void capture_end(struct capture *capture, enum session_state state, enum stop_reason reason);

/* The run ends in state ERROR; errormsg gets the error's message. */
void capture_end_with_error(struct capture *capture, enum stop_reason reason, const struct error *error);

/* The thread ends, the run does not: it is given back, to be tried again later. */
void capture_hold_back(struct capture *capture, const struct error *error);

/* Ended, or suspended for another worker. */
bool capture_has_ended(const struct capture *capture);

/* What it captures is streamed: there is no file. */
bool capture_is_stream(const struct capture *capture);

/* Wall-clock time at which the duration is over. */
int64_t capture_deadline_ms(const struct capture *capture);

/* capture_take.c: one read; *more says that packets are waiting. Returns as tap_read(). */
int capture_read_packets(struct capture *capture, bool *more);

/* Lets no more packets in, and reads what the kernel took in before. */
void capture_drain(struct capture *capture);

/* What the tap did in this worker's time, for the statistics at the end of a file. */
void capture_summarize(const struct capture *capture, struct sink_summary *summary);

/* capture_files.c: opens the file or the ring, and takes an earlier worker's over. */
void capture_open_files(struct capture *capture);
void capture_take_files_over(struct capture *capture);

/* capture_stream.c: opens the way to the collector, and takes an earlier worker's stream over. */
void capture_open_stream(struct capture *capture);
void capture_take_stream_over(struct capture *capture);

/* Whether a stream takes a packet: nothing that it sent itself. To know that, the tap keeps more of a packet
 * than the stream sends; it is cut here. */
bool capture_stream_takes(struct capture *capture, struct packet *packet);

/* Adds a sentence to errormsg. */
void capture_note(struct capture *capture, const char *text);

/* Brings run.counters up to date with sink and tap. */
void capture_count(struct capture *capture);

#endif
