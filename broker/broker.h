/*
 * The broker: what a capture needs beyond CAP_NET_RAW in the worker's own network namespace, in a process of
 * its own that does nothing else.
 *
 * pktcap-worker starts it before it drops its own privileges. It alone may keep CAP_SYS_ADMIN (to enter other
 * network namespaces) and CAP_NET_ADMIN (to hang a log rule into the host's packet filter), parses nothing
 * but fixed-size messages that name a verb and what it is for, never a path, and answers with open sockets (a
 * socket stays in the network namespace in which it was made, whoever uses it). It sees the host's file
 * system, which the worker, confined to the data directory, does not: there it looks for namespaces by their
 * names.
 *
 * Two kinds of clients: the worker, over a socket pair that nobody else holds, may ask everything; the front
 * end, over a socket in the data directory, gets only sockets to read interfaces with, and abilities. The
 * broker ends with its worker.
 */
#ifndef PKTCAPD_BROKER_BROKER_H
#define PKTCAPD_BROKER_BROKER_H

#include "core/config.h"
#include "core/error.h"
#include "core/session.h"

#include <stdint.h>
#include <sys/types.h>

enum { NETNS_NAME_SIZE = 256 };

struct data_dir;

/* A connection. Its calls may come from several threads. */
struct broker;

/* ---- the worker ---- */

/* Forks the broker. To be called while the process is still what it was started as; settings->netns_dirs says
 * where namespaces are named. */
MUST_USE enum status broker_start(const struct config *config, struct broker **broker, struct error *error);

/* Has the broker serve front ends too, on a socket in workers/. Called when the worker has settled. */
MUST_USE enum status broker_publish(struct broker *broker, const struct data_dir *directory,
                                    const char *worker, struct error *error);

/* Readable, at end of file, when the broker has ended. */
int broker_fd(const struct broker *broker);

/* A packet socket (AF_PACKET, of this type, protocol 0: bound to nothing yet). netns "": the worker's own.
 * Fails with ERROR_NO_SUCH_NETNS or ERROR_NO_PRIVILEGE. */
MUST_USE enum status broker_packet_socket(struct broker *broker, const char *netns, int type, int *fd,
                                          struct error *error);

/* ---- the host's packet filter (DVFILTER) ---- */

struct firewall_spec {
    char netns[NETNS_NAME_SIZE]; /* "": the worker's own */
    char interface[16];          /* "": every interface ("any") */
    bool loopback;               /* the interface is one: each packet once */
    enum filtertype filtertype;
    enum direction direction;
    char session[37], worker[37]; /* UUIDs: the table is named after them */
    uint32_t snaplen;             /* bytes of each packet */
    uint32_t buffer_mb;           /* MiB of socket memory */
};

/* What each logged packet says of its way through the interface (NFULA_PREFIX). Others may log to the same
 * group: what says nothing of this is not ours. */
#define FIREWALL_RECEIVED "pktcapd received"
#define FIREWALL_SENT     "pktcapd sent"

/* Hangs the session's table into the packet filter; *fd is a netlink socket that gets what it logs, one
 * packet a message. ERROR_NO_PRIVILEGE without CAP_NET_ADMIN. */
MUST_USE enum status broker_firewall_open(struct broker *broker, const struct firewall_spec *spec, int *fd,
                                          struct error *error);

/* Takes the table away; when it returns, nothing more is logged. Harmless if there is none. */
void broker_firewall_close(struct broker *broker, const char *session);

/* ---- both ---- */

/* The front end's connection: to the broker of any live worker of this data directory. Returns NULL if there
 * is none. */
struct broker *broker_connect(const struct data_dir *directory);
void broker_close(struct broker *broker);

/* A socket for route netlink. *cookie identifies the namespace for as long as this host is up
 * (SO_NETNS_COOKIE). Fails with ERROR_NO_SUCH_NETNS naming the closest, or ERROR_NO_PRIVILEGE naming the
 * capability. */
MUST_USE enum status broker_route_socket(struct broker *broker, const char *netns, int *fd, uint64_t *cookie,
                                         struct error *error);

/* The names of network namespaces but for the worker's own: *names is an array of *count names that the
 * caller frees. */
MUST_USE enum status broker_list_netns(struct broker *broker, char (**names)[NETNS_NAME_SIZE], size_t *count,
                                       struct error *error);

struct broker_abilities {
    bool capture;  /* the worker has CAP_NET_RAW */
    bool netns;    /* CAP_SYS_ADMIN */
    bool firewall; /* CAP_NET_ADMIN, and the kernel has nftables */
};

MUST_USE enum status broker_abilities(struct broker *broker, struct broker_abilities *abilities,
                                      struct error *error);

#endif
