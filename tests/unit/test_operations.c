/*
 * The operations and the handlers above them, over a store in memory and a data directory of their own.
 * Capture points are asked from the kernel: the loopback interface stands for all. The clock of waiting is
 * the test's.
 */
#include "auth/audit.h"
#include "auth/secrets.h"
#include "capture/point.h"
#include "core/clock.h"
#include "fake_store.h"
#include "host/doorbell.h"
#include "service/handlers.h"
#include "service/validate.h"

#include <fcntl.h>
#include <ftw.h>
#include <json-c/json.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define ID           "6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a10"
#define OTHER_ID     "00000000-0000-4000-8000-00000000000f"
#define NODE         "0b0e0c8a-7d53-4c7c-8b55-1d2c3b4a5f60"

/* ---- the world ---- */

static int64_t clock_ms;
static int naps;

int64_t __wrap_clock_monotonic_ms(void);
int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left);

int64_t __wrap_clock_monotonic_ms(void)
{
    return clock_ms;
}

int __wrap_nanosleep(const struct timespec *wanted, struct timespec *left)
{
    (void)left;
    assert_true(wanted->tv_sec == 0 && wanted->tv_nsec > 0 && wanted->tv_nsec <= 100 * NS_PER_MS);
    clock_ms += wanted->tv_nsec / NS_PER_MS;
    naps++;
    return 0;
}

static struct config config;
static struct data_dir directory;
static struct service service;
static struct context context;
static struct store *store;

/* Who asks, and by what the handlers know her. */
static const struct caller ANNA = {
    .way = WAY_TOKEN,
    .user = "anna",
    .role = {.name = "admin", .kind = ROLE_ADMIN, .policy = {.points = "*", .stream = true}}};
static const struct client HOME = {.address = "127.0.0.1"};
static const char TOKEN[] = "pktcap_a-token";
static struct packet_capture_request request;
static struct session session;
static struct errors errors;

static void directory_inside(const char *name)
{
    char path[DATA_PATH_SIZE];

    assert_int_equal(mkdir(data_dir_path(&directory, name, path), 0700), 0);
}

static void people_make(void)
{
    struct user *user = &store->users[store->user_count++];
    struct token *token = &store->tokens[store->token_count++];

    snprintf(user->name, sizeof user->name, "anna");
    snprintf(user->role, sizeof user->role, "admin");
    snprintf(token->user, sizeof token->user, "anna");
    secret_hash(TOKEN, token->hash);
    store->roles[store->role_count++] = ANNA.role;
}

static int world_make(void **state)
{
    (void)state;
    config = (struct config){
        .default_duration = 600, .max_duration = 86400, .max_filesize = 10000, .max_snaplen = 262144};
    snprintf(directory.path, sizeof directory.path, "/tmp/pktcap-test-XXXXXX");
    if (mkdtemp(directory.path) == NULL)
        return -1;
    snprintf(directory.shown, sizeof directory.shown, "/data");
    directory_inside("captures");
    directory_inside("workers");
    service = (struct service){.config = &config,
                               .directory = &directory,
                               .node_id = NODE,
                               .node_name = "edge-7",
                               .audit = audit_open()};
    store = fake_store_new();
    people_make();
    context = (struct context){&service, store, &ANNA, &HOME};
    memset(&errors, 0, sizeof errors);
    memset(&session, 0xa5, sizeof session);
    clock_ms = 1000000;
    naps = 0;
    return store == NULL ? -1 : 0;
}

static int remove_one(const char *name, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind, (void)place;
    return remove(name);
}

