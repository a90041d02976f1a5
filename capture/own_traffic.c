#include "capture/own_traffic.h"

#include "capture/filter.h"
#include "capture/point.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint32_t own_traffic_mark(int64_t run_key)
{
    return STREAM_MARK | ((uint32_t)run_key & STREAM_MARK_RUNS);
}

static bool endpoint_parse(const char *address, unsigned long port, struct filter_endpoint *endpoint)
{
    *endpoint = (struct filter_endpoint){.family = strchr(address, ':') == NULL ? AF_INET : AF_INET6,
                                         .port = (uint16_t)port};
    return inet_pton(endpoint->family, address, endpoint->address) == 1;
}

static void api_add(struct filter_exclusions *exclusions, const struct filter_endpoint *endpoint)
{
    if (exclusions->api_count < FILTER_API_MAX)
        exclusions->api[exclusions->api_count++] = *endpoint;
    else
        exclusions->api_missing++;
}

/* Walks the addresses of interfaces in one namespace. */
struct walk {
    void (*see)(void *context, const struct filter_endpoint *endpoint);
    void *context;
    int family;         /* 0: both */
    unsigned long port; /* that the endpoints get */
    unsigned only, but; /* index of the one interface to look at, or of the one to pass over; 0: none such */
};

static void walk_address(void *context, unsigned index, int family, const void *address)
{
    const struct walk *walk = context;
    struct filter_endpoint endpoint = {.family = family, .port = (uint16_t)walk->port};

    if ((walk->only != 0 && index != walk->only) || (walk->but != 0 && index == walk->but) ||
        (walk->family != 0 && family != walk->family))
        return;
    memcpy(endpoint.address, address, family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr));
    walk->see(walk->context, &endpoint);
}

static enum status walk_addresses(struct walk *walk, struct broker *broker, const char *netns,
                                  struct error *error)
{
    return point_list_addresses(broker, netns, walk_address, walk, error);
}

static void add_one(void *context, const struct filter_endpoint *endpoint)
{
    api_add(context, endpoint);
}

/* The port on every address of this host; there may be more of them than a filter takes, so those of the
 * interface itself come first. */
static enum status add_port(struct filter_exclusions *exclusions, int family, unsigned long port,
                            const struct own_traffic_settings *settings, struct broker *broker,
                            struct error *error)
{
    const struct point *point = settings->point;
    unsigned index = point != NULL && point->netns[0] == '\0' ? point->index : 0;
    struct walk walk = {.see = add_one, .context = exclusions, .family = family, .port = port, .only = index};
    enum status status = index == 0 ? STATUS_OK : walk_addresses(&walk, broker, "", error);

    walk.only = 0;
    walk.but = index;
    return status == STATUS_OK ? walk_addresses(&walk, broker, "", error) : status;
}

static bool is_loopback(const struct filter_endpoint *endpoint)
{
    if (endpoint->family == AF_INET)
        return endpoint->address[0] == IN_LOOPBACKNET;
    return memcmp(endpoint->address, &in6addr_loopback, sizeof in6addr_loopback) == 0;
}

static void remove_address(void *context, const struct filter_endpoint *endpoint)
{
    struct filter_exclusions *exclusions = context;
    size_t kept = 0;

    for (size_t i = 0; i < exclusions->api_count; i++) {
        struct filter_endpoint *one = &exclusions->api[i];
        if (one->family != endpoint->family ||
            memcmp(one->address, endpoint->address, sizeof one->address) != 0)
            exclusions->api[kept++] = *one;
    }
    exclusions->api_count = kept;
}

/* In another namespace the host's loopback addresses are somebody else's, and so are those that the namespace
 * has itself. */
static enum status remove_foreign(struct filter_exclusions *exclusions, const struct point *point,
                                  struct broker *broker, struct error *error)
{
    struct walk walk = {.see = remove_address, .context = exclusions};

