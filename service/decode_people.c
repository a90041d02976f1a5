/* Bodies about people: a table of fields each, and one loop over it. */
#include "service/codec_people.h"
#include "service/json_read.h"
#include "service/people_fields.h"

#include <stdio.h>
#include <string.h>

enum body_kind {
    BODY_TEXT,   /* a char array of UTF8_SIZE(most) */
    BODY_NUMBER, /* an int64_t, 0 to INT32_MAX */
    BODY_FLAG,   /* a bool */
    BODY_LINES,  /* a char array of `most` bytes, a member a line */
    BODY_KIND,   /* an enum role_kind */
    BODY_POLICY, /* a struct policy */
};

struct body_field {
    const char *name;
    enum body_kind kind;
    size_t offset; /* in the record */
    size_t most;
};

enum { BODY_FIELDS_MAX = 16 };

struct body {
    size_t count; /* at most BODY_FIELDS_MAX */
    const struct body_field *fields;
};

#define BODY_OF(table)                                                                                       \
    {                                                                                                        \
        sizeof(table) / sizeof(table)[0], table                                                              \
    }

static void number_read(const char *field, struct json_object *value, int64_t *out, struct errors *errors)
{
    static const char RIGHT[] = "an integer from 0 to 2147483647";

    if (!json_object_is_type(value, json_type_int)) {
        json_wrong_type(field, value, RIGHT, errors);
        return;
    }
    int64_t number = json_object_get_int64(value);
    if (number < 0 || number > INT32_MAX)
        errors_add(errors, ERROR_OUT_OF_RANGE, field, "%s has the value %s; it takes %s", field,
                   json_object_get_string(value), RIGHT);
    else
        *out = number;
}

static void flag_read(const char *field, struct json_object *value, bool *out, struct errors *errors)
{
    if (json_object_is_type(value, json_type_boolean))
        *out = json_object_get_boolean(value);
    else
        json_wrong_type(field, value, "true or false", errors);
}

static void kind_read(const char *field, struct json_object *value, enum role_kind *out,
                      struct errors *errors)
{
    const char *text = json_read_string(field, value, errors);
    char list[64];

    if (text == NULL)
        return;
    int found = names_find(&role_kind_names, text);
    if (found > 0)
        *out = (enum role_kind)found;
    else
        errors_add(errors, ERROR_BAD_VALUE, field, "%s has the value %.64s; it takes one of %s", field, text,
                   names_list(&role_kind_names, list, sizeof list));
}

/* Appends one member. A line break in it would make two of it. */
static bool line_append(const char *field, const char *member, char *out, size_t size, struct errors *errors)
{
    size_t used = strlen(out);

    if (member[0] == '\0' || strchr(member, '\n') != NULL)
        errors_add(errors, ERROR_BAD_VALUE, field, "%s holds a text that is empty or has a line break",
                   field);
    else if (used + 1 + strlen(member) >= size)
        errors_add(errors, ERROR_OUT_OF_RANGE, field, "%s is longer than %zu bytes", field, size - 1);
    else
        return snprintf(out + used, size - used, "%s%s", used == 0 ? "" : "\n", member) > 0;
    return false;
}

static void lines_read(const char *field, struct json_object *value, char *out, size_t size,
                       struct errors *errors)
{
    bool fine = json_object_is_type(value, json_type_array);

    out[0] = '\0';
    if (!fine)
        json_wrong_type(field, value, "an array of strings", errors);
    for (size_t i = 0; fine && i < json_object_array_length(value); i++) {
        const char *member = json_read_string(field, json_object_array_get_idx(value, i), errors);
        fine = member != NULL && line_append(field, member, out, size, errors);
    }
}

/* ---- policies ---- */

static void policy_field_read(const struct policy_field *field, struct json_object *value,
                              struct policy *policy, struct errors *errors)
{
    void *at = (char *)policy + field->offset;

    switch (field->kind) {
    case POLICY_NUMBER:
        number_read(field->name, value, at, errors);
        break;
    case POLICY_FLAG:
        flag_read(field->name, value, at, errors);
        break;
    case POLICY_LINES:
        lines_read(field->name, value, at, field->size, errors);
        break;
    }
}