static int world_end(void **state)
{
    (void)state;
    fake_store_free(store);
    audit_close(service.audit);
    return nftw(directory.path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void print_errors(void)
{
    for (size_t i = 0; i < errors.count; i++)
        print_error("%d %s: %s\n", errors.items[i].code, errors.items[i].field, errors.items[i].message);
}

/* It worked, and nothing was complained of. */
static void assert_done(enum status status)
{
    print_errors();
    assert_int_equal(status, STATUS_OK);
    assert_int_equal(errors.count, 0);
}

/* The only error; clears the list. */
static void assert_failed(enum status status, enum error_code code, const char *field, const char *says)
{
    const struct error *error = &errors.items[0];

    if (errors.count != 1 || error->code != code || strcmp(error->field, field) != 0 ||
        strstr(error->message, says) == NULL) {
        print_errors();
        fail_msg("wanted %d %s, saying: %s", code, field, says);
    }
    assert_int_equal(status, error_code_status(code));
    memset(&errors, 0, sizeof errors);
}

/* Every container and host gives lo an address, but for a network namespace just made. */
static void need_lo(void)
{
    struct point point;
    struct error error;

    if (point_find(NULL, CAPPOINT_VMKNIC, "lo", &point, &error) == STATUS_OK)
        return;
    if (error.code != ERROR_WRONG_POINT)
        fail_msg("%s", error.message);
    print_message("skipped: %s\n", error.message);
    skip();
}

/* What the least request holds. */
static void request_make(void)
{
    memset(&request, 0, sizeof request);
    request.cappoint = CAPPOINT_VMKNIC;
    request.capsource = CAPSOURCE_CLI;
    request.capduration = request.capamount = request.capfilesize = request.capsnaplen = INT_ABSENT;
    request.caprate = request.capcore = request.capfilecount = request.streamport = INT_ABSENT;
    request.captureself = INT_ABSENT;
    snprintf(request.capvalue, sizeof request.capvalue, "lo");
}

static enum status create(void)
{
    return op_create_session(&context, &request, &session, &errors);
}

static void option_add(enum option_name name, const char *value)
{
    struct capture_option *option = &request.options[request.option_count++];

    request.has_options = true;
    option->name = name;
    snprintf(option->value, sizeof option->value, "%s", value);
}

/* ---- limits ---- */

static void limits(void **state)
{
    static const struct {
        int32_t duration, amount, filesize, snaplen; /* of the request */
        int64_t max_packets;
        struct limits wanted; /* seconds, packets, MB, bytes */
    } CASES[] = {
        /* no stop condition: the default duration, absent or 0 */
        {-1, -1, -1, -1, 0, {600, 0, 10000, 262144}},
        {0, 0, 0, 0, 0, {600, 0, 10000, 262144}},
        {-1, -1, -1, 96, 0, {600, 0, 10000, 96}},
        /* one is enough: the rest is the server's maxima */
        {60, -1, -1, -1, 0, {60, 0, 10000, 262144}},
        {-1, 100, -1, -1, 0, {86400, 100, 10000, 262144}},
        {-1, -1, 5, -1, 0, {86400, 0, 5, 262144}},
        {0, 1, 0, 0, 0, {86400, 1, 10000, 262144}},
        {1, 1, 1, 24, 0, {1, 1, 1, 24}},
        /* the maxima apply */
        {86400, -1, -1, -1, 0, {86400, 0, 10000, 262144}},
        {86401, -1, -1, -1, 0, {86400, 0, 10000, 262144}},
        {INT32_MAX, INT32_MAX, INT32_MAX, INT32_MAX, 0, {86400, INT32_MAX, 10000, 262144}},
        {-1, -1, 10001, 262145, 0, {86400, 0, 10000, 262144}},
        /* a maximum of packets, but no stop condition of the request's */
        {-1, -1, -1, -1, 5000, {600, 5000, 10000, 262144}},
        {-1, 0, -1, -1, 5000, {600, 5000, 10000, 262144}},
        {-1, 4999, -1, -1, 5000, {86400, 4999, 10000, 262144}},
        {-1, 5001, -1, -1, 5000, {86400, 5000, 10000, 262144}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        request_make();
        request.capduration = CASES[i].duration;
        request.capamount = CASES[i].amount;
        request.capfilesize = CASES[i].filesize;
        request.capsnaplen = CASES[i].snaplen;
        config.max_packets = CASES[i].max_packets;
        struct limits is = effective_limits(&config, &ANNA.role.policy, &request), wanted = CASES[i].wanted;
        if (memcmp(&is, &wanted, sizeof is) != 0)
            fail_msg("case %zu: %lld s, %lld packets, %lld MB, %lld bytes", i, (long long)is.duration_s,
                     (long long)is.packets, (long long)is.file_size_mb, (long long)is.snaplen);
    }
}

static void default_duration_beyond_the_maximum(void **state)
{
    (void)state;
    request_make();
    config.max_duration = 60;
    assert_int_equal(effective_limits(&config, &ANNA.role.policy, &request).duration_s, 60);
}

/* ---- create ---- */

static void create_stores_a_session(void **state)
{
    int64_t before_ms = clock_now_ms();
    char id[UUID_SIZE];

    (void)state;
    need_lo();
    request_make();
    request.capamount = 7;
    snprintf(request.name, sizeof request.name, "mine");
    option_add(OPTION_PORT, "80");
    assert_done(create());
    assert_true(uuid_parse(session.id, id));
    assert_string_equal(session.id, id);
    assert_string_equal(session.node_id, NODE);
    assert_string_equal(session.create_user, "anna");
    assert_string_equal(session.last_modified_user, "anna");
    assert_in_range(session.create_time_ms, before_ms, clock_now_ms());
    assert_int_equal(session.last_modified_time_ms, session.create_time_ms);
    assert_int_equal(session.revision, 0);
    assert_memory_equal(&session.request, &request, sizeof request);
    assert_int_equal(session.limits.packets, 7);
    assert_int_equal(session.limits.duration_s, 86400);

    struct run run = {.number = 1, .state = STATE_CREATED, .created_ms = session.create_time_ms};
    assert_memory_equal(&session.run, &run, sizeof run);
    assert_int_equal(store->count, 1);
    assert_memory_equal(&store->rows[0]->session, &session, sizeof session);
}

static void create_makes_new_ids(void **state)
{
    char first[UUID_SIZE];

    (void)state;
    need_lo();
    request_make();
    assert_done(create());
    memcpy(first, session.id, UUID_SIZE);
    assert_done(create());
    assert_string_not_equal(session.id, first);
    assert_int_equal(store->count, 2);
}

static bool rings(const struct doorbell *doorbell)
{
    struct pollfd socket = {.fd = doorbell->socket, .events = POLLIN};
    bool rang = poll(&socket, 1, 0) == 1;

    doorbell_answer(doorbell);
    return rang;
}

/* Workers are woken by what concerns them, and by nothing else. */
static void doorbell_rings(void **state)
{
    struct doorbell doorbell;
    struct error error;

    (void)state;
    need_lo();
    assert_int_equal(doorbell_open(&doorbell, &directory, OTHER_ID, &error), STATUS_OK);
    request_make();
    assert_done(create());
    assert_true(rings(&doorbell));
    request.capsource = 0;
    assert_int_equal(create(), STATUS_INVALID_ARGUMENT);
    assert_false(rings(&doorbell));
    memset(&errors, 0, sizeof errors);

    fake_store_add(store, ID, STATE_FINISHED);
    assert_done(op_get_session(&context, ID, &session, &errors));
    assert_false(rings(&doorbell));
    assert_done(op_restart_session(&context, ID, &session, &errors));
    assert_true(rings(&doorbell));
    assert_int_equal(op_restart_session(&context, ID, &session, &errors), STATUS_FAILED_PRECONDITION);
    assert_false(rings(&doorbell));
    memset(&errors, 0, sizeof errors);
    assert_done(op_terminate_session(&context, ID, &session, &errors));
    assert_true(rings(&doorbell));
    doorbell_close(&doorbell);
}

static void create_needs_fields(void **state)
{
    static const struct {
        enum cappoint cappoint;
        const char *capvalue;
        enum capsource capsource;
        const char *missing[4];
    } CASES[] = {
        {0, "lo", CAPSOURCE_UI, {"cappoint"}},
        {CAPPOINT_VMKNIC, "", CAPSOURCE_UI, {"capvalue"}},
        {CAPPOINT_VMKNIC, "lo", 0, {"capsource"}},
        {0, "", 0, {"capsource", "cappoint", "capvalue"}},
    };

    (void)state;
    need_lo();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        memset(&errors, 0, sizeof errors);
        request_make();
        request.cappoint = CASES[i].cappoint;
        request.capsource = CASES[i].capsource;
        snprintf(request.capvalue, sizeof request.capvalue, "%s", CASES[i].capvalue);
        assert_int_equal(create(), STATUS_INVALID_ARGUMENT);
        size_t count = 0;
        for (; CASES[i].missing[count] != NULL; count++) {
            assert_true(errors_blame(&errors, CASES[i].missing[count]));
            assert_int_equal(errors.items[count].code, ERROR_MISSING_FIELD);
        }
        assert_int_equal(errors.count, count);
    }
    assert_int_equal(store->calls[FAKE_INSERT], 0);
}

static void create_on_this_node(void **state)
{
    static const struct {
        const char *node, *node_ip;
    } OURS[] = {{NODE, ""},
                {"0B0E0C8A-7D53-4C7C-8B55-1D2C3B4A5F60", ""},
                {"edge-7", ""},
                {"edge-7", "127.0.0.1"},
                {"", "127.0.0.1"}};

    (void)state;
    need_lo();
    for (size_t i = 0; i < COUNT(OURS); i++) {
        request_make();
        snprintf(request.node, sizeof request.node, "%s", OURS[i].node);
        snprintf(request.node_ip, sizeof request.node_ip, "%s", OURS[i].node_ip);
        assert_done(create());
        assert_string_equal(session.node_id, NODE);
    }
}

static void create_on_other_nodes(void **state)
{
    static const struct {
        const char *node, *node_ip;
        enum error_code code;
        const char *field, *says;
    } CASES[] = {
        {"edge-8", "", ERROR_NO_SUCH_NODE, "node", "there is no node edge-8; this node is " NODE ", edge-7"},
        {OTHER_ID, "", ERROR_NO_SUCH_NODE, "node", "there is no node " OTHER_ID},
        {"EDGE-7", "", ERROR_NO_SUCH_NODE, "node", "there is no node EDGE-7"},
        /* documentation addresses: no host has them (RFC 5737, RFC 3849) */
        {"", "192.0.2.77", ERROR_NO_SUCH_NODE, "node_ip", "there is no node with the address 192.0.2.77"},
        {"", "2001:db8::77", ERROR_NO_SUCH_NODE, "node_ip", "there is no node with the address 2001:db8::77"},
        {"edge-7", "192.0.2.77", ERROR_NO_SUCH_NODE, "node_ip", "192.0.2.77"},
        {"edge-8", "127.0.0.1", ERROR_NO_SUCH_NODE, "node", "edge-8"},
        {"", "127.0.0.1/8", ERROR_BAD_VALUE, "node_ip", "it takes an IPv4 or IPv6 address"},
        {"", "127.1", ERROR_BAD_VALUE, "node_ip", "it takes an IPv4 or IPv6 address"},
        {"", "localhost", ERROR_BAD_VALUE, "node_ip", "node_ip has the value localhost"},
        {"", "00:00:00:00:00:00", ERROR_BAD_VALUE, "node_ip", "it takes an IPv4 or IPv6 address"},
    };

    (void)state;
    need_lo();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        request_make();
        snprintf(request.node, sizeof request.node, "%s", CASES[i].node);
        snprintf(request.node_ip, sizeof request.node_ip, "%s", CASES[i].node_ip);
        assert_failed(create(), CASES[i].code, CASES[i].field, CASES[i].says);
    }
    assert_int_equal(store->calls[FAKE_INSERT], 0);
}

static void create_at_other_points(void **state)
{
    static const struct {
        enum cappoint cappoint;
        const char *capvalue;
        enum error_code code;
        const char *field, *says;
    } CASES[] = {
        {CAPPOINT_VMNIC, "lo", ERROR_WRONG_POINT, "cappoint", "lo is no VMNIC; it is VMKNIC"},
        {CAPPOINT_VNIC, "lo", ERROR_WRONG_POINT, "cappoint", "lo is no VNIC; it is VMKNIC"},
        {CAPPOINT_VMKNIC, "no-such-if", ERROR_UNKNOWN_INTERFACE, "capvalue", "no-such-if; the closest are "},
        {CAPPOINT_VMKNIC, "LO", ERROR_UNKNOWN_INTERFACE, "capvalue", "lo"},
    };

    (void)state;
    need_lo();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        request_make();
        request.cappoint = CASES[i].cappoint;
        snprintf(request.capvalue, sizeof request.capvalue, "%s", CASES[i].capvalue);
        assert_failed(create(), CASES[i].code, CASES[i].field, CASES[i].says);
    }
    assert_int_equal(store->calls[FAKE_INSERT], 0);
}

static void create_with_a_snaplen(void **state)
{
    (void)state;
    need_lo();
    for (int32_t snaplen = 0; snaplen < 26; snaplen++) {
        request_make();
        request.capsnaplen = snaplen;
        if (snaplen == 0 || snaplen >= SNAPLEN_MIN)
            assert_done(create());
        else
            assert_failed(create(), ERROR_OUT_OF_RANGE, "capsnaplen",
                          "it takes 0 for whole packets, or at least 24");
    }
}

/* What decoding found stays, what it blamed is not blamed again, and the rest is checked all the same. */
static void create_tells_all_at_once(void **state)
{
    static const struct {
        enum error_code code;
        const char *field;
    } WANTED[] = {
        {ERROR_OUT_OF_RANGE, "capamount"},  {ERROR_BAD_VALUE, "cappoint"},
        {ERROR_MISSING_FIELD, "capsource"}, {ERROR_NO_SUCH_NODE, "node"},
        {ERROR_OUT_OF_RANGE, "capsnaplen"}, {ERROR_BAD_VALUE, "options"},
        {ERROR_BAD_VALUE, "options"},       {ERROR_BAD_EXPRESSION, "capexpression"},
    };

    (void)state;
    request_make();
    request.cappoint = 0;
    request.capsource = 0;
    request.capsnaplen = 5;
    snprintf(request.node, sizeof request.node, "elsewhere");
    snprintf(request.capexpression, sizeof request.capexpression, "tcp prot 80");
    option_add(OPTION_PORT, "http");
    option_add(OPTION_IP, "10.0.0.0/8");
    option_add(OPTION_VLAN, "4095");
    errors_add(&errors, ERROR_OUT_OF_RANGE, "capamount", "from decoding");
    errors_add(&errors, ERROR_BAD_VALUE, "cappoint", "from decoding");
    assert_int_equal(create(), STATUS_INVALID_ARGUMENT);
    assert_int_equal(errors.count, COUNT(WANTED));
    for (size_t i = 0; i < COUNT(WANTED); i++) {
        assert_int_equal(errors.items[i].code, WANTED[i].code);
        assert_string_equal(errors.items[i].field, WANTED[i].field);
    }
    assert_int_equal(store->calls[FAKE_INSERT], 0);
}

/* One error of decoding is enough, be the request complete without the field. */
static void create_fails_for_decoding_alone(void **state)
{
    (void)state;
    need_lo();
    request_make();
    errors_add(&errors, ERROR_UNKNOWN_FIELD, "capdurations", "from decoding");
    assert_failed(create(), ERROR_UNKNOWN_FIELD, "capdurations", "from decoding");
    assert_int_equal(store->calls[FAKE_INSERT], 0);
}

static void create_when_the_store_fails(void **state)
{
    static const enum error_code CODES[] = {ERROR_STORE_BUSY, ERROR_STORE_FULL, ERROR_STORE_FAILED};

    (void)state;
    need_lo();
    request_make();
    for (size_t i = 0; i < COUNT(CODES); i++) {
        store->fails[FAKE_INSERT] = CODES[i];
        assert_failed(create(), CODES[i], "", "the store was told to fail");
    }
    assert_int_equal(store->count, 0);
}

