/*
 * pktcapd audit: the oldest record first, although the store hands them out from the newest on. So the places
 * where pages start are gathered first, and then the pages are read and turned round from the last one on: of
 * an audit of any size one page is in memory.
 */
#include "core/clock.h"
#include "service/console_parts.h"

#include <stdlib.h>

enum { PAGE = 4096 };

struct pages {
    size_t count, room;
    int64_t *places; /* struct audit_query's before_key of each page */
};

static bool page_add(struct pages *pages, int64_t place)
{
    if (pages->count == pages->room) {
        size_t room = pages->room == 0 ? 16 : pages->room * 2;
        int64_t *more = reallocarray(pages->places, room, sizeof *more);
        if (more == NULL)
            return false;
        pages->places = more;
        pages->room = room;
    }
    pages->places[pages->count++] = place;
    return true;
}

static enum status out_of_memory(struct console *console)
{
    struct error error;

    error_set(&error, ERROR_INTERNAL, NULL, "out of memory");
    return errors_add_error(&console->errors, &error);
}

struct page {
    size_t count;
    struct audit_record records[PAGE];
};

static void record_keep(void *visitor_context, const struct audit_record *record)
{
    struct page *page = visitor_context;

    if (page->count < PAGE)
        page->records[page->count++] = *record;
}

static enum status page_read(struct console *console, struct audit_query *query, int64_t place,
                             struct page *page, int64_t *next)
{
    int64_t total;

    page->count = 0;
    query->before_key = place;
    return op_list_audit(&console->context, query, record_keep, page, &total, next, &console->errors);
}

/* What comes on record meanwhile is left out: else it would push old records off the pages. */
static enum status pages_find(struct console *console, struct audit_query *query, struct page *page,
                              struct pages *pages)
{
    int64_t place = 0, next = 0;

    do {
        enum status status = page_read(console, query, place, page, &next);
        if (status != STATUS_OK)
            return status;
        if (place == 0 && page->count > 0)
            place = page->records[0].key + 1;
        if (page->count > 0 && !page_add(pages, place))
            return out_of_memory(console);
        place = next;
    } while (next != 0);
    return STATUS_OK;
}

static void record_print(const struct audit_record *record)
{
    console_column_time(record->time_ms, '\t');
    console_column(record->user, '\t');
    console_column(names_of(&way_names, (int)record->way), '\t');
    console_column(record->address, '\t');
    console_column(record->operation, '\t');
    console_column(record->session, '\t');
    console_column(record->object, '\t');
    printf("%d\t", (int)record->status);
    if (record->code == 0)
        fputs("-\t", stdout);
    else
        printf("%d\t", (int)record->code);
    console_column(record->detail, '\n');
}

static enum status pages_print(struct console *console, struct audit_query *query, struct page *page,
                               const struct pages *pages)
{
    enum status status = STATUS_OK;
    int64_t next;

    for (size_t i = pages->count; i-- > 0 && status == STATUS_OK;) {
        status = page_read(console, query, pages->places[i], page, &next);
        for (size_t j = page->count; j-- > 0 && status == STATUS_OK;)
            record_print(&page->records[j]);
    }
    return status;
}

static const char *flag_or_empty(const struct console *console, const char *flag)
{
    const char *value = console_flag(console->line, flag);

    return value == NULL ? "" : value;
}

enum status console_audit(struct console *console)
{
    const char *since = console_flag(console->line, "since");
    char session[UUID_SIZE] = "";
    struct pages pages = {0};
    struct page *page = malloc(sizeof *page);
    struct audit_query query = {.user = flag_or_empty(console, "user"),
                                .operation = flag_or_empty(console, "operation"),
                                .session = session,
                                .address = "",
                                .page_size = PAGE};

    (void)uuid_parse(flag_or_empty(console, "session"), session); /* in lower case, as it is on record */
    if (since != NULL)
        query.since_ms = clock_now_ms() - console_span_s(since) * MS_PER_S;
    enum status status = page == NULL ? out_of_memory(console) : pages_find(console, &query, page, &pages);
    if (status == STATUS_OK)
        status = pages_print(console, &query, page, &pages);
    free(pages.places);
    free(page);
    return status;
}
