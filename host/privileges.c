#include "host/privileges.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

bool privileges_have(int capability)
{
    capng_get_caps_process();
    return capng_have_capability(CAPNG_EFFECTIVE, (unsigned)capability) != 0;
}

static bool may_change_user(void)
{
    return geteuid() == 0 && privileges_have(CAP_SETUID) && privileges_have(CAP_SETGID);
}

enum status identity_find(const char *user, struct identity *identity, struct error *error)
{
    static const char *const STANDARD[] = {"pktcapd", "nobody"};
    const struct passwd *entry = NULL;

    *identity = (struct identity){.uid = geteuid(), .gid = getegid()};
    if (!may_change_user() || strcmp(user, "root") == 0)
        return STATUS_OK;
    if (user[0] != '\0') {
        entry = getpwnam(user);
    } else {
        for (size_t i = 0; entry == NULL && i < sizeof STANDARD / sizeof STANDARD[0]; i++)
            entry = getpwnam(STANDARD[i]);
    }
    if (entry == NULL)
        return error_set(error, ERROR_HOST, "user",
                         "there is no user %s on this machine to run as; make it, or name "
                         "another with --user",
                         user[0] == '\0' ? "pktcapd or nobody" : user);
    snprintf(identity->name, sizeof identity->name, "%s", entry->pw_name);
    identity->uid = entry->pw_uid;
    identity->gid = entry->pw_gid;
    identity->change = identity->uid != geteuid();
    return STATUS_OK;
}

void identity_of(uid_t uid, gid_t gid, struct identity *identity)
{
    const struct passwd *entry = getpwuid(uid);

    *identity = (struct identity){.uid = uid, .gid = entry == NULL ? gid : entry->pw_gid};
    snprintf(identity->name, sizeof identity->name, "%s", entry == NULL ? "" : entry->pw_name);
    identity->change = uid != geteuid() && may_change_user();
}

/* A container may lack CAP_SYS_CHROOT: the user's own rights then guard the file system. */
static enum status confine(const char *directory, bool *confined, struct error *error)
{
    *confined = false;
    if (!privileges_have(CAP_SYS_CHROOT))
        return STATUS_OK;
    if (chroot(directory) != 0 || chdir("/") != 0)
        return error_set(error, ERROR_HOST, NULL, "cannot make %s the root directory: %s", directory,
                         strerror(errno));
    *confined = true;
    return STATUS_OK;
}

enum status privileges_keep(const struct identity *identity, const int *capabilities, size_t count,
                            struct error *error)
{
    unsigned have = 0; /* bits by place in the list */
    int failed;

    for (size_t i = 0; i < count; i++)
        have |= privileges_have(capabilities[i]) ? 1u << i : 0;
    bool may_bound = privileges_have(CAP_SETPCAP);
    capng_clear(CAPNG_SELECT_BOTH);
    for (size_t i = 0; i < count; i++)
        if (have & 1u << i)
            capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, (unsigned)capabilities[i]);
    if (identity->change)
        failed = capng_change_id((int)identity->uid, (int)identity->gid,
                                 CAPNG_DROP_SUPP_GRP | (may_bound ? CAPNG_CLEAR_BOUNDING : CAPNG_NO_FLAG));
    else
        failed = capng_apply(may_bound ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS);
    if (failed != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return error_set(error, ERROR_HOST, NULL, "cannot drop privileges: %s (step %d)", strerror(errno),
                         failed);
    return STATUS_OK;
}

enum status privileges_drop(const struct identity *identity, const char *directory, int capability,
                            bool *confined, struct error *error)
{
    enum status status = STATUS_OK;

    *confined = false;
    if (identity->change && (status = confine(directory, confined, error)) != STATUS_OK)
        return status;
    return privileges_keep(identity, &capability, capability == NO_CAPABILITY ? 0 : 1, error);
}

void privileges_conceal(void)
{
    const struct rlimit none = {0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

void environment_forget(const char *variable)
{
    char *value = getenv(variable);

    if (value == NULL)
        return;
    explicit_bzero(value, strlen(value));
    unsetenv(variable);
}
