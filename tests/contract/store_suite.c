#include "tests/contract/store_suite.h"

#include <stdio.h>
#include <string.h>

const char NODE[] = "11111111-1111-4111-8111-111111111111";
const char WORKER_A[] = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
const char WORKER_B[] = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";
const char WORKER_C[] = "cccccccc-cccc-4ccc-8ccc-cccccccccccc";

void must(enum status status, const struct error *error, const char *call, const char *file, int line)
{
    if (status == STATUS_OK)
        return;
    print_error("%s: %s\n", call, error->message);
    _fail(file, line);
}

void must_fail(enum status status, const struct error *error, enum error_code code, const char *call,
               const char *file, int line)
{
    if (status != STATUS_OK && status == error->status && error->code == code && error->message[0] != '\0')
        return;
    print_error("%s: status %d, expected error %d, got %d: %s\n", call, (int)status, (int)code,
                status == STATUS_OK ? 0 : (int)error->code, status == STATUS_OK ? "" : error->message);
    _fail(file, line);
}

void fixture_open(struct fixture *fixture)
{
    struct error error;

    MUST(fixture->backend->open(fixture->path, &fixture->store, &error));
}

void fixture_close(struct fixture *fixture)
{
    fixture->backend->close(fixture->store);
    fixture->store = NULL;
}

int fixture_setup(void **state)
{
    struct fixture *fixture = *state;

    fixture->backend->path(fixture->path);
    fixture_open(fixture);
    return 0;
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;

    fixture_close(fixture);
    return fixture->backend->is_sound(fixture->path) ? 0 : -1;
}

void session_make(struct session *session)
{
    memset(session, 0, sizeof *session);
    uuid_make(session->id);
    strcpy(session->node_id, NODE);
    strcpy(session->create_user, "alice");
    strcpy(session->owner, "alice");
    strcpy(session->last_modified_user, "alice");
    session->create_time_ms = session->last_modified_time_ms = T0;
    session->request.cappoint = CAPPOINT_VMNIC;
    session->request.capsource = CAPSOURCE_CLI;
    session->request.capduration = session->request.capamount = INT_ABSENT;
    session->request.capfilesize = session->request.capsnaplen = INT_ABSENT;
    session->run.number = 1;
    session->run.state = STATE_CREATED;
    session->run.created_ms = T0;
}

static void lists_fill(struct packet_capture_request *request)
{
    request->has_options = true;
    request->option_count = 3;
    for (uint32_t i = 0; i < request->option_count; i++) {
        request->options[i].name = i == 1 ? OPTION_SRCIP6 : OPTION_PORT;
        snprintf(request->options[i].value, sizeof request->options[i].value, "value %u", i);
    }
    request->tag_count = 2;
    for (uint32_t i = 0; i < request->tag_count; i++) {
        snprintf(request->tags[i].scope, sizeof request->tags[i].scope, "Bereich %u ü", i);
        snprintf(request->tags[i].tag, sizeof request->tags[i].tag, "標籤 %u", i);
    }
}

void session_make_full(struct session *session)
{
    struct packet_capture_request *request = &session->request;

    session_make(session);
    strcpy(request->node, "läb-node");
    strcpy(request->node_ip, "2001:db8::1");
    request->cappoint = CAPPOINT_VIF;
    strcpy(request->capvalue, "blue/veth0");
    request->capsource = CAPSOURCE_UI;
    request->direction = DIRECTION_OUTPUT;
    request->capmode = CAPMODE_STANDALONE;
    request->capformat = CAPFORMAT_PCAP;
    request->capduration = 61;
    request->capamount = 62;
    request->capfilesize = 63;
    request->capsnaplen = 64;
    request->filtertype = FILTERTYPE_POST;
    request->caprate = 65;
    request->capcore = 66;
    request->capfilecount = 67;
    strcpy(request->streamaddress, "2001:db8::7");
    request->streamport = 68;
    request->captureself = 1;
    strcpy(session->point, "blue/veth0");
    session->quota_bytes = INT64_C(1) << 41;
    session->share_count = 2;
    session->shares[0] = (struct share){SHARE_GROUP, "lab"};
    session->shares[1] = (struct share){SHARE_USER, "bob@example.org"};
    strcpy(session->api_address, "10.1.2.3:8443");
    strcpy(request->name, "Ночь 🌙");
    strcpy(request->description, "two\nlines, a \"quote\", a back\\slash and 'one' more");
    strcpy(request->capexpression, "tcp port 80 and host 10.0.0.1");
    lists_fill(request);
    session->limits =
        (struct limits){.duration_s = 71, .packets = INT64_C(1) << 40, .file_size_mb = 73, .snaplen = 74};
    strcpy(session->last_modified_user, "zoë k");
    session->last_modified_time_ms = T0 + 7;
    session->revision = 3;
}

