/*
 * The capture file: a sink that writes one file in some format (file_format.h), and repairs what a crash
 * left.
 */
#ifndef PKTCAPD_CAPTURE_CAPTURE_FILE_H
#define PKTCAPD_CAPTURE_CAPTURE_FILE_H

#include "capture/file_format.h"

/* What a file holds. */
struct file_tally {
    int64_t packets;
    int64_t packet_bytes;
    int64_t size;    /* bytes, headers included */
    int64_t last_ns; /* timestamp of the last packet; 0: none */
};

/* Makes the file, which must not be there yet, and its directory, with the header.
 * Fails with ERROR_STORE_FULL or ERROR_HOST. */
MUST_USE enum status capture_file_create(const char *path, const struct file_format *format,
                                         const struct file_header *header, struct sink *sink,
                                         struct error *error);

/* Opens the file of an unfinished capture: cuts a torn last record off and counts the rest.
 * Fails with ERROR_NO_SUCH_FILE if there is none or not even its header, ERROR_SESSION_RUNNING if another
 * process still writes to it, ERROR_HOST if it is not such a file. */
MUST_USE enum status capture_file_reopen(const char *path, const struct file_format *format,
                                         struct sink *sink, struct file_tally *tally, struct error *error);

/* Whether another worker's section, and its end, fit into `limit` bytes. */
bool capture_file_has_room(const struct sink *sink, const struct file_header *header, int64_t limit);

/* Goes on with a file that was reopened: begins a section where the format has sections. */
MUST_USE enum status capture_file_continue(struct sink *sink, const struct file_header *header,
                                           struct error *error);

/* The DLT_ value of a file. */
int capture_file_linktype(const struct sink *sink);

/* Writes the trailer, unless summary is NULL, and makes the file's contents durable. Nothing may be written
 * after it. */
MUST_USE enum status capture_file_finish(struct sink *sink, const struct sink_summary *summary,
                                         struct error *error);

/* Closes as it is, without waiting for the disk. */
void capture_file_drop(struct sink *sink);

#endif
