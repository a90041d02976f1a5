#include "host/data_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

const char *data_dir_path(const struct data_dir *directory, const char *name, char out[DATA_PATH_SIZE])
{
    snprintf(out, DATA_PATH_SIZE, "%s/%s", directory->path, name);
    return out;
}

void data_dir_confined(struct data_dir *directory)
{
    directory->path[0] = '\0';
}

static bool is_common(const char *path)
{
    static const char *const COMMON[] = {"/", "/tmp", "/var/tmp", "/dev/shm"};
    char *absolute = realpath(path, NULL);
    bool common = absolute == NULL;

    for (size_t i = 0; !common && i < sizeof COMMON / sizeof COMMON[0]; i++)
        common = strcmp(absolute, COMMON[i]) == 0;
    free(absolute);
    return common;
}

/* A directory that is not yet the service's own is taken over only if it holds no directories but ours, and
 * is no common one: a slip like --data-dir /tmp must not give /tmp away. */
static bool may_take_over(const char *path)
{
    static const char *const OURS[] = {".", "..", "lost+found", "captures", "workers"};
    const struct dirent *entry;
    bool foreign = is_common(path);
    DIR *listing = opendir(path);

    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        bool known = entry->d_type != DT_DIR;
        for (size_t i = 0; i < sizeof OURS / sizeof OURS[0]; i++)
            known = known || strcmp(entry->d_name, OURS[i]) == 0;
        foreign = foreign || !known;
    }
    if (listing != NULL)
        closedir(listing);
    return !foreign;
}

/* nftw() hands nothing through to its function: it gives what it finds to whom the top directory belongs. */
static int give_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    struct stat top;
    char copy[DATA_PATH_SIZE];
    bool plain = (type == FTW_D || type == FTW_DP ||
                  (type == FTW_F && S_ISREG(status->st_mode) && status->st_nlink == 1));

    snprintf(copy, sizeof copy, "%s", path);
    for (int level = 0; level < place->level; level++)
        *strrchr(copy, '/') = '\0';
    if (!plain || stat(copy, &top) != 0 || top.st_uid == status->st_uid)
        return 0;
    return lchown(path, top.st_uid, top.st_gid);
}

/* As root. Only the top directory is touched, through a descriptor: what lies in it is the service user's,
 * who might put a link in its place. */
static enum status directory_give(const char *path, const struct identity *identity, struct error *error)
{
    char database[DATA_PATH_SIZE];
    struct stat before;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 ? -1 : fstat(fd, &before);
    bool give = failed == 0 && before.st_uid != identity->uid;
    bool may = !give || may_take_over(path);

    if (give && may)
        failed = fchown(fd, identity->uid, identity->gid);
    if (fd >= 0)
        close(fd);
    snprintf(database, sizeof database, "%s/pktcapd.db", path);
    /* Made by another user of the service: all of it changes hands. */
    if (give && may && failed == 0 && access(database, F_OK) == 0)
        failed = nftw(path, give_one, 16, FTW_PHYS | FTW_MOUNT);
    if (!may)
        return error_set(
            error, ERROR_HOST, "data_dir",
            "%s belongs to another user and holds other directories; give a directory of its own as the "
            "data directory",
            path);
    if (failed != 0)
        return error_set(error, ERROR_HOST, "data_dir", "cannot give %s to the user %s: %s", path,
                         identity->name, strerror(errno));
    return STATUS_OK;
}

static enum status directory_make(const char *path, struct error *error)
{
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
        return error_set(error, ERROR_HOST, "data_dir", "cannot make the directory %s: %s", path,
                         strerror(errno));
    return STATUS_OK;
}

/* access() does not see a full or read-only file system under root's eyes; making a file does. */
static enum status probe_write(const struct data_dir *directory, struct error *error)
{
    char path[DATA_PATH_SIZE], name[32];

    snprintf(name, sizeof name, ".probe-%d", (int)getpid());
    data_dir_path(directory, name, path);
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set(error, ERROR_HOST, "data_dir", "the data directory %s cannot be written: %s",
                         directory->shown, strerror(errno));
    close(fd);
    unlink(path);
    return STATUS_OK;
}

static enum status make_parents(const char *directory, struct error *error)
{
    char path[1024];

    snprintf(path, sizeof path, "%s", directory);
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return error_set(error, ERROR_HOST, "data_dir", "cannot make the directory %s: %s", path,
                             strerror(errno));
        *slash = '/';
    }
    return STATUS_OK;
}

static enum status path_note(const char *directory, struct data_dir *out, struct error *error)
{
    char plain[sizeof out->shown];
    char *absolute = realpath(directory, NULL);

    if (absolute == NULL || strlen(absolute) >= sizeof out->path) {
        free(absolute);
        return error_set(error, ERROR_HOST, "data_dir",
                         "the path of the data directory %s cannot be used: %s", directory,
                         absolute == NULL ? strerror(errno) : "too long");
    }
    snprintf(out->path, sizeof out->path, "%s", strcmp(absolute, "/") == 0 ? "" : absolute);
    snprintf(out->shown, sizeof out->shown, "%s", out->path);
    free(absolute);
    /* filelocation must not hold them (API.md), and it shows this path. */
    snprintf(plain, sizeof plain, "%s", out->shown);
    text_make_plain(plain);
    if (strcmp(plain, out->shown) != 0)
        return error_set(
            error, ERROR_HOST, "data_dir",
            "the path of the data directory may not hold quotes, backslashes or control characters");
    return STATUS_OK;
}