/* ---- one session ---- */

typedef enum status (*operation)(const struct context *, const char *, struct session *, struct errors *);

static const operation OPERATIONS[] = {op_get_session, op_restart_session, op_terminate_session,
                                       op_delete_session};

static void ids_that_name_nothing(void **state)
{
    static const char *const IDS[] = {"",
                                      "1",
                                      "no-uuid",
                                      (ID "0"),
                                      "6dfa8f3e91c24f5b9f4e2f1f4f8f3a10",
                                      ("../" ID),
                                      "6dfa8f3e-91c2-4f5b-9f4e-2f1f4f8f3a1g",
                                      "' OR 1=1 --",
                                      "é"};

    (void)state;
    for (size_t i = 0; i < COUNT(OPERATIONS); i++)
        for (size_t j = 0; j < COUNT(IDS); j++)
            assert_failed(OPERATIONS[i](&context, IDS[j], &session, &errors), ERROR_NO_SUCH_SESSION,
                          "session-id", "there is no capture session");
    for (int call = 0; call < FAKE_CALLS; call++)
        assert_int_equal(store->calls[call], 0);
    for (size_t i = 0; i < COUNT(OPERATIONS); i++)
        assert_failed(OPERATIONS[i](&context, OTHER_ID, &session, &errors), ERROR_NO_SUCH_SESSION,
                      "session-id", OTHER_ID);
}

static void ids_in_either_case(void **state)
{
    (void)state;
    fake_store_add(store, ID, STATE_FINISHED);
    for (size_t i = 0; i < COUNT(OPERATIONS); i++) {
        assert_done(OPERATIONS[i](&context, "6DFA8F3E-91C2-4F5B-9F4E-2F1F4F8F3A10", &session, &errors));
        assert_string_equal(session.id, ID);
    }
}

static void failing_stores(void **state)
{
    (void)state;
    fake_store_add(store, ID, STATE_FINISHED);
    for (int call = 0; call < FAKE_CALLS; call++)
        store->fails[call] = ERROR_STORE_BUSY;
    for (size_t i = 0; i < COUNT(OPERATIONS); i++)
        assert_failed(OPERATIONS[i](&context, ID, &session, &errors), ERROR_STORE_BUSY, "", "told to fail");
    assert_int_equal(naps, 0);
}

static void get_shows_the_newest_run(void **state)
{
    (void)state;
    fake_store_add(store, ID, STATE_FINISHED);
    fake_store_add(store, ID, STATE_STARTED);
    assert_done(op_get_session(&context, ID, &session, &errors));
    assert_int_equal(session.run.number, 2);
    assert_int_equal(session.run.state, STATE_STARTED);
}

static void restart_makes_a_run(void **state)
{
    int64_t before_ms = clock_now_ms();

    (void)state;
    fake_store_add(store, ID, STATE_ERROR);
    assert_done(op_restart_session(&context, ID, &session, &errors));
    assert_string_equal(session.id, ID);
    assert_int_equal(session.run.number, 2);
    assert_int_equal(session.run.state, STATE_CREATED);
    assert_string_equal(store->user, "anna");
    assert_in_range(store->now_ms, before_ms, clock_now_ms());
    assert_failed(op_restart_session(&context, ID, &session, &errors), ERROR_SESSION_RUNNING, "session-id",
                  "running");
}

static void terminate_waits_for_the_end(void **state)
{
    static const int READS[] = {0, 1, 2, 10, 50};

    for (size_t i = 0; i < COUNT(READS); i++) {
        fake_store_add(store, ID, STATE_STARTED);
        store->reads_until_end = READS[i];
        assert_done(op_terminate_session(&context, ID, &session, &errors));
        assert_int_equal(session.run.state, STATE_STOPPED);
        assert_int_equal(naps, READS[i]);
        assert_int_equal(store->calls[FAKE_STOP], 1);
        assert_string_equal(store->user, "anna");
        world_end(state);
        assert_int_equal(world_make(state), 0);
    }
}

static void terminate_gives_up(void **state)
{
    int64_t before_ms = clock_ms;

    (void)state;
    fake_store_add(store, ID, STATE_STARTED);
    store->reads_until_end = -1;
    assert_done(op_terminate_session(&context, ID, &session, &errors));
    assert_int_equal(session.run.state, STATE_STARTED);
    assert_in_range(clock_ms - before_ms, 5000, 5100);
    assert_true(naps < 200); /* not so often that it wears the database out */
}

static void terminate_what_does_not_run(void **state)
{
    static const enum session_state ENDED[] = {STATE_STOPPED, STATE_FINISHED, STATE_ERROR};

    (void)state;
    fake_store_add(store, ID, STATE_CREATED);
    assert_done(op_terminate_session(&context, ID, &session, &errors));
    assert_int_equal(session.run.state, STATE_STOPPED);
    for (size_t i = 0; i < COUNT(ENDED); i++) {
        fake_store_add(store, ID, ENDED[i]);
        assert_done(op_terminate_session(&context, ID, &session, &errors));
        assert_int_equal(session.run.state, ENDED[i]);
    }
    assert_int_equal(naps, 0);
}

/* Another client deletes it, or the store fails, while this one waits. */
static void terminate_loses_sight(void **state)
{
    (void)state;
    fake_store_add(store, ID, STATE_STARTED);
    store->reads_until_end = -1;
    store->fails[FAKE_GET] = ERROR_STORE_BUSY;
    store->fails_after[FAKE_GET] = 3;
    assert_failed(op_terminate_session(&context, ID, &session, &errors), ERROR_STORE_BUSY, "",
                  "told to fail");
    assert_int_equal(naps, 3);
    store->fails[FAKE_GET] = 0;
    store->vanishing_id = ID;
    assert_failed(op_terminate_session(&context, ID, &session, &errors), ERROR_NO_SUCH_SESSION, "session-id",
                  ID);
}

/* ---- files ---- */

/* Makes a file of so many bytes in the data directory, and gives the row its name. */
static void file_give(struct session *to, int64_t size, int64_t known)
{
    char path[DATA_PATH_SIZE], inside[64];

    snprintf(inside, sizeof inside, "captures/%s", to->id);
    mkdir(data_dir_path(&directory, inside, path), 0700);
    struct capture_name name = {to->id, to->run.number, 1, 0, ".pcap"};
    data_dir_capture_name(&name, to->run.file, sizeof to->run.file);
    FILE *file = fopen(data_dir_path(&directory, to->run.file, path), "w");
    assert_non_null(file);
    for (int64_t i = 0; i < size; i++)
        fputc('0' + to->run.number, file);
    fclose(file);
    to->run.counters.file_size = known;
}

static bool is_there(const char *name)
{
    char path[DATA_PATH_SIZE];

    return access(data_dir_path(&directory, name, path), F_OK) == 0;
}

/* The row goes first: files without a row are swept, a row without its files would lie. */
static void delete_takes_row_then_files(void **state)
{
    char watched[DATA_PATH_SIZE];

    (void)state;
    file_give(fake_store_add(store, OTHER_ID, STATE_FINISHED), 10, 10);
    file_give(fake_store_add(store, ID, STATE_FINISHED), 10, 10);
    file_give(fake_store_add(store, ID, STATE_STOPPED), 10, 10);
    store->watched = data_dir_path(&directory, "captures/" ID "/run-2.pcap", watched);
    assert_done(op_delete_session(&context, ID, &session, &errors));
    assert_string_equal(session.id, ID);
    assert_int_equal(session.run.number, 2);
    assert_true(store->watched_seen);
    assert_false(is_there("captures/" ID));
    assert_true(is_there("captures/" OTHER_ID "/run-1.pcap"));
    assert_failed(op_get_session(&context, ID, &session, &errors), ERROR_NO_SUCH_SESSION, "session-id", ID);
    assert_done(op_get_session(&context, OTHER_ID, &session, &errors));
}

static void delete_needs_an_end(void **state)
{
    static const enum session_state RUNNING[] = {STATE_CREATED, STATE_STARTED};

    (void)state;
    for (size_t i = 0; i < COUNT(RUNNING); i++) {
        file_give(fake_store_add(store, ID, RUNNING[i]), 10, 10);
        assert_failed(op_delete_session(&context, ID, &session, &errors), ERROR_SESSION_RUNNING, "session-id",
                      "running");
        assert_true(is_there("captures/" ID "/run-1.pcap"));
    }
    assert_int_equal(store->count, 2);
}

static void delete_without_files(void **state)
{
    (void)state;
    fake_store_add(store, ID, STATE_ERROR);
    assert_done(op_delete_session(&context, ID, &session, &errors));
    assert_int_equal(store->count, 0);
}

static void delete_keeps_files_when_the_row_stays(void **state)
{
    (void)state;
    file_give(fake_store_add(store, ID, STATE_FINISHED), 10, 10);
    store->fails[FAKE_DELETE] = ERROR_STORE_BUSY;
    assert_failed(op_delete_session(&context, ID, &session, &errors), ERROR_STORE_BUSY, "", "told to fail");
    assert_true(is_there("captures/" ID "/run-1.pcap"));
}

/* On a full disk the files make room for the change of the row. */
static void delete_makes_room_on_a_full_disk(void **state)
{
    char file[DATA_PATH_SIZE];

    (void)state;
    file_give(fake_store_add(store, ID, STATE_FINISHED), 10, 10);
    store->full_while = data_dir_path(&directory, "captures/" ID "/run-1.pcap", file);
    assert_done(op_delete_session(&context, ID, &session, &errors));
    assert_int_equal(store->count, 0);
    assert_false(is_there("captures/" ID));
}

