/*
 * The words that everyone here speaks: what was asked for (struct packet_capture_request), what
 * became of it (struct run) and the row that holds both (struct session).
 *
 * All records are plain and copyable. A string is absent when empty, an enumeration when 0, an
 * integer of the request when it is INT_ABSENT. Lengths of strings are NSX's maxLength in
 * characters, times four for UTF-8.
 */
#ifndef PKTCAPD_CORE_SESSION_H
#define PKTCAPD_CORE_SESSION_H

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

/* A ring of files: more would be more names than a directory should hold. */
enum { FILE_COUNT_MAX = 1000 };

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

/* What applies after defaults and the server's maxima. */
struct limits {
    int64_t duration_s;   /* always set */
    int64_t packets;      /* 0: no limit */
    int64_t file_size_mb; /* always set */
    int64_t snaplen;      /* always set */
};

/* NSX PacketCaptureSession.sessionstatus */
enum session_state {
    STATE_CREATED = 1,
    STATE_STARTED,
    STATE_STOPPED,
    STATE_FINISHED,
    STATE_ERROR,
};

/* Ours: why a run ended. */
enum stop_reason {
    STOP_DURATION = 1,
    STOP_PACKET_COUNT,
    STOP_FILE_SIZE,
    STOP_TERMINATED,
    STOP_DISK_LOW,
    STOP_INTERFACE_GONE,
    STOP_PERMISSION,
    STOP_STREAM_UNREACHABLE,
    STOP_WORKER_LOST,
    STOP_INTERNAL,
};

/* What a run has done so far. packets_captured and bytes_captured describe the file as it is on disk, or what
 * was streamed. */
struct counters {
    int64_t packets_captured;
    int64_t packets_dropped;           /* by the kernel's ring, or for want of disk space */
    int64_t packets_dropped_interface; /* by the interface's driver */
    int64_t packets_skipped;           /* by caprate */
    int64_t packets_overwritten;       /* written, but to a file of a ring that made room for a newer one */
    int64_t packets_streamed;          /* handed to the network */
    int64_t packets_unsent;            /* taken for the stream, but not sent, or known not to have arrived */
    int64_t packets_fragmented;        /* of those streamed: larger than the path takes, sent in fragments */
    int64_t bytes_captured;            /* captured bytes of packets, without file headers */
    int64_t file_size;                 /* bytes, file headers included */
};

/* One run of a session: restart makes the next one. Times are epoch milliseconds, 0: not yet. */
struct run {
    int32_t number; /* from 1 */
    enum session_state state;
    int64_t created_ms;
    int64_t started_ms;
    int64_t ended_ms;
    enum stop_reason stop_reason;
    char errormsg[512];
    char file[96];  /* relative to the data directory; empty until there is one; of a ring: the newest */
    char place[96]; /* which network namespace it captures in, if in a named one; see place.h */
    struct counters counters;
};

struct session {
    char id[37]; /* lower-case UUID */
    char node_id[37];
    struct packet_capture_request request;
    struct limits limits;
    char create_user[UTF8_SIZE(64)];
    char last_modified_user[UTF8_SIZE(64)];
    char api_address[64]; /* ADDR:PORT of the front end that took it: the service's own traffic */
    int64_t create_time_ms;
    int64_t last_modified_time_ms;
    int32_t revision;
    struct run run; /* the newest */
};

extern const struct names cappoint_names;
extern const struct names capsource_names;
extern const struct names direction_names;
extern const struct names filtertype_names;
extern const struct names capmode_names;
extern const struct names capformat_names;
extern const struct names option_names;
extern const struct names session_state_names;
extern const struct names stop_reason_names;

/* The one table of moves between states. */
bool session_state_may_become(enum session_state from, enum session_state to);

/* STOPPED, FINISHED and ERROR. */
bool session_state_has_ended(enum session_state state);

#endif
