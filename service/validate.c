#include "service/validate.h"

#include "capture/filter.h"
#include "capture/point.h"

#include <arpa/inet.h>
#include <pcap/dlt.h>
#include <string.h>
#include <strings.h>

static void require(bool present, const char *field, const char *what, struct errors *errors)
{
    if (!present && !errors_blame(errors, field))
        errors_add(errors, ERROR_MISSING_FIELD, field, "%s is required: %s", field, what);
}

static void validate_node(const struct service *service, const struct packet_capture_request *request,
                          struct errors *errors)
{
    struct in6_addr address;
    struct error error;
    bool ours = false;

    if (request->node[0] != '\0' && strcasecmp(request->node, service->node_id) != 0 &&
        strcmp(request->node, service->node_name) != 0)
        errors_add(errors, ERROR_NO_SUCH_NODE, "node", "there is no node %.64s; this node is %s, %s",
                   request->node, service->node_id, service->node_name);
    if (request->node_ip[0] == '\0')
        return;
    if (inet_pton(AF_INET, request->node_ip, &address) != 1 &&
        inet_pton(AF_INET6, request->node_ip, &address) != 1)
        errors_add(errors, ERROR_BAD_VALUE, "node_ip",
                   "node_ip has the value %.64s; it takes an IPv4 or IPv6 address", request->node_ip);
    else if (point_host_has_address(request->node_ip, &ours, &error) != STATUS_OK)
        errors_add_error(errors, &error);
    else if (!ours)
        errors_add(errors, ERROR_NO_SUCH_NODE, "node_ip", "there is no node with the address %s",
                   request->node_ip);
}

/* Returns the linktype to check filters against: that of the point, or Ethernet where there is no point. */
static int validate_point(const struct packet_capture_request *request, struct errors *errors)
{
    struct point point;
    struct error error;

    require(request->cappoint != 0, "cappoint", "VNIC, VMKNIC, VMNIC, PNIC or VIF", errors);
    require(request->capvalue[0] != '\0', "capvalue", "the interface's name, MAC address or alias", errors);
    if (request->cappoint == 0 || request->capvalue[0] == '\0' || errors_blame(errors, "capvalue"))
        return DLT_EN10MB;
    if (point_find(request->cappoint, request->capvalue, &point, &error) == STATUS_OK)
        return point.linktype;
    errors_add_error(errors, &error);
    return DLT_EN10MB;
}

void validate_request(const struct service *service, const struct packet_capture_request *request,
                      struct errors *errors)
{
    require(request->capsource != 0, "capsource", "CLI or UI", errors);
    validate_node(service, request, errors);
    int linktype = validate_point(request, errors);
    if (request->capsnaplen > 0 && request->capsnaplen < SNAPLEN_MIN)
        errors_add(errors, ERROR_OUT_OF_RANGE, "capsnaplen",
                   "capsnaplen has the value %d; it takes 0 for whole packets, or at least %d bytes",
                   request->capsnaplen, SNAPLEN_MIN);
    filter_validate(request, linktype, errors);
}

static int64_t at_most(int64_t value, int64_t most)
{
    return value <= 0 || value > most ? most : value;
}

struct limits effective_limits(const struct config *config, const struct packet_capture_request *request)
{
    bool any = request->capduration > 0 || request->capamount > 0 || request->capfilesize > 0;
    int64_t packets = request->capamount > 0 ? request->capamount : 0;

    if (config->max_packets > 0)
        packets = at_most(packets, config->max_packets);
    return (struct limits){
        .duration_s = at_most(any ? request->capduration : config->default_duration, config->max_duration),
        .packets = packets,
        .file_size_mb = at_most(request->capfilesize, config->max_filesize),
        .snaplen = at_most(request->capsnaplen, config->max_snaplen),
    };
}
