#include "service/console.h"

#include "auth/audit.h"
#include "core/clock.h"
#include "core/log.h"
#include "host/privileges.h"
#include "service/console_parts.h"
#include "service/handlers.h"

#include <string.h>
#include <sys/stat.h>

const struct console_verb console_verbs[] = {
    {"user", "add", 1, 1, "role group", false, "role", "NAME --role ROLE [--group GROUP]...",
     "make a user; the password is asked for", OPERATION_CREATE_USER, console_user_add},
    {"user", "list", 0, 0, "", false, NULL, "", "name, role, groups, state, when made, by whom",
     OPERATION_LIST_USERS, console_user_list},
    {"user", "passwd", 1, 1, "", false, NULL, "NAME", "give a new password, which is asked for",
     OPERATION_CHANGE_USER, console_user_passwd},
    {"user", "role", 2, 2, "", false, NULL, "NAME ROLE", "give another role", OPERATION_CHANGE_USER,
     console_user_role},
    {"user", "groups", 2, 2, "", false, NULL, "NAME GROUP[,GROUP]...", "give other groups, '' for none",
     OPERATION_CHANGE_USER, console_user_groups},
    {"user", "disable", 1, 1, "", false, NULL, "NAME", "let the user in no more", OPERATION_CHANGE_USER,
     console_user_disable},
    {"user", "enable", 1, 1, "", false, NULL, "NAME", "let the user in again", OPERATION_CHANGE_USER,
     console_user_enable},
    {"user", "delete", 1, 1, "", false, NULL, "NAME",
     "remove the user, with the tokens; the sessions stay, and are nobody's", OPERATION_DELETE_USER,
     console_user_delete},
    {"token", "add", 1, 1, "name expires", false, NULL, "USER [--name TEXT] [--expires DAYS|Nd|Nh]",
     "make a token, and print it, this once", OPERATION_CREATE_TOKEN, console_token_add},
    {"token", "list", 0, 1, "", false, NULL, "[USER]",
     "id, user, name, state, when made, when it expires, when it was last used", OPERATION_LIST_TOKENS,
     console_token_list},
    {"token", "revoke", 1, 1, "", false, NULL, "ID", "let the token open no more", OPERATION_REVOKE_TOKEN,
     console_token_revoke},
    {"role", "list", 0, 0, "", false, NULL, "", "name, kind, built-in or made, points", OPERATION_LIST_ROLES,
     console_role_list},
    {"role", "show", 1, 1, "", false, NULL, "NAME", "kind and policy, in the words of role set",
     OPERATION_GET_ROLE, console_role_show},
    {"role", "set", 1, 1, "kind", true, NULL, "NAME [--kind admin|operator|auditor] [--POLICY VALUE]...",
     "make a role, which needs a kind, or change what is given of one; numbers: 0 is no limit",
     OPERATION_PUT_ROLE, console_role_set},
    {"role", "delete", 1, 1, "", false, NULL, "NAME", "remove a role that nobody has", OPERATION_DELETE_ROLE,
     console_role_delete},
    {"audit", NULL, 0, 0, "user session operation since", false, NULL,
     "[--user NAME] [--session ID] [--operation NAME] [--since DAYS|Nd|Nh]",
     "time, user, way in, address, operation, session, object, status, error code, detail; oldest first",
     OPERATION_LIST_AUDIT, console_audit},
};

const size_t console_verb_count = sizeof console_verbs / sizeof console_verbs[0];

bool console_wants(int argc, char **argv)
{
    int at = 1, words;

    while (at < argc && (words = console_setting_words(argv[at])) > 0)
        at += words;
    return at < argc && console_is_noun(argv[at]);
}

/* ---- what verbs use ---- */

void console_about(struct console *console, const char *object)
{
    snprintf(console->object, sizeof console->object, "%s", object);
}

enum status console_lines_add(const char *field, const char *member, char *lines, size_t size,
                              struct errors *errors)
{
    size_t used = strlen(lines);
    struct error error;

