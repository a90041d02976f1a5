#include "auth/guard.h"

#include "auth/secrets.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    WAYS = 8,
    SETS = 1024,
    WAITING_MOST = 32,      /* threads that wait for a check: they serve nobody else meanwhile */
    WAITING_AT_ADDRESS = 8, /* of these, from one address */
    PATIENCE_S = 5,
};

/* A password that was right. */
struct verified {
    uint8_t hash[SECRET_HASH_SIZE]; /* keyed, of user and password */
    int64_t generation;
    int64_t until_ms; /* 0: an empty place */
};

/* A user and an address that tried wrong passwords. */
struct pair {
    uint8_t hash[SECRET_HASH_SIZE]; /* keyed, of user and address */
    int failures;
    bool busy; /* a check of this pair is under way: others wait for what it says */
    int64_t failed_ms;
    int64_t blocked_until_ms;
};

struct waiting {
    char address[CLIENT_ADDRESS_SIZE];
    struct waiting *next;
};

struct guard {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int free_checks;
    int waiting_count;
    struct waiting *waiting;
    struct verified verified[SETS][WAYS];
    struct pair pairs[SETS][WAYS];
};

struct guard *guard_open(int checks)
{
    struct guard *guard = calloc(1, sizeof *guard);
    pthread_condattr_t attributes;

    if (guard == NULL)
        return NULL;
    pthread_mutex_init(&guard->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&guard->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    guard->free_checks = checks;
    return guard;
}

void guard_close(struct guard *guard)
{
    if (guard == NULL)
        return;
    pthread_cond_destroy(&guard->changed);
    pthread_mutex_destroy(&guard->mutex);
    secret_forget(guard, sizeof *guard);
    free(guard);
}

static size_t set_of(const uint8_t hash[SECRET_HASH_SIZE])
{
    uint32_t bits;

    memcpy(&bits, hash, sizeof bits);
    return bits % SETS;
}

/* ---- what was right ---- */

/* Being used keeps it known: a flood that began meanwhile must not lock out who comes often. */
static bool is_known(struct guard *guard, const uint8_t hash[SECRET_HASH_SIZE], int64_t generation,
                     int64_t now_ms)
{
    struct verified *set = guard->verified[set_of(hash)];

    for (size_t i = 0; i < WAYS; i++)
        if (set[i].until_ms > now_ms && set[i].generation == generation && secret_equals(set[i].hash, hash)) {
            set[i].until_ms = now_ms + GUARD_REMEMBER_MS;
            return true;
        }
    return false;
}

static void know(struct guard *guard, const uint8_t hash[SECRET_HASH_SIZE], int64_t generation,
                 int64_t now_ms)
{
    struct verified *set = guard->verified[set_of(hash)], *place = &set[0];

    for (size_t i = 0; i < WAYS; i++) {
        if (secret_equals(set[i].hash, hash)) {
            place = &set[i];
            break;
        }
        if (set[i].until_ms < place->until_ms)
            place = &set[i];
    }
    memcpy(place->hash, hash, SECRET_HASH_SIZE);
    place->generation = generation;
    place->until_ms = now_ms + GUARD_REMEMBER_MS;
}

/* ---- who guesses ---- */

/* An attacker has a whole /64 of IPv6. */
static void network_of(const char *address, char out[CLIENT_ADDRESS_SIZE])
{
    struct in6_addr ipv6;

    snprintf(out, CLIENT_ADDRESS_SIZE, "%s", address);
    if (inet_pton(AF_INET6, address, &ipv6) != 1 || IN6_IS_ADDR_V4MAPPED(&ipv6))
        return;
    memset(ipv6.s6_addr + 8, 0, 8);
    inet_ntop(AF_INET6, &ipv6, out, CLIENT_ADDRESS_SIZE);
}

/* The pair's place; one that was not there takes that of the pair that matters least. NULL: all are busy. */
static struct pair *pair_get(struct guard *guard, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms)
{
    struct pair *set = guard->pairs[set_of(hash)], *least = NULL;

