#include "capture/allowance.h"

#include <stdlib.h>

/* Within this run and with the owner's. */
static void count(struct allowance *allowance, int64_t bytes)
{
    struct purse *purse = atomic_load(&allowance->purse);

    if (purse != NULL)
        atomic_fetch_add(&purse->used, bytes);
    atomic_fetch_add(&allowance->used, bytes);
}

void allowance_begin(struct allowance *allowance, struct purse *purse, int64_t most, int64_t taken)
{
    *allowance = (struct allowance){.purse = purse, .most = most};
    count(allowance, taken);
}

bool allowance_open(struct allowance *allowance, size_t most_files)
{
    count(allowance, -atomic_load(&allowance->used));
    allowance->most_files = most_files;
    allowance->sizes = calloc(most_files, sizeof *allowance->sizes);
    return allowance->sizes != NULL;
}

void allowance_free(struct allowance *allowance)
{
    free(allowance->sizes);
    allowance->sizes = NULL;
}

/* The limit goes with the owner: both are read again where the run was given another one meanwhile. */
int64_t allowance_room(const struct allowance *allowance)
{
    struct purse *purse;
    int64_t most;

    do {
        purse = atomic_load(&allowance->purse);
        most = atomic_load(&allowance->most);
    } while (atomic_load(&allowance->purse) != purse);
    return purse == NULL || most == INT64_MAX ? INT64_MAX : most - atomic_load(&purse->used);
}

bool allowance_takes(const struct allowance *allowance, int64_t bytes)
{
    return bytes <= allowance_room(allowance);
}

/* What goes when another file is begun. */
static int64_t oldest_size(const struct allowance *allowance)
{
    return allowance->file_count < allowance->most_files ? 0 : allowance->sizes[allowance->oldest];
}

/* The oldest goes before the next one comes, but in a ring of one file, which is never without. */
bool allowance_takes_file(const struct allowance *allowance, int64_t header, int64_t bytes)
{
    int64_t gone = oldest_size(allowance), gone_before = allowance->most_files > 1 ? gone : 0;

    return allowance_takes(allowance, header - gone_before) &&
           allowance_takes(allowance, header + bytes - gone);
}

void allowance_add(struct allowance *allowance, int64_t bytes)
{
    size_t newest = (allowance->oldest + allowance->file_count - 1) % allowance->most_files;

    allowance->sizes[newest] += bytes;
    count(allowance, bytes);
}

void allowance_add_file(struct allowance *allowance, int64_t bytes)
{
    count(allowance, -oldest_size(allowance));
    if (allowance->file_count < allowance->most_files)
        allowance->file_count++;
    else
        allowance->oldest = (allowance->oldest + 1) % allowance->most_files;
    allowance->sizes[(allowance->oldest + allowance->file_count - 1) % allowance->most_files] = 0;
    allowance_add(allowance, bytes);
}

void allowance_move(struct allowance *allowance, struct purse *purse)
{
    struct purse *before = atomic_load(&allowance->purse);
    int64_t used = atomic_load(&allowance->used);

    atomic_store(&allowance->most, INT64_MAX);
    if (purse != NULL)
        atomic_fetch_add(&purse->used, used);
    atomic_store(&allowance->purse, purse);
    if (before != NULL)
        atomic_fetch_sub(&before->used, used);
}

void allowance_set_most(struct allowance *allowance, int64_t most)
{
    atomic_store(&allowance->most, most);
}
