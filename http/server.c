#include "http/server.h"

#include "http/listener.h"
#include "http/loop.h"
#include "http/site.h"

#include <stdlib.h>
#include <unistd.h>

struct http_server {
    struct site site;
};

static void server_free(struct http_server *server)
{
    for (int i = 0; i < LOOPS; i++)
        if (server->site.loops[i] != NULL)
            loop_free(server->site.loops[i]);
    if (server->site.crew != NULL)
        crew_free(server->site.crew);
    if (server->site.listener >= 0)
        close(server->site.listener);
    tls_close(server->site.tls);
    addresses_close(server->site.addresses);
    pthread_mutex_destroy(&server->site.tls_mutex);
    free(server);
}

static void threads_stop(struct http_server *server)
{
    atomic_store(&server->site.stopping, true);
    for (int i = 0; i < LOOPS; i++)
        if (server->site.loops[i] != NULL)
            loop_wake(server->site.loops[i]);
    for (int i = 0; i < LOOPS; i++)
        if (server->site.loops[i] != NULL)
            loop_join(server->site.loops[i]);
    if (server->site.crew != NULL)
        crew_stop(server->site.crew);
}

/* All loops are there before the first of them runs: it deals out to the others. */
static enum status site_open(struct site *site, struct error *error)
{
    int64_t most = site->settings.max_connections_per_address;
    enum status status = STATUS_OK;

    if (most > 0 && (site->addresses = addresses_open(most)) == NULL)
        return error_set(error, ERROR_HOST, NULL, "out of memory");

    for (int i = 0; i < LOOPS && status == STATUS_OK; i++)
        status = loop_open(site, i == 0, &site->loops[i], error);
    if (status == STATUS_OK)
        status = crew_open(&site->settings, &site->crew, error);
    for (int i = LOOPS; i-- > 0 && status == STATUS_OK;)
        status = loop_start(site->loops[i], error);
    return status;
}

enum status http_server_open(const struct http_settings *settings, struct tls *tls, struct http_server **out,
                             struct error *error)
{
    struct http_server *server = calloc(1, sizeof *server);

    if (server == NULL)
        return error_set(error, ERROR_HOST, NULL, "out of memory");
    server->site.settings = *settings;
    server->site.listener = -1;
    pthread_mutex_init(&server->site.tls_mutex, NULL);
    server->site.tls = tls;
    enum status status = listener_open(settings->listen, &server->site.listener, settings->address, error);
    if (status == STATUS_OK)
        status = site_open(&server->site, error);
    if (status == STATUS_OK) {
        *out = server;
        return STATUS_OK;
    }
    threads_stop(server);
    server->site.tls = NULL; /* the caller's still */
    server_free(server);
    return status;
}

void http_server_use_tls(struct http_server *server, struct tls *tls)
{
    pthread_mutex_lock(&server->site.tls_mutex);
    struct tls *old = server->site.tls;
    server->site.tls = tls;
    pthread_mutex_unlock(&server->site.tls_mutex);
    tls_close(old);
}

void http_server_close(struct http_server *server)
{
    threads_stop(server);
    server_free(server);
}
