/* The tap on the packet filter, fed through a socket pair with messages as the kernel writes them. */
#include "broker/broker.h"
#include "capture/nflog_tap.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <pcap/dlt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define SECOND INT64_C(1000000000)

enum { SEEN_MAX = 100, NOW = 1800000000 };

struct fixture {
    int kernel; /* the other end of the tap's socket */
    struct tap *tap;
    struct packet_capture_request request;
    struct filter_exclusions exclusions;
    int unhooked;
    size_t seen_count, seen_most; /* the handler has enough at this many */
    struct packet seen[SEEN_MAX];
    uint8_t first[SEEN_MAX]; /* byte of each packet's payload, behind IPv4 and UDP header */
};

static void unhook(void *context, const char *session)
{
    struct fixture *fixture = context;

    assert_string_equal(session, "a session");
    fixture->unhooked++;
}

static bool see(void *context, const struct packet *packet)
{
    struct fixture *fixture = context;

    assert_true(fixture->seen_count < SEEN_MAX);
    fixture->seen[fixture->seen_count] = *packet;
    if (packet->captured > 28)
        fixture->first[fixture->seen_count] = packet->data[28];
    return ++fixture->seen_count < fixture->seen_most;
}

static void open_with_snaplen(struct fixture *fixture, uint32_t snaplen)
{
    struct nflog_hook hook = {.unhook = unhook, .context = fixture, .session = "a session"};
    struct tap_settings settings = {
        .request = &fixture->request, .exclusions = &fixture->exclusions, .snaplen = snaplen};
    struct error error;
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    assert_int_equal(nflog_tap_open_on(ends[0], &hook, &settings, &fixture->tap, &error), STATUS_OK);
    assert_int_equal(fixture->tap->linktype, DLT_RAW);
    fixture->kernel = ends[1];
    fixture->seen_most = SEEN_MAX;
}

static void close_all(struct fixture *fixture)
{
    tap_close(fixture->tap);
    close(fixture->kernel);
    assert_int_equal(fixture->unhooked, 1);
}

/* ---- messages ---- */

struct message {
    struct nlmsghdr header;
    struct nfgenmsg about;
    uint8_t attributes[4096];
};

static void begin(struct message *message)
{
    *message = (struct message){
        .header = {.nlmsg_len = NLMSG_SPACE(sizeof(struct nfgenmsg)),
                   .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET},
        .about = {.nfgen_family = AF_INET},
    };
}

static void put(struct message *message, uint16_t type, const void *value, size_t size)
{
    struct nlattr attribute = {.nla_len = (uint16_t)(sizeof attribute + size), .nla_type = type};
    uint8_t *at = (uint8_t *)message + message->header.nlmsg_len;

    memcpy(at, &attribute, sizeof attribute);
    memcpy(at + sizeof attribute, value, size);
    message->header.nlmsg_len += (uint32_t)NLMSG_ALIGN(attribute.nla_len);
}

static void put_time(struct message *message, int64_t second, int64_t microsecond)
{
    struct nfulnl_msg_packet_timestamp stamp = {htobe64((uint64_t)second), htobe64((uint64_t)microsecond)};

    put(message, NFULA_TIMESTAMP, &stamp, sizeof stamp);
}

static void put_prefix(struct message *message, const char *prefix)
{
    put(message, NFULA_PREFIX, prefix, strlen(prefix) + 1);
}

/* A UDP packet of IPv4 to this port, of which so many bytes were logged. */
static void put_packet(struct message *message, uint16_t port, uint8_t first, uint16_t length, size_t logged)
{
    uint8_t packet[2048] = {0x45,
                            0,
                            (uint8_t)(length >> 8),
                            (uint8_t)length,
                            [8] = 64,
                            17,
                            [12] = 10,
                            0,
                            0,
                            1,
                            [16] = 10,
                            0,
                            0,
                            2,
                            [22] = (uint8_t)(port >> 8),
                            (uint8_t)port,
                            [28] = first};

    put(message, NFULA_PAYLOAD, packet, logged);
}

static void deliver(struct fixture *fixture, const struct message *message)
{
    assert_int_equal(send(fixture->kernel, message, message->header.nlmsg_len, 0), message->header.nlmsg_len);
}

