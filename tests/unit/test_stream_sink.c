/*
 * The stream in front of a network that this file plays: the socket's calls and the clock of the product pass
 * through here (the linker's --wrap).
 */
#include "capture/own_traffic.h"
#include "capture/stream_sink.h"
#include "core/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { SENT_MOST = 4096, ERRORS_MOST = 64, BATCH_SIZE = 1 << 20, HEADER = 12, FD = 1000 };

/* ---- the network ---- */

struct sent {
    uint8_t header[HEADER];
    uint8_t first[8]; /* of the packet */
    size_t length;
};

struct icmp {
    int cause;
    uint8_t udp[8];
};

static struct {
    int64_t now_ns;
    int open_cause, connect_cause, mark_cause;
    uint32_t mark;
    uint8_t source; /* last byte of our address */
    int mtu;
    int failures, failure; /* so many sends fail with this errno first; -1: all */
    int errors_a_send;     /* each packet is answered by an error */
    int room;              /* packets taken at once */
    struct sent sent[SENT_MOST];
    size_t sent_count;
    struct icmp errors[ERRORS_MOST];
    size_t error_count;
    int late_error_ms; /* the first packet is answered so long after the poll begins; 0: never */
    int opened, closed;
} network;

int __wrap_socket(int family, int type, int protocol);
int __wrap_close(int fd);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size);
int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);
int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int64_t __wrap_clock_monotonic_ns(void);

int __wrap_socket(int family, int type, int protocol)
{
    (void)family;
    (void)type;
    errno = protocol == IPPROTO_UDP ? network.open_cause : 0;
    network.opened += errno == 0;
    return errno == 0 ? FD : -1;
}

int __wrap_close(int fd)
{
    assert_int_equal(fd, FD);
    network.closed++;
    return 0;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    (void)fd;
    (void)address;
    (void)size;
    errno = network.connect_cause;
    return errno == 0 ? 0 : -1;
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *size)
{
    struct sockaddr_in source = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(0xc0000200U + network.source)};

    (void)fd;
    memcpy(address, &source, sizeof source);
    *size = sizeof source;
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    (void)fd;
    (void)size;
    if (level != SOL_SOCKET || name != SO_MARK)
        return 0;
    errno = network.mark_cause;
    if (errno == 0)
        memcpy(&network.mark, value, sizeof network.mark);
    return errno == 0 ? 0 : -1;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    (void)fd;
    (void)size;
    assert_true(level == IPPROTO_IP && name == IP_MTU);
    memcpy(value, &network.mtu, sizeof network.mtu);
    return 0;
}

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
    (void)fd;
    (void)data;
    (void)size;
    (void)flags;
    errno = EAGAIN;
    return -1;
}

static void error_arrives(int cause, const uint8_t *udp)
{
    struct icmp *error = &network.errors[network.error_count++];

    assert_true(network.error_count <= ERRORS_MOST);
    error->cause = cause;
    memcpy(error->udp, udp, sizeof error->udp);
}

