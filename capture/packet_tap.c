#include "capture/packet_tap.h"

#include "capture/packet_ring.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <pcap/sll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TAG_SIZE = 4,    /* of an 802.1Q tag in a frame */
    TAG_OFFSET = 12, /* behind both MAC addresses */
    /* of the sockaddr_ll behind a packet's header in the ring */
    ADDRESS_OFFSET = TPACKET_ALIGN((int)sizeof(struct tpacket3_hdr)),
};

struct packet_tap {
    struct tap tap;
    struct packet_ring ring;
    uint32_t snaplen;
    bool cooked; /* frames come without a link header, and get one that is the same for all (DLT_LINUX_SLL) */
    int64_t received, dropped, taken;
};

/* ---- opening ---- */

static enum status socket_failed(const char *what, struct error *error)
{
    return error_set(error, ERROR_HOST, NULL, "cannot %s: %s", what, strerror(errno));
}

/* In the worker's own namespace a capture needs no broker. */
static enum status socket_open(const struct tap_settings *settings, int type, int *fd,
                               enum stop_reason *reason, struct error *error)
{
    const struct point *point = settings->point;

    if (point->netns[0] != '\0') {
        enum status status = broker_packet_socket(settings->broker, point->netns, type, fd, error);
        if (status != STATUS_OK)
            *fd = -1;
        if (status != STATUS_OK && error->code == ERROR_NO_PRIVILEGE)
            *reason = STOP_PERMISSION;
        else if (status != STATUS_OK && error->code == ERROR_NO_SUCH_NETNS)
            *reason = STOP_INTERFACE_GONE;
        return status;
    }
    *fd = socket(AF_PACKET, type | SOCK_CLOEXEC, 0);
    if (*fd >= 0)
        return STATUS_OK;
    if (errno != EPERM)
        return socket_failed("open a packet socket", error);
    *reason = STOP_PERMISSION;
    return error_set(error, ERROR_HOST, NULL,
                     "no permission to capture on %s: pktcap-worker lacks the capability CAP_NET_RAW",
                     point->name);
}

static enum status attach(int fd, const struct bpf_program *program, struct error *error)
{
    /* struct bpf_insn and struct sock_filter are the same by design (net/bpf.h). */
    struct sock_fprog filter = {(unsigned short)program->bf_len,
                                (struct sock_filter *)(void *)program->bf_insns};

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0)
        return STATUS_OK;
    if (errno == ENOMEM)
        return error_set(
            error, ERROR_HOST, NULL,
            "the filter is too large for this host: its %d instructions need more socket memory than "
            "the kernel's net.core.optmem_max allows; raise that, or use fewer options",
            (int)program->bf_len);
    return socket_failed("attach the filter", error);
}

/* What compiles the filter. Only a live handle makes libpcap look for tags in the metadata, where the kernel
 * puts those that it strips; on which interface it is open does not matter. */
static pcap_t *compiler_open(const struct tap_settings *settings, int linktype, struct error *error)
{
    char message[PCAP_ERRBUF_SIZE];
    pcap_t *pcap;
    int result = 0;

    if (linktype != DLT_EN10MB || strstr(settings->request->capexpression, "vlan") == NULL) {
        pcap = pcap_open_dead(linktype, (int)settings->snaplen);
    } else if ((pcap = pcap_create("lo", message)) != NULL) {
        pcap_set_snaplen(pcap, (int)settings->snaplen);
        pcap_set_buffer_size(pcap, PACKET_RING_BLOCK_SIZE);
        result = pcap_activate(pcap);
    }
    if (pcap != NULL && result >= 0)
        return pcap;
    error_set(error, ERROR_HOST, NULL, "cannot compile an expression on tags: %s",
              pcap == NULL ? "out of memory" : pcap_geterr(pcap));
    if (pcap != NULL)
        pcap_close(pcap);
    return NULL;
}

/* A program for DLT_LINUX_SLL reads a header that the kernel's packet does not have: moves what lies behind
 * it, and takes the protocol and the packet's type from the metadata. */
