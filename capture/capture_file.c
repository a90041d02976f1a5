#include "capture/capture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* What sink->state is. */
struct capture_file {
    const struct file_format *format;
    struct sink_ops ops;
    struct file_walk walk;
    bool in_section; /* that this process began: only that gets a trailer of its own */
};

static struct capture_file *file_of(const struct sink *sink)
{
    return sink->state;
}

static enum status write_error(int cause, struct error *error)
{
    if (cause == ENOSPC || cause == EDQUOT)
        return error_set(error, ERROR_STORE_FULL, NULL, "the disk is full");
    return error_set(error, ERROR_HOST, NULL, "cannot write the capture file: %s", strerror(cause));
}

/* ---- writing ---- */

/* Reduces a batch to its whole packets within the first `written` bytes. */
static void batch_reduce(const struct capture_file *file, struct batch *batch, size_t written)
{
    struct file_record record;
    size_t at = 0;

    batch->packets = batch->packet_bytes = 0;
    while (at + file->format->head_size <= written &&
           file->format->measure(&file->walk, batch->data + at, &record) && at + record.size <= written) {
        at += record.size;
        batch->packets++;
        batch->packet_bytes += record.captured;
    }
    batch->used = at;
}

/* Writes as much as the disk takes; *done says how much that was. Returns 0 or the errno that ended it. */
static int write_some(int fd, const uint8_t *data, size_t size, size_t *done)
{
    *done = 0;
    while (*done < size) {
        ssize_t wrote = write(fd, data + *done, size - *done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return wrote == 0 ? ENOSPC : errno;
        *done += (size_t)wrote;
    }
    return 0;
}

static bool cut_back(struct sink *sink)
{
    return ftruncate(sink->fd, sink->size) == 0 && lseek(sink->fd, sink->size, SEEK_SET) >= 0;
}

static enum status write_batch(struct sink *sink, struct batch *batch, struct error *error)
{
    size_t done;
    int cause = write_some(sink->fd, batch->data, batch->used, &done);

    if (cause != 0)
        batch_reduce(file_of(sink), batch, done);
    sink->size += (int64_t)batch->used;
    sink->file_size = sink->size;
    if (cause == 0)
        return STATUS_OK;
    return write_error(cut_back(sink) ? cause : errno, error);
}

/* A header or a trailer: whole or not at all. */
static enum status write_whole(struct sink *sink, const uint8_t *data, size_t size, struct error *error)
{
    size_t done;
    int cause = write_some(sink->fd, data, size, &done);

    if (cause != 0)
        return write_error(cut_back(sink) ? cause : errno, error);
    sink->size += (int64_t)size;
    sink->file_size = sink->size;
    return STATUS_OK;
}

/* A full disk may have no room for the trailer: the file is sound without. */
static void write_trailer(struct sink *sink, const struct sink_summary *summary)
{
    struct capture_file *file = file_of(sink);
    uint8_t trailer[FILE_TRAILER_MAX];
    struct error ignored;

    if (summary == NULL || !file->in_section || file->format->trailer_size == 0)
        return;
    file->format->make_trailer(summary, trailer);
    if (write_whole(sink, trailer, file->format->trailer_size, &ignored) != STATUS_OK)
        return;
}

enum status capture_file_finish(struct sink *sink, const struct sink_summary *summary, struct error *error)
{
    write_trailer(sink, summary);
    file_of(sink)->in_section = false;
    return fdatasync(sink->fd) == 0 ? STATUS_OK : write_error(errno, error);
}

void capture_file_drop(struct sink *sink)
{
    if (sink->fd >= 0)
        close(sink->fd);
    if (sink->directory_fd >= 0)
        close(sink->directory_fd);
    free(sink->state);
    *sink = (struct sink){.fd = -1, .directory_fd = -1, .size = sink->size, .file_size = sink->file_size};
}

static enum status close_file(struct sink *sink, const struct sink_summary *summary, struct error *error)
{
    enum status status = STATUS_OK;

    write_trailer(sink, summary);
    if (fsync(sink->fd) != 0)
        status = write_error(errno, error);
    fsync(sink->directory_fd); /* the name; a failure would have shown in the file's own */
    capture_file_drop(sink);
    return status;
}

/* ---- making ---- */

static int directory_open(const char *path)
{
    char copy[4096];

    snprintf(copy, sizeof copy, "%s", path);
    const char *directory = dirname(copy);
    if (mkdir(directory, 0750) != 0 && errno != EEXIST)
        return -1;
    return open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* A sink without a file yet; false if memory is out. */
static bool sink_make(const struct file_format *format, struct sink *sink)
{
    struct capture_file *file = calloc(1, sizeof *file);

    *sink = (struct sink){.fd = -1, .directory_fd = -1};
    if (file == NULL)
        return false;
    file->format = format;
    file->ops = (struct sink_ops){.packet_size = format->packet_size,
                                  .encode = format->encode,
                                  .write = write_batch,
                                  .close = close_file};
    sink->state = file;
    sink->ops = &file->ops;
    sink->trailer_size = format->trailer_size;
    return true;
}

/* Has the format read the header, as it will be read after a crash: what it says is known from then on. */
static bool header_note(struct capture_file *file, const struct file_header *header)
{
    const struct file_format *format = file->format;
    struct file_record record;

    file->walk = (struct file_walk){0};
    for (size_t at = 0; at + format->head_size <= header->size; at += record.size)
        if (!format->measure(&file->walk, header->data + at, &record) || at + record.size > header->size ||
            !format->accept(&file->walk, header->data + at, &record))
            return false;
        else if (at + record.size == header->size)
            return file->walk.begun;
    return false;
}

/* Whether the file is there and ours; else errno says why. *made: it is there by our doing. */
static bool file_make(const char *path, struct sink *sink, bool *made)
{
    *made = false;
    if ((sink->directory_fd = directory_open(path)) < 0 ||
        (sink->fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640)) < 0)
        return false;
    *made = flock(sink->fd, LOCK_EX | LOCK_NB) == 0;
    return *made;
}

enum status capture_file_create(const char *path, const struct file_format *format,
                                const struct file_header *header, struct sink *sink, struct error *error)
{
    struct sink fresh;
    bool made;

    if (!sink_make(format, &fresh) || !header_note(file_of(&fresh), header)) {
        capture_file_drop(&fresh);
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory for a capture file");
    }
    if (!file_make(path, &fresh, &made))
        write_error(errno, error);
    else if (write_whole(&fresh, header->data, header->size, error) == STATUS_OK) {
        file_of(&fresh)->in_section = true;
        fresh.header_size = header->size;
        *sink = fresh;
        return STATUS_OK;
    }
    if (made)
        unlink(path); /* nobody knows it yet */
    capture_file_drop(&fresh);
    return error->status;
}

bool capture_file_has_room(const struct sink *sink, const struct file_header *header, int64_t limit)
{
    const struct file_format *format = file_of(sink)->format;

    return !format->has_sections || sink->size + (int64_t)(header->size + format->trailer_size) <= limit;
}

enum status capture_file_continue(struct sink *sink, const struct file_header *header, struct error *error)
{
    struct capture_file *file = file_of(sink);

    sink->header_size = header->size;
    if (!file->format->has_sections)
        return STATUS_OK;
    if (!header_note(file, header))
        return error_set(error, ERROR_INTERNAL, NULL, "the header of a section cannot be made");
    enum status status = write_whole(sink, header->data, header->size, error);
    file->in_section = status == STATUS_OK;
    return status;
}

int capture_file_linktype(const struct sink *sink)
{
    return file_of(sink)->walk.linktype;
}

/* ---- repairing ---- */

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
    uint8_t *buffer; /* FILE_RECORD_MAX bytes */
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
        ssize_t got = read_at(walker->fd, walker->buffer + walker->filled, FILE_RECORD_MAX - walker->filled,
                              walker->offset + (int64_t)walker->filled);
        if (got <= 0) {
            walker->cause = got < 0 ? errno : 0;
            return false;
        }
        walker->filled += (size_t)got;
    }
    return true;
}

