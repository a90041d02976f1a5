/*
 * The data directory and the names in it:
 *
 *   pktcapd.db                        the store
 *   node-id                           this node's UUID
 *   captures/<session>/run-<n>.pcap   capture files (run-<n>-<claim>.pcap if the first attempt failed;
 *                                     of a ring run-<n>.<number>.pcap; .pcapng in that format)
 *   captures/<session>/run-<n>.ring   how much a ring has overwritten, and the lock of who writes to it
 *   workers/<worker>.lock, .sock      a lock that a live worker holds, and its doorbell
 *   workers/<worker>.broker           where its broker serves the front end
 */
#ifndef PKTCAPD_HOST_DATA_DIR_H
#define PKTCAPD_HOST_DATA_DIR_H

#include "core/error.h"
#include "core/uuid.h"
#include "host/privileges.h"

#include <stdint.h>

enum { DATA_PATH_SIZE = 1200 };

struct data_dir {
    char path[1024];  /* as this process reaches it: "" once the process is confined to it */
    char shown[1024]; /* absolute, as the user sees it: what filelocation is made of */
};

/* Makes the directory, owned by identity. Fails with ERROR_HOST and a sentence for the user. Called before
 * privileges are dropped, so it touches nothing inside. */
MUST_USE enum status data_dir_prepare(const char *directory, const struct identity *identity,
                                      struct data_dir *out, struct error *error);

/* Makes what belongs inside and checks that it can be written. Called as the service user. */
MUST_USE enum status data_dir_fill(const struct data_dir *directory, struct error *error);

/* To be called when privileges_drop() has confined the process. */
void data_dir_confined(struct data_dir *directory);

/* Writes path/name into out; returns out. */
const char *data_dir_path(const struct data_dir *directory, const char *name, char out[DATA_PATH_SIZE]);

/* What the name of a capture file says. A claim (struct lease) after the first has names of its own, so no
 * worker ever writes to the file of another. */
struct capture_name {
    const char *session_id;
    int32_t run;
    int64_t claim;
    int32_t number;     /* in a ring, from 1; 0: there is no ring */
    const char *suffix; /* ".pcap" */
};

/* Writes the name, relative to the directory, into out; returns out. */
const char *data_dir_capture_name(const struct capture_name *name, char *out, size_t size);

/* Reads claim and number out of the last part of a name that was made with this run and suffix, in a ring;
 * false if it was not. */
bool data_dir_read_capture_name(const char *file, struct capture_name *name);

/* This node's UUID, made at the first call ever. */
MUST_USE enum status data_dir_node_id(const struct data_dir *directory, char out[UUID_SIZE],
                                      struct error *error);

/* Bytes free for us on the file system, and its size; false if that cannot be told. */
bool data_dir_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes);

/* The bytes to keep free on the file system: the setting, but at most an eighth of its size; 0 if that cannot
 * be told. */
uint64_t data_dir_reserve(const char *path, uint64_t setting_bytes);

/* Removes every file of a session. Missing ones are fine. */
MUST_USE enum status data_dir_remove_session(const struct data_dir *directory, const char *session_id,
                                             struct error *error);

#endif
