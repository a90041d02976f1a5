#include "capture/ring.h"

#include "core/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LEDGER_SIZE = 64 };

struct ring {
    struct ring_settings settings;
    struct sink_ops ops;
    int ledger_fd;
    struct sink file; /* the newest */
    struct file_header header;

    pthread_mutex_t mutex; /* guards the rest, which reporters read */
    int32_t number;        /* the highest ever given */
    int64_t overwritten;   /* packets */
    size_t count, room;
    struct run_file *files; /* oldest first */
};

/* ---- what is there ---- */

static struct run_file *newest(const struct ring *ring)
{
    return &ring->files[ring->count - 1];
}

static struct file_tally sum_up(const struct ring *ring)
{
    struct file_tally tally = {0};

    for (size_t i = 0; i < ring->count; i++) {
        tally.packets += ring->files[i].packets;
        tally.packet_bytes += ring->files[i].packet_bytes;
        tally.size += ring->files[i].file_size;
    }
    /* The download has the header of pcap once. */
    if (!ring->settings.format->has_sections && ring->count > 1)
        tally.size -= (int64_t)(ring->count - 1) * PCAP_FILE_HEADER_SIZE;
    return tally;
}

size_t ring_room(const struct ring *ring)
{
    return ring->room;
}

size_t ring_read(struct ring *ring, struct run_file *files, struct counters *counters)
{
    pthread_mutex_lock(&ring->mutex);
    size_t count = ring->count;
    struct file_tally tally = sum_up(ring);
    memcpy(files, ring->files, count * sizeof *files);
    counters->packets_overwritten = ring->overwritten;
    pthread_mutex_unlock(&ring->mutex);
    counters->packets_captured = tally.packets;
    counters->bytes_captured = tally.packet_bytes;
    counters->file_size = tally.size;
    return count;
}

/* What the newest file has grown by; its size as it is. */
static void note_growth(struct ring *ring, struct sink *sink, const struct batch *batch)
{
    pthread_mutex_lock(&ring->mutex);
    newest(ring)->file_size = ring->file.size;
    if (batch != NULL) {
        newest(ring)->packets += batch->packets;
        newest(ring)->packet_bytes += batch->packet_bytes;
    }
    sink->size = sum_up(ring).size;
    sink->file_size = ring->file.size;
    pthread_mutex_unlock(&ring->mutex);
}

static void remove_file(const struct ring *ring, const struct run_file *file)
{
    char path[DATA_PATH_SIZE];

    if (unlink(data_dir_path(ring->settings.directory, file->file, path)) != 0 && errno != ENOENT)
        log_warning("cannot remove %s: %s", file->file, strerror(errno));
}

/* Takes the oldest out of the list until no more than so many are there, and then away. */
static void evict(struct ring *ring, struct sink *sink, size_t most)
{
    while (ring->count > most) {
        pthread_mutex_lock(&ring->mutex);
        struct run_file oldest = ring->files[0];
        ring->overwritten += oldest.packets;
        sink->overwritten = ring->overwritten;
        sink->overwritten_bytes += oldest.packet_bytes;
        memmove(ring->files, ring->files + 1, --ring->count * sizeof *ring->files);
        sink->size = sum_up(ring).size;
        pthread_mutex_unlock(&ring->mutex);
        remove_file(ring, &oldest);
    }
}

/* ---- the ledger ---- */

/* One line at its beginning, written at once: a killed process leaves the old one or the new one. */
static void ledger_write(const struct ring *ring)
{
    char line[LEDGER_SIZE + 1];
    int64_t before = ring->overwritten + sum_up(ring).packets - newest(ring)->packets;

    snprintf(line, sizeof line, "%-10d %-40lld", newest(ring)->number, (long long)before);
    memset(line + strlen(line), ' ', sizeof line - strlen(line));
    line[LEDGER_SIZE - 1] = '\n';
    if (pwrite(ring->ledger_fd, line, LEDGER_SIZE, 0) != LEDGER_SIZE)
        log_warning("session %s: cannot write the ledger of its ring: %s", ring->settings.session_id,
                    strerror(errno));
}

