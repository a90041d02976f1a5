#include "host/settle.h"

#include <sys/resource.h>

void files_allow(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

enum status settle(const char *user, const char *data_dir, int capability, struct data_dir *directory,
                   struct error *error)
{
    struct identity identity;
    bool confined;
    enum status status = identity_find(user, &identity, error);

    files_allow();
    if (status == STATUS_OK)
        status = data_dir_prepare(data_dir, &identity, directory, error);
    if (status == STATUS_OK)
        status = privileges_drop(&identity, directory->path, capability, &confined, error);
    if (status != STATUS_OK)
        return status;
    if (confined)
        data_dir_confined(directory);
    return data_dir_fill(directory, error);
}
