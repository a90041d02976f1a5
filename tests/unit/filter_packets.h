/*
 * Packets and options that the tests of filters share: what each row of FILTER_CASES lets through is said for
 * every packet at every depth of tags.
 */
#ifndef PKTCAPD_TESTS_FILTER_PACKETS_H
#define PKTCAPD_TESTS_FILTER_PACKETS_H

#include "capture/filter.h"

#include <pcap/pcap.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum packet {
    TCP4,
    OPTIONS4, /* TCP behind IPv4 options */
    UDP4,
    FIRST4, /* UDP, first fragment */
    LATER4, /* UDP, another fragment; its data look like ports */
    ICMP4,  /* the other way */
    TCP6,
    UDP6,
    FRAGMENT6, /* UDP behind a fragment header */
    ARP,
    RUNT, /* no whole Ethernet header, tags apart */
    PACKETS
};

enum { DEPTHS = 4 };

/* Hexadecimal: from the Ethernet type on; tags; and the two addresses in front of them. */
extern const char *const FILTER_PACKETS[PACKETS];
extern const char *const FILTER_TAGS[DEPTHS];
#define MACS "005056aabb02 005056aabb01"

#define ON(packet)    (1u << (packet))
#define NONE          0u
#define ALL           (ON(PACKETS) - 1)
#define V4            (ON(TCP4) | ON(OPTIONS4) | ON(UDP4) | ON(FIRST4) | ON(LATER4) | ON(ICMP4))
#define V6            (ON(TCP6) | ON(UDP6) | ON(FRAGMENT6))
#define TCPS          (ON(TCP4) | ON(OPTIONS4) | ON(TCP6))
#define UDPS          (ON(UDP4) | ON(FIRST4) | ON(UDP6)) /* whose ports can be seen */
#define TAGGED(depth) (1u << (depth))
#define ANY_DEPTH     0xfu
#define TAGGED_ANY    0xeu
#define UNTAGGED      TAGGED(0)

struct filter_case {
    const char *options, *expression;
    unsigned packets, depths;
};
extern const struct filter_case FILTER_CASES[];
extern const size_t FILTER_CASES_COUNT;

struct bytes {
    uint8_t data[512];
    size_t length;
};

void append_hex(struct bytes *bytes, const char *hex);
struct bytes frame(enum packet packet, size_t depth);
bool passes(const struct bpf_program *program, const struct bytes *bytes);

/* "PORT=80 IP=10.1.2.3" and an expression, either of them NULL or empty. The caller frees. */
struct packet_capture_request *request(const char *options, const char *expression);

/* What filter_validate() says; the caller frees. */
struct errors *errors_of(const char *options, const char *expression, int linktype);
void assert_valid(const char *options, const char *expression, int linktype);

/* Exactly one error, which blames the field and says both. */
void assert_refused(const char *options, const char *expression, int linktype, const char *field,
                    const char *says, const char *also);

/* The program for user space; and one that the kernel took, thrown away. */
struct bpf_program compiled_without(const char *options, const char *expression, int linktype, int snaplen,
                                    const struct filter_exclusions *exclusions);
struct bpf_program compiled(const char *options, const char *expression, int linktype, int snaplen);
void assert_kernel_takes(const char *options, const char *expression, int linktype,
                         const struct filter_exclusions *exclusions);

/* What filter_describe() says, compiled by libpcap. false: libpcap refuses it. */
bool described(const char *options, const char *expression, int linktype,
               const struct filter_exclusions *exclusions, struct bpf_program *program);

/* The text repeated with 1, 2, 3... in place of its #; the caller frees. */
char *many(const char *format, int count);

#endif