static void take(const struct msghdr *message)
{
    struct sent *sent = &network.sent[network.sent_count++];

    assert_true(network.sent_count <= SENT_MOST);
    assert_int_equal(message->msg_iovlen, 2);
    assert_int_equal(message->msg_iov[0].iov_len, HEADER);
    memcpy(sent->header, message->msg_iov[0].iov_base, HEADER);
    sent->length = message->msg_iov[1].iov_len;
    memcpy(sent->first, message->msg_iov[1].iov_base, sizeof sent->first);
    for (int i = 0; i < network.errors_a_send; i++)
        error_arrives(ECONNREFUSED, sent->header);
}

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    (void)fd;
    assert_int_equal(flags & MSG_DONTWAIT, MSG_DONTWAIT);
    if (network.failures != 0) {
        network.failures -= network.failures > 0;
        errno = network.failure;
        return -1;
    }
    if ((int)count > network.room)
        count = (unsigned)network.room;
    for (unsigned i = 0; i < count; i++)
        take(&messages[i].msg_hdr);
    return (int)count;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
    struct sock_extended_err what = {.ee_origin = SO_EE_ORIGIN_ICMP};
    struct cmsghdr *control = message->msg_control;

    (void)fd;
    assert_int_equal(flags, MSG_ERRQUEUE | MSG_DONTWAIT);
    if (network.error_count == 0) {
        errno = EAGAIN;
        return -1;
    }
    struct icmp error = network.errors[0];
    memmove(network.errors, network.errors + 1, --network.error_count * sizeof error);
    what.ee_errno = (uint32_t)error.cause;
    *control = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof what), .cmsg_level = IPPROTO_IP, .cmsg_type = IP_RECVERR};
    memcpy(CMSG_DATA(control), &what, sizeof what);
    message->msg_controllen = CMSG_SPACE(sizeof what);
    memcpy(message->msg_iov[0].iov_base, error.udp, sizeof error.udp);
    return sizeof error.udp;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    (void)fds;
    assert_int_equal(count, 1);
    assert_true(timeout_ms > 0);
    if (network.late_error_ms != 0 && network.late_error_ms <= timeout_ms) {
        network.now_ns += network.late_error_ms * NS_PER_MS;
        network.late_error_ms = 0;
        error_arrives(ECONNREFUSED, network.sent[0].header);
        return 1;
    }
    network.now_ns += timeout_ms * NS_PER_MS;
    return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    (void)left;
    network.now_ns += time->tv_nsec;
    return 0;
}

int64_t __wrap_clock_monotonic_ns(void)
{
    return network.now_ns;
}

static int reset(void **state)
{
    (void)state;
    memset(&network, 0, sizeof network);
    network.now_ns = 1000 * NS_PER_S;
    network.source = 1;
    network.mtu = 1500;
    network.room = 1000;
    return 0;
}

/* ---- the stream ---- */

static struct sink stream_open(void)
{
    static const struct stream_settings SETTINGS = {
        .address = "192.0.2.77", .mark = STREAM_MARK, .linktype = DLT_EN10MB};
    struct error error;
    struct sink sink;

    assert_int_equal(stream_sink_open(&SETTINGS, &sink, &error), STATUS_OK);
    return sink;
}

/* Writes a batch of packets, numbered from `first` and so many bytes long. */
static void write_packets(struct sink *sink, unsigned first, unsigned count, uint32_t length)
{
    struct batch batch = {.data = malloc(BATCH_SIZE), .size = BATCH_SIZE};
    uint8_t *data = calloc(1, length);
    struct error error;

    assert_true(batch.data != NULL && data != NULL);
    for (unsigned i = first; i < first + count; i++) {
        memcpy(data, &i, sizeof i);
        struct packet packet = {.captured = length, .length = length, .data = data};
        assert_true(batch.used + sink->ops->packet_size(length) <= batch.size);
        sink->ops->encode(&batch, &packet);
    }
    assert_int_equal(batch.packets, count);
    assert_int_equal(batch.packet_bytes, count * length);
    assert_int_equal(sink->ops->write(sink, &batch, &error), STATUS_OK);
    assert_int_equal(batch.packets, count);
    free(data);
    free(batch.data);
}

static void assert_counts(const struct sink *sink, int64_t streamed, int64_t unsent, int64_t fragmented)
{
    assert_int_equal(sink->streamed, streamed);
    assert_int_equal(sink->unsent, unsent);
    assert_int_equal(sink->fragmented, fragmented);
}

static void assert_note(const struct sink *sink, const char *part)
{
    assert_non_null(strstr(sink->note, part));
}

static void stream_close(struct sink *sink)
{
    struct error error;

    assert_int_equal(sink->ops->close(sink, NULL, &error), STATUS_OK);
    assert_int_equal(network.opened, network.closed);
}

