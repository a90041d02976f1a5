#include "core/config.h"

#include "core/config_text.h"
#include "core/log.h"
#include "core/names.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct key {
    const char *name; /* as in the file; --name on the command line, with dashes */
    enum key_kind kind;
    unsigned programs; /* enum program, or-ed: whose --help shows it */
    size_t offset, size;
    const char *standard; /* the default */
    int64_t least, most;  /* KEY_NUMBER */
    const struct names *choices;
    const char *help;
};

NAMES_DEFINE(static, worker_mode_names, "spawn", "external");
NAMES_DEFINE(static, forwarded_names, "auto", "x-forwarded", "forwarded");
NAMES_DEFINE(static, tls_version_names, "1.2", "1.3");
NAMES_DEFINE(static, yes_no_names, "no", "yes");
NAMES_DEFINE(static, log_level_names, "error", "warning", "info", "debug");

#define BOTH      (PROGRAM_PKTCAPD | PROGRAM_WORKER)
#define AT(field) offsetof(struct config, field), sizeof(((struct config *)0)->field)

static const struct key KEYS[] = {
    {"listen", KEY_ADDRESS, PROGRAM_PKTCAPD, AT(listen), "127.0.0.1:8080", 0, 0, NULL,
     "ADDR:PORT of the REST API, [ADDR]:PORT for IPv6, [::]:PORT for both; port 0 takes a free one"},
    {"data_dir", KEY_TEXT, BOTH, AT(data_dir), "/var/lib/pktcapd", 0, 0, NULL,
     "directory of the database and the capture files"},
    {"worker", KEY_CHOICE, PROGRAM_PKTCAPD, AT(worker), "spawn", 0, 0, &worker_mode_names,
     "spawn: start and watch pktcap-worker; external: another unit does"},
    {"user", KEY_TEXT, BOTH, AT(user), "", 0, 0, NULL,
     "when started as root, become this user; default pktcapd, or nobody if there is no such user"},
    {"node_name", KEY_TEXT, PROGRAM_PKTCAPD, AT(node_name), "", 0, 0, NULL,
     "this node's name in requests; default the host name"},
    {"log_level", KEY_CHOICE, BOTH, AT(log_level), "info", 0, 0, &log_level_names, "what is logged"},
    {"default_duration", KEY_NUMBER, PROGRAM_PKTCAPD, AT(default_duration), "600", 1, INT32_MAX, NULL,
     "seconds, for a request without any stop condition"},
    {"max_duration", KEY_NUMBER, PROGRAM_PKTCAPD, AT(max_duration), "86400", 1, INT32_MAX, NULL,
     "seconds, the most that any capture runs"},
    {"max_packets", KEY_NUMBER, PROGRAM_PKTCAPD, AT(max_packets), "0", 0, INT32_MAX, NULL,
     "packets, the most that any capture takes; 0: no limit"},
    {"max_filesize", KEY_NUMBER, PROGRAM_PKTCAPD, AT(max_filesize), "10000", 1, INT32_MAX, NULL,
     "MB (10^6 bytes), the most that any capture file holds"},
    {"max_snaplen", KEY_NUMBER, PROGRAM_PKTCAPD, AT(max_snaplen), "262144", 24, 262144, NULL,
     "bytes, the most that is kept of a packet"},
    {"max_captures", KEY_NUMBER, PROGRAM_WORKER, AT(max_captures), "64", 1, 1024, NULL,
     "captures at once; further ones wait in order"},
    {"ring_mb", KEY_NUMBER, PROGRAM_WORKER, AT(ring_mb), "32", 1, 1024, NULL,
     "MiB of kernel ring for each capture"},
    {"poll_interval", KEY_NUMBER, PROGRAM_WORKER, AT(poll_interval), "1000", 10, 60000, NULL,
     "milliseconds between looks for work when no doorbell rings"},
    {"disk_reserve_mb", KEY_NUMBER, BOTH, AT(disk_reserve_mb), "256", 0, INT32_MAX, NULL,
     "MB that captures leave free on the disk, at most an eighth of it"},
    {"netns_dirs", KEY_TEXT, PROGRAM_WORKER, AT(netns_dirs), "/run/netns:/run/docker/netns", 0, 0, NULL,
     "directories with named network namespaces, separated by colons; empty: none, and no CAP_SYS_ADMIN"},
    {"firewall", KEY_CHOICE, PROGRAM_WORKER, AT(firewall), "yes", 0, 0, &yes_no_names,
     "whether DVFILTER is offered where the worker is started with CAP_NET_ADMIN"},
    {"api_ports", KEY_PORTS, BOTH, AT(api_ports), "", 0, 0, NULL,
     "TCP ports of this host through which a proxy offers the API, separated by commas: the service's own "
     "traffic"},
    {"trusted_proxies", KEY_NETWORKS, PROGRAM_PKTCAPD, AT(trusted_proxies), "", 0, 0, NULL,
     "addresses and networks of proxies whose word on the client counts, separated by commas"},
    {"forwarded", KEY_CHOICE, PROGRAM_PKTCAPD, AT(forwarded), "auto", 0, 0, &forwarded_names,
     "which headers the proxies set: X-Forwarded-For and its family, or Forwarded; auto: the former, if "
     "there"},
    {"user_header", KEY_HEADER, PROGRAM_PKTCAPD, AT(user_header), "", 0, 0, NULL,
     "header in which a trusted proxy names the user that it has let in, such as X-Forwarded-User"},
    {"groups_header", KEY_HEADER, PROGRAM_PKTCAPD, AT(groups_header), "", 0, 0, NULL,
     "header in which it names that user's groups, separated by commas, such as X-Forwarded-Groups"},
    {"group_roles", KEY_TEXT, PROGRAM_PKTCAPD, AT(group_roles), "", 0, 0, NULL,
     "roles of these groups, GROUP:ROLE separated by commas, the first that fits; *:ROLE for everybody else"},
    {"path_prefix", KEY_PATH, PROGRAM_PKTCAPD, AT(path_prefix), "", 0, 0, NULL,
     "path under which a proxy offers the API, such as /capture"},
    {"login_idle", KEY_NUMBER, PROGRAM_PKTCAPD, AT(login_idle), "1800", 1, 31536000, NULL,
     "seconds after its last use that a login of /api/session/create ends"},
    {"login_lifetime", KEY_NUMBER, PROGRAM_PKTCAPD, AT(login_lifetime), "43200", 1, 31536000, NULL,
     "seconds after which it ends in any case"},
    {"tls_certificate", KEY_TEXT, PROGRAM_PKTCAPD, AT(tls_certificate), "", 0, 0, NULL,
     "PEM file of the certificate, with those that lead to it: then the API is https; read again at SIGHUP"},
    {"tls_key", KEY_TEXT, PROGRAM_PKTCAPD, AT(tls_key), "", 0, 0, NULL,
     "PEM file of the certificate's key, without a passphrase"},
    {"tls_min_version", KEY_CHOICE, PROGRAM_PKTCAPD, AT(tls_min_version), "1.2", 0, 0, &tls_version_names,
     "the oldest version of TLS that clients may speak"},
    {"http_threads", KEY_NUMBER, PROGRAM_PKTCAPD, AT(http_threads), "64", 4, 1024, NULL,
     "requests worked on at once"},
    {"max_connections", KEY_NUMBER, PROGRAM_PKTCAPD, AT(max_connections), "4096", 16, 1000000, NULL,
     "connections at once; then those go that have kept the service waiting longest"},
    {"max_connections_per_address", KEY_NUMBER, PROGRAM_PKTCAPD, AT(max_connections_per_address), "0", 0,
     1000000, NULL, "connections at once from one address (IPv6: from one /64 network); 0: no limit"},
    {"max_header_kb", KEY_NUMBER, PROGRAM_PKTCAPD, AT(max_header_kb), "16", 9, 1024, NULL,
     "KiB, the most that the head of a request takes"},
    {"request_timeout", KEY_NUMBER, PROGRAM_PKTCAPD, AT(request_timeout), "10", 1, 3600, NULL,
     "seconds in which the head of a request must arrive; its body has three times as long"},
    {"keepalive_timeout", KEY_NUMBER, PROGRAM_PKTCAPD, AT(keepalive_timeout), "60", 1, 3600, NULL,
     "seconds that a connection stays open for the next request"},
    {"send_timeout", KEY_NUMBER, PROGRAM_PKTCAPD, AT(send_timeout), "60", 1, 3600, NULL,
     "seconds without a byte taken by the client that end a download"},
    {"supervised", KEY_FLAG, PROGRAM_WORKER, AT(supervised), "0", 0, 0, NULL,
     "end when standard input closes (set by pktcapd)"},
};

