#include "auth/audit.h"

#include "auth/access.h"
#include "auth/secrets.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/uuid.h"
#include "db/people.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KINDS = 1024,      /* of records that may repeat */
    SOURCES = 512,     /* users and addresses that were refused something */
    WINDOW_MS = 60000, /* in which a kind is written `burst` times, and a source has its refusals written */
    SWEEP_MS = 5000,   /* between looks for repetitions that are to be told */
    BURST = 20,        /* downloads and logins of one kind */
    REFUSALS = 60,     /* of one source */
    STRANGERS = 300,   /* refusals of all who were let in by nothing: addresses are cheap */
    SUMMARIES = 16,    /* at a time */
};

/* Records that are alike but for their time. */
struct kind {
    uint8_t hash[SECRET_HASH_SIZE];
    int64_t since_ms; /* monotonic; 0: an empty place */
    int written, more;
    struct audit_record last; /* of those that were not written */
};

struct source {
    uint8_t hash[SECRET_HASH_SIZE];
    int64_t since_ms;
    int written;
};

struct audit {
    pthread_mutex_t mutex;
    struct kind kinds[KINDS];
    struct source sources[SOURCES];
    struct source strangers; /* all of them together */
    int64_t swept_ms;
    size_t summary_count;
    struct audit_record summaries[SUMMARIES]; /* to be written by whoever comes next */
};

struct audit *audit_open(void)
{
    struct audit *audit = calloc(1, sizeof *audit);

    if (audit != NULL)
        pthread_mutex_init(&audit->mutex, NULL);
    return audit;
}

void audit_close(struct audit *audit)
{
    if (audit == NULL)
        return;
    pthread_mutex_destroy(&audit->mutex);
    free(audit);
}

/* ---- what repeats ---- */

static uint32_t hash_of(const char *text, uint8_t hash[SECRET_HASH_SIZE])
{
    uint32_t bits;

    secret_hash_keyed("audit", text, hash);
    memcpy(&bits, hash, sizeof bits);
    return bits;
}

/* Repetitions become a record of their own, if there is room for it now; else they wait. */
static void kind_tell(struct audit *audit, struct kind *kind)
{
    if (kind->more == 0 || audit->summary_count == SUMMARIES)
        return;
    struct audit_record *record = &audit->summaries[audit->summary_count++];
    *record = kind->last;
    char when[CLOCK_TEXT_SIZE];
    snprintf(record->detail, sizeof record->detail, "%d more of these, the last at %s", kind->more,
             clock_text(record->time_ms, when));
    record->time_ms = clock_now_ms(); /* the audit is in the order of time */
    kind->more = 0;
}

static struct kind *kind_find(struct audit *audit, const char *text)
{
    uint8_t hash[SECRET_HASH_SIZE];
    struct kind *kind = &audit->kinds[hash_of(text, hash) % KINDS];

    if (!secret_equals(kind->hash, hash)) {
        kind_tell(audit, kind);
        *kind = (struct kind){0};
        memcpy(kind->hash, hash, sizeof kind->hash);
    }
    return kind;
}

static void sweep(struct audit *audit, int64_t now_ms)
{
    if (now_ms - audit->swept_ms < SWEEP_MS)
        return;
    audit->swept_ms = now_ms;
    for (size_t i = 0; i < KINDS; i++)
        if (audit->kinds[i].more > 0 && now_ms - audit->kinds[i].since_ms >= WINDOW_MS)
            kind_tell(audit, &audit->kinds[i]);
}

static bool source_may(struct source *source, int most, int64_t now_ms)
{
    if (source->since_ms == 0 || now_ms - source->since_ms >= WINDOW_MS) {
        source->since_ms = now_ms;
        source->written = 0;
    }
    return source->written++ < most;
}

/* Whether one more refusal is written for whoever it is: users by name, strangers by address. */
static bool has_budget(struct audit *audit, const char *text, bool stranger, int64_t now_ms)
{
    uint8_t hash[SECRET_HASH_SIZE];
    struct source *source = &audit->sources[hash_of(text, hash) % SOURCES];

    if (!secret_equals(source->hash, hash)) {
        *source = (struct source){0};
        memcpy(source->hash, hash, sizeof source->hash);
    }
    return source_may(source, REFUSALS, now_ms) &&
           (!stranger || source_may(&audit->strangers, STRANGERS, now_ms));
}

