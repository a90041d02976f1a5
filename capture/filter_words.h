/*
 * The words of a capexpression, checked before libpcap sees them.
 *
 * libpcap looks every name that it meets up in the DNS or in /etc (networks, services, protocols, ethers).
 * A request must not make this host do that, so the text is split exactly as libpcap's scanner.l (1.10.3)
 * splits it, and a word passes only if it is a keyword, a number or an address, or a name in one of the few
 * places where libpcap's grammar.y takes it from a table of its own (`ether proto \arp`, `type mgt`).
 */
#ifndef PKTCAPD_CAPTURE_FILTER_WORDS_H
#define PKTCAPD_CAPTURE_FILTER_WORDS_H

#include "core/error.h"

#include <stddef.h>

/* Fails with ERROR_BAD_EXPRESSION, field "capexpression"; the message quotes the word. */
MUST_USE enum status filter_words_check(const char *expression, struct error *error);

/* The keywords that pass, for the test that holds them against the libpcap of the day. */
const char *const *filter_words_known(size_t *count);

#endif