static void policy_unknown(const char *name, struct errors *errors)
{
    const char *names[POLICY_FIELDS];

    for (size_t i = 0; i < POLICY_FIELDS; i++)
        names[i] = policy_fields[i].name;
    json_unknown_field(name, names_nearest(&(struct names){names, POLICY_FIELDS}, name), errors);
}

static void policy_read(struct json_object *object, struct policy *policy, struct errors *errors)
{
    if (!json_object_is_type(object, json_type_object)) {
        json_wrong_type("policy", object, "an object", errors);
        return;
    }
    json_object_object_foreach(object, name, value)
    {
        size_t i = 0;
        while (i < POLICY_FIELDS && strcmp(policy_fields[i].name, name) != 0)
            i++;
        if (i == POLICY_FIELDS)
            policy_unknown(name, errors);
        else if (value != NULL)
            policy_field_read(&policy_fields[i], value, policy, errors);
    }
}

/* ---- bodies ---- */

static void field_read(const struct body_field *field, struct json_object *value, void *record,
                       struct errors *errors)
{
    void *at = (char *)record + field->offset;

    switch (field->kind) {
    case BODY_TEXT:
        (void)json_read_text(field->name, value, field->most, at, errors);
        break;
    case BODY_NUMBER:
        number_read(field->name, value, at, errors);
        break;
    case BODY_FLAG:
        flag_read(field->name, value, at, errors);
        break;
    case BODY_LINES:
        lines_read(field->name, value, at, field->most, errors);
        break;
    case BODY_KIND:
        kind_read(field->name, value, at, errors);
        break;
    case BODY_POLICY:
        policy_read(value, at, errors);
        break;
    }
}

static void body_unknown(const struct body *body, const char *name, struct errors *errors)
{
    const char *names[BODY_FIELDS_MAX];

    for (size_t i = 0; i < body->count; i++)
        names[i] = body->fields[i].name;
    json_unknown_field(name, names_nearest(&(struct names){names, body->count}, name), errors);
}

/* Fills the fields of a record that are given; returns a bit for each, in the order of the table. */
static unsigned body_read(const struct body *body, const char *text, size_t length, void *record,
                          struct errors *errors)
{
    struct json_object *root = json_parse_object(text, length, errors);
    unsigned given = 0;

    if (root == NULL)
        return 0;
    json_object_object_foreach(root, name, value)
    {
        size_t i = 0;
        while (i < body->count && strcmp(body->fields[i].name, name) != 0)
            i++;
        if (i == body->count)
            body_unknown(body, name, errors);
        else if (value != NULL) {
            field_read(&body->fields[i], value, record, errors);
            given |= 1u << i;
        }
    }
    json_object_put(root);
    return given;
}

#define USER(field) offsetof(struct user_body, field)

/* The two share their first fields. */
enum { USER_ROLE, USER_GROUPS, USER_PASSWORD, USER_DISABLED, USER_OWN };

#define USER_FIELDS                                                                                          \
    [USER_ROLE] = {"role", BODY_TEXT, USER(role), 64},                                                       \
    [USER_GROUPS] = {"groups", BODY_LINES, USER(groups), GROUPS_SIZE},                                       \
    [USER_PASSWORD] = {"password", BODY_TEXT, USER(password), PASSWORD_MAX},                                 \
    [USER_DISABLED] = {"disabled", BODY_FLAG, USER(disabled), 0}

static const struct body_field NEW_USER[] = {USER_FIELDS, [USER_OWN] = {"name", BODY_TEXT, USER(name), 64}};
static const struct body_field USER_CHANGE[] = {
    USER_FIELDS, [USER_OWN] = {"old_password", BODY_TEXT, USER(old_password), PASSWORD_MAX}};

static const char *if_given(unsigned given, unsigned which, const char *text)
{
    return given & 1u << which ? text : NULL;
}

static unsigned user_read(const struct body *body, const char *text, size_t length, struct user_body *out,
                          struct errors *errors)
{
    *out = (struct user_body){0};
    unsigned given = body_read(body, text, length, out, errors);
    out->request = (struct user_request){
        .role = if_given(given, USER_ROLE, out->role),
        .groups = if_given(given, USER_GROUPS, out->groups),
        .password = if_given(given, USER_PASSWORD, out->password),
        .disabled = given & 1u << USER_DISABLED ? out->disabled : -1,
    };
    return given;
}

