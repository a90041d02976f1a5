/*
 * What a guard remembers: passwords that were right, pairs of user and address that tried wrong ones, those
 * who were sent away when it was crowded, and networks. No locks here: the guard has one.
 *
 * Hashes are keyed, so that nobody can aim at a place of a table.
 */
#ifndef PKTCAPD_AUTH_GUESSES_H
#define PKTCAPD_AUTH_GUESSES_H

#include "core/people.h"

struct guesses;

/* A user and an address that tried wrong passwords. */
struct pair {
    uint8_t hash[SECRET_HASH_SIZE]; /* of user and address */
    int64_t failed_ms;
    int32_t failures; /* 0: an empty place */
    int32_t wait_ms;  /* from failed_ms on */
};

/* An address, or an IPv6 network: who comes from there has one turn among those of all others. */
struct network {
    uint8_t hash[SECRET_HASH_SIZE];
    int64_t failed_ms;
    int64_t turn; /* when it last had one, or came, if that is later */
    int failures;
    int held; /* threads that check or wait for it now */
};

/* NULL: out of memory. */
struct guesses *guesses_open(void);
void guesses_close(struct guesses *guesses);

/* Being used keeps it known: a flood that began meanwhile must not lock out who comes often. */
bool right_is_known(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t generation,
                    int64_t now_ms);
void right_know(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t generation,
                int64_t now_ms);

/* The pair, if it failed lately; NULL otherwise. *room: whether its failure could be counted. */
struct pair *pair_find(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms,
                       bool *room);

/* Counts a failure. Never forgets another pair that counts for it. */
void pair_failed(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms);

/* It knows the password: it starts anew. */
void pair_forgive(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms);

/* For how long the pair has to wait; 0: not at all. pair may be NULL. */
int64_t pair_wait_ms(const struct pair *pair, int64_t now_ms);

/* The network's record, made if there is none; NULL: there is no room. It stays while held is above 0. */
struct network *network_get(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms);
void network_failed(struct network *network, int64_t now_ms);

/* Failures that are not yet forgiven: one is every few seconds. */
int network_failures(const struct network *network, int64_t now_ms);

/* The pair was told to come back; and whether it was, and does. What somebody makes up does not come twice.
 */
void return_expect(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms);
bool return_is_expected(const struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE], int64_t now_ms);
void return_forget(struct guesses *guesses, const uint8_t hash[SECRET_HASH_SIZE]);

#endif
