/* What live workers keep in workers/ of the data directory: a lock, a doorbell (.sock) and the way to their
 * broker (.broker), each named after the worker's UUID. */
#ifndef PKTCAPD_HOST_WORKERS_H
#define PKTCAPD_HOST_WORKERS_H

#include "host/data_dir.h"

#include <sys/un.h>

/* Writes the path of a worker's file into out; returns out. */
const char *worker_path(const struct data_dir *directory, const char *worker, const char *suffix,
                        char out[DATA_PATH_SIZE]);

/* A descriptor of workers/, -1 if there is none. */
int workers_open(const struct data_dir *directory);

/* The address of a worker's socket; workers_fd is a descriptor of workers/, to be open while it is used. */
bool worker_address(const struct data_dir *directory, int workers_fd, const char *worker, const char *suffix,
                    struct sockaddr_un *address);

/* Calls visit for each worker that has a file with this suffix, until it returns true. */
void workers_walk(const struct data_dir *directory, const char *suffix,
                  bool (*visit)(void *context, int workers_fd, const char *worker), void *context);

#endif
