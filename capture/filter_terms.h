/*
 * A request's options as pcap-filter(7) wants them: the values of one name, and tests on them.
 */
#ifndef PKTCAPD_CAPTURE_FILTER_TERMS_H
#define PKTCAPD_CAPTURE_FILTER_TERMS_H

#include "capture/filter_options.h"
#include "core/error.h"

#include <stddef.h>

enum { FILTER_TESTS_SIZE = OPTIONS_MAX * 128 + 64 }; /* two tests on each term */

struct filter_terms {
    size_t count;
    char text[OPTIONS_MAX][FILTER_TERM_SIZE];
};

/* How many options the request has, whatever its counter says. */
size_t filter_option_count(const struct packet_capture_request *request);

bool filter_has_option(const struct packet_capture_request *request, enum option_name name);

/* Whether the options speak of the packet inside a tunnel. */
bool filter_is_inner(const struct packet_capture_request *request);

/* Whether it is said to be inner and not to be. */
bool filter_contradicts_inner(const struct packet_capture_request *request);

/* The values of one name. Wrong ones are left out, and reported where errors are wanted. */
void filter_terms_read(const struct packet_capture_request *request, enum option_name name,
                       struct filter_terms *terms, struct errors *errors);

/* The tests that this name stands for, behind what goes to this one of its layer's depths. */
void filter_terms_write(const struct filter_option *option, size_t depth, const struct filter_terms *terms,
                        char text[FILTER_TESTS_SIZE]);

#endif