/* ---- sending ---- */

static void all_packets_leave_in_order(void **state)
{
    static const int ROOMS[] = {1000, 1, 7};

    for (size_t i = 0; i < COUNT(ROOMS); i++) {
        reset(state);
        struct sink sink = stream_open();
        network.room = ROOMS[i];
        write_packets(&sink, 0, 300, 100);
        write_packets(&sink, 300, 1, 100);
        assert_int_equal(network.sent_count, 301);
        for (unsigned number = 0; number < 301; number++)
            assert_memory_equal(network.sent[number].first, &number, sizeof number);
        assert_memory_equal(network.sent[0].header + 2, "\x12\x92\0\x70", 4); /* 4754, 12 + 100 */
        assert_counts(&sink, 301, 0, 0);
        assert_int_equal(sink.streamed_bytes, 30100);
        assert_int_equal(sink.note[0], 0);
        assert_int_equal(network.mark, STREAM_MARK);
        stream_close(&sink);
    }
}

static void what_is_larger_than_the_path(void **state)
{
    struct sink sink = stream_open();

    (void)state;
    write_packets(&sink, 0, 1, 1500 - 20 - HEADER);
    assert_counts(&sink, 1, 0, 0);
    write_packets(&sink, 1, 1, 1500 - 20 - HEADER + 1);
    write_packets(&sink, 2, 1, 65535 - 20 - HEADER);
    assert_counts(&sink, 3, 0, 2);
    assert_int_equal(sink.note[0], 0);
    write_packets(&sink, 3, 2, 65535 - 20 - HEADER + 1);
    assert_counts(&sink, 3, 2, 2);
    assert_note(&sink,
                "packets for the stream's collector 192.0.2.77 port 4754 are larger than UDP takes, since ");
    stream_close(&sink);
}

static void the_path_is_looked_at_each_second(void **state)
{
    struct sink sink = stream_open();

    (void)state;
    write_packets(&sink, 0, 1, 1000);
    network.mtu = 1000;
    write_packets(&sink, 1, 1, 1000);
    assert_counts(&sink, 2, 0, 0);
    network.now_ns += NS_PER_S;
    write_packets(&sink, 2, 1, 1000);
    assert_counts(&sink, 3, 0, 1);
    stream_close(&sink);
}

static void another_source_address_takes_another_socket(void **state)
{
    struct sink sink = stream_open();

    (void)state;
    write_packets(&sink, 0, 1, 100);
    network.source = 2;
    network.now_ns += NS_PER_S;
    write_packets(&sink, 0, 1, 100);
    assert_memory_equal(network.sent[0].header, network.sent[1].header, 6);
    assert_memory_not_equal(network.sent[0].header + 6, network.sent[1].header + 6, 2); /* the checksum */
    stream_close(&sink);
}

/* ---- ICMP ---- */

static void a_send_that_gives_an_old_error_is_tried_again(void **state)
{
    static const int CAUSES[] = {ECONNREFUSED, EHOSTUNREACH, ENETUNREACH};
    static const char *const WORDS[] = {"port unreachable (ICMP)", "host unreachable (ICMP)",
                                        "network unreachable (ICMP)"};

    for (size_t i = 0; i < COUNT(CAUSES); i++) {
        reset(state);
        struct sink sink = stream_open();
        write_packets(&sink, 0, 3, 100);
        error_arrives(CAUSES[i], network.sent[1].header);
        network.failures = 1;
        network.failure = CAUSES[i];
        write_packets(&sink, 3, 1, 100);
        assert_int_equal(network.sent_count, 4);
        assert_counts(&sink, 3, 1, 0);
        assert_int_equal(sink.streamed_bytes, 300);
        assert_note(&sink, "the stream's collector 192.0.2.77 port 4754 does not answer: ");
        assert_note(&sink, WORDS[i]);
        stream_close(&sink);
    }
}