void codec_decode_user(const char *body, size_t length, struct user_body *out, struct errors *errors)
{
    static const struct body FIELDS = BODY_OF(NEW_USER);
    unsigned given = user_read(&FIELDS, body, length, out, errors);

    out->request.name = if_given(given, USER_OWN, out->name);
}

void codec_decode_user_change(const char *body, size_t length, const char *name, struct user_body *out,
                              struct errors *errors)
{
    static const struct body FIELDS = BODY_OF(USER_CHANGE);
    unsigned given = user_read(&FIELDS, body, length, out, errors);

    out->request.name = name;
    out->request.old_password = if_given(given, USER_OWN, out->old_password);
}

struct role_body {
    char name[UTF8_SIZE(64)];
    enum role_kind kind;
    bool built_in;
    struct policy policy;
};

void codec_decode_role(const char *body, size_t length, const char *name, struct role *role,
                       struct errors *errors)
{
    static const struct body_field ROLE[] = {
        {"name", BODY_TEXT, offsetof(struct role_body, name), 64},
        {"kind", BODY_KIND, offsetof(struct role_body, kind), 0},
        {"built_in", BODY_FLAG, offsetof(struct role_body, built_in), 0},
        {"policy", BODY_POLICY, offsetof(struct role_body, policy), 0},
    };
    static const struct body FIELDS = BODY_OF(ROLE);
    struct role_body record = {.policy.points = "*"};

    unsigned given = body_read(&FIELDS, body, length, &record, errors);
    *role = (struct role){.kind = record.kind, .policy = record.policy};
    snprintf(role->name, sizeof role->name, "%s", name);
    if ((given & 1u) != 0 && strcmp(record.name, name) != 0 && !errors_blame(errors, "name"))
        errors_add(errors, ERROR_BAD_VALUE, "name", "name has the value %.64s; in this path it is %.64s",
                   record.name, name);
}

void codec_decode_token(const char *body, size_t length, struct token_body *out, struct errors *errors)
{
    static const struct body_field TOKEN[] = {
        {"name", BODY_TEXT, offsetof(struct token_body, name), 255},
        {"user", BODY_TEXT, offsetof(struct token_body, user), 64},
        {"expires_in", BODY_NUMBER, offsetof(struct token_body, request.expires_in_s), 0},
    };
    static const struct body FIELDS = BODY_OF(TOKEN);

    *out = (struct token_body){0};
    unsigned given = length == 0 ? 0 : body_read(&FIELDS, body, length, out, errors);
    out->request.name = if_given(given, 0, out->name);
    out->request.user = if_given(given, 1, out->user);
}

/* Cuts nothing off a name that is valid, and leaves one that is not invalid. */
static void name_copy(char out[PERSON_NAME_SIZE], const char *name)
{
    snprintf(out, PERSON_NAME_SIZE, "%.*s", PERSON_NAME_SIZE - 1, name);
}

struct share_body {
    char user[UTF8_SIZE(64)], group[UTF8_SIZE(64)];
};

void codec_decode_share(const char *body, size_t length, struct share *share, struct errors *errors)
{
    static const struct body_field SHARE[] = {
        {"user", BODY_TEXT, offsetof(struct share_body, user), 64},
        {"group", BODY_TEXT, offsetof(struct share_body, group), 64},
    };
    static const struct body FIELDS = BODY_OF(SHARE);
    struct share_body record = {0};
    size_t before = errors->count;

    unsigned given = body_read(&FIELDS, body, length, &record, errors);
    *share = (struct share){.kind = given == 2 ? SHARE_GROUP : SHARE_USER};
    name_copy(share->name, given == 2 ? record.group : record.user);
    if (errors->count > before)
        return;
    if (given == 3)
        errors_add(errors, ERROR_CONFLICT, "group", "the body has both user and group; it takes one of them");
    else if (given == 0)
        errors_add(errors, ERROR_MISSING_FIELD, "user",
                   "the body has neither user nor group; it takes one of them");
}

void codec_decode_owner(const char *body, size_t length, char owner[UTF8_SIZE(64)], struct errors *errors)
{
    static const struct body_field OWNER[] = {{"user", BODY_TEXT, 0, 64}};
    static const struct body FIELDS = BODY_OF(OWNER);

    owner[0] = '\0';
    (void)body_read(&FIELDS, body, length, owner, errors);
}
