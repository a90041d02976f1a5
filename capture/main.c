/* pktcap-worker: claims sessions from the store and captures. Listens on no network. */
#include "broker/broker.h"
#include "capture/place.h"
#include "capture/pool.h"
#include "core/config.h"
#include "core/log.h"
#include "host/doorbell.h"
#include "host/settle.h"
#include "host/signals.h"

#include <dirent.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

struct worker {
    struct config config;
    struct data_dir directory;
    char id[UUID_SIZE], node_id[UUID_SIZE];
    struct store *store;
    struct doorbell doorbell;
    struct pool *pool;
    struct broker *broker;
    char boot_id[BOOT_ID_SIZE];
    int signal_fd;
    DIR *sweeping; /* captures/, until it has been looked through */
};

enum { SWEEP_PAUSE_MS = 5 };

static enum status open_all(struct worker *worker, struct error *error)
{
    char path[DATA_PATH_SIZE];
    enum status status = data_dir_node_id(&worker->directory, worker->node_id, error);

    uuid_make(worker->id);
    if (status == STATUS_OK)
        status = store_open(data_dir_path(&worker->directory, "pktcapd.db", path), &worker->store, error);
    if (status == STATUS_OK)
        status = doorbell_open(&worker->doorbell, &worker->directory, worker->id, error);
    if (status == STATUS_OK)
        status = broker_publish(worker->broker, &worker->directory, worker->id, error);
    if (status != STATUS_OK)
        return status;
    worker->sweeping = opendir(data_dir_path(&worker->directory, "captures", path));
    struct pool_settings settings = {&worker->config, &worker->directory, worker->store,  worker->node_id,
                                     worker->id,      worker->broker,     worker->boot_id};
    return pool_open(&settings, &worker->pool, error);
}

/* A crash between the deletion of a row and that of its files leaves files that nobody can ask for. They are
 * looked for bit by bit, as there may be very many sessions and captures must not wait for that. Returns
 * whether there is more to look at. */
static bool sweep(struct worker *worker)
{
    enum { AT_ONCE = 100 };
    const struct dirent *entry = NULL;
    char id[UUID_SIZE];
    struct error error;
    bool known;

    for (int i = 0; i < AT_ONCE && worker->sweeping != NULL; i++) {
        if ((entry = readdir(worker->sweeping)) == NULL) {
            closedir(worker->sweeping);
            worker->sweeping = NULL;
            return false;
        }
        if (!uuid_parse(entry->d_name, id) ||
            store_has_session(worker->store, id, &known, &error) != STATUS_OK || known)
            continue;
        log_info("removing the files of deleted session %s", id);
        if (data_dir_remove_session(&worker->directory, id, &error) != STATUS_OK)
            log_warning("%s", error.message);
    }
    return worker->sweeping != NULL;
}

/* Returns what to end with. Without its broker a worker is no good: the next one resumes its captures. */
static int work(struct worker *worker)
{
    struct pollfd ready[] = {
        {.fd = worker->signal_fd, .events = POLLIN},
        {.fd = worker->doorbell.socket, .events = POLLIN},
        {.fd = pool_fd(worker->pool), .events = POLLIN},
        {.fd = worker->config.supervised ? STDIN_FILENO : -1, .events = POLLIN},
        {.fd = broker_fd(worker->broker), .events = POLLRDHUP},
    };

    log_info("worker %s ready for node %s, at most %d captures at once", worker->id, worker->node_id,
             (int)worker->config.max_captures);
    pool_work(worker->pool, true);
    for (;;) {
        int due_ms = pool_due_ms(worker->pool);
        bool more = sweep(worker);
        if (poll(ready, 5, more && due_ms > SWEEP_PAUSE_MS ? SWEEP_PAUSE_MS : due_ms) < 0)
            continue;
        if (ready[0].revents != 0 || ready[3].revents != 0)
            return EX_OK;
        if (ready[4].revents != 0) {
            log_error("the broker has ended unexpectedly");
            return EX_SOFTWARE;
        }
        if (ready[1].revents != 0)
            doorbell_answer(&worker->doorbell);
        pool_work(worker->pool, ready[1].revents != 0);
    }
}

static void close_all(struct worker *worker)
{
    if (worker->sweeping != NULL)
        closedir(worker->sweeping);
    if (worker->pool != NULL)
        pool_close(worker->pool);
    if (worker->broker != NULL)
        broker_close(worker->broker);
    if (worker->doorbell.directory != NULL)
        doorbell_close(&worker->doorbell);
    store_close(worker->store);
}

static int run(struct worker *worker)
{
    struct error error;

    log_open("pktcap-worker", (enum log_level)worker->config.log_level);
    umask(027);
    worker->signal_fd = signals_open(false);
    int outcome = EX_CONFIG;
    place_read_boot_id(worker->boot_id);
    enum status status = broker_start(&worker->config, &worker->broker, &error);
    if (status == STATUS_OK)
        status =
            settle(worker->config.user, worker->config.data_dir, CAP_NET_RAW, &worker->directory, &error);
    if (status == STATUS_OK && !privileges_have(CAP_NET_RAW))
        log_warning(
            "no CAP_NET_RAW: every capture will end with PERMISSION; start as root, or give the capability "
            "to pktcap-worker (setcap cap_net_raw+ep)");
    if (status == STATUS_OK)
        status = open_all(worker, &error);
    if (status == STATUS_OK) {
        outcome = work(worker);
        log_info("stopping");
    } else {
        log_error("%s", error.message);
    }
    close_all(worker);
    return outcome;
}

int main(int argc, char **argv)
{
    static struct worker worker;
    enum config_outcome outcome;
    struct error error;

    if (config_load(&worker.config, PROGRAM_WORKER, argc, argv, &outcome, &error) != STATUS_OK) {
        fprintf(stderr, "pktcap-worker: %s\n", error.message);
        return 2;
    }
    if (outcome == CONFIG_HELP)
        return config_help(PROGRAM_WORKER, stdout), 0;
    if (outcome == CONFIG_VERSION)
        return printf("pktcap-worker %s\n", PKTCAPD_VERSION) < 0;
    return run(&worker);
}
