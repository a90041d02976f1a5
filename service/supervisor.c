#include "service/supervisor.h"

#include "core/clock.h"
#include "core/log.h"
#include "host/privileges.h"
#include "host/signals.h"
#include "service/frontend.h"
#include "service/tls_files.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

enum {
    BACK_OFF_FIRST_MS = 100,
    BACK_OFF_MOST_MS = 10000,
    HEALTHY_MS = 10000, /* a child that lived so long is started again at once */
    STOP_MS = 15000,    /* what a child gets to end in order */
    CHILDREN = 2,
};

struct supervisor {
    const struct config *config;
    char **argv;
    int signal_fd;
    int tls_channel, tls_receiver; /* the way of certificates to the front end; -1: none */
    struct child {
        const char *name;
        int (*run)(const struct supervisor *supervisor); /* in the child; returns its exit status */
        pid_t pid;                                       /* 0: not running */
        int lifeline;        /* our end of its standard input: closes with us, however we end */
        int64_t started_ms;  /* monotonic */
        int64_t start_at_ms; /* monotonic, while it is not running */
        int64_t back_off_ms;
        int starts;
    } children[CHILDREN]; /* in the order in which they are stopped */
    bool stopping;
    int exit_status;
};

static int run_frontend(const struct supervisor *supervisor)
{
    return frontend_run(supervisor->config, supervisor->tls_receiver);
}

/* The worker lies beside this program, or in the PATH, and gets the same command line. */
static int run_worker(const struct supervisor *supervisor)
{
    char self[4096], path[4200];
    size_t count = 0;
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);

    while (supervisor->argv[count] != NULL)
        count++;
    char **words = calloc(count + 2, sizeof *words);
    if (length < 0 || words == NULL)
        return EX_OSERR;
    self[length] = '\0';
    snprintf(path, sizeof path, "%s/pktcap-worker", dirname(self));
    memcpy(words + 1, supervisor->argv, count * sizeof *words);
    words[0] = "pktcap-worker";
    words[1] = "--supervised";
    memcpy(words + 2, supervisor->argv + 1, (count - 1) * sizeof *words);
    environment_forget(ADMIN_PASSWORD_VARIABLE);
    execv(path, words);
    if (errno == ENOENT)
        execvp("pktcap-worker", words);
    log_error("cannot run %s: %s%s", path, strerror(errno),
              errno == EPERM
                  ? "; the file has a capability that this container or unit withholds: add CAP_NET_RAW"
                  : "");
    return EX_CONFIG;
}

static void child_become(struct supervisor *supervisor, const struct child *child, int standard_input)
{
    sigset_t none;

    dup2(standard_input, STDIN_FILENO);
    close(standard_input);
    if (supervisor->tls_channel >= 0)
        close(supervisor->tls_channel);
    close(supervisor->signal_fd);
    for (int i = 0; i < CHILDREN; i++)
        if (supervisor->children[i].lifeline >= 0)
            close(supervisor->children[i].lifeline);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGHUP, SIG_IGN); /* the parent's business, also where all get it */
    exit(child->run(supervisor));
}

/* ---- the certificate ---- */

static bool has_tls(const struct supervisor *supervisor)
{
    return supervisor->config->tls_certificate[0] != '\0';
}

static void descriptor_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A channel of its own for each front end, with the certificate in it. */
static enum status tls_prepare(struct supervisor *supervisor, struct error *error)
{
    int ends[2];

    descriptor_close(&supervisor->tls_channel);
    if (!has_tls(supervisor))
        return STATUS_OK;
    if (!tls_files_channel(ends))
        return error_set(error, ERROR_HOST, NULL, "cannot make a socket: %s", strerror(errno));
    supervisor->tls_channel = ends[0];
    supervisor->tls_receiver = ends[1];
    return tls_files_send(supervisor->config, supervisor->tls_channel, error);
}

static void tls_renew(const struct supervisor *supervisor)
{
    struct error error;

    if (!has_tls(supervisor))
        log_info("SIGHUP: there is no certificate to read again");
    else if (tls_files_send(supervisor->config, supervisor->tls_channel, &error) != STATUS_OK)
        log_error("%s; the certificate stays as it was", error.message);
}

/* ---- starting and ending ---- */

static void start_failed(struct child *child, const char *reason)
{
    log_error("cannot start %s: %s", child->name, reason);
    child->start_at_ms = child->started_ms + BACK_OFF_MOST_MS;
}

static void child_fork(struct supervisor *supervisor, struct child *child)
{
    int ends[2];

    if (pipe2(ends, 0) != 0) {
        start_failed(child, strerror(errno));
        return;
    }
    fflush(NULL);
    child->lifeline = ends[1];
    child->pid = fork();
    if (child->pid == 0)
        child_become(supervisor, child, ends[0]);
    /* The first front end has it, and makes the administrator; no other needs it. */
    if (child->pid > 0 && child->run == run_frontend)
        environment_forget(ADMIN_PASSWORD_VARIABLE);
    close(ends[0]);
    if (child->pid < 0) {
        start_failed(child, strerror(errno));
        descriptor_close(&child->lifeline);
        child->pid = 0;
    }
}

