/* Who may do what: every operation for every role on every relation to a session; and policies. */
#include "auth/access.h"

#include "service/routes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum relation { OWN, SHARED, OTHER, SEEN, FILES, NOBODYS, RELATIONS };

/* What each role gets on each relation: y(es), 3 (403), 4 (404); a dash where the operation is about no
 * session, and then the first letter counts. */
static const struct {
    enum operation operation;
    const char *admin, *operator, * auditor;
} WANTED[] = {
    {OPERATION_CREATE_SESSION, "y-", "y-", "3-"},
    {OPERATION_GET_SESSION, "yyyyyy", "yy4yy4", "yy4yy4"},
    {OPERATION_RESTART_SESSION, "yyyyyy", "y34334", "334334"},
    {OPERATION_TERMINATE_SESSION, "yyyyyy", "y34334", "334334"},
    {OPERATION_DELETE_SESSION, "yyyyyy", "y34334", "334334"},
    {OPERATION_GET_CAPTURE_FILE, "yyyyyy", "yy43y4", "yy43y4"},
    {OPERATION_LIST_SESSIONS, "y-", "y-", "y-"},
    {OPERATION_DELETE_SESSIONS, "y-", "y-", "3-"},
    {OPERATION_LIST_POINTS, "y-", "y-", "y-"},
    {OPERATION_SHARE_SESSION, "yyyyyy", "y34334", "334334"},
    {OPERATION_UNSHARE_SESSION, "yyyyyy", "y34334", "334334"},
    {OPERATION_TRANSFER_SESSION, "yyyyyy", "334334", "334334"},
    {OPERATION_LOGIN, "y-", "y-", "y-"},
    {OPERATION_LOGOUT, "y-", "y-", "y-"},
    {OPERATION_WHOAMI, "y-", "y-", "y-"},
    {OPERATION_CREATE_TOKEN, "y-", "y-", "y-"},
    {OPERATION_LIST_TOKENS, "y-", "y-", "y-"},
    {OPERATION_GET_TOKEN, "y-", "y-", "y-"},
    {OPERATION_REVOKE_TOKEN, "y-", "y-", "y-"},
    {OPERATION_CREATE_USER, "y-", "3-", "3-"},
    {OPERATION_LIST_USERS, "y-", "3-", "y-"},
    {OPERATION_GET_USER, "y-", "3-", "y-"},
    {OPERATION_CHANGE_USER, "y-", "y-", "y-"},
    {OPERATION_DELETE_USER, "y-", "3-", "3-"},
    {OPERATION_LIST_ROLES, "y-", "3-", "y-"},
    {OPERATION_GET_ROLE, "y-", "3-", "y-"},
    {OPERATION_PUT_ROLE, "y-", "3-", "3-"},
    {OPERATION_DELETE_ROLE, "y-", "3-", "3-"},
    {OPERATION_LIST_AUDIT, "y-", "3-", "y-"},
};

static struct caller caller_of(enum role_kind kind, enum relation relation)
{
    struct caller who = {.way = WAY_BASIC, .user = "anna", .role = {.kind = kind}};

    strcpy(who.role.name, names_of(&role_kind_names, (int)kind));
    who.role.policy.see_others = relation == SEEN || relation == FILES;
    who.role.policy.download_others = relation == FILES;
    return who;
}

static struct session_access access_of(enum relation relation)
{
    struct session_access access = {.owner = "bert", .shared = relation == SHARED};

    if (relation == OWN)
        strcpy(access.owner, "anna");
    if (relation == NOBODYS)
        access.owner[0] = '\0';
    return access;
}

static char outcome(enum operation operation, enum role_kind kind, enum relation relation, bool about)
{
    const struct caller who = caller_of(kind, relation);
    const struct session_access access = access_of(relation);
    struct error error = {0};

    if (access_check(&who, operation, "id", about ? &access : NULL, &error) == STATUS_OK)
        return 'y';
    if (error.code == ERROR_NO_SUCH_SESSION)
        return '4';
    assert_int_equal(error.code, ERROR_FORBIDDEN);
    return '3';
}

static void check_row(enum operation operation, enum role_kind kind, const char *wanted)
{
    bool about = wanted[1] != '-';

    for (enum relation relation = OWN; relation < (about ? RELATIONS : SHARED); relation++)
        if (outcome(operation, kind, relation, about) != wanted[relation])
            fail_msg("%s for %s, relation %d: %c, wanted %c", names_of(&operation_names, (int)operation),
                     names_of(&role_kind_names, (int)kind), (int)relation,
                     outcome(operation, kind, relation, about), wanted[relation]);
}

static void the_whole_table(void **state)
{
    bool seen[OPERATION_COUNT] = {false};

    (void)state;
    for (size_t i = 0; i < sizeof WANTED / sizeof WANTED[0]; i++) {
        check_row(WANTED[i].operation, ROLE_ADMIN, WANTED[i].admin);
        check_row(WANTED[i].operation, ROLE_OPERATOR, WANTED[i].operator);
        check_row(WANTED[i].operation, ROLE_AUDITOR, WANTED[i].auditor);
        seen[WANTED[i].operation] = true;
    }
    for (int i = 0; i < OPERATION_COUNT; i++)
        if (!seen[i])
            fail_msg("nothing is said of %s", names_of(&operation_names, i));
}

