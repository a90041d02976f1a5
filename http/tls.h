/*
 * TLS (RFC 8446, RFC 5246) by OpenSSL: what a server offers, and its end of one connection. Nothing here
 * waits.
 */
#ifndef PKTCAPD_HTTP_TLS_H
#define PKTCAPD_HTTP_TLS_H

#include "core/error.h"

#include <stddef.h>
#include <sys/types.h>

enum tls_version { TLS_1_2, TLS_1_3 };

/* A certificate with its key, and what goes with it. */
struct tls_files {
    int certificate_fd, key_fd;              /* PEM; read from their beginning, and left open */
    const char *certificate_name, *key_name; /* for messages */
};

struct tls;

/* Reads a certificate with its chain, and its key, and makes ready for connections of at least this version.
 * Fails with ERROR_HOST and a message that names the file. */
MUST_USE enum status tls_open(const struct tls_files *files, enum tls_version least, struct tls **tls,
                              struct error *error);
void tls_close(struct tls *tls);

/* "O = Example, CN = example.org, until 2027-01-31": what clients are shown, for the log. */
const char *tls_describe(const struct tls *tls);

struct tls_connection;

/* NULL: no memory. The connection keeps what it needs of tls. */
struct tls_connection *tls_connection_open(struct tls *tls, int fd);
void tls_connection_close(struct tls_connection *connection);

/* What there is instead of a number of bytes. */
enum { TLS_AGAIN = -1, TLS_FAILED = -2 };

/* 1 once the handshake is done, else one of the above. */
int tls_handshake(struct tls_connection *connection);

/* Bytes, 0 at the other side's end, or one of the above. */
ssize_t tls_read(struct tls_connection *connection, void *buffer, size_t size);
ssize_t tls_write(struct tls_connection *connection, const void *data, size_t size);

/* Tells the other side that nothing will follow, if the socket takes it now. */
void tls_finish(struct tls_connection *connection);

#endif
