#include "capture/pool_state.h"

#include "core/clock.h"
#include "core/log.h"
#include "host/doorbell.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    LEASE_MS = 15000,
    RENEW_MS = 4000,     /* a lease is renewed this often at least */
    PROGRESS_MS = 500,   /* rows of running captures are this fresh */
    HOLD_BACK_MS = 1000, /* how long a run waits that could not be opened now */
};

enum status pool_open(const struct pool_settings *settings, struct pool **out, struct error *error)
{
    struct pool *pool = calloc(1, sizeof *pool);

    if (pool == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    pool->settings = *settings;
    pool->slot_count = (size_t)settings->config->max_captures;
    pool->slots = calloc(pool->slot_count, sizeof *pool->slots);
    pool->reports = calloc(pool->slot_count, sizeof *pool->reports);
    pool->reporting = calloc(pool->slot_count, sizeof *pool->reporting);
    pool->notify_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (pool->slots == NULL || pool->reports == NULL || pool->reporting == NULL || pool->notify_fd < 0) {
        error_set(error, ERROR_INTERNAL, NULL, "cannot make the pool: %s", strerror(errno));
        pool_close(pool);
        return error->status;
    }
    *out = pool;
    return STATUS_OK;
}

int pool_fd(const struct pool *pool)
{
    return pool->notify_fd;
}

/* The store may be busy or its disk full for a while: everything is tried again at the next round. */
static bool store_worked(struct pool *pool, enum status status, const struct error *error)
{
    if (status != STATUS_OK && !pool->store_failing)
        log_error("%s; trying again", error->message);
    if (status == STATUS_OK && pool->store_failing)
        log_info("the store works again");
    pool->store_failing = status != STATUS_OK;
    return status == STATUS_OK;
}

/* ---- claims ---- */

static bool worker_lives(void *context, const char *worker)
{
    const struct pool *pool = context;

    return strcmp(worker, pool->settings.worker) == 0 ||
           doorbell_worker_lives(pool->settings.directory, worker);
}

static struct slot *slot_free(struct pool *pool)
{
    for (size_t i = 0; i < pool->slot_count; i++)
        if (pool->slots[i].capture == NULL)
            return &pool->slots[i];
    return NULL;
}

/* Whether it began. If not, this worker is short of something: the run waits for a better time. */
static bool capture_begin(struct pool *pool, struct slot *slot, struct capture_plan *plan)
{
    struct error error, store_error;

    *slot = (struct slot){.lease = plan->lease,
                          .started = plan->lease.resumed,
                          .keeps_files = plan->session.request.capmode != CAPMODE_STREAM};
    memcpy(slot->id, plan->session.id, sizeof slot->id);
    slot->reported_at_ms = clock_monotonic_ms();
    slot->reported = plan->session.run;
    quota_begin(pool, slot, plan);
    if (capture_start(plan, &slot->capture, &error) == STATUS_OK) {
        pool->running++;
        if (plan->lease.stop_requested)
            capture_give_order(slot->capture, ORDER_TERMINATE);
        log_info("session %s run %d: %s on %s", plan->session.id, plan->session.run.number,
                 plan->lease.resumed ? "resuming" : "opening", plan->session.request.capvalue);
        return true;
    }
    quota_undo(pool, slot);
    struct run_report back = {
        .lease = plan->lease,
        .run = plan->session.run,
        .reported_ms = plan->lease.reported_ms,
        .not_before_ms = clock_monotonic_ms() + HOLD_BACK_MS,
    };
    log_warning("session %s waits: %s", plan->session.id, error.message);
    (void)store_worked(pool, store_release_run(pool->settings.store, &back, &store_error), &store_error);
    return false;
}

static void known_add(void *context, const struct run_file *file)
{
    struct capture_plan *plan = context;

    if (plan->file_count <= FILE_COUNT_MAX)
        plan->files[plan->file_count++] = *file;
}

/* What the store knows of the ring that a lost worker left. Without it all files are counted. */
static void known_read(struct pool *pool, struct capture_plan *plan)
{
    struct error error;

    if (!plan->lease.resumed || plan->session.request.capfilecount <= 0 ||
        (plan->files = malloc((FILE_COUNT_MAX + 1) * sizeof *plan->files)) == NULL)
        return;
    if (!store_worked(pool,
                      store_list_run_files(pool->settings.store, plan->session.id, plan->session.run.number,
                                           NULL, known_add, plan, &error),
                      &error))
        plan->file_count = 0;
}

/* Whether a run was claimed: then there may be more. */
static bool claim_one(struct pool *pool, struct capture_plan *plan)
{
    const struct pool_settings *settings = &pool->settings;
    struct slot *slot = slot_free(pool);
    struct error error;
    bool found = false;

    if (slot == NULL)
        return false;
    *plan = (struct capture_plan){
        .directory = settings->directory,
        .broker = settings->broker,
        .worker = settings->worker,
        .boot_id = settings->boot_id,
        .api_ports = settings->config->api_ports,
        .ring_mb = (uint32_t)settings->config->ring_mb,
        .reserve_bytes = (uint64_t)settings->config->disk_reserve_mb * 1000000,
        .notify_fd = pool->notify_fd,
    };
    enum status status =
        store_claim_run(settings->store, settings->node_id, settings->worker, clock_monotonic_ms(), LEASE_MS,
                        &found, &plan->lease, &plan->session, &error);
    if (!store_worked(pool, status, &error) || !found)
        return false;
    known_read(pool, plan);
    bool began = capture_begin(pool, slot, plan);
    if (!began)
        free(plan->files);
    return began;
}

static void claim_all(struct pool *pool)
{
    struct capture_plan *plan = malloc(sizeof *plan);

    while (plan != NULL && claim_one(pool, plan))
        continue;
    free(plan);
}

/* ---- reports ---- */

static void report_fill(const struct slot *slot, struct run_report *report)
{
    *report =
        (struct run_report){.lease = slot->lease, .run = slot->now.run, .reported_ms = slot->now.reported_ms};
}

/* What is written to the store says which files a ring has. To be freed with report_free(). */
static void report_fill_files(const struct slot *slot, struct run_report *report)
{
    report_fill(slot, report);
    report->files = capture_read_files(slot->capture, &report->file_count, &report->run.counters);
    if (report->files != NULL)
        memcpy(report->run.file, report->files[report->file_count - 1].file, sizeof report->run.file);
}

static void report_free(struct run_report *report)
{
    free(report->files);
    report->files = NULL;
}

static void ended_log(const struct slot *slot)
{
    const struct run *run = &slot->now.run;

    log_write(run->state == STATE_ERROR ? LOG_WARNING : LOG_INFO,
              "session %s run %d: %s %s, %lld packets, %lld dropped%s%s", slot->id, run->number,
              slot->now.suspended ? "suspended" : names_of(&session_state_names, (int)run->state),
              names_of(&stop_reason_names, (int)run->stop_reason), (long long)run->counters.packets_captured,
              (long long)run->counters.packets_dropped, run->errormsg[0] == '\0' ? "" : ": ", run->errormsg);
}

static bool slot_start(struct pool *pool, struct slot *slot)
{
    struct run_report report;
    struct error error;

    report_fill_files(slot, &report);
    bool worked = store_worked(pool, store_start_run(pool->settings.store, &report, &error), &error);
    report_free(&report);
    if (!worked)
        return false;
    if (!report.lost)
        quota_stored(slot, report.run.counters.file_size);
    slot->started = true;
    slot->reported = slot->now.run;
    slot->reported_at_ms = clock_monotonic_ms();
    if (report.lost)
        capture_give_order(slot->capture, ORDER_ABANDON);
    else if (report.stop_requested)
        capture_give_order(slot->capture, ORDER_TERMINATE);
    return true;
}

static void slot_end(struct pool *pool, struct slot *slot)
{
    struct run_report report;
    struct error error;
    enum status status;

    report_fill_files(slot, &report);
    if (slot->now.held_back)
        report.not_before_ms = clock_monotonic_ms() + HOLD_BACK_MS;
    if (slot->now.suspended)
        status = store_release_run(pool->settings.store, &report, &error);
    else
        status = store_finish_run(pool->settings.store, &report, &error);
    report_free(&report);
    if (!store_worked(pool, status, &error))
        return;
    ended_log(slot);
    if (report.lost)
        log_warning("session %s: another worker has taken it over", slot->id);
    quota_end(pool, slot);
    capture_free(slot->capture);
    slot->capture = NULL;
    pool->running--;
}

/* Brings what changed phase to the store. What the store does not take now stays for the next round. */
static void collect(struct pool *pool)
{
    uint64_t rings;

    if (read(pool->notify_fd, &rings, sizeof rings) < 0 && errno != EAGAIN)
        log_error("cannot read notifications: %s", strerror(errno));
    for (size_t i = 0; i < pool->slot_count; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->capture == NULL)
            continue;
        capture_read_report(slot->capture, &slot->now);
        bool runs = slot->now.phase != CAPTURE_OPENING && slot->now.run.started_ms != 0;
        if (runs && !slot->started && !slot_start(pool, slot))
            continue;
        if (slot->now.phase == CAPTURE_ENDED)
            slot_end(pool, slot);
    }
}

