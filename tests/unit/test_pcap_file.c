/*
 * The capture file and the writer in front of it. What is written is read back with libpcap. write(), fsync()
 * and pread() of the product pass through here (the linker's --wrap), so that the disk can fail at any byte.
 */
#include "capture/capture_file.h"
#include "capture/writer.h"
#include "core/session.h"
#include "host/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pcap/pcap.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { SNAPLEN = 262144, MIB = 1 << 20, PCAP_PACKET_HEADER_SIZE = 16 };

/* ---- the disk ---- */

static struct {
    size_t room;    /* bytes that it still takes */
    size_t piece;   /* at most so many at once */
    int interrupts; /* so many writes are interrupted first */
    int cause;      /* errno of a write beyond the room; 0: write() returns 0 */
    int sync_cause; /* errno of fsync(), or 0 */
    int syncs;
    int read_interrupts; /* so many reads are interrupted first */
    int64_t bad_place;   /* reading this byte of a file fails; -1: none does */
} disk;

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
ssize_t __real_pread(int fd, void *data, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset);

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    if (disk.interrupts > 0) {
        disk.interrupts--;
        errno = EINTR;
        return -1;
    }
    if (disk.room == 0) {
        errno = disk.cause;
        return disk.cause == 0 ? 0 : -1;
    }
    size = size < disk.piece ? size : disk.piece;
    ssize_t wrote = __real_write(fd, data, size < disk.room ? size : disk.room);
    if (wrote > 0)
        disk.room -= (size_t)wrote;
    return wrote;
}

int __wrap_fsync(int fd)
{
    (void)fd;
    disk.syncs++;
    errno = disk.sync_cause;
    return disk.sync_cause == 0 ? 0 : -1;
}

ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset)
{
    bool interrupted = disk.read_interrupts > 0 && disk.read_interrupts-- > 0;
    bool bad = disk.bad_place >= offset && disk.bad_place < offset + (int64_t)size;

    if (!interrupted && !bad)
        return __real_pread(fd, data, size, offset);
    errno = interrupted ? EINTR : EIO;
    return -1;
}

static void disk_mend(void)
{
    memset(&disk, 0, sizeof disk);
    disk.bad_place = -1;
    disk.room = disk.piece = SIZE_MAX;
    disk.cause = ENOSPC;
}

/* ---- files ---- */

static char directory[64];
static char path[128];

static int remove_one(const char *name, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(name);
}