static void kind_count(struct kind *kind, const struct audit_record *record, int64_t now_ms)
{
    if (kind->since_ms == 0)
        kind->since_ms = now_ms;
    kind->more++;
    kind->last = *record;
}

/* Whether this record is written; if not, it is counted. burst: how many of its kind in a window. */
static bool admit(struct audit *audit, const struct audit_record *record, int burst, int64_t now_ms)
{
    bool stranger = record->way == WAY_NONE, refused = record->status >= 400;
    char text[1024], source[128];

    snprintf(source, sizeof source, "%d|%s", stranger, stranger ? record->address : record->user);
    snprintf(text, sizeof text, "%s|%s|%s|%s|%s|%s|%d", source, record->user, record->address,
             record->operation, record->session, record->object, record->code);
    struct kind *kind = kind_find(audit, text);
    if (kind->since_ms != 0 && now_ms - kind->since_ms < WINDOW_MS) {
        if (kind->written++ < burst)
            return true;
        kind_count(kind, record, now_ms);
        return false;
    }
    if (refused && !has_budget(audit, source, stranger, now_ms)) {
        kind_count(kind_find(audit, source), record, now_ms);
        return false;
    }
    kind_tell(audit, kind);
    kind->since_ms = now_ms;
    kind->written = 1;
    return true;
}

static void record_log(const struct audit_record *record)
{
    log_info(
        "audit user=%s way=%s address=%s operation=%s session=%s object=%s status=%d code=%d detail='%s'",
        record->user[0] == '\0' ? "-" : record->user, names_of(&way_names, (int)record->way), record->address,
        record->operation, record->session[0] == '\0' ? "-" : record->session,
        record->object[0] == '\0' ? "-" : record->object, record->status, record->code, record->detail);
}

static void record_fill(const struct visit *visit, const struct act *act, struct audit_record *record)
{
    *record = (struct audit_record){
        .time_ms = clock_now_ms(), .way = visit->who->way, .status = act->status, .code = act->code};
    bool known = uuid_parse(act->session, record->session);
    snprintf(record->user, sizeof record->user, "%s", visit->who->user);
    snprintf(record->address, sizeof record->address, "%s", visit->client->address);
    snprintf(record->operation, sizeof record->operation, "%s",
             names_of(&operation_names, (int)act->operation));
    /* What is no id may be anything, and be as long as it likes. */
    snprintf(record->object, sizeof record->object, "%s",
             known || act->session[0] == '\0' ? act->object : act->session);
    snprintf(record->detail, sizeof record->detail, "%s", act->detail);
    text_make_plain(record->user);
    text_make_plain(record->object);
    text_make_plain(record->detail);
}

static void record_write(const struct visit *visit, const struct audit_record *record)
{
    struct error error;

    record_log(record);
    if (store_append_audit(visit->store, record, &error) != STATUS_OK)
        log_error("the audit could not be written: %s", error.message);
}

/* How many of a kind are written in a window; 0: all of them. */
static int burst_of(const struct act *act)
{
    if (act->status >= 400)
        return 1;
    if (act->operation == OPERATION_GET_CAPTURE_FILE || act->operation == OPERATION_LOGIN)
        return BURST;
    return access_changes(act->operation) ? 0 : 1;
}

void audit_note(const struct visit *visit, const struct act *act)
{
    bool matters = act->status >= 400 || act->foreign || access_changes(act->operation) ||
                   act->operation == OPERATION_GET_CAPTURE_FILE;
    struct audit *audit = visit->audit;
    struct audit_record record, told[SUMMARIES];
    int64_t now_ms = clock_monotonic_ms();
    int burst = burst_of(act);

    if (!matters || visit->store == NULL)
        return;
    record_fill(visit, act, &record);
    pthread_mutex_lock(&audit->mutex);
    sweep(audit, now_ms);
    bool written = burst == 0 || admit(audit, &record, burst, now_ms);
    size_t count = audit->summary_count;
    memcpy(told, audit->summaries, count * sizeof told[0]);
    audit->summary_count = 0;
    pthread_mutex_unlock(&audit->mutex);
    for (size_t i = 0; i < count; i++)
        record_write(visit, &told[i]);
    if (written)
        record_write(visit, &record);
}
