/* How the broker's process comes to be. */
#include "broker/connection.h"
#include "broker/server.h"
#include "core/log.h"
#include "host/privileges.h"
#include "host/settle.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

/* "pktcap-broker" is as long as "pktcap-worker": where a process list shows the command line, it shows this.
 */
static void name_change(void)
{
    static const char FROM[] = "pktcap-worker", TO[] = "pktcap-broker";
    char *end = program_invocation_name + strlen(program_invocation_name);

    if ((size_t)(end - program_invocation_name) >= strlen(FROM) && strcmp(end - strlen(FROM), FROM) == 0)
        memcpy(end - strlen(FROM), TO, strlen(TO));
    prctl(PR_SET_NAME, TO);
}

/* Keeps nothing of the worker's but the standard files; standard input is the worker's lifeline, not ours. */
static void files_let_go(int socket)
{
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (nothing >= 0)
        dup2(nothing, STDIN_FILENO);
    dup2(socket, STDERR_FILENO + 1);
    close_range(STDERR_FILENO + 2, ~0U, 0);
    fcntl(STDERR_FILENO + 1, F_SETFD, FD_CLOEXEC);
}

/* The namespaces' directories are opened first: some lie where only root may go. */
static enum status child_settle(const struct config *config, struct namespaces **namespaces,
                                struct error *error)
{
    int keep[3] = {CAP_NET_RAW};
    size_t count = 1;
    struct identity identity;
    files_allow();
    enum status status = namespaces_open(config->netns_dirs, namespaces, error);

    if (config->netns_dirs[0] != '\0')
        keep[count++] = CAP_SYS_ADMIN;
    if (config->firewall)
        keep[count++] = CAP_NET_ADMIN;
    if (status == STATUS_OK)
        status = identity_find(config->user, &identity, error);
    if (status == STATUS_OK)
        status = privileges_keep(&identity, keep, count, error);
    /* The change of user has reset it. The worker may be gone already: then its end of the pair is closed. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    return status;
}

/* SIGTERM and SIGINT stay blocked, as the worker has them: it closes its captures with our help. */
static _Noreturn void child_run(const struct config *config, int socket)
{
    struct namespaces *namespaces;
    struct error error;

    name_change();
    log_open("pktcap-broker", (enum log_level)config->log_level);
    files_let_go(socket);
    if (chdir("/") != 0 || child_settle(config, &namespaces, &error) != STATUS_OK) {
        log_error("%s", error.message);
        _exit(EX_CONFIG);
    }
    server_run(STDERR_FILENO + 1, namespaces, config->firewall != 0);
    _exit(0);
}

enum status broker_start(const struct config *config, struct broker **out, struct error *error)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return error_set(error, ERROR_HOST, NULL, "cannot start the broker: %s", strerror(errno));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        child_run(config, ends[1]);
    int failed = errno;
    close(ends[1]);
    if (pid > 0 && broker_make(ends[0], pid, out, error) == STATUS_OK)
        return STATUS_OK;
    close(ends[0]);
    return error_set(error, ERROR_HOST, NULL, "cannot start the broker: %s", strerror(failed));
}
