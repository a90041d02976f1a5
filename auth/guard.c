#include "auth/guard.h"

#include "auth/guesses.h"
#include "auth/secrets.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    PATIENCE_S = 5,
    COME_BACK_S = 1,
    NETWORK_FREE_FAILURES = 10, /* not yet forgiven: more, and others go first */
    SITE_FREE_FAILURES = 40,
};

/* What it has to say is said to its followers too. */
enum stage {
    STAGE_WAITING,
    STAGE_FOLLOWING, /* the same user, password and address are waiting or being checked already */
    STAGE_CHECKING,
    STAGE_ANSWERED,
};

/* One call of guard_check(), on its thread's stack; in the guard's list while it has no answer. */
struct check {
    const struct user *row;
    const char *password;
    uint8_t known[SECRET_HASH_SIZE], pair[SECRET_HASH_SIZE]; /* of user and password; of user and network */
    uint8_t at[SECRET_HASH_SIZE], around[SECRET_HASH_SIZE];  /* of network and site */
    int64_t now_ms;
    struct network *network, *site; /* an IPv6 /64 in its /48; the same for IPv4 */
    bool suspicious;                /* counted as such */
    bool returning;
    int64_t turn; /* when its user last had one, or it came, if that is later */
    enum stage stage;
    enum guard_answer answer;
    int retry_after_s;
    struct check *leader; /* of a follower */
    pthread_cond_t changed;
    struct check *next;
};

struct guard {
    pthread_mutex_t mutex;
    int free_checks;
    int held_most, suspicious_most, returning_most; /* threads */
    int held, held_suspicious;
    int64_t turn;
    struct check *checks; /* the newest first */
    struct guesses *guesses;
};

struct guard *guard_open(int checks, int threads)
{
    struct guard *guard = calloc(1, sizeof *guard);

    if (guard == NULL || (guard->guesses = guesses_open()) == NULL) {
        free(guard);
        return NULL;
    }
    pthread_mutex_init(&guard->mutex, NULL);
    guard->free_checks = checks;
    /* A script that starts with 40 requests at once is served at 64 threads; a flood gets a quarter. */
    guard->held_most = threads * 5 / 8;
    guard->suspicious_most = threads / 4;
    guard->returning_most = threads / 4 + threads / 8;
    return guard;
}

void guard_close(struct guard *guard)
{
    if (guard == NULL)
        return;
    pthread_mutex_destroy(&guard->mutex);
    guesses_close(guard->guesses);
    free(guard);
}

/* ---- where they come from ---- */

/* An attacker has a whole /64 of IPv6, and often a /48. */
static void prefix_of(const char *address, size_t bytes, char out[CLIENT_ADDRESS_SIZE])
{
    struct in6_addr ipv6;

    snprintf(out, CLIENT_ADDRESS_SIZE, "%s", address);
    if (inet_pton(AF_INET6, address, &ipv6) != 1 || IN6_IS_ADDR_V4MAPPED(&ipv6))
        return;
    memset(ipv6.s6_addr + bytes, 0, sizeof ipv6.s6_addr - bytes);
    inet_ntop(AF_INET6, &ipv6, out, CLIENT_ADDRESS_SIZE);
}

