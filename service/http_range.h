/* The Range header (RFC 9110, section 14): one range of bytes, as downloads are resumed with. */
#ifndef PKTCAPD_SERVICE_HTTP_RANGE_H
#define PKTCAPD_SERVICE_HTTP_RANGE_H

#include <stdint.h>

enum range_kind {
    RANGE_WHOLE,         /* no header, or one that may be ignored (other units, several ranges, bad syntax) */
    RANGE_PART,          /* first and last are set */
    RANGE_UNSATISFIABLE, /* outside the file: 416 */
};

enum range_kind range_parse(const char *header, int64_t size, int64_t *first, int64_t *last);

#endif
