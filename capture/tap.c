#include "capture/tap.h"

#include "capture/filter.h"
#include "core/clock.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

struct tap {
    pcap_t *pcap;
    bool opening;             /* what is read may be older than the filter */
    int64_t opened_ns;        /* packets with earlier timestamps came before the filter */
    int64_t opening_until_ns; /* monotonic: by then all of those have been seen */
    int64_t taken;            /* packets handed to the handler */
    struct pcap_stat counts;  /* the socket's counters as last read: 32 bits, they wrap */
    int64_t received, dropped;
    tap_handler handler; /* of the read under way */
    void *context;
};

/* Where a filter is compiled for cooked mode, libpcap must rewrite it before the kernel may have it. */
static bool is_cooked(pcap_t *pcap)
{
    return pcap_datalink(pcap) == DLT_LINUX_SLL;
}

static enum status socket_failed(const char *what, struct error *error)
{
    return error_set(error, ERROR_HOST, NULL, "cannot %s: %s", what, strerror(errno));
}

static enum status attach(struct tap *tap, const struct bpf_program *program, struct error *error)
{
    /* struct bpf_insn and struct sock_filter are the same by design (net/bpf.h). */
    struct sock_fprog filter = {(unsigned short)program->bf_len,
                                (struct sock_filter *)(void *)program->bf_insns};

    if (setsockopt(pcap_fileno(tap->pcap), SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) == 0)
        return STATUS_OK;
    if (errno == ENOMEM)
        return error_set(
            error, ERROR_HOST, NULL,
            "the filter is too large for this host: its %d instructions need more socket memory than "
            "the kernel's net.core.optmem_max allows; raise that, or use fewer options",
            (int)program->bf_len);
    return socket_failed("attach the filter", error);
}

static enum status attach_nothing(struct tap *tap, struct error *error)
{
    struct bpf_insn reject = BPF_STMT(BPF_RET | BPF_K, 0);
    struct bpf_program program = {1, &reject};

    return attach(tap, &program, error);
}

static void statistics_update(struct tap *tap)
{
    struct pcap_stat now;

    if (pcap_stats(tap->pcap, &now) != 0)
        return;
    tap->received += (uint32_t)(now.ps_recv - tap->counts.ps_recv);
    tap->dropped += (uint32_t)(now.ps_drop - tap->counts.ps_drop);
    tap->counts = now;
}

/* The socket takes in everything from pcap_activate() on; what came before the filter is told by its
 * timestamp. The pause lets a packet that another CPU was delivering when the filter was set get its
 * timestamp first. */
static void begin(struct tap *tap)
{
    nanosleep(&(struct timespec){.tv_nsec = 200 * 1000}, NULL);
    statistics_update(tap);
    tap->received = tap->dropped = 0;
    tap->opened_ns = clock_now_ns();
    tap->opening_until_ns = clock_monotonic_ns() + 2 * TAP_RETIRE_MS * NS_PER_MS;
    tap->opening = true;
}

static enum status filter_set(struct tap *tap, const struct tap_settings *settings, struct error *error)
{
    const struct filter_place place = {.pcap = tap->pcap, .kernel = true};
    struct bpf_program program;
    enum direction direction = settings->request->direction;
    enum status status;
    int on = 1;

    /* The loopback interface shows each packet twice, sent and received: as libpcap does, take it as
     * received. */
    if (settings->point->loopback || direction == DIRECTION_INPUT) {
        if (setsockopt(pcap_fileno(tap->pcap), SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0)
            return socket_failed("ignore sent packets", error);
        direction = DIRECTION_INPUT;
    }
    status = filter_compile(&place, settings->request, direction, NULL, &program, error);
    if (status != STATUS_OK)
        return status;
    if (!is_cooked(tap->pcap))
        status = attach(tap, &program, error);
    else if (pcap_setfilter(tap->pcap, &program) != 0)
        status = error_set(error, ERROR_HOST, NULL, "cannot set the filter: %s", pcap_geterr(tap->pcap));
    filter_free(&program);
    if (status == STATUS_OK)
        begin(tap);
    return status;
}

static enum status activate_failed(int result, pcap_t *pcap, const struct point *point,
                                   enum stop_reason *reason, struct error *error)
{
    switch (result) {
    case PCAP_ERROR_PERM_DENIED:
        *reason = STOP_PERMISSION;
        return error_set(error, ERROR_HOST, NULL,
                         "no permission to capture on %s: pktcap-worker lacks the capability CAP_NET_RAW",
                         point->name);
    case PCAP_ERROR_NO_SUCH_DEVICE:
        *reason = STOP_INTERFACE_GONE;
        return error_set(error, ERROR_HOST, NULL, "interface %s is gone", point->name);
    case PCAP_ERROR_IFACE_NOT_UP:
        *reason = STOP_INTERFACE_GONE;
        return error_set(error, ERROR_HOST, NULL, "interface %s is down", point->name);
    default:
        *reason = STOP_INTERNAL;
        return error_set(error, ERROR_HOST, NULL, "cannot capture on %s: %s: %s", point->name,
                         pcap_statustostr(result), pcap_geterr(pcap));
    }
}

static enum status activate(pcap_t *pcap, const struct tap_settings *settings, enum stop_reason *reason,
                            struct error *error)
{
    char message[PCAP_ERRBUF_SIZE];

