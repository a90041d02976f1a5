/* Downloads: one capture file, or the files of a ring as one. */
#include "service/operations.h"

#include "core/clock.h"
#include "service/validate.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A ring may turn faster than its worker reports: then what it has is asked for again, until the row is news.
 */
enum { TRIES = 200, PAUSE_MS = 10 };

/* The files of a ring, as the row knew them. */
struct listing {
    size_t count;
    struct run_file files[FILE_COUNT_MAX + 1];
};

static void listing_add(void *visitor_context, const struct run_file *file)
{
    struct listing *listing = visitor_context;

    if (listing->count < sizeof listing->files / sizeof listing->files[0])
        listing->files[listing->count++] = *file;
}

static bool is_ring(const struct session *session)
{
    return session->request.capfilecount > 0 && session->run.file[0] != '\0';
}

/* PCAPNG files can be put one behind the other as they are. */
static bool has_sections(const struct session *session)
{
    return session->request.capformat == CAPFORMAT_PCAPNG;
}

enum status op_list_files(const struct context *context, struct session *session, file_visitor visit,
                          void *visitor_context, struct errors *errors)
{
    struct error error;

    if (!is_ring(session))
        return STATUS_OK;
    enum status status = store_list_run_files(context->store, session->id, session->run.number, session,
                                              visit, visitor_context, &error);
    if (status == STATUS_OK || status == STATUS_NOT_FOUND)
        return STATUS_OK;
    errors_add_error(errors, &error);
    return status;
}

/* A name that every shell and file system takes: no spaces, no path. */
static void file_name(const struct session *session, int32_t number, char *out, size_t size)
{
    char name[100];
    const char *from = session->request.name[0] == '\0' ? session->id : session->request.name;
    char run[16] = "", file[16] = "";
    size_t used = 0;

    for (; *from != '\0' && used + 1 < sizeof name; from++) {
        bool plain =
            isalnum((unsigned char)*from) || *from == '_' || ((*from == '.' || *from == '-') && used > 0);
        name[used++] = plain && (unsigned char)*from < 0x80 ? *from : '_';
    }
    name[used] = '\0';
    if (session->run.number > 1)
        snprintf(run, sizeof run, "-run%d", session->run.number);
    if (number > 0)
        snprintf(file, sizeof file, ".%06d", number);
    snprintf(out, size, "%s%s%s%s", name, run, file, has_sections(session) ? ".pcapng" : ".pcap");
}

/* Puts what is known of a file before the pieces that are there. A file that is gone is left out; *gone says
 * that. */
static bool piece_add(const struct context *context, const char *name, int64_t known,
                      struct capture_file *file, bool *gone)
{
    char path[DATA_PATH_SIZE];
    struct stat status;
    int fd = open(data_dir_path(context->service->directory, name, path), O_RDONLY | O_CLOEXEC);

    *gone = fd < 0 && errno == ENOENT;
    if (fd < 0)
        return *gone;
    if (fstat(fd, &status) != 0) {
        close(fd);
        return false;
    }
    memmove(file->pieces + 1, file->pieces, file->count++ * sizeof *file->pieces);
    /* The row knows the edge of the last whole packet; the file may be ahead of it. */
    file->pieces[0] = (struct file_piece){fd, 0, known < status.st_size ? known : status.st_size};
    return true;
}

/* All pieces are there: only the first keeps the header that every file of pcap has. */
static void pieces_join(const struct session *session, struct capture_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        struct file_piece *piece = &file->pieces[i];
        if (i > 0 && !has_sections(session)) {
            piece->skip = PCAP_FILE_HEADER_SIZE;
            piece->size = piece->size > piece->skip ? piece->size - piece->skip : 0;
        }
        file->size += piece->size;
    }
}

static enum status unreadable(const struct session *session, struct errors *errors)
{
    if (errno == EMFILE || errno == ENFILE) {
        errors_add(errors, ERROR_TOO_BUSY, NULL, "too many files are open at once; try again");
        return STATUS_UNAVAILABLE;
    }
    errors_add(errors, ERROR_NO_SUCH_FILE, "session-id", "the capture file of session %s cannot be read: %s",
               session->id, strerror(errno));
    return STATUS_NOT_FOUND;
}

static bool pieces_make(size_t count, struct capture_file *file)
{
    *file = (struct capture_file){.pieces = calloc(count, sizeof *file->pieces)};
    return file->pieces != NULL;
}

static enum status out_of_memory(struct errors *errors)
{
    errors_add(errors, ERROR_INTERNAL, NULL, "out of memory");
    return STATUS_INTERNAL;
}

void op_close_capture_file(struct capture_file *file)
{
    int problem = errno; /* whoever closes it for want of something tells of that */

    for (size_t i = 0; i < file->count; i++)
        if (file->pieces[i].fd >= 0)
            close(file->pieces[i].fd);
    free(file->pieces);
    *file = (struct capture_file){0};
    errno = problem;
}

static enum status file_open(const struct context *context, const struct session *session,
                             struct capture_file *file, struct errors *errors)
{
    bool gone;

