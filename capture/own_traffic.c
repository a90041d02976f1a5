#include "capture/own_traffic.h"

#include "capture/filter.h"
#include "capture/point.h"

#include <arpa/inet.h>
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
}

struct adding {
    struct filter_exclusions *exclusions;
    int family; /* 0: both */
    unsigned long port;
};

static void add_addresses(void *context, const struct point_details *details)
{
    const struct adding *adding = context;

    for (size_t i = 0; i < details->address_count; i++) {
        struct filter_endpoint endpoint;
        char address[POINT_ADDRESS_SIZE];
        snprintf(address, sizeof address, "%s", details->addresses[i]);
        address[strcspn(address, "/")] = '\0';
        if (endpoint_parse(address, adding->port, &endpoint) &&
            (adding->family == 0 || adding->family == endpoint.family))
            api_add(adding->exclusions, &endpoint);
    }
}

/* The port on every address of this host. */
static enum status add_port(struct filter_exclusions *exclusions, int family, unsigned long port,
                            struct broker *broker, struct error *error)
{
    struct adding adding = {exclusions, family, port};
    const struct point_visitor visitor = {.context = &adding, .see_point = add_addresses};

    return point_list(broker, 0, "", &visitor, error);
}

/* "127.0.0.1:8080"; an address of zeros is every IPv4 address of this host. */
static enum status add_api(struct filter_exclusions *exclusions, const char *api, struct broker *broker,
                           struct error *error)
{
    const char *colon = strrchr(api, ':');
    struct filter_endpoint endpoint;
    char address[INET6_ADDRSTRLEN];

    if (colon == NULL)
        return STATUS_OK;
    unsigned long port = strtoul(colon + 1, NULL, 10);
    snprintf(address, sizeof address, "%.*s", (int)(colon - api), api);
    if (strcmp(address, "0.0.0.0") == 0)
        return add_port(exclusions, AF_INET, port, broker, error);
    if (endpoint_parse(address, port, &endpoint))
        api_add(exclusions, &endpoint);
    return STATUS_OK;
}

static enum status add_api_ports(struct filter_exclusions *exclusions, const char *ports,
                                 struct broker *broker, struct error *error)
{
    enum status status = STATUS_OK;

    while (*ports != '\0' && status == STATUS_OK) {
        status = add_port(exclusions, 0, strtoul(ports, NULL, 10), broker, error);
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
    enum status status = add_api(exclusions, settings->api_address, broker, error);
    if (status == STATUS_OK)
        status = add_api_ports(exclusions, settings->api_ports, broker, error);
    return status;
}
