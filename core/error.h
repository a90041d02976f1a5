/*
 * What can go wrong, in the words of the API.
 *
 * A function that can fail returns an enum status (gRPC's canonical codes) and describes the
 * failure in a struct error: a stable number that clients may test, the field that is to blame
 * and a sentence that says what was wrong and what would be right. Out parameters are set only
 * on STATUS_OK.
 */
#ifndef PKTCAPD_CORE_ERROR_H
#define PKTCAPD_CORE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_USE                 __attribute__((warn_unused_result))
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))

enum status {
    STATUS_OK,
    STATUS_INVALID_ARGUMENT,
    STATUS_UNAUTHENTICATED,
    STATUS_PERMISSION_DENIED,
    STATUS_NOT_FOUND,
    STATUS_FAILED_PRECONDITION,
    STATUS_RESOURCE_EXHAUSTED,
    STATUS_RATE_LIMITED,
    STATUS_UNAVAILABLE,
    STATUS_INTERNAL,
};

/* ApiError.error_code: stable, never reused, listed in service/openapi.json. */
enum error_code {
    ERROR_MALFORMED_JSON = 36001,
    ERROR_UNKNOWN_FIELD = 36002,
    ERROR_MISSING_FIELD = 36003,
    ERROR_WRONG_TYPE = 36004,
    ERROR_OUT_OF_RANGE = 36005,
    ERROR_BAD_VALUE = 36006,
    ERROR_NOT_BUILT = 36007, /* no longer given: everything is built */
    ERROR_BAD_EXPRESSION = 36008,
    ERROR_WRONG_POINT = 36009,
    ERROR_UNKNOWN_INTERFACE = 36010,
    ERROR_UNKNOWN_PARAMETER = 36011,
    ERROR_BAD_PARAMETER = 36012,
    ERROR_BAD_REQUEST = 36013,
    ERROR_NO_SUCH_NETNS = 36014,
    ERROR_CONFLICT = 36015, /* fields that do not go together */
    ERROR_NO_SUCH_SESSION = 36100,
    ERROR_NO_SUCH_NODE = 36101,
    ERROR_NO_SUCH_FILE = 36102,
    ERROR_NO_SUCH_PATH = 36103,
    ERROR_METHOD_NOT_ALLOWED = 36104,
    ERROR_SESSION_RUNNING = 36200,
    ERROR_NO_PRIVILEGE = 36201, /* the worker lacks a capability that the request needs */
    ERROR_BODY_TOO_LARGE = 36300,
    ERROR_MEDIA_TYPE = 36301,
    ERROR_RANGE = 36302,
    ERROR_TOO_SLOW = 36303,
    ERROR_HEADER_TOO_LARGE = 36304,
    ERROR_STORE_BUSY = 36400,
    ERROR_STORE_FULL = 36401,
    ERROR_STORE_FAILED = 36402,
    ERROR_HOST = 36500,
    ERROR_INTERNAL = 36501,
    ERROR_TOO_BUSY = 36502,       /* of the HTTP server: try again */
    ERROR_NO_CREDENTIALS = 36600, /* none were given */
    ERROR_BAD_CREDENTIALS =
        36601, /* wrong, unknown, expired, revoked or disabled: which of these is not told */
    ERROR_TOO_MANY_ATTEMPTS = 36602, /* of wrong passwords */
    ERROR_CROSS_SITE = 36603,        /* no X-XSRF-TOKEN, or a web page of another origin */
    ERROR_FORBIDDEN = 36604,         /* the role does not allow this operation, or not on this session */
    ERROR_POLICY = 36605,            /* the role's policy does not allow this request */
    ERROR_QUOTA_SESSIONS = 36606,
    ERROR_QUOTA_STORED = 36607,
    ERROR_QUOTA_HOURLY = 36608,
    ERROR_NO_SUCH_USER = 36700,
    ERROR_NO_SUCH_ROLE = 36701,
    ERROR_NO_SUCH_TOKEN = 36702,
    ERROR_EXISTS = 36703,
    ERROR_LAST_ADMIN = 36704, /* nobody would be left who may do everything */
    ERROR_BUILT_IN = 36705,
    ERROR_ROLE_IN_USE = 36706,
};

struct error {
    enum status status;
    enum error_code code;
    char field[64];    /* JSON name of the field to blame, or empty; plain as the message is */
    char message[512]; /* one sentence; no double quotes, backslashes or line breaks */
    int retry_after_s; /* when the same may go well, set after error_set(); 0: not known */
};

/* Every wrong field of one request. Errors beyond the last slot are dropped: the client has enough to do. */
struct errors {
    size_t count;
    struct error items[32];
};

/* Fills *error and returns its status, so that a failing function ends with `return error_set(...)`.
 * Characters that API.md forbids in messages are replaced. field may be NULL. */
enum status error_set(struct error *error, enum error_code code, const char *field, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Appends one error to the list. */
void errors_add(struct errors *errors, enum error_code code, const char *field, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* Appends a copy of an error that some function filled; returns its status. */
enum status errors_add_error(struct errors *errors, const struct error *error);

/* Says of the error that was added last when the same may go well. */
void errors_retry_after(struct errors *errors, int seconds);

/* Whether some error of the list blames this field. */
bool errors_blame(const struct errors *errors, const char *field);

/* The status of an error code, from one table. */
enum status error_code_status(enum error_code code);

/* Whether every byte is part of a well-formed UTF-8 character (RFC 3629). */
bool text_is_utf8(const char *text);

/* Replaces what clients' shell scripts choke on (API.md: double quotes, backslashes, line breaks and other
 * control characters), and bytes that are no UTF-8, which would make JSON invalid (a text cut short may end
 * in half a character), in place. */
void text_make_plain(char *text);

#endif