static void an_error_is_counted_once_and_only_about_our_packets(void **state)
{
    struct sink sink = stream_open();
    uint8_t other[8];

    (void)state;
    write_packets(&sink, 0, 3, 100);
    for (size_t i = 0; i < sizeof other; i++) {
        memcpy(other, network.sent[1].header, sizeof other);
        other[i] ^= 1;
        error_arrives(ECONNREFUSED, other);
    }
    assert_true(sink.ops->look(&sink));
    assert_counts(&sink, 3, 0, 0);
    assert_int_equal(sink.note[0], 0);
    error_arrives(ECONNREFUSED, network.sent[1].header);
    error_arrives(ECONNREFUSED, network.sent[1].header);
    assert_true(sink.ops->look(&sink));
    assert_counts(&sink, 2, 1, 0);
    stream_close(&sink);
}

static void packets_that_look_the_same_count_each(void **state)
{
    struct sink sink = stream_open();

    (void)state;
    for (int i = 0; i < 3; i++)
        write_packets(&sink, 7, 1, 2000);
    assert_counts(&sink, 3, 0, 3);
    for (int i = 0; i < 4; i++)
        error_arrives(ECONNREFUSED, network.sent[0].header);
    assert_true(sink.ops->look(&sink));
    assert_counts(&sink, 0, 3, 0);
    assert_int_equal(sink.streamed_bytes, 0);
    stream_close(&sink);
}

static void a_path_that_is_narrower_than_known(void **state)
{
    struct sink sink = stream_open();

    (void)state;
    write_packets(&sink, 0, 1, 1400);
    network.mtu = 1280;
    error_arrives(EMSGSIZE, network.sent[0].header);
    network.failures = 1;
    network.failure = EMSGSIZE;
    write_packets(&sink, 1, 1, 1400);
    assert_counts(&sink, 1, 1, 1);
    assert_int_equal(sink.note[0], 0);
    stream_close(&sink);
}

/* The collector refuses each packet the moment it is sent. */
static void every_packet_is_refused(void **state)
{
    struct sink sink = stream_open();

    (void)state;
    network.errors_a_send = 1;
    for (unsigned i = 0; i < 20; i++)
        write_packets(&sink, 60 * i, 60, 100);
    assert_counts(&sink, 0, 1200, 0);
    stream_close(&sink);
}

static void one_looks_for_late_errors_for_a_while(void **state)
{
    struct sink sink = stream_open();

    (void)state;
    write_packets(&sink, 0, 1, 100);
    network.now_ns += 4 * NS_PER_S;
    assert_true(sink.ops->look(&sink));
    network.now_ns += 2 * NS_PER_S;
    assert_false(sink.ops->look(&sink));
    stream_close(&sink);
}

static void closing_waits_for_a_late_error(void **state)
{
    struct sink sink = stream_open();
    struct error error;

    (void)state;
    write_packets(&sink, 0, 1, 100);
    int64_t began_ns = network.now_ns;
    network.late_error_ms = 30;
    /* The sink's counts outlive it. */
    assert_int_equal(sink.ops->close(&sink, NULL, &error), STATUS_OK);
    assert_counts(&sink, 0, 1, 0);
    assert_note(&sink, "port unreachable");
    assert_in_range(network.now_ns - began_ns, 30 * NS_PER_MS, 52 * NS_PER_MS);
}

static void closing_does_not_wait_for_nothing(void **state)
{
    struct sink sink = stream_open();

    (void)state;
    int64_t began_ns = network.now_ns;
    stream_close(&sink);
    assert_int_equal(network.now_ns, began_ns);
    sink = stream_open();
    write_packets(&sink, 0, 1, 100);
    network.now_ns += NS_PER_S;
    began_ns = network.now_ns;
    stream_close(&sink);
    assert_int_equal(network.now_ns, began_ns);
}

/* ---- networks that take nothing ---- */