static int directory_make(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/pktcap-test-XXXXXX");
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int directory_remove(void **state)
{
    (void)state;
    return nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Every test has a sound disk and no file at path. */
static int fresh(void **state)
{
    (void)state;
    disk_mend();
    snprintf(path, sizeof path, "%s/session/run-1.pcap", directory);
    unlink(path);
    return 0;
}

static int64_t size_of(const char *name)
{
    struct stat status;

    assert_int_equal(stat(name, &status), 0);
    return status.st_size;
}

static void file_write(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(name, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void file_append(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(name, "a");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Reads a small file; the caller frees. */
static uint8_t *file_read(const char *name, size_t *size)
{
    FILE *file = fopen(name, "r");
    uint8_t *data = malloc(MIB);

    assert_non_null(file);
    assert_non_null(data);
    *size = fread(data, 1, MIB, file);
    fclose(file);
    return data;
}

/* The lowest free descriptor: the same before and after what closes all that it opens. */
static int next_fd(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    close(fd);
    return fd;
}

/* ---- packets ---- */

enum { PATTERN_SIZE = SNAPLEN + 256 };

/* The packet of this number and size: its time, bytes and length on the wire follow from both. */
static struct packet packet_make(size_t number, uint32_t size)
{
    static uint8_t pattern[PATTERN_SIZE];

    if (pattern[1] == 0)
        for (size_t i = 0; i < PATTERN_SIZE; i++)
            pattern[i] = (uint8_t)(31 * i + i / 256 + 7);
    return (struct packet){
        .timestamp_ns = 1764000000000000001 + (int64_t)number * 1999999999,
        .captured = size,
        .length = size + (uint32_t)(number % 3) * 1000,
        .data = pattern + number % 256,
    };
}

static void sink_append(struct sink *sink, size_t number, uint32_t size)
{
    static uint8_t data[MIB];
    struct batch batch = {.data = data, .size = sizeof data};
    struct packet packet = packet_make(number, size);
    struct error error;

    sink->ops->encode(&batch, &packet);
    assert_int_equal(batch.used, sink->ops->packet_size(size));
    assert_int_equal(sink->ops->write(sink, &batch, &error), STATUS_OK);
}

/* Closes without making anything durable, as a crash does. */
static void sink_drop(struct sink *sink)
{
    capture_file_drop(sink);
}

static enum status create_at(const char *name, int linktype, struct sink *sink, struct error *error)
{
    static struct file_header header;
    struct file_subject subject = {
        .linktype = linktype, .snaplen = SNAPLEN, .interface = "", .description = "", .filter = ""};

    pcap_format.make_header(&subject, &header);
    return capture_file_create(name, &pcap_format, &header, sink, error);
}

static struct sink create(int linktype)
{
    struct sink sink;
    struct error error;

    unlink(path);
    if (create_at(path, linktype, &sink, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return sink;
}

static void file_make(const uint32_t *sizes, size_t count)
{
    struct sink sink = create(DLT_EN10MB);

    for (size_t i = 0; i < count; i++)
        sink_append(&sink, i, sizes[i]);
    sink_drop(&sink);
}

static void assert_packet(pcap_t *pcap, size_t number, uint32_t size)
{
    struct packet wanted = packet_make(number, size);
    struct pcap_pkthdr *header;
    const u_char *data;

    assert_int_equal(pcap_next_ex(pcap, &header, &data), 1);
    assert_int_equal(header->ts.tv_sec, wanted.timestamp_ns / 1000000000);
    assert_int_equal(header->ts.tv_usec, wanted.timestamp_ns % 1000000000);
    assert_int_equal(header->caplen, wanted.captured);
    assert_int_equal(header->len, wanted.length);
    assert_memory_equal(data, wanted.data, size);
}

static pcap_t *reader_open(int linktype)
{
    char problem[PCAP_ERRBUF_SIZE];
    pcap_t *pcap = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, problem);

    if (pcap == NULL)
        fail_msg("%s", problem);
    assert_int_equal(pcap_get_tstamp_precision(pcap), PCAP_TSTAMP_PRECISION_NANO);
    assert_int_equal(pcap_datalink(pcap), linktype);
    assert_int_equal(pcap_snapshot(pcap), SNAPLEN);
    return pcap;
}

static void reader_close(pcap_t *pcap)
{
    struct pcap_pkthdr *header;
    const u_char *data;

    assert_int_equal(pcap_next_ex(pcap, &header, &data), PCAP_ERROR_BREAK);
    pcap_close(pcap);
}

/* The file holds these packets, numbered from 0, and nothing else. */
static void assert_holds(const uint32_t *sizes, size_t count)
{
    pcap_t *pcap = reader_open(DLT_EN10MB);

    for (size_t i = 0; i < count; i++)
        assert_packet(pcap, i, sizes[i]);
    reader_close(pcap);
}

static int64_t size_of_packets(const uint32_t *sizes, size_t count)
{
    int64_t size = PCAP_FILE_HEADER_SIZE;

    for (size_t i = 0; i < count; i++)
        size += PCAP_PACKET_HEADER_SIZE + sizes[i];
    return size;
}

static void assert_tally(const struct file_tally *tally, const uint32_t *sizes, size_t count)
{
    int64_t size = size_of_packets(sizes, count);

    assert_int_equal(tally->packets, count);
    assert_int_equal(tally->packet_bytes,
                     size - PCAP_FILE_HEADER_SIZE - (int64_t)count * PCAP_PACKET_HEADER_SIZE);
    assert_int_equal(tally->size, size);
    assert_int_equal(tally->last_ns, count == 0 ? 0 : packet_make(count - 1, 0).timestamp_ns);
}

/* ---- writing ---- */

static const uint32_t SIZES[] = {60, 0, 1, 15, 16, 17, 100, 0};

static void what_is_written_can_be_read(void **state)
{
    struct sink sink = create(DLT_EN10MB);
    struct error error;

    (void)state;
    assert_int_equal(sink.size, PCAP_FILE_HEADER_SIZE);
    for (size_t i = 0; i < COUNT(SIZES); i++) {
        sink_append(&sink, i, SIZES[i]);
        assert_int_equal(sink.size, size_of_packets(SIZES, i + 1));
        assert_int_equal(size_of(path), sink.size);
    }
    assert_int_equal(sink.ops->close(&sink, NULL, &error), STATUS_OK);
    assert_int_equal(disk.syncs, 2);
    assert_holds(SIZES, COUNT(SIZES));
}

static void empty_file(void **state)
{
    (void)state;
    file_make(NULL, 0);
    assert_int_equal(size_of(path), PCAP_FILE_HEADER_SIZE);
    assert_holds(NULL, 0);
}

static void linktypes(void **state)
{
    static const int TYPES[] = {DLT_EN10MB, DLT_RAW, DLT_LINUX_SLL, DLT_LINUX_SLL2};

    (void)state;
    for (size_t i = 0; i < COUNT(TYPES); i++) {
        struct sink sink = create(TYPES[i]);
        struct file_tally tally;
        struct error error;
        sink_drop(&sink);
        reader_close(reader_open(TYPES[i]));
        assert_int_equal(capture_file_reopen(path, &pcap_format, &sink, &tally, &error), STATUS_OK);
        assert_int_equal(capture_file_linktype(&sink), TYPES[i]);
        sink_drop(&sink);
    }
}

static void largest_packets(void **state)
{
    static const uint32_t LARGE[] = {SNAPLEN, SNAPLEN - 1, SNAPLEN, 1, SNAPLEN, SNAPLEN, SNAPLEN};

    (void)state;
    file_make(LARGE, COUNT(LARGE));
    assert_holds(LARGE, COUNT(LARGE));
}

static void a_file_is_never_overwritten(void **state)
{
    struct sink sink;
    struct error error;

    (void)state;
    file_make(SIZES, COUNT(SIZES));
    assert_int_equal(create_at(path, DLT_EN10MB, &sink, &error), STATUS_INTERNAL);
    assert_int_equal(error.code, ERROR_HOST);
    assert_holds(SIZES, COUNT(SIZES));
}

/* Two workers never write to one file: the second leaves it as it is. */
static void create_leaves_a_held_file_alone(void **state)
{
    int before = next_fd();
    struct sink sink, other;
    struct error error;

    (void)state;
    sink = create(DLT_EN10MB);
    sink_append(&sink, 0, SIZES[0]);
    assert_int_equal(create_at(path, DLT_EN10MB, &other, &error), STATUS_INTERNAL);
    assert_int_equal(error.code, ERROR_HOST);
    sink_append(&sink, 1, SIZES[1]);
    sink_drop(&sink);
    assert_holds(SIZES, 2);
    assert_int_equal(next_fd(), before);
}

static void create_where_no_file_can_be(void **state)
{
    static const char *const PLACES[] = {"/proc/no/run-1.pcap", "/dev/null/x/run-1.pcap",
                                         "/no/such/place/run-1.pcap"};
    int before = next_fd();
    struct sink sink;
    struct error error;

    (void)state;
    for (size_t i = 0; i < COUNT(PLACES); i++) {
        assert_int_equal(create_at(PLACES[i], DLT_EN10MB, &sink, &error), STATUS_INTERNAL);
        assert_int_equal(error.code, ERROR_HOST);
    }
    assert_int_equal(next_fd(), before);
}

static void create_on_a_full_disk(void **state)
{
    int before = next_fd();
    struct sink sink;
    struct error error;

    (void)state;
    unlink(path);
    for (disk.room = 0; disk.room < PCAP_FILE_HEADER_SIZE;) {
        size_t room = disk.room;
        assert_int_equal(create_at(path, DLT_EN10MB, &sink, &error), STATUS_RESOURCE_EXHAUSTED);
        assert_int_equal(error.code, ERROR_STORE_FULL);
        disk.room = room + 1;
    }
    assert_int_equal(next_fd(), before);
}

/* ---- the disk fails ---- */

/* How many packets are whole within so many bytes of the file. */
static size_t whole_packets(int64_t size)
{
    size_t count = 0;

    while (count < COUNT(SIZES) && size_of_packets(SIZES, count + 1) <= size)
        count++;
    return count;
}

static struct batch batch_of_all(const struct sink *sink)
{
    static uint8_t data[4096];
    struct batch batch = {.data = data, .size = sizeof data};

    for (size_t i = 0; i < COUNT(SIZES); i++) {
        struct packet packet = packet_make(i, SIZES[i]);
        sink->ops->encode(&batch, &packet);
    }
    return batch;
}

/* The batch fails with this room behind the header: what is whole stays, the batch says so. */
static void fail_at(size_t room, int cause, enum error_code code)
{
    struct sink sink = create(DLT_EN10MB);
    struct batch batch = batch_of_all(&sink);
    struct error error;
    size_t whole = whole_packets(PCAP_FILE_HEADER_SIZE + (int64_t)room);

    disk.room = room;
    disk.cause = cause;
    assert_int_equal(sink.ops->write(&sink, &batch, &error), error_code_status(code));
    assert_int_equal(error.code, code);
    disk_mend();
    assert_int_equal(batch.packets, whole);
    assert_int_equal(sink.size, size_of_packets(SIZES, whole));
    assert_int_equal(batch.used, sink.size - PCAP_FILE_HEADER_SIZE);
    assert_int_equal(batch.packet_bytes, (int64_t)batch.used - (int64_t)whole * PCAP_PACKET_HEADER_SIZE);
    assert_int_equal(size_of(path), sink.size);

    /* and with room again, it goes on where it was */
    for (size_t i = whole; i < COUNT(SIZES); i++)
        sink_append(&sink, i, SIZES[i]);
    sink_drop(&sink);
    assert_holds(SIZES, COUNT(SIZES));
}

static void full_at_every_byte(void **state)
{
    size_t size = (size_t)size_of_packets(SIZES, COUNT(SIZES)) - PCAP_FILE_HEADER_SIZE;

    (void)state;
    for (size_t room = 0; room < size; room++)
        fail_at(room, ENOSPC, ERROR_STORE_FULL);
}

static void every_cause(void **state)
{
    (void)state;
    fail_at(100, EDQUOT, ERROR_STORE_FULL);
    fail_at(100, 0, ERROR_STORE_FULL);
    fail_at(100, EIO, ERROR_HOST);
    fail_at(100, EFBIG, ERROR_HOST);
}

static void short_and_interrupted_writes(void **state)
{
    struct sink sink = create(DLT_EN10MB);
    struct batch batch = batch_of_all(&sink);
    struct error error;

    (void)state;
    disk.piece = 7;
    disk.interrupts = 5;
    assert_int_equal(sink.ops->write(&sink, &batch, &error), STATUS_OK);
    assert_int_equal(batch.packets, COUNT(SIZES));
    assert_int_equal(batch.packet_bytes, 60 + 0 + 1 + 15 + 16 + 17 + 100 + 0);
    assert_int_equal(sink.size, size_of_packets(SIZES, COUNT(SIZES)));
    sink_drop(&sink);
    assert_holds(SIZES, COUNT(SIZES));
}

/* The same by the kernel's own limit. */
static void file_size_limit(void **state)
{
    struct rlimit before, limit;
    struct sink sink = create(DLT_EN10MB);
    struct batch batch = batch_of_all(&sink);
    struct error error;

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = (struct rlimit){.rlim_cur = 130, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    enum status status = sink.ops->write(&sink, &batch, &error);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, STATUS_INTERNAL);
    assert_non_null(strstr(error.message, strerror(EFBIG)));
    sink_drop(&sink);
    assert_int_equal(batch.packets, whole_packets(130));
    assert_holds(SIZES, whole_packets(130));
}

static void close_tells_what_fsync_said(void **state)
{
    static const struct {
        int cause;
        enum error_code code;
    } CASES[] = {{EIO, ERROR_HOST}, {ENOSPC, ERROR_STORE_FULL}};
    struct error error;

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        int before = next_fd();
        struct sink sink = create(DLT_EN10MB);
        disk.sync_cause = CASES[i].cause;
        assert_int_equal(sink.ops->close(&sink, NULL, &error), error_code_status(CASES[i].code));
        assert_int_equal(error.code, CASES[i].code);
        assert_int_equal(next_fd(), before);
        disk_mend();
    }
}

/* ---- reopening ---- */

static struct sink reopen(struct file_tally *tally)
{
    struct sink sink;
    struct error error;

    memset(tally, 0xa5, sizeof *tally);
    if (capture_file_reopen(path, &pcap_format, &sink, tally, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    assert_int_equal(sink.size, tally->size);
    assert_int_equal(size_of(path), tally->size);
    return sink;
}

/* It is refused with this code and stays as it is. */
static void assert_not_reopened(enum error_code code)
{
    struct sink sink;
    struct file_tally tally;
    struct error error;
    size_t before_size, after_size;
    uint8_t *before = file_read(path, &before_size);
    int fd = next_fd();

    assert_int_equal(capture_file_reopen(path, &pcap_format, &sink, &tally, &error), error_code_status(code));
    assert_int_equal(error.code, code);
    assert_int_equal(next_fd(), fd);
    uint8_t *after = file_read(path, &after_size);
    assert_int_equal(after_size, before_size);
    assert_memory_equal(after, before, before_size);
    free(before);
    free(after);
}

static void reopen_cut_at(const uint8_t *data, size_t cut)
{
    struct file_tally tally;

    file_write(path, data, cut);
    if (cut < PCAP_FILE_HEADER_SIZE) {
        assert_not_reopened(ERROR_NO_SUCH_FILE);
        return;
    }
    size_t whole = whole_packets((int64_t)cut);
    struct sink sink = reopen(&tally);
    assert_tally(&tally, SIZES, whole);
    for (size_t i = whole; i < COUNT(SIZES); i++)
        sink_append(&sink, i, SIZES[i]);
    sink_drop(&sink);
    assert_holds(SIZES, COUNT(SIZES));
}

static void reopen_cut_at_every_byte(void **state)
{
    size_t size;

    (void)state;
    file_make(SIZES, COUNT(SIZES));
    uint8_t *data = file_read(path, &size);
    assert_int_equal(size, size_of_packets(SIZES, COUNT(SIZES)));
    for (size_t cut = 0; cut <= size; cut++)
        reopen_cut_at(data, cut);
    free(data);
}

/* The file with this behind its packets comes back without it. */
static void assert_tail_goes(const void *tail, size_t size)
{
    struct file_tally tally;

    file_make(SIZES, COUNT(SIZES));
    file_append(path, tail, size);
    struct sink sink = reopen(&tally);
    assert_tally(&tally, SIZES, COUNT(SIZES));
    sink_drop(&sink);
    assert_holds(SIZES, COUNT(SIZES));
}

/* Blocks that were promised and never written read as zeros after a power cut. */
static void tails_of_one_byte_repeated(void **state)
{
    static const size_t TAILS[] = {1, 15, 16, 17, 4096, 3 * MIB};
    static const int BYTES[] = {0x00, 0xff, 0x55};
    uint8_t *tail = malloc(3 * MIB);

    (void)state;
    assert_non_null(tail);
    for (size_t i = 0; i < COUNT(BYTES); i++) {
        memset(tail, BYTES[i], 3 * MIB);
        for (size_t j = 0; j < COUNT(TAILS); j++)
            assert_tail_goes(tail, TAILS[j]);
    }
    free(tail);
}

static void tails_that_are_no_record(void **state)
{
    static const struct {
        uint32_t seconds, nanoseconds, captured, length;
    } HEADERS[] = {
        {0, 5, 4, 4},                              /* no time */
        {1764000000, 1000000000, 4, 4},            /* more nanoseconds than a second has */
        {1764000000, 5, SNAPLEN + 1, SNAPLEN + 1}, /* beyond the snaplen */
        {1764000000, 5, 0xffffffff, 0xffffffff},   /* and far beyond */
        {1764000000, 5, 5, 4},                     /* more captured than there was */
        {1764000000, 5, SNAPLEN, SNAPLEN},         /* fine, but its bytes are missing */
        {1764000000, 999999999, 5, 5},             /* fine, one byte is missing */
    };
    uint8_t tail[20] = {0};

    (void)state;
    for (size_t i = 0; i < COUNT(HEADERS); i++) {
        memcpy(tail, &HEADERS[i], sizeof HEADERS[i]);
        assert_tail_goes(tail, sizeof tail);
    }
}

/* Even where a sound record lies behind a hole, the file ends at the hole. */
static void hole_in_the_middle(void **state)
{
    struct file_tally tally;
    size_t size;

    (void)state;
    file_make(SIZES, COUNT(SIZES));
    uint8_t *data = file_read(path, &size);
    memset(data + size_of_packets(SIZES, 3), 0, 16);
    file_write(path, data, size);
    free(data);
    struct sink sink = reopen(&tally);
    assert_tally(&tally, SIZES, 3);
    sink_drop(&sink);
    assert_holds(SIZES, 3);
}

/* Reopening twice is reopening once. */
static void reopen_a_sound_file(void **state)
{
    struct file_tally tally;

    (void)state;
    file_make(SIZES, COUNT(SIZES));
    for (int i = 0; i < 2; i++) {
        struct sink sink = reopen(&tally);
        assert_tally(&tally, SIZES, COUNT(SIZES));
        sink_drop(&sink);
        assert_holds(SIZES, COUNT(SIZES));
    }
}

/* A place that cannot be read ends nothing: the file stays as it is, to be rescued. */
static void unreadable_places(void **state)
{
    uint32_t sizes[12];
    static const int64_t PLACES[] = {0, 30, MIB - 1, MIB, 2 * MIB};
    struct file_tally tally;

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        sizes[i] = SNAPLEN;
    file_make(sizes, COUNT(sizes));
    for (size_t i = 0; i < COUNT(PLACES); i++) {
        disk.bad_place = PLACES[i];
        assert_not_reopened(ERROR_HOST);
        assert_int_equal(size_of(path), size_of_packets(sizes, COUNT(sizes)));
    }
    disk_mend();
    struct sink sink = reopen(&tally);
    assert_tally(&tally, sizes, COUNT(sizes));
    sink_drop(&sink);
}

static void interrupted_reads(void **state)
{
    struct sink sink;
    struct file_tally tally;
    struct error error;

    (void)state;
    file_make(SIZES, COUNT(SIZES));
    disk.read_interrupts = 5;
    sink = reopen(&tally);
    assert_tally(&tally, SIZES, COUNT(SIZES));
    assert_int_equal(sink.ops->close(&sink, NULL, &error), STATUS_OK);
    assert_int_equal(disk.syncs, 2);
}

static void other_files(void **state)
{
    static const struct {
        uint32_t magic, version, zone, sigfigs, snaplen, linktype;
    } HEADERS[] = {
        {0xa1b2c3d4, 0x00040002, 0, 0, SNAPLEN, 1},              /* microseconds */
        {0x4d3cb2a1, 0x02000400, 0, 0, 0x400, 1},                /* the other byte order */
        {0x0a0d0d0a, 28, 0x1a2b3c4d, 1, 0xffffffff, 0xffffffff}, /* pcapng */
        {0xa1b23c4d, 0x00040002, 0, 0, 0xffffffff, 1},
        {0xa1b23c4d, 0x00040002, 0, 0, MIB, 1},
        {0, 0, 0, 0, 0, 0},
    };

    (void)state;
    file_make(NULL, 0);
    for (size_t i = 0; i < COUNT(HEADERS); i++) {
        file_write(path, &HEADERS[i], sizeof HEADERS[i]);
        file_append(path, "behind the header", 17);
        assert_not_reopened(ERROR_HOST);
    }
    file_write(path, "", 0);
    assert_not_reopened(ERROR_NO_SUCH_FILE);
    file_write(path, "#!/bin/sh\necho a file that is no capture\n", 41);
    assert_not_reopened(ERROR_HOST);
}

static void no_file(void **state)
{
    static const struct {
        const char *path;
        enum error_code code;
    } CASES[] = {{"/no/such/file", ERROR_NO_SUCH_FILE},
                 {"", ERROR_NO_SUCH_FILE},
                 {"/dev/null/x", ERROR_HOST},
                 {"/tmp", ERROR_HOST}};
    int before = next_fd();
    struct sink sink;
    struct file_tally tally;
    struct error error;

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        if (capture_file_reopen(CASES[i].path, &pcap_format, &sink, &tally, &error) == STATUS_OK ||
            error.code != CASES[i].code)
            fail_msg("%s: code %d", CASES[i].path, error.code);
    }
    assert_int_equal(next_fd(), before);
}

static void reopen_leaves_a_held_file_alone(void **state)
{
    struct sink sink = create(DLT_EN10MB);
    struct file_tally tally;

    (void)state;
    for (size_t i = 0; i < COUNT(SIZES); i++)
        sink_append(&sink, i, SIZES[i]);
    file_append(path, "torn", 4);
    assert_not_reopened(ERROR_SESSION_RUNNING);
    sink_drop(&sink);
    sink = reopen(&tally);
    assert_tally(&tally, SIZES, COUNT(SIZES));
    assert_not_reopened(ERROR_SESSION_RUNNING);
    sink_drop(&sink);
}

/* The repair reads a MiB at a time: records that begin, or whose header lies, across its edge. */
static void large_records_across_the_edge(void **state)
{
    uint32_t sizes[] = {SNAPLEN, SNAPLEN, SNAPLEN, 0, SNAPLEN, 3};
    struct file_tally tally;

    (void)state;
    for (int delta = -18; delta <= 18; delta++) {
        sizes[3] = 0;
        sizes[3] = (uint32_t)(MIB + delta - size_of_packets(sizes, 4));
        file_make(sizes, COUNT(sizes));
        struct sink sink = reopen(&tally);
        assert_tally(&tally, sizes, COUNT(sizes));
        sink_drop(&sink);
        assert_int_equal(truncate(path, size_of_packets(sizes, 5) - 1), 0);
        sink = reopen(&tally);
        assert_tally(&tally, sizes, 4);
        sink_drop(&sink);
    }
}

static void many_large_records(void **state)
{
    uint32_t sizes[40];
    struct file_tally tally;

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++)
        sizes[i] = SNAPLEN - (uint32_t)(i * 37 % 101);
    file_make(sizes, COUNT(sizes));
    struct sink sink = reopen(&tally);
    assert_tally(&tally, sizes, COUNT(sizes));
    sink_drop(&sink);
    assert_holds(sizes, COUNT(sizes));
}

/* ---- the writer ---- */

/* A sink in memory. A packet is its size and its bytes. */
static struct {
    uint8_t *data;
    size_t used, room;
    int writes, closes;
    bool gated; /* a write waits until it is let through */
    sem_t gate;
    enum error_code close_code; /* of close(), or 0 */
} memory;

enum { MEMORY_SIZE = 64 * MIB, MEMORY_HEADER = 4 };

static size_t memory_packet_size(uint32_t captured)
{
    return MEMORY_HEADER + captured;
}

static void memory_encode(struct batch *batch, const struct packet *packet)
{
    assert_true(batch->used + memory_packet_size(packet->captured) <= batch->size);
    memcpy(batch->data + batch->used, &packet->captured, MEMORY_HEADER);
    memcpy(batch->data + batch->used + MEMORY_HEADER, packet->data, packet->captured);
    batch->used += memory_packet_size(packet->captured);
    batch->packets++;
    batch->packet_bytes += packet->captured;
}

/* Takes what fits, whole packets only. */
static enum status memory_write(struct sink *sink, struct batch *batch, struct error *error)
{
    struct batch whole = {.data = batch->data, .size = batch->size};
    uint32_t size;

    if (memory.gated)
        sem_wait(&memory.gate);
    memory.writes++;
    while (whole.used < batch->used) {
        memcpy(&size, batch->data + whole.used, sizeof size);
        if (memory.used + whole.used + memory_packet_size(size) > memory.room)
            break;
        whole.used += memory_packet_size(size);
        whole.packets++;
        whole.packet_bytes += size;
    }
    bool all = whole.used == batch->used;
    memcpy(memory.data + memory.used, batch->data, whole.used);
    memory.used += whole.used;
    sink->size += (int64_t)whole.used;
    whole.filled_ms = batch->filled_ms;
    *batch = whole;
    return all ? STATUS_OK : error_set(error, ERROR_STORE_FULL, NULL, "write %d failed", memory.writes);
}

static enum status memory_close(struct sink *sink, const struct sink_summary *summary, struct error *error)
{
    (void)sink, (void)summary;
    memory.closes++;
    return memory.close_code == 0 ? STATUS_OK : error_set(error, memory.close_code, NULL, "close failed");
}

static const struct sink_ops MEMORY_OPS = {
    .packet_size = memory_packet_size, .encode = memory_encode, .write = memory_write, .close = memory_close};

static int memory_open(void **state)
{
    memset(&memory, 0, sizeof memory);
    memory.data = malloc(MEMORY_SIZE);
    memory.room = MEMORY_SIZE;
    sem_init(&memory.gate, 0, 0);
    return memory.data == NULL ? -1 : fresh(state);
}

static int memory_free(void **state)
{
    (void)state;
    sem_destroy(&memory.gate);
    free(memory.data);
    return 0;
}

static struct writer *writer_start(struct sink sink, uint64_t reserve, struct writer_totals start)
{
    struct writer *writer;
    struct error error;

    if (writer_open(sink, directory, reserve, &start, &writer, &error) != STATUS_OK)
        fail_msg("%s", error.message);
    return writer;
}

static struct writer *memory_writer(void)
{
    return writer_start((struct sink){.ops = &MEMORY_OPS}, 0, (struct writer_totals){0});
}

static uint32_t nth_size(size_t number)
{
    return (uint32_t)(number * 7919 % 1500);
}

static void append_some(struct writer *writer, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        struct packet packet = packet_make(i, nth_size(i));
        writer_append(writer, &packet, writer_packet_size(writer, packet.captured));
    }
}

/* Memory holds the packets 0 to count, in order. */
static void assert_memory_holds(size_t count)
{
    size_t at = 0;

    for (size_t i = 0; i < count; i++) {
        struct packet wanted = packet_make(i, nth_size(i));
        assert_memory_equal(memory.data + at, &wanted.captured, MEMORY_HEADER);
        assert_memory_equal(memory.data + at + MEMORY_HEADER, wanted.data, wanted.captured);
        at += memory_packet_size(wanted.captured);
    }
    assert_int_equal(memory.used, at);
}

static int64_t bytes_of(size_t count)
{
    int64_t bytes = 0;

    for (size_t i = 0; i < count; i++)
        bytes += nth_size(i);
    return bytes;
}

static void assert_totals(const struct writer_totals *totals, size_t written, size_t lost)
{
    assert_int_equal(totals->packets, written);
    assert_int_equal(totals->lost_packets, lost);
    assert_int_equal(totals->packet_bytes, bytes_of(written));
    assert_int_equal(totals->size, bytes_of(written) + (int64_t)written * MEMORY_HEADER);
    assert_int_equal(totals->failed, lost > 0);
}

/* Waits until the writer has no batch under way: written and lost make up what was appended. */
static struct writer_totals settled(struct writer *writer, size_t appended)
{
    struct writer_totals totals;

    for (int i = 0; i < 10000; i++) {
        writer_read_totals(writer, &totals);
        if (totals.packets + totals.lost_packets == (int64_t)appended)
            return totals;
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    fail_msg("%lld of %zu packets after 10 s", (long long)totals.packets, appended);
    return totals;
}

static void writer_of_nothing(void **state)
{
    struct writer *writer = memory_writer();
    struct writer_totals totals;

    (void)state;
    assert_false(writer_has_pending(writer));
    assert_int_equal(writer_packet_size(writer, 100), MEMORY_HEADER + 100);
    writer_close(writer, NULL, &totals);
    assert_totals(&totals, 0, 0);
    assert_int_equal(memory.writes, 0);
    assert_int_equal(memory.closes, 1);
}

/* More than all batches hold together, several times round. */
static void writer_keeps_order(void **state)
{
    enum { MANY = 30000 };
    struct writer *writer = memory_writer();
    struct writer_totals totals;

    (void)state;
    append_some(writer, 0, MANY);
    writer_close(writer, NULL, &totals);
    assert_totals(&totals, MANY, 0);
    assert_memory_holds(MANY);
    assert_true(memory.writes > 20);
}

static void writer_fills_batches_to_the_byte(void **state)
{
    struct writer *writer = memory_writer();
    struct writer_totals totals;
    struct packet quarter = packet_make(0, MIB / 4 - MEMORY_HEADER);

    (void)state;
    for (int i = 0; i < 8; i++)
        writer_append(writer, &quarter, writer_packet_size(writer, quarter.captured));
    writer_close(writer, NULL, &totals);
    assert_int_equal(totals.packets, 8);
    assert_int_equal(memory.writes, 2);
}

/* A full batch holds all that arrived before the packet that no longer fitted. */
static void full_batches_say_up_to_when(void **state)
{
    struct writer *writer = memory_writer();
    struct writer_totals totals;

    (void)state;
    for (size_t i = 0; i < 5; i++) {
        struct packet quarter = packet_make(i, MIB / 4 - MEMORY_HEADER);
        writer_append(writer, &quarter, MIB / 4);
    }
    totals = settled(writer, 4);
    assert_int_equal(totals.flushed_ms, packet_make(4, 0).timestamp_ns / 1000000);
    writer_close(writer, NULL, &totals);
    assert_int_equal(totals.packets, 5);
}

static void writer_flushes(void **state)
{
    struct writer *writer = memory_writer();
    struct writer_totals totals;

    (void)state;
    append_some(writer, 0, 3);
    assert_true(writer_has_pending(writer));
    writer_read_totals(writer, &totals);
    assert_totals(&totals, 0, 0);
    writer_flush(writer, 1234);
    assert_false(writer_has_pending(writer));
    totals = settled(writer, 3);
    assert_totals(&totals, 3, 0);
    assert_int_equal(totals.flushed_ms, 1234);

    /* with nothing to hand over, all is written up to now */
    writer_flush(writer, 5678);
    writer_read_totals(writer, &totals);
    assert_int_equal(totals.flushed_ms, 5678);
    assert_int_equal(memory.writes, 1);
    writer_close(writer, NULL, &totals);
    assert_memory_holds(3);
}

/* What the disk has not taken yet is neither written nor flushed. */
static void writer_does_not_promise(void **state)
{
    struct writer *writer;
    struct writer_totals totals;

    (void)state;
    memory.gated = true;
    writer = memory_writer();
    append_some(writer, 0, 10);
    writer_flush(writer, 1000);
    writer_flush(writer, 2000);
    writer_read_totals(writer, &totals);
    assert_totals(&totals, 0, 0);
    assert_int_equal(totals.flushed_ms, 0);
    sem_post(&memory.gate);
    totals = settled(writer, 10);
    assert_int_equal(totals.flushed_ms, 1000);
    writer_close(writer, NULL, &totals);
    assert_memory_holds(10);
}

/* A stalled disk: three batches wait for it, and the capture thread does not. */
static void writer_has_patience(void **state)
{
    enum { THREE_MIB_AND_SOME = 4300 };
    struct writer *writer;
    struct writer_totals totals;

    (void)state;
    assert_in_range(bytes_of(THREE_MIB_AND_SOME), 3 * MIB, 4 * MIB - THREE_MIB_AND_SOME * MEMORY_HEADER);
    memory.gated = true;
    writer = memory_writer();
    append_some(writer, 0, THREE_MIB_AND_SOME);
    writer_read_totals(writer, &totals);
    assert_totals(&totals, 0, 0);
    for (int i = 0; i < 4; i++)
        sem_post(&memory.gate);
    writer_close(writer, NULL, &totals);
    assert_totals(&totals, THREE_MIB_AND_SOME, 0);
    assert_memory_holds(THREE_MIB_AND_SOME);
    assert_int_equal(memory.writes, 4);
}

static size_t packets_in(size_t room)
{
    size_t count = 0, used = 0;

    while (used + memory_packet_size(nth_size(count)) <= room)
        used += memory_packet_size(nth_size(count++));
    return count;
}

/* It writes nothing after a failure, not even what would fit: a file has no gaps. */
static void fail_for_good_at(size_t room)
{
    enum { MANY = 15000, MORE = 100 };
    struct writer *writer = memory_writer();
    size_t fit = packets_in(room);

    memory.used = 0;
    memory.room = room;
    append_some(writer, 0, MANY);
    writer_flush(writer, 1234);
    struct writer_totals totals = settled(writer, MANY);
    int writes = memory.writes;
    memory.room = MEMORY_SIZE;
    append_some(writer, MANY, MANY + MORE);
    writer_flush(writer, 5678);
    writer_flush(writer, 6789);
    writer_close(writer, NULL, &totals);
    assert_totals(&totals, fit, MANY + MORE - fit);
    assert_memory_holds(fit);
    assert_int_equal(totals.error.code, ERROR_STORE_FULL);
    assert_true(totals.flushed_ms != 1234 && totals.flushed_ms != 5678 && totals.flushed_ms != 6789);
    assert_int_equal(memory.writes, writes);
}

static void writer_fails_for_good(void **state)
{
    static const size_t ROOMS[] = {0, 1, 1503, 100000, MIB, MIB + 77777, 3 * MIB + 5, 9 * MIB};

    (void)state;
    for (size_t i = 0; i < COUNT(ROOMS); i++)
        fail_for_good_at(ROOMS[i]);
    assert_int_equal(memory.closes, COUNT(ROOMS));
}

/* The first failure is the one that counts. */
static void writer_tells_of_close(void **state)
{
    struct writer_totals totals;
    struct writer *writer = memory_writer();

    (void)state;
    memory.close_code = ERROR_HOST;
    append_some(writer, 0, 5);
    writer_close(writer, NULL, &totals);
    assert_int_equal(totals.packets, 5);
    assert_int_equal(totals.lost_packets, 0);
    assert_true(totals.failed);
    assert_int_equal(totals.error.code, ERROR_HOST);

    memory.room = 0;
    writer = memory_writer();
    append_some(writer, 0, 5);
    writer_close(writer, NULL, &totals);
    assert_int_equal(totals.lost_packets, 5);
    assert_int_equal(totals.error.code, ERROR_STORE_FULL);
}

static void writer_goes_on_from_a_start(void **state)
{
    struct writer_totals start = {
        .packets = 100, .packet_bytes = 2000, .size = 3000, .lost_packets = 7, .flushed_ms = 9};
    struct writer_totals totals;
    struct writer *writer = writer_start((struct sink){.ops = &MEMORY_OPS, .size = 3000}, 0, start);

    (void)state;
    writer_read_totals(writer, &totals);
    assert_memory_equal(&totals, &start, sizeof totals);
    append_some(writer, 0, 3);
    writer_close(writer, NULL, &totals);
    assert_int_equal(totals.packets, 103);
    assert_int_equal(totals.packet_bytes, 2000 + bytes_of(3));
    assert_int_equal(totals.size, 3000 + bytes_of(3) + 3 * MEMORY_HEADER);
    assert_int_equal(totals.lost_packets, 7);
}

static void writer_keeps_the_reserve(void **state)
{
    uint64_t larger_than_any_disk = UINT64_C(1) << 60;
    struct writer_totals totals;
    struct writer *writer =
        writer_start((struct sink){.ops = &MEMORY_OPS}, larger_than_any_disk, (struct writer_totals){0});

    (void)state;
    append_some(writer, 0, 2000);
    writer_close(writer, NULL, &totals);
    assert_totals(&totals, 0, 2000);
    assert_int_equal(totals.error.code, ERROR_STORE_FULL);
    assert_non_null(strstr(totals.error.message, "the disk is nearly full"));
    assert_int_equal(memory.writes, 0);
}

static void reserve_is_an_eighth_at_most(void **state)
{
    uint64_t most = data_dir_reserve(directory, UINT64_MAX);

    (void)state;
    assert_true(most > 0);
    assert_true(most < UINT64_MAX / 8);
    assert_true(data_dir_reserve(directory, most) == most);
    assert_true(data_dir_reserve(directory, most - 1) == most - 1);
    assert_true(data_dir_reserve(directory, 0) == 0);
    assert_true(data_dir_reserve("/no/such/place", 5) == 0);
}

static void space_is_checked(void **state)
{
    uint64_t larger_than_any_disk = UINT64_C(1) << 60;
    struct error error;

    (void)state;
    assert_int_equal(writer_check_space(directory, 0, 0, &error), STATUS_OK);
    assert_int_equal(writer_check_space(directory, larger_than_any_disk, 0, &error),
                     STATUS_RESOURCE_EXHAUSTED);
    assert_int_equal(writer_check_space(directory, 1, larger_than_any_disk, &error),
                     STATUS_RESOURCE_EXHAUSTED);
    /* No reserve: the disk itself says when it is full. */
    assert_int_equal(writer_check_space(directory, 0, larger_than_any_disk, &error), STATUS_OK);
    assert_int_equal(error.code, ERROR_STORE_FULL);
    assert_int_equal(writer_check_space("/no/such/place", larger_than_any_disk, 0, &error), STATUS_OK);
}

/* Writer and file together, on a disk that fills up in the third batch. */
static void writer_into_a_file(void **state)
{
    enum { MANY = 12000 };
    struct sink sink = create(DLT_EN10MB);
    struct writer_totals totals;
    struct writer *writer = writer_start(sink, 0, (struct writer_totals){.size = sink.size});
    pcap_t *pcap;

    (void)state;
    disk.room = 5 * MIB / 2;
    append_some(writer, 0, MANY);
    writer_close(writer, NULL, &totals);
    assert_true(totals.failed);
    assert_int_equal(totals.error.code, ERROR_STORE_FULL);
    assert_int_equal(totals.packets + totals.lost_packets, MANY);
    assert_int_equal(totals.packet_bytes, bytes_of((size_t)totals.packets));
    assert_int_equal(size_of(path), totals.size);
    assert_in_range(totals.size, 5 * MIB / 2 - 1600, 5 * MIB / 2 + PCAP_FILE_HEADER_SIZE);
    pcap = reader_open(DLT_EN10MB);
    for (int64_t i = 0; i < totals.packets; i++)
        assert_packet(pcap, (size_t)i, nth_size((size_t)i));
    reader_close(pcap);
}

#define FILE_TEST(name)   cmocka_unit_test_setup(name, fresh)
#define WRITER_TEST(name) cmocka_unit_test_setup_teardown(name, memory_open, memory_free)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILE_TEST(what_is_written_can_be_read),
        FILE_TEST(empty_file),
        FILE_TEST(linktypes),
        FILE_TEST(largest_packets),
        FILE_TEST(a_file_is_never_overwritten),
        FILE_TEST(create_leaves_a_held_file_alone),
        FILE_TEST(create_where_no_file_can_be),
        FILE_TEST(create_on_a_full_disk),
        FILE_TEST(full_at_every_byte),
        FILE_TEST(every_cause),
        FILE_TEST(short_and_interrupted_writes),
        FILE_TEST(file_size_limit),
        FILE_TEST(close_tells_what_fsync_said),
        FILE_TEST(reopen_cut_at_every_byte),
        FILE_TEST(tails_of_one_byte_repeated),
        FILE_TEST(tails_that_are_no_record),
        FILE_TEST(hole_in_the_middle),
        FILE_TEST(reopen_a_sound_file),
        FILE_TEST(unreadable_places),
        FILE_TEST(interrupted_reads),
        FILE_TEST(other_files),
        FILE_TEST(no_file),
        FILE_TEST(reopen_leaves_a_held_file_alone),
        FILE_TEST(large_records_across_the_edge),
        FILE_TEST(many_large_records),
        WRITER_TEST(writer_of_nothing),
        WRITER_TEST(writer_keeps_order),
        WRITER_TEST(writer_fills_batches_to_the_byte),
        WRITER_TEST(full_batches_say_up_to_when),
        WRITER_TEST(writer_flushes),
        WRITER_TEST(writer_does_not_promise),
        WRITER_TEST(writer_has_patience),
        WRITER_TEST(writer_fails_for_good),
        WRITER_TEST(writer_tells_of_close),
        WRITER_TEST(writer_goes_on_from_a_start),
        WRITER_TEST(writer_keeps_the_reserve),
        FILE_TEST(reserve_is_an_eighth_at_most),
        FILE_TEST(space_is_checked),
        FILE_TEST(writer_into_a_file),
    };

    return cmocka_run_group_tests_name("pcap_file", tests, directory_make, directory_remove);
}
