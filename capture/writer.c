#include "capture/writer.h"

#include "host/data_dir.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A batch must hold the largest packet; four of them give a stalled disk 4 MiB of patience before the ring.
 */
enum { BATCH_COUNT = 4, BATCH_SIZE = WRITER_BATCH_SIZE, LOOK_MS = 200 };

struct writer {
    struct sink sink;
    char path[DATA_PATH_SIZE];
    uint64_t reserve_bytes;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct batch batches[BATCH_COUNT]; /* used in turn */
    unsigned filled, written;          /* counts of batches handed over and done with, under the mutex */
    bool closing;
    bool looking; /* the sink is to be asked what it hears; the writer thread's own */
    struct writer_totals totals;
};

static struct batch *batch_current(const struct writer *writer)
{
    return (struct batch *)&writer->batches[writer->filled % BATCH_COUNT];
}

/* Under the mutex: what else the sink tells. */
static void totals_note(struct writer *writer)
{
    const struct sink *sink = &writer->sink;

    writer->totals.size = sink->size;
    writer->totals.overwritten = sink->overwritten;
    if (sink->is_stream) { /* a late answer takes packets back */
        writer->totals.packets = sink->streamed;
        writer->totals.packet_bytes = sink->streamed_bytes;
    }
    writer->totals.streamed = sink->streamed;
    writer->totals.unsent = sink->unsent;
    writer->totals.fragmented = sink->fragmented;
    memcpy(writer->totals.note, sink->note, sizeof writer->totals.note);
}

/* The batch goes on where the one before it ended, or begins the next file of a ring. */
static enum status batch_give(struct sink *sink, struct batch *batch, struct error *error)
{
    enum status status = STATUS_OK;

    if (batch->starts_file)
        status = sink->ops->rotate(sink, &batch->summary, error);
    if (status == STATUS_OK)
        return sink->ops->write(sink, batch, error);
    batch->packets = batch->packet_bytes = 0, batch->used = 0;
    return status;
}

/* Runs without the mutex: the batch is the writer thread's until it is counted as written. */
static void batch_write(struct writer *writer, struct batch *batch, bool failed)
{
    struct error error = {0};
    int64_t packets = batch->packets;
    int64_t gone = writer->sink.overwritten, gone_bytes = writer->sink.overwritten_bytes;
    enum status status = STATUS_OK;

    if (!failed)
        status = writer_check_space(writer->path, writer->reserve_bytes, batch->used, &error);
    if (failed || status != STATUS_OK)
        batch->packets = batch->packet_bytes = 0, batch->used = 0;
    else
        status = batch_give(&writer->sink, batch, &error);
    gone = writer->sink.overwritten - gone;
    gone_bytes = writer->sink.overwritten_bytes - gone_bytes;

    pthread_mutex_lock(&writer->mutex);
    writer->totals.packets += batch->packets - gone;
    writer->totals.packet_bytes += batch->packet_bytes - gone_bytes;
    totals_note(writer);
    writer->totals.lost_packets += packets - batch->packets;
    if (status != STATUS_OK) {
        writer->totals.failed = true;
        writer->totals.error = error;
    } else if (!failed) {
        writer->totals.flushed_ms = batch->filled_ms;
    }
    batch->used = 0;
    batch->packets = batch->packet_bytes = 0;
    batch->starts_file = false;
    writer->written++;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
}

/* Under the mutex: lets the sink look while there is nothing to write. */
static void sink_look(struct writer *writer)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += LOOK_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    if (pthread_cond_timedwait(&writer->changed, &writer->mutex, &until) != ETIMEDOUT)
        return;
    pthread_mutex_unlock(&writer->mutex);
    writer->looking = writer->sink.ops->look(&writer->sink);
    pthread_mutex_lock(&writer->mutex);
    totals_note(writer);
}

/* Under the mutex. */
static void wait_for_batch(struct writer *writer)
{
    while (writer->filled == writer->written && !writer->closing) {
        if (writer->looking)
            sink_look(writer);
        else
            pthread_cond_wait(&writer->changed, &writer->mutex);
    }
}

static void *writer_run(void *argument)
{
    struct writer *writer = argument;

    for (;;) {
        pthread_mutex_lock(&writer->mutex);
        wait_for_batch(writer);
        bool done = writer->filled == writer->written;
        bool failed = writer->totals.failed;
        struct batch *batch = &writer->batches[writer->written % BATCH_COUNT];
        pthread_mutex_unlock(&writer->mutex);
        if (done)
            return NULL;
        batch_write(writer, batch, failed);
        writer->looking = writer->sink.ops->look != NULL;
    }
}

