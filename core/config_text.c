#include "core/config_text.h"

#include "core/prefix.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_port(const char *text)
{
    int end = 0;
    unsigned port;

    return isdigit((unsigned char)text[0]) && sscanf(text, "%5u%n", &port, &end) == 1 && text[end] == '\0' &&
           port <= 65535;
}

/* An IPv4 address in IPv6's form would listen as one family, and be seen as the other. */
static bool is_ipv6(const char *host)
{
    struct in6_addr address;

    return inet_pton(AF_INET6, host, &address) == 1 && !IN6_IS_ADDR_V4MAPPED(&address);
}

/* "127.0.0.1:8080", "[::1]:8080". Both parts are required: a port alone would mean every address. */
static bool is_address(const char *value)
{
    const char *colon = strrchr(value, ':');
    bool bracketed = value[0] == '[';
    struct in_addr address;
    char host[INET6_ADDRSTRLEN];

    if (colon == NULL || !is_port(colon + 1) || (bracketed && (colon - value < 3 || colon[-1] != ']')))
        return false;
    int length = (int)(colon - value) - (bracketed ? 2 : 0);
    if (length >= (int)sizeof host)
        return false;
    snprintf(host, sizeof host, "%.*s", length, value + bracketed);
    return bracketed ? is_ipv6(host) : inet_pton(AF_INET, host, &address) == 1;
}

/* "443,8443", or nothing. */
static bool is_port_list(const char *value)
{
    for (const char *at = value; *at != '\0';) {
        char *end;
        unsigned long port = isdigit((unsigned char)*at) ? strtoul(at, &end, 10) : 0;
        if (port < 1 || port > 65535 || (*end != '\0' && (*end != ',' || end[1] == '\0')))
            return false;
        at = end + (*end == ',');
    }
    return true;
}

/* "/lab/capture", or nothing. */
static bool is_path(const char *value)
{
    size_t length = strlen(value);

    return length == 0 || (value[0] == '/' && value[length - 1] != '/' && strstr(value, "//") == NULL &&
                           strstr(value, "/.") == NULL && strpbrk(value, "?#%\\\" ;,") == NULL);
}

/* The name of a header (RFC 9110, section 5.6.2), or nothing. */
static bool is_header(const char *value)
{
    for (; *value != '\0'; value++)
        if (!isalnum((unsigned char)*value) && *value != '-' && *value != '_')
            return false;
    return true;
}

const char *config_text_wanted(enum key_kind kind, const char *value)
{
    switch (kind) {
    case KEY_ADDRESS:
        return is_address(value) ? NULL : "ADDR:PORT, or [ADDR]:PORT for IPv6";
    case KEY_PORTS:
        return is_port_list(value) ? NULL : "ports from 1 to 65535, separated by commas";
    case KEY_NETWORKS:
        return prefixes_are_valid(value, ", ") ? NULL : "addresses and networks, separated by commas";
    case KEY_PATH:
        return is_path(value) ? NULL : "a path that begins with a slash and does not end with one";
    case KEY_HEADER:
        return is_header(value) ? NULL : "the name of a header";
    default:
        return NULL;
    }
}
