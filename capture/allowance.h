/*
 * What the files of a run may take on the disk. A quota is for all files of an owner: the captures that a
 * worker runs for one owner count together, each asks before it appends, and none appends where all of them
 * have taken what is left. They ask ahead of the writer and without a lock: where several find the last room
 * at the same moment, the files take more than that by a packet of each of them. Headers and ends of files
 * count, and of a ring all files that are there at a time.
 *
 * An allowance belongs to its capture's thread, but for allowance_move() and allowance_set_most(), which are
 * for the one thread that gives the captures their work.
 */
#ifndef PKTCAPD_CAPTURE_ALLOWANCE_H
#define PKTCAPD_CAPTURE_ALLOWANCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the captures of an owner have taken together. Outlives them. */
struct purse {
    atomic_int_least64_t used;
};

struct allowance {
    _Atomic(struct purse *) purse; /* NULL: nobody's, and there is no limit */
    atomic_int_least64_t most;     /* bytes that purse->used may come to; INT64_MAX: no limit */
    atomic_int_least64_t used;     /* by this run */
    size_t most_files;             /* what a ring keeps; 1 where there is no ring */
    int64_t *sizes;                /* of each file, in a circle of most_files */
    size_t file_count, oldest;     /* how many there are, and where the first of them is */
};

/* taken: what an earlier worker's files of this run have, until allowance_open() says it in detail. */
void allowance_begin(struct allowance *allowance, struct purse *purse, int64_t most, int64_t taken);

/* The files are added one by one. False if memory is out. */
bool allowance_open(struct allowance *allowance, size_t most_files);

void allowance_free(struct allowance *allowance);

/* What the newest file may still grow by: below 0 if there is more than there may be. */
int64_t allowance_room(const struct allowance *allowance);

/* Whether the newest file may grow by this much. */
bool allowance_takes(const struct allowance *allowance, int64_t bytes);

/* Whether there may be a next file that begins with a header, and then takes this much more. */
bool allowance_takes_file(const struct allowance *allowance, int64_t header, int64_t bytes);

/* The newest file grows. */
void allowance_add(struct allowance *allowance, int64_t bytes);

/* A file is begun, and becomes the newest; the oldest makes room for it. */
void allowance_add_file(struct allowance *allowance, int64_t bytes);

/* The run is another owner's now, and has no limit until it is given one. A packet that comes at this moment
 * may be counted with the earlier owner's. */
void allowance_move(struct allowance *allowance, struct purse *purse);

void allowance_set_most(struct allowance *allowance, int64_t most);

#endif
