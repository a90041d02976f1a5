#include "auth/secrets.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* OWASP's second choice for argon2id: 19 MiB, two passes. */
enum { MEMORY = 19 << 20, PASSES = 2 };

static struct {
    bool ready;
    uint8_t key[crypto_generichash_KEYBYTES];
    char nobody[crypto_pwhash_STRBYTES]; /* a hash that no password has, to take as long as others */
} secrets;

static void begin(void)
{
    char password[64];

    if (sodium_init() < 0)
        return;
    randombytes_buf(secrets.key, sizeof secrets.key);
    secret_make_password(password, sizeof password);
    secrets.ready = crypto_pwhash_str_alg(secrets.nobody, password, strlen(password), PASSES, MEMORY,
                                          crypto_pwhash_ALG_ARGON2ID13) == 0;
    secret_forget(password, sizeof password);
}

bool secrets_open(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, begin);
    return secrets.ready;
}

enum status secret_hash_password(const char *password, char hash[PASSWORD_HASH_SIZE], struct error *error)
{
    _Static_assert(PASSWORD_HASH_SIZE >= crypto_pwhash_STRBYTES, "room for the string");

    if (crypto_pwhash_str_alg(hash, password, strlen(password), PASSES, MEMORY,
                              crypto_pwhash_ALG_ARGON2ID13) != 0)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory for the hash of a password");
    return STATUS_OK;
}

bool secret_verify_password(const char *hash, const char *password)
{
    bool known = hash[0] != '\0';
    bool right = crypto_pwhash_str_verify(known ? hash : secrets.nobody, password, strlen(password)) == 0;

    return known && right;
}

void secret_hash(const char *secret, uint8_t hash[SECRET_HASH_SIZE])
{
    crypto_generichash(hash, SECRET_HASH_SIZE, (const uint8_t *)secret, strlen(secret), NULL, 0);
}

void secret_make(const char *prefix, char *out, size_t size, uint8_t hash[SECRET_HASH_SIZE])
{
    uint8_t random[32];
    char text[sodium_base64_ENCODED_LEN(sizeof random, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];

    randombytes_buf(random, sizeof random);
    sodium_bin2base64(text, sizeof text, random, sizeof random, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(out, size, "%s%s", prefix, text);
    secret_hash(out, hash);
    secret_forget(random, sizeof random);
    secret_forget(text, sizeof text);
}

void secret_make_password(char *out, size_t size)
{
    static const char LETTERS[] = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    size_t length = size - 1 < 20 ? size - 1 : 20;

    for (size_t i = 0; i < length; i++)
        out[i] = LETTERS[randombytes_uniform(sizeof LETTERS - 1)];
    out[length] = '\0';
}

bool secret_equals(const uint8_t a[SECRET_HASH_SIZE], const uint8_t b[SECRET_HASH_SIZE])
{
    return sodium_memcmp(a, b, SECRET_HASH_SIZE) == 0;
}

void secret_hash_keyed(const char *user, const char *password, uint8_t hash[SECRET_HASH_SIZE])
{
    crypto_generichash_state state;

    crypto_generichash_init(&state, secrets.key, sizeof secrets.key, SECRET_HASH_SIZE);
    /* With their ends: "ab" and "c" are not "a" and "bc". */
    crypto_generichash_update(&state, (const uint8_t *)user, strlen(user) + 1);
    crypto_generichash_update(&state, (const uint8_t *)password, strlen(password) + 1);
    crypto_generichash_final(&state, hash, SECRET_HASH_SIZE);
    secret_forget(&state, sizeof state);
}

void secret_forget(void *memory, size_t size)
{
    sodium_memzero(memory, size);
}
