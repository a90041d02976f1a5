/*
 * Where a run captures, for the worker that resumes it (struct run, place): which namespace it was that had
 * the name then. Namespaces are told apart by cookies that last until the host starts anew; after that names
 * are all there is.
 */
#ifndef PKTCAPD_CAPTURE_PLACE_H
#define PKTCAPD_CAPTURE_PLACE_H

#include "capture/point.h"

enum { BOOT_ID_SIZE = 37, PLACE_SIZE = sizeof((struct run *)0)->place };

/* The id of this start of the host, empty if it cannot be told. To be read before /proc is out of reach. */
void place_read_boot_id(char boot_id[BOOT_ID_SIZE]);

/* Writes the place of a point: empty for the worker's own namespace. */
void place_of(const struct point *point, const char *boot_id, char place[PLACE_SIZE]);

/* Whether the name that led to this place leads elsewhere now. */
bool place_has_changed(const char *place, const struct point *point, const char *boot_id);

#endif
