#include "capture/stream_sink.h"

#include "capture/stream_socket.h"
#include "core/clock.h"
#include "core/session.h"

#include <errno.h>
#include <pcap/dlt.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CHUNK = 64,           /* packets of one system call */
    PATIENCE_MS = 250,    /* what one batch may wait for a network that takes no more */
    IMPATIENCE_MS = 5,    /* and the next ones, until one gets through without */
    HURRY_MS = 600,       /* what all of them may wait when the capture ends */
    PAUSE_MS = 1,         /* after ENOBUFS, which no poll() waits for */
    REFRESH_MS = 1000,    /* how often the path is looked at */
    LATE_ICMP_MS = 50,    /* how long a closing stream waits for an answer to its last packet */
    LISTEN_MS = 5000,     /* so late the kernel says that nobody answers its ARP requests */
    NOTE_PAUSE_MS = 1500, /* a note is read by then */
    RETRIES = 16,
    MEMORY_SETS = 1 << 11, /* of packets, of which an ICMP error may still come */
    MEMORY_PLACES = 4,
};

/* What errormsg can say of a stream, each once. */
enum trouble {
    TROUBLE_PORT,
    TROUBLE_HOST,
    TROUBLE_NETWORK,
    TROUBLE_ICMP,
    TROUBLE_SEND,
    TROUBLE_SLOW,
    TROUBLE_LARGE,
    TROUBLE_NOT_IP,
};

/* Between the two stand the collector and its port. */
static const struct {
    const char *before, *after;
} TROUBLES[] = {
    [TROUBLE_PORT] = {"the stream's collector", "does not answer: port unreachable (ICMP)"},
    [TROUBLE_HOST] = {"the stream's collector", "does not answer: host unreachable (ICMP)"},
    [TROUBLE_NETWORK] = {"the stream's collector", "does not answer: network unreachable (ICMP)"},
    [TROUBLE_ICMP] = {"the stream's collector", "refuses packets (ICMP)"},
    [TROUBLE_SEND] = {"packets for the stream's collector", "cannot be sent"},
    [TROUBLE_SLOW] = {"the network to the stream's collector", "is slower than the stream"},
    [TROUBLE_LARGE] = {"packets for the stream's collector", "are larger than UDP takes"},
    [TROUBLE_NOT_IP] = {"packets for the stream's collector", "are no IP and have no Ethernet header"},
};

/* A packet that was sent, by what an ICMP error quotes of it. */
struct memory {
    uint16_t source_port, length, checksum;
    uint8_t count; /* of packets that look the same; 0: none */
    bool fragmented;
};

struct stream {
    struct stream_socket socket;
    char collector[48];
    bool ethernet;
    atomic_bool hurry;        /* the capture ends: set by another thread */
    int64_t hurry_until_ns;   /* monotonic; 0: there is time */
    int64_t patient_until_ns; /* of the batch under way */
    bool impatient;
    int64_t refresh_ns, sent_ns, noted_ns; /* monotonic */
    unsigned told;                         /* a bit for each trouble */

    /* The chunk under way. */
    size_t count;
    struct mmsghdr messages[CHUNK];
    struct iovec parts[CHUNK][2];
    uint8_t headers[CHUNK][STREAM_HEADER_SIZE];
    struct memory sent[MEMORY_SETS][MEMORY_PLACES];
    unsigned turn;
};

/* ---- batches: [length][packet] ---- */

static size_t packet_size(uint32_t captured)
{
    return sizeof captured + captured;
}

static void encode(struct batch *batch, const struct packet *packet)
{
    memcpy(batch->data + batch->used, &packet->captured, sizeof packet->captured);
    memcpy(batch->data + batch->used + sizeof packet->captured, packet->data, packet->captured);
    batch->used += packet_size(packet->captured);
    batch->packets++;
    batch->packet_bytes += packet->captured;
}

/* ---- what is told ---- */

