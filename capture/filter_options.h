/*
 * What the option names of a request mean: which values each takes, and which pcap-filter(7) tests it stands
 * for. The one table of options; the filter is built by looping over it.
 */
#ifndef PKTCAPD_CAPTURE_FILTER_OPTIONS_H
#define PKTCAPD_CAPTURE_FILTER_OPTIONS_H

#include "core/session.h"

#include <stdbool.h>
#include <stdint.h>

enum { FILTER_TERM_SIZE = 48 }; /* the longest: an IPv6 prefix */

struct filter_option;
typedef bool filter_write_term(const struct filter_option *option, const char *value,
                               char term[FILTER_TERM_SIZE]);

/* Where a test looks. */
struct filter_layer {
    const char *const *depths; /* what to put in front of the test, one alternative each; up to NULL */
    bool needs_ethernet;       /* addresses or tags */
    bool needs_mac;            /* something of a MAC header */
    bool is_outer;             /* speaks of the outer frame whatever VNI and INNER say */
    bool is_tunnel;            /* speaks of the tunnel: no test by libpcap */
    bool test_per_depth; /* the first test for the first depth, and so on; else every test at every depth */
    uint32_t stripped;   /* SKF_AD_: which field of a stripped tag's metadata may match too; 0: none */
    uint32_t stripped_bits; /* ... and which of its bits */
};

struct filter_option {
    filter_write_term *write_term; /* writes a value as pcap-filter(7) wants it; false: not such a value */
    uint32_t low, high;            /* of numbers and prefix lengths */
    const char *takes;             /* what would be right, for the message */
    const char *tests[2];          /* primitives, either of which will do; the value follows */
    const struct filter_layer *layer;
};

/* The values of VNI and INNER, as write_term() wrote them. */
uint32_t filter_option_number(const char *term);
extern const char filter_option_true[], filter_option_false[];

/* NULL for a number that is no option's. */
const struct filter_option *filter_option(enum option_name name);

#endif
