/*
 * The peer of the HTTP measurement: civetweb, a widely used server that keeps a thread for each connection,
 * with one answer that it sends with one write. What pktcapd does besides is its own work: routing, the
 * store, who asks, the encoding.
 */
#include <civetweb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MAX = 64 * 1024 };

struct constant {
    char whole[ANSWER_MAX + 1024]; /* header and body */
    size_t length;
};

static int answer(struct mg_connection *connection)
{
    const struct constant *constant = mg_get_user_context_data(connection);

    mg_write(connection, constant->whole, constant->length);
    return 200;
}

static int load(struct constant *constant, const char *path)
{
    static char body[ANSWER_MAX];
    FILE *file = fopen(path, "r");

    if (file == NULL)
        return -1;
    size_t length = fread(body, 1, sizeof body, file);
    fclose(file);
    int used = snprintf(constant->whole, sizeof constant->whole,
                        "HTTP/1.1 200 OK\r\n"
                        "Content-Type: application/json\r\n"
                        "Content-Length: %zu\r\n"
                        "Connection: keep-alive\r\n"
                        "Cache-Control: no-store\r\n"
                        "X-Content-Type-Options: nosniff\r\n"
                        "\r\n%.*s",
                        length, (int)length, body);
    constant->length = (size_t)used;
    return 0;
}

int main(int argc, char **argv)
{
    static struct constant constant;
    struct mg_callbacks callbacks = {.begin_request = answer};
    sigset_t stops;
    int got;

    if (argc != 3 || load(&constant, argv[2]) != 0) {
        fputs("usage: bench-constant ADDR:PORT FILE\nAnswers every request with the file, as JSON.\n",
              stderr);
        return 2;
    }
    const char *options[] = {
        "listening_ports",
        argv[1],
        "num_threads",
        "64",
        "tcp_nodelay",
        "1",
        "enable_keep_alive",
        "yes",
        "keep_alive_timeout_ms",
        "15000",
        "request_timeout_ms",
        "30000",
        "connection_queue",
        "128",
        "listen_backlog",
        "1024",
        "access_control_allow_methods",
        "",
        "enable_auth_domain_check",
        "no",
        "decode_url",
        "no",
        NULL,
    };
    sigemptyset(&stops);
    sigaddset(&stops, SIGTERM);
    sigaddset(&stops, SIGINT);
    sigprocmask(SIG_BLOCK, &stops, NULL);
    mg_init_library(0);
    struct mg_context *civetweb = mg_start(&callbacks, &constant, options);
    if (civetweb == NULL) {
        fprintf(stderr, "bench-constant: cannot listen on %s\n", argv[1]);
        return 1;
    }
    sigwait(&stops, &got);
    mg_stop(civetweb);
    mg_exit_library();
    return 0;
}