static enum status uncook(struct bpf_program *program, struct error *error)
{
    for (u_int i = 0; i < program->bf_len; i++) {
        struct bpf_insn *load = &program->bf_insns[i];
        bool loads = BPF_CLASS(load->code) == BPF_LD || BPF_CLASS(load->code) == BPF_LDX;
        bool reads = loads && (BPF_MODE(load->code) == BPF_ABS || BPF_MODE(load->code) == BPF_IND ||
                               BPF_MODE(load->code) == BPF_MSH);
        if (!reads || load->k >= (bpf_u_int32)SKF_AD_OFF)
            continue;
        if (load->k >= SLL_HDR_LEN)
            load->k -= SLL_HDR_LEN;
        else if (load->k == offsetof(struct sll_header, sll_protocol))
            load->k = (bpf_u_int32)(SKF_AD_OFF + SKF_AD_PROTOCOL);
        else if (load->k == offsetof(struct sll_header, sll_pkttype))
            load->k = (bpf_u_int32)(SKF_AD_OFF + SKF_AD_PKTTYPE);
        else
            return error_set(error, ERROR_BAD_EXPRESSION, "capexpression",
                             "capexpression reads the link header, which this interface does not have");
    }
    return STATUS_OK;
}

static enum status filter_set(struct packet_tap *tap, const struct tap_settings *settings,
                              struct error *error)
{
    struct bpf_program program;
    enum direction direction = settings->request->direction;
    enum status status;
    int on = 1;

    /* The loopback interface shows each packet twice, sent and received: take it as received. */
    if (settings->point->loopback || direction == DIRECTION_INPUT) {
        if (setsockopt(tap->tap.fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0)
            return socket_failed("ignore sent packets", error);
        direction = DIRECTION_INPUT;
    }
    struct filter_place place = {.pcap = compiler_open(settings, tap->tap.linktype, error), .kernel = true};
    if (place.pcap == NULL)
        return error->status;
    status = filter_compile(&place, settings->request, direction, settings->exclusions, &program, error);
    pcap_close(place.pcap);
    if (status != STATUS_OK)
        return status;
    if (tap->cooked)
        status = uncook(&program, error);
    if (status == STATUS_OK)
        status = attach(tap->tap.fd, &program, error);
    filter_free(&program);
    return status;
}

/* Packets count from here on. */
static enum status bind_to(int fd, const struct point *point, enum stop_reason *reason, struct error *error)
{
    struct sockaddr_ll address = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)point->index};
    struct packet_mreq promiscuous = {.mr_ifindex = (int)point->index, .mr_type = PACKET_MR_PROMISC};
    socklen_t size = sizeof(int);
    int problem = 0;

    if (setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) != 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        problem = errno;
    else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) != 0)
        problem = errno;
    if (problem == 0)
        return STATUS_OK;
    if (problem == ENODEV || problem == ENXIO || problem == ENETDOWN)
        *reason = STOP_INTERFACE_GONE;
    if (problem == ENETDOWN)
        return error_set(error, ERROR_HOST, NULL, "interface %s is down", point->name);
    if (*reason == STOP_INTERFACE_GONE)
        return error_set(error, ERROR_HOST, NULL, "interface %s is gone", point->name);
    return error_set(error, ERROR_HOST, NULL, "cannot capture on %s: %s", point->name, strerror(problem));
}

static const struct tap_ops PACKET_TAP_OPS;

enum status packet_tap_open(const struct tap_settings *settings, struct tap **out, enum stop_reason *reason,
                            struct error *error)
{
    struct packet_tap *tap = calloc(1, sizeof *tap);
    const struct point *point = settings->point;

