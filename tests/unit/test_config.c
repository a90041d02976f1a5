/* core/config: defaults, the three sources and which beats which, and what is said of mistakes. */
#include "core/config.h"
#include "core/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- keys ---- */

enum kind { TEXT, NUMBER };

#define AT(member) offsetof(struct config, member)

/* Every key: its default, and another value with what becomes of it. */
static const struct key_case {
    const char *name;
    enum kind kind;
    size_t offset;
    const char *default_text;
    int64_t default_number;
    const char *value;
    int64_t number;
} KEYS[] = {
    {"listen", TEXT, AT(listen), "127.0.0.1:8080", 0, "0.0.0.0:0", 0},
    {"data_dir", TEXT, AT(data_dir), "/var/lib/pktcapd", 0, "/a dir/with spaces", 0},
    {"worker", NUMBER, AT(worker), NULL, WORKER_SPAWN, "external", WORKER_EXTERNAL},
    {"user", TEXT, AT(user), "", 0, "capture", 0},
    {"node_name", TEXT, AT(node_name), "", 0, "läb-1", 0},
    {"log_level", NUMBER, AT(log_level), NULL, LOG_INFO, "debug", LOG_DEBUG},
    {"default_duration", NUMBER, AT(default_duration), NULL, 600, "1", 1},
    {"max_duration", NUMBER, AT(max_duration), NULL, 86400, "2147483647", INT32_MAX},
    {"max_packets", NUMBER, AT(max_packets), NULL, 0, "5", 5},
    {"max_filesize", NUMBER, AT(max_filesize), NULL, 10000, "6", 6},
    {"max_snaplen", NUMBER, AT(max_snaplen), NULL, 262144, "24", 24},
    {"max_captures", NUMBER, AT(max_captures), NULL, 64, "1024", 1024},
    {"ring_mb", NUMBER, AT(ring_mb), NULL, 32, "7", 7},
    {"poll_interval", NUMBER, AT(poll_interval), NULL, 1000, "10", 10},
    {"disk_reserve_mb", NUMBER, AT(disk_reserve_mb), NULL, 256, "0", 0},
    {"tls_min_version", NUMBER, AT(tls_min_version), NULL, 0, "1.3", 1},
    {"http_threads", NUMBER, AT(http_threads), NULL, 64, "4", 4},
    {"max_connections", NUMBER, AT(max_connections), NULL, 4096, "16", 16},
    {"max_connections_per_address", NUMBER, AT(max_connections_per_address), NULL, 0, "100", 100},
    {"max_header_kb", NUMBER, AT(max_header_kb), NULL, 16, "32", 32},
    {"request_timeout", NUMBER, AT(request_timeout), NULL, 10, "1", 1},
    {"keepalive_timeout", NUMBER, AT(keepalive_timeout), NULL, 60, "5", 5},
    {"send_timeout", NUMBER, AT(send_timeout), NULL, 60, "3600", 3600},
    {"netns_dirs", TEXT, AT(netns_dirs), "/run/netns:/run/docker/netns", 0, "/run/lab", 0},
    {"firewall", NUMBER, AT(firewall), NULL, 1, "no", 0},
    {"api_ports", TEXT, AT(api_ports), "", 0, "443,8443", 0},
};

/* This key has its value, all others their defaults. */
static void assert_only(const struct config *config, const struct key_case *changed)
{
    for (const struct key_case *key = KEYS; key < KEYS + COUNT(KEYS); key++) {
        const char *text = (const char *)config + key->offset;
        int64_t number;
        memcpy(&number, text, sizeof number);
        if (key->kind == NUMBER && number != (key == changed ? key->number : key->default_number))
            fail_msg("%s is %lld", key->name, (long long)number);
        if (key->kind == TEXT && strcmp(text, key == changed ? key->value : key->default_text) != 0)
            fail_msg("%s is %s", key->name, text);
    }
    assert_int_equal(config->supervised, 0);
}