enum { KEY_COUNT = sizeof KEYS / sizeof KEYS[0] };

static const struct key *key_find(const char *name)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *a = KEYS[i].name, *b = name;
        while (*a != '\0' && (*a == *b || (*a == '_' && *b == '-')))
            a++, b++;
        if (*a == '\0' && *b == '\0')
            return &KEYS[i];
    }
    return NULL;
}

static enum status key_unknown(const char *name, const char *where, struct error *error)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < KEY_COUNT; i++) {
        size_t distance = edit_distance(KEYS[i].name, name);
        if (distance < best) {
            best = distance;
            nearest = KEYS[i].name;
        }
    }
    return error_set(error, ERROR_BAD_PARAMETER, name, "%s: there is no setting %s; the nearest is %s", where,
                     name, nearest);
}

static enum status number_set(int64_t *out, const struct key *key, const char *value, const char *where,
                              struct error *error)
{
    char *end;

    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < key->least || number > key->most)
        return error_set(error, ERROR_BAD_PARAMETER, key->name,
                         "%s: %s is %s; it takes a number from %lld to %lld", where, key->name, value,
                         (long long)key->least, (long long)key->most);
    *out = number;
    return STATUS_OK;
}

static enum status choice_set(int64_t *out, const struct key *key, const char *value, const char *where,
                              struct error *error)
{
    char list[128];
    int choice = names_find(key->choices, value);

