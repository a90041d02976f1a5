/*
 * What becomes of a capture point while it is captured: the kernel tells of every change of an interface, and
 * its name, like that of its network namespace, is looked up again and again. Our own sockets keep a deleted
 * namespace alive, so only its name tells that it is gone.
 */
#ifndef PKTCAPD_CAPTURE_POINT_WATCH_H
#define PKTCAPD_CAPTURE_POINT_WATCH_H

#include "capture/point.h"

struct point_watch;

/* From here on nothing that happens to the point goes unseen. broker outlives the watch. */
MUST_USE enum status point_watch_open(struct broker *broker, const struct point *point,
                                      struct point_watch **watch, struct error *error);
void point_watch_close(struct point_watch *watch);

/* Readable when the kernel has something to tell. */
int point_watch_fd(const struct point_watch *watch);

/* Reads it, never blocks. True if it concerns the point: then look. */
bool point_watch_read(struct point_watch *watch);

/* Whether the point is what it was, and up. If not, *error says in one sentence what has become of it. Where
 * the kernel cannot be asked it is taken to be well. *dropped is set where the interface is there: how many
 * packets it received and lost before any tap could see them (rx_dropped + rx_missed_errors +
 * rx_fifo_errors) since it was made. The kernel counts packets that nobody wanted as rx_dropped too, but not
 * while a tap is open: it wants all. */
MUST_USE enum status point_watch_look(struct point_watch *watch, uint64_t *dropped, struct error *error);

#endif
