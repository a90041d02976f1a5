#include "host/settle.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

void files_allow(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* owned: the directory is the identity's own, and stays as it is. */
static enum status settle_in(const struct identity *identity, bool owned, const char *data_dir,
                             int capability, struct data_dir *directory, struct error *error)
{
    struct identity maker = *identity;
    bool confined;

    if (owned)
        maker.change = false;
    enum status status = data_dir_prepare(data_dir, &maker, directory, error);
    if (status == STATUS_OK)
        status = privileges_drop(identity, directory->path, capability, &confined, error);
    if (status != STATUS_OK)
        return status;
    if (confined)
        data_dir_confined(directory);
    return data_dir_fill(directory, error);
}

enum status settle(const char *user, const char *data_dir, int capability, struct data_dir *directory,
                   struct error *error)
{
    struct identity identity;
    enum status status = identity_find(user, &identity, error);

    files_allow();
    return status == STATUS_OK ? settle_in(&identity, false, data_dir, capability, directory, error) : status;
}

/* Whom a directory with a database belongs to: asked of the directory, which only its owner's superiors give
 * away, and not of the database, which may be a link. */
static bool owner_find(const char *data_dir, struct stat *owner)
{
    char database[DATA_PATH_SIZE];
    struct stat status;

    snprintf(database, sizeof database, "%.1024s/pktcapd.db", data_dir);
    return lstat(database, &status) == 0 && stat(data_dir, owner) == 0;
}

enum status settle_as_owner(const char *user, const char *data_dir, struct data_dir *directory,
                            struct error *error)
{
    struct identity identity;
    struct stat owner;
    bool owned = owner_find(data_dir, &owner);
    enum status status = STATUS_OK;

    if (owned)
        identity_of(owner.st_uid, owner.st_gid, &identity);
    else
        status = identity_find(user, &identity, error);
    return status == STATUS_OK ? settle_in(&identity, owned, data_dir, NO_CAPABILITY, directory, error)
                               : status;
}
