/* Settling in: from however the program was started to the service user in the data directory. */
#ifndef PKTCAPD_HOST_SETTLE_H
#define PKTCAPD_HOST_SETTLE_H

#include "host/data_dir.h"

/* Finds the user, makes the data directory, drops every privilege but one capability (or NO_CAPABILITY), and
 * allows as many open files as the system lets us. user is the setting, see identity_find(). */
MUST_USE enum status settle(const char *user, const char *data_dir, int capability,
                            struct data_dir *directory, struct error *error);

/* The same for a program that works on what a service keeps in a directory, while it runs or not: where the
 * directory holds a database already, becomes whoever it belongs to, whatever the setting says, and changes
 * nothing about it. */
MUST_USE enum status settle_as_owner(const char *user, const char *data_dir, struct data_dir *directory,
                                     struct error *error);

/* Allows this process as many open files as the system lets it: the usual soft limit of 1024 is for programs
 * that use select(). */
void files_allow(void);

#endif
