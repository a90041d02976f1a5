/* pcap: a header, then packets; all numbers in this machine's byte order. */
#include "capture/file_format.h"

#include "core/clock.h"
#include "core/session.h"

#include <pcap/dlt.h>
#include <string.h>

enum { MAGIC_NANOSECONDS = 0xa1b23c4d, LINKTYPE_RAW = 101 };

struct file_head {
    uint32_t magic;
    uint16_t version_major, version_minor;
    int32_t zone;
    uint32_t sigfigs;
    uint32_t snaplen;
    uint32_t linktype;
};

struct packet_head {
    uint32_t seconds, nanoseconds;
    uint32_t captured, length;
};

_Static_assert(sizeof(struct file_head) == PCAP_FILE_HEADER_SIZE, "what downloads leave out");

uint32_t linktype_of_dlt(int dlt)
{
    return dlt == DLT_RAW ? LINKTYPE_RAW : (uint32_t)dlt;
}

int dlt_of_linktype(uint32_t linktype)
{
    return linktype == LINKTYPE_RAW ? DLT_RAW : (int)linktype;
}

static void make_header(const struct file_subject *subject, struct file_header *header)
{
    struct file_head head = {
        .magic = MAGIC_NANOSECONDS,
        .version_major = 2,
        .version_minor = 4,
        .snaplen = subject->snaplen,
        .linktype = linktype_of_dlt(subject->linktype),
    };

    header->size = sizeof head;
    memcpy(header->data, &head, sizeof head);
}

static size_t packet_size(uint32_t captured)
{
    return sizeof(struct packet_head) + (size_t)captured;
}

static void encode(struct batch *batch, const struct packet *packet)
{
    struct packet_head head = {
        .seconds = (uint32_t)(packet->timestamp_ns / NS_PER_S),
        .nanoseconds = (uint32_t)(packet->timestamp_ns % NS_PER_S),
        .captured = packet->captured,
        .length = packet->length,
    };

    memcpy(batch->data + batch->used, &head, sizeof head);
    memcpy(batch->data + batch->used + sizeof head, packet->data, packet->captured);
    batch->used += sizeof head + packet->captured;
    batch->packets++;
    batch->packet_bytes += packet->captured;
}

static bool measure(const struct file_walk *walk, const uint8_t *data, struct file_record *record)
{
    struct packet_head head;
    uint32_t magic;

    memcpy(&magic, data, sizeof magic);
    memcpy(&head, data, sizeof head);
    if (!walk->begun) {
        *record = (struct file_record){.size = sizeof(struct file_head), .is_edge = true};
        return magic == MAGIC_NANOSECONDS;
    }
    *record = (struct file_record){
        .size = packet_size(head.captured),
        .is_edge = true,
        .is_packet = true,
        .captured = head.captured,
        .timestamp_ns = head.seconds * NS_PER_S + head.nanoseconds,
    };
    return head.seconds != 0 && head.nanoseconds < NS_PER_S && head.captured <= walk->snaplen &&
           head.captured <= head.length;
}

static bool accept(struct file_walk *walk, const uint8_t *data, const struct file_record *record)
{
    struct file_head head;

    if (record->is_packet)
        return true;
    memcpy(&head, data, sizeof head);
    *walk = (struct file_walk){
        .begun = true, .linktype = dlt_of_linktype(head.linktype), .snaplen = head.snaplen};
    return head.snaplen <= FILE_RECORD_MAX - sizeof(struct packet_head);
}

const struct file_format pcap_format = {
    .suffix = ".pcap",
    .make_header = make_header,
    .packet_size = packet_size,
    .encode = encode,
    .head_size = sizeof(struct packet_head),
    .measure = measure,
    .accept = accept,
};
