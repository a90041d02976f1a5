/* The operations on people, from a request to an answer: the other half of handlers.c. */
#ifndef PKTCAPD_SERVICE_HANDLERS_PEOPLE_H
#define PKTCAPD_SERVICE_HANDLERS_PEOPLE_H

#include "service/handlers.h"
#include "service/routes.h"

void people_dispatch(struct call *call, const struct route_match *match, struct answer *answer,
                     struct errors *errors);

#endif