/* Packets written before the file of a number; false if that is not known. */
static bool ledger_read(const struct ring *ring, int32_t *number, int64_t *before)
{
    char line[LEDGER_SIZE + 1] = "";
    long long packets;

    if (pread(ring->ledger_fd, line, LEDGER_SIZE, 0) != LEDGER_SIZE || line[LEDGER_SIZE - 1] != '\n' ||
        sscanf(line, "%d %lld", number, &packets) != 2 || packets < 0)
        return false;
    *before = packets;
    return true;
}

static enum status ledger_open(struct ring *ring, struct error *error)
{
    const struct ring_settings *settings = &ring->settings;
    struct capture_name name = {.session_id = settings->session_id, .run = settings->run, .suffix = ".ring"};
    char file[96], path[DATA_PATH_SIZE];

    data_dir_path(settings->directory, data_dir_capture_name(&name, file, sizeof file), path);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    if (mkdir(path, 0750) == 0 || errno == EEXIST) {
        *slash = '/';
        ring->ledger_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    }
    if (ring->ledger_fd < 0)
        return error_set(error, errno == ENOSPC || errno == EDQUOT ? ERROR_STORE_FULL : ERROR_HOST, NULL,
                         "cannot open %s: %s", file, strerror(errno));
    if (flock(ring->ledger_fd, LOCK_EX | LOCK_NB) != 0)
        return error_set(error, ERROR_SESSION_RUNNING, NULL, "another worker still holds the capture files");
    return STATUS_OK;
}

/* ---- the sink ---- */

static enum status ring_write(struct sink *sink, struct batch *batch, struct error *error)
{
    struct ring *ring = sink->state;
    int64_t before = ring->file.size;
    enum status status = ring->file.ops->write(&ring->file, batch, error);

    note_growth(ring, sink, batch);
    /* The disk begins at once, so that the end of a file need not wait for all of it. */
    sync_file_range(ring->file.fd, before, ring->file.size - before, SYNC_FILE_RANGE_WRITE);
    return status;
}

/* Begins the file with the next number, which becomes the newest. */
static enum status next_file(struct ring *ring, struct error *error)
{
    const struct ring_settings *settings = &ring->settings;
    struct capture_name name = {.session_id = settings->session_id,
                                .run = settings->run,
                                .claim = settings->claim,
                                .number = ring->number + 1,
                                .suffix = settings->format->suffix};
    struct run_file next = {.number = name.number};
    char path[DATA_PATH_SIZE];
    struct sink made;

    data_dir_capture_name(&name, next.file, sizeof next.file);
    if (capture_file_create(data_dir_path(settings->directory, next.file, path), settings->format,
                            &ring->header, &made, error) != STATUS_OK)
        return error->status;
    if (ring->file.state != NULL)
        capture_file_drop(&ring->file);
    ring->file = made;
    next.file_size = made.size;
    pthread_mutex_lock(&ring->mutex);
    ring->number = next.number;
    ring->files[ring->count++] = next;
    pthread_mutex_unlock(&ring->mutex);
    ledger_write(ring);
    return STATUS_OK;
}

static enum status ring_rotate(struct sink *sink, const struct sink_summary *summary, struct error *error)
{
    struct ring *ring = sink->state;
    enum status status = capture_file_finish(&ring->file, summary, error);

    note_growth(ring, sink, NULL);
    if (status != STATUS_OK)
        return status;
    /* Room first, so that there are never more files than the ring may have; but one there is always. */
    evict(ring, sink, ring->settings.most > 1 ? ring->settings.most - 1 : 1);
    if ((status = next_file(ring, error)) != STATUS_OK)
        return status;
    evict(ring, sink, ring->settings.most);
    note_growth(ring, sink, NULL);
    return STATUS_OK;
}

static enum status ring_close(struct sink *sink, const struct sink_summary *summary, struct error *error)
{
    struct ring *ring = sink->state;
    enum status status = ring->file.ops->close(&ring->file, summary, error);

    note_growth(ring, sink, NULL);
    close(ring->ledger_fd);
    ring->ledger_fd = -1;
    return status;
}

