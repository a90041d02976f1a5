#include "capture/nflog_tap.h"

#include "broker/broker.h"
#include "capture/filter.h"
#include "core/clock.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    MESSAGES = 32,      /* read at once */
    AROUND = 1024,      /* bytes of a message besides the packet's own */
    HEADERS_MOST = 256, /* bytes that the filter for the service's own traffic reads at most */
    PAYLOAD_MAX = 0xffff - (int)sizeof(struct nlattr), /* the kernel's own bound */
};

struct nflog_tap {
    struct tap tap;
    struct nflog_hook hook;
    bool frozen; /* and unhooked */
    struct bpf_program filter;
    uint32_t snaplen;
    uint32_t mark, mark_mask; /* of the service's own streams */
    int64_t taken, dropped;
    uint32_t drops;  /* the socket's counter as last read: it wraps */
    int64_t last_ns; /* the newest timestamp so far */
    size_t size;     /* of the room for one message */
    char *room;
    unsigned got, next; /* messages read, and the first of them that nobody has had yet */
    struct mmsghdr messages[MESSAGES];
    struct iovec places[MESSAGES];
};

static struct nflog_tap *nflog_tap_of(struct tap *tap)
{
    return (struct nflog_tap *)(void *)tap;
}

/* ---- opening ---- */

/* Expressions may read anything, and so may options that look into tunnels. */
uint32_t nflog_tap_range(const struct packet_capture_request *request, uint32_t snaplen)
{
    uint32_t range = request->option_count > 0 || request->capexpression[0] != '\0' ? PAYLOAD_MAX : snaplen;

    if (range < HEADERS_MOST)
        range = HEADERS_MOST;
    return range < PAYLOAD_MAX ? range : PAYLOAD_MAX;
}

static enum status compile(struct nflog_tap *tap, const struct tap_settings *settings, struct error *error)
{
    struct filter_place place = {.pcap = pcap_open_dead(DLT_RAW, SNAPLEN_MAX), .firewall = true};
    enum status status;

    if (place.pcap == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory for the filter");
    /* The rules tell received and sent packets apart. */
    status =
        filter_compile(&place, settings->request, DIRECTION_DUAL, settings->exclusions, &tap->filter, error);
    pcap_close(place.pcap);
    return status;
}

static enum status make_room(struct nflog_tap *tap, uint32_t range, struct error *error)
{
    tap->size = NLMSG_ALIGN(AROUND + range);
    tap->room = malloc(MESSAGES * tap->size);
    if (tap->room == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory for packets");
    for (size_t i = 0; i < MESSAGES; i++) {
        tap->places[i] = (struct iovec){tap->room + i * tap->size, tap->size};
        tap->messages[i].msg_hdr = (struct msghdr){.msg_iov = &tap->places[i], .msg_iovlen = 1};
    }
    return STATUS_OK;
}

static const struct tap_ops NFLOG_TAP_OPS;

enum status nflog_tap_open_on(int fd, const struct nflog_hook *hook, const struct tap_settings *settings,
                              struct tap **out, struct error *error)
{
    struct nflog_tap *tap = calloc(1, sizeof *tap);

    if (tap == NULL) {
        hook->unhook(hook->context, hook->session);
        close(fd);
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    }
    tap->tap = (struct tap){.ops = &NFLOG_TAP_OPS, .fd = fd, .linktype = DLT_RAW, .prompt = true};
    tap->hook = *hook;
    tap->snaplen = settings->snaplen;
    if (settings->exclusions != NULL) {
        tap->mark = settings->exclusions->mark;
        tap->mark_mask = settings->exclusions->mark_mask;
    }
    enum status status = make_room(tap, nflog_tap_range(settings->request, settings->snaplen), error);
    if (status == STATUS_OK)
        status = compile(tap, settings, error);
    if (status == STATUS_OK)
        *out = &tap->tap;
    else
        tap_close(&tap->tap);
    return status;
}

static void unhook_broker(void *context, const char *session)
{
    broker_firewall_close(context, session);
}

static enum stop_reason reason_of(enum error_code code)
{
    if (code == ERROR_NO_PRIVILEGE)
        return STOP_PERMISSION;
    return code == ERROR_UNKNOWN_INTERFACE || code == ERROR_NO_SUCH_NETNS ? STOP_INTERFACE_GONE
                                                                          : STOP_INTERNAL;
}

enum status nflog_tap_open(const struct tap_settings *settings, struct tap **tap, enum stop_reason *reason,
                           struct error *error)
{
    const struct point *point = settings->point;
    const struct packet_capture_request *request = settings->request;
    struct nflog_hook hook = {.unhook = unhook_broker, .context = settings->broker};
    struct firewall_spec spec = {
        .loopback = point->loopback,
        .filtertype = request->filtertype == 0 ? FILTERTYPE_PRE : request->filtertype,
        .direction = request->direction == 0 ? DIRECTION_DUAL : request->direction,
        .snaplen = nflog_tap_range(request, settings->snaplen),
        .buffer_mb = settings->ring_mb,
    };
    int fd;