    if (choice < 0)
        return error_set(error, ERROR_BAD_PARAMETER, key->name, "%s: %s is %s; it takes one of %s", where,
                         key->name, value, names_list(key->choices, list, sizeof list));
    *out = choice;
    return STATUS_OK;
}

static enum status text_set(char *at, const struct key *key, const char *value, const char *where,
                            struct error *error)
{
    const char *wanted = config_text_wanted(key->kind, value);

    if (wanted != NULL)
        return error_set(error, ERROR_BAD_PARAMETER, key->name, "%s: %s is %s; it takes %s", where, key->name,
                         value, wanted);
    if (strlen(value) >= key->size)
        return error_set(error, ERROR_BAD_PARAMETER, key->name, "%s: %s is longer than %zu characters", where,
                         key->name, key->size - 1);
    strcpy(at, value);
    return STATUS_OK;
}

/* where names the source in messages: the file, the environment or the command line. */
static enum status key_set(struct config *config, const struct key *key, const char *value, const char *where,
                           struct error *error)
{
    char *at = (char *)config + key->offset;

    switch (key->kind) {
    case KEY_ADDRESS:
    case KEY_PORTS:
    case KEY_NETWORKS:
    case KEY_PATH:
    case KEY_HEADER:
    case KEY_TEXT:
        return text_set(at, key, value, where, error);
    case KEY_NUMBER:
        return number_set((int64_t *)(void *)at, key, value, where, error);
    case KEY_CHOICE:
        return choice_set((int64_t *)(void *)at, key, value, where, error);
    case KEY_FLAG:
        *(int64_t *)(void *)at = 1;
        return STATUS_OK;
    }
    return STATUS_OK;
}

