/* Cursors of lists: a place in a list as text that is opaque to clients. */
#ifndef PKTCAPD_SERVICE_CURSOR_H
#define PKTCAPD_SERVICE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>

/* The cursor of a place: its bytes in hexadecimal, as many as fit. */
void cursor_write(const char *place, char *out, size_t size);

/* The place of a cursor; false if it cannot be one. */
bool cursor_read(const char *cursor, char *out, size_t size);

#endif