    if (member[0] == '\0' || strchr(member, '\n') != NULL)
        error_set(&error, ERROR_BAD_VALUE, field, "%s holds a text that is empty or has a line break", field);
    else if (used + 1 + strlen(member) >= size)
        error_set(&error, ERROR_OUT_OF_RANGE, field, "%s is longer than %zu bytes", field, size - 1);
    else
        return snprintf(lines + used, size - used, "%s%s", used == 0 ? "" : "\n", member), STATUS_OK;
    return errors_add_error(errors, &error);
}

void console_column(const char *text, char behind)
{
    printf("%s%c", text[0] == '\0' ? "-" : text, behind);
}

void console_column_time(int64_t time_ms, char behind)
{
    char text[CLOCK_TEXT_SIZE];

    console_column(time_ms == 0 ? "" : clock_text(time_ms, text), behind);
}

void console_column_lines(const char *lines, char behind)
{
    if (lines[0] == '\0')
        putchar('-');
    for (const char *c = lines; *c != '\0'; c++)
        putchar(*c == '\n' ? ',' : *c);
    putchar(behind);
}

/* ---- the whole ---- */

static int usage_failed(const struct console_line *line, const struct error *error)
{
    fprintf(stderr, "pktcapd: %s\n", error->message);
    if (line->verb != NULL)
        console_usage(line->verb, stderr);
    return 2;
}

/* Only the console's own words go to the configuration; its file and the environment count as ever. */
static enum status settings_load(const struct console_line *line, struct config *config, struct error *error)
{
    char *words[6] = {(char *)"pktcapd"};
    enum config_outcome outcome;
    int count = 1;

    if (line->data_dir != NULL) {
        words[count++] = (char *)"--data-dir";
        words[count++] = (char *)line->data_dir;
    }
    if (line->config_file != NULL) {
        words[count++] = (char *)"--config";
        words[count++] = (char *)line->config_file;
    }
    return config_load(config, PROGRAM_PKTCAPD, count, words, &outcome, error);
}

static void act_note(const struct console *console)
{
    const struct errors *errors = &console->errors;
    bool failed = errors->count > 0;
    struct act act = {.operation = console->line->verb->what,
                      .session = "",
                      .object = console->object,
                      .detail = failed ? errors->items[0].message : console->detail,
                      .status = failed ? errors_http(errors) : 200,
                      .code = failed ? (int)errors->items[0].code : 0};

    const struct visit visit = visit_of(&console->context);
    audit_note(&visit, &act);
}

/* What was not read by anybody, a token for example, is not told as a success. */
static bool output_flush(void)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0)
        return true;
    fputs("pktcapd: standard output takes no more\n", stderr);
    return false;
}

static int act(struct console *console)
{
    struct error error;

    if (console_open(console, &error) != STATUS_OK) {
        fprintf(stderr, "pktcapd: %s\n", error.message);
        return 1;
    }
    privileges_conceal();
    enum status status = console->line->verb->run(console);
    act_note(console);
    for (size_t i = 0; i < console->errors.count; i++)
        fprintf(stderr, "pktcapd: %s\n", console->errors.items[i].message);
    return output_flush() && status == STATUS_OK ? 0 : 1;
}

int console_run(int argc, char **argv)
{
    static struct console console;
    struct console_line line;
    struct error error;
    int result = 0;

    if (console_line_read(argc, argv, &line, &error) != STATUS_OK) {
        result = usage_failed(&line, &error);
    } else if (line.help) {
        console_help(line.noun, stdout);
    } else if (settings_load(&line, &console.config, &error) != STATUS_OK) {
        fprintf(stderr, "pktcapd: %s\n", error.message);
        result = 2;
    } else {
        /* The audit's lines in the log are for the service's; here they are the user's own words. */
        log_open("pktcapd", LOG_WARNING);
        umask(027);
        console.line = &line;
        result = act(&console);
        console_close(&console);
    }
    console_line_free(&line);
    return result;
}
