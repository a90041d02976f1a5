#include "core/prefix.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { MAPPED_BITS = 96 };

static void unmap(struct prefix *prefix)
{
    static const uint8_t MAPPED[12] = {[10] = 0xff, [11] = 0xff};

    if (prefix->family != AF_INET6 || prefix->bits < MAPPED_BITS ||
        memcmp(prefix->address, MAPPED, sizeof MAPPED) != 0)
        return;
    memmove(prefix->address, prefix->address + sizeof MAPPED, 4);
    prefix->family = AF_INET;
    prefix->bits -= MAPPED_BITS;
}

/* Decimal digits and nothing else, at most `most`. */
static bool bits_parse(const char *text, unsigned most, unsigned *bits)
{
    char *end;

    if (!isdigit((unsigned char)text[0]) || strlen(text) > 3)
        return false;
    unsigned long value = strtoul(text, &end, 10);
    *bits = (unsigned)value;
    return *end == '\0' && value <= most;
}

bool prefix_parse(const char *text, size_t length, struct prefix *prefix)
{
    char copy[INET6_ADDRSTRLEN + 4];

    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash = '\0';
    *prefix = (struct prefix){.family = strchr(copy, ':') == NULL ? AF_INET : AF_INET6};
    unsigned most = prefix->family == AF_INET ? 32 : 128;
    prefix->bits = most;
    if (inet_pton(prefix->family, copy, prefix->address) != 1 ||
        (slash != NULL && !bits_parse(slash + 1, most, &prefix->bits)))
        return false;
    unmap(prefix);
    return true;
}

bool prefix_holds(const struct prefix *network, const struct prefix *address)
{
    size_t whole = network->bits / 8;
    unsigned rest = network->bits % 8;

    if (network->family != address->family || network->bits > address->bits ||
        memcmp(network->address, address->address, whole) != 0)
        return false;
    return rest == 0 || ((network->address[whole] ^ address->address[whole]) >> (8 - rest)) == 0;
}

bool prefixes_hold(const char *list, const char *separators, const char *text)
{
    struct prefix address, network;

    if (!prefix_parse(text, strlen(text), &address))
        return false;
    for (const char *at = list; *(at += strspn(at, separators)) != '\0'; at += strcspn(at, separators))
        if (prefix_parse(at, strcspn(at, separators), &network) && prefix_holds(&network, &address))
            return true;
    return false;
}

bool prefixes_are_valid(const char *list, const char *separators)
{
    struct prefix network;

    for (const char *at = list; *(at += strspn(at, separators)) != '\0'; at += strcspn(at, separators))
        if (!prefix_parse(at, strcspn(at, separators), &network))
            return false;
    return true;
}
