/* The meaning of a request: whether this node can do it, and which limits apply. Private to the operations.
 */
#ifndef PKTCAPD_SERVICE_VALIDATE_H
#define PKTCAPD_SERVICE_VALIDATE_H

#include "service/operations.h"

/* Adds an error for every field that is missing, cannot work here, or is not for the caller's role, unless
 * the field was blamed already. point becomes what capvalue means for a caller who may not capture
 * everywhere, else empty. */
void validate_request(const struct context *context, const struct packet_capture_request *request,
                      char point[POINT_VALUE_SIZE], struct errors *errors);

/* The same for a request that was accepted once: only whether it is for the caller's role still. A point that
 * is not there now is the worker's to report. */
void validate_restart(const struct context *context, const struct packet_capture_request *request,
                      char point[POINT_VALUE_SIZE], struct errors *errors);

/* The effective limits: the request's, the default duration if it has no stop condition, the maxima of the
 * server and of the role. */
struct limits effective_limits(const struct config *config, const struct policy *policy,
                               const struct packet_capture_request *request);

/* Those of a restart, the session's own where a caller who does not own it has it captured again: then they
 * are no more than they were, and no more than the server's are now. */
struct limits restart_limits(const struct context *context, const struct session *session, bool own);

/* Reads a session's id, as the API shows it; what is no UUID names no session. */
bool validate_id(const char *text, char id[UUID_SIZE], struct errors *errors);

#endif
