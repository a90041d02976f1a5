/*
 * service/validate: which fields go together, which CPUs and collectors there are, and which limits apply.
 * The capture point is taken as refused already, so nothing is asked about interfaces.
 */
#include "service/validate.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct config CONFIG = {
    .default_duration = 600, .max_duration = 86400, .max_filesize = 10000, .max_snaplen = 262144};
/* No worker is there. */
static const struct data_dir DIRECTORY = {.path = "/no/such/place", .shown = "/no/such/place"};
static const struct service SERVICE = {.config = &CONFIG,
                                       .directory = &DIRECTORY,
                                       .node_id = "0b0e0c8a-7d53-4c7c-8b55-1d2c3b4a5f60",
                                       .node_name = "edge-7"};

static const struct caller ANYBODY = {.role = {.policy = {.points = "*", .stream = true}}};
static const struct context CONTEXT = {.service = &SERVICE, .who = &ANYBODY};

static struct packet_capture_request request;
static struct errors errors;

/* What the least request holds, all else absent; its capvalue was blamed by decoding. */
static void make(void)
{
    memset(&errors, 0, sizeof errors);
    errors_add(&errors, ERROR_OUT_OF_RANGE, "capvalue", "from decoding");
    request = (struct packet_capture_request){.cappoint = CAPPOINT_VNIC,
                                              .capsource = CAPSOURCE_CLI,
                                              .capduration = INT_ABSENT,
                                              .capamount = INT_ABSENT,
                                              .capfilesize = INT_ABSENT,
                                              .capsnaplen = INT_ABSENT,
                                              .caprate = INT_ABSENT,
                                              .capcore = INT_ABSENT,
                                              .capfilecount = INT_ABSENT,
                                              .streamport = INT_ABSENT,
                                              .captureself = INT_ABSENT};
}

static void make_stream(const char *address)
{
    make();
    request.capmode = CAPMODE_STREAM;
    snprintf(request.streamaddress, sizeof request.streamaddress, "%s", address);
}

/* What validation found besides what there was. */
static size_t check(void)
{
    size_t before = errors.count;
    char point[POINT_VALUE_SIZE];

    validate_request(&CONTEXT, &request, point, &errors);
    return errors.count - before;
}

static void fail_with_errors(const char *what)
{
    for (size_t i = 0; i < errors.count; i++)
        print_error("%d %s: %s\n", errors.items[i].code, errors.items[i].field, errors.items[i].message);
    fail_msg("%s", what);
}

static void assert_accepted(const char *what)
{
    if (check() != 0)
        fail_with_errors(what);
}

/* One error, of this code, that blames this field and says this. */
static void assert_refused(const char *what, enum error_code code, const char *field, const char *says)
{
    size_t found = check();
    const struct error *error = &errors.items[errors.count - 1];

    if (found != 1 || error->code != code || strcmp(error->field, field) != 0 ||
        strstr(error->message, says) == NULL)
        fail_with_errors(what);
}

/* ---- filtertype ---- */

static void filtertype_goes_with_dvfilter(void **state)
{
    (void)state;
    for (int point = CAPPOINT_VNIC; point <= CAPPOINT_SEGMENTPORT; point++)
        for (int type = FILTERTYPE_PRE; type <= FILTERTYPE_POST; type++) {
            make();
            request.cappoint = (enum cappoint)point;
            request.filtertype = (enum filtertype)type;
            if (point == CAPPOINT_DVFILTER)
                assert_accepted("filtertype with DVFILTER");
            else
                assert_refused(names_of(&cappoint_names, point), ERROR_CONFLICT, "filtertype",
                               "filtertype cannot be given here: it goes with cappoint DVFILTER");
        }
}

/* The point that it goes with may have been meant. */
static void filtertype_beside_a_wrong_point(void **state)
{
    (void)state;
    make();
    request.cappoint = 0;
    request.filtertype = FILTERTYPE_PRE;
    errors_add(&errors, ERROR_BAD_VALUE, "cappoint", "from decoding");
    assert_accepted("filtertype beside a wrong cappoint");
    make();
    request.cappoint = 0;
    request.filtertype = FILTERTYPE_PRE;
    assert_refused("filtertype without cappoint", ERROR_MISSING_FIELD, "cappoint", "cappoint is required");
}

/* ---- STREAM ---- */

static void a_stream_needs_an_address(void **state)
{
    (void)state;
    make_stream("");
    assert_refused("no address", ERROR_MISSING_FIELD, "streamaddress", "streamaddress is required: the coll");
    make_stream("");
    errors_add(&errors, ERROR_WRONG_TYPE, "streamaddress", "from decoding");
    assert_accepted("an address that was blamed already");
    make_stream("192.0.2.1");
    assert_accepted("an address");
    request.streamport = 4754;
    assert_accepted("an address and a port");
}

