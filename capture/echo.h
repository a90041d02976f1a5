/*
 * A stream's own packets, told by what they carry: behind a GRE header, the beginning of a packet that the
 * stream has just sent. So they are known where neither mark nor address tells them any more: wrapped by
 * another tunnel, translated by NAT, or quoted in an ICMP error. Captured into the stream, each would beget
 * another.
 */
#ifndef PKTCAPD_CAPTURE_ECHO_H
#define PKTCAPD_CAPTURE_ECHO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of a packet within which its own header may stand: below that, what a tap keeps would hide it. */
enum { ECHO_SNAPLEN = 512 };

struct echo;

/* ethernet: whether the stream's packets begin with an Ethernet header. NULL: out of memory. */
struct echo *echo_open(bool ethernet);
void echo_free(struct echo *echo);

/* Whether this packet carries one that was noted lately (of the last tens of thousands). */
bool echo_is_own(const struct echo *echo, const uint8_t *data, size_t size);

/* This packet, as it is here, goes into the stream. */
void echo_note(struct echo *echo, const uint8_t *data, size_t size);

#endif