struct file_reader {
    struct config *config;
    struct error *error;
    enum status status;
    bool seen[KEY_COUNT];
};

static enum status file_key_set(struct file_reader *reader, const char *name, const char *value)
{
    const struct key *key = key_find(name);
    const char *file = reader->config->config_file;

    if (key == NULL)
        return key_unknown(name, file, reader->error);
    if (key->kind == KEY_FLAG)
        return error_set(reader->error, ERROR_BAD_PARAMETER, key->name, "%s: %s is for the command line only",
                         file, key->name);
    /* inih takes an indented line for more of the value before it, and hands the key over once more. */
    if (reader->seen[key - KEYS])
        return error_set(
            reader->error, ERROR_BAD_PARAMETER, key->name,
            "%s: %s is given twice; a line that begins with a space counts as more of the line before", file,
            key->name);
    reader->seen[key - KEYS] = true;
    return key_set(reader->config, key, value, file, reader->error);
}

static int file_line(void *user, const char *section, const char *name, const char *value)
{
    struct file_reader *reader = user;

    (void)section;
    if (reader->status == STATUS_OK)
        reader->status = file_key_set(reader, name, value);
    return 1;
}

static enum status file_load(struct config *config, struct error *error)
{
    struct file_reader reader = {.config = config, .error = error, .status = STATUS_OK};

    if (config->config_file[0] == '\0')
        return STATUS_OK;
    int line = ini_parse(config->config_file, file_line, &reader);
    if (line < 0)
        return error_set(error, ERROR_BAD_PARAMETER, "config", "cannot read the configuration file %s: %s",
                         config->config_file, strerror(errno));
    if (line > 0)
        return error_set(error, ERROR_BAD_PARAMETER, "config", "%s: line %d is not of the form key = value",
                         config->config_file, line);
    return reader.status;
}

static enum status environment_load(struct config *config, struct error *error)
{
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char variable[64] = "PKTCAPD_";
        size_t used = strlen(variable);
        for (const char *c = KEYS[i].name; *c != '\0'; c++)
            variable[used++] = (char)toupper((unsigned char)*c);
        const char *value = getenv(variable);
        if (value == NULL || value[0] == '\0' || KEYS[i].kind == KEY_FLAG)
            continue;
        enum status status = key_set(config, &KEYS[i], value, variable, error);
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

/* Splits "--name=value" or "--name value"; *value is NULL if there is none. Returns the words used up. */
static int flag_split(int argc, char **argv, int at, char name[64], const char **value)
{
    const char *flag = argv[at] + 2, *equals = strchr(flag, '=');

    snprintf(name, 64, "%.*s", equals == NULL ? 63 : (int)(equals - flag), flag);
    if (equals != NULL) {
        *value = equals + 1;
        return 1;
    }
    *value = at + 1 < argc ? argv[at + 1] : NULL;
    return 2;
}

/* Either notes the configuration file (config == NULL means: set file only) or sets the keys. */
static enum status flags_load(struct config *config, int argc, char **argv, bool file_only,
                              enum config_outcome *outcome, struct error *error)
{
    for (int at = 1; at < argc;) {
        char name[64];
        const char *value;

        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "-h") == 0) {
            *outcome = CONFIG_HELP;
            return STATUS_OK;
        }
        if (strcmp(argv[at], "--version") == 0 || strcmp(argv[at], "-V") == 0) {
            *outcome = CONFIG_VERSION;
            return STATUS_OK;
        }
        if (strncmp(argv[at], "--", 2) != 0)
            return error_set(error, ERROR_BAD_PARAMETER, argv[at], "command line: unexpected word %s",
                             argv[at]);
        int words = flag_split(argc, argv, at, name, &value);
        bool is_file = strcmp(name, "config") == 0;
        const struct key *key = key_find(name);
        if (!is_file && key == NULL)
            return key_unknown(name, "command line", error);
        if (key != NULL && key->kind == KEY_FLAG) {
            words = 1;
            value = "1";
        }
        if (value == NULL)
            return error_set(error, ERROR_BAD_PARAMETER, name, "command line: --%s needs a value", name);
        at += words;
        if (is_file && file_only)
            snprintf(config->config_file, sizeof config->config_file, "%s", value);
        if (!is_file && !file_only) {
            enum status status = key_set(config, key, value, "command line", error);
            if (status != STATUS_OK)
                return status;
        }
    }
    return STATUS_OK;
}