/* Others may be full for ever, and what runs keeps its file. */
static void delete_on_a_disk_that_stays_full(void **state)
{
    (void)state;
    file_give(fake_store_add(store, OTHER_ID, STATE_STARTED), 10, 10);
    file_give(fake_store_add(store, ID, STATE_FINISHED), 10, 10);
    store->fails[FAKE_DELETE] = ERROR_STORE_FULL;
    assert_failed(op_delete_session(&context, OTHER_ID, &session, &errors), ERROR_STORE_FULL, "",
                  "told to fail");
    assert_true(is_there("captures/" OTHER_ID "/run-1.pcap"));
    assert_int_equal(store->calls[FAKE_DELETE], 1);
    assert_failed(op_delete_session(&context, ID, &session, &errors), ERROR_STORE_FULL, "", "told to fail");
    assert_int_equal(store->calls[FAKE_DELETE], 3);
}

static struct capture_file open_file(int32_t run)
{
    struct capture_file file;

    assert_done(op_open_capture_file(&context, ID, (struct file_choice){.run = run}, &file, &errors));
    return file;
}

/* The row knows the edge of the last whole packet; a restored database may know too much. */
static void file_size_is_the_lesser(void **state)
{
    static const struct {
        int64_t file, row, size;
    } CASES[] = {{100, 100, 100}, {100, 60, 60}, {60, 100, 60}, {100, 0, 0}, {0, 100, 0}};

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        file_give(fake_store_add(store, ID, STATE_STARTED), CASES[i].file, CASES[i].row);
        struct capture_file file = open_file(0);
        assert_int_equal(file.size, CASES[i].size);
        op_close_capture_file(&file);
    }
}

