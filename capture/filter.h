/*
 * The filter of a request, compiled to classic BPF.
 *
 * Each option name is compiled by libpcap on its own, once for every depth of tags, and the pieces are
 * joined as programs, not as text: in pcap-filter(7) the keyword `vlan` moves the offsets of everything
 * after it, so a joined expression would not mean what its parts mean. Values of one option name are
 * ORed, different names and capexpression are ANDed (API.md, "Options").
 *
 * Tags are transparent: unless VLAN is given, an option matches the packet untagged, tagged (in the
 * frame, or stripped into metadata by the NIC or the kernel) and QinQ.
 *
 * Needs no privilege: the front end validates with it, the worker captures with it.
 */
#ifndef PKTCAPD_CAPTURE_FILTER_H
#define PKTCAPD_CAPTURE_FILTER_H

#include "core/error.h"
#include "core/session.h"

struct pcap;
struct bpf_program;

/* Checks option values and capexpression and adds one error per wrong one (field "options" or
 * "capexpression"; the message names the option, the value and what would be right).
 * linktype is a libpcap DLT_ value, for example DLT_EN10MB: options that need a header which packets of
 * that linktype lack are refused by name. */
void filter_validate(const struct packet_capture_request *request, int linktype, struct errors *errors);

/* Compiles the filter for an opened or dead pcap handle (its linktype and snaplen apply). With no
 * options and no expression the program accepts everything. direction DIRECTION_OUTPUT adds a test for
 * sent packets (live handles only); other directions add nothing: PACKET_IGNORE_OUTGOING serves INPUT.
 * The caller frees *program with filter_free(). Fails with ERROR_BAD_EXPRESSION or ERROR_BAD_VALUE. */
MUST_USE enum status filter_compile(struct pcap *pcap, const struct packet_capture_request *request,
                                    enum direction direction, struct bpf_program *program,
                                    struct error *error);

void filter_free(struct bpf_program *program);

#endif