static bool slot_has_news(const struct slot *slot)
{
    return memcmp(&slot->now.run.counters, &slot->reported.counters, sizeof slot->reported.counters) != 0 ||
           strcmp(slot->now.run.errormsg, slot->reported.errormsg) != 0 ||
           clock_monotonic_ms() - slot->reported_at_ms >= RENEW_MS;
}

static void orders_carry(struct pool *pool, size_t count)
{
    if (quota_carry(pool, count))
        pool->look_at_ms = 0;
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &pool->slots[pool->reporting[i]];
        if (pool->reports[i].lost)
            capture_give_order(slot->capture, ORDER_ABANDON);
        else if (pool->reports[i].stop_requested)
            capture_give_order(slot->capture, ORDER_TERMINATE);
        else if (pool->reports[i].over_quota && slot->keeps_files)
            capture_give_order(slot->capture, ORDER_QUOTA);
    }
}

/* Lists reports of the running captures, all of them or those with news. */
static size_t reports_list(struct pool *pool, bool news_only)
{
    size_t count = 0;

    for (size_t i = 0; i < pool->slot_count; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->capture == NULL || (news_only && !slot_has_news(slot)))
            continue;
        pool->reporting[count] = i;
        report_fill(slot, &pool->reports[count++]);
    }
    return count;
}