static void deliver_packet(struct fixture *fixture, const char *prefix, uint8_t first, int64_t microsecond)
{
    struct message message;

    begin(&message);
    put_prefix(&message, prefix);
    put_time(&message, NOW, microsecond);
    put_packet(&message, 7, first, 100, 100);
    deliver(fixture, &message);
}

/* ---- tests ---- */

static void a_message_becomes_a_packet(void **state)
{
    struct fixture fixture = {0};
    (void)state;

    open_with_snaplen(&fixture, 1000);
    deliver_packet(&fixture, FIREWALL_RECEIVED, 1, 5);
    deliver_packet(&fixture, FIREWALL_SENT, 2, 6);
    assert_int_equal(tap_read(fixture.tap, see, &fixture), 2);
    assert_int_equal(tap_read(fixture.tap, see, &fixture), 0);
    assert_int_equal(fixture.seen[0].timestamp_ns, NOW * SECOND + 5000);
    assert_int_equal(fixture.seen[0].direction, PACKET_RECEIVED);
    assert_int_equal(fixture.seen[1].direction, PACKET_SENT);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(fixture.seen[i].captured, 100);
        assert_int_equal(fixture.seen[i].length, 100);
        assert_int_equal(fixture.first[i], i + 1);
    }
    close_all(&fixture);
}

static void lengths_are_those_of_the_packets(void **state)
{
    static const struct {
        const char *what;
        uint8_t head[40];
        size_t logged;
        uint32_t length, captured;
    } CASES[] = {
        {"IPv4, whole", {0x45, 0, 0, 200}, 200, 200, 64},
        {"IPv4, cut by the kernel", {0x45, 0, 0x20, 0}, 256, 0x2000, 64},
        {"IPv4, cut before the header ends", {0x45, 0, 0x20, 0}, 19, 19, 19},
        {"IPv4, more than its header says", {0x45, 0, 0, 30}, 60, 60, 60},
        {"IPv6", {0x60, 0, 0, 0, 1, 0}, 100, 0x100 + 40, 64},
        {"IPv6, jumbo", {0x60, 0, 0, 0, 0, 0}, 300, 300, 64},
        {"neither", {0x20, 0, 0x20, 0}, 50, 50, 50},
        {"one byte", {0x45}, 1, 1, 1},
    };
    (void)state;

    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct fixture fixture = {0};
        struct message message;
        uint8_t packet[512] = {0};

        open_with_snaplen(&fixture, 64);
        memcpy(packet, CASES[i].head, sizeof CASES[i].head);
        begin(&message);
        put_prefix(&message, FIREWALL_RECEIVED);
        put(&message, NFULA_PAYLOAD, packet, CASES[i].logged);
        deliver(&fixture, &message);
        assert_int_equal(tap_read(fixture.tap, see, &fixture), 1);
        if (fixture.seen_count != 1 || fixture.seen[0].length != CASES[i].length ||
            fixture.seen[0].captured != CASES[i].captured)
            fail_msg("%s: length %u, captured %u", CASES[i].what, fixture.seen[0].length,
                     fixture.seen[0].captured);
        close_all(&fixture);
    }
}

/* Other rules may log to the same group, and only what is whole is believed. */
static void what_is_not_ours_is_passed_over(void **state)
{
    static const char *const PREFIXES[] = {"", "pktcapd", "pktcapd received ", "PKTCAPD received", "theirs"};
    struct fixture fixture = {0};
    struct message message;
    (void)state;

    open_with_snaplen(&fixture, 1000);
    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++)
        deliver_packet(&fixture, PREFIXES[i], 1, 1);
    assert_int_equal(tap_read(fixture.tap, see, &fixture), sizeof PREFIXES / sizeof PREFIXES[0]);
    begin(&message);
    put_packet(&message, 7, 1, 100, 100); /* no prefix */
    deliver(&fixture, &message);
    begin(&message);
    put_prefix(&message, FIREWALL_SENT); /* no packet */
    deliver(&fixture, &message);
    message.header.nlmsg_type = NLMSG_ERROR;
    put_packet(&message, 7, 1, 100, 100);
    deliver(&fixture, &message);
    assert_int_equal(send(fixture.kernel, "short", 5, 0), 5);
    assert_true(tap_read(fixture.tap, see, &fixture) > 0);
    assert_int_equal(fixture.seen_count, 0);
    close_all(&fixture);
}

