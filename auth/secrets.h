/*
 * Passwords and other secrets, on libsodium. Nothing here is ever logged.
 */
#ifndef PKTCAPD_AUTH_SECRETS_H
#define PKTCAPD_AUTH_SECRETS_H

#include "core/error.h"
#include "core/people.h"

/* Once, before any other function of this file; false if there is no randomness. Harmless if called again. */
bool secrets_open(void);

/* argon2id, about 20 ms and 19 MiB. */
MUST_USE enum status secret_hash_password(const char *password, char hash[PASSWORD_HASH_SIZE],
                                          struct error *error);

/* Whether the hash is of this password. With an empty hash it takes as long, and says no. */
bool secret_verify_password(const char *hash, const char *password);

/* A secret of 256 random bits, "PREFIX" and 43 characters (base64url), and its hash. */
void secret_make(const char *prefix, char *out, size_t size, uint8_t hash[SECRET_HASH_SIZE]);

/* The hash under which the store knows a random secret. */
void secret_hash(const char *secret, uint8_t hash[SECRET_HASH_SIZE]);

/* A password for a person to type: 20 letters and digits without those that look alike. */
void secret_make_password(char *out, size_t size);

bool secret_equals(const uint8_t a[SECRET_HASH_SIZE], const uint8_t b[SECRET_HASH_SIZE]);

/* Keyed with a key that only this process knows: for caches of what was verified. */
void secret_hash_keyed(const char *user, const char *password, uint8_t hash[SECRET_HASH_SIZE]);

void secret_forget(void *memory, size_t size);

#endif