static const int FULL[] = {EAGAIN, ENOBUFS};

static void a_full_network_is_waited_for(void **state)
{
    for (size_t i = 0; i < COUNT(FULL); i++) {
        reset(state);
        struct sink sink = stream_open();
        network.failures = i == 0 ? 1 : 100;
        network.failure = FULL[i];
        write_packets(&sink, 0, 100, 100);
        assert_counts(&sink, 100, 0, 0);
        assert_int_equal(sink.note[0], 0);
        stream_close(&sink);
    }
}

static void but_not_for_long(void **state)
{
    for (size_t i = 0; i < COUNT(FULL); i++) {
        reset(state);
        struct sink sink = stream_open();
        network.failures = -1;
        network.failure = FULL[i];
        int64_t began_ns = network.now_ns;
        write_packets(&sink, 0, 300, 100);
        assert_counts(&sink, 0, 300, 0);
        assert_note(&sink,
                    "the network to the stream's collector 192.0.2.77 port 4754 is slower than the stream");
        assert_in_range(network.now_ns - began_ns, 250 * NS_PER_MS, 255 * NS_PER_MS);
        began_ns = network.now_ns;
        write_packets(&sink, 300, 300, 100);
        assert_true(network.now_ns - began_ns <= 10 * NS_PER_MS);
        network.failures = 0;
        write_packets(&sink, 600, 100, 100);
        assert_counts(&sink, 100, 600, 0);
        network.failures = 1; /* and it has patience again */
        network.failure = EAGAIN;
        write_packets(&sink, 700, 100, 100);
        assert_counts(&sink, 200, 600, 0);
        stream_close(&sink);
    }
}

static void at_the_end_there_is_hurry(void **state)
{
    struct sink sink = stream_open();

    (void)state;
    network.failures = -1;
    network.failure = EAGAIN;
    sink.ops->hurry(&sink);
    int64_t began_ns = network.now_ns;
    for (unsigned i = 0; i < 100; i++)
        write_packets(&sink, 100 * i, 100, 100);
    assert_counts(&sink, 0, 10000, 0);
    assert_true(network.now_ns - began_ns <= 610 * NS_PER_MS);
    stream_close(&sink);
}

static void packets_that_cannot_be_sent(void **state)
{
    static const int CAUSES[] = {ENETUNREACH, EHOSTUNREACH, ENETDOWN, EINVAL, EPERM};

    for (size_t i = 0; i < COUNT(CAUSES); i++) {
        reset(state);
        struct sink sink = stream_open();
        network.failures = -1;
        network.failure = CAUSES[i];
        write_packets(&sink, 0, 100, 100);
        assert_counts(&sink, 0, 100, 0);
        assert_note(&sink, "packets for the stream's collector 192.0.2.77 port 4754 cannot be sent, since ");
        network.failures = 0;
        write_packets(&sink, 100, 100, 100);
        assert_counts(&sink, 100, 100, 0);
        stream_close(&sink);
    }
}

/* Each trouble is told once, and none before the one before it can have been read. */
static void notes(void **state)
{
    struct sink sink = stream_open();
    char first[sizeof sink.note];

    (void)state;
    network.failures = -1;
    network.failure = ENETUNREACH;
    write_packets(&sink, 0, 1, 100);
    memcpy(first, sink.note, sizeof first);
    write_packets(&sink, 0, 1, 65535);
    assert_string_equal(sink.note, first);
    network.now_ns += 2 * NS_PER_S;
    write_packets(&sink, 0, 1, 100);
    assert_string_equal(sink.note, first);
    write_packets(&sink, 0, 1, 65535);
    assert_note(&sink, "larger");
    stream_close(&sink);
}

/* ---- opening ---- */

