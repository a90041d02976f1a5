/* What people's records may hold. Each check adds errors that name the field, the value and what would be
 * right. */
#ifndef PKTCAPD_SERVICE_VALIDATE_PEOPLE_H
#define PKTCAPD_SERVICE_VALIDATE_PEOPLE_H

#include "core/error.h"
#include "core/people.h"

/* Of a user, group or role. NULL and empty: it is missing. */
void validate_person_name(const char *field, const char *name, struct errors *errors);

/* A new password of this user. */
void validate_password(const char *password, const char *user, struct errors *errors);

/* A name a line. */
void validate_groups(const char *groups, struct errors *errors);

void validate_role(const struct role *role, struct errors *errors);

/* Free text of one line, which may be missing. */
void validate_text(const char *field, const char *text, size_t most, struct errors *errors);

#endif
