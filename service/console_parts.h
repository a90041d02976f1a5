/* What the files of the console share. Private to them. */
#ifndef PKTCAPD_SERVICE_CONSOLE_PARTS_H
#define PKTCAPD_SERVICE_CONSOLE_PARTS_H

#include "service/detail.h"
#include "service/routes.h"

#include <stdio.h>

struct console;

enum { VERB_WORDS_MAX = 2 };

/* One thing that the console does. */
struct console_verb {
    const char *noun, *name; /* "user", "add"; name NULL: the noun alone */
    size_t least, most;      /* words that follow */
    const char *flags;       /* that it takes, separated by spaces */
    bool policy;             /* takes the flags of policy_fields too */
    const char *needed;      /* a flag that must be given, or NULL */
    const char *usage;       /* what follows the two words */
    const char *help;        /* one sentence */
    enum operation what;     /* for the audit */
    enum status (*run)(struct console *console);
};

extern const struct console_verb console_verbs[];
extern const size_t console_verb_count;

/* ---- console_line.c: the words ---- */

struct console_given {
    const char *flag, *value; /* of a value that was checked */
};

struct console_line {
    const struct console_verb *verb;
    size_t word_count, given_count;
    const char *words[VERB_WORDS_MAX];
    struct console_given *given;        /* in the order of the words */
    const char *data_dir, *config_file; /* NULL: not given */
    bool help;                          /* was asked for, of this noun; then verb is NULL */
    const char *noun;
};

/* Finds verb, words and flags, and checks the flags' values. The line is freed by console_line_free() in any
 * case. */
MUST_USE enum status console_line_read(int argc, char **argv, struct console_line *line, struct error *error);
void console_line_free(struct console_line *line);

/* Whether some verb begins with this noun. */
bool console_is_noun(const char *word);

/* For --data-dir and --config, which may stand before the noun: how many words it takes up; 0: it is neither.
 */
int console_setting_words(const char *word);

/* The value of a flag, NULL if it was not given. */
const char *console_flag(const struct console_line *line, const char *flag);

/* Values as console_line_read() has checked them. */
int64_t console_number(const char *value);
int64_t console_span_s(const char *value); /* N or Nd: days, Nh: hours */

/* The usage of one verb, and of all those of a noun (NULL: of all). */
void console_usage(const struct console_verb *verb, FILE *out);
void console_help(const char *noun, FILE *out);

/* ---- console_open.c: the place ---- */

struct console {
    const struct console_line *line;
    struct config config;
    struct data_dir directory;
    struct service service;
    struct caller who;
    struct client client; /* without an address */
    struct context context;
    struct errors errors;
    char object[128]; /* for the audit */
    char detail[DETAIL_SIZE];
};

/* Becomes the service's user in its data directory, and opens its store. */
MUST_USE enum status console_open(struct console *console, struct error *error);
void console_close(struct console *console);

/* ---- what verbs use ---- */

/* What the act is about, for the audit. */
void console_about(struct console *console, const char *object);

/* Appends a member to a list that has a member a line; what does not fit is an error. */
MUST_USE enum status console_lines_add(const char *field, const char *member, char *lines, size_t size,
                                       struct errors *errors);

/* Prints a column that may be empty, with what goes behind it. */
void console_column(const char *text, char behind);
void console_column_time(int64_t time_ms, char behind); /* 0: none */
void console_column_lines(const char *lines, char behind);

enum { CONSOLE_PASSWORD_SIZE = 1024 };

/* Asks for a new password twice: on the terminal without echo, else from two lines of standard input. */
MUST_USE enum status console_ask_password(char password[CONSOLE_PASSWORD_SIZE], struct errors *errors);

/* ---- the verbs: errors of the console holds what went wrong ---- */

MUST_USE enum status console_user_add(struct console *console);
MUST_USE enum status console_user_list(struct console *console);
MUST_USE enum status console_user_passwd(struct console *console);
MUST_USE enum status console_user_role(struct console *console);
MUST_USE enum status console_user_groups(struct console *console);
MUST_USE enum status console_user_disable(struct console *console);
MUST_USE enum status console_user_enable(struct console *console);
MUST_USE enum status console_user_delete(struct console *console);
MUST_USE enum status console_role_list(struct console *console);
MUST_USE enum status console_role_show(struct console *console);
MUST_USE enum status console_role_set(struct console *console);
MUST_USE enum status console_role_delete(struct console *console);
MUST_USE enum status console_token_add(struct console *console);
MUST_USE enum status console_token_list(struct console *console);
MUST_USE enum status console_token_revoke(struct console *console);
MUST_USE enum status console_audit(struct console *console);

#endif