static void file_of_each_run(void **state)
{
    char byte;

    (void)state;
    for (int32_t run = 1; run <= 3; run++)
        file_give(fake_store_add(store, ID, STATE_FINISHED), 10 * run, 1000);
    for (int32_t run = 0; run <= 3; run++) {
        int32_t number = run == 0 ? 3 : run;
        struct capture_file file = open_file(run);
        assert_int_equal(file.size, 10 * number);
        assert_int_equal(pread(file.pieces[0].fd, &byte, 1, 0), 1);
        assert_int_equal(byte, '0' + number);
        assert_int_equal(fcntl(file.pieces[0].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_true(fcntl(file.pieces[0].fd, F_GETFD) & FD_CLOEXEC);
        assert_string_equal(file.name + strlen(ID), number == 1   ? ".pcap"
                                                    : number == 2 ? "-run2.pcap"
                                                                  : "-run3.pcap");
        op_close_capture_file(&file);
    }
}

static void file_names(void **state)
{
    static const struct {
        const char *name, *wanted;
    } CASES[] = {
        {"", ID ".pcap"},
        {"web_01-a.b", "web_01-a.b.pcap"},
        {"my capture", "my_capture.pcap"},
        {"../../etc/passwd", "_._.._etc_passwd.pcap"},
        {".hidden", "_hidden.pcap"},
        {"-rf", "_rf.pcap"},
        {"a\"; filename=\"b", "a___filename__b.pcap"},
        {"a\r\nSet-Cookie: x", "a__Set-Cookie__x.pcap"},
        {"caf\xc3\xa9", "caf__.pcap"},
        {"C:\\x*?|<>&$`'()", "C__x___________.pcap"},
    };

    (void)state;
    struct session *row = fake_store_add(store, ID, STATE_FINISHED);
    file_give(row, 1, 1);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        snprintf(row->request.name, sizeof row->request.name, "%s", CASES[i].name);
        struct capture_file file = open_file(0);
        assert_string_equal(file.name, CASES[i].wanted);
        op_close_capture_file(&file);
    }
    memset(row->request.name, 'x', sizeof row->request.name - 1);
    struct capture_file file = open_file(0);
    assert_in_range(strlen(file.name), 50, sizeof file.name - 1);
    assert_string_equal(file.name + strlen(file.name) - strlen("x.pcap"), "x.pcap");
    op_close_capture_file(&file);
}

static void no_file(void **state)
{
    struct capture_file file;

    (void)state;
    struct session *row = fake_store_add(store, ID, STATE_CREATED);
    assert_failed(op_open_capture_file(&context, ID, (struct file_choice){.run = 0}, &file, &errors),
                  ERROR_NO_SUCH_FILE, "session-id", "run 1 of session " ID " has no capture file yet");
    row->run.state = STATE_ERROR;
    assert_failed(op_open_capture_file(&context, ID, (struct file_choice){.run = 0}, &file, &errors),
                  ERROR_NO_SUCH_FILE, "session-id", "run 1 of session " ID " has no capture file");
    snprintf(row->run.file, sizeof row->run.file, "captures/" ID "/run-1.pcap");
    assert_failed(op_open_capture_file(&context, ID, (struct file_choice){.run = 0}, &file, &errors),
                  ERROR_NO_SUCH_FILE, "session-id", "cannot be read");
    assert_failed(op_open_capture_file(&context, ID, (struct file_choice){.run = 2}, &file, &errors),
                  ERROR_NO_SUCH_FILE, "run", "session " ID " has no run 2; its newest is 1");
    assert_failed(op_open_capture_file(&context, OTHER_ID, (struct file_choice){.run = 0}, &file, &errors),
                  ERROR_NO_SUCH_SESSION, "session-id", OTHER_ID);
    assert_failed(op_open_capture_file(&context, OTHER_ID, (struct file_choice){.run = 2}, &file, &errors),
                  ERROR_NO_SUCH_SESSION, "session-id", OTHER_ID);
    assert_failed(op_open_capture_file(&context, "x", (struct file_choice){.run = 1}, &file, &errors),
                  ERROR_NO_SUCH_SESSION, "session-id", "x");
    store->fails[FAKE_GET] = ERROR_STORE_BUSY;
    assert_failed(op_open_capture_file(&context, ID, (struct file_choice){.run = 1}, &file, &errors),
                  ERROR_STORE_BUSY, "", "told to fail");
}

/* ---- lists ---- */

static void nth_id(size_t number, char id[UUID_SIZE])
{
    snprintf(id, UUID_SIZE, "00000000-0000-4000-8000-%012zx", number);
}

static void sessions_add(size_t from, size_t to, enum session_state status)
{
    char id[UUID_SIZE];

    for (size_t i = from; i < to; i++) {
        nth_id(i, id);
        fake_store_add(store, id, status);
    }
}

struct seen {
    size_t count;
    char ids[FAKE_ROWS_MAX][UUID_SIZE];
};

static void seen_add(void *visitor_context, const struct session *visited)
{
    struct seen *seen = visitor_context;

    assert_true(seen->count < FAKE_ROWS_MAX);
    memcpy(seen->ids[seen->count++], visited->id, UUID_SIZE);
}

static struct seen seen;

static enum status list(const struct list_request *wanted, struct list_response *response)
{
    return op_list_sessions(&context, wanted, seen_add, &seen, response, &errors);
}

static void list_page_after_page(bool descending)
{
    struct list_request wanted = {.page_size = 3, .descending = descending};
    struct list_response response;
    char cursor[sizeof response.cursor], id[UUID_SIZE];
    int pages = 0;

    seen.count = 0;
    do {
        assert_done(list(&wanted, &response));
        assert_int_equal(response.total, 10);
        assert_int_equal(seen.count, ++pages < 4 ? 3 * pages : 10);
        memcpy(cursor, response.cursor, sizeof cursor);
        wanted.cursor = cursor;
    } while (cursor[0] != '\0');
    assert_int_equal(pages, 4);
    for (size_t i = 0; i < 10; i++) {
        nth_id(descending ? 9 - i : i, id);
        assert_string_equal(seen.ids[i], id);
    }
}

static void list_pages(void **state)
{
    (void)state;
    sessions_add(0, 10, STATE_FINISHED);
    list_page_after_page(false);
    list_page_after_page(true);
}

/* The last page may be full: no cursor then. */
static void list_of_whole_pages(void **state)
{
    struct list_request wanted = {.page_size = 5};
    struct list_response response;
    char cursor[sizeof response.cursor];

    (void)state;
    seen.count = 0;
    assert_done(list(&wanted, &response));
    assert_int_equal(response.total, 0);
    assert_string_equal(response.cursor, "");
    sessions_add(0, 10, STATE_CREATED);
    assert_done(list(&wanted, &response));
    memcpy(cursor, response.cursor, sizeof cursor);
    wanted.cursor = cursor;
    assert_done(list(&wanted, &response));
    assert_string_equal(response.cursor, "");
    assert_int_equal(seen.count, 10);
}

static void list_asks_the_store(void **state)
{
    struct list_request wanted = {.page_size = 7, .sort_by = "filesize", .descending = true};
    struct list_response response;

    (void)state;
    assert_done(list(&wanted, &response));
    assert_string_equal(store->query.sort_by, "filesize");
    assert_true(store->query.descending);
    assert_int_equal(store->query.page_size, 7);
    assert_false(store->query.ended_only);
    assert_false(store->query.has_after);
    store->fails[FAKE_LIST] = ERROR_STORE_BUSY;
    assert_failed(list(&wanted, &response), ERROR_STORE_BUSY, "", "told to fail");
}

/* A cursor carries whatever a session may be named, and nothing but hexadecimal digits. */
static void cursors_carry_any_value(void **state)
{
    static const char *const VALUES[] = {
        "",        " ",        "0",        "a b  c", "1 starttime 5 x", "100%&=+#\"'\\", "line\nbreak\t",
        "Grüße 𝄞", " leading", "trailing "};
    struct list_response response;
    char cursor[sizeof response.cursor];

    (void)state;
    sessions_add(0, 4, STATE_FINISHED);
    for (size_t i = 0; i < COUNT(VALUES); i++)
        for (int sort = 0; sort < (int)store_sort_names.count; sort++)
            for (int descending = 0; descending < 2; descending++) {
                struct list_request wanted = {.page_size = 2,
                                              .sort_by = names_of(&store_sort_names, sort),
                                              .descending = descending == 1};
                seen.count = 0;
                store->last_value = VALUES[i];
                assert_done(list(&wanted, &response));
                assert_int_equal(strspn(response.cursor, "0123456789abcdef"), strlen(response.cursor));
                memcpy(cursor, response.cursor, sizeof cursor);
                wanted.cursor = cursor;
                assert_done(list(&wanted, &response));
                assert_true(store->query.has_after);
                assert_string_equal(store->query.after_value, VALUES[i]);
                assert_int_equal(store->query.after_key, descending ? 3 : 2);
                assert_int_equal(seen.count, 4);
            }
}

static void cursors_carry_the_longest_name(void **state)
{
    char longest[4 * 255 + 1];
    struct list_request wanted = {.page_size = 1, .sort_by = "sessionstatus"};
    struct list_response response;
    char cursor[sizeof response.cursor];

    (void)state;
    sessions_add(0, 2, STATE_FINISHED);
    store->rows[0]->key = INT64_MAX - 1;
    store->rows[1]->key = INT64_MAX;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    store->last_value = longest;
    assert_done(list(&wanted, &response));
    memcpy(cursor, response.cursor, sizeof cursor);
    wanted.cursor = cursor;
    assert_done(list(&wanted, &response));
    assert_string_equal(store->query.after_value, longest);
    assert_int_equal(store->query.after_key, INT64_MAX - 1);
}

static void hex_of(const char *text, char *out)
{
    for (; *text != '\0'; text++)
        out += sprintf(out, "%02x", (unsigned char)*text);
    *out = '\0';
}

static void cursor_refused(const char *cursor, const char *sort_by, bool descending)
{
    struct list_request wanted = {
        .page_size = 2, .sort_by = sort_by, .descending = descending, .cursor = cursor};
    struct list_response response;
    int before = store->calls[FAKE_LIST];

    assert_failed(list(&wanted, &response), ERROR_BAD_PARAMETER, "cursor",
                  "the cursor is none that this list gave out");
    assert_int_equal(store->calls[FAKE_LIST], before);
}

static void foreign_cursors(void **state)
{
    static const char *const CURSORS[] = {"",      "0",  "2",    "0036", "zz",       "00",   "3",
                                          "31 20", "-1", "MQ==", "3100", "\xc3\xa9", "312g", "0x31"};
    static const char *const TEXTS[] = {"1",
                                        "1 ",
                                        "1 starttime",
                                        "1 starttime ",
                                        "1 starttime x ",
                                        "1 starttime 5",
                                        "1 starttime 5x ",
                                        "2 starttime 5 ",
                                        "x starttime 5 ",
                                        "1 nonsense 5 ",
                                        "1 starttimestarttimestarttimestarttime 5 ",
                                        " "};
    char cursor[512];

    (void)state;
    for (size_t i = 0; i < COUNT(CURSORS); i++)
        cursor_refused(CURSORS[i], NULL, false);
    for (size_t i = 0; i < COUNT(TEXTS); i++) {
        hex_of(TEXTS[i], cursor);
        cursor_refused(cursor, NULL, false);
    }
}

/* The place is sound, what follows it is not hexadecimal. */
static void cursors_with_bad_digits(void **state)
{
    static const char *const ENDS[] = {"4", "4g", "g4", "00", " 4", "4 ", "0x", "+4", "4100"};
    char cursor[128];

    (void)state;
    for (size_t i = 0; i < COUNT(ENDS); i++) {
        hex_of("1 starttime 5 ", cursor);
        strcat(cursor, ENDS[i]);
        cursor_refused(cursor, NULL, false);
    }
}

static void cursors_too_long(void **state)
{
    static const size_t LENGTHS[] = {2398, 2400, 2402, 8000};
    char *cursor = malloc(8001);

    (void)state;
    assert_non_null(cursor);
    for (size_t i = 0; i < COUNT(LENGTHS); i++) {
        memset(cursor, '3', LENGTHS[i]);
        cursor[LENGTHS[i]] = '\0';
        cursor_refused(cursor, NULL, false);
    }
    free(cursor);
}

static void cursors_of_another_order(void **state)
{
    struct list_request wanted = {.page_size = 2, .sort_by = "endtime"};
    struct list_response response;

    (void)state;
    sessions_add(0, 4, STATE_FINISHED);
    assert_done(list(&wanted, &response));
    cursor_refused(response.cursor, "filesize", false);
    cursor_refused(response.cursor, NULL, false);
    cursor_refused(response.cursor, "endtime", true);
}

/* The answer shows sort_by starttime where none was asked for: a client may say so on the next page. */
static void cursors_of_the_default_order(void **state)
{
    struct list_request wanted = {.page_size = 2};
    struct list_response response;
    char cursor[sizeof response.cursor];

    (void)state;
    sessions_add(0, 4, STATE_FINISHED);
    assert_done(list(&wanted, &response));
    memcpy(cursor, response.cursor, sizeof cursor);
    wanted = (struct list_request){.page_size = 2, .sort_by = "starttime", .cursor = cursor};
    assert_done(list(&wanted, &response));
}

/* ---- delete all ---- */

static void delete_all_page_after_page(void **state)
{
    (void)state;
    sessions_add(0, 150, STATE_FINISHED);
    sessions_add(150, 160, STATE_STARTED);
    sessions_add(160, 300, STATE_STOPPED);
    sessions_add(300, 310, STATE_CREATED);
    sessions_add(310, 421, STATE_ERROR);
    seen.count = 0;
    assert_done(op_delete_sessions(&context, seen_add, &seen, &errors));
    assert_int_equal(seen.count, 401);
    assert_int_equal(store->count, 20);
    for (size_t i = 0; i < store->count; i++)
        assert_false(session_state_has_ended(store->rows[i]->session.run.state));
    assert_int_equal(store->calls[FAKE_LIST], 3);
    assert_true(store->query.ended_only);
}

static void delete_all_of_none(void **state)
{
    (void)state;
    seen.count = 0;
    assert_done(op_delete_sessions(&context, seen_add, &seen, &errors));
    sessions_add(0, 3, STATE_STARTED);
    assert_done(op_delete_sessions(&context, seen_add, &seen, &errors));
    assert_int_equal(seen.count, 0);
    assert_int_equal(store->count, 3);
}

/* What is restarted or deleted by another client meanwhile is passed over. */
static void delete_all_beside_others(void **state)
{
    char stuck[UUID_SIZE], vanishing[UUID_SIZE];

    (void)state;
    sessions_add(0, 250, STATE_FINISHED);
    nth_id(3, stuck);
    nth_id(6, vanishing);
    store->stuck_id = stuck;
    store->vanishing_id = vanishing;
    seen.count = 0;
    assert_done(op_delete_sessions(&context, seen_add, &seen, &errors));
    assert_int_equal(seen.count, 248);
    assert_int_equal(store->calls[FAKE_GET], 250); /* each was tried once */
    for (size_t i = 0; i < seen.count; i++) {
        assert_string_not_equal(seen.ids[i], stuck);
        assert_string_not_equal(seen.ids[i], vanishing);
    }
}

static void delete_all_stops_where_the_store_fails(void **state)
{
    (void)state;
    sessions_add(0, 10, STATE_FINISHED);
    seen.count = 0;
    store->fails[FAKE_DELETE] = ERROR_STORE_BUSY;
    store->fails_after[FAKE_DELETE] = 4;
    assert_failed(op_delete_sessions(&context, seen_add, &seen, &errors), ERROR_STORE_BUSY, "",
                  "told to fail");
    assert_int_equal(seen.count, 4);
    assert_int_equal(store->count, 6);
    store->fails[FAKE_LIST] = ERROR_STORE_FAILED;
    assert_failed(op_delete_sessions(&context, seen_add, &seen, &errors), ERROR_STORE_FAILED, "",
                  "told to fail");
}

static void delete_all_takes_files(void **state)
{
    (void)state;
    file_give(fake_store_add(store, ID, STATE_FINISHED), 10, 10);
    file_give(fake_store_add(store, OTHER_ID, STATE_STARTED), 10, 10);
    seen.count = 0;
    assert_done(op_delete_sessions(&context, seen_add, &seen, &errors));
    assert_false(is_there("captures/" ID));
    assert_true(is_there("captures/" OTHER_ID "/run-1.pcap"));
}

/* ---- handlers ---- */

#define MANAGER "/api/v1/pktcap"
#define POLICY  "/policy/api/v1/infra/pktcap"
#define VALID   "{\"cappoint\": \"VMKNIC\", \"capvalue\": \"lo\", \"capsource\": \"CLI\"}"

static const struct http_request http_request = {
    .peer = "127.0.0.1", .header_count = 1, .headers = {{"Authorization", "Bearer pktcap_a-token"}}};
static struct call call;
static struct answer answer;
static struct json_object *body;

/* Splits "a=b&c=d" in place, as the server does. */
static void query_split(char *query)
{
    for (char *rest = query, *field; (field = strsep(&rest, "&")) != NULL && *field != '\0';) {
        char *value = strchr(field, '=');
        *value = '\0';
        call.parameters[call.parameter_count++] = (struct parameter){field, value + 1};
    }
}

/* Any of query, type and text may be NULL. The answer's body is read into body, if it has one. */
static void ask(const char *method, const char *path, const char *query, const char *type, const char *text)
{
    static char fields[4096];

    memset(&call, 0, sizeof call);
    memset(&answer, 0xa5, sizeof answer);
    call.context = &context;
    call.request = &http_request;
    call.method = method;
    call.path = path;
    call.content_type = type;
    call.body = text == NULL ? "" : text;
    call.body_length = text == NULL ? 0 : strlen(text);
    snprintf(fields, sizeof fields, "%s", query == NULL ? "" : query);
    query_split(fields);
    call_handle(&call, &answer);
    body = answer.body == NULL ? NULL : json_tokener_parse(answer.body);
    assert_true(answer.has_file ? answer.body == NULL : json_object_is_type(body, json_type_object));
}

static void done(void)
{
    if (answer.has_file)
        op_close_capture_file(&answer.file);
    free(answer.body);
    json_object_put(body);
    body = NULL;
}

static const char *text_of(struct json_object *object, const char *key)
{
    struct json_object *value = json_object_object_get(object, key);

    if (!json_object_is_type(value, json_type_string))
        fail_msg("%s is no string in %s", key, json_object_to_json_string(object));
    return json_object_get_string(value);
}

static int64_t number_of(struct json_object *object, const char *key)
{
    struct json_object *value = json_object_object_get(object, key);

    if (!json_object_is_type(value, json_type_int))
        fail_msg("%s is no integer in %s", key, json_object_to_json_string(object));
    return json_object_get_int64(value);
}

/* Status and an ApiError: the first error is the error, and related errors name their fields (NULL: none). */
static void assert_refused(int status, enum error_code code, const char *field)
{
    static const struct {
        int status;
        const char *name;
    } NAMES[] = {{400, "BAD_REQUEST"},
                 {404, "NOT_FOUND"},
                 {405, "METHOD_NOT_ALLOWED"},
                 {408, "REQUEST_TIMEOUT"},
                 {414, "URI_TOO_LONG"},
                 {431, "REQUEST_HEADER_FIELDS_TOO_LARGE"},
                 {501, "NOT_IMPLEMENTED"},
                 {412, "PRECONDITION_FAILED"},
                 {413, "PAYLOAD_TOO_LARGE"},
                 {415, "UNSUPPORTED_MEDIA_TYPE"},
                 {500, "INTERNAL_SERVER_ERROR"},
                 {503, "SERVICE_UNAVAILABLE"},
                 {505, "HTTP_VERSION_NOT_SUPPORTED"}};
    size_t i = 0;

    if (answer.status != status)
        fail_msg("%s %s: %d: %s", call.method, call.path, answer.status, answer.body);
    while (i + 1 < COUNT(NAMES) && NAMES[i].status != status)
        i++;
    assert_string_equal(text_of(body, "httpStatus"), NAMES[i].name);
    assert_int_equal(number_of(body, "error_code"), code);
    assert_string_equal(text_of(body, "module_name"), "PacketCapture");
    assert_true(strlen(text_of(body, "error_message")) > 0);
    struct json_object *first = json_object_array_get_idx(json_object_object_get(body, "related_errors"), 0);
    assert_string_equal(text_of(first, "error_message"), text_of(body, "error_message"));
    struct json_object *data = json_object_object_get(first, "error_data");
    if (field == NULL)
        assert_null(data);
    else
        assert_string_equal(text_of(data, "field"), field);
    done();
}

static void assert_session(int status, const char *id, const char *sessionstatus)
{
    if (answer.status != status)
        fail_msg("%s %s: %d: %s", call.method, call.path, answer.status, answer.body);
    assert_true(answer.headers[0] == '\0' || strncmp(answer.headers, "Location: ", 10) == 0);
    if (id != NULL)
        assert_string_equal(text_of(body, "sessionid"), id);
    assert_string_equal(text_of(body, "sessionstatus"), sessionstatus);
    assert_true(json_object_is_type(json_object_object_get(body, "request"), json_type_object));
    done();
}

static void handlers_create(void **state)
{
    (void)state;
    need_lo();
    ask("POST", MANAGER "/session", NULL, "application/json", VALID);
    assert_session(200, NULL, "CREATED");
    ask("POST", POLICY "/session", NULL, "application/json", VALID);
    assert_session(201, NULL, "CREATED");
    assert_int_equal(store->count, 2);
}

static void handlers_of_one_session(void **state)
{
    static const struct {
        const char *method, *path, *query;
        enum session_state before;
        const char *after;
    } CASES[] = {
        {"GET", MANAGER "/session/" ID, NULL, STATE_STARTED, "STARTED"},
        {"HEAD", MANAGER "/session/" ID, NULL, STATE_STARTED, "STARTED"},
        {"GET", POLICY "/session/" ID, NULL, STATE_ERROR, "ERROR"},
        {"POST", MANAGER "/session/" ID, "action=restart", STATE_FINISHED, "CREATED"},
        {"POST", POLICY "/session/" ID, "action=restart", STATE_STOPPED, "CREATED"},
        {"POST", MANAGER "/session/" ID, "action=terminate", STATE_STARTED, "STOPPED"},
        {"POST", POLICY "/session/" ID, "action=terminate", STATE_FINISHED, "FINISHED"},
        {"POST", MANAGER "/session/" ID, "action=delete", STATE_STOPPED, "STOPPED"},
        {"DELETE", POLICY "/session/" ID, NULL, STATE_FINISHED, "FINISHED"},
    };

    for (size_t i = 0; i < COUNT(CASES); i++) {
        fake_store_add(store, ID, CASES[i].before);
        ask(CASES[i].method, CASES[i].path, CASES[i].query, NULL, NULL);
        assert_session(200, ID, CASES[i].after);
        world_end(state);
        assert_int_equal(world_make(state), 0);
    }
}

static void handlers_show_what_the_user_sees(void **state)
{
    (void)state;
    file_give(fake_store_add(store, ID, STATE_FINISHED), 10, 10);
    ask("GET", MANAGER "/session/" ID, NULL, NULL, NULL);
    assert_string_equal(text_of(body, "filelocation"), "/data/captures/" ID "/run-1.pcap");
    done();
}

static const char *cappoint_in(struct json_object *shown)
{
    return text_of(json_object_object_get(shown, "request"), "cappoint");
}

/* The management plane has no word SEGMENTPORT; whatever is answered keeps to the words of the path. */
static void handlers_speak_the_words_of_the_path(void **state)
{
    static const struct {
        const char *method, *path, *query;
        enum session_state before;
        bool list;
        const char *shown;
    } CASES[] = {
        {"GET", MANAGER "/session/" ID, NULL, STATE_STARTED, false, "LOGICALPORT"},
        {"GET", POLICY "/session/" ID, NULL, STATE_STARTED, false, "SEGMENTPORT"},
        {"POST", MANAGER "/session/" ID, "action=restart", STATE_FINISHED, false, "LOGICALPORT"},
        {"POST", POLICY "/session/" ID, "action=restart", STATE_FINISHED, false, "SEGMENTPORT"},
        {"POST", MANAGER "/session/" ID, "action=terminate", STATE_STARTED, false, "LOGICALPORT"},
        {"POST", POLICY "/session/" ID, "action=terminate", STATE_STARTED, false, "SEGMENTPORT"},
        {"POST", MANAGER "/session/" ID, "action=delete", STATE_STOPPED, false, "LOGICALPORT"},
        {"DELETE", POLICY "/session/" ID, NULL, STATE_STOPPED, false, "SEGMENTPORT"},
        {"GET", MANAGER "/sessions", NULL, STATE_STARTED, true, "LOGICALPORT"},
        {"GET", POLICY "/sessions", NULL, STATE_STARTED, true, "SEGMENTPORT"},
        {"POST", MANAGER "/sessions", "action=delete", STATE_ERROR, true, "LOGICALPORT"},
        {"DELETE", POLICY "/sessions", NULL, STATE_ERROR, true, "SEGMENTPORT"},
    };

    for (size_t i = 0; i < COUNT(CASES); i++) {
        fake_store_add(store, ID, CASES[i].before)->request.cappoint = CAPPOINT_SEGMENTPORT;
        ask(CASES[i].method, CASES[i].path, CASES[i].query, NULL, NULL);
        assert_int_equal(answer.status, 200);
        struct json_object *shown =
            CASES[i].list ? json_object_array_get_idx(json_object_object_get(body, "results"), 0) : body;
        if (strcmp(cappoint_in(shown), CASES[i].shown) != 0)
            fail_msg("%s %s: %s", CASES[i].method, CASES[i].path, answer.body);
        done();
        world_end(state);
        assert_int_equal(world_make(state), 0);
    }
}

static void handlers_of_running_sessions(void **state)
{
    (void)state;
    fake_store_add(store, ID, STATE_STARTED);
    ask("POST", MANAGER "/session/" ID, "action=restart", NULL, NULL);
    assert_refused(412, ERROR_SESSION_RUNNING, "session-id");
    ask("POST", MANAGER "/session/" ID, "action=delete", NULL, NULL);
    assert_refused(412, ERROR_SESSION_RUNNING, "session-id");
    ask("DELETE", POLICY "/session/" ID, NULL, NULL, NULL);
    assert_refused(412, ERROR_SESSION_RUNNING, "session-id");
}

static void handlers_of_no_session(void **state)
{
    static const struct {
        const char *method, *path, *query;
    } CASES[] = {
        {"GET", MANAGER "/session/" ID, NULL},
        {"GET", MANAGER "/session/none", NULL},
        {"GET", MANAGER "/session/%36", NULL},
        {"GET", MANAGER "/session/\xff", NULL},
        {"POST", MANAGER "/session/" ID, "action=restart"},
        {"POST", MANAGER "/session/" ID, "action=terminate"},
        {"POST", MANAGER "/session/" ID, "action=delete"},
        {"DELETE", POLICY "/session/" ID, NULL},
        {"GET", MANAGER "/session/" ID "/capturefile", NULL},
        {"GET", POLICY "/session/" ID "/CapturedFile", "run=1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        ask(CASES[i].method, CASES[i].path, CASES[i].query, NULL, NULL);
        assert_refused(404, ERROR_NO_SUCH_SESSION, "session-id");
    }
}

static void handlers_of_no_route(void **state)
{
    (void)state;
    ask("GET", "/api/v1/nothing", NULL, NULL, NULL);
    assert_string_equal(answer.headers, "");
    assert_refused(404, ERROR_NO_SUCH_PATH, NULL);
    ask("PUT", MANAGER "/session/" ID, NULL, NULL, NULL);
    assert_string_equal(answer.headers, "Allow: GET, HEAD, POST\r\n");
    assert_refused(405, ERROR_METHOD_NOT_ALLOWED, NULL);
    ask("PUT", POLICY "/session/" ID, NULL, NULL, NULL);
    assert_string_equal(answer.headers, "Allow: GET, HEAD, POST, DELETE\r\n");
    assert_refused(405, ERROR_METHOD_NOT_ALLOWED, NULL);
    ask("POST", MANAGER "/session/" ID, NULL, NULL, "{}");
    assert_refused(400, ERROR_BAD_PARAMETER, "action");
    ask("POST", MANAGER "/session/" ID, "action=stop", NULL, "{}");
    assert_refused(400, ERROR_BAD_PARAMETER, "action");
}

static void media_types(void **state)
{
    static const struct {
        const char *type;
        bool accepted;
    } CASES[] = {
        {NULL, true},
        {"application/json", true},
        {"application/json; charset=utf-8", true},
        {"application/json;charset=UTF-8", true},
        {"Application/JSON", true},
        {"application/json ", true},
        {"application/jsonp", false},
        {"application/json-patch+json", false},
        {"application/vnd.api+json", false},
        {"text/plain", false},
        {"application/x-www-form-urlencoded", false},
        {"multipart/form-data; boundary=application/json", false},
        {"", false},
        {"json", false},
    };

    (void)state;
    need_lo();
    for (size_t i = 0; i < COUNT(CASES); i++) {
        ask("POST", MANAGER "/session", NULL, CASES[i].type, VALID);
        if (CASES[i].accepted)
            assert_session(200, NULL, "CREATED");
        else
            assert_refused(415, ERROR_MEDIA_TYPE, "Content-Type");
    }
}

/* Clients send Content-Type with a GET and without a body, and bodies with a GET. */
static void media_types_of_nothing(void **state)
{
    (void)state;
    fake_store_add(store, ID, STATE_FINISHED);
    ask("GET", MANAGER "/session/" ID, NULL, "text/plain", NULL);
    assert_session(200, ID, "FINISHED");
    ask("GET", MANAGER "/session/" ID, NULL, "text/plain", "{}");
    assert_session(200, ID, "FINISHED");
    ask("GET", MANAGER "/session/" ID, NULL, NULL, "no JSON");
    assert_session(200, ID, "FINISHED");
    ask("POST", MANAGER "/session/" ID, "action=terminate", "text/plain", NULL);
    assert_session(200, ID, "FINISHED");
    ask("POST", MANAGER "/session/" ID, "action=terminate", "application/json", "{}");
    assert_session(200, ID, "FINISHED");
    ask("DELETE", POLICY "/session/" ID, NULL, "text/plain", "{}");
    assert_session(200, ID, "FINISHED");
}

static void bodies_that_are_no_request(void **state)
{
    static const struct {
        const char *text;
        enum error_code code;
        const char *field;
    } CASES[] = {
        {NULL, ERROR_MALFORMED_JSON, NULL},
        {"", ERROR_MALFORMED_JSON, NULL},
        {"{", ERROR_MALFORMED_JSON, NULL},
        {"[]", ERROR_MALFORMED_JSON, NULL},
        {"cappoint=VNIC", ERROR_MALFORMED_JSON, NULL},
        {VALID "x", ERROR_MALFORMED_JSON, NULL},
        {"{}", ERROR_MISSING_FIELD, "capsource"},
        {"{\"capduration\": \"60\"}", ERROR_WRONG_TYPE, "capduration"},
        {"{\"capduraton\": 60}", ERROR_UNKNOWN_FIELD, "capduraton"},
        {"{\"capmode\": \"STREAMS\"}", ERROR_BAD_VALUE, "capmode"},
        {"{\"capsource\": \"UI\", \"capmode\": \"STREAM\", \"cappoint\": \"VNIC\", \"capvalue\": \"\"}",
         ERROR_MISSING_FIELD, "capvalue"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        ask("POST", MANAGER "/session", NULL, "application/json", CASES[i].text);
        assert_refused(400, CASES[i].code, CASES[i].field);
    }
    assert_int_equal(store->calls[FAKE_INSERT], 0);
}

/* Decoding and checking speak in one answer; a body that is no JSON has no fields to miss. */
static void all_wrong_fields_in_one_answer(void **state)
{
    static const char *const FIELDS[] = {"cappoint", "capduration", "capsource",
                                         "node",     "capvalue",    "capexpression"};

    (void)state;
    ask("POST", MANAGER "/session", NULL, "application/json",
        "{\"cappoint\": \"ETH\", \"capduration\": -1, \"node\": \"elsewhere\", \"capexpression\": \"tcp "
        "prot\"}");
    struct json_object *related = json_object_object_get(body, "related_errors");
    assert_int_equal(json_object_array_length(related), COUNT(FIELDS));
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        assert_string_equal(
            text_of(json_object_object_get(json_object_array_get_idx(related, i), "error_data"), "field"),
            FIELDS[i]);
    assert_refused(400, ERROR_BAD_VALUE, "cappoint");

    ask("POST", MANAGER "/session", NULL, "application/json", "{");
    assert_int_equal(json_object_array_length(json_object_object_get(body, "related_errors")), 1);
    assert_refused(400, ERROR_MALFORMED_JSON, NULL);
}

static void statuses_of_failures(void **state)
{
    static const struct {
        enum error_code code;
        int status;
    } CASES[] = {{ERROR_STORE_BUSY, 503},
                 {ERROR_STORE_FULL, 503},
                 {ERROR_STORE_FAILED, 500},
                 {ERROR_HOST, 500},
                 {ERROR_INTERNAL, 500}};

    (void)state;
    need_lo();
    fake_store_add(store, ID, STATE_FINISHED);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        for (int one = 0; one < FAKE_CALLS; one++)
            store->fails[one] = CASES[i].code;
        ask("POST", MANAGER "/session", NULL, NULL, VALID);
        assert_refused(CASES[i].status, CASES[i].code, NULL);
        ask("GET", MANAGER "/session/" ID, NULL, NULL, NULL);
        assert_refused(CASES[i].status, CASES[i].code, NULL);
        ask("GET", MANAGER "/sessions", NULL, NULL, NULL);
        assert_refused(CASES[i].status, CASES[i].code, NULL);
        ask("POST", MANAGER "/sessions", "action=delete", NULL, NULL);
        assert_refused(CASES[i].status, CASES[i].code, NULL);
    }
}

static void unknown_node(void **state)
{
    (void)state;
    need_lo();
    ask("POST", MANAGER "/session", NULL, NULL,
        "{\"cappoint\": \"VMKNIC\", \"capvalue\": \"lo\", \"capsource\": \"CLI\", \"node\": \"elsewhere\"}");
    assert_refused(404, ERROR_NO_SUCH_NODE, "node");
}

/* ---- handlers: query parameters ---- */

static void bad_parameters(void **state)
{
    static const struct {
        const char *method, *path, *query;
        enum error_code code;
        const char *field;
    } CASES[] = {
        {"GET", MANAGER "/sessions", "page=2", ERROR_UNKNOWN_PARAMETER, "page"},
        {"GET", MANAGER "/sessions", "Cursor=00", ERROR_UNKNOWN_PARAMETER, "Cursor"},
        {"GET", MANAGER "/sessions", "run=1", ERROR_UNKNOWN_PARAMETER, "run"},
        {"GET", MANAGER "/session/" ID, "run=1", ERROR_UNKNOWN_PARAMETER, "run"},
        {"POST", MANAGER "/session", "force=true", ERROR_UNKNOWN_PARAMETER, "force"},
        {"DELETE", POLICY "/session/" ID, "page_size=1", ERROR_UNKNOWN_PARAMETER, "page_size"},
        {"POST", MANAGER "/session/" ID, "action=delete&run=1", ERROR_UNKNOWN_PARAMETER, "run"},
        {"GET", MANAGER "/sessions", "page_size=1&page_size=1", ERROR_BAD_PARAMETER, "page_size"},
        {"POST", MANAGER "/session/" ID, "action=delete&action=restart", ERROR_BAD_PARAMETER, "action"},
        {"GET", MANAGER "/session/" ID, "action=", ERROR_BAD_PARAMETER, "action"},
        {"GET", MANAGER "/sessions", "page_size=0", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size=1001", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size=-1", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size=+5", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size= 5", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size=5 ", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size=", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size=1e2", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size=0x10", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size=4294967297", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "page_size=99999999999999999999", ERROR_BAD_PARAMETER, "page_size"},
        {"GET", MANAGER "/sessions", "sort_by=", ERROR_BAD_PARAMETER, "sort_by"},
        {"GET", MANAGER "/sessions", "sort_by=StartTime", ERROR_BAD_PARAMETER, "sort_by"},
        {"GET", MANAGER "/sessions", "sort_by=starttime;", ERROR_BAD_PARAMETER, "sort_by"},
        {"GET", MANAGER "/sessions", "sort_ascending=1", ERROR_BAD_PARAMETER, "sort_ascending"},
        {"GET", MANAGER "/sessions", "sort_ascending=", ERROR_BAD_PARAMETER, "sort_ascending"},
        {"GET", MANAGER "/sessions", "cursor=", ERROR_BAD_PARAMETER, "cursor"},
        {"GET", MANAGER "/sessions", "cursor=0036", ERROR_BAD_PARAMETER, "cursor"},
        {"GET", MANAGER "/session/" ID "/capturefile", "run=0", ERROR_BAD_PARAMETER, "run"},
        {"GET", MANAGER "/session/" ID "/capturefile", "run=one", ERROR_BAD_PARAMETER, "run"},
        {"GET", MANAGER "/session/" ID "/capturefile", "run=2147483648", ERROR_BAD_PARAMETER, "run"},
    };

    (void)state;
    fake_store_add(store, ID, STATE_FINISHED);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        ask(CASES[i].method, CASES[i].path, CASES[i].query, NULL, NULL);
        assert_refused(400, CASES[i].code, CASES[i].field);
    }
    assert_int_equal(store->calls[FAKE_LIST], 0);
    assert_int_equal(store->count, 1);
}

static void messages_name_the_parameters(void **state)
{
    (void)state;
    fake_store_add(store, ID, STATE_FINISHED);
    ask("GET", MANAGER "/sessions", "page=2", NULL, NULL);
    assert_string_equal(text_of(body, "error_message"),
                        "this path takes no query parameter page; it takes page_size, "
                        "cursor, sort_by, sort_ascending");
    done();
    ask("GET", MANAGER "/session/" ID, "page=2", NULL, NULL);
    assert_string_equal(text_of(body, "error_message"), "this path takes no query parameter page");
    done();
}

static void good_parameters(void **state)
{
    static const struct {
        const char *query;
        int page_size;
        const char *sort_by; /* shown; the store is asked for no more than was said */
        bool ascending;
    } CASES[] = {
        {NULL, 1000, "starttime", true},
        {"page_size=1", 1, "starttime", true},
        {"page_size=1000", 1000, "starttime", true},
        {"page_size=007", 7, "starttime", true},
        {"sort_by=starttime", 1000, "starttime", true},
        {"sort_by=endtime", 1000, "endtime", true},
        {"sort_by=sessionname&sort_ascending=true", 1000, "sessionname", true},
        {"sort_by=sessionstatus&sort_ascending=false", 1000, "sessionstatus", false},
        {"sort_ascending=False&sort_by=filesize&page_size=5", 5, "filesize", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        ask("GET", i % 2 == 0 ? MANAGER "/sessions" : POLICY "/sessions", CASES[i].query, NULL, NULL);
        assert_int_equal(answer.status, 200);
        assert_string_equal(text_of(body, "sort_by"), CASES[i].sort_by);
        assert_int_equal(json_object_get_boolean(json_object_object_get(body, "sort_ascending")),
                         CASES[i].ascending);
        assert_int_equal(number_of(body, "result_count"), 0);
        assert_null(json_object_object_get(body, "cursor"));
        assert_int_equal(store->query.page_size, CASES[i].page_size);
        assert_int_equal(store->query.descending, !CASES[i].ascending);
        done();
    }
}

/* ---- handlers: lists and files ---- */

static void handlers_list_pages(void **state)
{
    char query[4096] = "page_size=4";
    size_t count = 0;
    int pages = 0;

    (void)state;
    sessions_add(0, 10, STATE_FINISHED);
    for (bool more = true; more; pages++) {
        ask("GET", MANAGER "/sessions", query, NULL, NULL);
        assert_int_equal(answer.status, 200);
        assert_int_equal(number_of(body, "result_count"), 10);
        count += json_object_array_length(json_object_object_get(body, "results"));
        more = json_object_object_get(body, "cursor") != NULL;
        if (more)
            snprintf(query, sizeof query, "sort_by=starttime&page_size=4&cursor=%s", text_of(body, "cursor"));
        done();
    }
    assert_int_equal(pages, 3);
    assert_int_equal(count, 10);
}

static void handlers_delete_all(void **state)
{
    static const struct {
        const char *method, *path, *query;
    } CASES[] = {{"POST", MANAGER "/sessions", "action=delete"}, {"DELETE", POLICY "/sessions", NULL}};

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        sessions_add(0, 250, STATE_FINISHED);
        ask(CASES[i].method, CASES[i].path, CASES[i].query, NULL, NULL);
        assert_int_equal(answer.status, 200);
        assert_int_equal(number_of(body, "result_count"), 250);
        struct json_object *results = json_object_object_get(body, "results");
        assert_int_equal(json_object_array_length(results), 250);
        assert_string_equal(text_of(json_object_array_get_idx(results, 0), "sessionstatus"), "FINISHED");
        assert_null(json_object_object_get(body, "cursor"));
        done();
        assert_int_equal(store->count, 0);
    }
}

static void handlers_give_files(void **state)
{
    static const struct {
        const char *method, *path, *query, *name;
        int64_t size;
    } CASES[] = {
        {"GET", MANAGER "/session/" ID "/capturefile", NULL, ID "-run2.pcap", 20},
        {"HEAD", MANAGER "/session/" ID "/capturefile", NULL, ID "-run2.pcap", 20},
        {"GET", MANAGER "/session/" ID "/capturefile", "run=1", ID ".pcap", 10},
        {"GET", POLICY "/session/" ID "/CapturedFile", "run=2", ID "-run2.pcap", 20},
    };

    (void)state;
    file_give(fake_store_add(store, ID, STATE_FINISHED), 10, 10);
    file_give(fake_store_add(store, ID, STATE_STARTED), 30, 20);
    for (size_t i = 0; i < COUNT(CASES); i++) {
        ask(CASES[i].method, CASES[i].path, CASES[i].query, NULL, NULL);
        assert_int_equal(answer.status, 200);
        assert_true(answer.has_file);
        assert_int_equal(answer.file.size, CASES[i].size);
        assert_string_equal(answer.file.name, CASES[i].name);
        done();
    }
}

static void handlers_without_a_file(void **state)
{
    (void)state;
    fake_store_add(store, ID, STATE_CREATED);
    ask("GET", MANAGER "/session/" ID "/capturefile", NULL, NULL, NULL);
    assert_false(answer.has_file);
    assert_refused(404, ERROR_NO_SUCH_FILE, "session-id");
    ask("GET", MANAGER "/session/" ID "/capturefile", "run=2", NULL, NULL);
    assert_false(answer.has_file);
    assert_refused(404, ERROR_NO_SUCH_FILE, "run");
}

/* ---- handlers: what the server brings ---- */

static void ask_again(const char *method, const char *path)
{
    call.method = method;
    call.path = path;
    call_handle(&call, &answer);
    body = json_tokener_parse(answer.body);
}

/* The store could not be opened, or the query not be read: that is the answer, and nothing is touched. */
static void errors_before_the_call(void **state)
{
    struct context without = {.service = &service};

    (void)state;
    memset(&call, 0, sizeof call);
    call.context = &without;
    call.request = &http_request;
    errors_add(&call.errors, ERROR_STORE_BUSY, NULL, "the store is busy");
    ask_again("GET", MANAGER "/sessions");
    assert_refused(503, ERROR_STORE_BUSY, NULL);
    /* and who cannot be identified learns nothing of what there is */
    ask_again("GET", "/nothing");
    assert_int_equal(json_object_array_length(json_object_object_get(body, "related_errors")), 1);
    assert_refused(503, ERROR_STORE_BUSY, NULL);
}

static void http_errors(void **state)
{
    static const struct {
        int status;
        enum error_code code;
    } CASES[] = {
        {400, ERROR_BAD_REQUEST},      {413, ERROR_BODY_TOO_LARGE},   {408, ERROR_TOO_SLOW},
        {414, ERROR_HEADER_TOO_LARGE}, {431, ERROR_HEADER_TOO_LARGE}, {501, ERROR_BAD_REQUEST},
        {503, ERROR_TOO_BUSY},         {505, ERROR_BAD_REQUEST},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        answer = (struct answer){0};
        answer_http_error(&answer, CASES[i].status, "what the server said");
        body = json_tokener_parse(answer.body);
        assert_string_equal(text_of(body, "error_message"), "what the server said");
        assert_refused(CASES[i].status, CASES[i].code, NULL);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_make, world_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(limits),
        TEST(default_duration_beyond_the_maximum),
        TEST(create_stores_a_session),
        TEST(create_makes_new_ids),
        TEST(doorbell_rings),
        TEST(create_needs_fields),
        TEST(create_on_this_node),
        TEST(create_on_other_nodes),
        TEST(create_at_other_points),
        TEST(create_with_a_snaplen),
        TEST(create_tells_all_at_once),
        TEST(create_fails_for_decoding_alone),
        TEST(create_when_the_store_fails),
        TEST(ids_that_name_nothing),
        TEST(ids_in_either_case),
        TEST(failing_stores),
        TEST(get_shows_the_newest_run),
        TEST(restart_makes_a_run),
        TEST(terminate_waits_for_the_end),
        TEST(terminate_gives_up),
        TEST(terminate_what_does_not_run),
        TEST(terminate_loses_sight),
        TEST(delete_takes_row_then_files),
        TEST(delete_needs_an_end),
        TEST(delete_without_files),
        TEST(delete_keeps_files_when_the_row_stays),
        TEST(delete_makes_room_on_a_full_disk),
        TEST(delete_on_a_disk_that_stays_full),
        TEST(file_size_is_the_lesser),
        TEST(file_of_each_run),
        TEST(file_names),
        TEST(no_file),
        TEST(list_pages),
        TEST(list_of_whole_pages),
        TEST(list_asks_the_store),
        TEST(cursors_carry_any_value),
        TEST(cursors_carry_the_longest_name),
        TEST(foreign_cursors),
        TEST(cursors_with_bad_digits),
        TEST(cursors_too_long),
        TEST(cursors_of_another_order),
        TEST(cursors_of_the_default_order),
        TEST(delete_all_page_after_page),
        TEST(delete_all_of_none),
        TEST(delete_all_beside_others),
        TEST(delete_all_stops_where_the_store_fails),
        TEST(delete_all_takes_files),
        TEST(handlers_create),
        TEST(handlers_of_one_session),
        TEST(handlers_show_what_the_user_sees),
        TEST(handlers_speak_the_words_of_the_path),
        TEST(handlers_of_running_sessions),
        TEST(handlers_of_no_session),
        TEST(handlers_of_no_route),
        TEST(media_types),
        TEST(media_types_of_nothing),
        TEST(bodies_that_are_no_request),
        TEST(all_wrong_fields_in_one_answer),
        TEST(statuses_of_failures),
        TEST(unknown_node),
        TEST(bad_parameters),
        TEST(messages_name_the_parameters),
        TEST(good_parameters),
        TEST(handlers_list_pages),
        TEST(handlers_delete_all),
        TEST(handlers_give_files),
        TEST(handlers_without_a_file),
        TEST(errors_before_the_call),
        TEST(http_errors),
    };

    return cmocka_run_group_tests_name("operations", tests, NULL, NULL);
}
