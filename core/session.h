/*
 * The words that everyone here speaks: what was asked for (struct packet_capture_request, in request.h), what
 * became of it (struct run) and the row that holds both (struct session). All records are plain and copyable,
 * and absent values are as in request.h.
 */
#ifndef PKTCAPD_CORE_SESSION_H
#define PKTCAPD_CORE_SESSION_H

#include "core/request.h"

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
    STOP_QUOTA,
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

/* One file of a ring. */
struct run_file {
    int32_t number; /* from 1, in the order of writing */
    char file[96];  /* relative to the data directory */
    int64_t file_size;
    int64_t packets;
    int64_t packet_bytes; /* the packets' own bytes */
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

enum share_kind {
    SHARE_USER = 1,
    SHARE_GROUP,
};

/* Somebody who may read a session besides its owner. */
struct share {
    enum share_kind kind;
    char name[65];
};

enum { SHARES_MAX = 32 };

struct session {
    char id[37]; /* lower-case UUID */
    char node_id[37];
    struct packet_capture_request request;
    struct limits limits;
    char create_user[UTF8_SIZE(64)];
    char owner[65];  /* who rules over it; empty: nobody but administrators */
    char point[320]; /* what capvalue meant when it was allowed, NETNS/IFNAME; empty: it may mean anything */
    int64_t quota_bytes; /* what all files of its owner may take; 0: no limit */
    uint32_t share_count;
    struct share shares[SHARES_MAX];
    char last_modified_user[UTF8_SIZE(64)];
    char api_address[64]; /* ADDR:PORT of the front end that took it: the service's own traffic */
    int64_t create_time_ms;
    int64_t last_modified_time_ms;
    int32_t revision;
    struct run run; /* the newest */
};

extern const struct names session_state_names;
extern const struct names stop_reason_names;
extern const struct names share_kind_names;

/* The one table of moves between states. */
bool session_state_may_become(enum session_state from, enum session_state to);

/* STOPPED, FINISHED and ERROR. */
bool session_state_has_ended(enum session_state state);

#endif
