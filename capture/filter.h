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
 * With VNI or INNER the options speak of the packet inside a tunnel: code written by hand finds where that
 * begins (filter_tunnel.h), and the pieces are moved there (bpf_shift.h). VLAN and capexpression stay with
 * the outer frame.
 *
 * Needs no privilege: the front end validates with it, the worker captures with it.
 */
#ifndef PKTCAPD_CAPTURE_FILTER_H
#define PKTCAPD_CAPTURE_FILTER_H

#include "core/error.h"
#include "core/session.h"

struct pcap;
struct bpf_program;

/* Where a filter runs. */
struct filter_place {
    struct pcap
        *pcap;     /* compiles; its linktype and snaplen apply. A live handle only where capexpression
                    * speaks of tags (libpcap then asks the metadata for stripped ones), else a dead one */
    bool kernel;   /* runs in the kernel on a packet socket: it may ask the metadata for stripped tags,
                    * direction and socket marks */
    bool firewall; /* DVFILTER: IP packets without any MAC header (DLT_RAW) */
};

struct filter_endpoint {
    int family; /* AF_INET, AF_INET6 */
    uint8_t address[16];
    uint16_t port; /* in the host's order */
};

enum { FILTER_API_MAX = 64 };

/* The service's own traffic, which no capture shall see. */
struct filter_exclusions {
    uint32_t mark, mark_mask; /* packets of whose socket mark these bits are these: streams that this service
                               * sends; mask 0: none. Kernel places only: for others, the caller checks */
    size_t api_count;         /* TCP to and from these local addresses and ports */
    struct filter_endpoint api[FILTER_API_MAX];
    size_t api_missing; /* further ones that found no room */
    bool has_stream;
    struct filter_endpoint stream;        /* where the session's own stream goes */
    struct filter_endpoint stream_source; /* port unused: where it comes from; family 0: unknown */
};

/* Checks option values and capexpression and adds one error per wrong one (field "options" or
 * "capexpression"; the message names the option, the value and what would be right).
 * linktype is a libpcap DLT_ value, for example DLT_EN10MB: options that need a header which packets of
 * that linktype lack are refused by name. For DVFILTER, which the request tells, it does not matter. */
void filter_validate(const struct packet_capture_request *request, int linktype, struct errors *errors);

/* Compiles the filter. With no options, no expression and no exclusions (which may be NULL) the program
 * accepts everything. direction DIRECTION_OUTPUT adds a test for sent packets (in the kernel only); other
 * directions add nothing: PACKET_IGNORE_OUTGOING serves INPUT. The caller frees *program with
 * filter_free(). Fails with ERROR_BAD_EXPRESSION or ERROR_BAD_VALUE. */
MUST_USE enum status filter_compile(const struct filter_place *place,
                                    const struct packet_capture_request *request, enum direction direction,
                                    const struct filter_exclusions *exclusions, struct bpf_program *program,
                                    struct error *error);

void filter_free(struct bpf_program *program);

/* The filter as an expression for people: what tcpdump would take to pass the same frames (pcap-filter(7)),
 * without direction and mark; empty if everything is taken. Where no such expression exists, a text that
 * says so in words and that tcpdump refuses. A text that does not fit ends in "...". The request must be
 * valid. exclusions may be NULL. */
void filter_describe(const struct packet_capture_request *request, int linktype,
                     const struct filter_exclusions *exclusions, char *out, size_t size);

#endif
