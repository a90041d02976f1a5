/* Random UUIDs (RFC 9562, version 4), in lower case as the API shows them. */
#ifndef PKTCAPD_CORE_UUID_H
#define PKTCAPD_CORE_UUID_H

#include <stdbool.h>

enum { UUID_SIZE = 37 };

void uuid_make(char out[UUID_SIZE]);

/* Whether text is a UUID, in either case; if so, writes it to out in lower case. */
bool uuid_parse(const char *text, char out[UUID_SIZE]);

#endif
