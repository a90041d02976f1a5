/*
 * A ring of capture files (capfilecount): a sink that keeps the newest files and lets the oldest go.
 *
 * The writer's thread writes and rotates; whoever reports reads what is there at any time. Beside the files
 * lies a ledger: how many packets were written before the newest file. What is not in the files any more
 * follows from it, so that a crash at any moment loses no count. Its lock is that of the whole ring.
 */
#ifndef PKTCAPD_CAPTURE_RING_H
#define PKTCAPD_CAPTURE_RING_H

#include "capture/capture_file.h"
#include "core/session.h"
#include "host/data_dir.h"

struct ring;

/* Everything that it points to outlives the ring. */
struct ring_settings {
    const struct data_dir *directory;
    const char *session_id;
    int32_t run;
    int64_t claim;
    size_t most; /* files */
    const struct file_format *format;
};

/* What the store knows of a ring whose worker is gone: files in order, and packets overwritten. */
struct ring_known {
    const struct run_file *files;
    size_t count;
    int64_t overwritten;
};

/* Takes the lock. Fails with ERROR_SESSION_RUNNING if another process has it, or ERROR_HOST. */
MUST_USE enum status ring_open(const struct ring_settings *settings, struct ring **ring, struct error *error);

/* After the sink has been closed, if it came to one. */
void ring_free(struct ring *ring);

/* Begins with the first file. What an earlier claim left that never came to start goes. */
MUST_USE enum status ring_create(struct ring *ring, const struct file_header *header, struct sink *sink,
                                 struct error *error);

/* Takes over what an earlier worker left: repairs the newest file, counts where the store does not know. The
 * tally is of all files that are there; sink->overwritten of those that are not. Fails as
 * capture_file_reopen(). */
MUST_USE enum status ring_reopen(struct ring *ring, const struct ring_known *known, struct sink *sink,
                                 struct file_tally *tally, struct error *error);

/* Goes on with the newest of the files that were reopened, or, if a section no longer fits into `limit`
 * bytes, leaves that to the next file: then sink->file_size is limit. */
MUST_USE enum status ring_continue(struct sink *sink, const struct file_header *header, int64_t limit,
                                   struct error *error);

/* The DLT_ value of the newest file. */
int ring_linktype(const struct sink *sink);

/* Most that ring_read() gives. */
size_t ring_room(const struct ring *ring);

/* The files that are there, oldest first, and what the counters say of them, at one moment. */
size_t ring_read(struct ring *ring, struct run_file *files, struct counters *counters);

#endif
