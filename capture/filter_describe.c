/*
 * The filter as an expression, for people.
 *
 * `vlan` moves everything behind it, wherever the brackets are. So whatever speaks of fixed offsets comes
 * first, then capexpression, and last what is transparent to tags: the same tests three times, each time
 * behind one more `vlan`.
 */
#include "capture/filter.h"

#include "capture/filter_exclude.h"
#include "capture/filter_terms.h"
#include "capture/filter_tunnel.h"

#include <arpa/inet.h>
#include <pcap/dlt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
    char *out;
    size_t size, used;
    bool is_full;
};

struct describer {
    const struct packet_capture_request *request;
    const struct filter_exclusions *exclusions;
    bool is_ethernet; /* the frame that is spoken of now */
    bool is_inner;
    bool any; /* something was said of it */
    struct text text;
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

PRINTF_LIKE(2, 3) static void say(struct describer *describer, const char *format, ...)
{
    struct text *text = &describer->text;
    size_t room = text->size - text->used;
    va_list arguments;

    if (text->is_full)
        return;
    va_start(arguments, format);
    int length = vsnprintf(text->out + text->used, room, format, arguments);
    va_end(arguments);
    text->is_full = length < 0 || (size_t)length >= room;
    if (!text->is_full)
        text->used += (size_t)length;
}

static void end(struct text *text)
{
    static const char MORE[] = "...";

    if (text->is_full && text->size >= sizeof MORE)
        memcpy(text->out + text->size - sizeof MORE, MORE, sizeof MORE);
}

/* One more operand of the AND. */
static void go_on(struct describer *describer)
{
    if (describer->any)
        say(describer, " and ");
    describer->any = true;
}

/* ---- options ---- */

static bool has(const struct describer *describer, enum option_name name)
{
    const struct filter_layer *layer = filter_option(name)->layer;
    bool is_inner = filter_is_inner(describer->request) && !layer->is_outer;

    return !layer->is_tunnel && is_inner == describer->is_inner &&
           filter_has_option(describer->request, name);
}

static bool is_type_of_tag(const char *term)
{
    uint32_t type = filter_option_number(term);

    return type == 0x8100 || type == 0x88a8 || type == 0x9100;
}

/* Whether a packet passes at its own depth of tags only: then the tests may follow `vlan`. */
static bool is_content(const struct describer *describer, enum option_name name)
{
    struct filter_terms terms;

    if (!describer->is_ethernet)
        return true;
    if (name != OPTION_ETHTYPE)
        return !filter_option(name)->layer->needs_ethernet;
    filter_terms_read(describer->request, name, &terms, NULL);
    for (size_t i = 0; i < terms.count; i++)
        if (is_type_of_tag(terms.text[i]))
            return false;
    return true;
}

static void say_tests(struct describer *describer, enum option_name name)
{
    struct filter_terms terms;
    char tests[FILTER_TESTS_SIZE];

    filter_terms_read(describer->request, name, &terms, NULL);
    filter_terms_write(filter_option(name), 0, &terms, tests);
    say(describer, "%s", tests);
}

/* "(ether[12:2] = 0x800 or ether[12:2] = 0x806)" */
static void say_values(struct describer *describer, unsigned offset, const char *bits,
                       const struct filter_terms *terms)
{
    for (size_t i = 0; i < terms->count; i++)
        say(describer, "%sether[%u:2]%s = %s", i == 0 ? "(" : " or ", offset, bits, terms->text[i]);
    say(describer, ")");
}

static const struct filter_terms TAG_TYPES = {3, {"0x8100", "0x88a8", "0x9100"}};

/* The Ethernet type, whichever of them, without moving what follows. */
static void say_types(struct describer *describer)
{
    struct filter_terms terms;

    filter_terms_read(describer->request, OPTION_ETHTYPE, &terms, NULL);
    say(describer, "(");
    say_values(describer, 12, "", &terms);
    say(describer, " or (");
    say_values(describer, 12, "", &TAG_TYPES);
    say(describer, " and (");
    say_values(describer, 16, "", &terms);
    say(describer, " or (");
    say_values(describer, 16, "", &TAG_TYPES);
    say(describer, " and ");
    say_values(describer, 20, "", &terms);
    say(describer, "))))");
}

static void say_tags(struct describer *describer)
{
    struct filter_terms terms;

    filter_terms_read(describer->request, OPTION_VLAN, &terms, NULL);
    say(describer, "(");
    say_values(describer, 12, "", &TAG_TYPES);
    say(describer, " and (");
    say_values(describer, 14, " & 0xfff", &terms);
    say(describer, " or (");
    say_values(describer, 16, "", &TAG_TYPES);
    say(describer, " and ");
    say_values(describer, 18, " & 0xfff", &terms);
    say(describer, ")))");
}

/* What stands at the same place in every frame. */
static void say_fixed(struct describer *describer)
{
    for (enum option_name name = 1; filter_option(name) != NULL; name++) {
        if (!has(describer, name) || is_content(describer, name))
            continue;
        go_on(describer);
        if (name == OPTION_ETHTYPE)
            say_types(describer);
        else if (name == OPTION_VLAN)
            say_tags(describer);
        else
            say_tests(describer, name);
    }
}

static bool has_contents(const struct describer *describer)
{
    for (enum option_name name = 1; filter_option(name) != NULL; name++)
        if (has(describer, name) && is_content(describer, name))
            return true;
    return false;
}

/* ---- exclusions ---- */

static bool has_exclusions(const struct describer *describer)
{
    return !describer->is_inner && describer->exclusions != NULL &&
           filter_exclude_has_endpoints(describer->exclusions);
}

static const char *address_text(const struct filter_endpoint *endpoint, char text[INET6_ADDRSTRLEN])
{
    return inet_ntop(endpoint->family, endpoint->address, text, INET6_ADDRSTRLEN);
}

static const char *ip(const struct filter_endpoint *endpoint)
{
    return endpoint->family == AF_INET ? "ip" : "ip6";
}

static void say_api(struct describer *describer, const struct filter_endpoint *api)
{
    char address[INET6_ADDRSTRLEN];

    address_text(api, address);
    say(describer, "(%s src host %s and tcp src port %u) or (%s dst host %s and tcp dst port %u)", ip(api),
        address, api->port, ip(api), address, api->port);
}

/* Those of the stream that have ports; over IPv6, behind a fragment header libpcap does not look for them. */
static void say_stream(struct describer *describer, const struct filter_endpoint *stream)
{
    char to[INET6_ADDRSTRLEN];

    address_text(stream, to);
    say(describer, "(%s dst host %s and udp dst port %u and udp src portrange %u-65535)", ip(stream), to,
        stream->port, (unsigned)STREAM_SOURCE_PORT_MIN);
    if (stream->family == AF_INET6)
        say(describer,
            " or (ip6 dst host %s and ip6[6] = 44 and ip6[40] = 17 and ip6[42:2] & 0xfff8 = 0 and "
            "ip6[50:2] = %u and ip6[48:2] >= %u)",
            to, stream->port, (unsigned)STREAM_SOURCE_PORT_MIN);
}

static void say_stream_fragments(struct describer *describer, const struct filter_endpoint *stream,
                                 const struct filter_endpoint *source)
{
    char to[INET6_ADDRSTRLEN], from[INET6_ADDRSTRLEN];

    if (source->family != stream->family)
        return;
    say(describer, " or (%s src host %s and %s dst host %s and %s)", ip(stream), address_text(source, from),
        ip(stream), address_text(stream, to),
        stream->family == AF_INET ? "ip[9] = 17 and ip[6:2] & 0x1fff != 0"
                                  : "ip6[6] = 44 and ip6[40] = 17 and ip6[42:2] & 0xfff8 != 0");
}

static void say_exclusions(struct describer *describer)
{
    const struct filter_exclusions *exclusions = describer->exclusions;

    say(describer, "(");
    for (size_t i = 0; i < exclusions->api_count; i++) {
        say(describer, "%s", i == 0 ? "" : " or ");
        say_api(describer, &exclusions->api[i]);
    }
    if (exclusions->has_stream) {
        say(describer, "%s", exclusions->api_count == 0 ? "" : " or ");
        say_stream(describer, &exclusions->stream);
        say_stream_fragments(describer, &exclusions->stream, &exclusions->stream_source);
    }
    say(describer, ")");
}

/* ---- what is transparent to tags ---- */

/* All tests at one depth. */
static void say_contents(struct describer *describer)
{
    const char *separator = "";

    for (enum option_name name = 1; filter_option(name) != NULL; name++)
        if (has(describer, name) && is_content(describer, name)) {
            say(describer, "%s", separator);
            say_tests(describer, name);
            separator = " and ";
        }
    if (has_exclusions(describer)) {
        say(describer, " and not ");
        say_exclusions(describer);
    }
}

/* The same with no tag, with one and with two. */
static void say_at_depths(struct describer *describer, void (*say_it)(struct describer *))
{
    if (!describer->is_ethernet) {
        say_it(describer);
        return;
    }
    say(describer, "((");
    say_it(describer);
    say(describer, ") or (vlan and ((");
    say_it(describer);
    say(describer, ") or (vlan and (");
    say_it(describer);
    say(describer, ")))))");
}

/* A packet that the contents let pass has just one depth, so there the exclusions can be said with them. */
static void say_transparent(struct describer *describer)
{
    if (!has_contents(describer) && !has_exclusions(describer))
        return;
    go_on(describer);
    if (has_contents(describer)) {
        say_at_depths(describer, say_contents);
    } else {
        say(describer, "not ");
        say_at_depths(describer, say_exclusions);
    }
}

/* ---- all of it ---- */

/* Whether it moves what follows it, so that nothing but itself could be said. */
static bool moves_others(const struct describer *describer)
{
    static const char *const MOVERS[] = {"vlan", "mpls", "pppoes", "geneve"};

    if (!has_contents(describer) && !has_exclusions(describer))
        return false;
    for (size_t i = 0; i < COUNT(MOVERS); i++)
        if (strstr(describer->request->capexpression, MOVERS[i]) != NULL)
            return true;
    return false;
}

static void say_outer(struct describer *describer)
{
    const char *expression = describer->request->capexpression;
    bool moves = moves_others(describer);

    say_fixed(describer);
    if (expression[0] != '\0' && !moves) {
        go_on(describer);
        say(describer, "(%s)", expression);
    }
    say_transparent(describer);
    if (moves)
        say(describer, "; and, from the start of the same frame: %s", expression);
}

/* libpcap has a word for Geneve, but it moves what follows, and none for VXLAN: so in words. */
static void say_inner(struct describer *describer)
{
    struct filter_terms ids;

    say(describer, "%sinside %s", describer->any ? "; and " : "", filter_tunnel_words);
    filter_terms_read(describer->request, OPTION_VNI, &ids, NULL);
    for (size_t i = 0; i < ids.count; i++)
        say(describer, "%s%s", i == 0 ? " with the VNI " : " or ", ids.text[i]);
    describer->is_inner = describer->is_ethernet = true;
    describer->any = false;
    if (has_contents(describer) || has(describer, OPTION_MAC) || has(describer, OPTION_SRCMAC) ||
        has(describer, OPTION_DSTMAC) || has(describer, OPTION_ETHTYPE))
        say(describer, ": ");
    say_fixed(describer);
    say_transparent(describer);
}

void filter_describe(const struct packet_capture_request *request, int linktype,
                     const struct filter_exclusions *exclusions, char *out, size_t size)
{
    struct describer describer = {
        .request = request,
        .exclusions = exclusions,
        .is_ethernet = linktype == DLT_EN10MB && request->cappoint != CAPPOINT_DVFILTER,
        .text = {.out = out, .size = size},
    };

    if (size == 0)
        return;
    out[0] = '\0';
    say_outer(&describer);
    if (filter_is_inner(request))
        say_inner(&describer);
    end(&describer.text);
}