static void defaults_load(struct config *config)
{
    struct error error;

    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (KEYS[i].kind != KEY_FLAG &&
            key_set(config, &KEYS[i], KEYS[i].standard, "default", &error) != STATUS_OK)
            abort(); /* the table itself is wrong */
}

static enum status together_check(const struct config *config, struct error *error)
{
    if ((config->tls_certificate[0] == '\0') == (config->tls_key[0] == '\0'))
        return STATUS_OK;
    return error_set(error, ERROR_BAD_PARAMETER, "tls_key",
                     "tls_certificate and tls_key go together: %s is missing",
                     config->tls_key[0] == '\0' ? "tls_key" : "tls_certificate");
}

enum status config_load(struct config *config, enum program program, int argc, char **argv,
                        enum config_outcome *outcome, struct error *error)
{
    const char *file = getenv("PKTCAPD_CONFIG");
    enum status status;

    (void)program;
    *outcome = CONFIG_RUN;
    defaults_load(config);
    if (file != NULL)
        snprintf(config->config_file, sizeof config->config_file, "%s", file);
    status = flags_load(config, argc, argv, true, outcome, error);
    if (status != STATUS_OK || *outcome != CONFIG_RUN)
        return status;
    if ((status = file_load(config, error)) != STATUS_OK)
        return status;
    if ((status = environment_load(config, error)) != STATUS_OK)
        return status;
    if ((status = flags_load(config, argc, argv, false, outcome, error)) != STATUS_OK)
        return status;
    return together_check(config, error);
}

static void key_help(const struct key *key, FILE *out)
{
    char flag[64], list[128], range[160] = "";

    snprintf(flag, sizeof flag, "%s", key->name);
    for (char *c = flag; *c != '\0'; c++)
        if (*c == '_')
            *c = '-';
    if (key->kind == KEY_NUMBER)
        snprintf(range, sizeof range, " (%lld to %lld)", (long long)key->least, (long long)key->most);
    if (key->kind == KEY_CHOICE)
        snprintf(range, sizeof range, " (%s)", names_list(key->choices, list, sizeof list));
    fprintf(out, "  --%-18s %s%s", flag, key->help, range);
    if (key->kind != KEY_FLAG && key->standard[0] != '\0')
        fprintf(out, "; default %s", key->standard);
    fputc('\n', out);
}

void config_help(enum program program, FILE *out)
{
    fprintf(out, program == PROGRAM_PKTCAPD ? "usage: pktcapd [--listen ADDR:PORT] [--data-dir DIR] "
                                              "[--config FILE] [--worker=spawn|external]\n"
                                              "Packet capture as a service: the REST front end.\n"
                                              "pktcapd user, token, role and audit --help: people.\n\n"
                                            : "usage: pktcap-worker [--data-dir DIR] [--config FILE]\n"
                                              "Packet capture as a service: the worker that captures.\n\n");
    for (size_t i = 0; i < KEY_COUNT; i++)
        if (KEYS[i].programs & (unsigned)program)
            key_help(&KEYS[i], out);
    fprintf(out,
            "  --%-18s configuration file: lines of key = value, with the names above and _ for -\n"
            "  --%-18s this text\n"
            "  --%-18s the version\n\n"
            "Each setting can also be given as PKTCAPD_<SETTING> in the environment, for example\n"
            "PKTCAPD_DATA_DIR. The command line beats the environment, which beats the file.\n",
            "config FILE", "help", "version");
}
