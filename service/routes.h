/*
 * The paths of the API and what they lead to: one table, read by the server, the tests and the error
 * messages.
 */
#ifndef PKTCAPD_SERVICE_ROUTES_H
#define PKTCAPD_SERVICE_ROUTES_H

#include "auth/operation.h"
#include "core/error.h"

enum { ROUTE_PARAMETERS_MAX = 9 };

struct route {
    const char *method;
    const char *path;   /* {id} stands for one segment */
    const char *action; /* the value of ?action=, or NULL */
    enum operation operation;
    int success;                                      /* HTTP status */
    const char *parameters[ROUTE_PARAMETERS_MAX + 1]; /* further query parameters that it takes */
};

extern const struct route routes[];
extern const size_t route_count;

/* What was found. id is the {id} segment, allow the methods of the path ("GET, HEAD, POST"). */
struct route_match {
    const struct route *route;
    char id[128];
    char allow[64];
};

/* Finds the route of a decoded path. HEAD is GET without a body. Fails with ERROR_NO_SUCH_PATH,
 * ERROR_METHOD_NOT_ALLOWED (and allow is set) or ERROR_BAD_PARAMETER where the action is missing or unknown.
 */
MUST_USE enum status route_find(const char *method, const char *path, const char *action,
                                struct route_match *match, struct error *error);

/* Whether it is one of NSX's policy API, which has words of its own. */
bool route_is_policy(const struct route *route);

/* Whether a route takes a query parameter of this name ("action" where it has one). */
bool route_takes(const struct route *route, const char *parameter);

#endif
