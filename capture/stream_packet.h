/*
 * What goes in front of a captured packet on its way to the collector: UDP and GRE (RFC 8086, RFC 2784). Pure
 * computation; the IP header is the kernel's.
 *
 *   UDP   source port from the packet's flow, so that routers on the way may spread flows but keep each in
 *         order; a real checksum, on IPv4 too
 *   GRE   no optional fields; protocol 0x6558 (an Ethernet frame), or that of the IP packet where the
 *         interface has no Ethernet header
 */
#ifndef PKTCAPD_CAPTURE_STREAM_PACKET_H
#define PKTCAPD_CAPTURE_STREAM_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    STREAM_UDP_SIZE = 8,
    STREAM_HEADER_SIZE = 12,          /* UDP and GRE */
    STREAM_SOURCE_PORT_FIRST = 49152, /* RFC 8086, section 3.2.1: the dynamic ports, up to 65535 */
};

/* Between whom: for the checksum's pseudo header. */
struct stream_path {
    uint8_t source[16], destination[16]; /* the first address_size bytes, in network order */
    size_t address_size;                 /* 4 or 16 */
    uint16_t port;                       /* of the collector */
};

/* The port of a packet's flow: MAC addresses, IP addresses, protocol and ports; tags are skipped. What is not
 * IP goes by its MAC addresses and EtherType, fragments by their IP addresses. */
uint16_t stream_source_port(bool ethernet, const uint8_t *data, size_t length);

/* GRE's protocol for a packet; 0 for one that begins with neither an Ethernet header nor an IP version. */
uint16_t stream_gre_protocol(bool ethernet, const uint8_t *data, size_t length);

/* Fills the header of a packet, whose UDP length (STREAM_HEADER_SIZE + length) must be at most 65535. */
void stream_header_fill(const struct stream_path *path, bool ethernet, const uint8_t *data, size_t length,
                        uint8_t header[STREAM_HEADER_SIZE]);

#endif
