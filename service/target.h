/* The target of a request, decoded: the path, and the parameters of the query. */
#ifndef PKTCAPD_SERVICE_TARGET_H
#define PKTCAPD_SERVICE_TARGET_H

#include "service/handlers.h"

enum { TARGET_SIZE = 8192 + 1 }; /* more than the server lets through */

/* Decodes the path into path, and the query into query, where call->parameters will lie. What cannot be read
 * is added to call->errors: percent signs that lead no two hex digits, NUL characters, at which others would
 * cut the text off, encoded slashes in the path, and too many parameters. */
void target_read(const struct http_request *request, char path[TARGET_SIZE], char query[TARGET_SIZE],
                 struct call *call);

#endif
