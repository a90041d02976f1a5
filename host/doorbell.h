/*
 * The doorbell: how a new row reaches a worker at once. Each worker has a datagram socket in the data
 * directory; whoever changes a row that concerns the workers rings all of them. A ring carries nothing: the
 * store has the facts, and a lost ring costs one polling interval.
 *
 * Beside the socket lies a lock that the worker holds as long as it lives. The kernel drops the lock with
 * the process, however it ends, so a worker's death is known at once and for certain.
 */
#ifndef PKTCAPD_HOST_DOORBELL_H
#define PKTCAPD_HOST_DOORBELL_H

#include "core/uuid.h"
#include "host/data_dir.h"

struct doorbell {
    const struct data_dir *directory;
    char worker[UUID_SIZE];
    int socket; /* readable when rung */
    int lock;
};

/* directory must outlive the doorbell. */
MUST_USE enum status doorbell_open(struct doorbell *doorbell, const struct data_dir *directory,
                                   const char *worker, struct error *error);

/* Reads off all rings. */
void doorbell_answer(const struct doorbell *doorbell);

void doorbell_close(struct doorbell *doorbell);

/* Rings every worker; clears away what dead ones left behind. */
void doorbell_ring(const struct data_dir *directory);

/* Whether a worker of this data directory, named by its UUID, is alive. */
bool doorbell_worker_lives(const struct data_dir *directory, const char *worker);

#endif
