/*
 * The pcap file: written in nanosecond format, repaired after a crash.
 * Format: draft-ietf-opsawg-pcap; magic 0xa1b23c4d, all numbers in this machine's byte order.
 */
#ifndef PKTCAPD_CAPTURE_PCAP_FILE_H
#define PKTCAPD_CAPTURE_PCAP_FILE_H

#include "capture/sink.h"

enum { PCAP_FILE_HEADER_SIZE = 24, PCAP_PACKET_HEADER_SIZE = 16 };

/* What a file holds. */
struct pcap_tally {
    int64_t packets;
    int64_t packet_bytes;
    int64_t size;    /* bytes, headers included */
    int64_t last_ns; /* timestamp of the last packet; 0: none */
};

/* Makes the file, which must not be there yet, and its directory, with the header. linktype is a DLT_ value.
 * Fails with ERROR_STORE_FULL or ERROR_HOST. */
MUST_USE enum status pcap_file_create(const char *path, int linktype, uint32_t snaplen, struct sink *sink,
                                      struct error *error);

/* Opens the file of an unfinished capture: cuts a torn last record off and counts the rest.
 * Fails with ERROR_NO_SUCH_FILE if there is none or not even its header, ERROR_SESSION_RUNNING if another
 * process still writes to it, ERROR_HOST if it is not such a file. */
MUST_USE enum status pcap_file_reopen(const char *path, struct sink *sink, struct pcap_tally *tally,
                                      struct error *error);

/* The DLT_ value of a file that pcap_file_reopen() opened, or -1. */
int pcap_file_linktype(const struct sink *sink);

#endif
