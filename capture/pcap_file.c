#include "capture/pcap_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pcap/dlt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAGIC_NANOSECONDS = 0xa1b23c4d, LINKTYPE_RAW = 101, REPAIR_BUFFER = 1 << 20 };

struct file_header {
    uint32_t magic;
    uint16_t version_major, version_minor;
    int32_t zone;
    uint32_t sigfigs;
    uint32_t snaplen;
    uint32_t linktype;
};

struct packet_header {
    uint32_t seconds, nanoseconds;
    uint32_t captured, length;
};

/* A file's LINKTYPE_ is the handle's DLT_, but for the few whose DLT_ values differ between systems. */
static uint32_t linktype_of_dlt(int dlt)
{
    return dlt == DLT_RAW ? LINKTYPE_RAW : (uint32_t)dlt;
}

static size_t packet_size(uint32_t captured)
{
    return PCAP_PACKET_HEADER_SIZE + (size_t)captured;
}

static void encode(struct batch *batch, const struct packet *packet)
{
    struct packet_header header = {
        .seconds = (uint32_t)(packet->timestamp_ns / 1000000000),
        .nanoseconds = (uint32_t)(packet->timestamp_ns % 1000000000),
        .captured = packet->captured,
        .length = packet->length,
    };

    memcpy(batch->data + batch->used, &header, sizeof header);
    memcpy(batch->data + batch->used + sizeof header, packet->data, packet->captured);
    batch->used += sizeof header + packet->captured;
    batch->packets++;
    batch->packet_bytes += packet->captured;
}

static enum status write_error(int cause, struct error *error)
{
    if (cause == ENOSPC || cause == EDQUOT)
        return error_set(error, ERROR_STORE_FULL, NULL, "the disk is full");
    return error_set(error, ERROR_HOST, NULL, "cannot write the capture file: %s", strerror(cause));
}

/* Reduces a batch to its whole packets within the first `written` bytes. */
static void batch_reduce(struct batch *batch, size_t written)
{
    size_t at = 0;

    batch->packets = batch->packet_bytes = 0;
    while (at + PCAP_PACKET_HEADER_SIZE <= written) {
        struct packet_header header;
        memcpy(&header, batch->data + at, sizeof header);
        if (at + packet_size(header.captured) > written)
            break;
        at += packet_size(header.captured);
        batch->packets++;
        batch->packet_bytes += header.captured;
    }
    batch->used = at;
}

static enum status write_batch(struct sink *sink, struct batch *batch, struct error *error)
{
    size_t done = 0;

    while (done < batch->used) {
        ssize_t wrote = write(sink->fd, batch->data + done, batch->used - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0) {
            int cause = wrote == 0 ? ENOSPC : errno;
            batch_reduce(batch, done);
            sink->size += (int64_t)batch->used;
            if (ftruncate(sink->fd, sink->size) != 0 || lseek(sink->fd, sink->size, SEEK_SET) < 0)
                return write_error(errno, error);
            return write_error(cause, error);
        }
        done += (size_t)wrote;
    }
    sink->size += (int64_t)done;
    return STATUS_OK;
}

static enum status close_file(struct sink *sink, const struct sink_summary *summary, struct error *error)
{
    enum status status = STATUS_OK;

    (void)summary;
    if (fsync(sink->fd) != 0)
        status = write_error(errno, error);
    fsync(sink->directory_fd); /* the name; a failure would have shown in the file's own */
    close(sink->directory_fd);
    close(sink->fd);
    return status;
}

static const struct sink_ops PCAP_FILE_OPS = {
    .packet_size = packet_size, .encode = encode, .write = write_batch, .close = close_file};

