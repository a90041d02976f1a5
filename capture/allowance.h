/*
 * What the files of a run may take on the disk: what a quota, which all files of an owner share, has left for
 * them. The capture thread asks before it appends, ahead of the writer, so that the files never take more.
 * Headers and ends of files count, and of a ring all files that are there at a time.
 */
#ifndef PKTCAPD_CAPTURE_ALLOWANCE_H
#define PKTCAPD_CAPTURE_ALLOWANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allowance {
    int64_t most, used;        /* bytes */
    size_t most_files;         /* what a ring keeps; 1 where there is no ring */
    int64_t *sizes;            /* of each file, in a circle of most_files */
    size_t file_count, oldest; /* how many there are, and where the first of them is */
};

/* most: bytes, INT64_MAX for no limit. False if memory is out. */
bool allowance_open(struct allowance *allowance, int64_t most, size_t most_files);
void allowance_free(struct allowance *allowance);

/* Whether the newest file may grow by this much. */
bool allowance_takes(const struct allowance *allowance, int64_t bytes);

/* Whether there may be a next file that begins with a header, and then takes this much more. */
bool allowance_takes_file(const struct allowance *allowance, int64_t header, int64_t bytes);

/* The newest file grows. */
void allowance_add(struct allowance *allowance, int64_t bytes);

/* A file is begun, and becomes the newest; the oldest makes room for it. */
void allowance_add_file(struct allowance *allowance, int64_t bytes);

#endif
