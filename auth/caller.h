/*
 * Who asks, and from where: what authentication finds out about a request, once for all operations.
 */
#ifndef PKTCAPD_AUTH_CALLER_H
#define PKTCAPD_AUTH_CALLER_H

#include "core/people.h"

struct caller {
    enum way way;
    char user[PERSON_NAME_SIZE]; /* empty where way is WAY_NONE */
    char groups[GROUPS_SIZE];    /* a name a line */
    struct role role;
    int64_t generation; /* of the user, who came in as one of the table; 0: another's word was taken */
    char token[37];     /* WAY_TOKEN: its id */
};

/* The client's end of the connection; what a trusted proxy says of it counts, nobody else's word does. */
struct client {
    char address[CLIENT_ADDRESS_SIZE]; /* of the client itself */
    bool trusted;                      /* the peer is a trusted proxy */
    bool secure;                       /* https, as the client sees it */
    char host[256];                    /* HOST or HOST:PORT, as the client sees it; empty if unknown */
    char prefix[256];                  /* path under which the client sees the API, "/lab" or empty */
};

struct audit;
struct config;
struct guard;
struct store;

/* Somebody at the door: what authentication and the audit work with. Everything stays the caller's. */
struct visit {
    const struct config *config;
    struct store *store; /* of this thread */
    struct guard *guard;
    struct audit *audit;
    const struct caller *who;
    const struct client *client;
};

#endif