    pcap_set_snaplen(pcap, (int)settings->snaplen);
    pcap_set_promisc(pcap, 1);
    pcap_set_timeout(pcap, TAP_RETIRE_MS);
    pcap_set_buffer_size(pcap, (int)(settings->ring_mb << 20));
    pcap_set_tstamp_precision(pcap, PCAP_TSTAMP_PRECISION_NANO);
    int result = pcap_activate(pcap);
    if (result < 0)
        return activate_failed(result, pcap, settings->point, reason, error);
    if (pcap_setnonblock(pcap, 1, message) != 0)
        return error_set(error, ERROR_HOST, NULL, "cannot capture on %s: %s", settings->point->name, message);
    return STATUS_OK;
}

enum status tap_open(const struct tap_settings *settings, struct tap **out, enum stop_reason *reason,
                     struct error *error)
{
    char message[PCAP_ERRBUF_SIZE];
    struct tap *tap = calloc(1, sizeof *tap);
    enum status status;

    *reason = STOP_INTERNAL;
    if (tap == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    tap->pcap = pcap_create(settings->point->name, message);
    if (tap->pcap == NULL)
        status =
            error_set(error, ERROR_HOST, NULL, "cannot capture on %s: %s", settings->point->name, message);
    else
        status = activate(tap->pcap, settings, reason, error);
    if (status == STATUS_OK)
        status = filter_set(tap, settings, error);
    if (status == STATUS_OK)
        *out = tap;
    else
        tap_close(tap);
    return status;
}

void tap_close(struct tap *tap)
{
    if (tap->pcap != NULL)
        pcap_close(tap->pcap);
    free(tap);
}

int tap_fd(const struct tap *tap)
{
    return pcap_fileno(tap->pcap);
}

int tap_linktype(const struct tap *tap)
{
    return pcap_datalink(tap->pcap);
}

static void take(u_char *user, const struct pcap_pkthdr *header, const u_char *data)
{
    struct tap *tap = (struct tap *)(void *)user;
    /* With nanosecond precision tv_usec holds nanoseconds. */
    struct packet packet = {
        .timestamp_ns = header->ts.tv_sec * INT64_C(1000000000) + header->ts.tv_usec,
        .captured = header->caplen,
        .length = header->len,
        .data = data,
    };

    if (tap->opening && packet.timestamp_ns < tap->opened_ns)
        return;
    tap->opening = false;
    tap->taken++;
    if (!tap->handler(tap->context, &packet))
        pcap_breakloop(tap->pcap);
}

int tap_read(struct tap *tap, tap_handler handler, void *context)
{
    int64_t before = tap->taken;

    tap->handler = handler;
    tap->context = context;
    int result = pcap_dispatch(tap->pcap, TAP_PACKETS_A_READ, take, (u_char *)tap);
    /* Not by timestamps alone: the clock may have been set back since the filter was. */
    if (tap->opening && result == 0 && clock_monotonic_ns() >= tap->opening_until_ns)
        tap->opening = false;
    return result == PCAP_ERROR ? -1 : (int)(tap->taken - before);
}

void tap_freeze(struct tap *tap)
{
    struct error ignored;

    /* If it cannot be frozen, the reader's time limit ends the capture all the same. */
    if (attach_nothing(tap, &ignored) != STATUS_OK)
        return;
}

void tap_read_statistics(struct tap *tap, struct tap_statistics *statistics)
{
    statistics_update(tap);
    statistics->taken = tap->taken;
    statistics->dropped = tap->dropped;
    statistics->waiting = tap->received - tap->dropped - tap->taken;
}
