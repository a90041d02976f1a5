/*
 * Capture points: which interface of this host a request means.
 *
 * Read from the kernel by netlink at each call, so an interface made a moment ago is found. Needs no
 * privilege: the front end asks in order to refuse early, the worker asks again when it captures.
 */
#ifndef PKTCAPD_CAPTURE_POINT_H
#define PKTCAPD_CAPTURE_POINT_H

#include "core/error.h"
#include "core/session.h"

#include <stdint.h>

struct point {
    char name[16];
    unsigned index; /* the kernel's interface index */
    int linktype;   /* libpcap's DLT_ value that a capture there has */
    bool up;        /* IFF_UP */
    bool loopback;
    unsigned cappoints; /* bit 1 << enum cappoint for each that it is */
};

/* Finds the interface that capvalue names (interface name, else alias, else MAC address) and checks that it
 * is a cappoint (API.md, "Capture points on Linux"). Fails, field "capvalue", with ERROR_UNKNOWN_INTERFACE
 * naming the closest ones, or field "cappoint" with ERROR_WRONG_POINT saying which points it is. */
MUST_USE enum status point_find(enum cappoint cappoint, const char *capvalue, struct point *point,
                                struct error *error);

/* Whether some interface of this host carries this IPv4 or IPv6 address. */
MUST_USE enum status point_host_has_address(const char *address, bool *has, struct error *error);

enum point_presence { POINT_UP, POINT_DOWN, POINT_GONE, POINT_UNKNOWN /* the kernel could not be asked */ };

/* What has become of an interface, and how many packets it received and lost before any tap could see them
 * (rx_dropped + rx_missed_errors + rx_fifo_errors) since it was made; *dropped is set only where it is there.
 * The kernel counts packets that nobody wanted as rx_dropped too, but not while a tap is open: it wants all.
 */
enum point_presence point_look(unsigned index, uint64_t *dropped);

#endif
