/* What all threads of one server share. */
#ifndef PKTCAPD_HTTP_SITE_H
#define PKTCAPD_HTTP_SITE_H

#include "http/addresses.h"
#include "http/crew.h"
#include "http/server.h"
#include "http/tls.h"

#include <pthread.h>
#include <stdatomic.h>

enum { LOOPS = 2 };

struct loop;

struct site {
    struct http_settings settings;
    struct crew *crew;
    struct loop *loops[LOOPS];
    int listener;
    struct addresses *addresses; /* NULL: no limit */
    int64_t told_ms;             /* the acceptor's: when it last said that it turns some away */

    pthread_mutex_t tls_mutex;
    struct tls *tls; /* NULL: plain HTTP */

    atomic_bool stopping;
};

#endif
