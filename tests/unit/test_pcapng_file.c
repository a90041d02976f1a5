/* PCAPNG files over several sections, cut at every byte; and rings, stopped at every step. */
#include "capture/ring.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pcap/dlt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { SNAPLEN = 1000, PACKETS = 6 };

static char folder[64], path[128];
static struct data_dir directory;
static struct file_header header;

static int remove_one(const char *name, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(name);
}

static int folder_make(void **state)
{
    const struct file_subject subject = {.linktype = DLT_EN10MB,
                                         .snaplen = SNAPLEN,
                                         .interface = "blue/eth0",
                                         .description = "a test",
                                         .filter = "port 80"};
    char captures[80];

    (void)state;
    snprintf(folder, sizeof folder, "/tmp/pktcap-test-XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(captures, sizeof captures, "%s/captures", folder);
    snprintf(path, sizeof path, "%s/session/run-1.pcapng", folder);
    snprintf(directory.path, sizeof directory.path, "%s", folder);
    pcapng_format.make_header(&subject, &header);
    return mkdir(captures, 0700);
}

static int folder_remove(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct packet packet_make(size_t number)
{
    static const uint8_t DATA[SNAPLEN] = {1, 2, 3};

    return (struct packet){.timestamp_ns = 1764000000000000001 + (int64_t)number * 1999999999,
                           .captured = (uint32_t)(number * 37 % 100),
                           .length = SNAPLEN,
                           .direction = (enum packet_direction)(number % 3),
                           .data = DATA};
}

/* Appends a packet; returns the bytes that it took. */
static int64_t append(struct sink *sink, size_t number)
{
    static uint8_t data[2 * SNAPLEN];
    struct batch batch = {.data = data, .size = sizeof data};
    struct packet packet = packet_make(number);
    struct error error;
    int64_t before = sink->file_size;

    sink->ops->encode(&batch, &packet);
    assert_in_range(batch.used, 32 + packet.captured, sink->ops->packet_size(packet.captured));
    assert_int_equal(sink->ops->write(sink, &batch, &error), STATUS_OK);
    assert_int_equal(batch.packets, 1);
    return sink->file_size - before;
}

static struct sink create(void)
{
    struct sink sink;
    struct error error;

    unlink(path);
    if (capture_file_create(path, &pcapng_format, &header, &sink, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sink.size, header.size);
    return sink;
}

static const struct sink_summary SUMMARY = {
    .started_ns = 1764000000000000000, .ended_ns = 1765000000000000000, .matched = 10, .dropped = 3};

/* What is whole within so many bytes of the file that sections_write() wrote. */
struct edge {
    int64_t size, packets;
};

/* Two sections with all packets, the first with its statistics. Returns how many edges there are. */
static size_t sections_write(struct edge edges[4 * PACKETS])
{
    struct sink sink = create();
    struct file_tally tally;
    struct error error;
    size_t count = 0;

    edges[count++] = (struct edge){sink.size, 0};
    for (size_t i = 0; i < PACKETS; i++) {
        append(&sink, i);
        edges[count++] = (struct edge){sink.size, (int64_t)i + 1};
    }
    assert_int_equal(sink.ops->close(&sink, &SUMMARY, &error), STATUS_OK);
    edges[count] = (struct edge){sink.size, PACKETS};
    assert_int_equal(edges[count].size - edges[count - 1].size, pcapng_format.trailer_size);
    count++;
    assert_int_equal(capture_file_reopen(path, &pcapng_format, &sink, &tally, &error), STATUS_OK);
    assert_int_equal(tally.size, edges[count - 1].size);
    assert_int_equal(capture_file_continue(&sink, &header, &error), STATUS_OK);
    edges[count++] = (struct edge){sink.size, PACKETS};
    for (size_t i = 0; i < PACKETS; i++) {
        append(&sink, PACKETS + i);
        edges[count++] = (struct edge){sink.size, PACKETS + (int64_t)i + 1};
    }
    capture_file_drop(&sink);
    return count;
}

static int64_t bytes_of(int64_t packets)
{
    int64_t bytes = 0;

    for (int64_t i = 0; i < packets; i++)
        bytes += packet_make((size_t)i).captured;
    return bytes;
}

static void assert_tally(const struct file_tally *tally, const struct edge *edge)
{
    assert_int_equal(tally->size, edge->size);
    assert_int_equal(tally->packets, edge->packets);
    assert_int_equal(tally->packet_bytes, bytes_of(edge->packets));
    assert_int_equal(tally->last_ns,
                     edge->packets == 0 ? 0 : packet_make((size_t)edge->packets - 1).timestamp_ns);
}

static size_t file_read(uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "r");

    assert_non_null(file);
    size = fread(data, 1, size, file);
    fclose(file);
    return size;
}

static void file_write(const uint8_t *data, size_t size, const void *tail, size_t tail_size)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fwrite(tail, 1, tail_size, file), tail_size);
    fclose(file);
}