static void what_cannot_be_streamed_is_refused(void **state)
{
    static const struct {
        const char *address;
        int linktype;
        enum error_code code;
    } CASES[] = {
        {"192.0.2.1", DLT_LINUX_SLL, ERROR_WRONG_POINT},
        {"192.0.2.1", DLT_IEEE802_11, ERROR_WRONG_POINT},
        {"collector.example", DLT_EN10MB, ERROR_BAD_VALUE},
        {"192.0.2.1.7", DLT_RAW, ERROR_BAD_VALUE},
        {"", DLT_EN10MB, ERROR_BAD_VALUE},
        {"fe80::1%nosuch0", DLT_EN10MB, ERROR_BAD_VALUE},
        {"1", DLT_EN10MB, ERROR_BAD_VALUE},
    };
    struct error error;
    struct sink sink;

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct stream_settings settings = {.address = CASES[i].address, .linktype = CASES[i].linktype};
        assert_int_not_equal(stream_sink_open(&settings, &sink, &error), STATUS_OK);
        assert_int_equal(error.code, CASES[i].code);
    }
}

static void what_is_in_the_way_of_opening(void **state)
{
    static const struct {
        int open_cause, connect_cause;
        enum error_code code;
    } CASES[] = {
        {EPERM, 0, ERROR_NO_PRIVILEGE}, {0, EACCES, ERROR_NO_PRIVILEGE}, {0, ENETUNREACH, ERROR_HOST},
        {0, EADDRNOTAVAIL, ERROR_HOST}, {EMFILE, 0, ERROR_HOST},
    };
    static const struct stream_settings SETTINGS = {.address = "192.0.2.77", .linktype = DLT_EN10MB};
    struct error error;
    struct sink sink;

    for (size_t i = 0; i < COUNT(CASES); i++) {
        reset(state);
        network.open_cause = CASES[i].open_cause;
        network.connect_cause = CASES[i].connect_cause;
        assert_int_not_equal(stream_sink_open(&SETTINGS, &sink, &error), STATUS_OK);
        assert_int_equal(error.code, CASES[i].code);
        assert_int_equal(network.opened, network.closed);
    }
}

static void a_stream_without_a_mark_is_one_too(void **state)
{
    (void)state;
    network.mark_cause = EPERM;
    struct sink sink = stream_open();
    write_packets(&sink, 0, 1, 100);
    assert_counts(&sink, 1, 0, 0);
    stream_close(&sink);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(all_packets_leave_in_order, reset),
        cmocka_unit_test_setup(what_is_larger_than_the_path, reset),
        cmocka_unit_test_setup(the_path_is_looked_at_each_second, reset),
        cmocka_unit_test_setup(another_source_address_takes_another_socket, reset),
        cmocka_unit_test_setup(a_send_that_gives_an_old_error_is_tried_again, reset),
        cmocka_unit_test_setup(an_error_is_counted_once_and_only_about_our_packets, reset),
        cmocka_unit_test_setup(packets_that_look_the_same_count_each, reset),
        cmocka_unit_test_setup(a_path_that_is_narrower_than_known, reset),
        cmocka_unit_test_setup(every_packet_is_refused, reset),
        cmocka_unit_test_setup(one_looks_for_late_errors_for_a_while, reset),
        cmocka_unit_test_setup(closing_waits_for_a_late_error, reset),
        cmocka_unit_test_setup(closing_does_not_wait_for_nothing, reset),
        cmocka_unit_test_setup(a_full_network_is_waited_for, reset),
        cmocka_unit_test_setup(but_not_for_long, reset),
        cmocka_unit_test_setup(at_the_end_there_is_hurry, reset),
        cmocka_unit_test_setup(packets_that_cannot_be_sent, reset),
        cmocka_unit_test_setup(notes, reset),
        cmocka_unit_test_setup(what_cannot_be_streamed_is_refused, reset),
        cmocka_unit_test_setup(what_is_in_the_way_of_opening, reset),
        cmocka_unit_test_setup(a_stream_without_a_mark_is_one_too, reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
