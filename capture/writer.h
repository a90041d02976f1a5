/*
 * The writer: a thread that takes full batches from the capture thread and gives them to the sink.
 *
 * The capture thread appends packets and now and then flushes; it waits only when every batch is
 * under way, and then the kernel's ring takes the strain. After a failure the writer writes nothing more
 * and counts what it had to let go.
 */
#ifndef PKTCAPD_CAPTURE_WRITER_H
#define PKTCAPD_CAPTURE_WRITER_H

#include "capture/sink.h"

struct writer;

/* What is written at a time, at most: it must hold the largest packet. */
enum { WRITER_BATCH_SIZE = 1 << 20 };

/* What the sink holds by now. */
struct writer_totals {
    int64_t packets, packet_bytes, size; /* packets: without those overwritten */
    int64_t overwritten;                 /* packets in files of a ring that are gone */
    int64_t streamed, unsent, fragmented;
    char note[160];       /* the sink's word for errormsg; empty: none */
    int64_t lost_packets; /* encoded but not written, after a failure */
    int64_t flushed_ms;   /* everything that arrived before is in the sink */
    bool failed;          /* and then: */
    struct error error;   /* ERROR_STORE_FULL: the disk is full or at its reserve */
};

/* Takes the sink over. path names the file system whose reserve is watched: batches are refused when
 * fewer than reserve_bytes would stay free; 0: the disk is written full. start is what the sink holds
 * already. */
MUST_USE enum status writer_open(struct sink sink, const char *path, uint64_t reserve_bytes,
                                 const struct writer_totals *start, struct writer **writer,
                                 struct error *error);

/* Bytes that a packet takes in the sink. */
size_t writer_packet_size(const struct writer *writer, uint32_t captured);

/* Appends one packet of this writer_packet_size(); may wait for the disk. Returns the bytes that it took,
 * which may be a few less. */
size_t writer_append(struct writer *writer, const struct packet *packet, size_t size);

/* The packets from this one on, which is appended next, go to the next file of a ring. summary is what the
 * tap did until now. */
void writer_start_file(struct writer *writer, const struct packet *packet,
                       const struct sink_summary *summary);

/* Hands over what has been appended so far. now_ms: everything that arrived before it has been appended. */
void writer_flush(struct writer *writer, int64_t now_ms);

/* Whether something was appended and not handed over yet. */
bool writer_has_pending(const struct writer *writer);

/* The capture ends: what is written from now on waits no longer than it must. */
void writer_hurry(struct writer *writer);

void writer_read_totals(struct writer *writer, struct writer_totals *totals);

/* Writes the rest, makes it durable, ends the thread and frees the writer. summary: what the tap did. */
void writer_close(struct writer *writer, const struct sink_summary *summary, struct writer_totals *totals);

/* ERROR_STORE_FULL if fewer than reserve_bytes would stay free after wanted_bytes more. */
MUST_USE enum status writer_check_space(const char *path, uint64_t reserve_bytes, uint64_t wanted_bytes,
                                        struct error *error);

#endif