static void cut_at_every_byte(void **state)
{
    static uint8_t data[16384];
    struct edge edges[4 * PACKETS];
    size_t count = sections_write(edges), size = file_read(data, sizeof data), edge = 0;
    struct sink sink;
    struct file_tally tally;
    struct error error;

    (void)state;
    assert_int_equal(size, edges[count - 1].size);
    for (size_t cut = 0; cut <= size; cut++) {
        file_write(data, cut, "", 0);
        if (cut < header.size) {
            assert_int_equal(capture_file_reopen(path, &pcapng_format, &sink, &tally, &error),
                             STATUS_NOT_FOUND);
            continue;
        }
        while (edge + 1 < count && edges[edge + 1].size <= (int64_t)cut)
            edge++;
        if (capture_file_reopen(path, &pcapng_format, &sink, &tally, &error) != STATUS_OK)
            fail_msg("cut at %zu: %s", cut, error.message);
        assert_tally(&tally, &edges[edge]);
        assert_int_equal(capture_file_linktype(&sink), DLT_EN10MB);
        capture_file_drop(&sink);
    }
}

static void tails_that_are_no_block(void **state)
{
    static uint8_t data[16384];
    static const uint32_t TAILS[][16] = {
        {0},
        {UINT32_MAX, UINT32_MAX},
        {6, 64, 0, 1, 1, 2000, 2000},                                    /* beyond the snaplen */
        {6, 36, 0, 0x187b0000, 1, 4, 4, 0, 37},                          /* the lengths differ */
        {6, 36, 0, 0, 1, 4, 4, 0, 36},                                   /* no time */
        {6, 36, 1, 0x187b0000, 1, 4, 4, 0, 36},                          /* no such interface */
        {6, 36, 0, 0x187b0000, 1, 4, 3, 0, 36},                          /* more than there was */
        {1, 32, 1, SNAPLEN, 0, 0, 0, 32},                                /* an interface too many */
        {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, UINT32_MAX, UINT32_MAX, 28},     /* and no interface behind it */
        {0x0a0d0d0a, 28, 0x4d3c2b1a, 1, UINT32_MAX, UINT32_MAX, 28, 28}, /* of another byte order */
        {3, 32, 4, 0, 0, 0, 0, 32},                                      /* of a kind that we do not write */
    };
    struct edge edges[4 * PACKETS];
    size_t count = sections_write(edges), size = file_read(data, sizeof data);
    struct sink sink;
    struct file_tally tally;
    struct error error;

    (void)state;
    for (size_t i = 0; i < COUNT(TAILS); i++) {
        file_write(data, size, TAILS[i], sizeof TAILS[i]);
        assert_int_equal(capture_file_reopen(path, &pcapng_format, &sink, &tally, &error), STATUS_OK);
        assert_tally(&tally, &edges[count - 1]);
        capture_file_drop(&sink);
    }
}

/* Who only counted a file adds no statistics to another's section. */
static void no_section_no_statistics(void **state)
{
    struct sink sink = create();
    struct file_tally tally;
    struct error error;

    (void)state;
    append(&sink, 0);
    int64_t size = sink.size;
    capture_file_drop(&sink);
    assert_int_equal(capture_file_reopen(path, &pcapng_format, &sink, &tally, &error), STATUS_OK);
    assert_int_equal(sink.ops->close(&sink, &SUMMARY, &error), STATUS_OK);
    assert_int_equal(sink.size, size);
}

static void long_texts_are_cut(void **state)
{
    static char text[100000];
    static struct file_header large;
    struct file_subject subject = {
        .linktype = DLT_RAW, .snaplen = SNAPLEN, .interface = text, .description = text, .filter = text};
    struct sink sink;
    struct error error;

    (void)state;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 2 < sizeof text; i += 2)
            memcpy(text + i, "\xc3\xa4", 2);
        pcapng_format.make_header(&subject, &large);
        assert_in_range(large.size, 12000, sizeof large.data);
        unlink(path);
        assert_int_equal(capture_file_create(path, &pcapng_format, &large, &sink, &error), STATUS_OK);
        assert_int_equal(capture_file_linktype(&sink), DLT_RAW);
        capture_file_drop(&sink);
    }
}

/* ---- rings ---- */

static const char SESSION[] = "00000000-0000-4000-8000-000000000001";

static struct ring *ring_make(int64_t claim, size_t most)
{
    struct ring_settings settings = {.directory = &directory,
                                     .session_id = SESSION,
                                     .run = 1,
                                     .claim = claim,
                                     .most = most,
                                     .format = &pcapng_format};
    struct ring *ring;
    struct error error;

