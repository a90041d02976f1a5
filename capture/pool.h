/*
 * The pool: which captures this worker runs. It claims runs from the store, starts a capture for
 * each, carries orders to them and their reports back. One thread, which alone speaks with the store;
 * the captures have threads of their own and never wait for it.
 */
#ifndef PKTCAPD_CAPTURE_POOL_H
#define PKTCAPD_CAPTURE_POOL_H

#include "broker/broker.h"
#include "core/config.h"
#include "db/store.h"
#include "host/data_dir.h"

struct pool;

struct pool_settings {
    const struct config *config;
    const struct data_dir *directory;
    struct store *store;
    const char *node_id, *worker; /* UUIDs */
    struct broker *broker;
    const char *boot_id; /* see place.h */
};

/* Everything that settings points to outlives the pool. */
MUST_USE enum status pool_open(const struct pool_settings *settings, struct pool **pool, struct error *error);

/* Readable when a capture has something to say. */
int pool_fd(const struct pool *pool);

/* Does what there is to do: claims, orders, reports. `look` asks the store for new work and stops, as when
 * the doorbell rang; without it the pool looks when its polling interval is over. */
void pool_work(struct pool *pool, bool look);

/* Milliseconds until pool_work() is due again. */
int pool_due_ms(const struct pool *pool);

/* Suspends every capture, gives the runs back for the next worker and frees the pool. */
void pool_close(struct pool *pool);

#endif
