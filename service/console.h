/*
 * pktcapd's command line for people: users, roles, tokens and the audit, on the machine itself. It works on
 * the database as the service does, and through the same operations, whether the service runs or not; whoever
 * may become the owner of the data directory is an administrator here. Every act is on record, like those of
 * the API.
 *
 * console.c has the table of verbs, console_line.c takes the words apart, console_open.c settles in.
 */
#ifndef PKTCAPD_SERVICE_CONSOLE_H
#define PKTCAPD_SERVICE_CONSOLE_H

#include <stdbool.h>

/* Whether the words are one of the console's verbs, and not the service's settings. */
bool console_wants(int argc, char **argv);

/* Returns the exit status: 0, 1 (refused or failed), 2 (the words are wrong). */
int console_run(int argc, char **argv);

#endif