static void a_stream_goes_to_one_host(void **state)
{
    static const char *const GOOD[] = {"192.0.2.1",   "10.255.255.255",     "223.255.255.255", "127.0.0.1",
                                       "2001:db8::1", "2001:DB8:0:0::0001", "fd00::1",         "::1"};
    static const char *const BAD[] = {
        "0.0.0.0",       "255.255.255.255", "224.0.0.1",  "239.255.255.255", "::",
        "0:0::0:0",      "ff02::1",         "ff0e::101",  "fe80::1",         "febf::1",
        "fe80::1%lo",    "::ffff:1.2.3.4",  "::ffff:0:0", "localhost",       "collector.lan",
        "1.2.3.4:5",     "[2001:db8::1]",   "1.2.3",      "1.2.3.4.5",       "1.2.3.256",
        "1.2.3.4/32",    "01.2.3.4",        " 1.2.3.4",   "1.2.3.4 ",        "2001:db8::1/64",
        "2001:db8:::1",  "1:2:3:4:5:6:7",   "0x01020304", "16909060",        "1.2.3.4,5.6.7.8",
        "udp://1.2.3.4", "\xc3\xa9"};

    (void)state;
    for (size_t i = 0; i < COUNT(GOOD); i++) {
        make_stream(GOOD[i]);
        assert_accepted(GOOD[i]);
    }
    for (size_t i = 0; i < COUNT(BAD); i++) {
        make_stream(BAD[i]);
        assert_refused(BAD[i], ERROR_BAD_VALUE, "streamaddress",
                       "it takes the IPv4 or IPv6 address of one host");
    }
}

static void a_stream_writes_no_file(void **state)
{
    (void)state;
    for (int format = CAPFORMAT_PCAP; format <= CAPFORMAT_PCAPNG; format++) {
        make_stream("192.0.2.1");
        request.capformat = (enum capformat)format;
        assert_refused("capformat", ERROR_CONFLICT, "capformat", "capmode STREAM writes no file");
    }
    make_stream("192.0.2.1");
    request.capfilesize = 1;
    assert_refused("capfilesize", ERROR_CONFLICT, "capfilesize", "capmode STREAM writes no file");
    make_stream("192.0.2.1");
    request.capfilecount = 1;
    assert_refused("capfilecount", ERROR_CONFLICT, "capfilecount", "capmode STREAM writes no file");
    make_stream("192.0.2.1");
    request.capfilesize = request.capfilecount = 0;
    assert_accepted("zeros, which mean not set");
}

/* STANDALONE, said or not. */
static void a_file_goes_nowhere(void **state)
{
    static const enum capmode MODES[] = {0, CAPMODE_STANDALONE};

    (void)state;
    for (size_t i = 0; i < COUNT(MODES); i++) {
        make();
        request.capmode = MODES[i];
        snprintf(request.streamaddress, sizeof request.streamaddress, "192.0.2.1");
        assert_refused("streamaddress", ERROR_CONFLICT, "streamaddress", "it goes with capmode STREAM");
        make();
        request.capmode = MODES[i];
        request.streamport = 1;
        assert_refused("streamport", ERROR_CONFLICT, "streamport", "it goes with capmode STREAM");
        make();
        request.capmode = MODES[i];
        request.streamport = 0;
        assert_accepted("streamport 0, which means not set");
    }
}

static void what_does_not_go_together_is_told_at_once(void **state)
{
    static const char *const FIELDS[] = {"filtertype", "capformat", "capfilesize", "capfilecount",
                                         "streamaddress"};

    (void)state;
    make_stream("");
    request.filtertype = FILTERTYPE_POST;
    request.capformat = CAPFORMAT_PCAPNG;
    request.capfilesize = request.capfilecount = 7;
    assert_int_equal(check(), COUNT(FIELDS));
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        assert_true(errors_blame(&errors, FIELDS[i]));
}

/* Which of the two was meant is not known. */
static void fields_of_a_mode_beside_a_wrong_mode(void **state)
{
    (void)state;
    make();
    snprintf(request.streamaddress, sizeof request.streamaddress, "192.0.2.1");
    request.streamport = 9;
    request.capformat = CAPFORMAT_PCAPNG;
    errors_add(&errors, ERROR_BAD_VALUE, "capmode", "from decoding");
    assert_accepted("a wrong capmode");
}

/* ---- files ---- */

