#include "auth/client.h"

#include "core/prefix.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LIST_SIZE = 4096 };

/* One hop: what a proxy says of the connection that it took. */
struct hop {
    char address[CLIENT_ADDRESS_SIZE]; /* empty: not an address (RFC 7239: unknown, _hidden) */
    char proto[8];
    char host[256];
};

static bool is_trusted(const struct config *config, const char *address)
{
    return prefixes_hold(config->trusted_proxies, ", ", address);
}

static const char *skip_spaces(const char *at)
{
    return at + strspn(at, " \t");
}

static void copy_text(const char *from, size_t length, char *out, size_t size)
{
    snprintf(out, size, "%.*s", length < size ? (int)length : 0, from);
}

/* One spelling for each address, as the audit and the guard compare text. */
static void address_write(const struct prefix *address, char out[CLIENT_ADDRESS_SIZE])
{
    if (inet_ntop(address->family, address->address, out, CLIENT_ADDRESS_SIZE) == NULL)
        out[0] = '\0';
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80"; false: none of these. */
static bool address_read(const char *text, size_t length, char out[CLIENT_ADDRESS_SIZE])
{
    const char *colon = memchr(text, ':', length), *end = text + length;
    struct prefix address;

    if (length > 0 && text[0] == '[') {
        const char *bracket = memchr(text, ']', length);
        text++;
        end = bracket == NULL ? text : bracket;
    } else if (colon != NULL && memchr(colon + 1, ':', (size_t)(end - colon - 1)) == NULL) {
        end = colon;
    }
    out[0] = '\0';
    if (memchr(text, '/', (size_t)(end - text)) == NULL && prefix_parse(text, (size_t)(end - text), &address))
        address_write(&address, out);
    return out[0] != '\0';
}

static bool is_host(const char *text)
{
    return text[0] != '\0' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") ==
               strlen(text);
}

/* ---- X-Forwarded ---- */

/* The last member of a list of a header's values. */
static bool last_member(const struct http_request *request, const char *header, char *out, size_t size)
{
    char list[LIST_SIZE];

    if (!http_header_list(request, header, list, sizeof list) || list[0] == '\0')
        return false;
    const char *comma = strrchr(list, ','), *from = skip_spaces(comma == NULL ? list : comma + 1);
    size_t length = strlen(from);
    while (length > 0 && strchr(" \t", from[length - 1]) != NULL)
        length--;
    copy_text(from, length, out, size);
    return out[0] != '\0';
}

/* Reads a list from its end, where the nearest proxy wrote. True: all of it are trusted proxies. */
static bool client_from_value(const struct config *config, const char *list, struct client *client)
{
    for (const char *end = list + strlen(list); end > list;) {
        const char *from = end;
        char address[CLIENT_ADDRESS_SIZE];
        while (from > list && from[-1] != ',')
            from--;
        const char *text = from + strspn(from, " \t");
        const char *stop = end;
        while (stop > text && strchr(" \t", stop[-1]) != NULL)
            stop--;
        if (text > stop || !address_read(text, (size_t)(stop - text), address))
            return false;
        memcpy(client->address, address, sizeof address);
        if (!is_trusted(config, address))
            return false;
        end = from > list ? from - 1 : list;
    }
    return true;
}

/* The last header of a name was added by the nearest proxy. */
static void client_from_headers(const struct config *config, const struct http_request *request,
                                const char *name,
                                bool (*read)(const struct config *, const char *, struct client *),
                                struct client *client)
{
    for (size_t left = request->header_count; left > 0; left--) {
        const struct http_header *header = &request->headers[left - 1];
        if (strcasecmp(header->name, name) == 0 && !read(config, header->value, client))
            return;
    }
}

static void use_x_forwarded(const struct config *config, const struct http_request *request,
                            struct client *client)
{
    char proto[8], host[sizeof client->host];

    client_from_headers(config, request, "X-Forwarded-For", client_from_value, client);
    if (last_member(request, "X-Forwarded-Proto", proto, sizeof proto))
        client->secure = strcasecmp(proto, "https") == 0;
    if (last_member(request, "X-Forwarded-Host", host, sizeof host) && is_host(host))
        memcpy(client->host, host, sizeof host);
}

/* ---- Forwarded ---- */

/* Reads a token or quoted-string that ends before `end`; returns what is behind it, NULL if it is neither. */
static const char *value_read(const char *at, const char *end, char *out, size_t size)
{
    size_t used = 0;
    bool quoted = at < end && *at == '"';

    for (at += quoted; at < end && (quoted ? *at != '"' : strchr(";, \t\"", *at) == NULL); at++) {
        if (quoted && *at == '\\' && ++at == end)
            return NULL;
        if (used + 1 >= size)
            return NULL;
        out[used++] = *at;
    }
    out[used] = '\0';
    if (quoted && at == end)
        return NULL;
    return at + quoted;
}

static const char *pair_read(const char *at, const char *end, struct hop *hop)
{
    const char *name = at, *equals = memchr(at, '=', (size_t)(end - at));
    char value[256];

    if (equals == NULL || (at = value_read(equals + 1, end, value, sizeof value)) == NULL)
        return NULL;
    size_t length = (size_t)(equals - name);
    if (strcspn(name, ",; \t\"") < length)
        return NULL;
    if (length == 3 && strncasecmp(name, "for", 3) == 0)
        address_read(value, strlen(value), hop->address);
    else if (length == 5 && strncasecmp(name, "proto", 5) == 0)
        copy_text(value, strlen(value), hop->proto, sizeof hop->proto);
    else if (length == 4 && strncasecmp(name, "host", 4) == 0 && is_host(value))
        copy_text(value, strlen(value), hop->host, sizeof hop->host);
    return at;
}

/* Whether a piece of the header is one whole element. */
static bool hop_read(const char *at, const char *end, struct hop *hop)
{
    bool any = false;

    *hop = (struct hop){0};
    for (;;) {
        while (at < end && strchr("; \t", *at) != NULL)
            at++;
        if (at == end)
            return any;
        if ((at = pair_read(at, end, hop)) == NULL || (at < end && strchr("; \t", *at) == NULL))
            return false;
        any = true;
    }
}

/* From the end, where the nearest proxy wrote. What a client wrote before that may hold a quotation mark that
 * nothing closes: so a comma counts wherever what is behind it is an element. */
static bool client_from_forwarded(const struct config *config, const char *list, struct client *client)
{
    const char *end = list + strlen(list);

    for (const char *from = end; from >= list; from--) {
        struct hop hop;
        if ((from > list && from[-1] != ',') || !hop_read(from, end, &hop))
            continue;
        if (hop.address[0] == '\0')
            return false;
        memcpy(client->address, hop.address, sizeof client->address);
        if (hop.proto[0] != '\0')
            client->secure = strcasecmp(hop.proto, "https") == 0;
        if (hop.host[0] != '\0')
            memcpy(client->host, hop.host, sizeof client->host);
        if (!is_trusted(config, hop.address))
            return false;
        if (from == list)
            return true;
        end = from - 1;
    }
    return false;
}

/* ---- the whole ---- */

static void use_prefix(const struct http_request *request, struct client *client)
{
    char prefix[sizeof client->prefix];

    if (!last_member(request, "X-Forwarded-Prefix", prefix, sizeof prefix) || prefix[0] != '/' ||
        strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~-/") !=
            strlen(prefix) ||
        strstr(prefix, "//") != NULL || strstr(prefix, "/.") != NULL)
        return;
    size_t length = strlen(prefix);
    if (prefix[length - 1] == '/')
        prefix[length - 1] = '\0';
    memcpy(client->prefix, prefix, sizeof prefix);
}

void client_find(const struct config *config, const struct http_request *request, struct client *client)
{
    const char *host = http_header(request, "Host");

    *client = (struct client){.trusted = is_trusted(config, request->peer), .secure = request->secure};
    if (!address_read(request->peer, strlen(request->peer), client->address))
        snprintf(client->address, sizeof client->address, "%s", request->peer);
    if (host != NULL && is_host(host))
        copy_text(host, strlen(host), client->host, sizeof client->host);
    snprintf(client->prefix, sizeof client->prefix, "%s", config->path_prefix);
    if (!client->trusted)
        return;
    /* A proxy that sets the one may hand on the other as the client wrote it: only one of them counts. */
    bool standard =
        http_header(request, "Forwarded") != NULL && http_header(request, "X-Forwarded-For") == NULL;
    if (config->forwarded == FORWARDED_RFC7239 || (config->forwarded == FORWARDED_AUTO && standard))
        client_from_headers(config, request, "Forwarded", client_from_forwarded, client);
    else
        use_x_forwarded(config, request, client);
    use_prefix(request, client);
}

bool client_is_origin(const struct client *client, const char *origin)
{
    const char *scheme = client->secure ? "https://" : "http://", *port = client->secure ? ":443" : ":80";
    size_t length = strlen(client->host), port_length = strlen(port);

    if (strncasecmp(origin, scheme, strlen(scheme)) != 0 || length == 0)
        return false;
    const char *host = origin + strlen(scheme);
    if (length > port_length && strcmp(client->host + length - port_length, port) == 0 &&
        strlen(host) == length - port_length)
        length -= port_length;
    return strlen(host) == length && strncasecmp(host, client->host, length) == 0;
}