static void check_begin(struct check *check, const char *user, const char *address)
{
    char network[CLIENT_ADDRESS_SIZE], site[CLIENT_ADDRESS_SIZE];
    pthread_condattr_t attributes;

    prefix_of(address, 8, network);
    prefix_of(address, 6, site);
    secret_hash_keyed(user, check->password, check->known);
    secret_hash_keyed(user, network, check->pair);
    secret_hash_keyed("/64", network, check->at);
    secret_hash_keyed(strchr(address, ':') == NULL ? "/64" : "/48", site, check->around);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&check->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* Held at once, so that the one does not take the other's place. */
static bool networks_hold(struct guard *guard, struct check *check)
{
    check->network = network_get(guard->guesses, check->at, check->now_ms);
    if (check->network == NULL)
        return false;
    check->network->held++;
    check->site = network_get(guard->guesses, check->around, check->now_ms);
    if (check->site == NULL) {
        check->network->held--;
        return false;
    }
    check->site->held += check->site != check->network;
    return true;
}

static void networks_let_go(struct check *check)
{
    check->network->held--;
    check->site->held -= check->site != check->network;
}

static bool is_suspicious(const struct check *check)
{
    return network_failures(check->network, check->now_ms) > NETWORK_FREE_FAILURES ||
           network_failures(check->site, check->now_ms) >
               (check->site == check->network ? NETWORK_FREE_FAILURES : SITE_FREE_FAILURES);
}

/* ---- answers ---- */

static void answer_one(struct check *check, enum guard_answer answer, int retry_after_s)
{
    check->answer = answer;
    check->retry_after_s = retry_after_s;
    check->stage = STAGE_ANSWERED;
    pthread_cond_signal(&check->changed);
}

/* Out of the list, and the threads' number and the networks' too. */
static void leave(struct guard *guard, struct check *check)
{
    struct check **at = &guard->checks;

    while (*at != check)
        at = &(*at)->next;
    *at = check->next;
    guard->held--;
    guard->held_suspicious -= check->suspicious;
    networks_let_go(check);
}

static void answer_all(struct guard *guard, struct check *check, enum guard_answer answer, int retry_after_s)
{
    struct check *next;

    for (struct check *one = guard->checks; one != NULL; one = next) {
        next = one->next;
        if (one != check && one->leader != check)
            continue;
        leave(guard, one);
        answer_one(one, answer, retry_after_s);
    }
}

/* It is crowded: who comes back as told is expected. */
static void send_away(struct guard *guard, struct check *check)
{
    return_expect(guard->guesses, check->pair, check->now_ms);
    answer_all(guard, check, GUARD_WAIT, COME_BACK_S);
}

/* Whether it can be answered without a check. */
static bool knows_answer(struct guard *guard, const struct check *check, enum guard_answer *answer,
                         int *retry_after_s)
{
    bool room;

    *retry_after_s = 0;
    *answer = GUARD_RIGHT;
    if (check->row != NULL && !check->row->disabled &&
        right_is_known(guard->guesses, check->known, check->row->generation, check->now_ms))
        return true;
    const struct pair *pair = pair_find(guard->guesses, check->pair, check->now_ms, &room);
    int64_t wait_ms = pair_wait_ms(pair, check->now_ms);
    *answer = GUARD_WAIT;
    *retry_after_s = wait_ms > 0 ? (int)((wait_ms + 999) / 1000) : COME_BACK_S;
    return wait_ms > 0 || !room;
}

/* ---- whose turn it is ---- */

static bool pair_is_checked(const struct guard *guard, const struct check *check)
{
    for (const struct check *one = guard->checks; one != NULL; one = one->next)
        if (one->stage == STAGE_CHECKING && secret_equals(one->pair, check->pair))
            return true;
    return false;
}

/* Who comes back as told, those without failures, the rest. */
static int64_t rank_of(struct guard *guard, const struct check *check)
{
    bool room;

    if (check->returning)
        return 0;
    return pair_find(guard->guesses, check->pair, check->now_ms, &room) == NULL ? 1 : 2;
}

static bool goes_before(struct guard *guard, const struct check *one, const struct check *other)
{
    const int64_t keys[][2] = {
        {is_suspicious(one), is_suspicious(other)},
        {one->site->turn, other->site->turn},
        {one->network->turn, other->network->turn},
        {rank_of(guard, one), rank_of(guard, other)},
        {one->turn, other->turn},
    };

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i][0] != keys[i][1])
            return keys[i][0] < keys[i][1];
    return false;
}

static struct check *next_check(struct guard *guard)
{
    struct check *first = NULL;

    for (struct check *one = guard->checks; one != NULL; one = one->next)
        if (one->stage == STAGE_WAITING && !pair_is_checked(guard, one) &&
            (first == NULL || goes_before(guard, one, first)))
            first = one;
    return first;
}

/* It has its turn; others of its site, network and user are behind all that wait now. */
static void turn_take(struct guard *guard, struct check *check)
{
    int64_t turn = ++guard->turn;

    check->stage = STAGE_CHECKING;
    check->site->turn = check->network->turn = turn;
    for (struct check *one = guard->checks; one != NULL; one = one->next)
        if (secret_equals(one->pair, check->pair))
            one->turn = turn;
    guard->free_checks--;
    pthread_cond_signal(&check->changed);
}

static void checks_start(struct guard *guard)
{
    struct check *check;

    while (guard->free_checks > 0 && (check = next_check(guard)) != NULL) {
        enum guard_answer answer;
        int retry_after_s;
        if (knows_answer(guard, check, &answer, &retry_after_s))
            answer_all(guard, check, answer, retry_after_s);
        else
            turn_take(guard, check);
    }
}

/* ---- who may wait ---- */

static bool is_full(const struct guard *guard, const struct check *check)
{
    int most = check->returning ? guard->returning_most : guard->suspicious_most;

    return guard->held >= guard->held_most || (check->suspicious && guard->held_suspicious >= most);
}

/* Whether one that waits gives up its place for the newcomer: where there were failures for where there were
 * none, and else where most wait for where fewer do. */
static bool gives_way(const struct check *waiting, const struct check *newcomer)
{
    if (waiting->stage != STAGE_WAITING || waiting->returning)
        return false;
    if (waiting->suspicious != newcomer->suspicious)
        return waiting->suspicious;
    return waiting->site->held > newcomer->site->held;
}