static void a_ring_needs_the_size_of_its_files(void **state)
{
    static const int32_t NONE[] = {INT_ABSENT, 0};

    (void)state;
    for (size_t i = 0; i < COUNT(NONE); i++) {
        make();
        request.capfilecount = 1;
        request.capfilesize = NONE[i];
        assert_refused("no capfilesize", ERROR_MISSING_FIELD, "capfilesize", "with capfilecount, the size");
        make();
        request.capfilecount = NONE[i];
        request.capfilesize = 1;
        assert_accepted("capfilesize alone");
    }
    make();
    request.capfilecount = request.capfilesize = 1;
    assert_accepted("a ring of one file");
    make();
    request.capfilecount = 2;
    errors_add(&errors, ERROR_OUT_OF_RANGE, "capfilesize", "from decoding");
    assert_accepted("a capfilesize that was blamed already");
}

/* A file that is full makes room for the next: only something else ends such a capture. */
static void a_ring_of_files_is_no_stop_condition(void **state)
{
    static const struct {
        int32_t duration, amount, filesize, filecount;
        struct limits wanted; /* seconds, packets, MB, bytes */
    } CASES[] = {
        {-1, -1, 5, -1, {86400, 0, 5, 262144}},      {-1, -1, 5, 0, {86400, 0, 5, 262144}},
        {-1, -1, 5, 1, {600, 0, 5, 262144}},         {0, 0, 5, 1000, {600, 0, 5, 262144}},
        {60, -1, 5, 3, {60, 0, 5, 262144}},          {-1, 10, 5, 3, {86400, 10, 5, 262144}},
        {-1, -1, 20000, 3, {600, 0, 10000, 262144}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(CASES); i++) {
        make();
        request.capduration = CASES[i].duration;
        request.capamount = CASES[i].amount;
        request.capfilesize = CASES[i].filesize;
        request.capfilecount = CASES[i].filecount;
        struct limits is = effective_limits(&CONFIG, &ANYBODY.role.policy, &request),
                      wanted = CASES[i].wanted;
        if (memcmp(&is, &wanted, sizeof is) != 0)
            fail_msg("case %zu: %lld s, %lld packets, %lld MB, %lld bytes", i, (long long)is.duration_s,
                     (long long)is.packets, (long long)is.file_size_mb, (long long)is.snaplen);
    }
}

/* A rate, a CPU, a snaplen end nothing either. */
static void what_else_is_no_stop_condition(void **state)
{
    (void)state;
    make_stream("192.0.2.1");
    request.caprate = 5;
    request.capcore = 0;
    request.capsnaplen = 64;
    request.captureself = 1;
    assert_int_equal(effective_limits(&CONFIG, &ANYBODY.role.policy, &request).duration_s,
                     CONFIG.default_duration);
}

/* ---- CPUs ---- */

/* As if this process lived on one CPU: a container's share. */
static void capcore_is_a_cpu_to_capture_on(void **state)
{
    cpu_set_t before, one;
    int only = 0;
    char says[64];

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    while (!CPU_ISSET((size_t)only, &before))
        only++;
    CPU_ZERO(&one);
    CPU_SET((size_t)only, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    snprintf(says, sizeof says, "1 CPUs to capture on, the last is number %d", only);
    const int32_t others[] = {only + 1, only - 1, CPU_SETSIZE - 1, CPU_SETSIZE, INT32_MAX};
    for (size_t i = 0; i < COUNT(others); i++) {
        if (others[i] < 0)
            continue;
        make();
        request.capcore = others[i];
        assert_refused("another CPU", ERROR_OUT_OF_RANGE, "capcore", says);
    }
    make();
    request.capcore = only;
    assert_accepted("the only CPU");
    assert_int_equal(sched_setaffinity(0, sizeof before, &before), 0);
    make();
    request.capcore = INT_ABSENT;
    assert_accepted("no capcore");
    for (int core = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET((size_t)core, &before)) {
            make();
            request.capcore = core;
            assert_accepted("a CPU of this process");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filtertype_goes_with_dvfilter),
        cmocka_unit_test(filtertype_beside_a_wrong_point),
        cmocka_unit_test(a_stream_needs_an_address),
        cmocka_unit_test(a_stream_goes_to_one_host),
        cmocka_unit_test(a_stream_writes_no_file),
        cmocka_unit_test(a_file_goes_nowhere),
        cmocka_unit_test(what_does_not_go_together_is_told_at_once),
        cmocka_unit_test(fields_of_a_mode_beside_a_wrong_mode),
        cmocka_unit_test(a_ring_needs_the_size_of_its_files),
        cmocka_unit_test(a_ring_of_files_is_no_stop_condition),
        cmocka_unit_test(what_else_is_no_stop_condition),
        cmocka_unit_test(capcore_is_a_cpu_to_capture_on),
    };

    return cmocka_run_group_tests_name("validate", tests, NULL, NULL);
}
