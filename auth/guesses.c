#include "auth/guesses.h"

#include "auth/guard.h"
#include "auth/secrets.h"

#include <stdlib.h>
#include <string.h>

enum {
    WAYS = 8,
    RIGHT_SETS = 1024,
    NETWORK_SETS = 1024,
    /* More than can be checked before they are forgotten, by far: a set is hardly ever full. */
    PAIR_SETS = 32768,
    PAIR_WAYS = 16,
    RETURNS = 65536,
    RETURN_FIRST_MS = 500, /* who was told to come back in a second, and does not wait, has not been told */
    RETURN_LAST_MS = 30000,
    NETWORK_FORGIVE_MS = 6000, /* one failure each */
    NETWORK_FAILURES_MOST = 100,
};

/* A password that was right. */
struct right {
    uint8_t hash[SECRET_HASH_SIZE]; /* of user and password */
    int64_t generation;
    int64_t until_ms; /* 0: an empty place */
};

struct expected {
    uint64_t tag; /* of the pair's hash; 0: an empty place */
    int64_t since_ms;
};

struct guesses {
    struct right right[RIGHT_SETS][WAYS];
    struct network networks[NETWORK_SETS][WAYS];
    struct expected returns[RETURNS];
    struct pair pairs[PAIR_SETS][PAIR_WAYS];
};

struct guesses *guesses_open(void)
{
    return calloc(1, sizeof(struct guesses));
}

void guesses_close(struct guesses *guesses)
{
    if (guesses == NULL)
        return;
    secret_forget(guesses->right, sizeof guesses->right);
    free(guesses);
}

static size_t place_of(const uint8_t hash[SECRET_HASH_SIZE], size_t places)
{
    uint32_t bits;

    memcpy(&bits, hash, sizeof bits);
    return bits % places;
}

/* ---- what was right ---- */

bool right_is_known(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t generation,
                    int64_t now_ms)
{
    struct right *set = guesses->right[place_of(hash, RIGHT_SETS)];

    for (size_t i = 0; i < WAYS; i++)
        if (set[i].until_ms > now_ms && set[i].generation == generation && secret_equals(set[i].hash, hash)) {
            set[i].until_ms = now_ms + GUARD_REMEMBER_MS;
            return true;
        }
    return false;
}

void right_know(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t generation,
                int64_t now_ms)
{
    struct right *set = guesses->right[place_of(hash, RIGHT_SETS)], *place = &set[0];

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

/* ---- pairs ---- */

static bool pair_counts(const struct pair *pair, int64_t now_ms)
{
    return pair->failures > 0 && now_ms - pair->failed_ms <= GUARD_FORGET_MS;
}

/* The pair's place, or else one that is free; NULL: there is none. */
static struct pair *pair_place(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms,
                               bool *found)
{
    struct pair *set = guesses->pairs[place_of(hash, PAIR_SETS)], *empty = NULL;

    *found = false;
    for (size_t i = 0; i < PAIR_WAYS; i++) {
        if (!pair_counts(&set[i], now_ms)) {
            empty = &set[i];
        } else if (secret_equals(set[i].hash, hash)) {
            *found = true;
            return &set[i];
        }
    }
    return empty;
}

struct pair *pair_find(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms,
                       bool *room)
{
    bool found;
    struct pair *place = pair_place(guesses, hash, now_ms, &found);

    *room = place != NULL;
    return found ? place : NULL;
}

void pair_failed(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms)
{
    bool found;
    struct pair *pair = pair_place(guesses, hash, now_ms, &found);

    if (pair == NULL) /* two of a set failed at once, and there was room for one */
        return;
    if (!found)
        *pair = (struct pair){0};
    memcpy(pair->hash, hash, SECRET_HASH_SIZE);
    pair->failures++;
    pair->failed_ms = now_ms;
    int doublings = pair->failures - GUARD_FREE_FAILURES;
    if (doublings >= 0)
        pair->wait_ms = doublings > 8 ? GUARD_WAIT_MOST_MS : 1000 << doublings;
}

void pair_forgive(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms)
{
    bool room;
    struct pair *pair = pair_find(guesses, hash, now_ms, &room);

    if (pair != NULL)
        pair->failures = 0;
}

int64_t pair_wait_ms(const struct pair *pair, int64_t now_ms)
{
    int64_t left_ms = pair == NULL ? 0 : pair->failed_ms + pair->wait_ms - now_ms;

    return left_ms > 0 ? left_ms : 0;
}

/* ---- networks ---- */

static bool matters_less(const struct network *one, const struct network *other, int64_t now_ms)
{
    int failures = network_failures(one, now_ms), others = network_failures(other, now_ms);

    return failures != others ? failures < others : one->turn < other->turn;
}

struct network *network_get(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms)
{
    struct network *set = guesses->networks[place_of(hash, NETWORK_SETS)], *least = NULL;

    for (size_t i = 0; i < WAYS; i++) {
        if (secret_equals(set[i].hash, hash))
            return &set[i];
        if (set[i].held == 0 && (least == NULL || matters_less(&set[i], least, now_ms)))
            least = &set[i];
    }
    if (least != NULL) {
        *least = (struct network){0};
        memcpy(least->hash, hash, SECRET_HASH_SIZE);
    }
    return least;
}

int network_failures(const struct network *network, int64_t now_ms)
{
    int64_t left = network->failures - (now_ms - network->failed_ms) / NETWORK_FORGIVE_MS;

    return left > 0 ? (int)left : 0;
}

void network_failed(struct network *network, int64_t now_ms)
{
    int failures = network_failures(network, now_ms) + 1;

    network->failures = failures < NETWORK_FAILURES_MOST ? failures : NETWORK_FAILURES_MOST;
    network->failed_ms = now_ms;
}

/* ---- who comes back ---- */

static uint64_t tag_of(const uint8_t hash[SECRET_HASH_SIZE])
{
    uint64_t tag;

    memcpy(&tag, &hash[SECRET_HASH_SIZE - sizeof tag], sizeof tag);
    return tag | 1;
}

void return_expect(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms)
{
    struct expected *place = &guesses->returns[place_of(hash, RETURNS)];

    *place = (struct expected){.tag = tag_of(hash), .since_ms = now_ms};
}

bool return_is_expected(const struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms)
{
    const struct expected *place = &guesses->returns[place_of(hash, RETURNS)];
    int64_t away_ms = now_ms - place->since_ms;

    return place->tag == tag_of(hash) && away_ms >= RETURN_FIRST_MS && away_ms <= RETURN_LAST_MS;
}

void return_forget(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE])
{
    struct expected *place = &guesses->returns[place_of(hash, RETURNS)];

    if (place->tag == tag_of(hash))
        *place = (struct expected){0};
}
