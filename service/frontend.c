#include "service/frontend.h"

#include "auth/audit.h"
#include "auth/guard.h"
#include "auth/secrets.h"
#include "core/clock.h"
#include "core/log.h"
#include "host/privileges.h"
#include "host/settle.h"
#include "host/signals.h"
#include "service/http.h"
#include "service/people.h"
#include "service/tls_files.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* Passwords checked at once. More would not be faster, and starve everything else of the CPU. */
enum { PASSWORD_CHECKS = 2 };

/* The password of a new administrator is for the terminal, not for the log. */
static enum status begin_people(struct store *store, struct error *error)
{
    char printed[TOKEN_SECRET_SIZE];
    const char *password = getenv(ADMIN_PASSWORD_VARIABLE);

    if (!secrets_open())
        return error_set(error, ERROR_INTERNAL, NULL, "there is no randomness");
    enum status status = people_begin(store, password, printed, error);

    environment_forget(ADMIN_PASSWORD_VARIABLE);
    if (status == STATUS_OK && printed[0] != '\0')
        printf("The first administrator is admin, the password is %s\nIt is not shown again.\n", printed);
    fflush(stdout);
    secret_forget(printed, sizeof printed);
    return status;
}

/* Opens the store once before anyone is served: a database that cannot be used is told at start. */
static enum status store_try(const struct data_dir *directory, struct error *error)
{
    char path[DATA_PATH_SIZE];
    struct store *store;
    enum status status = store_open(data_dir_path(directory, "pktcapd.db", path), &store, error);

    if (status == STATUS_OK) {
        status = begin_people(store, error);
        store_close(store);
    }
    return status;
}

static enum status service_describe(const struct config *config, const struct data_dir *directory,
                                    atomic_int *waiting, struct service *service, struct error *error)
{
    *service = (struct service){.config = config,
                                .directory = directory,
                                .guard = guard_open(PASSWORD_CHECKS, (int)config->http_threads),
                                .audit = audit_open(),
                                .waiting = waiting};
    if (service->guard == NULL || service->audit == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    if (config->node_name[0] != '\0')
        snprintf(service->node_name, sizeof service->node_name, "%s", config->node_name);
    else
        gethostname(service->node_name, sizeof service->node_name - 1);
    return data_dir_node_id(directory, service->node_id, error);
}

/* A certificate that cannot be used is no reason to give up the one that is in use. */
static void certificate_renew(const struct config *config, int tls_channel, struct http_server *server)
{
    struct tls *tls;
    struct error error;

    if (tls_files_receive(config, tls_channel, &tls, &error) != STATUS_OK) {
        log_error("%s; the certificate stays as it was", error.message);
        return;
    }
    log_info("certificate read again: %s", tls_describe(tls));
    http_server_use_tls(server, tls);
}

/* Whether to end in order: if standard input closed, the parent is gone, and whoever starts the service again
 * needs the port at once. */
static bool wait_for_end(const struct config *config, int signal_fd, int tls_channel,
                         struct http_server *server)
{
    struct pollfd ready[] = {{.fd = signal_fd, .events = POLLIN},
                             {.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = tls_channel, .events = POLLIN}};

    for (;;) {
        if (poll(ready, 3, -1) < 0)
            continue;
        if (ready[0].revents != 0 || ready[1].revents != 0)
            return ready[0].revents != 0;
        if (ready[2].revents & POLLIN)
            certificate_renew(config, tls_channel, server);
        else if (ready[2].revents != 0)
            ready[2].fd = -1;
    }
}

static enum status http_open_with(struct service *service, int tls_channel, struct http_server **server,
                                  struct error *error)
{
    struct tls *tls = NULL;
    enum status status = STATUS_OK;

    if (tls_channel >= 0)
        status = tls_files_receive(service->config, tls_channel, &tls, error);
    if (status != STATUS_OK)
        return status;
    /* A service that was killed a moment ago may still be letting go of the port. */
    for (int tries = 0; (status = http_open(service, tls, server, error)) != STATUS_OK && tries < 20; tries++)
        nanosleep(&(struct timespec){.tv_nsec = 100 * NS_PER_MS}, NULL);
    if (status != STATUS_OK)
        tls_close(tls);
    else if (tls != NULL)
        log_info("certificate: %s", tls_describe(tls));
    return status;
}

/* For each connection one, and a download of a ring opens all its files first. */
static void allow_many_files(const struct config *config)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warning("cannot raise the limit of open files: %s", strerror(errno));
    if (http_max_connections(config) < config->max_connections)
        log_warning("max_connections is %lld, but the limit of open files is %lld: at most %lld connections",
                    (long long)config->max_connections, (long long)limit.rlim_cur,
                    (long long)http_max_connections(config));
}

int frontend_run(const struct config *config, int tls_channel)
{
    struct data_dir directory;
    atomic_int waiting = 0;
    struct service service;
    struct http_server *server;
    struct error error;

    prctl(PR_SET_NAME, "pktcapd-rest");
    /* An arena for each thread: requests allocate much, and glibc would let dozens of threads share a few. */
    mallopt(M_ARENA_MAX, (int)config->http_threads + 4);
    allow_many_files(config);
    int signal_fd = signals_open(false);
    enum status status = settle(config->user, config->data_dir, NO_CAPABILITY, &directory, &error);
    privileges_conceal();
    if (status == STATUS_OK)
        status = store_try(&directory, &error);
    if (status == STATUS_OK)
        status = service_describe(config, &directory, &waiting, &service, &error);
    if (status == STATUS_OK)
        status = http_open_with(&service, tls_channel, &server, &error);
    if (status != STATUS_OK) {
        log_error("%s", error.message);
        return EX_CONFIG;
    }
    log_info("listening on %s://%s, node %s (%s), data in %s", tls_channel >= 0 ? "https" : "http",
             service.api_address, service.node_id, service.node_name, directory.shown);
    if (!wait_for_end(config, signal_fd, tls_channel, server))
        _exit(0);
    http_server_close(server);
    audit_close(service.audit);
    guard_close(service.guard);
    return 0;
}
