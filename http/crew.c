#include "http/crew.h"

#include "http/connection.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STACK_SIZE = 8 << 20,
    QUEUE_PER_THREAD = 16, /* requests that wait; more are not helped by waiting */
    HURRY_MS = 2,
    AWAKE_LEAST = 2,
};

struct hand {
    struct crew *crew;
    pthread_t thread;
    pthread_cond_t called;
    struct connection *job;
    LIST_ENTRY(hand) resting;
};

struct crew {
    const struct http_settings *settings;
    pthread_mutex_t mutex;
    LIST_HEAD(hand_list, hand) resting;
    STAILQ_HEAD(job_queue, connection) queue;
    atomic_size_t queued;
    size_t queue_max;
    size_t awake, awake_enough; /* threads that do not rest */
    bool stopping;
    size_t count;
    struct hand hands[];
};

/* The next job, NULL at the stop. */
static struct connection *job_wait(struct hand *hand)
{
    struct crew *crew = hand->crew;
    struct connection *job = NULL;

    pthread_mutex_lock(&crew->mutex);
    if (!crew->stopping && (job = STAILQ_FIRST(&crew->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&crew->queue, mail);
        crew->queued--;
    } else if (!crew->stopping) {
        hand->job = NULL;
        crew->awake--;
        LIST_INSERT_HEAD(&crew->resting, hand, resting);
        while (hand->job == NULL && !crew->stopping)
            pthread_cond_wait(&hand->called, &crew->mutex);
        job = hand->job;
    }
    pthread_mutex_unlock(&crew->mutex);
    return job;
}

static void *hand_run(void *argument)
{
    struct hand *hand = argument;
    const struct http_settings *settings = hand->crew->settings;
    void *state = settings->thread_open(settings->context);
    struct connection *job;

    while ((job = job_wait(hand)) != NULL)
        connection_handle(job, state);
    settings->thread_close(state);
    return NULL;
}

/* One that rests does it. */
static void hand_call(struct crew *crew, struct connection *job)
{
    struct hand *hand = LIST_FIRST(&crew->resting);

    LIST_REMOVE(hand, resting);
    crew->awake++;
    hand->job = job;
    pthread_cond_signal(&hand->called);
}

bool crew_take(struct crew *crew, struct connection *connection)
{
    bool taken = true;

    pthread_mutex_lock(&crew->mutex);
    if (crew->awake < crew->awake_enough && !LIST_EMPTY(&crew->resting)) {
        hand_call(crew, connection);
    } else if (crew->queued < crew->queue_max) {
        STAILQ_INSERT_TAIL(&crew->queue, connection, mail);
        crew->queued++;
    } else {
        taken = false;
    }
    pthread_mutex_unlock(&crew->mutex);
    return taken;
}

int64_t crew_hurry(struct crew *crew, int64_t now_ms)
{
    struct connection *job;

    if (atomic_load(&crew->queued) == 0)
        return -1;
    pthread_mutex_lock(&crew->mutex);
    while ((job = STAILQ_FIRST(&crew->queue)) != NULL && !LIST_EMPTY(&crew->resting) &&
           now_ms - job->wait.since_ms >= HURRY_MS) {
        STAILQ_REMOVE_HEAD(&crew->queue, mail);
        crew->queued--;
        hand_call(crew, job);
    }
    bool again = job != NULL && !LIST_EMPTY(&crew->resting);
    pthread_mutex_unlock(&crew->mutex);
    return again ? HURRY_MS : -1;
}

static int hand_start(struct crew *crew)
{
    struct hand *hand = &crew->hands[crew->count];
    pthread_attr_t attributes;

    hand->crew = crew;
    pthread_cond_init(&hand->called, NULL);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int problem = pthread_create(&hand->thread, &attributes, hand_run, hand);
    pthread_attr_destroy(&attributes);
    if (problem == 0)
        crew->count++;
    else
        pthread_cond_destroy(&hand->called);
    return problem;
}

enum status crew_open(const struct http_settings *settings, struct crew **out, struct error *error)
{
    size_t threads = (size_t)settings->threads;
    struct crew *crew = calloc(1, sizeof *crew + threads * sizeof crew->hands[0]);
    int problem = 0;

    if (crew == NULL)
        return error_set(error, ERROR_HOST, NULL, "out of memory");
    crew->settings = settings;
    crew->queue_max = threads * QUEUE_PER_THREAD;
    crew->awake = threads; /* until they rest for the first time */
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    crew->awake_enough = cpus > AWAKE_LEAST ? (size_t)cpus : AWAKE_LEAST;
    pthread_mutex_init(&crew->mutex, NULL);
    LIST_INIT(&crew->resting);
    STAILQ_INIT(&crew->queue);
    while (problem == 0 && crew->count < threads)
        problem = hand_start(crew);
    if (problem != 0) {
        crew_stop(crew);
        crew_free(crew);
        return error_set(error, ERROR_HOST, "http_threads", "cannot start %zu threads: %s", threads,
                         strerror(problem));
    }
    *out = crew;
    return STATUS_OK;
}

void crew_stop(struct crew *crew)
{
    pthread_mutex_lock(&crew->mutex);
    crew->stopping = true;
    for (size_t i = 0; i < crew->count; i++)
        pthread_cond_signal(&crew->hands[i].called);
    pthread_mutex_unlock(&crew->mutex);
    for (size_t i = 0; i < crew->count; i++)
        pthread_join(crew->hands[i].thread, NULL);
}

void crew_free(struct crew *crew)
{
    for (size_t i = 0; i < crew->count; i++)
        pthread_cond_destroy(&crew->hands[i].called);
    pthread_mutex_destroy(&crew->mutex);
    free(crew);
}
