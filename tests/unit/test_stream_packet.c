/*
 * What goes in front of a streamed packet. The checksum is compared with one that is computed byte by byte,
 * as RFC 1071 words it, and with a packet whose checksum is known.
 */
#include "capture/stream_packet.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct stream_path IPV4_PATH = {
    .source = {192, 0, 2, 1}, .destination = {192, 0, 2, 2}, .address_size = 4, .port = 4754};
static const struct stream_path IPV6_PATH = {.source = {0x20, 0x01, 0x0d, 0xb8, [15] = 1},
                                             .destination = {0x20, 0x01, 0x0d, 0xb8, [15] = 2},
                                             .address_size = 16,
                                             .port = 4755};

/* ---- frames ---- */

enum { IPV4_AT = 14, IPV6_AT = 14, FRAME_SIZE = 128 };

/* Ethernet, IPv4, UDP from 1000 to 53. */
static void ipv4_frame(uint8_t frame[FRAME_SIZE])
{
    static const uint8_t HEAD[] = {2, 0, 0,  0,  0, 1, 2,   0,  0, 0, 0,   2,  8, 0, 0x45, 0,    0, 100, 0, 1,
                                   0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2, 0x03, 0xe8, 0, 53};

    memset(frame, 0, FRAME_SIZE);
    memcpy(frame, HEAD, sizeof HEAD);
}

/* The same over IPv6. */
static void ipv6_frame(uint8_t frame[FRAME_SIZE])
{
    static const uint8_t HEAD[] = {2, 0,    0,    0,    0, 1, 2, 0, 0,  0,  0,
                                   2, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 60, 17, 64};
    static const uint8_t PORTS[] = {0x03, 0xe8, 0, 53};

    memset(frame, 0, FRAME_SIZE);
    memcpy(frame, HEAD, sizeof HEAD);
    frame[IPV6_AT + 8] = frame[IPV6_AT + 24] = 0xfd;
    frame[IPV6_AT + 23] = 1;
    frame[IPV6_AT + 39] = 2;
    memcpy(frame + IPV6_AT + 40, PORTS, sizeof PORTS);
}

/* A frame with a tag put in behind the addresses. */
static void tag(uint8_t frame[FRAME_SIZE], uint16_t ethertype, uint8_t vlan)
{
    memmove(frame + 16, frame + 12, FRAME_SIZE - 16);
    frame[12] = (uint8_t)(ethertype >> 8);
    frame[13] = (uint8_t)ethertype;
    frame[14] = 0;
    frame[15] = vlan;
}

static uint16_t port_of(const uint8_t frame[FRAME_SIZE])
{
    return stream_source_port(true, frame, FRAME_SIZE);
}

/* ---- flows ---- */

static void ports_are_dynamic_ones_and_spread(void **state)
{
    static unsigned used[4];
    uint8_t frame[FRAME_SIZE];

    (void)state;
    ipv4_frame(frame);
    for (int i = 0; i < 65536; i++) {
        frame[IPV4_AT + 20] = (uint8_t)(i >> 8);
        frame[IPV4_AT + 21] = (uint8_t)i;
        uint16_t port = port_of(frame);
        assert_true(port >= STREAM_SOURCE_PORT_FIRST);
        used[(port - STREAM_SOURCE_PORT_FIRST) / 4096]++;
    }
    for (size_t i = 0; i < COUNT(used); i++)
        assert_in_range(used[i], 65536 / 4 * 9 / 10, 65536 / 4 * 11 / 10);
}

/* Bytes of a frame, and whether they are part of what makes a flow. */
static const struct {
    size_t at;
    bool ipv6, makes_flow;
} BYTES[] = {
    {0, false, true},
    {5, false, true},
    {6, false, true},
    {11, false, true},
    {IPV4_AT + 1, false, false},
    {IPV4_AT + 5, false, false},
    {IPV4_AT + 8, false, false},
    {IPV4_AT + 10, false, false},
    {IPV4_AT + 12, false, true},
    {IPV4_AT + 15, false, true},
    {IPV4_AT + 19, false, true},
    {IPV4_AT + 20, false, true},
    {IPV4_AT + 23, false, true},
    {IPV4_AT + 24, false, false},
    {IPV4_AT + 60, false, false},
    {IPV6_AT + 3, true, false},
    {IPV6_AT + 7, true, false},
    {IPV6_AT + 8, true, true},
    {IPV6_AT + 39, true, true},
    {IPV6_AT + 40, true, true},
    {IPV6_AT + 43, true, true},
    {IPV6_AT + 44, true, false},
    {IPV6_AT + 60, true, false},
};