    for (size_t i = 0; i < WAYS; i++) {
        if (secret_equals(set[i].hash, hash)) {
            if (!set[i].busy && now_ms - set[i].failed_ms > GUARD_FORGET_MS)
                set[i].failures = 0;
            return &set[i];
        }
        if (!set[i].busy && (least == NULL || set[i].failed_ms < least->failed_ms))
            least = &set[i];
    }
    if (least != NULL) {
        *least = (struct pair){.failed_ms = now_ms};
        memcpy(least->hash, hash, SECRET_HASH_SIZE);
    }
    return least;
}

static void pair_failed(struct pair *pair, int64_t now_ms)
{
    int64_t wait_ms = 0;

    pair->failures++;
    pair->failed_ms = now_ms;
    if (pair->failures >= GUARD_FREE_FAILURES) {
        int doublings = pair->failures - GUARD_FREE_FAILURES;
        wait_ms = doublings > 20 ? GUARD_WAIT_MOST_MS : (int64_t)1000 << doublings;
    }
    pair->blocked_until_ms = now_ms + (wait_ms < GUARD_WAIT_MOST_MS ? wait_ms : GUARD_WAIT_MOST_MS);
}

/* ---- a check ---- */

struct check {
    const struct user *row;
    const char *password;
    uint8_t known[SECRET_HASH_SIZE], pair[SECRET_HASH_SIZE];
    char network[CLIENT_ADDRESS_SIZE];
    int64_t now_ms;
};

static bool may_wait(const struct guard *guard, const char *network)
{
    int here = 0;

    for (const struct waiting *one = guard->waiting; one != NULL; one = one->next)
        here += strcmp(one->address, network) == 0;
    return guard->waiting_count < WAITING_MOST && here < WAITING_AT_ADDRESS;
}

static bool wait_for_change(struct guard *guard, const char *network, const struct timespec *give_up)
{
    struct waiting self = {.next = guard->waiting};

    memcpy(self.address, network, sizeof self.address);
    /* The place leaves the list before the function returns. */
    // cppcheck-suppress autoVariables
    guard->waiting = &self;
    guard->waiting_count++;
    bool in_time = pthread_cond_timedwait(&guard->changed, &guard->mutex, give_up) == 0;
    struct waiting **at = &guard->waiting;
    while (*at != &self)
        at = &(*at)->next;
    *at = self.next;
    guard->waiting_count--;
    return in_time;
}

static bool is_right_already(struct guard *guard, const struct check *check)
{
    return check->row != NULL && !check->row->disabled &&
           is_known(guard, check->known, check->row->generation, check->now_ms);
}

/* Waits for a place for the check. GUARD_WRONG: there is one, *pair is busy with it. */
static enum guard_answer place_take(struct guard *guard, const struct check *check, struct pair **pair,
                                    int *retry_after_s)
{
    struct timespec give_up;

    clock_gettime(CLOCK_MONOTONIC, &give_up);
    give_up.tv_sec += PATIENCE_S;
    *retry_after_s = 1;
    for (;;) {
        if (is_right_already(guard, check))
            return GUARD_RIGHT;
        *pair = pair_get(guard, check->pair, check->now_ms);
        if (*pair != NULL && (*pair)->blocked_until_ms > check->now_ms) {
            *retry_after_s = (int)(((*pair)->blocked_until_ms - check->now_ms + 999) / 1000);
            return GUARD_WAIT;
        }
        if (*pair != NULL && !(*pair)->busy && guard->free_checks > 0)
            break;
        if (!may_wait(guard, check->network) || !wait_for_change(guard, check->network, &give_up))
            return GUARD_WAIT;
    }
    (*pair)->busy = true;
    guard->free_checks--;
    return GUARD_WRONG;
}

static void place_give_back(struct guard *guard, const struct check *check, struct pair *pair, bool right)
{
    guard->free_checks++;
    pair->busy = false;
    if (right) {
        pair->failures = 0;
        know(guard, check->known, check->row->generation, check->now_ms);
    } else {
        pair_failed(pair, check->now_ms);
    }
    pthread_cond_broadcast(&guard->changed);
}

enum guard_answer guard_check(struct guard *guard, const char *user, const struct user *row,
                              const char *password, const char *address, int64_t now_ms, int *retry_after_s)
{
    struct check check = {.row = row, .password = password, .now_ms = now_ms};
    struct pair *pair;

    network_of(address, check.network);
    secret_hash_keyed(user, password, check.known);
    secret_hash_keyed(user, check.network, check.pair);
    pthread_mutex_lock(&guard->mutex);
    enum guard_answer answer = place_take(guard, &check, &pair, retry_after_s);
    pthread_mutex_unlock(&guard->mutex);
    if (answer != GUARD_WRONG)
        return answer;
    bool right = secret_verify_password(row == NULL || row->disabled ? "" : row->password_hash, password);
    pthread_mutex_lock(&guard->mutex);
    place_give_back(guard, &check, pair, right);
    pthread_mutex_unlock(&guard->mutex);
    return right ? GUARD_RIGHT : GUARD_WRONG;
}