    if (point == NULL || point->netns[0] == '\0')
        return STATUS_OK;
    for (size_t i = exclusions->api_count; i-- > 0;)
        if (is_loopback(&exclusions->api[i]))
            exclusions->api[i] = exclusions->api[--exclusions->api_count];
    return walk_addresses(&walk, broker, point->netns, error);
}

/* "127.0.0.1:8080" or "[::1]:8080". An address of zeros is every address of this host: of its own family for
 * IPv4, of both for IPv6. */
static enum status add_api(struct filter_exclusions *exclusions, const struct own_traffic_settings *settings,
                           struct broker *broker, struct error *error)
{
    const char *api = settings->api_address;
    const char *colon = strrchr(api, ':');
    struct filter_endpoint endpoint;
    char address[INET6_ADDRSTRLEN];

    if (colon == NULL)
        return STATUS_OK;
    unsigned long port = strtoul(colon + 1, NULL, 10);
    int bracket = api[0] == '[';
    snprintf(address, sizeof address, "%.*s", (int)(colon - api) - 2 * bracket, api + bracket);
    if (strcmp(address, "0.0.0.0") == 0)
        return add_port(exclusions, AF_INET, port, settings, broker, error);
    if (strcmp(address, "::") == 0)
        return add_port(exclusions, 0, port, settings, broker, error);
    if (endpoint_parse(address, port, &endpoint))
        api_add(exclusions, &endpoint);
    return STATUS_OK;
}

static enum status add_api_ports(struct filter_exclusions *exclusions,
                                 const struct own_traffic_settings *settings, struct broker *broker,
                                 struct error *error)
{
    enum status status = STATUS_OK;

    for (const char *ports = settings->api_ports; *ports != '\0' && status == STATUS_OK;) {
        status = add_port(exclusions, 0, strtoul(ports, NULL, 10), settings, broker, error);
        ports += strcspn(ports, ",");
        ports += *ports == ',';
    }
    return status;
}

/* The address that the stream leaves from, as the kernel would choose it. */
static void source_find(const struct filter_endpoint *stream, struct filter_endpoint *source)
{
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address = {.any.sa_family = (sa_family_t)stream->family};
    socklen_t size = stream->family == AF_INET ? sizeof address.ipv4 : sizeof address.ipv6;
    int fd = socket(stream->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    *source = (struct filter_endpoint){0};
    if (fd < 0)
        return;
    if (stream->family == AF_INET)
        address.ipv4.sin_port = htons(stream->port), memcpy(&address.ipv4.sin_addr, stream->address, 4);
    else
        address.ipv6.sin6_port = htons(stream->port), memcpy(&address.ipv6.sin6_addr, stream->address, 16);
    if (connect(fd, &address.any, size) == 0 && getsockname(fd, &address.any, &size) == 0) {
        source->family = stream->family;
        if (stream->family == AF_INET)
            memcpy(source->address, &address.ipv4.sin_addr, 4);
        else
            memcpy(source->address, &address.ipv6.sin6_addr, 16);
    }
    close(fd);
}

enum status own_traffic_find(const struct packet_capture_request *request,
                             const struct own_traffic_settings *settings, struct broker *broker,
                             struct filter_exclusions *exclusions, struct error *error)
{
    *exclusions = (struct filter_exclusions){0};
    if (request->capmode == CAPMODE_STREAM) {
        unsigned long port = request->streamport > 0 ? (unsigned long)request->streamport : STREAM_PORT;
        exclusions->has_stream = endpoint_parse(request->streamaddress, port, &exclusions->stream);
        source_find(&exclusions->stream, &exclusions->stream_source);
        exclusions->mark = own_traffic_mark(settings->run_key);
        exclusions->mark_mask = UINT32_MAX;
    }
    if (request->captureself > 0)
        return STATUS_OK;
    exclusions->mark = STREAM_MARK;
    exclusions->mark_mask = STREAM_MARK_MASK;
    enum status status = add_api(exclusions, settings, broker, error);
    if (status == STATUS_OK)
        status = add_api_ports(exclusions, settings, broker, error);
    if (status == STATUS_OK)
        status = remove_foreign(exclusions, settings->point, broker, error);
    return status;
}