static void writer_free(struct writer *writer)
{
    for (int i = 0; i < BATCH_COUNT; i++)
        free(writer->batches[i].data);
    pthread_cond_destroy(&writer->changed);
    pthread_mutex_destroy(&writer->mutex);
    free(writer);
}

enum status writer_open(struct sink sink, const char *path, uint64_t reserve_bytes,
                        const struct writer_totals *start, struct writer **out, struct error *error)
{
    struct writer *writer = calloc(1, sizeof *writer);
    bool allocated = writer != NULL;
    pthread_condattr_t monotonic;

    if (writer == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    writer->sink = sink;
    writer->reserve_bytes = reserve_bytes;
    writer->totals = *start;
    snprintf(writer->path, sizeof writer->path, "%s", path);
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&writer->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    for (int i = 0; i < BATCH_COUNT; i++) {
        writer->batches[i].data = malloc(BATCH_SIZE);
        writer->batches[i].size = BATCH_SIZE;
        allocated = allocated && writer->batches[i].data != NULL;
    }
    if (!allocated || pthread_create(&writer->thread, NULL, writer_run, writer) != 0) {
        writer_free(writer);
        return error_set(error, ERROR_INTERNAL, NULL, "cannot start a writer: out of memory or threads");
    }
    *out = writer;
    return STATUS_OK;
}

size_t writer_packet_size(const struct writer *writer, uint32_t captured)
{
    return writer->sink.ops->packet_size(captured);
}

bool writer_has_pending(const struct writer *writer)
{
    return batch_current(writer)->packets > 0;
}

static void batch_hand_over(struct writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    writer->filled++;
    pthread_cond_broadcast(&writer->changed);
    while (writer->filled - writer->written == BATCH_COUNT)
        pthread_cond_wait(&writer->changed, &writer->mutex);
    pthread_mutex_unlock(&writer->mutex);
}

/* All packets before this one are in: the batch speaks up to its last one. */
static struct batch *batch_begin(struct writer *writer, const struct packet *packet)
{
    batch_current(writer)->filled_ms = packet->timestamp_ns / 1000000;
    batch_hand_over(writer);
    return batch_current(writer);
}

size_t writer_append(struct writer *writer, const struct packet *packet, size_t size)
{
    struct batch *batch = batch_current(writer);

    if (batch->used + size > batch->size)
        batch = batch_begin(writer, packet);
    size_t before = batch->used;
    writer->sink.ops->encode(batch, packet);
    return batch->used - before;
}

void writer_start_file(struct writer *writer, const struct packet *packet, const struct sink_summary *summary)
{
    if (writer_has_pending(writer))
        batch_begin(writer, packet);
    batch_current(writer)->starts_file = true;
    batch_current(writer)->summary = *summary;
}

void writer_flush(struct writer *writer, int64_t now_ms)
{
    if (writer_has_pending(writer)) {
        batch_current(writer)->filled_ms = now_ms;
        batch_hand_over(writer);
        return;
    }
    pthread_mutex_lock(&writer->mutex);
    if (writer->filled == writer->written && !writer->totals.failed)
        writer->totals.flushed_ms = now_ms;
    pthread_mutex_unlock(&writer->mutex);
}

void writer_hurry(struct writer *writer)
{
    if (writer->sink.ops->hurry != NULL)
        writer->sink.ops->hurry(&writer->sink);
}

void writer_read_totals(struct writer *writer, struct writer_totals *totals)
{
    pthread_mutex_lock(&writer->mutex);
    *totals = writer->totals;
    pthread_mutex_unlock(&writer->mutex);
}

void writer_close(struct writer *writer, const struct sink_summary *summary, struct writer_totals *totals)
{
    struct error error;

    if (writer_has_pending(writer))
        batch_hand_over(writer);
    pthread_mutex_lock(&writer->mutex);
    writer->closing = true;
    pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->mutex);
    pthread_join(writer->thread, NULL);
    bool closed = writer->sink.ops->close(&writer->sink, summary, &error) == STATUS_OK;
    totals_note(writer);
    *totals = writer->totals;
    if (!closed && !totals->failed) {
        totals->failed = true;
        totals->error = error;
    }
    writer_free(writer);
}

enum status writer_check_space(const char *path, uint64_t reserve_bytes, uint64_t wanted_bytes,
                               struct error *error)
{
    uint64_t free_bytes, total_bytes;

    if (reserve_bytes == 0 || !data_dir_space(path, &free_bytes, &total_bytes) ||
        free_bytes >= reserve_bytes + wanted_bytes)
        return STATUS_OK;
    return error_set(error, ERROR_STORE_FULL, NULL,
                     "the disk is nearly full: %llu MB are free and %llu MB are kept in reserve",
                     (unsigned long long)(free_bytes / 1000000),
                     (unsigned long long)(reserve_bytes / 1000000));
}
