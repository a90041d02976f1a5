/* What the files of the handlers share. Private to them. */
#ifndef PKTCAPD_SERVICE_HANDLERS_PARTS_H
#define PKTCAPD_SERVICE_HANDLERS_PARTS_H

#include "auth/authenticate.h"
#include "service/handlers.h"
#include "service/routes.h"

/* Decodes, calls the operation, encodes. */
void call_dispatch(struct call *call, const struct route_match *match, struct answer *answer,
                   struct errors *errors);

/* handlers_login.c */
void login(struct call *call, struct answer *answer, struct errors *errors);
void logout(struct call *call, struct answer *answer, struct errors *errors);

/* A session as this call shows it, with the files of a ring, and then session is read again. The caller frees
 * it; NULL is an error. */
char *session_text(const struct call *call, struct session *session, struct errors *errors);

/* One header line, without its end. */
void answer_add_header(struct answer *answer, const char *line);
void answer_add_challenge(struct answer *answer, const struct challenge *challenge);

/* A query parameter's value, NULL if it is not given. */
const char *parameter_find(const struct call *call, const char *name);

/* Adds an error for each parameter that the route does not take, or that is given twice. */
void parameters_check(const struct call *call, const struct route *route, struct errors *errors);

/* A number or truth value; `absent` if it is not given, and where it is wrong, which is an error. */
int64_t parameter_integer(const struct call *call, const char *name, int64_t absent, int64_t least,
                          int64_t most, struct errors *errors);
bool parameter_boolean(const struct call *call, const char *name, bool absent, struct errors *errors);

#endif