/* The newest of those from where most wait. */
static struct check *last_in_line(const struct guard *guard, const struct check *newcomer)
{
    struct check *last = NULL;

    for (struct check *one = guard->checks; one != NULL; one = one->next)
        if (gives_way(one, newcomer) &&
            (last == NULL || one->suspicious > last->suspicious ||
             (one->suspicious == last->suspicious && one->site->held > last->site->held)))
            last = one;
    return last;
}

static bool make_room(struct guard *guard, const struct check *newcomer)
{
    struct check *last;

    if (is_full(guard, newcomer) && (last = last_in_line(guard, newcomer)) != NULL)
        send_away(guard, last);
    return !is_full(guard, newcomer);
}

/* The same request that came before, if it has no answer yet. */
static struct check *leader_find(const struct guard *guard, const struct check *check)
{
    for (struct check *one = guard->checks; one != NULL; one = one->next)
        if ((one->stage == STAGE_WAITING || one->stage == STAGE_CHECKING) &&
            secret_equals(one->known, check->known) && secret_equals(one->pair, check->pair) &&
            (one->row == NULL) == (check->row == NULL) &&
            (one->row == NULL ||
             (one->row->generation == check->row->generation && one->row->disabled == check->row->disabled)))
            return one;
    return NULL;
}

static void come_in(struct guard *guard, struct check *check)
{
    check->turn = ++guard->turn;
    if (check->network->held == 1) /* itself */
        check->network->turn = check->turn;
    if (check->site->held == 1)
        check->site->turn = check->turn;
    check->leader = leader_find(guard, check);
    check->stage = check->leader == NULL ? STAGE_WAITING : STAGE_FOLLOWING;
    check->next = guard->checks;
    guard->checks = check;
    guard->held++;
    guard->held_suspicious += check->suspicious;
}

/* false: it is answered already. */
static bool enter(struct guard *guard, struct check *check)
{
    if (knows_answer(guard, check, &check->answer, &check->retry_after_s))
        return false;
    check->answer = GUARD_WAIT;
    check->retry_after_s = COME_BACK_S;
    if (!networks_hold(guard, check))
        return false;
    check->suspicious = is_suspicious(check);
    check->returning = return_is_expected(guard->guesses, check->pair, check->now_ms);
    if (!make_room(guard, check)) {
        return_expect(guard->guesses, check->pair, check->now_ms);
        networks_let_go(check);
        return false;
    }
    come_in(guard, check);
    checks_start(guard);
    return true;
}

/* ---- a check ---- */

static void wait_for_turn(struct guard *guard, struct check *check)
{
    struct timespec give_up;

    clock_gettime(CLOCK_MONOTONIC, &give_up);
    give_up.tv_sec += PATIENCE_S;
    while (check->stage == STAGE_WAITING || check->stage == STAGE_FOLLOWING)
        if (pthread_cond_timedwait(&check->changed, &guard->mutex, &give_up) != 0 &&
            (check->stage == STAGE_WAITING || check->stage == STAGE_FOLLOWING))
            send_away(guard, check);
}

/* Others with the same password need no check now; others of the pair may have to wait. */
static void check_end(struct guard *guard, struct check *check, bool right)
{
    guard->free_checks++;
    if (right) {
        pair_forgive(guard->guesses, check->pair, check->now_ms);
        right_know(guard->guesses, check->known, check->row->generation, check->now_ms);
    } else {
        pair_failed(guard->guesses, check->pair, check->now_ms);
        return_forget(guard->guesses, check->pair);
        network_failed(check->network, check->now_ms);
        if (check->site != check->network)
            network_failed(check->site, check->now_ms);
    }
    answer_all(guard, check, right ? GUARD_RIGHT : GUARD_WRONG, 0);
    checks_start(guard);
}

enum guard_answer guard_check(struct guard *guard, const char *user, const struct user *row,
                              const char *password, const char *address, int64_t now_ms, int *retry_after_s)
{
    struct check check = {.row = row, .password = password, .now_ms = now_ms};

    check_begin(&check, user, address);
    pthread_mutex_lock(&guard->mutex);
    if (enter(guard, &check))
        wait_for_turn(guard, &check);
    pthread_mutex_unlock(&guard->mutex);
    if (check.stage == STAGE_CHECKING) {
        bool right = secret_verify_password(row == NULL || row->disabled ? "" : row->password_hash, password);
        pthread_mutex_lock(&guard->mutex);
        check_end(guard, &check, right);
        pthread_mutex_unlock(&guard->mutex);
    }
    pthread_cond_destroy(&check.changed);
    *retry_after_s = check.retry_after_s;
    return check.answer;
}