static void attributes_that_lie_end_the_message(void **state)
{
    static const uint16_t LENGTHS[] = {0, 1, 3, 4000, 0xffff};
    struct fixture fixture = {0};
    struct message message;
    (void)state;

    open_with_snaplen(&fixture, 1000);
    for (size_t i = 0; i < sizeof LENGTHS / sizeof LENGTHS[0]; i++) {
        begin(&message);
        put_prefix(&message, FIREWALL_SENT);
        uint8_t *at = (uint8_t *)&message + message.header.nlmsg_len;
        put_packet(&message, 7, 1, 100, 100);
        memcpy(at, &LENGTHS[i], sizeof LENGTHS[i]);
        deliver(&fixture, &message);
    }
    begin(&message);
    message.header.nlmsg_len = 0xffffff; /* longer than what came */
    assert_int_equal(send(fixture.kernel, &message, 24, 0), 24);
    assert_true(tap_read(fixture.tap, see, &fixture) > 0);
    assert_int_equal(fixture.seen_count, 0);
    close_all(&fixture);
}

/* More than is read at once, and a handler that has enough in the middle. */
static void a_read_that_ends_early_loses_nothing(void **state)
{
    enum { COUNT = 90 };
    struct fixture fixture = {0};
    struct tap_statistics statistics;
    int room = 1 << 20;
    (void)state;

    open_with_snaplen(&fixture, 1000);
    assert_int_equal(setsockopt(fixture.kernel, SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    for (uint8_t sent = 0, wave = 0; wave < COUNT / 9; wave++) { /* a socket pair holds about ten */
        for (int i = 0; i < 9; i++)
            deliver_packet(&fixture, FIREWALL_SENT, sent++, 1);
        fixture.seen_most = fixture.seen_count + 4;
        assert_int_equal(tap_read(fixture.tap, see, &fixture), 4);
        tap_read_statistics(fixture.tap, &statistics);
        assert_true(statistics.waiting > 0);
        fixture.seen_most = SEEN_MAX;
        assert_int_equal(tap_read(fixture.tap, see, &fixture), 5);
    }
    tap_read_statistics(fixture.tap, &statistics);
    assert_int_equal(statistics.taken, COUNT);
    assert_int_equal(statistics.waiting, 0);
    assert_int_equal(fixture.seen_count, COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(fixture.first[i], i);
    close_all(&fixture);
}

static void packets_are_in_order(void **state)
{
    struct fixture fixture = {0};
    struct message message;
    (void)state;

    open_with_snaplen(&fixture, 1000);
    deliver_packet(&fixture, FIREWALL_SENT, 0, 500);
    deliver_packet(&fixture, FIREWALL_SENT, 1, 400); /* a little early */
    begin(&message);
    put_prefix(&message, FIREWALL_SENT);
    put_time(&message, NOW - 100, 0); /* somebody set the clock */
    put_packet(&message, 7, 2, 100, 100);
    deliver(&fixture, &message);
    time_t before = time(NULL);
    begin(&message);
    put_prefix(&message, FIREWALL_SENT); /* no time: that of being read */
    put_packet(&message, 7, 3, 100, 100);
    deliver(&fixture, &message);
    assert_int_equal(tap_read(fixture.tap, see, &fixture), 4);
    assert_int_equal(fixture.seen[0].timestamp_ns, NOW * SECOND + 500 * 1000);
    assert_int_equal(fixture.seen[1].timestamp_ns, NOW * SECOND + 500 * 1000);
    assert_int_equal(fixture.seen[2].timestamp_ns, (NOW - 100) * SECOND);
    assert_in_range(fixture.seen[3].timestamp_ns / SECOND, before, time(NULL));
    close_all(&fixture);
}

/* The filter sees what was logged, not what is kept. */
static void the_filter_decides(void **state)
{
    struct fixture fixture = {.request = {.capexpression = "udp dst port 9"}};
    struct tap_statistics statistics;
    struct message message;
    (void)state;

    open_with_snaplen(&fixture, 20);
    for (uint16_t port = 8; port <= 10; port++) {
        begin(&message);
        put_prefix(&message, FIREWALL_SENT);
        put_packet(&message, port, 0, 1000, 100);
        deliver(&fixture, &message);
    }
    assert_int_equal(tap_read(fixture.tap, see, &fixture), 3);
    assert_int_equal(fixture.seen_count, 1);
    assert_int_equal(fixture.seen[0].captured, 20);
    assert_int_equal(fixture.seen[0].length, 1000);
    tap_read_statistics(fixture.tap, &statistics);
    assert_int_equal(statistics.taken, 1);
    close_all(&fixture);
}

static void own_streams_are_left_out(void **state)
{
    struct fixture fixture = {.exclusions = {.mark = 0x5a000000, .mark_mask = 0xff000000}};
    static const uint32_t MARKS[] = {0, 0x5a000001, 0x5b000000, 0x5a000000};
    struct message message;
    (void)state;

    open_with_snaplen(&fixture, 1000);
    for (uint8_t i = 0; i < sizeof MARKS / sizeof MARKS[0]; i++) {
        uint32_t mark = htonl(MARKS[i]);
        begin(&message);
        put_prefix(&message, FIREWALL_SENT);
        if (mark != 0)
            put(&message, NFULA_MARK, &mark, sizeof mark);
        put_packet(&message, 7, i, 100, 100);
        deliver(&fixture, &message);
    }
    assert_int_equal(tap_read(fixture.tap, see, &fixture), 4);
    assert_int_equal(fixture.seen_count, 2);
    assert_int_equal(fixture.first[0], 0);
    assert_int_equal(fixture.first[1], 2);
    close_all(&fixture);
}

static void the_rules_go_once(void **state)
{
    struct fixture fixture = {0};
    (void)state;

    open_with_snaplen(&fixture, 1000);
    deliver_packet(&fixture, FIREWALL_SENT, 0, 1);
    tap_freeze(fixture.tap);
    assert_int_equal(fixture.unhooked, 1);
    tap_freeze(fixture.tap);
    assert_int_equal(tap_read(fixture.tap, see, &fixture), 1); /* what was logged before */
    close_all(&fixture);
}

static void a_wrong_filter_takes_the_rules_down(void **state)
{
    struct fixture fixture = {.request = {.capexpression = "no expression"}};
    struct nflog_hook hook = {.unhook = unhook, .context = &fixture, .session = "a session"};
    struct tap_settings settings = {
        .request = &fixture.request, .exclusions = &fixture.exclusions, .snaplen = 100};
    struct error error;
    int ends[2];
    (void)state;

    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
    assert_int_not_equal(nflog_tap_open_on(ends[0], &hook, &settings, &fixture.tap, &error), STATUS_OK);
    assert_int_equal(fixture.unhooked, 1);
    assert_int_equal(send(ends[1], "x", 1, MSG_NOSIGNAL), -1); /* the tap's end is closed */
    close(ends[1]);
}

static void the_kernel_logs_what_the_filter_reads(void **state)
{
    struct packet_capture_request plain = {0}, option = {.option_count = 1},
                                  expression = {.capexpression = "x"};
    (void)state;

    assert_int_equal(nflog_tap_range(&plain, SNAPLEN_MAX), 65531);
    assert_int_equal(nflog_tap_range(&plain, 1000), 1000);
    assert_int_equal(nflog_tap_range(&plain, 24), 256);
    assert_int_equal(nflog_tap_range(&option, 24), 65531);
    assert_int_equal(nflog_tap_range(&expression, 24), 65531);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_becomes_a_packet),
        cmocka_unit_test(lengths_are_those_of_the_packets),
        cmocka_unit_test(what_is_not_ours_is_passed_over),
        cmocka_unit_test(attributes_that_lie_end_the_message),
        cmocka_unit_test(a_read_that_ends_early_loses_nothing),
        cmocka_unit_test(packets_are_in_order),
        cmocka_unit_test(the_filter_decides),
        cmocka_unit_test(own_streams_are_left_out),
        cmocka_unit_test(the_rules_go_once),
        cmocka_unit_test(a_wrong_filter_takes_the_rules_down),
        cmocka_unit_test(the_kernel_logs_what_the_filter_reads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
