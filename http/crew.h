/*
 * The handler threads, and the requests that wait for one. Whoever has rested shortest works next: its stack
 * and its store are still warm, and threads that are never needed never touch their memory.
 *
 * No more are woken than there are CPUs, as long as requests do not wait: waking costs more than most
 * requests do, and one that works takes the next without having slept. But a request may take seconds, so
 * whoever has waited for HURRY_MS is given a thread of its own while there is one.
 */
#ifndef PKTCAPD_HTTP_CREW_H
#define PKTCAPD_HTTP_CREW_H

#include "http/server.h"

struct connection;
struct crew;

/* Starts settings->threads threads. settings outlive the crew. */
MUST_USE enum status crew_open(const struct http_settings *settings, struct crew **crew, struct error *error);

/* Has connection_handle() called for it; false if too many wait already. */
MUST_USE bool crew_take(struct crew *crew, struct connection *connection);

/* Wakes threads for requests that have waited for long. Returns in how many milliseconds to call it again,
 * -1: not before the next crew_take(). */
int64_t crew_hurry(struct crew *crew, int64_t now_ms);

/* Ends the threads when they are done with what they do; what waits is left alone. */
void crew_stop(struct crew *crew);
void crew_free(struct crew *crew);

#endif