static void what_makes_a_flow(void **state)
{
    uint8_t frame[FRAME_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(BYTES); i++) {
        if (BYTES[i].ipv6)
            ipv6_frame(frame);
        else
            ipv4_frame(frame);
        uint16_t port = port_of(frame);
        frame[BYTES[i].at] ^= 1;
        if (BYTES[i].makes_flow)
            assert_int_not_equal(port_of(frame), port);
        else
            assert_int_equal(port_of(frame), port);
    }
}

static void protocols_are_different_flows(void **state)
{
    uint8_t frame[FRAME_SIZE];

    (void)state;
    ipv4_frame(frame);
    uint16_t udp = port_of(frame);
    frame[IPV4_AT + 9] = 6;
    assert_int_not_equal(port_of(frame), udp);
    frame[IPV4_AT + 9] = 1; /* ICMP: what stands there are no ports */
    uint16_t icmp = port_of(frame);
    frame[IPV4_AT + 21] ^= 1;
    assert_int_equal(port_of(frame), icmp);
}

static void tags_do_not_change_a_flow(void **state)
{
    void (*const MAKE[])(uint8_t[FRAME_SIZE]) = {ipv4_frame, ipv6_frame};
    uint8_t frame[FRAME_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(MAKE); i++) {
        MAKE[i](frame);
        uint16_t port = port_of(frame);
        tag(frame, 0x8100, 7);
        assert_int_equal(port_of(frame), port);
        tag(frame, 0x88a8, 8);
        assert_int_equal(port_of(frame), port);
    }
}

/* Only the first has ports. */
static void fragments_go_together(void **state)
{
    uint8_t first[FRAME_SIZE], next[FRAME_SIZE];

    (void)state;
    ipv4_frame(first);
    ipv4_frame(next);
    first[IPV4_AT + 6] = 0x20; /* more fragments */
    next[IPV4_AT + 7] = 5;
    memset(next + IPV4_AT + 20, 0xaa, 20);
    assert_int_equal(port_of(first), port_of(next));
}

static void ipv6_fragments_go_together(void **state)
{
    uint8_t first[FRAME_SIZE], next[FRAME_SIZE];

    (void)state;
    ipv6_frame(first);
    first[IPV6_AT + 6] = 44;
    memset(first + IPV6_AT + 40, 0, 8);
    first[IPV6_AT + 40] = 17;
    memcpy(next, first, sizeof next);
    next[IPV6_AT + 42] = 3;
    memset(first + IPV6_AT + 48, 0x11, 20);
    memset(next + IPV6_AT + 48, 0xaa, 20);
    assert_int_equal(port_of(first), port_of(next));
}

static void ports_behind_extension_headers(void **state)
{
    uint8_t frame[FRAME_SIZE];

    (void)state;
    ipv6_frame(frame);
    uint16_t plain = port_of(frame);
    memmove(frame + IPV6_AT + 56, frame + IPV6_AT + 40, 8);
    frame[IPV6_AT + 6] = 0; /* hop by hop, 16 bytes */
    memset(frame + IPV6_AT + 40, 0, 16);
    frame[IPV6_AT + 40] = 17;
    frame[IPV6_AT + 41] = 1;
    assert_int_equal(port_of(frame), plain);
    frame[IPV6_AT + 57] ^= 1;
    assert_int_not_equal(port_of(frame), plain);
}

/* Each length in memory of its own, so that the sanitizer sees a read beyond it. */
static void torn_frames_are_read_no_further(void **state)
{
    void (*const MAKE[])(uint8_t[FRAME_SIZE]) = {ipv4_frame, ipv6_frame};
    uint8_t frame[FRAME_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT(MAKE); i++) {
        MAKE[i](frame);
        for (size_t length = 0; length < 100; length++) {
            uint8_t *torn = malloc(length == 0 ? 1 : length);
            memcpy(torn, frame, length);
            assert_true(stream_source_port(true, torn, length) >= STREAM_SOURCE_PORT_FIRST);
            assert_true(stream_source_port(false, torn, length) >= STREAM_SOURCE_PORT_FIRST);
            free(torn);
        }
    }
}

