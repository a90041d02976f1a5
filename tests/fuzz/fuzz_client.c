/* What proxies say of their clients, in headers that came through the server. */
#include "fuzz/fuzz.h"

#include "auth/client.h"
#include "core/prefix.h"
#include "http/head.h"

#include <stdio.h>

enum { MAX = 8192 };

static const char BEFORE[] = "GET / HTTP/1.1\r\n", AFTER[] = "\r\n\r\n";

static void check(const struct config *config, const struct http_request *request)
{
    const char *origin = http_header(request, "Origin");
    struct client client;
    struct prefix address;

    client_find(config, request, &client);
    must(prefix_parse(client.address, strlen(client.address), &address));
    must(strnlen(client.host, sizeof client.host) < sizeof client.host);
    must(client.prefix[0] == '\0' ||
         (client.prefix[0] == '/' && strpbrk(client.prefix, " \"<>%;,\r\n") == NULL));
    if (origin != NULL)
        (void)client_is_origin(&client, origin);
}

/* The header's lines are the input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config config;
    size_t length = sizeof BEFORE - 1 + size + sizeof AFTER - 1, scanned = 0, found;
    struct head head;
    struct head_problem problem;
    char *text = malloc(length);

    must(text != NULL);
    memcpy(text, BEFORE, sizeof BEFORE - 1);
    if (size > 0)
        memcpy(text + sizeof BEFORE - 1, data, size);
    memcpy(text + length - (sizeof AFTER - 1), AFTER, sizeof AFTER - 1);
    snprintf(config.trusted_proxies, sizeof config.trusted_proxies, "127.0.0.1, 10.0.0.0/8, 2001:db8::/32");
    if (head_find_end(text, length, MAX, &scanned, &found, &problem) == HEAD_WHOLE &&
        head_read(text, found, &head, &problem)) {
        snprintf(head.request.peer, sizeof head.request.peer, "127.0.0.1");
        for (config.forwarded = FORWARDED_AUTO; config.forwarded <= FORWARDED_RFC7239; config.forwarded++)
            check(&config, &head.request);
    }
    free(text);
    return 0;
}
