/* The words of the command line: see console_parts.h. */
#include "service/console_parts.h"
#include "service/people_fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum flag_kind { FLAG_TEXT, FLAG_NUMBER, FLAG_YES_NO, FLAG_SPAN, FLAG_KIND, FLAG_OPERATION, FLAG_ID };

struct flag {
    const char *name;
    enum flag_kind kind;
    bool repeated;
};

static const struct flag FLAGS[] = {
    {"role", FLAG_TEXT, false},    {"group", FLAG_TEXT, true},           {"name", FLAG_TEXT, false},
    {"expires", FLAG_SPAN, false}, {"kind", FLAG_KIND, false},           {"user", FLAG_TEXT, false},
    {"session", FLAG_ID, false},   {"operation", FLAG_OPERATION, false}, {"since", FLAG_SPAN, false},
};

/* ---- what the words may be ---- */

/* names: separated by spaces. */
static bool is_among(const char *names, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = names; (at = strstr(at, name)) != NULL; at += length)
        if ((at == names || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
            return length > 0;
    return false;
}

static bool policy_flag_find(const char *name, struct flag *flag)
{
    static const enum flag_kind KINDS[] = {
        [POLICY_NUMBER] = FLAG_NUMBER, [POLICY_FLAG] = FLAG_YES_NO, [POLICY_LINES] = FLAG_TEXT};

    for (size_t i = 0; i < POLICY_FIELDS; i++)
        if (strcmp(policy_fields[i].flag, name) == 0) {
            *flag = (struct flag){policy_fields[i].flag, KINDS[policy_fields[i].kind],
                                  policy_fields[i].kind == POLICY_LINES};
            return true;
        }
    return false;
}

static bool flag_find(const struct console_verb *verb, const char *name, struct flag *flag)
{
    for (size_t i = 0; i < sizeof FLAGS / sizeof FLAGS[0]; i++)
        if (strcmp(FLAGS[i].name, name) == 0 && is_among(verb->flags, name)) {
            *flag = FLAGS[i];
            return true;
        }
    return verb->policy && policy_flag_find(name, flag);
}

bool console_is_noun(const char *word)
{
    for (size_t i = 0; i < console_verb_count; i++)
        if (strcmp(console_verbs[i].noun, word) == 0)
            return true;
    return false;
}

/* Whether the word is --NAME or --NAME=VALUE. */
static bool is_flag(const char *word, const char *name)
{
    size_t length = strlen(name);

    return strncmp(word, "--", 2) == 0 && strncmp(word + 2, name, length) == 0 &&
           (word[2 + length] == '\0' || word[2 + length] == '=');
}

int console_setting_words(const char *word)
{
    if (!is_flag(word, "data-dir") && !is_flag(word, "config"))
        return 0;
    return strchr(word, '=') == NULL ? 2 : 1;
}

/* ---- values ---- */

static bool number_read(const char *text, int64_t most, int64_t *number, const char **end)
{
    char *stop;

    errno = 0;
    *number = strtoll(text, &stop, 10);
    *end = stop;
    return stop != text && text[0] >= '0' && text[0] <= '9' && errno == 0 && *number <= most;
}

int64_t console_number(const char *value)
{
    return strtoll(value, NULL, 10);
}

int64_t console_span_s(const char *value)
{
    return console_number(value) * (value[strlen(value) - 1] == 'h' ? 3600 : 86400);
}

static bool is_span(const char *value)
{
    const char *end;
    int64_t number;

    return number_read(value, INT32_MAX, &number, &end) && number > 0 &&
           (*end == '\0' || strcmp(end, "d") == 0 || strcmp(end, "h") == 0);
}

/* What would be right, NULL if it is. list has room for it. */
static const char *value_wanted(enum flag_kind kind, const char *value, char *list, size_t size)
{
    const char *end;
    int64_t number;
    char id[UUID_SIZE];

    switch (kind) {
    case FLAG_TEXT:
        return NULL;
    case FLAG_NUMBER:
        return number_read(value, INT32_MAX, &number, &end) && *end == '\0' ? NULL
                                                                            : "a number from 0 to 2147483647";
    case FLAG_YES_NO:
        return strcmp(value, "yes") == 0 || strcmp(value, "no") == 0 ? NULL : "yes or no";
    case FLAG_SPAN:
        return is_span(value) ? NULL : "a number of days, as 30 or 30d, or of hours, as 12h";
    case FLAG_KIND:
        return names_find(&role_kind_names, value) > 0 ? NULL : names_list(&role_kind_names, list, size);
    case FLAG_OPERATION:
        return names_find(&operation_names, value) >= 0 ? NULL : names_list(&operation_names, list, size);
    case FLAG_ID:
        return uuid_parse(value, id) ? NULL : "the id of a session, a UUID";
    }
    return NULL;
}

/* ---- reading ---- */

static enum status verb_find(const char *noun, const char *name, struct console_line *line, int *used,
                             struct error *error)
{
    char list[128] = "";

    for (size_t i = 0; i < console_verb_count; i++) {
        const struct console_verb *verb = &console_verbs[i];
        size_t length = strlen(list);
        if (strcmp(verb->noun, noun) != 0)
            continue;
        if (verb->name == NULL || (name != NULL && strcmp(verb->name, name) == 0)) {
            line->verb = verb;
            *used = verb->name == NULL ? 1 : 2;
            return STATUS_OK;
        }
        snprintf(list + length, sizeof list - length, "%s%s", length == 0 ? "" : ", ", verb->name);
    }
    if (name == NULL)
        return error_set(error, ERROR_BAD_PARAMETER, NULL, "%s takes one of %s", noun, list);
    return error_set(error, ERROR_BAD_PARAMETER, NULL, "there is no %s %s; there are %s", noun, name, list);
}

static enum status given_add(struct console_line *line, const struct flag *flag, const char *value,
                             struct error *error)
{
    char list[512];
    const char *wanted = value_wanted(flag->kind, value, list, sizeof list);

    if (!flag->repeated && console_flag(line, flag->name) != NULL)
        return error_set(error, ERROR_BAD_PARAMETER, NULL, "--%s is given twice", flag->name);
    if (wanted != NULL)
        return error_set(error, ERROR_BAD_PARAMETER, NULL, "--%s has the value %.64s; it takes %s",
                         flag->name, value, wanted);
    line->given[line->given_count++] = (struct console_given){flag->name, value};
    return STATUS_OK;
}

/* One flag with its value; value NULL: the line ended. */
static enum status flag_read(struct console_line *line, const char *word, const char *value,
                             struct error *error)
{
    const char *second = line->verb->name == NULL ? "" : line->verb->name;
    char name[32];
    struct flag flag;

    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    if (strncmp(name, "--", 2) != 0 || !flag_find(line->verb, name + 2, &flag))
        return error_set(error, ERROR_BAD_PARAMETER, NULL, "%s%s%s takes no flag %s", line->verb->noun,
                         second[0] == '\0' ? "" : " ", second, name);
    if (value == NULL)
        return error_set(error, ERROR_BAD_PARAMETER, NULL, "%s needs a value", name);
    return given_add(line, &flag, value, error);
}

static enum status word_add(struct console_line *line, const char *word, struct error *error)
{
    if (line->word_count >= line->verb->most)
        return error_set(error, ERROR_BAD_PARAMETER, NULL, "there is a word too many: %.64s", word);
    line->words[line->word_count++] = word;
    return STATUS_OK;
}

static enum status complete_check(const struct console_line *line, struct error *error)
{
    if (line->word_count < line->verb->least)
        return error_set(error, ERROR_BAD_PARAMETER, NULL, "there is a word missing");
    if (line->verb->needed != NULL && console_flag(line, line->verb->needed) == NULL)
        return error_set(error, ERROR_BAD_PARAMETER, NULL, "--%s is missing", line->verb->needed);
    return STATUS_OK;
}

/* Everything behind the verb. */
static enum status rest_read(int count, const char *const *words, struct console_line *line,
                             struct error *error)
{
    enum status status = STATUS_OK;
    bool only_words = false;

    for (int at = 0; at < count && status == STATUS_OK; at++) {
        const char *equals = strchr(words[at], '=');
        if (only_words || words[at][0] != '-') {
            status = word_add(line, words[at], error);
        } else if (strcmp(words[at], "--") == 0) {
            only_words = true;
        } else if (equals != NULL) {
            status = flag_read(line, words[at], equals + 1, error);
        } else {
            status = flag_read(line, words[at], at + 1 < count ? words[at + 1] : NULL, error);
            at++;
        }
    }
    return status == STATUS_OK ? complete_check(line, error) : status;
}

/* Takes the settings and --help out of the words, wherever they stand. Returns how many are left. */
static int settings_take(int argc, char **argv, struct console_line *line, const char **left,
                         struct error *error)
{
    int count = 0, at = 1;

    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        const char *word = argv[at];
        const char **setting = is_flag(word, "data-dir") ? &line->data_dir
                               : is_flag(word, "config") ? &line->config_file
                                                         : NULL;
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
            line->help = true;
        else if (setting == NULL)
            left[count++] = word;
        else if (strchr(word, '=') != NULL)
            *setting = strchr(word, '=') + 1;
        else if (at + 1 < argc)
            *setting = argv[++at];
        else
            return error_set(error, ERROR_BAD_PARAMETER, NULL, "%s needs a value", word), -1;
    }
    for (; at < argc; at++)
        left[count++] = argv[at];
    return count;
}

