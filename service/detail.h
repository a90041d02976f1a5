/* What the audit says of an act besides what it was about: the same words for the API and the command line.
 * Never a password, but that there was one. */
#ifndef PKTCAPD_SERVICE_DETAIL_H
#define PKTCAPD_SERVICE_DETAIL_H

#include "service/people.h"

enum { DETAIL_SIZE = 256 };

/* Each appends to what is there already; what does not fit is cut off. */
void detail_add(char detail[DETAIL_SIZE], const char *format, ...) PRINTF_LIKE(2, 3);
void detail_add_user(char detail[DETAIL_SIZE], const struct user_request *request);
void detail_add_role(char detail[DETAIL_SIZE], const struct role *role);

#endif