    memcpy(spec.netns, point->netns, sizeof spec.netns);
    if (point->index != 0)
        memcpy(spec.interface, point->name, sizeof spec.interface);
    snprintf(spec.session, sizeof spec.session, "%s", settings->session);
    snprintf(spec.worker, sizeof spec.worker, "%s", settings->worker);
    memcpy(hook.session, spec.session, sizeof hook.session);
    enum status status = broker_firewall_open(settings->broker, &spec, &fd, error);
    if (status == STATUS_OK)
        return nflog_tap_open_on(fd, &hook, settings, tap, error);
    *reason = reason_of(error->code);
    return status;
}

static void nflog_tap_freeze(struct tap *base)
{
    struct nflog_tap *tap = nflog_tap_of(base);

    if (!tap->frozen)
        tap->hook.unhook(tap->hook.context, tap->hook.session);
    tap->frozen = true;
}

static void nflog_tap_close(struct tap *base)
{
    struct nflog_tap *tap = nflog_tap_of(base);

    nflog_tap_freeze(base);
    filter_free(&tap->filter);
    free(tap->room);
    close(tap->tap.fd);
    free(tap);
}

/* ---- what a message says ---- */

struct attribute {
    const uint8_t *data; /* NULL: it is not there */
    uint32_t size;
};

static void read_attributes(const uint8_t *at, size_t left, struct attribute attributes[NFULA_MAX + 1])
{
    struct nlattr header;

    while (left >= sizeof header) {
        memcpy(&header, at, sizeof header);
        if (header.nla_len < sizeof header || header.nla_len > left)
            return;
        if (header.nla_type <= NFULA_MAX)
            attributes[header.nla_type] =
                (struct attribute){at + sizeof header, header.nla_len - (uint32_t)sizeof header};
        size_t step = NLMSG_ALIGN((size_t)header.nla_len);
        step = step < left ? step : left;
        at += step;
        left -= step;
    }
}

static bool says(const struct attribute *prefix, const char *text)
{
    return prefix->data != NULL && prefix->size == strlen(text) + 1 &&
           memcmp(prefix->data, text, prefix->size) == 0;
}

/* PACKET_UNTOLD: somebody else's rule logs to the same group. */
static enum packet_direction read_direction(const struct attribute *prefix)
{
    if (says(prefix, FIREWALL_RECEIVED))
        return PACKET_RECEIVED;
    return says(prefix, FIREWALL_SENT) ? PACKET_SENT : PACKET_UNTOLD;
}

/* The file is to be in order: none is earlier than the one before, unless somebody set the clock. */
static int64_t read_time_ns(struct nflog_tap *tap, const struct attribute *attribute)
{
    struct nfulnl_msg_packet_timestamp stamp;
    int64_t ns;

    if (attribute->data != NULL && attribute->size >= sizeof stamp) {
        memcpy(&stamp, attribute->data, sizeof stamp);
        ns = (int64_t)be64toh(stamp.sec) * NS_PER_S + (int64_t)be64toh(stamp.usec) * 1000;
    } else {
        ns = clock_now_ns();
    }
    if (ns < tap->last_ns && tap->last_ns - ns < NS_PER_S)
        ns = tap->last_ns;
    tap->last_ns = ns;
    return ns;
}

/* What the IP header says that there is. Nothing where it cannot (more than 64 KiB, when the kernel merged
 * packets); then what was logged has to do. */
static uint32_t ip_length(const uint8_t *data, uint32_t size)
{
    uint16_t length;

    if (size >= sizeof(struct iphdr) && data[0] >> 4 == 4) {
        memcpy(&length, data + offsetof(struct iphdr, tot_len), sizeof length);
        return ntohs(length);
    }
    if (size >= sizeof(struct ip6_hdr) && data[0] >> 4 == 6) {
        memcpy(&length, data + offsetof(struct ip6_hdr, ip6_plen), sizeof length);
        return length == 0 ? 0 : ntohs(length) + (uint32_t)sizeof(struct ip6_hdr);
    }
    return 0;
}

/* No mark is a mark of zero. */
static bool is_own_stream(const struct nflog_tap *tap, const struct attribute *attribute)
{
    uint32_t mark = 0;

    if (attribute->data != NULL && attribute->size == sizeof mark)
        memcpy(&mark, attribute->data, sizeof mark);
    return tap->mark_mask != 0 && (ntohl(mark) & tap->mark_mask) == tap->mark;
}

/* false: no packet of ours, or one that the filter leaves out. */
static bool read_packet(struct nflog_tap *tap, const struct attribute attributes[NFULA_MAX + 1],
                        struct packet *packet)
{
    const struct attribute *payload = &attributes[NFULA_PAYLOAD];
    enum packet_direction direction = read_direction(&attributes[NFULA_PREFIX]);