    if (ring_open(&settings, &ring, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return ring;
}

static int ring_folder_clear(void **state)
{
    struct error error;

    (void)state;
    return data_dir_remove_session(&directory, SESSION, &error) == STATUS_OK ? 0 : -1;
}

/* A ring of three after so many files of four packets each; nothing of it is closed, as in a crash. */
static struct sink turned(struct ring *ring, size_t files)
{
    struct sink sink;
    struct error error;

    assert_int_equal(ring_create(ring, &header, &sink, &error), STATUS_OK);
    for (size_t i = 0; i < 4 * files; i++) {
        if (i > 0 && i % 4 == 0)
            assert_int_equal(sink.ops->rotate(&sink, &SUMMARY, &error), STATUS_OK);
        append(&sink, i);
    }
    return sink;
}

static void ring_crash(struct ring *ring, struct sink *sink)
{
    struct error error;

    assert_int_equal(sink->ops->close(sink, NULL, &error), STATUS_OK);
    ring_free(ring);
}

static void assert_there(struct ring *ring, int32_t first, int32_t last, int64_t packets, int64_t overwritten)
{
    struct run_file files[64];
    struct counters counters;
    char name[DATA_PATH_SIZE];
    struct stat status;
    int64_t bytes = 0;

    assert_int_equal(ring_read(ring, files, &counters), last - first + 1);
    for (int32_t number = first; number <= last; number++) {
        assert_int_equal(files[number - first].number, number);
        assert_int_equal(stat(data_dir_path(&directory, files[number - first].file, name), &status), 0);
        assert_int_equal(status.st_size, files[number - first].file_size);
        bytes += status.st_size;
    }
    assert_int_equal(counters.file_size, bytes);
    assert_int_equal(counters.packets_captured, packets);
    assert_int_equal(counters.packets_overwritten, overwritten);
}

static void a_ring_turns(void **state)
{
    (void)state;
    for (int32_t files = 1; files <= 8; files++) {
        struct ring *ring = ring_make(1, 3);
        struct sink sink = turned(ring, (size_t)files);
        int32_t first = files > 3 ? files - 2 : 1;
        assert_there(ring, first, files, 4 * (files - first + 1), 4 * (first - 1));
        assert_int_equal(sink.overwritten, 4 * (first - 1));
        ring_crash(ring, &sink);
        assert_int_equal(ring_folder_clear(state), 0);
    }
}

static void one_process_at_a_time(void **state)
{
    struct ring *ring = ring_make(1, 3), *other;
    struct ring_settings settings = {.directory = &directory,
                                     .session_id = SESSION,
                                     .run = 1,
                                     .claim = 2,
                                     .most = 3,
                                     .format = &pcapng_format};
    struct sink sink = turned(ring, 2);
    struct error error;

    (void)state;
    assert_int_equal(ring_open(&settings, &other, &error), STATUS_FAILED_PRECONDITION);
    assert_int_equal(error.code, ERROR_SESSION_RUNNING);
    ring_crash(ring, &sink);
    ring_free(ring_make(2, 3));
}

/* The store knows nothing at all: the ledger and the files are enough. */
static void what_a_crash_leaves_is_counted(void **state)
{
    const struct ring_known nothing = {0};
    struct file_tally tally;
    struct error error;

    (void)state;
    for (size_t files = 1; files <= 6; files++) {
        struct ring *ring = ring_make(1, 3);
        struct sink sink = turned(ring, files);
        ring_crash(ring, &sink);
        ring = ring_make(2, 3);
        assert_int_equal(ring_reopen(ring, &nothing, &sink, &tally, &error), STATUS_OK);
        assert_int_equal(tally.packets + sink.overwritten, 4 * files);
        assert_int_equal(tally.last_ns, packet_make(4 * files - 1).timestamp_ns);
        assert_int_equal(ring_continue(&sink, &header, 1000000, &error), STATUS_OK);
        append(&sink, 4 * files);
        assert_int_equal(sink.ops->rotate(&sink, &SUMMARY, &error), STATUS_OK);
        append(&sink, 4 * files + 1);
        struct counters counters;
        struct run_file list[64];
        size_t count = ring_read(ring, list, &counters);
        assert_int_equal(counters.packets_captured + counters.packets_overwritten, 4 * files + 2);
        assert_int_equal(list[count - 1].number, files + 1);
        assert_non_null(strstr(list[count - 1].file, "run-1-2."));
        ring_crash(ring, &sink);
        assert_int_equal(ring_folder_clear(state), 0);
    }
}

/* Killed between the making of a file and the ledger, or between the ledger and the removal of the oldest. */
static void killed_within_a_turn(void **state)
{
    const struct ring_known nothing = {0};
    struct file_tally tally;
    struct error error;
    char ledger[DATA_PATH_SIZE], before[64], next[DATA_PATH_SIZE];

    snprintf(ledger, sizeof ledger, "%s/captures/%s/run-1.ring", folder, SESSION);
    snprintf(next, sizeof next, "%s/captures/%s/run-1.000006.pcapng", folder, SESSION);
    for (int with_ledger = 0; with_ledger < 2; with_ledger++) {
        struct ring *ring = ring_make(1, 3);
        struct sink sink = turned(ring, 5), made;
        ring_crash(ring, &sink);
        assert_int_equal(capture_file_create(next, &pcapng_format, &header, &made, &error), STATUS_OK);
        capture_file_drop(&made);
        if (with_ledger) {
            int fd = open(ledger, O_WRONLY);
            snprintf(before, sizeof before, "%-10d %-40d", 6, 20);
            assert_int_equal(pwrite(fd, before, strlen(before), 0), strlen(before));
            close(fd);
        }
        ring = ring_make(2, 3);
        assert_int_equal(ring_reopen(ring, &nothing, &sink, &tally, &error), STATUS_OK);
        assert_there(ring, 4, 6, 8, 12);
        assert_int_equal(tally.last_ns, packet_make(19).timestamp_ns);
        ring_crash(ring, &sink);
        assert_int_equal(ring_folder_clear(state), 0);
    }
}

/* With no room for a section the next packet begins a file, and the newest stays as it is. */
static void no_room_for_a_section(void **state)
{
    const struct ring_known nothing = {0};
    struct ring *ring = ring_make(1, 3);
    struct sink sink = turned(ring, 1);
    struct file_tally tally;
    struct error error;
    int64_t size = sink.file_size;

    (void)state;
    ring_crash(ring, &sink);
    ring = ring_make(2, 3);
    assert_int_equal(ring_reopen(ring, &nothing, &sink, &tally, &error), STATUS_OK);
    assert_int_equal(ring_continue(&sink, &header, size + 100, &error), STATUS_OK);
    assert_int_equal(sink.file_size, size + 100);
    assert_int_equal(sink.ops->rotate(&sink, &SUMMARY, &error), STATUS_OK);
    assert_there(ring, 1, 2, 4, 0);
    ring_crash(ring, &sink);
}

/* What a claim that never came to start left is no part of the run. */
static void a_new_start_is_a_new_ring(void **state)
{
    struct ring *ring = ring_make(1, 3);
    struct sink sink = turned(ring, 2);

    (void)state;
    ring_crash(ring, &sink);
    ring = ring_make(2, 3);
    sink = turned(ring, 1);
    assert_there(ring, 1, 1, 4, 0);
    ring_crash(ring, &sink);
}

static void names(void **state)
{
    static const struct {
        const char *file;
        bool read;
        int64_t claim;
        int32_t number;
    } CASES[] = {
        {"run-1.000007.pcap", true, 1, 7},
        {"run-1-12.1000000.pcap", true, 12, 1000000},
        {"run-1.pcap", false, 0, 0},
        {"run-2.000007.pcap", false, 0, 0},
        {"run-1.000007.pcapng", false, 0, 0},
        {"run-1.7.pcap", false, 0, 0},
        {"run-1.000000.pcap", false, 0, 0},
        {"run-1-1.000007.pcap", false, 0, 0},
        {"run-1.000007.pcap.gz", false, 0, 0},
        {"run-1.-00007.pcap", false, 0, 0},
        {"run-01.000007.pcap", false, 0, 0},
        {"run-1.ring", false, 0, 0},
        {"run-1. 000007.pcap", false, 0, 0},
        {"", false, 0, 0},
        {"run-1.99999999999.pcap", false, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        struct capture_name name = {.session_id = SESSION, .run = 1, .suffix = ".pcap"};
        if (data_dir_read_capture_name(CASES[i].file, &name) != CASES[i].read)
            fail_msg("%s", CASES[i].file);
        assert_int_equal(name.claim, CASES[i].claim);
        assert_int_equal(name.number, CASES[i].number);
    }
}

#define RING_TEST(function) cmocka_unit_test_setup(function, ring_folder_clear)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_at_every_byte),
        cmocka_unit_test(tails_that_are_no_block),
        cmocka_unit_test(no_section_no_statistics),
        cmocka_unit_test(long_texts_are_cut),
        RING_TEST(a_ring_turns),
        RING_TEST(one_process_at_a_time),
        RING_TEST(what_a_crash_leaves_is_counted),
        RING_TEST(killed_within_a_turn),
        RING_TEST(no_room_for_a_section),
        RING_TEST(a_new_start_is_a_new_ring),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests_name("pcapng_file", tests, folder_make, folder_remove);
}
