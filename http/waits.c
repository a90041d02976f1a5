#include "http/waits.h"

void waits_init(struct waits *waits)
{
    for (int kind = 0; kind < WAIT_KINDS; kind++)
        TAILQ_INIT(&waits->queues[kind]);
}

void waits_set(struct waits *waits, struct wait *wait, enum wait_kind kind, int64_t now_ms)
{
    if (wait->kind != WAIT_NONE)
        TAILQ_REMOVE(&waits->queues[wait->kind], wait, entry);
    wait->kind = kind;
    wait->since_ms = now_ms;
    if (kind != WAIT_NONE)
        TAILQ_INSERT_TAIL(&waits->queues[kind], wait, entry);
}

bool wait_is_clients(const struct wait *wait)
{
    return wait->kind >= WAIT_HEAD && wait->kind <= WAIT_LINGER;
}

struct wait *waits_expired(const struct waits *waits, int64_t now_ms)
{
    for (int kind = WAIT_NONE + 1; kind < WAIT_KINDS; kind++) {
        struct wait *first = TAILQ_FIRST(&waits->queues[kind]);
        if (first != NULL && now_ms - first->since_ms >= waits->limit_ms[kind])
            return first;
    }
    return NULL;
}

struct wait *waits_first(const struct waits *waits, enum wait_kind kind)
{
    return TAILQ_FIRST(&waits->queues[kind]);
}

struct wait *waits_longest(const struct waits *waits)
{
    struct wait *longest = NULL;

    for (int kind = WAIT_HEAD; kind <= WAIT_LINGER; kind++) {
        struct wait *first = TAILQ_FIRST(&waits->queues[kind]);
        if (first != NULL && (longest == NULL || first->since_ms < longest->since_ms))
            longest = first;
    }
    return longest;
}

int64_t waits_next_ms(const struct waits *waits, int64_t now_ms)
{
    int64_t next = -1;

    for (int kind = WAIT_NONE + 1; kind < WAIT_KINDS; kind++) {
        const struct wait *first = TAILQ_FIRST(&waits->queues[kind]);
        if (first == NULL)
            continue;
        int64_t left = first->since_ms + waits->limit_ms[kind] - now_ms;
        left = left > 0 ? left : 0;
        if (next < 0 || left < next)
            next = left;
    }
    return next;
}