/* Counts whole records up to the first that is none. *ended: the file ended there, or could not be read;
 * else something lies there that is no record. */
static void walk(struct walker *walker, struct capture_file *file, struct file_tally *tally, bool *ended)
{
    const struct file_format *format = file->format;
    struct file_record record;

    *ended = true;
    while (walker_need(walker, format->head_size)) {
        bool plausible = format->measure(&file->walk, walker->buffer + walker->at, &record);
        if (plausible && !walker_need(walker, record.size))
            return;
        if (!plausible || !format->accept(&file->walk, walker->buffer + walker->at, &record)) {
            *ended = false;
            return;
        }
        walker->at += record.size;
        if (record.is_edge)
            tally->size = walker->offset + (int64_t)walker->at;
        if (!record.is_packet)
            continue;
        tally->packets++;
        tally->packet_bytes += record.captured;
        tally->last_ns = record.timestamp_ns;
    }
}

static enum status repair(struct sink *sink, struct file_tally *tally, struct error *error)
{
    struct capture_file *file = file_of(sink);
    struct walker walker = {.fd = sink->fd, .buffer = malloc(FILE_RECORD_MAX)};
    bool ended;

    if (walker.buffer == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    *tally = (struct file_tally){0};
    walk(&walker, file, tally, &ended);
    free(walker.buffer);
    /* Nothing is cut off behind a place that cannot be read. */
    if (walker.cause != 0)
        return error_set(error, ERROR_HOST, NULL, "cannot read the capture file: %s", strerror(walker.cause));
    if (!file->walk.begun && ended)
        return error_set(error, ERROR_NO_SUCH_FILE, NULL, "the capture file of the earlier worker is empty");
    if (tally->size == 0)
        return error_set(error, ERROR_HOST, NULL,
                         "the capture file of the earlier worker has no valid header");
    sink->size = sink->file_size = tally->size;
    return cut_back(sink) ? STATUS_OK : write_error(errno, error);
}

enum status capture_file_reopen(const char *path, const struct file_format *format, struct sink *sink,
                                struct file_tally *tally, struct error *error)
{
    struct sink found;

    if (!sink_make(format, &found))
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory for a capture file");
    found.fd = open(path, O_RDWR | O_CLOEXEC);
    if (found.fd < 0 && errno == ENOENT)
        error_set(error, ERROR_NO_SUCH_FILE, NULL, "the capture file of the earlier worker is gone");
    else if (found.fd < 0)
        error_set(error, ERROR_HOST, NULL, "cannot open the capture file: %s", strerror(errno));
    else if (flock(found.fd, LOCK_EX | LOCK_NB) != 0)
        error_set(error, ERROR_SESSION_RUNNING, NULL, "another worker still holds the capture file");
    else if (repair(&found, tally, error) == STATUS_OK) {
        found.directory_fd = directory_open(path);
        *sink = found;
        return STATUS_OK;
    }
    capture_file_drop(&found);
    return error->status;
}