static void progress(struct pool *pool)
{
    size_t count = reports_list(pool, true);
    struct error error;

    if (count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        report_fill_files(&pool->slots[pool->reporting[i]], &pool->reports[i]);
    bool worked = store_worked(pool,
                               store_report_progress(pool->settings.store, pool->reports, count,
                                                     clock_monotonic_ms() + LEASE_MS, &error),
                               &error);
    for (size_t i = 0; i < count; i++)
        report_free(&pool->reports[i]);
    if (!worked)
        return;
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &pool->slots[pool->reporting[i]];
        slot->reported = slot->now.run;
        slot->reported_at_ms = clock_monotonic_ms();
        if (!pool->reports[i].lost)
            quota_stored(slot, pool->reports[i].run.counters.file_size);
    }
    orders_carry(pool, count);
}

static void look(struct pool *pool)
{
    size_t count = reports_list(pool, false);
    struct error error;

    if (count > 0 &&
        store_worked(pool, store_check_stops(pool->settings.store, pool->reports, count, &error), &error))
        orders_carry(pool, count);
    claim_all(pool);
}

void pool_work(struct pool *pool, bool asked)
{
    int64_t now_ms = clock_monotonic_ms();
    size_t running = pool->running;
    struct error error;

    collect(pool);
    if (now_ms >= pool->progress_at_ms) {
        progress(pool);
        pool->progress_at_ms = now_ms + PROGRESS_MS;
    }
    bool due = now_ms >= pool->look_at_ms;
    if (due) {
        (void)store_worked(
            pool,
            store_end_lost_leases(pool->settings.store, pool->settings.node_id, worker_lives, pool, &error),
            &error);
        pool->look_at_ms = now_ms + pool->settings.config->poll_interval;
    }
    if (due || asked || pool->running < running)
        look(pool);
}

int pool_due_ms(const struct pool *pool)
{
    int64_t due_ms = pool->look_at_ms;

    if (pool->running > 0 && pool->progress_at_ms < due_ms)
        due_ms = pool->progress_at_ms;
    due_ms -= clock_monotonic_ms();
    return due_ms < 0 ? 0 : (int)due_ms;
}

/* Captures close their files in well under a second; the store is tried for as long as a supervisor waits. */
static void suspend_all(struct pool *pool)
{
    int64_t give_up_ms = clock_monotonic_ms() + 10000;
    struct pollfd ready = {.fd = pool->notify_fd, .events = POLLIN};

    for (size_t i = 0; i < pool->slot_count; i++)
        if (pool->slots[i].capture != NULL)
            capture_give_order(pool->slots[i].capture, ORDER_SUSPEND);
    while (pool->running > 0 && clock_monotonic_ms() < give_up_ms) {
        poll(&ready, 1, 100);
        collect(pool);
    }
    if (pool->running > 0)
        log_error("%zu captures could not be given back; the next worker resumes them", pool->running);
}

void pool_close(struct pool *pool)
{
    if (pool->slots != NULL)
        suspend_all(pool);
    if (pool->running == 0)
        quota_free(pool);
    if (pool->notify_fd >= 0)
        close(pool->notify_fd);
    free(pool->slots);
    free(pool->reports);
    free(pool->reporting);
    free(pool);
}
