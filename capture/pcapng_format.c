/*
 * PCAPNG: sections of blocks. Each section here is a Section Header Block, one Interface Description Block,
 * Enhanced Packet Blocks, and at a clean end one Interface Statistics Block (draft-ietf-opsawg-pcapng,
 * section 4); all numbers in this machine's byte order.
 */
#include "capture/file_format.h"

#include "core/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

enum {
    SECTION_HEADER = 0x0a0d0d0a,
    INTERFACE_DESCRIPTION = 1,
    INTERFACE_STATISTICS = 5,
    ENHANCED_PACKET = 6
};

enum { BYTE_ORDER_MAGIC = 0x1a2b3c4d, NANOSECONDS = 9, PACKET_FLAGS = 2, INBOUND = 1, OUTBOUND = 2 };

/* Options of the blocks (sections 4.1, 4.2 and 4.6). */
enum { SHB_OS = 3, SHB_USERAPPL = 4 };
enum { IF_NAME = 2, IF_DESCRIPTION = 3, IF_TSRESOL = 9, IF_FILTER = 11, IF_OS = 12 };
enum { ISB_STARTTIME = 2, ISB_ENDTIME, ISB_IFRECV, ISB_IFDROP, ISB_FILTERACCEPT, ISB_OSDROP, ISB_USRDELIV };

enum { STATISTICS_COUNT = 7 };

struct block_head {
    uint32_t type, size;
};

struct section_header {
    struct block_head head;
    uint32_t magic;
    uint16_t version_major, version_minor;
    int64_t section_length; /* -1: not told */
};

struct interface_description {
    struct block_head head;
    uint16_t linktype, reserved;
    uint32_t snaplen;
};

struct packet_head {
    struct block_head head;
    uint32_t interface, time_high, time_low;
    uint32_t captured, length;
};

struct option_head {
    uint16_t code, size;
};

/* epb_flags and the end of the options */
struct packet_flags {
    struct option_head flags;
    uint32_t value;
    struct option_head end;
};

struct statistics_head {
    struct block_head head;
    uint32_t interface, time_high, time_low;
};

struct counter_option {
    struct option_head head;
    uint32_t first, second;
};