enum status data_dir_prepare(const char *directory, const struct identity *identity, struct data_dir *out,
                             struct error *error)
{
    enum status status = make_parents(directory, error);

    if (status == STATUS_OK)
        status = directory_make(directory, error);
    if (status == STATUS_OK && identity->change)
        status = directory_give(directory, identity, error);
    return status == STATUS_OK ? path_note(directory, out, error) : status;
}

enum status data_dir_fill(const struct data_dir *directory, struct error *error)
{
    static const char *const INSIDE[] = {"captures", "workers"};
    char path[DATA_PATH_SIZE];
    enum status status = probe_write(directory, error);

    for (size_t i = 0; i < sizeof INSIDE / sizeof INSIDE[0] && status == STATUS_OK; i++)
        status = directory_make(data_dir_path(directory, INSIDE[i], path), error);
    return status;
}

const char *data_dir_capture_name(const struct capture_name *name, char *out, size_t size)
{
    char claim[24] = "", number[16] = "";

    if (name->claim > 1)
        snprintf(claim, sizeof claim, "-%lld", (long long)name->claim);
    if (name->number > 0)
        snprintf(number, sizeof number, ".%06d", name->number);
    snprintf(out, size, "captures/%s/run-%d%s%s%s", name->session_id, name->run, claim, number, name->suffix);
    return out;
}

bool data_dir_read_capture_name(const char *file, struct capture_name *name)
{
    char again[128];
    struct capture_name read = *name;
    long long claim = 1;
    int run, used = 0;

    if (sscanf(file, "run-%d.%d%n", &run, &read.number, &used) != 2 &&
        sscanf(file, "run-%d-%lld.%d%n", &run, &claim, &read.number, &used) != 3)
        return false;
    read.claim = claim;
    /* A name is what making it again gives. */
    const char *made = strrchr(data_dir_capture_name(&read, again, sizeof again), '/') + 1;
    if (run != name->run || read.number <= 0 || strcmp(made, file) != 0)
        return false;
    *name = read;
    return true;
}

static bool node_id_read(const char *path, char out[UUID_SIZE])
{
    char text[UUID_SIZE] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return false;
    ssize_t got = read(fd, text, UUID_SIZE - 1);
    close(fd);
    return got == UUID_SIZE - 1 && uuid_parse(text, out);
}

/* Written aside and linked into place, so that two programs starting at once agree. */
static bool node_id_write(const struct data_dir *directory, const char *path)
{
    char fresh[UUID_SIZE], line[UUID_SIZE + 1], aside[DATA_PATH_SIZE], name[32];

    uuid_make(fresh);
    snprintf(name, sizeof name, "node-id.%d", (int)getpid());
    data_dir_path(directory, name, aside);
    int length = snprintf(line, sizeof line, "%s\n", fresh);
    int fd = open(aside, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);
    if (fd < 0)
        return false;
    bool written = write(fd, line, (size_t)length) == length && fsync(fd) == 0;
    close(fd);
    bool linked = written && (link(aside, path) == 0 || errno == EEXIST);
    unlink(aside);
    return linked;
}

enum status data_dir_node_id(const struct data_dir *directory, char out[UUID_SIZE], struct error *error)
{
    char path[DATA_PATH_SIZE];

    data_dir_path(directory, "node-id", path);
    if (access(path, F_OK) != 0 && !node_id_write(directory, path))
        return error_set(error, ERROR_HOST, NULL, "cannot write %s/node-id: %s", directory->shown,
                         strerror(errno));
    /* Read only now that it is there, as the other program may have made it a moment ago. */
    if (!node_id_read(path, out))
        return error_set(error, ERROR_HOST, NULL,
                         "%s/node-id does not hold a UUID; restore it, or remove it to become "
                         "a new node",
                         directory->shown);
    return STATUS_OK;
}

bool data_dir_space(const char *path, uint64_t *free_bytes, uint64_t *total_bytes)
{
    struct statvfs space;

    if (statvfs(path[0] == '\0' ? "/" : path, &space) != 0)
        return false;
    *free_bytes = (uint64_t)space.f_bavail * space.f_frsize;
    *total_bytes = (uint64_t)space.f_blocks * space.f_frsize;
    return true;
}

uint64_t data_dir_reserve(const char *path, uint64_t setting_bytes)
{
    uint64_t free_bytes, total_bytes;

    if (!data_dir_space(path, &free_bytes, &total_bytes))
        return 0;
    return setting_bytes < total_bytes / 8 ? setting_bytes : total_bytes / 8;
}

enum status data_dir_remove_session(const struct data_dir *directory, const char *session_id,
                                    struct error *error)
{
    char name[64], path[DATA_PATH_SIZE], file[DATA_PATH_SIZE + 300];
    const struct dirent *entry;

    snprintf(name, sizeof name, "captures/%s", session_id);
    data_dir_path(directory, name, path);
    DIR *listing = opendir(path);
    if (listing == NULL && errno == ENOENT)
        return STATUS_OK;
    if (listing == NULL)
        return error_set(error, ERROR_HOST, NULL, "cannot open %s: %s", name, strerror(errno));
    while ((entry = readdir(listing)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        unlink(file);
    }
    closedir(listing);
    if (rmdir(path) != 0 && errno != ENOENT)
        return error_set(error, ERROR_HOST, NULL, "cannot remove %s: %s", name, strerror(errno));
    return STATUS_OK;
}
