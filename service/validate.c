#include "service/validate.h"

#include "auth/access.h"
#include "capture/filter.h"
#include "capture/point.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pcap/dlt.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void require(bool present, const char *field, const char *what, struct errors *errors)
{
    if (!present && !errors_blame(errors, field))
        errors_add(errors, ERROR_MISSING_FIELD, field, "%s is required: %s", field, what);
}

static void validate_node(const struct service *service, struct broker *broker,
                          const struct packet_capture_request *request, struct errors *errors)
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
    else if (point_host_has_address(broker, request->node_ip, &ours, &error) != STATUS_OK)
        errors_add_error(errors, &error);
    else if (!ours)
        errors_add(errors, ERROR_NO_SUCH_NODE, "node_ip", "there is no node with the address %s",
                   request->node_ip);
}

static bool takes_point(const struct context *context, enum cappoint cappoint, const char *value)
{
    const struct service *service = context->service;
    const struct node_names node = {service->node_id, service->node_name};

    return policy_takes_point(&context->who->role.policy, &node, cappoint, value);
}

static void refuse_point(const struct context *context, const struct packet_capture_request *request,
                         struct errors *errors)
{
    errors_add(errors, ERROR_POLICY, "capvalue", "role %s does not allow captures on %s %.128s",
               context->who->role.name, names_of(&cappoint_names, (int)request->cappoint), request->capvalue);
}

/* What counts is the interface that is meant, not the alias or the address that names it. */
static bool allow_point(const struct context *context, const struct packet_capture_request *request,
                        const struct point *point, char value[POINT_VALUE_SIZE], struct errors *errors)
{
    if (policy_takes_every_point(&context->who->role.policy))
        return true;
    point_value(point, value);
    if (takes_point(context, request->cappoint, value))
        return true;
    refuse_point(context, request, errors);
    return false;
}

/* Whether this interface, if there is one, is the caller's to know of, whatever kind of point it is. */
static bool takes_as_any_point(const struct context *context, const char *value)
{
    for (int cappoint = CAPPOINT_VNIC; cappoint <= CAPPOINT_SEGMENTPORT; cappoint++)
        if (!takes_point(context, (enum cappoint)cappoint, value))
            return false;
    return true;
}

/* Who may not capture everywhere does not learn here what there is elsewhere: neither whether it exists nor
 * names that are similar. */
static void allow_unknown(const struct context *context, const struct packet_capture_request *request,
                          const struct error *error, struct errors *errors)
{
    bool everywhere = policy_takes_every_point(&context->who->role.policy);

    if (everywhere)
        errors_add_error(errors, error);
    else if (!takes_point(context, request->cappoint, request->capvalue))
        refuse_point(context, request, errors);
    else if (error->code == ERROR_NO_PRIVILEGE ||
             (error->code == ERROR_WRONG_POINT && takes_as_any_point(context, request->capvalue)))
        errors_add_error(errors, error);
    else
        errors_add(errors, ERROR_UNKNOWN_INTERFACE, "capvalue", "there is no interface %.128s that is a %s",
                   request->capvalue, names_of(&cappoint_names, (int)request->cappoint));
}

/* Returns the linktype to check filters against: that of the point, or Ethernet where there is no point. */
static int validate_point(const struct context *context, struct broker *broker,
                          const struct packet_capture_request *request, char value[POINT_VALUE_SIZE],
                          struct errors *errors)
{
    struct point point;
    struct error error;
    char list[128];

    require(request->cappoint != 0, "cappoint", names_list(&cappoint_names, list, sizeof list), errors);
    require(request->capvalue[0] != '\0', "capvalue",
            request->cappoint == CAPPOINT_DVFILTER
                ? "the interface's name, MAC address or alias, NETNS/ and one of these, or any"
                : "the interface's name, MAC address or alias, or NETNS/ and one of these",
            errors);
    if (request->cappoint == 0 || request->capvalue[0] == '\0' || errors_blame(errors, "capvalue"))
        return DLT_EN10MB;
    if (point_find(broker, request->cappoint, request->capvalue, &point, &error) != STATUS_OK) {
        allow_unknown(context, request, &error, errors);
        return DLT_EN10MB;
    }
    return allow_point(context, request, &point, value, errors) ? point.linktype : DLT_EN10MB;
}

/* A field that says something where it can mean nothing is refused: ignoring it would be a lie. */
static void refuse(bool given, const char *field, const char *why, struct errors *errors)
{
    if (given && !errors_blame(errors, field))
        errors_add(errors, ERROR_CONFLICT, field, "%s cannot be given here: %s", field, why);
}

/* Whether a collector can be there: an address of one host, and no zone is needed to reach it. */
static bool is_unicast(const char *text)
{
    struct in_addr ipv4;
    struct in6_addr ipv6;

    if (inet_pton(AF_INET, text, &ipv4) == 1)
        return ipv4.s_addr != INADDR_ANY && ipv4.s_addr != INADDR_BROADCAST &&
               !IN_MULTICAST(ntohl(ipv4.s_addr));
    return inet_pton(AF_INET6, text, &ipv6) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&ipv6) &&
           !IN6_IS_ADDR_MULTICAST(&ipv6) && !IN6_IS_ADDR_LINKLOCAL(&ipv6) && !IN6_IS_ADDR_V4MAPPED(&ipv6);
}