static enum status left_read(int count, const char *const *left, struct console_line *line,
                             struct error *error)
{
    int used = 0;

    if (line->help)
        line->noun = count > 0 && console_is_noun(left[0]) ? left[0] : NULL;
    if (line->help)
        return STATUS_OK;
    enum status status = verb_find(left[0], count > 1 ? left[1] : NULL, line, &used, error);
    return status == STATUS_OK ? rest_read(count - used, left + used, line, error) : status;
}

enum status console_line_read(int argc, char **argv, struct console_line *line, struct error *error)
{
    const char **left = calloc((size_t)argc, sizeof *left);
    enum status status;

    *line = (struct console_line){.given = calloc((size_t)argc, sizeof *line->given)};
    if (left == NULL || line->given == NULL) {
        status = error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    } else {
        int count = settings_take(argc, argv, line, left, error);
        status = count < 0 ? error->status : left_read(count, left, line, error);
    }
    free(left);
    return status;
}

void console_line_free(struct console_line *line)
{
    free(line->given);
}

const char *console_flag(const struct console_line *line, const char *flag)
{
    for (size_t i = 0; i < line->given_count; i++)
        if (strcmp(line->given[i].flag, flag) == 0)
            return line->given[i].value;
    return NULL;
}

/* ---- help ---- */

void console_usage(const struct console_verb *verb, FILE *out)
{
    fprintf(out, "usage: pktcapd %s%s%s%s%s\n", verb->noun, verb->name == NULL ? "" : " ",
            verb->name == NULL ? "" : verb->name, verb->usage[0] == '\0' ? "" : " ", verb->usage);
}

void console_help(const char *noun, FILE *out)
{
    for (size_t i = 0; i < console_verb_count; i++) {
        const struct console_verb *verb = &console_verbs[i];
        if (noun != NULL && strcmp(noun, verb->noun) != 0)
            continue;
        console_usage(verb, out);
        fprintf(out, "         %s\n", verb->help);
        for (size_t j = 0; verb->policy && j < POLICY_FIELDS; j++)
            fprintf(out, "         --%s %s\n", policy_fields[j].flag, policy_fields[j].help);
    }
    fputs(
        "\nAll take --data-dir DIR and --config FILE, and the environment, as pktcapd itself does. Lists "
        "are\n"
        "separated by tabs; - stands for nothing. Passwords come from the terminal, or else from two equal\n"
        "lines of standard input.\n",
        out);
}
