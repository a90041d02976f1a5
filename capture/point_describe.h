/* A link in the words of a capture point. Private to capture/point*. */
#ifndef PKTCAPD_CAPTURE_POINT_DESCRIBE_H
#define PKTCAPD_CAPTURE_POINT_DESCRIBE_H

#include "capture/links.h"
#include "capture/point.h"

void point_describe(const struct links *links, struct rtnl_link *link, struct point *point);

#endif