static void every_route_has_a_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < route_count; i++)
        assert_int_not_equal(access_reach(routes[i].operation, ROLE_ADMIN), REACH_NONE);
}

static void nobody_reaches_anything(void **state)
{
    const struct caller who = {.way = WAY_NONE};
    struct error error;

    (void)state;
    for (int i = 0; i < OPERATION_COUNT; i++)
        assert_int_not_equal(access_check(&who, (enum operation)i, "id", NULL, &error), STATUS_OK);
}

/* ---- points ---- */

static bool takes(const char *points, enum cappoint cappoint, const char *value)
{
    static const struct node_names NODE = {"5f0e7c3a-0000-4000-8000-000000000001", "leaf3"};
    struct policy policy = {0};

    strcpy(policy.points, points);
    return policy_takes_point(&policy, &NODE, cappoint, value);
}

static void points(void **state)
{
    static const struct {
        const char *points;
        enum cappoint cappoint;
        const char *value;
        bool taken;
    } CASES[] = {
        {"*", CAPPOINT_VNIC, "eth0", true},
        {"*", CAPPOINT_VNIC, "lab-alice/eth0", true},
        {"*", CAPPOINT_DVFILTER, "any", true},
        {"", CAPPOINT_VNIC, "eth0", false},
        {"lab-alice/*", CAPPOINT_VNIC, "lab-alice/eth0", true},
        {"lab-alice/*", CAPPOINT_VNIC, "lab-alice2/eth0", false},
        {"lab-alice/*", CAPPOINT_VNIC, "lab-bob/eth0", false},
        {"lab-alice/*", CAPPOINT_VNIC, "eth0", false},
        {"lab-alice/*", CAPPOINT_DVFILTER, "any", false},
        {"a*", CAPPOINT_DVFILTER, "any", false},
        {"???", CAPPOINT_DVFILTER, "any", false},
        {"any", CAPPOINT_DVFILTER, "any", true},
        {"DVFILTER *", CAPPOINT_DVFILTER, "any", true},
        {"lab-alice/eth[01]", CAPPOINT_VIF, "lab-alice/eth1", true},
        {"lab-alice/eth[01]", CAPPOINT_VIF, "lab-alice/eth2", false},
        {"lab-alice/eth?", CAPPOINT_VIF, "lab-alice/eth2", true},
        {"lab-*/*", CAPPOINT_VNIC, "lab-bob/eth0", true},
        {"*/*", CAPPOINT_VNIC, "lab-bob/eth0", true},
        {"*/*", CAPPOINT_VNIC, "eth0", false},
        {"eth*", CAPPOINT_VNIC, "eth0", true},
        {"eth*", CAPPOINT_VNIC, "eth-lab/eth0", false},
        {"lab-bob/*\nlab-alice/*", CAPPOINT_VNIC, "lab-alice/eth0", true},
        {"VIF *", CAPPOINT_VIF, "lab-alice/eth0", true},
        {"VIF *", CAPPOINT_VNIC, "lab-alice/eth0", false},
        {"V* lab-alice/*", CAPPOINT_VNIC, "lab-alice/eth0", true},
        {"LOGICALPORT *", CAPPOINT_SEGMENTPORT, "tap0", true},
        {"SEGMENTPORT *", CAPPOINT_LOGICALPORT, "tap0", true},
        {"leaf3 * *", CAPPOINT_VNIC, "eth0", true},
        {"leaf* VNIC eth0", CAPPOINT_VNIC, "eth0", true},
        {"leaf4 * *", CAPPOINT_VNIC, "eth0", false},
        {"5f0e7c3a-0000-4000-8000-000000000001 * *", CAPPOINT_VNIC, "eth0", true},
        {"VIF lab-alice/*", 0, "lab-alice/eth0", true},
        {"a b c d", CAPPOINT_VNIC, "d", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        if (takes(CASES[i].points, CASES[i].cappoint, CASES[i].value) != CASES[i].taken)
            fail_msg("%s, %s: wanted %d", CASES[i].points, CASES[i].value, CASES[i].taken);
}

static void namespaces(void **state)
{
    struct policy policy = {.points = "eth*\nVIF lab-alice/*\nlab-b*/eth0"};

    (void)state;
    assert_true(policy_takes_netns(&policy, "lab-alice"));
    assert_true(policy_takes_netns(&policy, "lab-bob"));
    assert_false(policy_takes_netns(&policy, "lab-carol"));
    assert_false(policy_takes_netns(&policy, "eth0"));
    assert_false(policy_takes_every_point(&policy));
    strcpy(policy.points, "eth0\n*");
    assert_true(policy_takes_netns(&policy, "lab-carol"));
    assert_true(policy_takes_every_point(&policy));
}

static void patterns(void **state)
{
    static const char *const GOOD[] = {"*", "eth0", "VIF *", "node VNIC lab/*", "* * *", " VIF  x "};
    static const char *const BAD[] = {"", "  ", "NOPOINT *", "a b c d", "x\ty", "vif *"};
    const char *why;

    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
        assert_true(policy_pattern_is_valid(GOOD[i], &why));
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        assert_false(policy_pattern_is_valid(BAD[i], &why));
        assert_true(strlen(why) > 10);
    }
}

/* ---- the rest of a request ---- */

static struct packet_capture_request request;

static enum error_code verdict(const struct role *role, const char *field)
{
    struct errors errors = {0};

    policy_check_request(role, &request, &errors);
    if (errors.count == 0)
        return 0;
    assert_int_equal(errors.count, 1);
    assert_string_equal(errors.items[0].field, field);
    assert_int_equal(errors.items[0].status, STATUS_PERMISSION_DENIED);
    assert_non_null(strstr(errors.items[0].message, "role lab"));
    return errors.items[0].code;
}

static void maxima(void **state)
{
    struct role role = {.name = "lab",
                        .policy = {.max_duration_s = 60, .max_file_size_mb = 10, .max_snaplen = 128}};

    (void)state;
    request = (struct packet_capture_request){.capduration = 60, .capfilesize = 10, .capsnaplen = 128};
    assert_int_equal(verdict(&role, ""), 0);
    request.capduration = 61;
    assert_int_equal(verdict(&role, "capduration"), ERROR_POLICY);
    request.capduration = 0;
    request.capfilesize = 11;
    assert_int_equal(verdict(&role, "capfilesize"), ERROR_POLICY);
    request.capfilesize = INT_ABSENT;
    request.capsnaplen = 129;
    assert_int_equal(verdict(&role, "capsnaplen"), ERROR_POLICY);
    role.policy = (struct policy){0};
    request.capduration = INT32_MAX;
    assert_int_equal(verdict(&role, ""), 0);
}

static void streams(void **state)
{
    struct role role = {.name = "lab", .policy = {.stream = false}};

    (void)state;
    request = (struct packet_capture_request){.capmode = CAPMODE_STREAM, .streamaddress = "192.0.2.7"};
    assert_int_equal(verdict(&role, "capmode"), ERROR_POLICY);
    role.policy.stream = true;
    assert_int_equal(verdict(&role, ""), 0);
    strcpy(role.policy.networks, "198.51.100.0/24\n2001:db8::/32");
    assert_int_equal(verdict(&role, "streamaddress"), ERROR_POLICY);
    strcpy(request.streamaddress, "198.51.100.200");
    assert_int_equal(verdict(&role, ""), 0);
    strcpy(request.streamaddress, "2001:db8:1::1");
    assert_int_equal(verdict(&role, ""), 0);
    strcpy(request.streamaddress, "2001:db9::1");
    assert_int_equal(verdict(&role, "streamaddress"), ERROR_POLICY);
}

/* ---- the documentation ---- */

static const char *words_of(enum operation operation, enum role_kind kind)
{
    switch (access_reach(operation, kind)) {
    case REACH_NONE:
        return "no";
    case REACH_PERSON:
        return "yes";
    case REACH_OWN:
        return "own";
    case REACH_SEEN:
        return "own, shared; all with `see_others`";
    case REACH_FILES:
        return "own, shared; all with `see_others` and `download_others`";
    case REACH_ALL:
        return "all";
    }
    return "?";
}

/* The rows of the table in docs/security.md, made from the one that decides. */
static char *table_text(void)
{
    static char text[8192];
    int used = 0;

    for (int i = 0; i < OPERATION_COUNT; i++)
        used +=
            snprintf(text + used, sizeof text - (size_t)used, "| %s | %s | %s | %s |\n",
                     names_of(&operation_names, i), words_of((enum operation)i, ROLE_ADMIN),
                     words_of((enum operation)i, ROLE_OPERATOR), words_of((enum operation)i, ROLE_AUDITOR));
    return text;
}

static void the_documentation_says_the_same(void **state)
{
    static char page[65536];
    FILE *file = fopen(TESTS_DIR "/../docs/security.md", "r");

    (void)state;
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    if (strstr(page, table_text()) == NULL)
        fail_msg("docs/security.md has other rows than test_access table prints");
}

int main(int argc, char **argv)
{
    /* "table": the rows as they belong on the page */
    if (argc > 1 && strcmp(argv[1], "table") == 0)
        return fputs(table_text(), stdout) < 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_table),
        cmocka_unit_test(every_route_has_a_row),
        cmocka_unit_test(nobody_reaches_anything),
        cmocka_unit_test(points),
        cmocka_unit_test(namespaces),
        cmocka_unit_test(patterns),
        cmocka_unit_test(maxima),
        cmocka_unit_test(streams),
        cmocka_unit_test(the_documentation_says_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
