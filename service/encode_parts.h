/* Parts of answers that more than one encoder needs. */
#ifndef PKTCAPD_SERVICE_ENCODE_PARTS_H
#define PKTCAPD_SERVICE_ENCODE_PARTS_H

#include "service/codec.h"

struct json_object;

struct json_object *point_encode(const struct point_details *details);
struct json_object *request_encode(const struct packet_capture_request *request,
                                   const struct session_view *view);
struct json_object *limits_encode(const struct limits *limits, const struct packet_capture_request *request);

#endif
