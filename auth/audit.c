#include "auth/audit.h"

#include "auth/access.h"
#include "auth/secrets.h"
#include "core/clock.h"
#include "core/log.h"
#include "db/people.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KINDS = 2048,      /* of repetition that are remembered */
    WINDOW_MS = 60000, /* in which a kind is written once */
    REFUSALS_A_WINDOW =
        200, /* of all kinds together, so that a flood of made-up names cannot fill the disk */
};

struct repeated {
    uint8_t hash[SECRET_HASH_SIZE];
    int64_t since_ms; /* when it was last written */
    int more;         /* since then */
};

struct audit {
    pthread_mutex_t mutex;
    struct repeated kinds[KINDS];
    int64_t window_ms; /* start of the window that the next two speak of */
    int written;
    int unwritten;
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

static struct repeated *kind_find(struct audit *audit, const struct audit_record *record)
{
    char text[512];
    uint8_t hash[SECRET_HASH_SIZE];
    uint32_t bits;

    snprintf(text, sizeof text, "%s|%s|%s|%s|%d", record->user, record->address, record->operation,
             record->session, record->code);
    secret_hash_keyed("audit", text, hash);
    memcpy(&bits, hash, sizeof bits);
    struct repeated *kind = &audit->kinds[bits % KINDS];
    if (!secret_equals(kind->hash, hash)) {
        *kind = (struct repeated){0};
        memcpy(kind->hash, hash, sizeof kind->hash);
    }
    return kind;
}

static bool within_flood(struct audit *audit, int64_t now_ms, char *detail, size_t size)
{
    if (now_ms - audit->window_ms >= WINDOW_MS) {
        if (audit->unwritten > 0)
            snprintf(detail, size, "%d other refusals before this were not written one by one",
                     audit->unwritten);
        audit->window_ms = now_ms;
        audit->written = audit->unwritten = 0;
    }
    if (audit->written >= REFUSALS_A_WINDOW) {
        audit->unwritten++;
        return false;
    }
    audit->written++;
    return true;
}

/* Whether a record of something that repeats is to be written; how often it did so before goes into its
 * detail. */
static bool is_news(struct audit *audit, struct audit_record *record, int64_t now_ms)
{
    char more[128] = "";

    pthread_mutex_lock(&audit->mutex);
    struct repeated *kind = kind_find(audit, record);
    bool news = kind->since_ms == 0 || now_ms - kind->since_ms >= WINDOW_MS;
    if (!news)
        kind->more++;
    else if ((news = within_flood(audit, now_ms, more, sizeof more))) {
        if (kind->more > 0)
            snprintf(more, sizeof more, "%d more of these since the last record of them", kind->more);
        kind->since_ms = now_ms;
        kind->more = 0;
    }
    pthread_mutex_unlock(&audit->mutex);
    if (more[0] != '\0') {
        size_t used = strlen(record->detail);
        snprintf(record->detail + used, sizeof record->detail - used, "%s%s", used == 0 ? "" : "; ", more);
    }
    return news;
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
    snprintf(record->user, sizeof record->user, "%s", visit->who->user);
    snprintf(record->address, sizeof record->address, "%s", visit->client->address);
    snprintf(record->operation, sizeof record->operation, "%s",
             names_of(&operation_names, (int)act->operation));
    snprintf(record->session, sizeof record->session, "%s", act->session);
    snprintf(record->object, sizeof record->object, "%s", act->object);
    snprintf(record->detail, sizeof record->detail, "%s", act->detail);
    text_make_plain(record->user);
    text_make_plain(record->object);
    text_make_plain(record->detail);
}

void audit_note(const struct visit *visit, const struct act *act)
{
    bool done = act->status < 400;
    bool matters = access_changes(act->operation) || act->operation == OPERATION_GET_CAPTURE_FILE;
    bool repeats = !done || !matters;
    struct audit_record record;
    struct error error;

    if ((done && !matters && !act->foreign) || visit->store == NULL)
        return;
    record_fill(visit, act, &record);
    if (repeats && !is_news(visit->audit, &record, clock_monotonic_ms()))
        return;
    record_log(&record);
    if (store_append_audit(visit->store, &record, &error) != STATUS_OK)
        log_error("the audit could not be written: %s", error.message);
}
