#include "host/workers.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

const char *worker_path(const struct data_dir *directory, const char *worker, const char *suffix,
                        char out[DATA_PATH_SIZE])
{
    char name[80];

    snprintf(name, sizeof name, "workers/%s%s", worker, suffix);
    return data_dir_path(directory, name, out);
}

/* sun_path holds 107 characters, fewer than a data directory's path may have: /proc/self/fd shortens it, and
 * where the process is confined (no /proc) the path is short anyway. */
bool worker_address(const struct data_dir *directory, int workers_fd, const char *worker, const char *suffix,
                    struct sockaddr_un *address)
{
    char path[DATA_PATH_SIZE];
    int length;

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    worker_path(directory, worker, suffix, path);
    if (strlen(path) < sizeof address->sun_path) {
        strcpy(address->sun_path, path);
        return true;
    }
    length = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s%s", workers_fd,
                      worker, suffix);
    return length > 0 && (size_t)length < sizeof address->sun_path;
}

int workers_open(const struct data_dir *directory)
{
    char path[DATA_PATH_SIZE];

    return open(data_dir_path(directory, "workers", path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void workers_walk(const struct data_dir *directory, const char *suffix,
                  bool (*visit)(void *context, int workers_fd, const char *worker), void *context)
{
    char path[DATA_PATH_SIZE];
    const struct dirent *entry;
    DIR *listing = opendir(data_dir_path(directory, "workers", path));
    bool found = false;

    while (listing != NULL && !found && (entry = readdir(listing)) != NULL) {
        char worker[UUID_SIZE], name[UUID_SIZE];
        snprintf(name, sizeof name, "%.36s", entry->d_name);
        if (uuid_parse(name, worker) && strcmp(entry->d_name + UUID_SIZE - 1, suffix) == 0)
            found = visit(context, dirfd(listing), worker);
    }
    if (listing != NULL)
        closedir(listing);
}
