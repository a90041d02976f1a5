/*
 * From a request to who asks: a trusted proxy's word, Authorization (Basic or Bearer), or the cookie of a
 * login.
 */
#ifndef PKTCAPD_AUTH_AUTHENTICATE_H
#define PKTCAPD_AUTH_AUTHENTICATE_H

#include "auth/caller.h"
#include "core/error.h"
#include "http/request.h"

/* What an answer to a failure needs besides the error. */
struct challenge {
    bool ask;          /* 401: WWW-Authenticate */
    int retry_after_s; /* 429; 0: none */
};

/* Finds out who asks. visit->store must be there, visit->client too. changing: the operation changes
 * something, and so needs what proves that no web page of somebody else's sent it. *who says who it claimed
 * to be where it fails. ERROR_NO_CREDENTIALS, ERROR_BAD_CREDENTIALS, ERROR_TOO_MANY_ATTEMPTS,
 * ERROR_CROSS_SITE, ERROR_FORBIDDEN for people without a role. */
MUST_USE enum status authenticate(const struct visit *visit, const struct http_request *request,
                                  bool changing, struct caller *who, struct challenge *challenge,
                                  struct error *error);

/* A login of NSX's kind: cookie and token, each shown once. */
struct login_secrets {
    char cookie[64]; /* JSESSIONID */
    char xsrf[64];   /* X-XSRF-TOKEN */
};

/* j_username and j_password of the request's body. */
MUST_USE enum status login_begin(const struct visit *visit, const struct http_request *request,
                                 struct caller *who, struct login_secrets *secrets,
                                 struct challenge *challenge, struct error *error);

/* Ends the login of the request's cookie, if it has one. */
MUST_USE enum status login_end(const struct visit *visit, const struct http_request *request,
                               struct error *error);

#endif
