#include "capture/allowance.h"

#include <stdlib.h>

bool allowance_open(struct allowance *allowance, int64_t most, size_t most_files)
{
    *allowance = (struct allowance){
        .most = most, .most_files = most_files, .sizes = calloc(most_files, sizeof *allowance->sizes)};
    return allowance->sizes != NULL;
}

void allowance_free(struct allowance *allowance)
{
    free(allowance->sizes);
    allowance->sizes = NULL;
}

bool allowance_takes(const struct allowance *allowance, int64_t bytes)
{
    return bytes <= allowance->most - allowance->used;
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
    allowance->used += bytes;
}

void allowance_add_file(struct allowance *allowance, int64_t bytes)
{
    allowance->used -= oldest_size(allowance);
    if (allowance->file_count < allowance->most_files)
        allowance->file_count++;
    else
        allowance->oldest = (allowance->oldest + 1) % allowance->most_files;
    allowance->sizes[(allowance->oldest + allowance->file_count - 1) % allowance->most_files] = 0;
    allowance_add(allowance, bytes);
}