    if (tap == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    tap->tap = (struct tap){.ops = &PACKET_TAP_OPS, .fd = -1, .linktype = point->linktype};
    tap->snaplen = settings->snaplen;
    tap->cooked = point->linktype == DLT_LINUX_SLL;
    enum status status =
        socket_open(settings, tap->cooked ? SOCK_DGRAM : SOCK_RAW, &tap->tap.fd, reason, error);
    if (status == STATUS_OK)
        status =
            packet_ring_open(&tap->ring, tap->tap.fd, (size_t)settings->ring_mb << 20, TAP_RETIRE_MS, error);
    if (status == STATUS_OK)
        status = filter_set(tap, settings, error);
    if (status == STATUS_OK)
        status = bind_to(tap->tap.fd, point, reason, error);
    if (status == STATUS_OK)
        *out = &tap->tap;
    else
        tap_close(&tap->tap);
    return status;
}

static struct packet_tap *packet_tap_of(struct tap *tap)
{
    return (struct packet_tap *)(void *)tap;
}

static void packet_tap_close(struct tap *base)
{
    struct packet_tap *tap = packet_tap_of(base);

    packet_ring_close(&tap->ring);
    if (tap->tap.fd >= 0)
        close(tap->tap.fd);
    free(tap);
}

/* ---- reading ---- */

/* Puts the tag that the kernel stripped back into the frame, which so begins earlier. */
static uint8_t *tag_restore(uint8_t *data, const struct tpacket3_hdr *header)
{
    uint16_t type = header->tp_status & TP_STATUS_VLAN_TPID_VALID ? header->hv1.tp_vlan_tpid : ETH_P_8021Q;
    uint16_t tag[2] = {htons(type), htons((uint16_t)header->hv1.tp_vlan_tci)};

    data -= TAG_SIZE;
    memmove(data, data + TAG_SIZE, TAG_OFFSET);
    memcpy(data + TAG_OFFSET, tag, sizeof tag);
    return data;
}

/* The header of cooked mode, from what the kernel tells of the packet. */
static uint8_t *cook(uint8_t *data, const struct sockaddr_ll *from)
{
    struct sll_header header = {
        .sll_pkttype = htons(from->sll_pkttype),
        .sll_hatype = htons(from->sll_hatype),
        .sll_halen = htons(from->sll_halen),
        .sll_protocol = from->sll_protocol,
    };

    memcpy(header.sll_addr, from->sll_addr, sizeof header.sll_addr);
    data -= sizeof header;
    memcpy(data, &header, sizeof header);
    return data;
}

static void packet_read(const struct packet_tap *tap, struct tpacket3_hdr *header, struct packet *packet)
{
    const struct sockaddr_ll *from = (const void *)((uint8_t *)header + ADDRESS_OFFSET);
    uint8_t *data = (uint8_t *)header + header->tp_mac;
    uint32_t added = 0;

    if (tap->cooked) {
        data = cook(data, from);
        added = sizeof(struct sll_header);
    } else if ((header->tp_status & TP_STATUS_VLAN_VALID) != 0 && header->tp_snaplen >= TAG_OFFSET) {
        data = tag_restore(data, header);
        added = TAG_SIZE;
    }
    uint32_t captured = header->tp_snaplen + added;
    *packet = (struct packet){
        .timestamp_ns = header->tp_sec * INT64_C(1000000000) + header->tp_nsec,
        .captured = captured < tap->snaplen ? captured : tap->snaplen,
        .length = header->tp_len + added,
        .direction = from->sll_pkttype == PACKET_OUTGOING ? PACKET_SENT : PACKET_RECEIVED,
        .data = data,
    };
}

static bool has_failed(int fd)
{
    socklen_t size = sizeof(int);
    int problem = 0;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &problem, &size) == 0 && problem != 0;
}

static int packet_tap_read(struct tap *base, tap_handler handler, void *context)
{
    struct packet_tap *tap = packet_tap_of(base);
    struct tpacket3_hdr *header;
    struct packet packet;
    int count = 0;
    bool more = true;

    while (more && count < TAP_PACKETS_A_READ && (header = packet_ring_next(&tap->ring)) != NULL) {
        packet_read(tap, header, &packet);
        count++;
        more = handler(context, &packet);
    }
    tap->taken += count;
    return count == 0 && has_failed(tap->tap.fd) ? -1 : count;
}

static void packet_tap_freeze(struct tap *base)
{
    struct bpf_insn reject = BPF_STMT(BPF_RET | BPF_K, 0);
    struct bpf_program program = {1, &reject};
    struct error ignored;

    /* If it cannot be frozen, the reader's time limit ends the capture all the same. */
    if (attach(base->fd, &program, &ignored) != STATUS_OK)
        return;
}

/* The kernel's counters begin anew at each look. */
static void packet_tap_read_statistics(struct tap *base, struct tap_statistics *statistics)
{
    struct packet_tap *tap = packet_tap_of(base);
    struct tpacket_stats_v3 since = {0};
    socklen_t size = sizeof since;

    if (getsockopt(base->fd, SOL_PACKET, PACKET_STATISTICS, &since, &size) == 0) {
        tap->received += since.tp_packets;
        tap->dropped += since.tp_drops;
    }
    *statistics = (struct tap_statistics){
        .taken = tap->taken,
        .waiting = tap->received - tap->dropped - tap->taken,
        .dropped = tap->dropped,
    };
}

static const struct tap_ops PACKET_TAP_OPS = {packet_tap_read, packet_tap_freeze, packet_tap_read_statistics,
                                              packet_tap_close};