static size_t padded(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

/* ---- writing ---- */

/* A block under construction in a buffer that has room for it. */
struct block {
    uint8_t *data;
    size_t used;
};

static void put(struct block *block, const void *data, size_t size)
{
    memcpy(block->data + block->used, data, size);
    memset(block->data + block->used + size, 0, padded(size) - size);
    block->used += padded(size);
}

static void put_option(struct block *block, uint16_t code, const void *data, size_t size)
{
    struct option_head head = {code, (uint16_t)size};

    put(block, &head, sizeof head);
    put(block, data, size);
}

/* Absent texts are left out. A text that is cut ends with a whole character. */
static void put_text(struct block *block, uint16_t code, const char *text)
{
    size_t size = strnlen(text, FILE_TEXT_MAX);

    while (size == FILE_TEXT_MAX || (size > 0 && (text[size] & 0xc0) == 0x80))
        size--;
    if (size > 0)
        put_option(block, code, text, size);
}

/* if_filter says in its first byte what language the filter is in; 0: that of libpcap. */
static void put_filter(struct block *block, const char *filter)
{
    char text[FILE_TEXT_MAX + 1] = "";
    size_t size = strnlen(filter, FILE_TEXT_MAX - 1);

    if (size == 0)
        return;
    memcpy(text + 1, filter, size);
    put_option(block, IF_FILTER, text, size + 1);
}

/* Ends the options and the block, which began at `start`. */
static void block_end(struct block *block, size_t start)
{
    struct option_head end = {0, 0};

    put(block, &end, sizeof end);
    uint32_t size = (uint32_t)(block->used - start + sizeof size);
    put(block, &size, sizeof size);
    memcpy(block->data + start + offsetof(struct block_head, size), &size, sizeof size);
}

static void put_section(struct block *block, const char *os)
{
    static const char APPLICATION[] = "pktcapd " PKTCAPD_VERSION;
    struct section_header head = {
        .head = {.type = SECTION_HEADER},
        .magic = BYTE_ORDER_MAGIC,
        .version_major = 1,
        .section_length = -1,
    };
    size_t start = block->used;

    put(block, &head, sizeof head);
    put_text(block, SHB_OS, os);
    put_text(block, SHB_USERAPPL, APPLICATION);
    block_end(block, start);
}

static void put_interface(struct block *block, const struct file_subject *subject, const char *os)
{
    static const uint8_t RESOLUTION = NANOSECONDS;
    struct interface_description head = {
        .head = {.type = INTERFACE_DESCRIPTION},
        .linktype = (uint16_t)linktype_of_dlt(subject->linktype),
        .snaplen = subject->snaplen,
    };
    size_t start = block->used;

    put(block, &head, sizeof head);
    put_text(block, IF_NAME, subject->interface);
    put_text(block, IF_DESCRIPTION, subject->description);
    put_option(block, IF_TSRESOL, &RESOLUTION, sizeof RESOLUTION);
    put_filter(block, subject->filter);
    put_text(block, IF_OS, os);
    block_end(block, start);
}

/* Each text takes at most FILE_TEXT_MAX, so that three of them and the names of this host and program fit. */
static void make_header(const struct file_subject *subject, struct file_header *header)
{
    struct block block = {.data = header->data};
    struct utsname host;
    char os[256] = "Linux";

    if (uname(&host) == 0)
        snprintf(os, sizeof os, "%s %s %s", host.sysname, host.release, host.machine);
    put_section(&block, os);
    put_interface(&block, subject, os);
    header->size = block.used;
}

static void put_time(struct block *block, uint16_t code, int64_t ns)
{
    struct counter_option option = {
        {code, sizeof(int64_t)}, (uint32_t)((uint64_t)ns >> 32), (uint32_t)(uint64_t)ns};

    put(block, &option, sizeof option);
}

static void put_counter(struct block *block, uint16_t code, int64_t value)
{
    put_option(block, code, &value, sizeof value);
}

static void make_trailer(const struct sink_summary *summary, uint8_t out[FILE_TRAILER_MAX])
{
    struct block block = {.data = out};
    struct statistics_head head = {
        .head = {.type = INTERFACE_STATISTICS},
        .time_high = (uint32_t)((uint64_t)summary->ended_ns >> 32),
        .time_low = (uint32_t)(uint64_t)summary->ended_ns,
    };

    put(&block, &head, sizeof head);
    put_time(&block, ISB_STARTTIME, summary->started_ns);
    put_time(&block, ISB_ENDTIME, summary->ended_ns);
    put_counter(&block, ISB_IFRECV, summary->matched);
    put_counter(&block, ISB_IFDROP, summary->dropped_interface);
    put_counter(&block, ISB_FILTERACCEPT, summary->matched);
    put_counter(&block, ISB_OSDROP, summary->dropped);
    put_counter(&block, ISB_USRDELIV, summary->matched - summary->dropped - summary->skipped);
    block_end(&block, 0);
}

enum {
    TRAILER_SIZE = sizeof(struct statistics_head) + STATISTICS_COUNT * sizeof(struct counter_option) +
                   sizeof(struct option_head) + sizeof(uint32_t),
};
_Static_assert((int)TRAILER_SIZE <= (int)FILE_TRAILER_MAX, "there is room for it");

static size_t packet_size(uint32_t captured)
{
    return sizeof(struct packet_head) + padded(captured) + sizeof(struct packet_flags) + sizeof(uint32_t);
}

static void encode(struct batch *batch, const struct packet *packet)
{
    bool told = packet->direction != PACKET_UNTOLD;
    struct packet_flags flags = {
        .flags = {PACKET_FLAGS, sizeof flags.value},
        .value = packet->direction == PACKET_RECEIVED ? INBOUND : OUTBOUND,
    };
    uint32_t size = (uint32_t)(packet_size(packet->captured) - (told ? 0 : sizeof flags));
    struct packet_head head = {
        .head = {ENHANCED_PACKET, size},
        .time_high = (uint32_t)((uint64_t)packet->timestamp_ns >> 32),
        .time_low = (uint32_t)(uint64_t)packet->timestamp_ns,
        .captured = packet->captured,
        .length = packet->length,
    };
    struct block block = {batch->data, batch->used};

    put(&block, &head, sizeof head);
    put(&block, packet->data, packet->captured);
    if (told)
        put(&block, &flags, sizeof flags);
    put(&block, &size, sizeof size);
    batch->used = block.used;
    batch->packets++;
    batch->packet_bytes += packet->captured;
}

/* ---- reading ---- */

/* What may come next. */
enum step { STEP_SECTION, STEP_INTERFACE, STEP_PACKETS };

static bool measure_packet(const struct file_walk *walk, const uint8_t *data, struct file_record *record)
{
    struct packet_head head;

    memcpy(&head, data, sizeof head);
    uint64_t time_ns = (uint64_t)head.time_high << 32 | head.time_low;
    record->is_packet = true;
    record->captured = head.captured;
    record->timestamp_ns = (int64_t)time_ns;
    return head.captured <= walk->snaplen && head.captured <= head.length && head.interface == 0 &&
           time_ns >= (uint64_t)NS_PER_S && time_ns <= INT64_MAX &&
           (head.head.size == packet_size(head.captured) ||
            head.head.size + sizeof(struct packet_flags) == packet_size(head.captured));
}

static bool measure(const struct file_walk *walk, const uint8_t *data, struct file_record *record)
{
    struct block_head head;

    memcpy(&head, data, sizeof head);
    *record = (struct file_record){.size = head.size, .is_edge = head.type != SECTION_HEADER};
    if (head.size % 4 != 0 || head.size < sizeof(struct packet_head) || head.size > FILE_RECORD_MAX)
        return false;
    switch (head.type) {
    case SECTION_HEADER:
        return walk->step != STEP_INTERFACE;
    case INTERFACE_DESCRIPTION:
        return walk->step == STEP_INTERFACE;
    case INTERFACE_STATISTICS:
        return walk->step == STEP_PACKETS;
    case ENHANCED_PACKET:
        return walk->step == STEP_PACKETS && measure_packet(walk, data, record);
    default:
        return false;
    }
}

static bool accept_section(struct file_walk *walk, const uint8_t *data)
{
    struct section_header head;

    memcpy(&head, data, sizeof head);
    walk->step = STEP_INTERFACE;
    return head.magic == BYTE_ORDER_MAGIC && head.version_major == 1;
}

static bool accept_interface(struct file_walk *walk, const uint8_t *data)
{
    struct interface_description head;

    memcpy(&head, data, sizeof head);
    walk->step = STEP_PACKETS;
    walk->begun = true;
    walk->linktype = dlt_of_linktype(head.linktype);
    walk->snaplen = head.snaplen;
    return head.snaplen <= FILE_RECORD_MAX - packet_size(0) - sizeof(uint32_t);
}

static bool accept(struct file_walk *walk, const uint8_t *data, const struct file_record *record)
{
    struct block_head head;
    uint32_t again;

    memcpy(&head, data, sizeof head);
    memcpy(&again, data + record->size - sizeof again, sizeof again);
    if (again != head.size)
        return false;
    if (head.type == SECTION_HEADER)
        return accept_section(walk, data);
    return head.type != INTERFACE_DESCRIPTION || accept_interface(walk, data);
}

const struct file_format pcapng_format = {
    .suffix = ".pcapng",
    .has_sections = true,
    .trailer_size = TRAILER_SIZE,
    .make_header = make_header,
    .make_trailer = make_trailer,
    .packet_size = packet_size,
    .encode = encode,
    .head_size = sizeof(struct packet_head),
    .measure = measure,
    .accept = accept,
};
