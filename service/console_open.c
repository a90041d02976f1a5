/* Where the console works, and as whom: see console_parts.h. */
#include "auth/audit.h"
#include "auth/secrets.h"
#include "host/settle.h"
#include "service/console_parts.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Who is at the console: behind sudo, whoever called it. */
static void person_find(char out[PERSON_NAME_SIZE])
{
    const char *sudo = getenv("SUDO_USER");
    char login[PERSON_NAME_SIZE];
    const struct passwd *entry;

    if (sudo != NULL && sudo[0] != '\0')
        snprintf(out, PERSON_NAME_SIZE, "%s", sudo);
    else if (getlogin_r(login, sizeof login) == 0)
        snprintf(out, PERSON_NAME_SIZE, "%s", login);
    else if ((entry = getpwuid(getuid())) != NULL)
        snprintf(out, PERSON_NAME_SIZE, "%s", entry->pw_name);
    else
        snprintf(out, PERSON_NAME_SIZE, "uid-%lu", (unsigned long)getuid());
    text_make_plain(out);
}

/* Whoever may open the database may do everything. */
static void caller_fill(struct caller *who)
{
    *who = (struct caller){
        .way = WAY_CONSOLE,
        .role = {.name = "admin", .kind = ROLE_ADMIN, .built_in = true, .policy = {.points = "*"}}};
    person_find(who->user);
}

static enum status store_find(struct console *console, struct error *error)
{
    char path[DATA_PATH_SIZE];

    return store_open(data_dir_path(&console->directory, "pktcapd.db", path), &console->context.store, error);
}

enum status console_open(struct console *console, struct error *error)
{
    caller_fill(&console->who); /* while the system's files are still in sight */
    console->service =
        (struct service){.config = &console->config, .directory = &console->directory, .audit = audit_open()};
    console->context =
        (struct context){.service = &console->service, .who = &console->who, .client = &console->client};
    if (console->service.audit == NULL)
        return error_set(error, ERROR_INTERNAL, NULL, "out of memory");
    if (!secrets_open())
        return error_set(error, ERROR_INTERNAL, NULL, "there is no randomness");
    enum status status =
        settle_as_owner(console->config.user, console->config.data_dir, &console->directory, error);
    return status == STATUS_OK ? store_find(console, error) : status;
}

void console_close(struct console *console)
{
    if (console->context.store != NULL)
        store_close(console->context.store);
    audit_close(console->service.audit);
}
