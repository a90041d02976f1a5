/* pktcapd role ... */
#include "service/console_parts.h"
#include "service/people_fields.h"

#include <string.h>

/* ---- showing ---- */

static void lines_print(const char *flag, const char *lines)
{
    if (lines[0] == '\0')
        printf("%s\t-\n", flag);
    for (const char *at = lines; *at != '\0'; at += *at == '\n') {
        int length = (int)strcspn(at, "\n");
        printf("%s\t%.*s\n", flag, length, at);
        at += length;
    }
}

static void policy_print(const struct policy *policy)
{
    for (size_t i = 0; i < POLICY_FIELDS; i++) {
        const struct policy_field *field = &policy_fields[i];
        const void *at = (const char *)policy + field->offset;
        switch (field->kind) {
        case POLICY_NUMBER:
            printf("%s\t%lld\n", field->flag, (long long)*(const int64_t *)at);
            break;
        case POLICY_FLAG:
            printf("%s\t%s\n", field->flag, *(const bool *)at ? "yes" : "no");
            break;
        case POLICY_LINES:
            lines_print(field->flag, at);
            break;
        }
    }
}

enum status console_role_show(struct console *console)
{
    const char *name = console->line->words[0];
    struct role role;

    console_about(console, name);
    enum status status = op_get_role(&console->context, name, &role, &console->errors);
    if (status != STATUS_OK)
        return status;
    printf("kind\t%s\n", names_of(&role_kind_names, (int)role.kind));
    policy_print(&role.policy);
    return STATUS_OK;
}

static void role_print(void *unused, const struct role *role)
{
    (void)unused;
    console_column(role->name, '\t');
    console_column(names_of(&role_kind_names, (int)role->kind), '\t');
    console_column(role->built_in ? "built-in" : "made", '\t');
    console_column_lines(role->policy.points, '\n');
}

enum status console_role_list(struct console *console)
{
    return op_list_roles(&console->context, role_print, NULL, &console->errors);
}

/* ---- changing ---- */

/* The role as it is; a new one captures everywhere, and has no limits. */
static enum status role_read(const struct console *console, struct role *role, struct error *error)
{
    const char *name = console->line->words[0];
    enum status status = store_get_role(console->context.store, name, role, error);

    if (status == STATUS_OK || error->code != ERROR_NO_SUCH_ROLE)
        return status;
    *role = (struct role){.policy.points = "*"};
    /* Longer than any name may be, it stays so, and is refused. */
    snprintf(role->name, sizeof role->name, "%s", strlen(name) < sizeof role->name ? name : "-");
    return STATUS_OK;
}

static enum status field_set(const struct policy_field *field, const char *value, bool first,
                             struct policy *policy, struct errors *errors)
{
    char *at = (char *)policy + field->offset;

    switch (field->kind) {
    case POLICY_NUMBER:
        *(int64_t *)(void *)at = console_number(value);
        break;
    case POLICY_FLAG:
        *(bool *)(void *)at = strcmp(value, "yes") == 0;
        break;
    case POLICY_LINES:
        if (first)
            at[0] = '\0';
        if (value[0] == '\0' && first) /* no member at all */
            break;
        return console_lines_add(field->name, value, at, field->size, errors);
    }
    return STATUS_OK;
}

static enum status policy_field_set(const struct console_line *line, const struct policy_field *field,
                                    struct policy *policy, struct errors *errors)
{
    enum status status = STATUS_OK;
    bool first = true;

    for (size_t i = 0; i < line->given_count && status == STATUS_OK; i++)
        if (strcmp(line->given[i].flag, field->flag) == 0) {
            status = field_set(field, line->given[i].value, first, policy, errors);
            first = false;
        }
    return status;
}

enum status console_role_set(struct console *console)
{
    const char *kind = console_flag(console->line, "kind");
    struct errors *errors = &console->errors;
    struct role role;
    struct error error;

    console_about(console, console->line->words[0]);
    enum status status = role_read(console, &role, &error);
    if (status != STATUS_OK)
        return errors_add_error(errors, &error);
    if (kind != NULL)
        role.kind = (enum role_kind)names_find(&role_kind_names, kind);
    for (size_t i = 0; i < POLICY_FIELDS && status == STATUS_OK; i++)
        status = policy_field_set(console->line, &policy_fields[i], &role.policy, errors);
    detail_add_role(console->detail, &role);
    return status == STATUS_OK ? op_put_role(&console->context, &role, errors) : status;
}

enum status console_role_delete(struct console *console)
{
    const char *name = console->line->words[0];
    struct role role;

    console_about(console, name);
    return op_delete_role(&console->context, name, &role, &console->errors);
}