/* ---- calls: LOAD(place, "--listen", "...") ---- */

/* A folder with room for a configuration file, no PKTCAPD_ variables, and what the last call gave. */
struct place {
    char folder[64];
    char file[96];
    struct config config;
    struct error error;
};

static void variable_name(const char *key, char out[64])
{
    size_t used = (size_t)snprintf(out, 64, "PKTCAPD_");

    for (; *key != '\0'; key++)
        out[used++] = (char)toupper((unsigned char)*key);
    out[used] = '\0';
}

static void environment_clear(void)
{
    char variable[64];

    for (size_t i = 0; i < COUNT(KEYS); i++) {
        variable_name(KEYS[i].name, variable);
        unsetenv(variable);
    }
    unsetenv("PKTCAPD_CONFIG");
    unsetenv("PKTCAPD_SUPERVISED");
}

static int place_make(void **state)
{
    static struct place place;

    environment_clear();
    strcpy(place.folder, "/tmp/test_config.XXXXXX");
    if (mkdtemp(place.folder) == NULL)
        return -1;
    snprintf(place.file, sizeof place.file, "%s/pktcapd.conf", place.folder);
    *state = &place;
    return 0;
}

static int place_remove(void **state)
{
    struct place *place = *state;

    unlink(place->file);
    environment_clear();
    return rmdir(place->folder);
}