    if (!pieces_make(1, file))
        return out_of_memory(errors);
    if (!piece_add(context, session->run.file, session->run.counters.file_size, file, &gone) || gone) {
        op_close_capture_file(file);
        return unreadable(session, errors);
    }
    pieces_join(session, file);
    file_name(session, 0, file->name, sizeof file->name);
    return STATUS_OK;
}

static enum status no_such_number(const struct session *session, const struct listing *listing,
                                  int32_t number, struct errors *errors)
{
    if (listing->count == 0)
        errors_add(errors, ERROR_NO_SUCH_FILE, "file",
                   "run %d of session %s has no file %d, as it is no ring; leave file out",
                   session->run.number, session->id, number);
    else
        errors_add(errors, ERROR_NO_SUCH_FILE, "file",
                   "run %d of session %s has no file %d; there are %d to %d", session->run.number,
                   session->id, number, listing->files[0].number, listing->files[listing->count - 1].number);
    return STATUS_NOT_FOUND;
}

/* Opens the chosen file, or all; file->count stays 0 where they are gone by now. From the newest on, as files
 * go from the oldest on: so there is no gap between those that are there. */
static enum status listing_open(const struct context *context, const struct session *session,
                                const struct listing *listing, int32_t number, struct capture_file *file,
                                struct errors *errors)
{
    bool listed = false, gone = false;

    if (!pieces_make(listing->count + 1, file))
        return out_of_memory(errors);
    for (size_t left = listing->count; left > 0 && !gone; left--) {
        const struct run_file *one = &listing->files[left - 1];
        if (number != 0 && one->number != number)
            continue;
        listed = true;
        if (!piece_add(context, one->file, one->file_size, file, &gone)) {
            op_close_capture_file(file);
            return unreadable(session, errors);
        }
    }
    pieces_join(session, file);
    file_name(session, number, file->name, sizeof file->name);
    file->whole_only = number == 0 && file->count > 0 && (gone || listing->files[0].number > 1);
    if (listed || number == 0)
        return STATUS_OK;
    op_close_capture_file(file);
    return no_such_number(session, listing, number, errors);
}

static enum status ring_open(const struct context *context, struct session *session, int32_t number,
                             struct capture_file *file, struct errors *errors)
{
    struct listing *listing = malloc(sizeof *listing);
    enum status status = listing == NULL ? out_of_memory(errors) : STATUS_OK;

    for (int tries = 0; status == STATUS_OK; tries++) {
        listing->count = 0;
        status = op_list_files(context, session, listing_add, listing, errors);
        if (status == STATUS_OK)
            status = listing_open(context, session, listing, number, file, errors);
        if (status != STATUS_OK || file->count > 0)
            break;
        op_close_capture_file(file);
        if (tries == TRIES || session_state_has_ended(session->run.state)) {
            errno = ENOENT;
            status = unreadable(session, errors);
        }
        nanosleep(&(struct timespec){.tv_nsec = PAUSE_MS * NS_PER_MS}, NULL);
    }
    free(listing);
    return status;
}

static enum status chosen_open(const struct context *context, struct session *session, int32_t number,
                               struct capture_file *file, struct errors *errors)
{
    static const struct listing NONE = {0};

    if (session->request.capmode == CAPMODE_STREAM) {
        errors_add(errors, ERROR_NO_SUCH_FILE, "session-id",
                   "session %s has no capture file: its capmode is STREAM, the packets went to %.64s",
                   session->id, session->request.streamaddress);
        return STATUS_NOT_FOUND;
    }
    if (session->run.file[0] == '\0') {
        errors_add(errors, ERROR_NO_SUCH_FILE, "session-id", "run %d of session %s has no capture file%s",
                   session->run.number, session->id, session->run.state == STATE_CREATED ? " yet" : "");
        return STATUS_NOT_FOUND;
    }
    if (is_ring(session))
        return ring_open(context, session, number, file, errors);
    if (number != 0)
        return no_such_number(session, &NONE, number, errors);
    return file_open(context, session, file, errors);
}

static enum status run_read(const struct context *context, const char *id, int32_t run,
                            struct session *session, struct error *error)
{
    enum status status = store_get_session(context->store, id, run, session, error);

    if (status != STATUS_NOT_FOUND || run == 0 ||
        store_get_session(context->store, id, 0, session, error) != STATUS_OK)
        return status;
    return error_set(error, ERROR_NO_SUCH_FILE, "run", "session %s has no run %d; its newest is %d", id, run,
                     session->run.number);
}

enum status op_open_capture_file(const struct context *context, const char *text, struct file_choice choice,
                                 struct capture_file *file, struct errors *errors)
{
    char id[UUID_SIZE];
    struct error error;

    if (!validate_id(text, id, errors))
        return STATUS_NOT_FOUND;
    struct session *session = malloc(sizeof *session);
    if (session == NULL)
        return out_of_memory(errors);
    enum status status = run_read(context, id, choice.run, session, &error);
    if (status == STATUS_OK)
        status = chosen_open(context, session, choice.number, file, errors);
    else
        errors_add_error(errors, &error);
    free(session);
    return status;
}
