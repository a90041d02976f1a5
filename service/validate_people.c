#include "service/validate_people.h"

#include "auth/access.h"
#include "core/prefix.h"
#include "core/request.h"
#include "service/people_fields.h"

#include <string.h>
#include <strings.h>

enum { GROUPS_MAX = 32 };

void validate_person_name(const char *field, const char *name, struct errors *errors)
{
    if (errors_blame(errors, field))
        return;
    if (name == NULL || name[0] == '\0')
        errors_add(errors, ERROR_MISSING_FIELD, field, "%s is required: a name", field);
    else if (!person_name_is_valid(name))
        errors_add(
            errors, ERROR_BAD_VALUE, field,
            "%s has the value %.64s; it takes 1 to %d letters, digits and . _ - @ +, a letter or digit "
            "first",
            field, name, PERSON_NAME_SIZE - 1);
}

static bool holds_control(const char *text)
{
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++)
        if (*c < 0x20 || *c == 0x7f)
            return true;
    return false;
}

/* Never shows the password. */
void validate_password(const char *password, const char *user, struct errors *errors)
{
    size_t length = strlen(password);

    if (errors_blame(errors, "password"))
        return;
    if (length < PASSWORD_MIN || length > PASSWORD_MAX)
        errors_add(errors, ERROR_OUT_OF_RANGE, "password", "password has %zu bytes; it takes %d to %d",
                   length, PASSWORD_MIN, PASSWORD_MAX);
    else if (holds_control(password))
        errors_add(errors, ERROR_BAD_VALUE, "password",
                   "password holds a control character; it takes any others");
    else if (user != NULL && strcasecmp(password, user) == 0)
        errors_add(errors, ERROR_BAD_VALUE, "password",
                   "password is the user's name; it takes something that nobody guesses");
}

void validate_text(const char *field, const char *text, size_t most, struct errors *errors)
{
    if (text == NULL || errors_blame(errors, field))
        return;
    if (strlen(text) > most)
        errors_add(errors, ERROR_OUT_OF_RANGE, field, "%s has %zu bytes; it takes at most %zu", field,
                   strlen(text), most);
    else if (holds_control(text))
        errors_add(errors, ERROR_BAD_VALUE, field, "%s holds a control character; it takes one line of text",
                   field);
}

/* ---- lists, a member a line ---- */

typedef void (*member_check)(const char *field, const char *member, struct errors *errors);

/* Checks each member, up to the first that is wrong, and that no name is there twice. Returns their number.
 */
static size_t lines_check(const char *field, const char *lines, size_t size, member_check check,
                          struct errors *errors)
{
    char member[ROLE_POINTS_SIZE];
    size_t count = 0;

    if (errors_blame(errors, field))
        return 0;
    if (strlen(lines) >= size) {
        errors_add(errors, ERROR_OUT_OF_RANGE, field, "%s takes %zu bytes; there is room for %zu", field,
                   strlen(lines), size - 1);
        return 0;
    }
    for (const char *at = lines; *at != '\0' && !errors_blame(errors, field); count++) {
        size_t length = strcspn(at, "\n");
        memcpy(member, at, length);
        member[length] = '\0';
        at += length + (at[length] == '\n');
        check(field, member, errors);
        if (line_is_in(at, member) && !errors_blame(errors, field))
            errors_add(errors, ERROR_BAD_VALUE, field, "%s holds %.64s twice", field, member);
    }
    return count;
}

static void check_group(const char *field, const char *member, struct errors *errors)
{
    if (!person_name_is_valid(member))
        errors_add(
            errors, ERROR_BAD_VALUE, field,
            "%s holds %.64s; it takes names of 1 to %d letters, digits and . _ - @ +, a letter or digit "
            "first",
            field, member, PERSON_NAME_SIZE - 1);
}

void validate_groups(const char *groups, struct errors *errors)
{
    size_t count = lines_check("groups", groups, GROUPS_SIZE, check_group, errors);

    if (count > GROUPS_MAX && !errors_blame(errors, "groups"))
        errors_add(errors, ERROR_OUT_OF_RANGE, "groups", "groups holds %zu names; it takes at most %d", count,
                   GROUPS_MAX);
}

static void check_point(const char *field, const char *member, struct errors *errors)
{
    const char *why;

    if (!policy_pattern_is_valid(member, &why))
        errors_add(errors, ERROR_BAD_VALUE, field, "%s holds the pattern %.128s: %s", field, member, why);
}

static void check_network(const char *field, const char *member, struct errors *errors)
{
    struct prefix prefix;

    if (!prefix_parse(member, strlen(member), &prefix))
        errors_add(errors, ERROR_BAD_VALUE, field,
                   "%s holds %.64s; it takes IPv4 and IPv6 networks, as 192.0.2.0/24 and 2001:db8::/32",
                   field, member);
}

/* ---- roles ---- */

static void check_number(const struct policy_field *field, const struct policy *policy, struct errors *errors)
{
    const int64_t *number = (const int64_t *)(const void *)((const char *)policy + field->offset);

    if ((*number < 0 || *number > INT32_MAX) && !errors_blame(errors, field->name))
        errors_add(errors, ERROR_OUT_OF_RANGE, field->name,
                   "%s has the value %lld; it takes an integer from 0 to %d", field->name, (long long)*number,
                   INT32_MAX);
}

static void validate_policy(const struct policy *policy, struct errors *errors)
{
    for (size_t i = 0; i < POLICY_FIELDS; i++)
        if (policy_fields[i].kind == POLICY_NUMBER)
            check_number(&policy_fields[i], policy, errors);
    /* A request cannot ask for less. */
    if (policy->max_snaplen > 0 && policy->max_snaplen < SNAPLEN_MIN)
        errors_add(errors, ERROR_OUT_OF_RANGE, "max_snaplen",
                   "max_snaplen has the value %lld; it takes 0 for no limit, or at least %d bytes",
                   (long long)policy->max_snaplen, SNAPLEN_MIN);
    (void)lines_check("points", policy->points, sizeof policy->points, check_point, errors);
    (void)lines_check("networks", policy->networks, sizeof policy->networks, check_network, errors);
}

void validate_role(const struct role *role, struct errors *errors)
{
    char list[64];

    validate_person_name("name", role->name, errors);
    if (role->kind == 0 && !errors_blame(errors, "kind"))
        errors_add(errors, ERROR_MISSING_FIELD, "kind", "kind is required: one of %s",
                   names_list(&role_kind_names, list, sizeof list));
    validate_policy(&role->policy, errors);
}
