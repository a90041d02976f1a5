/*
 * Between clients and the costly check of a password: remembers what was right, holds back who guesses, and
 * lets only a few checks run at once. Shared by all threads.
 *
 * Guessing is counted for each pair of user and address, so that it locks out neither others behind the same
 * address nor the user elsewhere. What was verified a while ago is known without a check, and so a flood does
 * not touch it.
 *
 * The rest waits for its turn. Networks take turns, and in each of them users; where there were no failures
 * lately goes first, and has most of the places. Who is sent away and comes back when told has a place kept.
 */
#ifndef PKTCAPD_AUTH_GUARD_H
#define PKTCAPD_AUTH_GUARD_H

#include "core/people.h"

struct guard;

enum {
    GUARD_FREE_FAILURES =
        5, /* wrong passwords before a pair has to wait: 1 s, then twice as long each time */
    GUARD_WAIT_MOST_MS = 300000, /* and at most this */
    GUARD_FORGET_MS = 900000,    /* a pair without failures for so long starts anew */
    GUARD_REMEMBER_MS = 600000,  /* for how long a verified password is known after its last use */
};

enum guard_answer {
    GUARD_RIGHT,
    GUARD_WRONG,
    GUARD_WAIT, /* not checked: too many wrong ones before, or too many checks at once */
};

/* checks: passwords verified at once, each on a core of its own. threads: all that serve clients; a part of
 * them may wait here. NULL: out of memory. */
struct guard *guard_open(int checks, int threads);
void guard_close(struct guard *guard);

/* Checks a password for a client. row is the user's, NULL if there is none: the answer takes as long then. A
 * user who is disabled has no right password. now_ms is monotonic. *retry_after_s is set with GUARD_WAIT. */
enum guard_answer guard_check(struct guard *guard, const char *user, const struct user *row,
                              const char *password, const char *address, int64_t now_ms, int *retry_after_s);

#endif
