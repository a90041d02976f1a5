#include "broker/presence.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int presence_show(const char *worker, const char *session)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    /* An abstract name starts with a NUL, and the kernel shows that as an @. */
    int length =
        snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "pktcapd/%s/%s", worker, session);

    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address,
                        (socklen_t)(sizeof address.sun_family + 1 + (size_t)length)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

bool presence_seen(void *context, const char *worker)
{
    char wanted[64], line[512];
    FILE *sockets = fopen("/proc/self/net/unix", "re");
    bool seen = sockets == NULL;

    (void)context;
    snprintf(wanted, sizeof wanted, "@pktcapd/%.36s/", worker);
    while (!seen && fgets(line, sizeof line, sockets) != NULL)
        seen = strstr(line, wanted) != NULL;
    if (sockets != NULL)
        fclose(sockets);
    return seen;
}