static void file_write(const struct place *place, const char *text)
{
    FILE *file = fopen(place->file, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

#define WORDS(...)           ((char *[]){"pktcapd", __VA_ARGS__})
#define LOAD(place, ...)     load((place), PROGRAM_PKTCAPD, (int)COUNT(WORDS(__VA_ARGS__)), WORDS(__VA_ARGS__))
#define LOAD_NO_WORDS(place) load((place), PROGRAM_PKTCAPD, 1, (char *[]){"pktcapd"})

static enum status load(struct place *place, enum program program, int argc, char **argv)
{
    enum config_outcome outcome = CONFIG_VERSION;
    enum status status;

    memset(&place->config, 0x5a, sizeof place->config);
    memset(&place->error, 0, sizeof place->error);
    status = config_load(&place->config, program, argc, argv, &outcome, &place->error);
    if (status == STATUS_OK)
        assert_int_equal(outcome, CONFIG_RUN);
    return status;
}

static void assert_ok(const struct place *place, enum status status)
{
    if (status != STATUS_OK)
        fail_msg("%s", place->error.message);
}

/* Refused, with the field named, and a message that says where the mistake is and what it is. */
static void assert_refused(const struct place *place, enum status status, const char *field,
                           const char *where, const char *what)
{
    const struct error *error = &place->error;

    assert_int_equal(status, STATUS_INVALID_ARGUMENT);
    assert_int_equal(error->status, STATUS_INVALID_ARGUMENT);
    assert_int_equal(error->code, ERROR_BAD_PARAMETER);
    assert_string_equal(error->field, field);
    if (strstr(error->message, where) == NULL || strstr(error->message, what) == NULL)
        fail_msg("%s: does not say %s, %s", error->message, where, what);
}

/* ---- the sources ---- */

static void flag_name(const char *key, char dash, char out[64])
{
    snprintf(out, 64, "--%s", key);
    for (char *c = out; *c != '\0'; c++)
        if (*c == '_')
            *c = dash;
}

static void defaults_apply(void **state)
{
    struct place *place = *state;

    assert_ok(place, LOAD_NO_WORDS(place));
    assert_only(&place->config, NULL);
    assert_string_equal(place->config.config_file, "");
}

static void the_file_sets_every_key(void **state)
{
    struct place *place = *state;
    char text[256];

    for (size_t i = 0; i < COUNT(KEYS); i++) {
        snprintf(text, sizeof text, "; a comment\n[a section]\n\n%s = %s ; and another\n", KEYS[i].name,
                 KEYS[i].value);
        file_write(place, text);
        assert_ok(place, LOAD(place, "--config", place->file));
        assert_only(&place->config, &KEYS[i]);
        assert_string_equal(place->config.config_file, place->file);
    }
}

static void the_environment_sets_every_key(void **state)
{
    struct place *place = *state;
    char variable[64];

    for (size_t i = 0; i < COUNT(KEYS); i++) {
        variable_name(KEYS[i].name, variable);
        setenv(variable, KEYS[i].value, 1);
        assert_ok(place, LOAD_NO_WORDS(place));
        assert_only(&place->config, &KEYS[i]);
        setenv(variable, "", 1); /* as good as unset */
        assert_ok(place, LOAD_NO_WORDS(place));
        assert_only(&place->config, NULL);
    }
}

static void flags_set_every_key(void **state)
{
    struct place *place = *state;

    for (size_t i = 0; i < COUNT(KEYS); i++)
        for (int form = 0; form < 4; form++) {
            char flag[64], joined[128];
            flag_name(KEYS[i].name, form < 2 ? '-' : '_', flag);
            snprintf(joined, sizeof joined, "%s=%s", flag, KEYS[i].value);
            if (form % 2 == 0)
                assert_ok(place, LOAD(place, joined));
            else
                assert_ok(place, LOAD(place, flag, (char *)KEYS[i].value));
            assert_only(&place->config, &KEYS[i]);
        }
}

/* An empty setting is as good as none in the environment; in the file and on the command line it says
 * something: no directories at all. */
static void no_directories_of_namespaces(void **state)
{
    struct place *place = *state;

    assert_ok(place, LOAD(place, "--netns-dirs="));
    assert_string_equal(place->config.netns_dirs, "");
    file_write(place, "netns_dirs =\n");
    assert_ok(place, LOAD(place, "--config", place->file));
    assert_string_equal(place->config.netns_dirs, "");
}

/* Either program takes the other's keys: both may share one file. */
static void both_programs_take_all_keys(void **state)
{
    struct place *place = *state;
    char *words[] = {"pktcap-worker", "--listen=127.0.0.1:1", "--ring-mb=8"};

    assert_ok(place, load(place, PROGRAM_WORKER, COUNT(words), words));
    assert_string_equal(place->config.listen, "127.0.0.1:1");
    assert_ok(place, load(place, PROGRAM_PKTCAPD, COUNT(words), words));
    assert_int_equal(place->config.ring_mb, 8);
}

/* ---- which beats which ---- */

enum source { IN_FILE = 1, IN_ENVIRONMENT = 2, IN_FLAGS = 4 };

static void check_precedence(struct place *place, unsigned sources, const char *text, int64_t level,
                             int64_t mb)
{
    environment_clear();
    file_write(place, sources & IN_FILE ? "user = filer\nlog_level = error\nring_mb = 1\n" : "");
    if (sources & IN_ENVIRONMENT) {
        setenv("PKTCAPD_USER", "environ", 1);
        setenv("PKTCAPD_LOG_LEVEL", "warning", 1);
        setenv("PKTCAPD_RING_MB", "2", 1);
    }
    if (sources & IN_FLAGS)
        assert_ok(place,
                  LOAD(place, "--user=flagger", "--config", place->file, "--log-level=debug", "--ring-mb=3"));
    else
        assert_ok(place, LOAD(place, "--config", place->file));
    assert_string_equal(place->config.user, text);
    assert_int_equal(place->config.log_level, level);
    assert_int_equal(place->config.ring_mb, mb);
}

static void flags_beat_environment_beats_file(void **state)
{
    struct place *place = *state;

    check_precedence(place, 0, "", LOG_INFO, 32);
    for (unsigned sources = 1; sources < 8; sources++)
        if (sources & IN_FLAGS)
            check_precedence(place, sources, "flagger", LOG_DEBUG, 3);
        else if (sources & IN_ENVIRONMENT)
            check_precedence(place, sources, "environ", LOG_WARNING, 2);
        else
            check_precedence(place, sources, "filer", LOG_ERROR, 1);
    assert_ok(place, LOAD(place, "--user=first", "--user=last"));
    assert_string_equal(place->config.user, "last");
}

static void the_environment_names_the_file(void **state)
{
    struct place *place = *state;

    file_write(place, "user = filer\n");
    setenv("PKTCAPD_CONFIG", place->file, 1);
    assert_ok(place, LOAD_NO_WORDS(place));
    assert_string_equal(place->config.user, "filer");
    setenv("PKTCAPD_CONFIG", "/no/such/file", 1);
    assert_ok(place, LOAD(place, "--config", place->file));
    assert_string_equal(place->config.user, "filer");
}

/* ---- mistakes ---- */

/* The same mistake on the command line and in the file. */
static void check_mistake(struct place *place, const char *key, const char *value, const char *what)
{
    char text[128];

    snprintf(text, sizeof text, "--%s=%s", key, value);
    assert_refused(place, LOAD(place, text), key, "command line", what);
    snprintf(text, sizeof text, "%s = %s\n", key, value);
    file_write(place, text);
    assert_refused(place, LOAD(place, "--config", place->file), key, place->file, what);
}

static void an_unknown_key_names_the_nearest(void **state)
{
    check_mistake(*state, "listn", "1", "no setting listn; the nearest is listen");
    check_mistake(*state, "data-dri", "1", "no setting data-dri; the nearest is data_dir");
    check_mistake(*state, "max_package", "1", "no setting max_package; the nearest is max_packets");
    check_mistake(*state, "Listen", "1", "no setting Listen; the nearest is listen");
}

static void a_bad_value_is_refused_wherever_it_stands(void **state)
{
    static const struct {
        const char *key, *value, *what;
    } TABLE[] = {
        {"ring_mb", "0", "ring_mb is 0; it takes a number from 1 to 1024"},
        {"ring_mb", "1025", "ring_mb is 1025; it takes a number from 1 to 1024"},
        {"ring_mb", "-5", "ring_mb is -5; it takes a number from 1 to 1024"},
        {"ring_mb", "12x", "ring_mb is 12x; it takes a number from 1 to 1024"},
        {"ring_mb", "x", "ring_mb is x; it takes a number from 1 to 1024"},
        {"ring_mb", "1.5", "ring_mb is 1.5; it takes a number from 1 to 1024"},
        {"ring_mb", "0x10", "ring_mb is 0x10; it takes a number from 1 to 1024"},
        {"ring_mb", "99999999999999999999", "it takes a number from 1 to 1024"},
        {"max_packets", "-1", "max_packets is -1; it takes a number from 0 to 2147483647"},
        {"max_packets", "2147483648", "it takes a number from 0 to 2147483647"},
        {"worker", "Spawn", "worker is Spawn; it takes one of spawn, external"},
        {"log_level", "loud", "log_level is loud; it takes one of error, warning, info, debug"},
        {"firewall", "true", "firewall is true; it takes one of no, yes"},
        {"api_ports", "0", "api_ports is 0; it takes ports from 1 to 65535, separated by commas"},
        {"api_ports", "65536", "api_ports is 65536; it takes ports from 1 to 65535"},
        {"api_ports", "443,", "api_ports is 443,; it takes ports"},
        {"api_ports", ",443", "api_ports is ,443; it takes ports"},
        {"api_ports", "443, 8443", "api_ports is 443, 8443; it takes ports"},
        {"api_ports", "443;8443", "it takes ports"},
        {"api_ports", "https", "api_ports is https; it takes ports"},
        {"api_ports", "-1", "api_ports is -1; it takes ports"},
    };
    struct place *place = *state;
    char variable[64];

    for (size_t i = 0; i < COUNT(TABLE); i++) {
        check_mistake(place, TABLE[i].key, TABLE[i].value, TABLE[i].what);
        variable_name(TABLE[i].key, variable);
        setenv(variable, TABLE[i].value, 1);
        assert_refused(place, LOAD_NO_WORDS(place), TABLE[i].key, variable, TABLE[i].what);
        unsetenv(variable);
    }
    check_mistake(place, "ring_mb", "", "ring_mb is ; it takes a number");
}

static void a_text_that_is_too_long_is_refused(void **state)
{
    struct place *place = *state;
    char value[sizeof place->config.node_name + 1] = "";

    memset(value, 'x', sizeof place->config.node_name - 1);
    assert_ok(place, LOAD(place, "--node-name", value));
    assert_string_equal(place->config.node_name, value);
    strcat(value, "x");
    assert_refused(place, LOAD(place, "--node-name", value), "node_name", "command line", "longer than 127");
}

static void an_address_needs_both_parts(void **state)
{
    static const char *const WRONG[] = {"8080",
                                        ":8080",
                                        "localhost:8080",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "::1:8080",
                                        "[::1]",
                                        "[::1]8080",
                                        "[]:8080",
                                        "[127.0.0.1]:8080",
                                        "[::ffff:127.0.0.1]:8080",
                                        "127.0.0.1:8080s",
                                        "127.0.0.1:1,127.0.0.1:2",
                                        ""};
    struct place *place = *state;

    for (size_t i = 0; i < sizeof WRONG / sizeof WRONG[0]; i++)
        assert_refused(place, LOAD(place, "--listen", (char *)(uintptr_t)WRONG[i]), "listen", "command line",
                       "it takes ADDR:PORT");
    assert_ok(place, LOAD(place, "--listen", "0.0.0.0:65535"));
    assert_ok(place, LOAD(place, "--listen", "[::1]:8080"));
    assert_ok(place, LOAD(place, "--listen", "[::]:0"));
}

static void a_certificate_needs_its_key(void **state)
{
    struct place *place = *state;

    assert_refused(place, LOAD(place, "--tls-certificate", "/etc/a.pem"), "tls_key", "go together",
                   "tls_key");
    assert_refused(place, LOAD(place, "--tls-key", "/etc/a.key"), "tls_key", "go together",
                   "tls_certificate");
    assert_ok(place, LOAD(place, "--tls-certificate", "/etc/a.pem", "--tls-key", "/etc/a.key"));
    assert_string_equal(place->config.tls_key, "/etc/a.key");
}

static void what_is_no_setting_is_refused(void **state)
{
    static const struct {
        char *word;
        const char *field, *what;
    } TABLE[] = {
        {"start", "start", "unexpected word start"},
        {"-x", "-x", "unexpected word -x"},
        {"--listen", "listen", "--listen needs a value"},
        {"--data-dir", "data-dir", "--data-dir needs a value"},
        {"--config", "config", "--config needs a value"},
    };
    struct place *place = *state;

    for (size_t i = 0; i < COUNT(TABLE); i++)
        assert_refused(place, LOAD(place, "--user=a", TABLE[i].word), TABLE[i].field, "command line",
                       TABLE[i].what);
}

static void bad_files_are_refused(void **state)
{
    struct place *place = *state;
    static const struct {
        const char *text, *field, *what;
    } TABLE[] = {
        {"user = a\nnonsense\n", "config", "line 2"},
        {"user = a\nnode_name = b\nuser = c\n", "user", "twice"},
        /* inih would make this data_dir = "user = a". */
        {"data_dir = /a\n  user = a\n", "data_dir", "begins with a space"},
        {"supervised = 0\n", "supervised", "command line only"},
    };

    assert_refused(place, LOAD(place, "--config", place->file), "config", place->file, "No such file");
    for (size_t i = 0; i < COUNT(TABLE); i++) {
        file_write(place, TABLE[i].text);
        assert_refused(place, LOAD(place, "--config", place->file), TABLE[i].field, place->file,
                       TABLE[i].what);
    }
}

/* ---- flags that are no settings ---- */

static void help_and_version_are_outcomes(void **state)
{
    struct place *place = *state;
    static const struct {
        char *word;
        enum config_outcome outcome;
    } TABLE[] = {
        {"--help", CONFIG_HELP}, {"-h", CONFIG_HELP}, {"--version", CONFIG_VERSION}, {"-V", CONFIG_VERSION}};

    for (size_t i = 0; i < COUNT(TABLE); i++) {
        /* They are answered also where the configuration could not be read. */
        char *words[] = {"pktcapd", "--config=/no/such/file", TABLE[i].word, "--nonsense"};
        enum config_outcome outcome = CONFIG_RUN;
        setenv("PKTCAPD_RING_MB", "nonsense", 1);
        assert_int_equal(
            config_load(&place->config, PROGRAM_PKTCAPD, COUNT(words), words, &outcome, &place->error),
            STATUS_OK);
        assert_int_equal(outcome, TABLE[i].outcome);
    }
}

static void supervised_takes_no_value(void **state)
{
    struct place *place = *state;

    assert_ok(place, LOAD(place, "--supervised", "--user", "a"));
    assert_int_equal(place->config.supervised, 1);
    assert_string_equal(place->config.user, "a");
    assert_refused(place, LOAD(place, "--supervised", "a"), "a", "command line", "unexpected word a");
    setenv("PKTCAPD_SUPERVISED", "1", 1);
    assert_ok(place, LOAD_NO_WORDS(place));
    assert_int_equal(place->config.supervised, 0);
}

static char *help_text(enum program program)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    config_help(program, out);
    fclose(out);
    return text;
}

static void help_shows_each_program_its_keys(void **state)
{
    char *front = help_text(PROGRAM_PKTCAPD), *worker = help_text(PROGRAM_WORKER);

    (void)state;
    for (size_t i = 0; i < COUNT(KEYS); i++) {
        char flag[64];
        flag_name(KEYS[i].name, '-', flag);
        if (strstr(front, flag) == NULL && strstr(worker, flag) == NULL)
            fail_msg("%s is in no help", flag);
    }
    assert_non_null(strstr(front, "  --listen "));
    assert_null(strstr(worker, "  --listen "));
    assert_non_null(strstr(worker, "  --ring-mb "));
    assert_null(strstr(front, "  --ring-mb "));
    assert_non_null(strstr(worker, "(1 to 1024); default 64"));
    assert_non_null(strstr(front, "(spawn, external); default spawn"));
    assert_non_null(strstr(worker, "(no, yes); default yes"));
    assert_non_null(strstr(worker, "  --netns-dirs "));
    assert_non_null(strstr(worker, "  --api-ports "));
    assert_non_null(strstr(front, "--config FILE"));
    free(front);
    free(worker);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, place_make, place_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(defaults_apply),
        TEST(the_file_sets_every_key),
        TEST(the_environment_sets_every_key),
        TEST(flags_set_every_key),
        TEST(no_directories_of_namespaces),
        TEST(both_programs_take_all_keys),
        TEST(flags_beat_environment_beats_file),
        TEST(the_environment_names_the_file),
        TEST(an_unknown_key_names_the_nearest),
        TEST(a_bad_value_is_refused_wherever_it_stands),
        TEST(a_text_that_is_too_long_is_refused),
        TEST(an_address_needs_both_parts),
        TEST(a_certificate_needs_its_key),
        TEST(what_is_no_setting_is_refused),
        TEST(bad_files_are_refused),
        TEST(help_and_version_are_outcomes),
        TEST(supervised_takes_no_value),
        TEST(help_shows_each_program_its_keys),
    };

    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