static struct sink sink_of(struct ring *ring)
{
    struct sink sink = {.ops = &ring->ops,
                        .state = ring,
                        .fd = -1,
                        .directory_fd = -1,
                        .header_size = ring->header.size,
                        .trailer_size = ring->settings.format->trailer_size,
                        .overwritten = ring->overwritten};

    note_growth(ring, &sink, NULL);
    return sink;
}

/* ---- opening ---- */

enum status ring_open(const struct ring_settings *settings, struct ring **out, struct error *error)
{
    struct ring *ring = calloc(1, sizeof *ring);

    if (ring == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    ring->settings = *settings;
    ring->ledger_fd = -1;
    ring->ops = (struct sink_ops){.packet_size = settings->format->packet_size,
                                  .encode = settings->format->encode,
                                  .write = ring_write,
                                  .rotate = ring_rotate,
                                  .close = ring_close};
    pthread_mutex_init(&ring->mutex, NULL);
    ring->room = settings->most + 1;
    ring->files = calloc(ring->room, sizeof *ring->files);
    if (ring->files == NULL)
        error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    else if (ledger_open(ring, error) == STATUS_OK) {
        *out = ring;
        return STATUS_OK;
    }
    ring_free(ring);
    return error->status;
}

void ring_free(struct ring *ring)
{
    if (ring->ledger_fd >= 0)
        close(ring->ledger_fd);
    pthread_mutex_destroy(&ring->mutex);
    free(ring->files);
    free(ring);
}

static int by_number(const void *a, const void *b)
{
    return ((const struct run_file *)a)->number - ((const struct run_file *)b)->number;
}

static bool list_add(struct ring *ring, const struct capture_name *name)
{
    if (ring->count == ring->room) {
        struct run_file *more = realloc(ring->files, 2 * ring->room * sizeof *more);
        if (more == NULL)
            return false;
        ring->files = more;
        ring->room *= 2;
    }
    struct run_file *file = &ring->files[ring->count++];
    *file = (struct run_file){.number = name->number};
    data_dir_capture_name(name, file->file, sizeof file->file);
    return true;
}

/* Lists what is there, in order, with names and numbers alone. */
static enum status list_files(struct ring *ring, struct error *error)
{
    const struct ring_settings *settings = &ring->settings;
    char folder[64], path[DATA_PATH_SIZE];
    const struct dirent *entry;
    bool listed = true;

    snprintf(folder, sizeof folder, "captures/%s", settings->session_id);
    DIR *directory = opendir(data_dir_path(settings->directory, folder, path));
    if (directory == NULL)
        return error_set(error, ERROR_HOST, NULL, "cannot open %s: %s", folder, strerror(errno));
    while (listed && (entry = readdir(directory)) != NULL) {
        struct capture_name name = {
            .session_id = settings->session_id, .run = settings->run, .suffix = settings->format->suffix};
        if (data_dir_read_capture_name(entry->d_name, &name))
            listed = list_add(ring, &name);
    }
    closedir(directory);
    if (!listed)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    qsort(ring->files, ring->count, sizeof *ring->files, by_number);
    return STATUS_OK;
}

enum status ring_create(struct ring *ring, const struct file_header *header, struct sink *sink,
                        struct error *error)
{
    ring->header = *header;
    if (list_files(ring, error) != STATUS_OK)
        return error->status;
    while (ring->count > 0)
        remove_file(ring, &ring->files[--ring->count]);
    if (next_file(ring, error) != STATUS_OK)
        return error->status;
    *sink = sink_of(ring);
    return STATUS_OK;
}

/* Whether the store's word of a file can be taken: it has the size that the store knows. */
static bool is_known(const struct ring *ring, const struct ring_known *known, struct run_file *file)
{
    char path[DATA_PATH_SIZE];
    struct stat status;

    if (stat(data_dir_path(ring->settings.directory, file->file, path), &status) != 0)
        return false;
    for (size_t i = 0; i < known->count; i++)
        if (known->files[i].file_size == status.st_size && strcmp(known->files[i].file, file->file) == 0) {
            *file = known->files[i];
            return true;
        }
    return false;
}

/* Repairs and counts one file; the newest stays open. *last_ns is set where it holds a packet. */
static enum status count_file(struct ring *ring, size_t at, int64_t *last_ns, struct error *error)
{
    struct run_file *file = &ring->files[at];
    struct sink sink;
    struct file_tally tally;
    char path[DATA_PATH_SIZE];

