/*
 * What was asked for: NSX's PacketCaptureRequest, and what is ours in it.
 *
 * The record is plain and copyable. A string is absent when empty, an enumeration when 0, an integer when it
 * is INT_ABSENT. Lengths of strings are NSX's maxLength in characters, times four for UTF-8.
 */
#ifndef PKTCAPD_CORE_REQUEST_H
#define PKTCAPD_CORE_REQUEST_H

#include "core/names.h"

#include <stdbool.h>
#include <stdint.h>

enum { INT_ABSENT = -1 };

#define UTF8_SIZE(characters) (4 * (characters) + 1)

/* NSX PacketCaptureRequest.cappoint */
enum cappoint {
    CAPPOINT_VNIC = 1,
    CAPPOINT_VMKNIC,
    CAPPOINT_VMNIC,
    CAPPOINT_PNIC,
    CAPPOINT_VIF,
    CAPPOINT_FCPORT,
    CAPPOINT_VDRPORT,
    CAPPOINT_DVFILTER,
    CAPPOINT_LOGICALPORT,
    CAPPOINT_SEGMENTPORT, /* the policy API's word for LOGICALPORT */
};

/* NSX PacketCaptureRequest.capsource */
enum capsource {
    CAPSOURCE_CLI = 1,
    CAPSOURCE_UI,
};

/* NSX PacketCaptureRequest.direction, seen from the interface. */
enum direction {
    DIRECTION_INPUT = 1,
    DIRECTION_OUTPUT,
    DIRECTION_DUAL,
};

/* NSX PacketCaptureRequest.filtertype: where DVFILTER looks. */
enum filtertype {
    FILTERTYPE_PRE = 1, /* before any rule of the host's packet filter */
    FILTERTYPE_POST,    /* behind all of them */
};

/* NSX PacketCaptureRequest.capmode */
enum capmode {
    CAPMODE_STANDALONE = 1, /* into a file */
    CAPMODE_STREAM,         /* as GRE-in-UDP to streamaddress (RFC 8086) */
};

/* Ours: PacketCaptureRequest.capformat */
enum capformat {
    CAPFORMAT_PCAP = 1,
    CAPFORMAT_PCAPNG,
};

/* NSX PacketCaptureOption.name, and the UDP ports (ours). VNI and INNER turn the others to the packet inside
 * a tunnel. */
enum option_name {
    OPTION_ETHTYPE = 1,
    OPTION_MAC,
    OPTION_SRCMAC,
    OPTION_DSTMAC,
    OPTION_VLAN,
    OPTION_IP,
    OPTION_SRCIP,
    OPTION_DSTIP,
    OPTION_IPPROTO,
    OPTION_PORT,
    OPTION_SRCPORT,
    OPTION_DSTPORT,
    OPTION_UDPPORT,
    OPTION_SRCUDPPORT,
    OPTION_DSTUDPPORT,
    OPTION_IP6,
    OPTION_SRCIP6,
    OPTION_DSTIP6,
    OPTION_IPPROTO6,
    OPTION_VNI,
    OPTION_INNER,
};

struct capture_option {
    enum option_name name;
    char value[UTF8_SIZE(63)];
};

struct tag {
    char scope[UTF8_SIZE(128)];
    char tag[UTF8_SIZE(256)];
};

enum { OPTIONS_MAX = 64, TAGS_MAX = 30, SNAPLEN_MAX = 262144, SNAPLEN_MIN = 24 };

/* What NFLOG carries of a packet at most (16 bits of attribute length): DVFILTER. */
enum { FIREWALL_SNAPLEN_MAX = 65531 };

/* A ring of files: more would be more names than a directory should hold. */
enum { FILE_COUNT_MAX = 1000 };

/* Bytes at the beginning of every pcap file, which a download of several has once. */
enum { PCAP_FILE_HEADER_SIZE = 24 };

/* GRE-in-UDP's own port (RFC 8086, section 8). */
enum { STREAM_PORT = 4754 };

struct packet_capture_request {
    char node[UTF8_SIZE(64)];
    char node_ip[UTF8_SIZE(45)];
    enum cappoint cappoint;
    char capvalue[UTF8_SIZE(256)];
    enum capsource capsource;
    enum direction direction;
    enum filtertype filtertype; /* DVFILTER only */
    enum capmode capmode;
    enum capformat capformat;
    int32_t capduration;               /* seconds; 0 and INT_ABSENT: not set */
    int32_t capamount;                 /* packets */
    int32_t capfilesize;               /* MB of 10^6 bytes */
    int32_t capsnaplen;                /* bytes of each packet */
    int32_t caprate;                   /* packets in any second */
    int32_t capcore;                   /* number of a CPU; INT_ABSENT: any, and 0 is the first */
    int32_t capfilecount;              /* files of capfilesize in a ring */
    char streamaddress[UTF8_SIZE(64)]; /* IPv4 or IPv6 literal */
    int32_t streamport;
    int32_t captureself; /* ours: a truth value, or INT_ABSENT: false */
    char name[UTF8_SIZE(255)];
    char description[UTF8_SIZE(1024)];
    char capexpression[UTF8_SIZE(1024)]; /* pcap-filter(7) */
    bool has_options;                    /* options was given, perhaps empty */
    uint32_t option_count;
    uint32_t tag_count;
    struct capture_option options[OPTIONS_MAX];
    struct tag tags[TAGS_MAX];
};

extern const struct names cappoint_names;
extern const struct names capsource_names;
extern const struct names direction_names;
extern const struct names filtertype_names;
extern const struct names capmode_names;
extern const struct names capformat_names;
extern const struct names option_names;

#endif
