#include "broker/namespaces.h"

#include "core/log.h"
#include "core/names.h"
#include "host/privileges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DIRECTORIES_MAX = 16 };

struct namespaces {
    size_t count;
    struct place {
        char path[512];
        int kept; /* a descriptor from the start, -1 if it was not there */
    } places[DIRECTORIES_MAX];
    int own_fd;
    struct stat own;
    bool away;
};

enum status namespaces_open(const char *directories, struct namespaces **out, struct error *error)
{
    struct namespaces *namespaces = calloc(1, sizeof *namespaces);

    if (namespaces == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    namespaces->own_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (namespaces->own_fd >= 0 && fstat(namespaces->own_fd, &namespaces->own) != 0)
        namespaces->own_fd = -1;
    for (const char *at = directories; *at != '\0' && namespaces->count < DIRECTORIES_MAX;) {
        struct place *place = &namespaces->places[namespaces->count];
        size_t length = strcspn(at, ":");
        if (length > 0 && length < sizeof place->path) {
            memcpy(place->path, at, length);
            place->kept = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            namespaces->count++;
        }
        at += length + (at[length] == ':');
    }
    *out = namespaces;
    return STATUS_OK;
}

bool namespaces_usable(const struct namespaces *namespaces)
{
    return namespaces->own_fd >= 0 && namespaces->count > 0 && privileges_have(CAP_SYS_ADMIN);
}

/* The path as it is now comes first: `ip netns add` mounts over the directory, and a descriptor from before
 * sees what lies beneath. */
static int place_open(const struct place *place)
{
    int fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && place->kept >= 0)
        fd = openat(place->kept, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd;
}

static bool name_is_good(const char *name)
{
    size_t length = strnlen(name, NETNS_NAME_SIZE);

    return length > 0 && length < NETNS_NAME_SIZE && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

/* A file on which nothing is mounted any more, or a namespace of another kind, is none. */
static int entry_open(int directory, const char *name, struct stat *status)
{
    int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0 && fstat(fd, status) == 0 && ioctl(fd, NS_GET_NSTYPE) == CLONE_NEWNET)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int name_open(const struct namespaces *namespaces, const char *name, struct stat *status)
{
    int fd = -1;

    for (size_t i = 0; i < namespaces->count && fd < 0 && name_is_good(name); i++) {
        int directory = place_open(&namespaces->places[i]);
        if (directory < 0)
            continue;
        fd = entry_open(directory, name, status);
        close(directory);
    }
    return fd;
}

static bool is_own(const struct namespaces *namespaces, const struct stat *status)
{
    return namespaces->own_fd >= 0 && status->st_dev == namespaces->own.st_dev &&
           status->st_ino == namespaces->own.st_ino;
}

/* ---- lists ---- */

/* Keeps the `most` smallest names, in order, each once. */
static size_t names_insert(const char *name, char (*names)[NETNS_NAME_SIZE], size_t count, size_t most)
{
    size_t at = count;

    while (at > 0 && strcmp(names[at - 1], name) > 0)
        at--;
    if (at == most || (at > 0 && strcmp(names[at - 1], name) == 0))
        return count;
    size_t moved = (count == most ? count - 1 : count) - at;
    memmove(names[at + 1], names[at], moved * sizeof *names);
    snprintf(names[at], sizeof *names, "%s", name);
    return count == most ? count : count + 1;
}

static size_t place_list(const struct namespaces *namespaces, const struct place *place, const char *after,
                         char (*names)[NETNS_NAME_SIZE], size_t count, size_t most)
{
    const struct dirent *entry;
    int fd = place_open(place);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);

    if (listing == NULL && fd >= 0)
        close(fd);
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        struct stat status;
        if (!name_is_good(entry->d_name) || strcmp(entry->d_name, after) <= 0)
            continue;
        if (count == most && strcmp(entry->d_name, names[most - 1]) >= 0)
            continue;
        int entry_fd = entry_open(fd, entry->d_name, &status);
        if (entry_fd < 0)
            continue;
        close(entry_fd);
        if (!is_own(namespaces, &status))
            count = names_insert(entry->d_name, names, count, most);
    }
    if (listing != NULL)
        closedir(listing);
    return count;
}

size_t namespaces_list(struct namespaces *namespaces, const char *after, char (*names)[NETNS_NAME_SIZE],
                       size_t most)
{
    size_t count = 0;

    for (size_t i = 0; i < namespaces->count; i++)
        count = place_list(namespaces, &namespaces->places[i], after, names, count, most);
    return count;
}

static enum status no_such(struct namespaces *namespaces, const char *name, struct error *error)
{
    enum { LOOKED_AT = 64, SHOWN = 3 };
    char names[LOOKED_AT][NETNS_NAME_SIZE], list[3 * 48] = "";
    size_t count = namespaces_list(namespaces, "", names, LOOKED_AT), used = 0;

    for (size_t shown = 0; shown < SHOWN && shown < count; shown++) {
        size_t best = shown;
        for (size_t i = shown + 1; i < count; i++)
            if (edit_distance(names[i], name) < edit_distance(names[best], name))
                best = i;
        used +=
            (size_t)snprintf(list + used, sizeof list - used, "%s%.40s", shown == 0 ? "" : ", ", names[best]);
        memmove(names[best], names[shown], sizeof names[best]);
    }
    return error_set(error, ERROR_NO_SUCH_NETNS, "capvalue",
                     "there is no network namespace with the name %.64s; %s%s", name,
                     count == 0 ? "the worker sees none" : "the closest are ", list);
}

/* ---- moving ---- */

enum status namespaces_enter(struct namespaces *namespaces, const char *name, uint64_t *number,
                             struct error *error)
{
    struct stat status = namespaces->own;

    *number = status.st_ino;
    if (name[0] == '\0')
        return STATUS_OK;
    int fd = name_open(namespaces, name, &status);
    if (fd < 0)
        return no_such(namespaces, name, error);
    bool may = namespaces_usable(namespaces);
    int failed = !may ? EPERM : setns(fd, CLONE_NEWNET) != 0 ? errno : 0;
    close(fd);
    if (failed == EPERM)
        return error_set(error, ERROR_NO_PRIVILEGE, "capvalue",
                         "the worker lacks CAP_SYS_ADMIN for other network namespaces, such as %.64s", name);
    if (failed != 0)
        return error_set(error, ERROR_HOST, NULL, "cannot enter the network namespace %.64s: %s", name,
                         strerror(failed));
    namespaces->away = true;
    *number = status.st_ino;
    return STATUS_OK;
}

void namespaces_leave(struct namespaces *namespaces)
{
    if (namespaces->away && setns(namespaces->own_fd, CLONE_NEWNET) != 0) {
        log_error("cannot return to the worker's network namespace: %s", strerror(errno));
        abort();
    }
    namespaces->away = false;
}