    if (direction == PACKET_UNTOLD || payload->data == NULL || is_own_stream(tap, &attributes[NFULA_MARK]))
        return false;
    uint32_t length = ip_length(payload->data, payload->size);
    if (length < payload->size)
        length = payload->size;
    if (bpf_filter(tap->filter.bf_insns, payload->data, length, payload->size) == 0)
        return false;
    *packet = (struct packet){
        .timestamp_ns = read_time_ns(tap, &attributes[NFULA_TIMESTAMP]),
        .captured = payload->size < tap->snaplen ? payload->size : tap->snaplen,
        .length = length,
        .direction = direction,
        .data = payload->data,
    };
    return true;
}

static bool take(struct nflog_tap *tap, unsigned index, tap_handler handler, void *context)
{
    static const size_t HEAD = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
    const uint8_t *message = tap->places[index].iov_base;
    struct attribute attributes[NFULA_MAX + 1] = {0};
    struct nlmsghdr header;
    struct packet packet;
    size_t size = tap->messages[index].msg_len;

    if (size < HEAD)
        return true;
    memcpy(&header, message, sizeof header);
    if (header.nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) || header.nlmsg_len < HEAD)
        return true;
    size = header.nlmsg_len < size ? header.nlmsg_len : size;
    read_attributes(message + HEAD, size - HEAD, attributes);
    if (!read_packet(tap, attributes, &packet))
        return true;
    tap->taken++;
    return handler(context, &packet);
}

/* ---- reading ---- */

/* The next messages, whole: those that the last read left come first. Returns 0 if none wait, -1 if the
 * socket has failed. */
static int receive(struct nflog_tap *tap)
{
    if (tap->next < tap->got)
        return 1;
    int got = recvmmsg(tap->tap.fd, tap->messages, MESSAGES, MSG_DONTWAIT, NULL);
    tap->next = 0;
    tap->got = got > 0 ? (unsigned)got : 0;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    return got > 0;
}

/* Packets that the filter leaves out count as read: they take time too. */
static int nflog_tap_read(struct tap *base, tap_handler handler, void *context)
{
    struct nflog_tap *tap = nflog_tap_of(base);
    int count = 0, received = 1;
    bool more = true;

    while (more && count < TAP_PACKETS_A_READ && (received = receive(tap)) > 0) {
        more = take(tap, tap->next++, handler, context);
        count++;
    }
    return count == 0 && received < 0 ? -1 : count;
}

/* How many messages wait in the socket it does not tell, only whether there are any. */
static void nflog_tap_read_statistics(struct tap *base, struct tap_statistics *statistics)
{
    struct nflog_tap *tap = nflog_tap_of(base);
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;

    if (getsockopt(base->fd, SOL_SOCKET, SO_MEMINFO, memory, &size) == 0) {
        tap->dropped += (uint32_t)(memory[SK_MEMINFO_DROPS] - tap->drops);
        tap->drops = memory[SK_MEMINFO_DROPS];
    }
    *statistics = (struct tap_statistics){
        .taken = tap->taken,
        .waiting = tap->got - tap->next + (memory[SK_MEMINFO_RMEM_ALLOC] > 0 ? 1 : 0),
        .dropped = tap->dropped,
    };
}

static const struct tap_ops NFLOG_TAP_OPS = {nflog_tap_read, nflog_tap_freeze, nflog_tap_read_statistics,
                                             nflog_tap_close};