/* ---- headers ---- */

static uint32_t read_16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

/* RFC 1071 over a row of bytes, an odd one padded. */
static uint32_t slow_sum(uint32_t sum, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

/* What the receiver gets; 0xffff says that the checksum is right. */
static uint32_t received_sum(const struct stream_path *path, const uint8_t *header, const uint8_t *data,
                             size_t length)
{
    uint8_t tail[] = {0, 17, header[4], header[5]};
    uint32_t sum = slow_sum(0, path->source, path->address_size);

    sum = slow_sum(sum, path->destination, path->address_size);
    sum = slow_sum(sum, tail, sizeof tail);
    sum = slow_sum(sum, header, STREAM_HEADER_SIZE);
    return slow_sum(sum, data, length);
}

static void checksums_are_right_for_every_length(void **state)
{
    const struct stream_path *const PATHS[] = {&IPV4_PATH, &IPV6_PATH};
    static const size_t LONG[] = {1514, 9014, 65495, 65503, 65523};
    uint8_t *data = malloc(65536), header[STREAM_HEADER_SIZE];

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < 65536; i++)
        data[i] = (uint8_t)(i % 7 == 0 ? 0xff : i * 31);
    for (size_t i = 0; i < 2 * (200 + COUNT(LONG)); i++) {
        const struct stream_path *path = PATHS[i % 2];
        size_t length = i / 2 < 200 ? i / 2 : LONG[i / 2 - 200];
        stream_header_fill(path, true, data, length, header);
        assert_int_equal(received_sum(path, header, data, length), 0xffff);
        assert_int_equal(read_16(header + 2), path->port);
        assert_int_equal(read_16(header + 4), STREAM_HEADER_SIZE + length);
        assert_memory_equal(header + 8, "\0\0\x65\x58", 4);
        assert_int_equal(read_16(header), stream_source_port(true, data, length));
    }
    free(data);
}

/* 0 would mean that there is no checksum: IPv6 receivers drop such packets. */
static void a_checksum_is_never_zero(void **state)
{
    uint8_t header[STREAM_HEADER_SIZE], data[64] = {0};
    bool all_ones = false;

    (void)state;
    for (uint32_t i = 0; i < 65536; i++) { /* these bytes make no flow, but every sum once */
        data[62] = (uint8_t)(i >> 8);
        data[63] = (uint8_t)i;
        stream_header_fill(&IPV6_PATH, true, data, sizeof data, header);
        assert_int_not_equal(read_16(header + 6), 0);
        all_ones = all_ones || read_16(header + 6) == 0xffff;
    }
    assert_true(all_ones);
}

static void gre_names_what_is_inside(void **state)
{
    static const uint8_t IPV4[20] = {0x45}, IPV6[40] = {0x60}, NEITHER[20] = {0x10};

    (void)state;
    assert_int_equal(stream_gre_protocol(true, NEITHER, sizeof NEITHER), 0x6558);
    assert_int_equal(stream_gre_protocol(false, IPV4, sizeof IPV4), 0x0800);
    assert_int_equal(stream_gre_protocol(false, IPV6, sizeof IPV6), 0x86dd);
    assert_int_equal(stream_gre_protocol(false, NEITHER, sizeof NEITHER), 0);
    assert_int_equal(stream_gre_protocol(false, IPV4, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_are_dynamic_ones_and_spread),
        cmocka_unit_test(what_makes_a_flow),
        cmocka_unit_test(protocols_are_different_flows),
        cmocka_unit_test(tags_do_not_change_a_flow),
        cmocka_unit_test(fragments_go_together),
        cmocka_unit_test(ipv6_fragments_go_together),
        cmocka_unit_test(ports_behind_extension_headers),
        cmocka_unit_test(torn_frames_are_read_no_further),
        cmocka_unit_test(checksums_are_right_for_every_length),
        cmocka_unit_test(a_checksum_is_never_zero),
        cmocka_unit_test(gre_names_what_is_inside),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