/* A note must stay until it has been read; trouble that comes meanwhile is told when it comes again. */
static void note(struct sink *sink, enum trouble trouble)
{
    struct stream *stream = sink->state;
    int64_t now_ns = clock_monotonic_ns();
    char since[CLOCK_TEXT_SIZE];

    if ((stream->told & 1U << trouble) != 0 ||
        (stream->told != 0 && now_ns < stream->noted_ns + NOTE_PAUSE_MS * NS_PER_MS))
        return;
    stream->told |= 1U << trouble;
    stream->noted_ns = now_ns;
    snprintf(sink->note, sizeof sink->note, "%s %s port %d %s, since %s", TROUBLES[trouble].before,
             stream->collector, stream->socket.path.port, TROUBLES[trouble].after,
             clock_text(clock_now_ms(), since));
}

static void not_sent(struct sink *sink, enum trouble trouble)
{
    sink->unsent++;
    note(sink, trouble);
}

/* ---- ICMP ---- */

static bool is_memory_of(const struct memory *memory, const struct stream_error *packet)
{
    return memory->count > 0 && memory->source_port == packet->source_port &&
           memory->length == packet->length && memory->checksum == packet->checksum;
}

/* The place of a packet: where it is remembered, else a free one among those that it may have, else the one
 * whose turn it is. */
static struct memory *memory_of(struct stream *stream, const struct stream_error *packet)
{
    uint32_t hash = (packet->checksum ^ (uint32_t)packet->source_port << 16 ^ (uint32_t)packet->length << 8) *
                    0x9e3779b1U;
    struct memory *places = stream->sent[(hash >> 16) % MEMORY_SETS], *free_place = NULL;

    for (size_t i = 0; i < MEMORY_PLACES; i++) {
        if (is_memory_of(&places[i], packet))
            return &places[i];
        if (places[i].count == 0)
            free_place = &places[i];
    }
    return free_place != NULL ? free_place : &places[stream->turn++ % MEMORY_PLACES];
}

/* Two streams may go to one collector, and both sockets get the errors about either. A packet of which this
 * stream knows nothing was not its own, or is too old. */
static bool forget(struct sink *sink, const struct stream_error *error)
{
    struct stream *stream = sink->state;
    struct memory *at = memory_of(stream, error);

    if (error->destination_port != stream->socket.path.port || !is_memory_of(at, error))
        return false;
    at->count--;
    sink->streamed--;
    sink->streamed_bytes -= error->length - STREAM_HEADER_SIZE;
    sink->fragmented -= at->fragmented;
    sink->unsent++;
    return true;
}

static enum trouble icmp_trouble(int cause)
{
    switch (cause) {
    case ECONNREFUSED:
        return TROUBLE_PORT;
    case EHOSTUNREACH:
        return TROUBLE_HOST;
    case ENETUNREACH:
        return TROUBLE_NETWORK;
    default:
        return TROUBLE_ICMP;
    }
}

/* Returns how many errors there were. */
static int errors_take(struct sink *sink)
{
    struct stream *stream = sink->state;
    struct stream_error error;
    int count = 0;

    for (; stream_socket_next_error(&stream->socket, &error); count++) {
        bool ours = forget(sink, &error);
        if (error.cause == EMSGSIZE)
            stream->refresh_ns = 0; /* the path takes less: the kernel knows how much */
        else if (ours)
            note(sink, icmp_trouble(error.cause));
    }
    return count;
}

/* ---- sending ---- */

static void remember(struct stream *stream, const uint8_t header[STREAM_HEADER_SIZE], uint16_t length,
                     bool fragmented)
{
    struct stream_error packet = {.source_port = (uint16_t)(header[0] << 8 | header[1]), .length = length};

    memcpy(&packet.checksum, header + 6, sizeof packet.checksum);
    struct memory *at = memory_of(stream, &packet);
    uint8_t count = is_memory_of(at, &packet) ? at->count : 0;
    *at = (struct memory){packet.source_port, length, packet.checksum,
                          (uint8_t)(count < UINT8_MAX ? count + 1 : count), fragmented};
}

