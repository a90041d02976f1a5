/*
 * Giving up what a program does not need, before it starts threads or reads anything hostile.
 *
 * Started as root, a program becomes an unprivileged user inside a root directory of its own (the
 * data directory: the file system it then sees is just what it works on, and directories above that
 * only root may enter stay out of the way). Started as anybody else it keeps its user. Either way it keeps
 * at most the one capability it names, and can never gain another.
 */
#ifndef PKTCAPD_HOST_PRIVILEGES_H
#define PKTCAPD_HOST_PRIVILEGES_H

#include "core/error.h"

#include <sys/types.h>

struct identity {
    char name[64];
    uid_t uid;
    gid_t gid;
    bool change; /* false: stay who we are */
};

enum { NO_CAPABILITY = -1 };

/* Who to become. user is the setting (may be empty). Not changing is the answer when we are not root, when
 * user is root, or when root lacks the right to change its user (a container without CAP_SETUID). */
MUST_USE enum status identity_find(const char *user, struct identity *identity, struct error *error);

/* Becomes this user, with the group that goes with it (gid where nobody knows), if we may change. */
void identity_of(uid_t uid, gid_t gid, struct identity *identity);

/* Changes root directory and user as said above, and drops every capability but this one (CAP_NET_RAW or
 * NO_CAPABILITY). *confined says whether root is now `directory`. */
MUST_USE enum status privileges_drop(const struct identity *identity, const char *directory, int capability,
                                     bool *confined, struct error *error);

/* The same with the root directory as it is, keeping those of these capabilities that the process has. */
MUST_USE enum status privileges_keep(const struct identity *identity, const int *capabilities, size_t count,
                                     struct error *error);

/* No core file, and only root may look into this process's memory and environment. Changing the user gives
 * that up: call it behind. */
void privileges_conceal(void);

/* Takes a variable out of the environment, and its value out of what /proc shows of it. */
void environment_forget(const char *variable);

/* Whether this process holds the capability now. */
bool privileges_have(int capability);

#endif
