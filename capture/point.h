/*
 * Capture points: which interface a request means, in which network namespace.
 *
 * Read from the kernel at each call, so an interface made a moment ago is found. Needs no privilege of its
 * own: the worker's broker gives access to its namespaces. The front end asks in order to refuse early, the
 * worker asks again when it captures. Everywhere broker may be NULL (no worker is alive): then only this
 * process's own namespace can be seen.
 */
#ifndef PKTCAPD_CAPTURE_POINT_H
#define PKTCAPD_CAPTURE_POINT_H

#include "broker/broker.h"

/* A point without an interface, DVFILTER only. */
#define POINT_ANY "any"

struct point {
    char name[16];
    char netns[NETNS_NAME_SIZE]; /* name of the network namespace, "" for the worker's own */
    uint64_t cookie;             /* identifies the namespace until the host is started anew */
    unsigned index;              /* the kernel's interface index; 0: POINT_ANY */
    int linktype;                /* libpcap's DLT_ value that a capture there has */
    bool up;                     /* IFF_UP */
    bool loopback;
    bool unseen;        /* in a named namespace, and there was no broker to look there */
    unsigned cappoints; /* bit 1 << enum cappoint for each that it is */
};

enum { POINT_VALUE_SIZE = NETNS_NAME_SIZE + 17 };

/* Finds the interface that capvalue names and checks that it is a cappoint (API.md, "Capture points on
 * Linux"). capvalue is an interface's name, else its alias, else its MAC address, in the worker's own
 * namespace; else NETNS/ and one of these; else an alias or MAC address in any named namespace. DVFILTER also
 * takes POINT_ANY. Fails, field "capvalue", with ERROR_UNKNOWN_INTERFACE or ERROR_NO_SUCH_NETNS naming the
 * closest ones, field "cappoint" with ERROR_WRONG_POINT saying which points it is, and with
 * ERROR_NO_PRIVILEGE where the worker lacks a capability for it. */
MUST_USE enum status point_find(struct broker *broker, enum cappoint cappoint, const char *capvalue,
                                struct point *point, struct error *error);

/* Writes NETNS/IFNAME, or just IFNAME, into out; returns out. */
const char *point_value(const struct point *point, char out[POINT_VALUE_SIZE]);

/* Whether some interface of the worker's own namespace carries this IPv4 or IPv6 address. */
MUST_USE enum status point_host_has_address(struct broker *broker, const char *address, bool *has,
                                            struct error *error);

/* ---- lists ---- */

enum { POINT_ADDRESSES_MAX = 64, POINT_ADDRESS_SIZE = 56 };

/* What a list says of an interface besides. Strings are UTF-8, empty where there is nothing to say. */
struct point_details {
    struct point point;
    char mac[18], alias[256], kind[32], master[16];
    unsigned mtu;
    size_t address_count;                                    /* addresses beyond the last slot are left out */
    char addresses[POINT_ADDRESSES_MAX][POINT_ADDRESS_SIZE]; /* ADDRESS/PREFIX */
};

struct point_visitor {
    void *context;
    void (*see_point)(void *context, const struct point_details *details);
    /* missing names the capability without which it cannot be entered, "" if it can. NULL: does not matter.
     */
    void (*see_netns)(void *context, const char *name, const char *missing);
};

/* Shows every interface that is this cappoint (0: all), the own namespace first, then the named ones in
 * alphabetical order; netns shows just one ("": the own), NULL all. ERROR_NO_SUCH_NETNS. */
MUST_USE enum status point_list(struct broker *broker, enum cappoint cappoint, const char *netns,
                                const struct point_visitor *visitor, struct error *error);

/* address: 4 or 16 bytes, by family. */
typedef void (*point_address_visitor)(void *context, unsigned index, int family, const void *address);

/* Shows every IPv4 and IPv6 address of one namespace ("": the own), with the index of its interface. */
MUST_USE enum status point_list_addresses(struct broker *broker, const char *netns, point_address_visitor see,
                                          void *context, struct error *error);

#endif
