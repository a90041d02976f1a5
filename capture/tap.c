#include "capture/tap.h"

#include "capture/nflog_tap.h"
#include "capture/packet_tap.h"

enum status tap_open(const struct tap_settings *settings, struct tap **tap, enum stop_reason *reason,
                     struct error *error)
{
    *reason = STOP_INTERNAL;
    if (settings->request->cappoint == CAPPOINT_DVFILTER)
        return nflog_tap_open(settings, tap, reason, error);
    return packet_tap_open(settings, tap, reason, error);
}

void tap_close(struct tap *tap)
{
    tap->ops->close(tap);
}

int tap_read(struct tap *tap, tap_handler handler, void *context)
{
    return tap->ops->read(tap, handler, context);
}

void tap_freeze(struct tap *tap)
{
    tap->ops->freeze(tap);
}

void tap_read_statistics(struct tap *tap, struct tap_statistics *statistics)
{
    tap->ops->read_statistics(tap, statistics);
}
