/* The meaning of a request: whether this node can do it, and which limits apply. Private to the operations.
 */
#ifndef PKTCAPD_SERVICE_VALIDATE_H
#define PKTCAPD_SERVICE_VALIDATE_H

#include "service/operations.h"

/* Adds an error for every field that is missing or cannot work here, unless the field was blamed already. */
void validate_request(const struct service *service, const struct packet_capture_request *request,
                      struct errors *errors);

/* The effective limits: the request's, the default duration if it has no stop condition, the server's maxima.
 */
struct limits effective_limits(const struct config *config, const struct packet_capture_request *request);

/* Reads a session's id, as the API shows it; what is no UUID names no session. */
bool validate_id(const char *text, char id[UUID_SIZE], struct errors *errors);

#endif
