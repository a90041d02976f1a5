/*
 * What the broker and its clients say to each other, over SOCK_SEQPACKET: one request, one answer, both of a
 * fixed size, a descriptor of an answer beside it. Private to broker/.
 */
#ifndef PKTCAPD_BROKER_MESSAGE_H
#define PKTCAPD_BROKER_MESSAGE_H

#include "broker/broker.h"

enum verb {
    VERB_ROUTE_SOCKET = 1, /* front ends may say these three */
    VERB_LIST_NETNS,
    VERB_ABILITIES,
    VERB_PACKET_SOCKET, /* and only the worker these */
    VERB_PUBLISH,       /* the listening socket comes with the request */
    VERB_FIREWALL_OPEN,
    VERB_FIREWALL_CLOSE,
};

struct broker_request {
    uint32_t verb;
    int32_t type;    /* of a packet socket */
    uint64_t serial; /* an answer has that of its request */
    struct firewall_spec spec;
    char netns[NETNS_NAME_SIZE]; /* of a list: names behind this one */
};

/* Names come in alphabetical order, a page at a time. */
enum { NAMES_A_PAGE = 32 };

struct broker_answer {
    uint64_t serial;
    struct error error; /* its status says whether it worked */
    uint64_t cookie;
    struct broker_abilities abilities;
    uint32_t count;
    char names[NAMES_A_PAGE][NETNS_NAME_SIZE];
};

/* Sends a message, with a descriptor unless fd is -1. False with errno on failure; never blocks for want of
 * room. */
bool message_send(int socket, const void *message, size_t size, int fd);

/* Receives a message of exactly this size, never blocks. *fd is the caller's, or -1. Returns 1, 0 where there
 * is none now, -1 at the end of file, after an error or a message of another size. */
int message_receive(int socket, void *message, size_t size, int *fd);

#endif
