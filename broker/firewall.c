#include "broker/firewall.h"

#include "broker/log_socket.h"

#include <net/if.h>
#include <nftables/libnftables.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TABLE_PREFIX "pktcapd_"

enum { UUID_LENGTH = 36, TABLE_SIZE = sizeof TABLE_PREFIX + 2 * UUID_LENGTH + 1, COMMANDS_SIZE = 4096 };

struct firewall {
    struct nft_ctx *nft; /* its socket belongs to the namespace in which it was made */
    char table[TABLE_SIZE];
};

/*
 * The chains, and the rules in them. Chains in front have the smallest priority there is, those behind the
 * largest: of the kernel's own only the confirmation of connections comes as late. Among equals the kernel
 * asks the newest first.
 *
 * A rule tells the interface by its index. `any` has no interface to tell, so each packet is taken at the
 * first (PRE) or last (POST) place that all packets of the direction pass, once: DUAL sees a forwarded packet
 * as received before the rules, and as sent behind them. On a loopback interface a packet is sent and
 * received: it is taken as received, whatever the direction, and nowhere else.
 *
 * Not the ingress hook of devices, which comes earlier still: it also gets what is for other hosts, tagged,
 * bridged or broken, none of which the rules of POST ever see, and it knows no `any`. So the rules of netdev
 * tables, and flows that a flowtable takes past all rules, are outside of both.
 *
 * In postrouting a packet has an incoming interface if it is forwarded, and none if this host made it, but
 * for the kernel's own messages of neighbour and multicast listener discovery, which nobody forwards.
 */
enum { IN = 1 << DIRECTION_INPUT, OUT = 1 << DIRECTION_OUTPUT, DUAL = 1 << DIRECTION_DUAL };

#define FIRST "-2147483648"
#define LAST  "2147483647"

static const char NO_ICMPV6[] = "meta l4proto != ipv6-icmp",
                  NO_DISCOVERY[] = "icmpv6 type != { 130-137, 143 }", LOOPBACK[] = "iiftype loopback",
                  NO_LOOPBACK[] = "oiftype != loopback";

static const struct rule {
    enum filtertype filtertype;
    const char *hook, *priority;
    const char *prefix;
    const char *interface; /* the test for one interface, before its index, */
    const char *any;       /* or for all of them */
    const char *also;      /* and the test besides */
    unsigned directions;   /* for which the rule is made, of one interface, */
    unsigned on_loopback;  /* of one that is a loopback interface, */
    unsigned on_any;       /* and of all */
} RULES[] = {
    {FILTERTYPE_PRE, "prerouting", FIRST, FIREWALL_RECEIVED, "iif", "", "", IN | DUAL, IN | OUT | DUAL,
     IN | DUAL},
    {FILTERTYPE_PRE, "prerouting", FIRST, FIREWALL_RECEIVED, "", LOOPBACK, "", 0, 0, OUT},
    {FILTERTYPE_PRE, "output", FIRST, FIREWALL_SENT, "oif", NO_LOOPBACK, "", OUT | DUAL, 0, OUT | DUAL},
    {FILTERTYPE_PRE, "forward", FIRST, FIREWALL_SENT, "oif", "", "", OUT | DUAL, 0, OUT},

    {FILTERTYPE_POST, "input", LAST, FIREWALL_RECEIVED, "iif", "", "", IN | DUAL, IN | OUT | DUAL, IN | DUAL},
    {FILTERTYPE_POST, "input", LAST, FIREWALL_RECEIVED, "", LOOPBACK, "", 0, 0, OUT},
    {FILTERTYPE_POST, "postrouting", LAST, FIREWALL_RECEIVED, "iif", "iif != 0", NO_ICMPV6, IN | DUAL, 0, IN},
    {FILTERTYPE_POST, "postrouting", LAST, FIREWALL_RECEIVED, "iif", "iif != 0", NO_DISCOVERY, IN | DUAL, 0,
     IN},
    {FILTERTYPE_POST, "postrouting", LAST, FIREWALL_SENT, "oif", NO_LOOPBACK, "", OUT | DUAL, 0, OUT | DUAL},
};

/* ---- commands ---- */

