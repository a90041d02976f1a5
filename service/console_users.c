/* pktcapd user ... */
#include "auth/secrets.h"
#include "service/console_parts.h"

#include <string.h>

typedef enum status (*user_act)(const struct context *, const struct user_request *, struct user *,
                                struct errors *);

static enum status carry_out(struct console *console, const struct user_request *request, user_act act)
{
    struct user user;

    console_about(console, request->name);
    detail_add_user(console->detail, request);
    return act(&console->context, request, &user, &console->errors);
}

static enum status carry_out_with_password(struct console *console, struct user_request *request,
                                           user_act act)
{
    char password[CONSOLE_PASSWORD_SIZE] = "";
    enum status status = console_ask_password(password, &console->errors);

    request->password = password;
    if (status == STATUS_OK)
        status = carry_out(console, request, act);
    secret_forget(password, sizeof password);
    return status;
}

static enum status groups_given(struct console *console, char groups[GROUPS_SIZE])
{
    const struct console_line *line = console->line;
    enum status status = STATUS_OK;

    for (size_t i = 0; i < line->given_count && status == STATUS_OK; i++)
        if (strcmp(line->given[i].flag, "group") == 0)
            status = console_lines_add("groups", line->given[i].value, groups, GROUPS_SIZE, &console->errors);
    return status;
}

enum status console_user_add(struct console *console)
{
    char groups[GROUPS_SIZE] = "";
    struct user_request request = {
        .name = console->line->words[0], .role = console_flag(console->line, "role"), .disabled = -1};
    struct role role;

    console_about(console, request.name);
    enum status status = groups_given(console, groups);
    if (groups[0] != '\0')
        request.groups = groups;
    /* A slip is told before anybody has typed a password twice. */
    if (status == STATUS_OK)
        status = op_get_role(&console->context, request.role, &role, &console->errors);
    return status == STATUS_OK ? carry_out_with_password(console, &request, op_create_user) : status;
}

enum status console_user_passwd(struct console *console)
{
    struct user_request request = {.name = console->line->words[0], .disabled = -1};
    struct user user;

    console_about(console, request.name);
    enum status status = op_get_user(&console->context, request.name, &user, &console->errors);
    return status == STATUS_OK ? carry_out_with_password(console, &request, op_change_user) : status;
}

enum status console_user_role(struct console *console)
{
    const struct user_request request = {
        .name = console->line->words[0], .role = console->line->words[1], .disabled = -1};

    return carry_out(console, &request, op_change_user);
}

/* NAME,NAME as a name a line. */
static enum status groups_read(const char *text, char groups[GROUPS_SIZE], struct errors *errors)
{
    char group[GROUPS_SIZE];
    enum status status = STATUS_OK;

    for (const char *at = text; text[0] != '\0' && at != NULL && status == STATUS_OK;) {
        size_t length = strcspn(at, ",");
        snprintf(group, sizeof group, "%.*s", (int)length, at);
        status = console_lines_add("groups", group, groups, GROUPS_SIZE, errors);
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return status;
}

enum status console_user_groups(struct console *console)
{
    char groups[GROUPS_SIZE] = "";
    const struct user_request request = {.name = console->line->words[0], .groups = groups, .disabled = -1};

    console_about(console, request.name);
    enum status status = groups_read(console->line->words[1], groups, &console->errors);
    return status == STATUS_OK ? carry_out(console, &request, op_change_user) : status;
}

enum status console_user_disable(struct console *console)
{
    const struct user_request request = {.name = console->line->words[0], .disabled = 1};

    return carry_out(console, &request, op_change_user);
}

enum status console_user_enable(struct console *console)
{
    const struct user_request request = {.name = console->line->words[0], .disabled = 0};

    return carry_out(console, &request, op_change_user);
}

enum status console_user_delete(struct console *console)
{
    const char *name = console->line->words[0];
    struct user user;

    console_about(console, name);
    return op_delete_user(&console->context, name, &user, &console->errors);
}

static void user_print(void *unused, const struct user *user)
{
    (void)unused;
    console_column(user->name, '\t');
    console_column(user->role, '\t');
    console_column_lines(user->groups, '\t');
    console_column(user->disabled ? "disabled" : "enabled", '\t');
    console_column_time(user->created_ms, '\t');
    console_column(user->created_by, '\n');
}

enum status console_user_list(struct console *console)
{
    return op_list_users(&console->context, user_print, NULL, &console->errors);
}
