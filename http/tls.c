#include "http/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1 << 20 };

struct tls {
    SSL_CTX *context;
    char description[256];
};

struct tls_connection {
    SSL *ssl;
};

/* ---- files ---- */

/* Why the last call failed, in OpenSSL's words. */
static const char *reason(void)
{
    const char *text = ERR_reason_error_string(ERR_peek_last_error());

    return text == NULL ? "no reason given" : text;
}

/* The whole file in memory; NULL fills *error. */
static BIO *file_read(int fd, const char *name, char *buffer, struct error *error)
{
    struct stat status;
    ssize_t size = -1;

    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        size = pread(fd, buffer, FILE_MAX, 0);
    if (size <= 0 || size == FILE_MAX) {
        error_set(error, ERROR_HOST, NULL, "%s cannot be read, is empty, or is too large", name);
        return NULL;
    }
    return BIO_new_mem_buf(buffer, (int)size);
}

/* A passphrase would have to be typed, and nobody is there. */
static int no_passphrase(char *buffer, int size, int writing, void *user)
{
    (void)buffer, (void)size, (void)writing, (void)user;
    return -1;
}

static void describe(struct tls *tls, X509 *certificate)
{
    BIO *out = BIO_new(BIO_s_mem());

    if (out == NULL)
        return;
    X509_NAME_print_ex(out, X509_get_subject_name(certificate), 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
    BIO_puts(out, ", until ");
    ASN1_TIME_print(out, X509_get0_notAfter(certificate));
    int length = BIO_read(out, tls->description, sizeof tls->description - 1);
    tls->description[length > 0 ? length : 0] = '\0';
    text_make_plain(tls->description);
    BIO_free(out);
}

/* The server's own certificate comes first, then those that lead from it to one that clients know. */
static enum status certificate_load(struct tls *tls, const struct tls_files *files, char *buffer,
                                    struct error *error)
{
    BIO *in = file_read(files->certificate_fd, files->certificate_name, buffer, error);
    X509 *one;

    if (in == NULL)
        return error->status;
    X509 *first = PEM_read_bio_X509_AUX(in, NULL, no_passphrase, NULL);
    if (first == NULL || SSL_CTX_use_certificate(tls->context, first) != 1) {
        error_set(error, ERROR_HOST, "tls_certificate", "%s holds no certificate that can be used: %s",
                  files->certificate_name, reason());
        X509_free(first);
        BIO_free(in);
        return error->status;
    }
    describe(tls, first);
    X509_free(first);
    while ((one = PEM_read_bio_X509(in, NULL, no_passphrase, NULL)) != NULL)
        if (SSL_CTX_add0_chain_cert(tls->context, one) != 1)
            X509_free(one);
    ERR_clear_error(); /* the end of the file counts as an error */
    BIO_free(in);
    return STATUS_OK;
}

static enum status key_load(struct tls *tls, const struct tls_files *files, char *buffer, struct error *error)
{
    BIO *in = file_read(files->key_fd, files->key_name, buffer, error);
    enum status status = STATUS_OK;

    if (in == NULL)
        return error->status;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
    BIO_free(in);
    if (key == NULL)
        status = error_set(error, ERROR_HOST, "tls_key",
                           "%s holds no private key that can be read without a passphrase: %s",
                           files->key_name, reason());
    else if (SSL_CTX_use_PrivateKey(tls->context, key) != 1 || SSL_CTX_check_private_key(tls->context) != 1)
        status =
            error_set(error, ERROR_HOST, "tls_key", "the key in %s is not that of the certificate in %s: %s",
                      files->key_name, files->certificate_name, reason());
    EVP_PKEY_free(key);
    return status;
}

static enum status files_load(struct tls *tls, const struct tls_files *files, struct error *error)
{
    char *buffer = malloc(FILE_MAX);

    if (buffer == NULL)
        return error_set(error, ERROR_HOST, NULL, "out of memory");
    ERR_clear_error();
    enum status status = certificate_load(tls, files, buffer, error);
    if (status == STATUS_OK)
        status = key_load(tls, files, buffer, error);
    OPENSSL_cleanse(buffer, FILE_MAX);
    free(buffer);
    return status;
}

/* ---- what is offered ---- */

/* RFC 7301: a client that asks for other protocols only is told so, and cannot be led to misread this one. */
static int protocol_choose(SSL *ssl, const unsigned char **out, unsigned char *out_length,
                           const unsigned char *in, unsigned in_length, void *user)
{
    static const unsigned char OURS[] = "\x08http/1.1";

    (void)ssl, (void)user;
    int chosen = SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_length, OURS, sizeof OURS - 1,
                                       in, in_length);
    return chosen == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool context_set(SSL_CTX *context, enum tls_version least)
{
    /* No resumption: nothing of one connection lives on to help break another, and a new certificate is seen
     * by all at once. */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(context, protocol_choose, NULL);
    return SSL_CTX_set_num_tickets(context, 0) == 1 &&
           SSL_CTX_set_min_proto_version(context, least == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1;
}

enum status tls_open(const struct tls_files *files, enum tls_version least, struct tls **out,
                     struct error *error)
{
    struct tls *tls = calloc(1, sizeof *tls);
    enum status status;

    if (tls == NULL)
        return error_set(error, ERROR_HOST, NULL, "out of memory");
    tls->context = SSL_CTX_new(TLS_server_method());
    if (tls->context == NULL || !context_set(tls->context, least))
        status = error_set(error, ERROR_HOST, NULL, "cannot set up TLS: %s", reason());
    else
        status = files_load(tls, files, error);
    if (status == STATUS_OK)
        *out = tls;
    else
        tls_close(tls);
    return status;
}

void tls_close(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

const char *tls_describe(const struct tls *tls)
{
    return tls->description;
}

/* ---- connections ---- */

struct tls_connection *tls_connection_open(struct tls *tls, int fd)
{
    struct tls_connection *connection = malloc(sizeof *connection);

    if (connection == NULL)
        return NULL;
    connection->ssl = SSL_new(tls->context);
    if (connection->ssl == NULL || SSL_set_fd(connection->ssl, fd) != 1) {
        tls_connection_close(connection);
        return NULL;
    }
    SSL_set_accept_state(connection->ssl);
    return connection;
}

void tls_connection_close(struct tls_connection *connection)
{
    if (connection == NULL)
        return;
    SSL_free(connection->ssl);
    free(connection);
}

static int outcome(struct tls_connection *connection, int result)
{
    switch (SSL_get_error(connection->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return TLS_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        return TLS_FAILED;
    }
}

int tls_handshake(struct tls_connection *connection)
{
    ERR_clear_error();
    int result = SSL_do_handshake(connection->ssl);
    if (result == 1)
        return 1;
    result = outcome(connection, result);
    return result == 0 ? TLS_FAILED : result;
}

ssize_t tls_read(struct tls_connection *connection, void *buffer, size_t size)
{
    size_t got;

    ERR_clear_error();
    int result = SSL_read_ex(connection->ssl, buffer, size, &got);
    return result == 1 ? (ssize_t)got : outcome(connection, result);
}

ssize_t tls_write(struct tls_connection *connection, const void *data, size_t size)
{
    size_t sent;

    ERR_clear_error();
    int result = SSL_write_ex(connection->ssl, data, size, &sent);
    if (result == 1)
        return (ssize_t)sent;
    result = outcome(connection, result);
    return result == 0 ? TLS_FAILED : result;
}

void tls_finish(struct tls_connection *connection)
{
    ERR_clear_error();
    (void)SSL_shutdown(connection->ssl);
    ERR_clear_error();
}