struct commands {
    char text[COMMANDS_SIZE];
    size_t used;
};

PRINTF_LIKE(2, 3)
static void add(struct commands *commands, const char *format, ...)
{
    size_t room = sizeof commands->text - commands->used;
    va_list arguments;

    va_start(arguments, format);
    int written = vsnprintf(commands->text + commands->used, room, format, arguments);
    va_end(arguments);
    commands->used += (size_t)written < room ? (size_t)written : room - 1;
}

static bool is_wanted(const struct rule *rule, const struct firewall_spec *spec)
{
    unsigned directions = spec->interface[0] == '\0' ? rule->on_any
                          : spec->loopback           ? rule->on_loopback
                                                     : rule->directions;

    return rule->filtertype == spec->filtertype && (directions & 1u << spec->direction) != 0;
}

/* `add` and not `create`: two rules may share a chain. */
static void add_rule(struct commands *commands, const char *table, const struct rule *rule,
                     unsigned interface, uint16_t group)
{
    char test[64];

    if (interface == 0)
        snprintf(test, sizeof test, "%s", rule->any);
    else
        snprintf(test, sizeof test, "%s %u", rule->interface, interface);
    add(commands, "add chain inet %s %s { type filter hook %s priority %s ; policy accept ; }\n", table,
        rule->hook, rule->hook, rule->priority);
    add(commands, "add rule inet %s %s %s %s log prefix \"%s\" group %u\n", table, rule->hook, test,
        rule->also, rule->prefix, group);
}

/* One transaction. With the flag `owner` the kernel removes the table when the socket that made it closes,
 * whatever the reason, and nobody else can change it (Linux 5.12). */
static void write_commands(struct commands *commands, const char *table, const struct firewall_spec *spec,
                           unsigned interface, uint16_t group, bool owner)
{
    commands->used = 0;
    add(commands, "create table inet %s%s\n", table, owner ? " { flags owner ; }" : "");
    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++)
        if (is_wanted(&RULES[i], spec))
            add_rule(commands, table, &RULES[i], interface, group);
}

/* Nothing of what libnftables has to say may reach the log by itself. */
static struct nft_ctx *nft_open(void)
{
    struct nft_ctx *nft = nft_ctx_new(NFT_CTX_DEFAULT);

    if (nft == NULL)
        return NULL;
    if (nft_ctx_buffer_output(nft) == 0 && nft_ctx_buffer_error(nft) == 0)
        return nft;
    nft_ctx_free(nft);
    return NULL;
}

/* The first line is the reason, the others show the place in the text. */
static enum status refused(struct nft_ctx *nft, struct error *error)
{
    static const char ERROR[] = "Error: ";
    const char *reason = nft_ctx_get_error_buffer(nft);

    if (strncmp(reason, ERROR, strlen(ERROR)) == 0)
        reason += strlen(ERROR);
    return error_set(error, ERROR_HOST, NULL, "the kernel takes no rules into its packet filter: %.*s",
                     (int)strcspn(reason, "\n"), reason);
}

/* ---- opening ---- */

static bool is_uuid(const char *text)
{
    return strlen(text) == UUID_LENGTH && strspn(text, "0123456789abcdef-") == UUID_LENGTH;
}

/* *index 0: any interface. An interface that is called as another one is numbered would be taken for that. */
static enum status find_interface(const char *name, unsigned *index, struct error *error)
{
    char digits[16];

    *index = 0;
    if (name[0] == '\0')
        return STATUS_OK;
    *index = if_nametoindex(name);
    if (*index == 0)
        return error_set(error, ERROR_UNKNOWN_INTERFACE, "capvalue", "there is no interface %s", name);
    snprintf(digits, sizeof digits, "%u", *index);
    unsigned namesake = if_nametoindex(digits);
    if (namesake != 0 && namesake != *index)
        return error_set(error, ERROR_HOST, NULL,
                         "interface %s has the number %s, which is another interface's name; rename that",
                         name, digits);
    return STATUS_OK;
}

