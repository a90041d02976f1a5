/*
 * firewall.c and nflog_tap.c without the service, for tests/e2e/test_firewall_tap.py: captures from the
 * packet filter of the network namespace that it runs in.
 *
 *   firewall_tap capture FILE INTERFACE|any PRE|POST INPUT|OUTPUT|DUAL [WORD=VALUE...]
 *       until its standard input ends; an empty line there makes it read, otherwise it reads all the time
 *       words: session=UUID worker=UUID snaplen=BYTES buffer=MiB expression=TEXT lazy=1
 *   firewall_tap sweep [WORKER that lives]
 *   firewall_tap usable
 */
#include "broker/firewall.h"
#include "capture/nflog_tap.h"

#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct test {
    struct firewall_spec spec;
    struct packet_capture_request request;
    bool lazy; /* reads only when all is over */
    struct firewall *firewall;
    FILE *file;
};

static void write_header(FILE *file, uint32_t snaplen, uint32_t linktype)
{
    uint32_t header[6] = {0xa1b23c4d, 2 | 4 << 16, 0, 0, snaplen, linktype};

    fwrite(header, sizeof header, 1, file);
}

/* The direction goes where the pcap format has no room for it: to standard error. */
static bool write_packet(void *context, const struct packet *packet)
{
    struct test *test = context;
    uint32_t header[4] = {(uint32_t)(packet->timestamp_ns / 1000000000),
                          (uint32_t)(packet->timestamp_ns % 1000000000), packet->captured, packet->length};

    fwrite(header, sizeof header, 1, test->file);
    fwrite(packet->data, packet->captured, 1, test->file);
    fputc(packet->direction == PACKET_SENT ? 'o' : 'i', stderr);
    return true;
}

static void unhook(void *context, const char *session)
{
    struct test *test = context;

    firewall_close(test->firewall);
    (void)session;
}

static void set_word(struct test *test, const char *word)
{
    const char *value = strchr(word, '=') + 1;

    if (strncmp(word, "session=", 8) == 0)
        snprintf(test->spec.session, sizeof test->spec.session, "%s", value);
    else if (strncmp(word, "worker=", 7) == 0)
        snprintf(test->spec.worker, sizeof test->spec.worker, "%s", value);
    else if (strncmp(word, "snaplen=", 8) == 0)
        test->spec.snaplen = (uint32_t)atoi(value);
    else if (strncmp(word, "buffer=", 7) == 0)
        test->spec.buffer_mb = (uint32_t)atoi(value);
    else if (strncmp(word, "expression=", 11) == 0)
        snprintf(test->request.capexpression, sizeof test->request.capexpression, "%s", value);
    else
        test->lazy = true;
}

static void run(struct test *test, struct tap *tap)
{
    struct pollfd ready[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = tap->fd, .events = POLLIN}};

    while (poll(ready, test->lazy ? 1 : 2, -1) > 0 && ready[0].revents == 0)
        tap_read(tap, write_packet, test);
}

static int capture(struct test *test)
{
    struct nflog_hook hook = {.unhook = unhook, .context = test};
    struct point point = {0};
    struct filter_exclusions exclusions = {0};
    struct tap_settings settings = {
        .point = &point, .request = &test->request, .exclusions = &exclusions, .snaplen = test->spec.snaplen};
    struct tap_statistics statistics;
    struct tap *tap;
    struct error error;
    int fd;

    test->spec.snaplen = nflog_tap_range(&test->request, settings.snaplen);
    if (firewall_open(&test->spec, &test->firewall, &fd, &error) != STATUS_OK ||
        nflog_tap_open_on(fd, &hook, &settings, &tap, &error) != STATUS_OK) {
        fprintf(stderr, "%d %s\n", (int)error.code, error.message);
        return 1;
    }
    write_header(test->file, settings.snaplen, 101);
    puts("ready");
    fflush(stdout);
    run(test, tap);
    tap_freeze(tap);
    while (tap_read(tap, write_packet, test) > 0) {
    }
    tap_read_statistics(tap, &statistics);
    printf("taken %ld waiting %ld dropped %ld\n", (long)statistics.taken, (long)statistics.waiting,
           (long)statistics.dropped);
    tap_close(tap);
    return fclose(test->file) == 0 ? 0 : 1;
}

static bool lives(void *context, const char *worker)
{
    return context != NULL && strcmp(context, worker) == 0;
}

static int capture_as_told(int count, char **words)
{
    struct test test = {
        .spec = {.worker = "00000000-0000-4000-8000-000000000001",
                 .session = "00000000-0000-4000-8000-000000000002",
                 .filtertype = strcmp(words[2], "PRE") == 0 ? FILTERTYPE_PRE : FILTERTYPE_POST,
                 .snaplen = SNAPLEN_MAX,
                 .buffer_mb = 8},
    };
    int direction = strcmp(words[3], "INPUT") == 0    ? DIRECTION_INPUT
                    : strcmp(words[3], "OUTPUT") == 0 ? DIRECTION_OUTPUT
                                                      : DIRECTION_DUAL;

    test.spec.direction = (enum direction)direction;
    if (strcmp(words[1], "any") != 0)
        snprintf(test.spec.interface, sizeof test.spec.interface, "%s", words[1]);
    test.spec.loopback = strcmp(words[1], "lo") == 0;
    for (int i = 4; i < count; i++)
        set_word(&test, words[i]);
    test.file = fopen(words[0], "wb");
    return test.file == NULL ? 2 : capture(&test);
}

int main(int argc, char **argv)
{
    if (argc >= 6 && strcmp(argv[1], "capture") == 0)
        return capture_as_told(argc - 2, argv + 2);
    if (argc >= 2 && strcmp(argv[1], "sweep") == 0) {
        firewall_sweep(lives, argc > 2 ? argv[2] : NULL);
        return 0;
    }
    return firewall_usable() ? 0 : 1;
}