static void account(struct sink *sink, size_t from, size_t to)
{
    struct stream *stream = sink->state;

    for (size_t i = from; i < to; i++) {
        size_t bytes = stream->parts[i][1].iov_len, length = STREAM_HEADER_SIZE + bytes;
        bool fragmented = stream->socket.ip_header + (int)length > stream->socket.mtu;
        sink->streamed_bytes += (int64_t)bytes;
        sink->fragmented += fragmented;
        remember(stream, stream->headers[i], (uint16_t)length, fragmented);
    }
    sink->streamed += (int64_t)(to - from);
}

/* Until when a network that takes no more may be waited for. */
static int64_t patience_end_ns(struct stream *stream)
{
    if (atomic_load(&stream->hurry) && stream->hurry_until_ns == 0)
        stream->hurry_until_ns = clock_monotonic_ns() + HURRY_MS * NS_PER_MS;
    if (stream->hurry_until_ns != 0 && stream->hurry_until_ns < stream->patient_until_ns)
        return stream->hurry_until_ns;
    return stream->patient_until_ns;
}

/* EAGAIN: the socket's buffer is full, and poll() tells when it is not. ENOBUFS: a queue of the interface is,
 * and only trying tells. False when patience is over. */
static bool wait_for_room(struct stream *stream, int cause)
{
    struct pollfd room = {.fd = stream->socket.fd, .events = POLLOUT};
    int64_t left_ns = patience_end_ns(stream) - clock_monotonic_ns();

    if (left_ns <= 0) {
        stream->impatient = true;
        return false;
    }
    if (cause == EAGAIN)
        poll(&room, 1, (int)(left_ns / NS_PER_MS) + 1);
    else
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * NS_PER_MS}, NULL);
    return true;
}

static bool is_full(int cause)
{
    return cause == EAGAIN || cause == ENOBUFS || cause == ENOMEM;
}

/* After a failed send. An ICMP error that waited is told once by a send that does then not take place, and
 * the packet of that send is tried again. Returns how many packets are given up. */
static size_t after_failure(struct sink *sink, int cause, size_t left, int *tries)
{
    struct stream *stream = sink->state;

    if (errors_take(sink) == 0 && !is_full(cause))
        *tries += RETRIES / 2;
    if (is_full(cause) ? wait_for_room(stream, cause) : ++*tries < RETRIES)
        return 0;
    size_t gone = is_full(cause) ? left : 1;
    sink->unsent += (int64_t)gone;
    note(sink, is_full(cause) ? TROUBLE_SLOW : TROUBLE_SEND);
    return gone;
}

static void chunk_send(struct sink *sink)
{
    struct stream *stream = sink->state;
    size_t done = 0;
    int tries = 0;

    while (done < stream->count) {
        size_t left = stream->count - done;
        int sent = sendmmsg(stream->socket.fd, stream->messages + done, (unsigned)left, MSG_DONTWAIT);
        if (sent <= 0) {
            size_t gone = after_failure(sink, sent == 0 ? EAGAIN : errno, left, &tries);
            done += gone;
            tries = gone > 0 ? 0 : tries;
            continue;
        }
        account(sink, done, done + (size_t)sent);
        done += (size_t)sent;
        tries = 0;
    }
    stream->count = 0;
}

static void chunk_add(struct sink *sink, uint8_t *data, size_t length)
{
    struct stream *stream = sink->state;
    size_t i = stream->count;

    if (STREAM_HEADER_SIZE + length > (size_t)stream->socket.udp_most) {
        not_sent(sink, TROUBLE_LARGE);
        return;
    }
    if (stream_gre_protocol(stream->ethernet, data, length) == 0) {
        not_sent(sink, TROUBLE_NOT_IP);
        return;
    }
    stream_header_fill(&stream->socket.path, stream->ethernet, data, length, stream->headers[i]);
    stream->parts[i][0] = (struct iovec){stream->headers[i], STREAM_HEADER_SIZE};
    stream->parts[i][1] = (struct iovec){data, length};
    stream->count++;
}