static void validate_stream(const struct packet_capture_request *request, struct errors *errors)
{
    static const char NO_STREAM[] = "it goes with capmode STREAM";
    static const char NO_FILE[] = "capmode STREAM writes no file";
    bool stream = request->capmode == CAPMODE_STREAM;

    if (errors_blame(errors, "capmode"))
        return;
    refuse(!stream && request->streamaddress[0] != '\0', "streamaddress", NO_STREAM, errors);
    refuse(!stream && request->streamport > 0, "streamport", NO_STREAM, errors);
    refuse(stream && request->capformat != 0, "capformat", NO_FILE, errors);
    refuse(stream && request->capfilesize > 0, "capfilesize", NO_FILE, errors);
    refuse(stream && request->capfilecount > 0, "capfilecount", NO_FILE, errors);
    if (stream)
        require(request->streamaddress[0] != '\0', "streamaddress", "the collector's IPv4 or IPv6 address",
                errors);
    if (stream && request->streamaddress[0] != '\0' && !is_unicast(request->streamaddress))
        errors_add(errors, ERROR_BAD_VALUE, "streamaddress",
                   "streamaddress has the value %.64s; it takes the IPv4 or IPv6 address of one host, not "
                   "link-local",
                   request->streamaddress);
}

static void validate_files(const struct packet_capture_request *request, struct errors *errors)
{
    if (request->capfilecount > 0 && request->capmode != CAPMODE_STREAM)
        require(request->capfilesize > 0, "capfilesize", "with capfilecount, the size of each file in MB",
                errors);
}

/* "0 to 3" for the CPUs that this process may use, which are those of the node or of the container. */
static void validate_core(const struct packet_capture_request *request, struct errors *errors)
{
    cpu_set_t cores;
    int last = CPU_SETSIZE - 1;

    if (request->capcore == INT_ABSENT || sched_getaffinity(0, sizeof cores, &cores) != 0)
        return;
    if (request->capcore < CPU_SETSIZE && CPU_ISSET((size_t)request->capcore, &cores))
        return;
    while (last > 0 && !CPU_ISSET((size_t)last, &cores))
        last--;
    errors_add(errors, ERROR_OUT_OF_RANGE, "capcore",
               "capcore has the value %d; this node has %d CPUs to capture on, the last is number %d",
               request->capcore, CPU_COUNT(&cores), last);
}

/* Ids are compared as the API shows them; what is no UUID names no session. */
bool validate_id(const char *text, char id[UUID_SIZE], struct errors *errors)
{
    if (uuid_parse(text, id))
        return true;
    errors_add(errors, ERROR_NO_SUCH_SESSION, "session-id", "there is no capture session %.64s", text);
    return false;
}

void validate_request(const struct context *context, const struct packet_capture_request *request,
                      char point[POINT_VALUE_SIZE], struct errors *errors)
{
    const struct service *service = context->service;
    struct broker *broker = broker_connect(service->directory);

    point[0] = '\0';
    require(request->capsource != 0, "capsource", "CLI or UI", errors);
    validate_node(service, broker, request, errors);
    int linktype = validate_point(context, broker, request, point, errors);
    if (broker != NULL)
        broker_close(broker);
    if (request->capsnaplen > 0 && request->capsnaplen < SNAPLEN_MIN)
        errors_add(errors, ERROR_OUT_OF_RANGE, "capsnaplen",
                   "capsnaplen has the value %d; it takes 0 for whole packets, or at least %d bytes",
                   request->capsnaplen, SNAPLEN_MIN);
    refuse(request->filtertype != 0 && request->cappoint != CAPPOINT_DVFILTER &&
               !errors_blame(errors, "cappoint"),
           "filtertype", "it goes with cappoint DVFILTER", errors);
    validate_stream(request, errors);
    validate_files(request, errors);
    validate_core(request, errors);
    filter_validate(request, linktype, errors);
    policy_check_request(&context->who->role, request, errors);
}

void validate_restart(const struct context *context, const struct packet_capture_request *request,
                      char value[POINT_VALUE_SIZE], struct errors *errors)
{
    struct broker *broker;
    struct point point;
    struct error error;

    value[0] = '\0';
    policy_check_request(&context->who->role, request, errors);
    if (policy_takes_every_point(&context->who->role.policy))
        return;
    broker = broker_connect(context->service->directory);
    if (point_find(broker, request->cappoint, request->capvalue, &point, &error) == STATUS_OK)
        allow_point(context, request, &point, value, errors);
    else if (takes_point(context, request->cappoint, request->capvalue))
        snprintf(value, POINT_VALUE_SIZE, "%.*s", POINT_VALUE_SIZE - 1, request->capvalue);
    else
        refuse_point(context, request, errors);
    if (broker != NULL)
        broker_close(broker);
}

static int64_t at_most(int64_t value, int64_t most)
{
    return value <= 0 || value > most ? most : value;
}

static int64_t most_snaplen(const struct config *config, const struct packet_capture_request *request)
{
    return request->cappoint == CAPPOINT_DVFILTER ? at_most(config->max_snaplen, FIREWALL_SNAPLEN_MAX)
                                                  : config->max_snaplen;
}

/* The smaller of two maxima; 0 of a policy is none. */
static int64_t smaller(int64_t server, int64_t policy)
{
    return policy > 0 && policy < server ? policy : server;
}

struct limits effective_limits(const struct config *config, const struct policy *policy,
                               const struct packet_capture_request *request)
{
    /* A ring of files goes on when a file is full. */
    bool fills = request->capfilesize > 0 && request->capfilecount <= 0;
    bool any = request->capduration > 0 || request->capamount > 0 || fills;
    int64_t packets = request->capamount > 0 ? request->capamount : 0;

    if (config->max_packets > 0)
        packets = at_most(packets, config->max_packets);
    return (struct limits){
        .duration_s = at_most(any ? request->capduration : config->default_duration,
                              smaller(config->max_duration, policy->max_duration_s)),
        .packets = packets,
        .file_size_mb =
            at_most(request->capfilesize, smaller(config->max_filesize, policy->max_file_size_mb)),
        .snaplen = at_most(request->capsnaplen, smaller(most_snaplen(config, request), policy->max_snaplen)),
    };
}