    if (capture_file_reopen(data_dir_path(ring->settings.directory, file->file, path), ring->settings.format,
                            &sink, &tally, error) != STATUS_OK)
        return error->status;
    file->file_size = tally.size;
    file->packets = tally.packets;
    file->packet_bytes = tally.packet_bytes;
    if (tally.packets > 0)
        *last_ns = tally.last_ns;
    if (at + 1 == ring->count)
        ring->file = sink;
    else
        capture_file_drop(&sink);
    return STATUS_OK;
}

/* From the newest to the oldest. What a crash left without even a header is no file. */
static enum status count_files(struct ring *ring, const struct ring_known *known, int64_t *last_ns,
                               struct error *error)
{
    for (size_t left = ring->count; left > 0; left--) {
        size_t at = left - 1;
        int64_t last = 0;
        /* When the last packet came is in the newest file that has one. */
        if (at + 1 < ring->count && *last_ns != 0 && is_known(ring, known, &ring->files[at]))
            continue;
        enum status status = count_file(ring, at, &last, error);
        if (status != STATUS_OK && error->code != ERROR_NO_SUCH_FILE)
            return status;
        if (*last_ns == 0)
            *last_ns = last;
        if (status == STATUS_OK)
            continue;
        remove_file(ring, &ring->files[at]);
        memmove(&ring->files[at], &ring->files[left], (ring->count - left) * sizeof *ring->files);
        ring->count--;
    }
    return STATUS_OK;
}

/* What is missing: all that was written before some file, less what is there of it. The ledger is never
 * behind the store, but after a power cut. */
static int64_t count_overwritten(struct ring *ring, const struct ring_known *known)
{
    int32_t number = 0, ledger_number;
    int64_t before = 0, ledger_before, there = 0;

    if (known->count > 0) {
        number = known->files[known->count - 1].number;
        before = known->overwritten;
        for (size_t i = 0; i + 1 < known->count; i++)
            before += known->files[i].packets;
    }
    if (ledger_read(ring, &ledger_number, &ledger_before) && ledger_number >= number)
        number = ledger_number, before = ledger_before;
    for (size_t i = 0; i < ring->count && ring->files[i].number < number; i++)
        there += ring->files[i].packets;
    /* Where the newest is lost its number is given again, with a new claim in the name. */
    ring->number = ring->count == 0 ? number : newest(ring)->number;
    return before > there ? before - there : 0;
}

enum status ring_reopen(struct ring *ring, const struct ring_known *known, struct sink *sink,
                        struct file_tally *tally, struct error *error)
{
    int64_t last_ns = 0;
    enum status status = list_files(ring, error);

    if (status == STATUS_OK)
        status = count_files(ring, known, &last_ns, error);
    if (status != STATUS_OK)
        goto cleanup;
    ring->overwritten = count_overwritten(ring, known);
    if (ring->count == 0) {
        status =
            error_set(error, ERROR_NO_SUCH_FILE, NULL, "the capture files of the earlier worker are gone");
        goto cleanup;
    }
    ledger_write(ring);
    *sink = sink_of(ring);
    evict(ring, sink, ring->settings.most);
    *tally = sum_up(ring);
    tally->last_ns = last_ns;
    return STATUS_OK;
cleanup:
    if (ring->file.state != NULL)
        capture_file_drop(&ring->file);
    return status;
}

enum status ring_continue(struct sink *sink, const struct file_header *header, int64_t limit,
                          struct error *error)
{
    struct ring *ring = sink->state;

    ring->header = *header;
    sink->header_size = header->size;
    if (!capture_file_has_room(&ring->file, header, limit)) {
        sink->file_size = limit;
        return STATUS_OK;
    }
    enum status status = capture_file_continue(&ring->file, header, error);
    note_growth(ring, sink, NULL);
    return status;
}

int ring_linktype(const struct sink *sink)
{
    const struct ring *ring = sink->state;

    return capture_file_linktype(&ring->file);
}