static void batch_begin(struct sink *sink)
{
    struct stream *stream = sink->state;
    int64_t now_ns = clock_monotonic_ns();

    errors_take(sink);
    if (now_ns >= stream->refresh_ns) {
        stream_socket_refresh(&stream->socket);
        stream->refresh_ns = now_ns + REFRESH_MS * NS_PER_MS;
    }
    stream->patient_until_ns = now_ns + (stream->impatient ? IMPATIENCE_MS : PATIENCE_MS) * NS_PER_MS;
    stream->impatient = false;
}

static enum status write_batch(struct sink *sink, struct batch *batch, struct error *error)
{
    struct stream *stream = sink->state;
    uint32_t length;

    (void)error;
    batch_begin(sink);
    for (size_t at = 0; at < batch->used; at += packet_size(length)) {
        memcpy(&length, batch->data + at, sizeof length);
        chunk_add(sink, batch->data + at + sizeof length, length);
        if (stream->count == CHUNK)
            chunk_send(sink);
    }
    chunk_send(sink);
    errors_take(sink);
    stream->sent_ns = clock_monotonic_ns();
    return STATUS_OK;
}

/* ---- the rest of its life ---- */

static void hurry(struct sink *sink)
{
    struct stream *stream = sink->state;

    atomic_store(&stream->hurry, true);
}

static bool look(struct sink *sink)
{
    const struct stream *stream = sink->state;

    errors_take(sink);
    return clock_monotonic_ns() < stream->sent_ns + LISTEN_MS * NS_PER_MS;
}

/* A capture of a few packets to a collector that is not there would else end without a word of it. A network
 * answers within this time, and nobody waits for the end of a stream longer than for that of a file. */
static enum status close_stream(struct sink *sink, const struct sink_summary *summary, struct error *error)
{
    struct stream *stream = sink->state;
    struct pollfd told = {.fd = stream->socket.fd};
    int64_t left_ns = 0;

    (void)summary;
    (void)error;
    do {
        errors_take(sink);
        left_ns =
            stream->sent_ns == 0 ? 0 : stream->sent_ns + LATE_ICMP_MS * NS_PER_MS - clock_monotonic_ns();
        if (left_ns > 0)
            poll(&told, 1, (int)(left_ns / NS_PER_MS) + 1);
    } while (left_ns > 0);
    stream_socket_close(&stream->socket);
    free(stream);
    return STATUS_OK;
}

static const struct sink_ops STREAM_OPS = {
    .packet_size = packet_size,
    .encode = encode,
    .write = write_batch,
    .close = close_stream,
    .hurry = hurry,
    .look = look,
};

static bool linktype_is_ip(int linktype)
{
    return linktype == DLT_RAW || linktype == DLT_IPV4 || linktype == DLT_IPV6;
}

enum status stream_sink_open(const struct stream_settings *settings, struct sink *sink, struct error *error)
{
    uint16_t port = settings->port == 0 ? STREAM_PORT : settings->port;

    if (settings->linktype != DLT_EN10MB && !linktype_is_ip(settings->linktype))
        return error_set(error, ERROR_WRONG_POINT, "capmode",
                         "packets of this interface cannot be streamed: they have neither an Ethernet nor an "
                         "IP header in front (link type %d)",
                         settings->linktype);
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    if (stream_socket_open(settings->address, port, settings->mark, &stream->socket, error) != STATUS_OK) {
        free(stream);
        return error->status;
    }
    snprintf(stream->collector, sizeof stream->collector, "%s", settings->address);
    stream->ethernet = settings->linktype == DLT_EN10MB;
    for (size_t i = 0; i < CHUNK; i++)
        stream->messages[i].msg_hdr = (struct msghdr){.msg_iov = stream->parts[i], .msg_iovlen = 2};
    *sink =
        (struct sink){.ops = &STREAM_OPS, .state = stream, .fd = -1, .directory_fd = -1, .is_stream = true};
    return STATUS_OK;
}
