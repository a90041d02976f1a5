/*
 * Tunnels that a packet may come in: VXLAN (RFC 7348) and Geneve (RFC 8926), over IPv4 and IPv6.
 */
#ifndef PKTCAPD_CAPTURE_FILTER_TUNNEL_H
#define PKTCAPD_CAPTURE_FILTER_TUNNEL_H

#include "capture/bpf_code.h"
#include "capture/bpf_shift.h"
#include "capture/filter_link.h"

/* The scratch words that tests of the inner packet rely on, one bit each. */
enum { FILTER_TUNNEL_VNI = 12, FILTER_TUNNEL_WORDS = 0xf << FILTER_TUNNEL_VNI };

/* Code that rejects every packet that is no tunnel's. Of others, it leaves in scratch words where the inner
 * frame begins (BPF_SHIFT_BASE) and the tunnel's id (FILTER_TUNNEL_VNI). */
void filter_tunnel_write(const struct filter_link *link, struct bpf_code *code);

/* Code that tests the id, behind that of filter_tunnel_write(). */
void filter_tunnel_write_ids(struct bpf_code *code, const uint32_t *ids, size_t count);

/* The tunnels in words, for people. */
extern const char filter_tunnel_words[];

#endif
