/*
 * The audit: who did what, from where, and what came of it, in the store and in the log. Secrets never come
 * here.
 *
 * On record is everything that changes something or hands out packets, and everything that was refused.
 * Reading is on record where it is about other people's sessions. What is alike (the same user, address,
 * operation, object and outcome) is written once a minute where it was refused or only read, and twenty times
 * where packets were handed out or somebody logged in; a record of its own tells how often it happened
 * besides. Who is refused a lot has sixty of these a minute written one by one, and the rest counted: nobody
 * hides an act among refusals of others.
 */
#ifndef PKTCAPD_AUTH_AUDIT_H
#define PKTCAPD_AUTH_AUDIT_H

#include "auth/caller.h"
#include "auth/operation.h"

#include <stdbool.h>

/* Remembers what repeats; shared by all threads. */
struct audit;

struct audit *audit_open(void); /* NULL: out of memory */
void audit_close(struct audit *audit);

/* What is to be put on record; the rest comes from the context. */
struct act {
    enum operation operation;
    const char *session; /* id, or empty */
    const char *object;  /* a user, a role, a token's id; or empty */
    const char *detail;  /* or empty */
    int status;          /* HTTP */
    int code;            /* error code, 0: none */
    bool foreign;        /* reading of other people's sessions */
};

/* Writes it, if it belongs on record. What cannot be written is told in the log. */
void audit_note(const struct visit *visit, const struct act *act);

#endif
