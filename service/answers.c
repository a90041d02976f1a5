/* Errors as answers: HTTP's statuses, and NSX's ApiError. */
#include "service/handlers.h"

#include "service/codec.h"

#include <stdlib.h>

static const struct {
    int status;
    const char *name; /* ApiError.httpStatus */
} HTTP[] = {
    {200, "OK"},
    {201, "CREATED"},
    {206, "PARTIAL_CONTENT"},
    {400, "BAD_REQUEST"},
    {401, "UNAUTHORIZED"},
    {403, "FORBIDDEN"},
    {404, "NOT_FOUND"},
    {405, "METHOD_NOT_ALLOWED"},
    {408, "REQUEST_TIMEOUT"},
    {412, "PRECONDITION_FAILED"},
    {413, "PAYLOAD_TOO_LARGE"},
    {414, "URI_TOO_LONG"},
    {415, "UNSUPPORTED_MEDIA_TYPE"},
    {416, "REQUESTED_RANGE_NOT_SATISFIABLE"},
    {429, "TOO_MANY_REQUESTS"},
    {431, "REQUEST_HEADER_FIELDS_TOO_LARGE"},
    {501, "NOT_IMPLEMENTED"},
    {503, "SERVICE_UNAVAILABLE"},
    {505, "HTTP_VERSION_NOT_SUPPORTED"},
    {500, "INTERNAL_SERVER_ERROR"}, /* the last serves for what is not here */
};

static size_t http_find(int status)
{
    size_t i = 0;

    while (i + 1 < sizeof HTTP / sizeof HTTP[0] && HTTP[i].status != status)
        i++;
    return i;
}

/* What HTTP has a status of its own for. */
static int code_http(enum error_code code)
{
    static const struct {
        enum error_code code;
        int status;
    } OWN[] = {{ERROR_METHOD_NOT_ALLOWED, 405},
               {ERROR_BODY_TOO_LARGE, 413},
               {ERROR_MEDIA_TYPE, 415},
               {ERROR_RANGE, 416}};

    for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++)
        if (OWN[i].code == code)
            return OWN[i].status;
    return 0;
}

static int status_http(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return 200;
    case STATUS_INVALID_ARGUMENT:
        return 400;
    case STATUS_UNAUTHENTICATED:
        return 401;
    case STATUS_PERMISSION_DENIED:
        return 403;
    case STATUS_NOT_FOUND:
        return 404;
    case STATUS_FAILED_PRECONDITION:
        return 412;
    case STATUS_RESOURCE_EXHAUSTED:
    case STATUS_UNAVAILABLE:
        return 503;
    case STATUS_RATE_LIMITED:
        return 429;
    case STATUS_INTERNAL:
        return 500;
    }
    return 500;
}

int errors_http(const struct errors *errors)
{
    const struct error *first = &errors->items[0];
    int own = code_http(first->code);

    return own != 0 ? own : status_http(first->status);
}

void answer_errors(struct answer *answer, const struct errors *errors)
{
    answer->status = errors_http(errors);
    answer->body = codec_encode_errors(errors, HTTP[http_find(answer->status)].name);
}

/* The error code of what the HTTP server refuses with this status. */
static enum error_code http_code(int status)
{
    switch (status) {
    case 408:
        return ERROR_TOO_SLOW;
    case 413:
        return ERROR_BODY_TOO_LARGE;
    case 414:
    case 431:
        return ERROR_HEADER_TOO_LARGE;
    case 503:
        return ERROR_TOO_BUSY;
    default:
        return ERROR_BAD_REQUEST;
    }
}

void answer_http_error(struct answer *answer, int status, const char *message)
{
    struct errors *errors = calloc(1, sizeof *errors);

    answer->status = status;
    if (errors == NULL)
        return;
    errors_add(errors, http_code(status), NULL, "%s", message);
    answer->body = codec_encode_errors(errors, HTTP[http_find(status)].name);
    free(errors);
}
