/*
 * The formats of capture files: how a file begins, how a packet is written, how a file ends, and how one that
 * a crash left behind is read again. Formats know bytes only; capture_file.c knows files.
 */
#ifndef PKTCAPD_CAPTURE_FILE_FORMAT_H
#define PKTCAPD_CAPTURE_FILE_FORMAT_H

#include "capture/sink.h"

enum {
    FILE_HEADER_MAX = 16384,
    FILE_TEXT_MAX = 4096, /* what of a text goes into a header */
    FILE_TRAILER_MAX = 128,
    FILE_RECORD_MAX = 1 << 20, /* no record of ours is larger */
};

/* What a file says of itself at its beginning. Texts may be empty; those that are too long are cut. */
struct file_subject {
    int linktype; /* DLT_ value */
    uint32_t snaplen;
    const char *interface;   /* IFNAME or NETNS/IFNAME */
    const char *description; /* what was captured, in words */
    const char *filter;
};

/* The beginning of a file, in bytes. */
struct file_header {
    size_t size;
    uint8_t data[FILE_HEADER_MAX];
};

/* How far the reading of a file has come, and what its beginning said. */
struct file_walk {
    bool begun; /* a whole header was read */
    int step;   /* the format's own */
    int linktype;
    uint32_t snaplen;
};

/* One record: a header, a packet, statistics. */
struct file_record {
    size_t size;
    bool is_edge; /* the file may end behind it */
    bool is_packet;
    uint32_t captured;
    int64_t timestamp_ns;
};

struct file_format {
    const char *suffix;  /* ".pcap" */
    bool has_sections;   /* who goes on with a file begins a section with its own header */
    size_t trailer_size; /* bytes that make_trailer() takes; 0: the format has no trailer */
    void (*make_header)(const struct file_subject *subject, struct file_header *header);
    void (*make_trailer)(const struct sink_summary *summary, uint8_t out[FILE_TRAILER_MAX]);
    size_t (*packet_size)(uint32_t captured); /* at most */
    void (*encode)(struct batch *batch, const struct packet *packet);
    /* Reading. After a power cut a file may hold zeros or anything: what is not plausible is no record. */
    size_t head_size; /* bytes at a record's beginning from which measure() tells its size */
    bool (*measure)(const struct file_walk *walk, const uint8_t *head, struct file_record *record);
    bool (*accept)(struct file_walk *walk, const uint8_t *data, const struct file_record *record);
};

/* draft-ietf-opsawg-pcap, nanoseconds: magic 0xa1b23c4d. */
extern const struct file_format pcap_format;

/* draft-ietf-opsawg-pcapng, nanoseconds: each worker that writes to a file begins a section. */
extern const struct file_format pcapng_format;

/* A file's LINKTYPE_ value is the DLT_ value, but for the few whose DLT_ values differ between systems. */
uint32_t linktype_of_dlt(int dlt);
int dlt_of_linktype(uint32_t linktype);

#endif
