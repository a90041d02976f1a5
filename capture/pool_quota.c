/*
 * Quotas of bytes. The store knows what all files of an owner took at the last report; the captures know what
 * theirs take now. So the captures of an owner may together take the quota, less what the store has beside
 * them. Another worker's captures are beside them: each of its reports makes that more.
 */
#include "capture/pool_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NULL where it is nobody, or memory is out: then the reports find out that there is too much. */
static struct owner *owner_find(struct pool *pool, const char *name)
{
    if (name[0] == '\0')
        return NULL;
    for (struct owner *owner = pool->owners; owner != NULL; owner = owner->next)
        if (strcmp(owner->name, name) == 0)
            return owner;
    struct owner *owner = calloc(1, sizeof *owner);
    if (owner == NULL)
        return NULL;
    snprintf(owner->name, sizeof owner->name, "%s", name);
    owner->next = pool->owners;
    pool->owners = owner;
    return owner;
}

/* Without captures there is nothing to count beside the store. */
static void owner_rest(struct pool *pool, struct owner *owner)
{
    for (size_t i = 0; i < pool->slot_count; i++)
        if (pool->slots[i].owner == owner)
            return;
    owner->ended = owner->held = 0;
    atomic_store(&owner->purse.used, 0);
}

static int64_t most_of(const struct owner *owner, int64_t quota_bytes, int64_t owner_bytes)
{
    if (owner == NULL || quota_bytes == 0)
        return INT64_MAX;
    return quota_bytes - (owner_bytes - owner->held) + owner->ended;
}

static void slot_set_most(struct slot *slot, int64_t most)
{
    slot->most = most;
    if (slot->capture != NULL)
        capture_set_most(slot->capture, most);
}

/* What was beside the captures of an owner becomes one of them, or the other way round. */
static void owner_raise(struct pool *pool, const struct owner *owner, int64_t bytes)
{
    for (size_t i = 0; i < pool->slot_count; i++) {
        struct slot *slot = &pool->slots[i];
        if (slot->capture != NULL && slot->owner == owner && slot->most != INT64_MAX)
            slot_set_most(slot, slot->most + bytes);
    }
}

void quota_begin(struct pool *pool, struct slot *slot, struct capture_plan *plan)
{
    struct owner *owner = slot->keeps_files ? owner_find(pool, plan->session.owner) : NULL;

    slot->owner = owner;
    quota_stored(slot, plan->session.run.counters.file_size);
    slot->most = most_of(owner, plan->session.quota_bytes, plan->lease.owner_bytes);
    plan->most = slot->most;
    plan->purse = owner == NULL ? NULL : &owner->purse;
    if (owner != NULL)
        owner_raise(pool, owner, slot->held);
}

void quota_undo(struct pool *pool, struct slot *slot)
{
    struct owner *owner = slot->owner;

    if (owner == NULL)
        return;
    owner_raise(pool, owner, -slot->held);
    quota_stored(slot, 0);
    slot->owner = NULL;
    owner_rest(pool, owner);
}

void quota_stored(struct slot *slot, int64_t bytes)
{
    if (slot->owner == NULL)
        return;
    slot->owner->held += bytes - slot->held;
    slot->held = bytes;
}

/* The capture's bytes stay counted, so that there is no moment at which others find them free. */
void quota_end(struct pool *pool, struct slot *slot)
{
    struct owner *owner = slot->owner;

    if (owner == NULL)
        return;
    owner->ended += capture_bytes(slot->capture);
    quota_stored(slot, 0);
    slot->owner = NULL;
    owner_rest(pool, owner);
}

/* ---- what the store says ---- */

static bool is_concerned(const struct slot *slot, const struct run_report *report)
{
    return slot->keeps_files && !report->lost;
}

static bool has_moved(const struct slot *slot, const struct run_report *report)
{
    return is_concerned(slot, report) &&
           strcmp(slot->owner == NULL ? "" : slot->owner->name, report->owner) != 0;
}

static bool slot_move(struct pool *pool, struct slot *slot, const char *name)
{
    struct owner *before = slot->owner;
    int64_t held = slot->held;

    quota_stored(slot, 0);
    slot->owner = owner_find(pool, name);
    slot->held = 0;
    quota_stored(slot, held);
    capture_move(slot->capture, slot->owner == NULL ? NULL : &slot->owner->purse);
    if (before != NULL)
        owner_rest(pool, before);
    return slot->owner != before;
}

/* Nobody has a limit while runs move from one owner to another: sums of both sides would not fit. */
static void limits_lift(struct pool *pool)
{
    for (size_t i = 0; i < pool->slot_count; i++)
        slot_set_most(&pool->slots[i], INT64_MAX);
}

static bool slots_move(struct pool *pool, size_t count)
{
    bool moved = false;

    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &pool->slots[pool->reporting[i]];
        if (!has_moved(slot, &pool->reports[i]))
            continue;
        if (!moved)
            limits_lift(pool);
        moved = slot_move(pool, slot, pool->reports[i].owner) || moved;
    }
    return moved;
}

bool quota_carry(struct pool *pool, size_t count)
{
    bool moved = slots_move(pool, count);

    for (size_t i = 0; i < count; i++) {
        const struct run_report *report = &pool->reports[i];
        struct slot *slot = &pool->slots[pool->reporting[i]];
        if (is_concerned(slot, report))
            slot_set_most(slot, most_of(slot->owner, report->quota_bytes, report->owner_bytes));
    }
    return moved;
}

void quota_free(struct pool *pool)
{
    while (pool->owners != NULL) {
        struct owner *owner = pool->owners;
        pool->owners = owner->next;
        free(owner);
    }
}
