#include "auth/client.h"

#include "core/prefix.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { LIST_SIZE = 4096, HOPS_MAX = 32 };

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

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]:80". */
static void address_read(const char *text, char out[CLIENT_ADDRESS_SIZE])
{
    const char *from = text, *colon = strchr(text, ':');
    size_t length = strlen(text);
    struct prefix address;

    if (text[0] == '[') {
        from++;
        length = strcspn(from, "]");
    } else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        length = (size_t)(colon - text);
    }
    out[0] = '\0';
    if (memchr(from, '/', length) == NULL && prefix_parse(from, length, &address))
        copy_text(from, length, out, CLIENT_ADDRESS_SIZE);
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

static void client_from_list(const struct config *config, char *list, struct client *client)
{
    char *end = list + strlen(list);
    bool more = list[0] != '\0';

    while (more) {
        char address[CLIENT_ADDRESS_SIZE], text[64];
        char *comma = strrchr(list, ',');
        const char *from = skip_spaces(comma == NULL ? list : comma + 1);
        copy_text(from, (size_t)(end - from), text, sizeof text);
        text[strcspn(text, " \t")] = '\0';
        address_read(text, address);
        if (address[0] == '\0')
            return;
        memcpy(client->address, address, sizeof address);
        more = comma != NULL && is_trusted(config, address);
        if (more) {
            *comma = '\0';
            end = comma;
        }
    }
}

static void use_x_forwarded(const struct config *config, const struct http_request *request,
                            struct client *client)
{
    char list[LIST_SIZE], proto[8], host[sizeof client->host];

    if (http_header_list(request, "X-Forwarded-For", list, sizeof list))
        client_from_list(config, list, client);
    if (last_member(request, "X-Forwarded-Proto", proto, sizeof proto))
        client->secure = strcasecmp(proto, "https") == 0;
    if (last_member(request, "X-Forwarded-Host", host, sizeof host) && is_host(host))
        memcpy(client->host, host, sizeof host);
}

/* ---- Forwarded ---- */

/* Reads a token or quoted-string; returns what is behind it, NULL if it is neither. */
static const char *value_read(const char *at, char *out, size_t size)
{
    size_t used = 0;

    if (*at != '"') {
        size_t length = strcspn(at, ",; \t\"");
        copy_text(at, length, out, size);
        return at + length;
    }
    for (at++; *at != '"'; at++) {
        if (*at == '\\')
            at++;
        if (*at == '\0' || used + 1 >= size)
            return NULL;
        out[used++] = *at;
    }
    out[used] = '\0';
    return at + 1;
}

static const char *pair_read(const char *at, struct hop *hop)
{
    char value[256];
    size_t length = strcspn(at, "=,; \t");
    const char *name = at;

    if (at[length] != '=' || (at = value_read(at + length + 1, value, sizeof value)) == NULL)
        return NULL;
    if (length == 3 && strncasecmp(name, "for", 3) == 0)
        address_read(value, hop->address);
    else if (length == 5 && strncasecmp(name, "proto", 5) == 0)
        copy_text(value, strlen(value), hop->proto, sizeof hop->proto);
    else if (length == 4 && strncasecmp(name, "host", 4) == 0 && is_host(value))
        copy_text(value, strlen(value), hop->host, sizeof hop->host);
    return skip_spaces(at);
}

/* Returns how many hops there are, the last of them last; 0 if it cannot be read. */
static size_t hops_read(const char *at, struct hop hops[HOPS_MAX])
{
    size_t count = 0;

    for (at = skip_spaces(at); *at != '\0'; at = skip_spaces(at)) {
        if (count == HOPS_MAX)
            return 0;
        struct hop *hop = &hops[count++];
        *hop = (struct hop){0};
        while (*at != '\0' && *at != ',') {
            if (*at == ';')
                at = skip_spaces(at + 1);
            else if ((at = pair_read(at, hop)) == NULL)
                return 0;
        }
        at += *at == ',';
    }
    return count;
}

static void use_forwarded(const struct config *config, const struct http_request *request,
                          struct client *client)
{
    struct hop hops[HOPS_MAX];
    char list[LIST_SIZE];

    if (!http_header_list(request, "Forwarded", list, sizeof list))
        return;
    for (size_t left = hops_read(list, hops); left > 0; left--) {
        const struct hop *hop = &hops[left - 1];
        if (hop->address[0] == '\0')
            return;
        memcpy(client->address, hop->address, sizeof client->address);
        if (hop->proto[0] != '\0')
            client->secure = strcasecmp(hop->proto, "https") == 0;
        if (hop->host[0] != '\0')
            memcpy(client->host, hop->host, sizeof client->host);
        if (!is_trusted(config, hop->address))
            return;
    }
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
        use_forwarded(config, request, client);
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
