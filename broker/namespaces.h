/*
 * Network namespaces by their names: entries of directories such as /run/netns, where `ip netns` and
 * container engines put them. Private to broker/.
 */
#ifndef PKTCAPD_BROKER_NAMESPACES_H
#define PKTCAPD_BROKER_NAMESPACES_H

#include "broker/broker.h"

struct namespaces;

/* directories are separated by colons; those that are not there yet are looked for again at each call. To be
 * called as root, if we are: some directories above them only root may enter. */
MUST_USE enum status namespaces_open(const char *directories, struct namespaces **namespaces,
                                     struct error *error);

/* Whether named ones can be entered. */
bool namespaces_usable(const struct namespaces *namespaces);

/* Moves this thread into a namespace; "" is its own. ERROR_NO_SUCH_NETNS, ERROR_NO_PRIVILEGE. *number tells
 * it from others as long as it lives. */
MUST_USE enum status namespaces_enter(struct namespaces *namespaces, const char *name, uint64_t *number,
                                      struct error *error);

/* Moves it back. If that fails the process ends: it must not go on in a place that it takes for another. */
void namespaces_leave(struct namespaces *namespaces);

/* The next names in alphabetical order behind `after`, at most `most`, without the own one. */
size_t namespaces_list(struct namespaces *namespaces, const char *after, char (*names)[NETNS_NAME_SIZE],
                       size_t most);

#endif