static void child_start(struct supervisor *supervisor, struct child *child)
{
    struct error error;

    child->started_ms = clock_monotonic_ms();
    child->starts++;
    if (child->run != run_frontend || tls_prepare(supervisor, &error) == STATUS_OK) {
        child_fork(supervisor, child);
    } else {
        start_failed(child, error.message);
        supervisor->stopping = supervisor->stopping || child->starts == 1;
        supervisor->exit_status = supervisor->stopping;
    }
    descriptor_close(&supervisor->tls_receiver);
}

static void end_log(const struct child *child, int status)
{
    if (WIFSIGNALED(status))
        log_warning("%s was killed by signal %d (%s)", child->name, WTERMSIG(status),
                    strsignal(WTERMSIG(status)));
    else
        log_warning("%s ended with status %d", child->name, WEXITSTATUS(status));
}

static void child_ended(struct supervisor *supervisor, struct child *child, int status)
{
    int64_t now_ms = clock_monotonic_ms();
    bool hopeless = WIFEXITED(status) && WEXITSTATUS(status) == EX_CONFIG && child->starts == 1;

    child->pid = 0;
    descriptor_close(&child->lifeline);
    if (supervisor->stopping)
        return;
    if (hopeless) {
        /* It has said why; it never ran, so starting it again would only say so again. */
        supervisor->stopping = true;
        supervisor->exit_status = 1;
        return;
    }
    end_log(child, status);
    if (now_ms - child->started_ms >= HEALTHY_MS || child->back_off_ms == 0)
        child->back_off_ms = BACK_OFF_FIRST_MS;
    else
        child->back_off_ms =
            child->back_off_ms * 2 < BACK_OFF_MOST_MS ? child->back_off_ms * 2 : BACK_OFF_MOST_MS;
    child->start_at_ms = now_ms + child->back_off_ms;
}

static void reap(struct supervisor *supervisor)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < CHILDREN; i++)
            if (supervisor->children[i].pid == pid)
                child_ended(supervisor, &supervisor->children[i], status);
}

static int due_ms(const struct supervisor *supervisor)
{
    int64_t due = -1, now_ms = clock_monotonic_ms();

    for (int i = 0; i < CHILDREN; i++) {
        const struct child *child = &supervisor->children[i];
        if (child->run == NULL || child->pid != 0)
            continue;
        int64_t wait_ms = child->start_at_ms > now_ms ? child->start_at_ms - now_ms : 0;
        if (due < 0 || wait_ms < due)
            due = wait_ms;
    }
    return (int)due;
}

static void start_due(struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN && !supervisor->stopping; i++) {
        struct child *child = &supervisor->children[i];
        if (child->run != NULL && child->pid == 0 && clock_monotonic_ms() >= child->start_at_ms)
            child_start(supervisor, child);
    }
}

/* SIGHUP asks for the certificate to be read again, unless the kernel says with it that the terminal is gone.
 */
static void signal_heed(struct supervisor *supervisor, const struct signalfd_siginfo *signal)
{
    if (signal->ssi_signo == SIGHUP && signal->ssi_code != SI_KERNEL)
        tls_renew(supervisor);
    else if (signal->ssi_signo != SIGCHLD)
        supervisor->stopping = true;
}

/* Waits for a signal, and looks after the children. */
static void wait_for_signal(struct supervisor *supervisor, int timeout_ms)
{
    struct pollfd ready = {.fd = supervisor->signal_fd, .events = POLLIN};
    struct signalfd_siginfo signal;

    if (poll(&ready, 1, timeout_ms) > 0 &&
        read(supervisor->signal_fd, &signal, sizeof signal) == sizeof signal)
        signal_heed(supervisor, &signal);
    reap(supervisor);
}

/* No new requests first; then the worker closes its captures. */
static void stop_all(struct supervisor *supervisor)
{
    for (int i = 0; i < CHILDREN; i++) {
        const struct child *child = &supervisor->children[i];
        int64_t give_up_ms = clock_monotonic_ms() + STOP_MS;
        if (child->pid != 0)
            kill(child->pid, SIGTERM);
        while (child->pid != 0 && clock_monotonic_ms() < give_up_ms)
            wait_for_signal(supervisor, 100);
        if (child->pid == 0)
            continue;
        log_error("%s does not end; killing it", child->name);
        kill(child->pid, SIGKILL);
        waitpid(child->pid, NULL, 0);
    }
}

int supervise(const struct config *config, char **argv)
{
    struct supervisor supervisor = {
        .config = config,
        .argv = argv,
        .signal_fd = signals_open(true),
        .tls_channel = -1,
        .tls_receiver = -1,
        .children = {{.name = "the front end", .run = run_frontend, .lifeline = -1},
                     {.name = "pktcap-worker", .run = run_worker, .lifeline = -1}},
    };

    if (config->worker == WORKER_EXTERNAL)
        supervisor.children[1].run = NULL;
    while (!supervisor.stopping) {
        start_due(&supervisor);
        wait_for_signal(&supervisor, due_ms(&supervisor));
    }
    stop_all(&supervisor);
    if (supervisor.exit_status == 0)
        log_info("stopped");
    return supervisor.exit_status;
}
