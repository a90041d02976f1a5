/*
 * Who may do what: the one table of operations and roles, and the one function that decides. policy_...() say
 * where and how much a role may capture.
 */
#ifndef PKTCAPD_AUTH_ACCESS_H
#define PKTCAPD_AUTH_ACCESS_H

#include "auth/caller.h"
#include "auth/operation.h"
#include "core/error.h"
#include "core/request.h"
#include "db/people.h"

/* On which sessions a role may do something. */
enum reach {
    REACH_NONE,   /* not at all */
    REACH_PERSON, /* it is about no session: allowed */
    REACH_OWN,    /* own sessions */
    REACH_SEEN,   /* and those shared with them, and, with see_others, everybody's */
    REACH_FILES,  /* own, shared, and, with see_others and download_others, everybody's */
    REACH_ALL,    /* everybody's */
};

/* What people of a role kind reach with an operation. */
enum reach access_reach(enum operation operation, enum role_kind kind);

/* Whether it changes anything; so everything is taken for, but what only reads. */
bool access_changes(enum operation operation);

/* Whether this caller may do this operation. access is whose session it is about, NULL where it is about
 * none. ERROR_NO_SUCH_SESSION for what they may not even know of, ERROR_FORBIDDEN else. */
MUST_USE enum status access_check(const struct caller *who, enum operation operation, const char *session,
                                  const struct session_access *access, struct error *error);

/* What lists show and delete: everybody's sessions, or only those of the caller (and shared ones, for
 * showing). */
bool access_sees_all(const struct caller *who);
bool access_rules_all(const struct caller *who);

/* The names of this node. */
struct node_names {
    const char *id, *name;
};

/* Whether a policy's points take in this one. value is NETNS/IFNAME, IFNAME or any; cappoint 0 stands for
 * any. A pattern is one to three words, [[NODE] CAPPOINT] VALUE, each a glob(7) in which * stops at a slash;
 * * alone stands for everything. */
bool policy_takes_point(const struct policy *policy, const struct node_names *node, enum cappoint cappoint,
                        const char *value);

/* Whether the policy has no bounds as to where. */
bool policy_takes_every_point(const struct policy *policy);

/* Whether some pattern looks into this network namespace. */
bool policy_takes_netns(const struct policy *policy, const char *netns);

/* Whether a line may be a pattern; else *why says what is wrong. */
bool policy_pattern_is_valid(const char *line, const char **why);

/* Whether the policy lets streams go to this address. */
bool policy_takes_network(const struct policy *policy, const char *address);

/* Refuses what the request asks for beyond the policy: ERROR_POLICY, naming field, value and limit. point is
 * as in policy_takes_point(). */
void policy_check_request(const struct role *role, const struct packet_capture_request *request,
                          struct errors *errors);

#endif