static int directory_open(const char *path)
{
    char copy[4096];

    snprintf(copy, sizeof copy, "%s", path);
    const char *directory = dirname(copy);
    if (mkdir(directory, 0750) != 0 && errno != EEXIST)
        return -1;
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void sink_abandon(struct sink *sink)
{
    if (sink->fd >= 0)
        close(sink->fd);
    if (sink->directory_fd >= 0)
        close(sink->directory_fd);
}

enum status pcap_file_create(const char *path, int linktype, uint32_t snaplen, struct sink *sink,
                             struct error *error)
{
    struct file_header header = {
        .magic = MAGIC_NANOSECONDS,
        .version_major = 2,
        .version_minor = 4,
        .snaplen = snaplen,
        .linktype = linktype_of_dlt(linktype),
    };
    struct sink made = {.ops = &PCAP_FILE_OPS, .fd = -1, .directory_fd = directory_open(path)};
    int cause;

    if (made.directory_fd >= 0)
        made.fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (made.fd >= 0 && flock(made.fd, LOCK_EX | LOCK_NB) == 0) {
        ssize_t wrote = write(made.fd, &header, sizeof header);
        if (wrote == (ssize_t)sizeof header) {
            made.size = PCAP_FILE_HEADER_SIZE;
            *sink = made;
            return STATUS_OK;
        }
        if (wrote >= 0)
            errno = ENOSPC;
    }
    cause = errno;
    if (made.fd >= 0)
        unlink(path); /* nobody knows it yet */
    sink_abandon(&made);
    return write_error(cause, error);
}

static ssize_t read_at(int fd, void *data, size_t size, int64_t offset)
{
    ssize_t got;

    do
        got = pread(fd, data, size, offset);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Reads a file from front to back in large pieces. */
struct walker {
    int fd;
    uint8_t *buffer;
    size_t filled, at;
    int64_t offset; /* in the file, of buffer[0] */
    int cause;      /* errno of a failed read; 0: what ends is the file */
};

/* Makes `wanted` bytes available at walker->at; false at the end of the file. */
static bool walker_need(struct walker *walker, size_t wanted)
{
    if (walker->filled - walker->at >= wanted)
        return true;
    memmove(walker->buffer, walker->buffer + walker->at, walker->filled - walker->at);
    walker->offset += (int64_t)walker->at;
    walker->filled -= walker->at;
    walker->at = 0;
    while (walker->filled < wanted) {
        ssize_t got = read_at(walker->fd, walker->buffer + walker->filled, REPAIR_BUFFER - walker->filled,
                              walker->offset + (int64_t)walker->filled);
        if (got <= 0) {
            walker->cause = got < 0 ? errno : 0;
            return false;
        }
        walker->filled += (size_t)got;
    }
    return true;
}

/* After a power cut the tail of a file may hold zeros or anything: only a plausible record counts as one. */
static bool record_is_plausible(const struct packet_header *header, uint32_t snaplen)
{
    return header->seconds != 0 && header->nanoseconds < 1000000000 && header->captured <= snaplen &&
           header->captured <= header->length;
}

static void walk(struct walker *walker, uint32_t snaplen, struct pcap_tally *tally)
{
    struct packet_header header;

    walker->at = PCAP_FILE_HEADER_SIZE;
    while (walker_need(walker, sizeof header)) {
        memcpy(&header, walker->buffer + walker->at, sizeof header);
        if (!record_is_plausible(&header, snaplen) || !walker_need(walker, packet_size(header.captured)))
            break;
        walker->at += packet_size(header.captured);
        tally->packets++;
        tally->packet_bytes += header.captured;
        tally->last_ns = header.seconds * INT64_C(1000000000) + header.nanoseconds;
    }
    tally->size = walker->offset + (int64_t)walker->at;
}

static bool header_read(int fd, struct file_header *header)
{
    return read_at(fd, header, sizeof *header, 0) == (ssize_t)sizeof *header &&
           header->magic == MAGIC_NANOSECONDS && header->snaplen <= REPAIR_BUFFER - PCAP_PACKET_HEADER_SIZE;
}

static enum status repair(int fd, struct pcap_tally *tally, struct error *error)
{
    struct file_header header;
    struct walker walker = {.fd = fd};

    if (lseek(fd, 0, SEEK_END) < PCAP_FILE_HEADER_SIZE)
        return error_set(error, ERROR_NO_SUCH_FILE, NULL, "the capture file of the earlier worker is empty");
    if (!header_read(fd, &header))
        return error_set(error, ERROR_HOST, NULL,
                         "the capture file of the earlier worker has no valid header");
    walker.buffer = malloc(REPAIR_BUFFER);
    if (walker.buffer == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    *tally = (struct pcap_tally){0};
    if (walker_need(&walker, PCAP_FILE_HEADER_SIZE))
        walk(&walker, header.snaplen, tally);
    free(walker.buffer);
    /* Nothing is cut off behind a place that cannot be read. */
    if (walker.cause != 0)
        return error_set(error, ERROR_HOST, NULL, "cannot read the capture file: %s", strerror(walker.cause));
    if (ftruncate(fd, tally->size) != 0 || lseek(fd, tally->size, SEEK_SET) < 0)
        return write_error(errno, error);
    return STATUS_OK;
}

enum status pcap_file_reopen(const char *path, struct sink *sink, struct pcap_tally *tally,
                             struct error *error)
{
    struct sink made = {.ops = &PCAP_FILE_OPS, .fd = open(path, O_RDWR | O_CLOEXEC), .directory_fd = -1};

    if (made.fd < 0 && errno == ENOENT)
        return error_set(error, ERROR_NO_SUCH_FILE, NULL, "the capture file of the earlier worker is gone");
    if (made.fd < 0)
        return error_set(error, ERROR_HOST, NULL, "cannot open the capture file: %s", strerror(errno));
    made.directory_fd = directory_open(path);
    if (flock(made.fd, LOCK_EX | LOCK_NB) != 0)
        error_set(error, ERROR_SESSION_RUNNING, NULL, "another worker still holds the capture file");
    else if (repair(made.fd, tally, error) == STATUS_OK) {
        made.size = tally->size;
        *sink = made;
        return STATUS_OK;
    }
    sink_abandon(&made);
    return error->status;
}

int pcap_file_linktype(const struct sink *sink)
{
    struct file_header header;

    if (!header_read(sink->fd, &header))
        return -1;
    return header.linktype == LINKTYPE_RAW ? DLT_RAW : (int)header.linktype;
}
