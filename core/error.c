#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Codes that are not named here blame the request: STATUS_INVALID_ARGUMENT. */
static const struct {
    enum error_code code;
    enum status status;
} STATUSES[] = {
    {ERROR_NO_SUCH_SESSION, STATUS_NOT_FOUND},
    {ERROR_NO_SUCH_NODE, STATUS_NOT_FOUND},
    {ERROR_NO_SUCH_FILE, STATUS_NOT_FOUND},
    {ERROR_NO_SUCH_PATH, STATUS_NOT_FOUND},
    {ERROR_SESSION_RUNNING, STATUS_FAILED_PRECONDITION},
    {ERROR_NO_PRIVILEGE, STATUS_FAILED_PRECONDITION},
    {ERROR_NO_CREDENTIALS, STATUS_UNAUTHENTICATED},
    {ERROR_BAD_CREDENTIALS, STATUS_PERMISSION_DENIED},
    {ERROR_TOO_MANY_ATTEMPTS, STATUS_RATE_LIMITED},
    {ERROR_CROSS_SITE, STATUS_PERMISSION_DENIED},
    {ERROR_FORBIDDEN, STATUS_PERMISSION_DENIED},
    {ERROR_POLICY, STATUS_PERMISSION_DENIED},
    {ERROR_QUOTA_SESSIONS, STATUS_RESOURCE_EXHAUSTED},
    {ERROR_QUOTA_STORED, STATUS_RESOURCE_EXHAUSTED},
    {ERROR_QUOTA_HOURLY, STATUS_RATE_LIMITED},
    {ERROR_NO_SUCH_USER, STATUS_NOT_FOUND},
    {ERROR_NO_SUCH_ROLE, STATUS_NOT_FOUND},
    {ERROR_NO_SUCH_TOKEN, STATUS_NOT_FOUND},
    {ERROR_EXISTS, STATUS_FAILED_PRECONDITION},
    {ERROR_LAST_ADMIN, STATUS_FAILED_PRECONDITION},
    {ERROR_BUILT_IN, STATUS_FAILED_PRECONDITION},
    {ERROR_ROLE_IN_USE, STATUS_FAILED_PRECONDITION},
    {ERROR_TOO_BUSY, STATUS_UNAVAILABLE},
    {ERROR_STORE_BUSY, STATUS_UNAVAILABLE},
    {ERROR_STORE_FULL, STATUS_RESOURCE_EXHAUSTED},
    {ERROR_STORE_FAILED, STATUS_INTERNAL},
    {ERROR_HOST, STATUS_INTERNAL},
    {ERROR_INTERNAL, STATUS_INTERNAL},
};

enum status error_code_status(enum error_code code)
{
    for (size_t i = 0; i < sizeof STATUSES / sizeof STATUSES[0]; i++)
        if (STATUSES[i].code == code)
            return STATUSES[i].status;
    return STATUS_INVALID_ARGUMENT;
}

/* Length in bytes of the character at c, 0 if it is none (Unicode, table 3-7: well-formed UTF-8). */
static size_t utf8_length(const unsigned char *c)
{
    static const struct {
        unsigned char first_least, first_most, second_least, second_most;
        size_t length;
    } FORMS[] = {
        {0x00, 0x7f, 0x00, 0xff, 1}, {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
        {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
        {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
    };
    size_t i = 0;

    while (i < sizeof FORMS / sizeof FORMS[0] && (c[0] < FORMS[i].first_least || c[0] > FORMS[i].first_most))
        i++;
    if (i == sizeof FORMS / sizeof FORMS[0])
        return 0;
    if (FORMS[i].length > 1 && (c[1] < FORMS[i].second_least || c[1] > FORMS[i].second_most))
        return 0;
    for (size_t at = 2; at < FORMS[i].length; at++)
        if ((c[at] & 0xc0) != 0x80)
            return 0;
    return FORMS[i].length;
}

bool text_is_utf8(const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t length;

    while (*c != '\0' && (length = utf8_length(c)) > 0)
        c += length;
    return *c == '\0';
}

void text_make_plain(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c != '\0';) {
        size_t length = utf8_length(c);
        if (length == 0)
            *c = '?';
        else if (*c == '"' || *c == '\\')
            *c = '\'';
        else if (*c < 0x20 || *c == 0x7f)
            *c = ' ';
        c += length == 0 ? 1 : length;
    }
}

PRINTF_LIKE(4, 0)
static void error_format(struct error *error, enum error_code code, const char *field, const char *format,
                         va_list arguments)
{
    error->status = error_code_status(code);
    error->code = code;
    error->retry_after_s = 0;
    snprintf(error->field, sizeof error->field, "%s", field == NULL ? "" : field);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    text_make_plain(error->field);
    text_make_plain(error->message);
}

enum status error_set(struct error *error, enum error_code code, const char *field, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    error_format(error, code, field, format, arguments);
    va_end(arguments);
    return error->status;
}

void errors_add(struct errors *errors, enum error_code code, const char *field, const char *format, ...)
{
    va_list arguments;

    if (errors->count == sizeof errors->items / sizeof errors->items[0])
        return;
    va_start(arguments, format);
    error_format(&errors->items[errors->count++], code, field, format, arguments);
    va_end(arguments);
}

enum status errors_add_error(struct errors *errors, const struct error *error)
{
    if (errors->count < sizeof errors->items / sizeof errors->items[0])
        errors->items[errors->count++] = *error;
    return error->status;
}

void errors_retry_after(struct errors *errors, int seconds)
{
    if (errors->count > 0)
        errors->items[errors->count - 1].retry_after_s = seconds;
}

bool errors_blame(const struct errors *errors, const char *field)
{
    for (size_t i = 0; i < errors->count; i++)
        if (strcmp(errors->items[i].field, field) == 0)
            return true;
    return false;
}