void session_insert(struct fixture *fixture, struct session *session)
{
    struct error error;

    session_make(session);
    MUST(store_insert_session(fixture->store, session, NULL, &error));
}

enum status session_restart(struct store *store, const char *id, const char *user, int64_t now_ms,
                            struct error *error)
{
    const struct restart restart = {.user = user, .point = "", .now_ms = now_ms};

    return store_restart_session(store, id, &restart, error);
}

void session_get(struct fixture *fixture, const char *id, int32_t run, struct session *out)
{
    char wanted[UUID_SIZE]; /* id may lie in *out */
    struct error error;

    snprintf(wanted, sizeof wanted, "%s", id);
    memset(out, 0, sizeof *out);
    MUST(store_get_session(fixture->store, wanted, run, out, &error));
}

enum session_state session_state(struct fixture *fixture, const char *id)
{
    struct session session;

    session_get(fixture, id, 0, &session);
    return session.run.state;
}

struct run_report claim_next(struct fixture *fixture, const char *worker, int64_t now_ms,
                             struct session *session)
{
    struct run_report report = {0};
    struct error error;
    bool found = false;

    memset(session, 0, sizeof *session);
    MUST(store_claim_run(fixture->store, NODE, worker, now_ms, LEASE_MS, &found, &report.lease, session,
                         &error));
    assert_true(found);
    report.run = session->run;
    return report;
}

bool claim_finds_nothing(struct fixture *fixture, const char *worker, int64_t now_ms)
{
    struct session session;
    struct lease lease;
    struct error error;
    bool found = true;

    MUST(store_claim_run(fixture->store, NODE, worker, now_ms, LEASE_MS, &found, &lease, &session, &error));
    return !found;
}

void run_start(struct fixture *fixture, struct run_report *report)
{
    struct error error;

    report->run.started_ms = T0 + 1;
    strcpy(report->run.file, "captures/a.pcap");
    MUST(store_start_run(fixture->store, report, &error));
    assert_false(report->lost);
}

void run_end(struct fixture *fixture, struct run_report *report, enum session_state state)
{
    struct error error;

    report->run.state = state;
    report->run.ended_ms = T0 + 2;
    report->run.stop_reason = state == STATE_FINISHED ? STOP_DURATION : STOP_TERMINATED;
    MUST(store_finish_run(fixture->store, report, &error));
    assert_false(report->lost);
}

struct run_report session_reach(struct fixture *fixture, enum session_state state, struct session *session)
{
    struct session claimed;

    session_insert(fixture, session);
    struct run_report report = claim_next(fixture, WORKER_A, T0, &claimed);
    assert_string_equal(claimed.id, session->id);
    if (state != STATE_CREATED)
        run_start(fixture, &report);
    if (session_state_has_ended(state))
        run_end(fixture, &report, state);
    session_get(fixture, session->id, 0, session);
    return report;
}

int store_suite_run(const struct store_backend *backend)
{
    static int (*const GROUPS[])(struct fixture *) = {
        suite_sessions, suite_list,   suite_runs,   suite_files,       suite_leases,
        suite_people,   suite_tokens, suite_owners, suite_readers,     suite_stored,
        suite_audit,    suite_crowd,  suite_crash,  suite_people_crash};
    struct fixture fixture = {.backend = backend};
    int failed = 0;

    for (size_t i = 0; i < sizeof GROUPS / sizeof GROUPS[0]; i++)
        failed += GROUPS[i](&fixture);
    return failed;
}