static enum status table_create(struct firewall *firewall, const struct firewall_spec *spec,
                                unsigned interface, uint16_t group, struct error *error)
{
    struct commands *commands = calloc(1, sizeof *commands);
    int result = -1;

    if (commands == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    for (int owner = 1; owner >= 0 && result != 0; owner--) {
        write_commands(commands, firewall->table, spec, interface, group, owner == 1);
        result = nft_run_cmd_from_buffer(firewall->nft, commands->text);
    }
    free(commands);
    return result == 0 ? STATUS_OK : refused(firewall->nft, error);
}

enum status firewall_open(const struct firewall_spec *spec, struct firewall **out, int *fd,
                          struct error *error)
{
    struct firewall *firewall;
    unsigned interface;
    uint16_t group;
    int log_fd;

    if (!is_uuid(spec->worker) || !is_uuid(spec->session))
        return error_set(error, ERROR_INTERNAL, NULL, "a table can only be named after two UUIDs");
    if (find_interface(spec->interface, &interface, error) != STATUS_OK ||
        log_socket_open(spec->snaplen, spec->buffer_mb, &log_fd, &group, error) != STATUS_OK)
        return error->status;
    firewall = calloc(1, sizeof *firewall);
    if (firewall == NULL || (firewall->nft = nft_open()) == NULL) {
        error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    } else {
        snprintf(firewall->table, sizeof firewall->table, TABLE_PREFIX "%s_%s", spec->worker, spec->session);
        if (table_create(firewall, spec, interface, group, error) == STATUS_OK) {
            *out = firewall;
            *fd = log_fd;
            return STATUS_OK;
        }
        nft_ctx_free(firewall->nft);
    }
    free(firewall);
    close(log_fd);
    return error->status;
}

static void table_delete(struct nft_ctx *nft, const char *table)
{
    char command[sizeof "delete table inet \n" + TABLE_SIZE];

    /* Somebody may have done so by hand. */
    snprintf(command, sizeof command, "delete table inet %s\n", table);
    (void)nft_run_cmd_from_buffer(nft, command);
}

void firewall_close(struct firewall *firewall)
{
    table_delete(firewall->nft, firewall->table);
    nft_ctx_free(firewall->nft);
    free(firewall);
}

/* ---- what others left ---- */

/* Whether a line of `list tables` names a table of ours, and whose. */
static bool read_table(const char *line, char table[TABLE_SIZE], char worker[UUID_LENGTH + 1])
{
    char session[UUID_LENGTH + 1];

    if (sscanf(line, "table inet " TABLE_PREFIX "%36[0-9a-f-]_%36[0-9a-f-]", worker, session) != 2 ||
        !is_uuid(worker) || !is_uuid(session))
        return false;
    snprintf(table, TABLE_SIZE, TABLE_PREFIX "%s_%s", worker, session);
    return true;
}

static void sweep(struct nft_ctx *nft, const char *tables, bool (*lives)(void *context, const char *worker),
                  void *context)
{
    char table[TABLE_SIZE], worker[UUID_LENGTH + 1];

    for (const char *line = tables; *line != '\0'; line += strcspn(line, "\n"), line += *line == '\n')
        if (read_table(line, table, worker) && !lives(context, worker))
            table_delete(nft, table);
}

/* The tables of this namespace, as a text that the caller frees; NULL if they cannot be had. */
static char *list_tables(struct nft_ctx *nft)
{
    if (nft_run_cmd_from_buffer(nft, "list tables inet\n") != 0)
        return NULL;
    return strdup(nft_ctx_get_output_buffer(nft));
}

void firewall_sweep(bool (*lives)(void *context, const char *worker), void *context)
{
    /* libnftables ends the whole process where netlink has no packet filter behind it. */
    struct nft_ctx *nft = log_socket_usable() ? nft_open() : NULL;

    if (nft == NULL)
        return;
    char *tables = list_tables(nft);
    if (tables != NULL)
        sweep(nft, tables, lives, context);
    free(tables);
    nft_ctx_free(nft);
}

bool firewall_usable(void)
{
    struct nft_ctx *nft = log_socket_usable() ? nft_open() : NULL;

    if (nft == NULL)
        return false;
    char *tables = list_tables(nft);
    bool usable = tables != NULL;
    free(tables);
    nft_ctx_free(nft);
    return usable;
}
