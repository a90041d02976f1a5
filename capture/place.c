#include "capture/place.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void place_read_boot_id(char boot_id[BOOT_ID_SIZE])
{
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, boot_id, BOOT_ID_SIZE - 1);

    boot_id[got == BOOT_ID_SIZE - 1 ? got : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

void place_of(const struct point *point, const char *boot_id, char place[PLACE_SIZE])
{
    place[0] = '\0';
    if (point->netns[0] != '\0' && boot_id[0] != '\0')
        snprintf(place, PLACE_SIZE, "%s/%" PRIu64, boot_id, point->cookie);
}

bool place_has_changed(const char *place, const struct point *point, const char *boot_id)
{
    size_t length = strlen(boot_id);
    char now[PLACE_SIZE];

    if (length == 0 || strncmp(place, boot_id, length) != 0 || place[length] != '/')
        return false;
    place_of(point, boot_id, now);
    return strcmp(place, now) != 0;
}
