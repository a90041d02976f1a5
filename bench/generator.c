/*
 * Sends numbered UDP frames out of one interface, flat out or paced, and says how many went and how fast.
 *
 * The frames go past the queueing discipline straight into the driver, so that on a veth pair what is counted
 * as sent has been delivered to the other end, but for what the other end's backlog refuses. Their
 * destination is nobody's: they cost the receiver's stack the same little whoever captures. The payload holds
 * the frame's number and the time of its batch (CLOCK_REALTIME, ns), each 64 bits in host order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 64,
    SIZE_MAX_BYTES = 1514,
    SECONDS_MAX = 600, /* whatever was asked for: nobody is left with a generator that runs for ever */
};

static const int64_t NS_A_SECOND = 1000000000, PAUSE_NS = 100000;

struct settings {
    unsigned ifindex;
    uint64_t frames, rate; /* frames a second; 0: flat out */
    size_t size;
    int cpu; /* -1: any */
};

struct payload {
    uint64_t number;
    int64_t sent_ns;
} __attribute__((packed));

struct frame {
    struct ether_header ethernet;
    struct iphdr ip;
    struct udphdr udp;
    struct payload payload;
} __attribute__((packed));

struct generator {
    int socket;
    uint8_t data[BATCH][SIZE_MAX_BYTES];
    struct iovec pieces[BATCH];
    struct mmsghdr messages[BATCH];
};

static volatile sig_atomic_t stopped;

static void stop(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * NS_A_SECOND + now.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "generator: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint16_t header_checksum(const void *header)
{
    uint16_t words[sizeof(struct iphdr) / 2];
    uint32_t sum = 0;

    memcpy(words, header, sizeof words);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        sum += words[i];
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~(sum + (sum >> 16));
}

static void frame_make(uint8_t *data, size_t size)
{
    struct frame frame = {
        .ethernet = {.ether_dhost = {2, 0, 0, 0, 0, 0xbb},
                     .ether_shost = {2, 0, 0, 0, 0, 0xaa},
                     .ether_type = htons(ETHERTYPE_IP)},
        .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP},
        .udp = {.source = htons(40000), .dest = htons(40001)},
    };

    frame.ip.tot_len = htons((uint16_t)(size - sizeof frame.ethernet));
    frame.ip.saddr = htonl(0xc6120001); /* 198.18.0.0/15: for benchmarks, RFC 2544 */
    frame.ip.daddr = htonl(0xc6130001);
    frame.ip.check = header_checksum(&frame.ip);
    frame.udp.len = htons((uint16_t)(size - sizeof frame.ethernet - sizeof frame.ip));
    memcpy(data, &frame, sizeof frame);
}

static void open_socket(struct generator *generator, const struct settings *settings)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)settings->ifindex};
    int on = 1;

    generator->socket = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: receives nothing */
    if (generator->socket < 0 ||
        setsockopt(generator->socket, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on) != 0 ||
        bind(generator->socket, (const struct sockaddr *)&address, sizeof address) != 0)
        die("cannot open the packet socket");
}

static void prepare(struct generator *generator, const struct settings *settings)
{
    cpu_set_t cpus;

    open_socket(generator, settings);
    for (size_t i = 0; i < BATCH; i++) {
        frame_make(generator->data[i], settings->size);
        generator->pieces[i] = (struct iovec){generator->data[i], settings->size};
        generator->messages[i].msg_hdr = (struct msghdr){.msg_iov = &generator->pieces[i], .msg_iovlen = 1};
    }
    CPU_ZERO(&cpus);
    if (settings->cpu >= 0) {
        CPU_SET((size_t)settings->cpu, &cpus);
        if (sched_setaffinity(0, sizeof cpus, &cpus) != 0)
            die("cannot go to the CPU asked for");
    }
    prctl(PR_SET_TIMERSLACK, 1UL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static void number(struct generator *generator, uint64_t first, unsigned count)
{
    struct payload payload = {.sent_ns = now_ns(CLOCK_REALTIME)};

    for (unsigned i = 0; i < count; i++) {
        payload.number = first + i;
        memcpy(generator->data[i] + offsetof(struct frame, payload), &payload, sizeof payload);
    }
}

static void send_all(struct generator *generator, unsigned count)
{
    unsigned done = 0;

    while (done < count) {
        int sent = sendmmsg(generator->socket, generator->messages + done, count - done, 0);
        if (sent < 0 && errno != EINTR && errno != ENOBUFS && errno != EAGAIN)
            die("cannot send");
        done += sent < 0 ? 0 : (unsigned)sent;
    }
}

/* How many frames may go now; waits for the next when paced. */
static unsigned allowance(const struct settings *settings, uint64_t sent, int64_t start_ns)
{
    uint64_t due = settings->frames;

    while (settings->rate != 0 && !stopped) {
        int64_t passed_ns = now_ns(CLOCK_MONOTONIC) - start_ns;
        due = (uint64_t)((double)passed_ns * (double)settings->rate / (double)NS_A_SECOND) + 1;
        if (due > sent)
            break;
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
    }
    if (due > settings->frames)
        due = settings->frames;
    return due - sent < BATCH ? (unsigned)(due - sent) : BATCH;
}

static void run(struct generator *generator, const struct settings *settings)
{
    int64_t start_ns = now_ns(CLOCK_MONOTONIC);
    uint64_t sent = 0;

    alarm(SECONDS_MAX);
    while (sent < settings->frames && !stopped) {
        unsigned count = allowance(settings, sent, start_ns);
        number(generator, sent, count);
        send_all(generator, count);
        sent += count;
    }
    printf("%llu %.6f\n", (unsigned long long)sent, (double)(now_ns(CLOCK_MONOTONIC) - start_ns) / 1e9);
}

static uint64_t number_read(const char *text, uint64_t least, uint64_t most)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 10);

    if (*text != '\0' && *end == '\0' && value >= least && value <= most)
        return value;
    fprintf(stderr, "generator: %s is no number from %llu to %llu\n", text, (unsigned long long)least,
            (unsigned long long)most);
    exit(2);
}

static void settings_read(struct settings *settings, int argc, char **argv)
{
    static const char USAGE[] = "usage: bench-generator [-n FRAMES] [-s BYTES] [-r FRAMES_A_SECOND] [-c CPU] "
                                "INTERFACE\nPrints the frames sent and the seconds that took.\n";
    int flag;

    *settings = (struct settings){.frames = 4000000, .size = 64, .cpu = -1};
    while ((flag = getopt(argc, argv, "n:s:r:c:")) != -1) {
        if (flag == 'n')
            settings->frames = number_read(optarg, 1, 1000000000);
        else if (flag == 's')
            settings->size = (size_t)number_read(optarg, sizeof(struct frame), SIZE_MAX_BYTES);
        else if (flag == 'r')
            settings->rate = number_read(optarg, 1, 10000000);
        else if (flag == 'c')
            settings->cpu = (int)number_read(optarg, 0, CPU_SETSIZE - 1);
        else
            break;
    }
    if (flag != -1 || optind != argc - 1) {
        fputs(USAGE, stderr);
        exit(2);
    }
    settings->ifindex = if_nametoindex(argv[optind]);
    if (settings->ifindex == 0)
        die(argv[optind]);
}

int main(int argc, char **argv)
{
    static struct generator generator;
    struct settings settings;

    settings_read(&settings, argc, argv);
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    signal(SIGALRM, stop);
    prepare(&generator, &settings);
    run(&generator, &settings);
    return 0;
}
