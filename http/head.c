#include "http/head.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool refuse(struct head_problem *problem, int status, const char *format, ...) PRINTF_LIKE(3, 4);

static bool refuse(struct head_problem *problem, int status, const char *format, ...)
{
    va_list arguments;

    problem->status = status;
    va_start(arguments, format);
    vsnprintf(problem->message, sizeof problem->message, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- characters: not ctype.h, which follows the locale and dislikes negative ones ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter_or_digit(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* RFC 9110, section 5.6.2. */
static bool is_token_char(char c)
{
    return is_letter_or_digit(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_token(const char *text)
{
    const char *at = text;

    while (is_token_char(*at))
        at++;
    return at > text && *at == '\0';
}

/* Control characters, but for the tab; bytes of other alphabets are none. */
static bool is_control(char c)
{
    return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f;
}

/* ---- the end of the head ---- */

/* Whether the byte at `at` may stand there; the byte behind a CR has to be there already. */
static bool byte_is_good(const char *buffer, size_t at, struct head_problem *problem)
{
    char c = buffer[at];

    if (c == '\n' && (at == 0 || buffer[at - 1] != '\r'))
        return refuse(problem, 400, "a line of the head ends with LF alone; it must end with CR LF");
    if (c == '\r' && buffer[at + 1] != '\n')
        return refuse(problem, 400, "the head holds a CR without LF");
    if (c != '\n' && c != '\r' && is_control(c))
        return refuse(problem, 400, "the head holds a control character; it is no HTTP request");
    return true;
}

static bool is_end(const char *buffer, size_t at)
{
    return at >= 3 && memcmp(buffer + at - 3, "\r\n\r\n", 4) == 0;
}

static bool length_is_good(const char *buffer, size_t length, size_t max, struct head_problem *problem)
{
    if (length > HEAD_LINE_MAX && memchr(buffer, '\n', HEAD_LINE_MAX) == NULL)
        return refuse(problem, 414, "the request line is longer than %d bytes", HEAD_LINE_MAX);
    if (length >= max)
        return refuse(problem, 431, "the head of the request is larger than %zu bytes", max);
    return true;
}

enum head_progress head_find_end(const char *buffer, size_t length, size_t max, size_t *scanned, size_t *size,
                                 struct head_problem *problem)
{
    size_t at = *scanned, most = length < max ? length : max;

    for (; at < most; at++) {
        if (buffer[at] == '\r' && at + 1 == length)
            break; /* to be judged with the byte behind it */
        if (!byte_is_good(buffer, at, problem))
            return HEAD_BROKEN;
        if (is_end(buffer, at)) {
            *size = at + 1;
            return HEAD_WHOLE;
        }
    }
    *scanned = at;
    return length_is_good(buffer, length, max, problem) ? HEAD_PART : HEAD_BROKEN;
}

/* ---- the request line ---- */

static bool version_read(const char *text, struct head *head, struct head_problem *problem)
{
    bool well_formed = strncmp(text, "HTTP/", 5) == 0 && is_digit(text[5]) && text[6] == '.' &&
                       is_digit(text[7]) && text[8] == '\0';

    if (!well_formed)
        return refuse(problem, 400, "the request line does not end with an HTTP version");
    if (text[5] != '1' || text[7] > '1')
        return refuse(problem, 505, "the HTTP version is %.8s; this server speaks HTTP/1.0 and HTTP/1.1",
                      text);
    head->request.minor = text[7] - '0';
    return true;
}

/* HOST or HOST:PORT: letters, digits, what names and addresses are made of; no user name, no path. */
static bool is_host(const char *text)
{
    for (; *text != '\0'; text++)
        if (!is_letter_or_digit(*text) && strchr("-._~%!$&'()*+,;=:[]", *text) == NULL)
            return false;
    return true;
}

/* "http://host/path": the host is taken out, and the text moved to the path. A target without a path means
 * "/", for which there is room as the scheme is gone. */
static bool absolute_read(char **text, struct head *head, struct head_problem *problem)
{
    char *host = *text + (strncasecmp(*text, "https://", 8) == 0 ? 8 : 7);
    size_t length = strcspn(host, "/?");

    memmove(*text, host, length);
    (*text)[length] = '\0';
    if (length == 0 || !is_host(*text))
        return refuse(problem, 400, "the target of the request names no host");
    head->host = *text;
    if (host[length] == '/') {
        *text = host + length;
    } else {
        host[length - 1] = '/';
        *text = host + length - 1;
    }
    return true;
}

static bool is_absolute(const char *text)
{
    return strncasecmp(text, "http://", 7) == 0 || strncasecmp(text, "https://", 8) == 0;
}

static bool target_read(char *text, struct head *head, struct head_problem *problem)
{
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char)*at <= ' ' || (unsigned char)*at >= 0x7f || *at == '#')
            return refuse(problem, 400, "the target of the request holds a character that must be encoded");
    if (is_absolute(text) && !absolute_read(&text, head, problem))
        return false;
    if (text[0] != '/')
        return refuse(problem, 400, "the target of the request is no path");
    char *question = strchr(text, '?');
    if (question != NULL) {
        *question = '\0';
        head->request.query = question + 1;
    }
    head->request.path = text;
    return true;
}

/* METHOD SP TARGET SP VERSION, with exactly these two spaces. */
static bool request_line_read(char *line, struct head *head, struct head_problem *problem)
{
    char *first = strchr(line, ' ');
    char *last = strrchr(line, ' ');

    if (first == NULL || first == last)
        return refuse(problem, 400, "the request line is not METHOD TARGET VERSION");
    *first = *last = '\0';
    if (!is_token(line))
        return refuse(problem, 400, "the request line does not begin with a method");
    head->request.method = line;
    return version_read(last + 1, head, problem) && target_read(first + 1, head, problem);
}

/* ---- headers ---- */

static bool header_line_read(char *line, struct head *head, struct head_problem *problem)
{
    char *colon = strchr(line, ':');

    if (line[0] == ' ' || line[0] == '\t')
        return refuse(problem, 400, "a header is folded over several lines");
    if (colon == NULL)
        return refuse(problem, 400, "a line of the head is no header: it has no colon");
    *colon = '\0';
    if (!is_token(line))
        return refuse(problem, 400, "a header has a name that is none, or a space before its colon");
    if (head->request.header_count == HTTP_HEADERS_MAX)
        return refuse(problem, 431, "the request has more than %d headers", HTTP_HEADERS_MAX);
    char *value = colon + 1 + strspn(colon + 1, " \t");
    size_t length = strlen(value);
    while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\t'))
        value[--length] = '\0';
    head->request.headers[head->request.header_count++] = (struct http_header){line, value};
    return true;
}

/* Those of which two programs might each take another one. */
static bool single_headers_check(const struct head *head, struct head_problem *problem)
{
    static const char *const SINGLE[] = {"Host",         "Content-Length", "Transfer-Encoding",
                                         "Content-Type", "Authorization",  "Origin",
                                         "X-XSRF-TOKEN"};

    for (size_t i = 0; i < sizeof SINGLE / sizeof SINGLE[0]; i++) {
        int count = 0;
        for (size_t j = 0; j < head->request.header_count; j++)
            count += strcasecmp(head->request.headers[j].name, SINGLE[i]) == 0;
        if (count > 1)
            return refuse(problem, 400, "the header %s is given more than once", SINGLE[i]);
    }
    return true;
}

/* An absolute target says better than the header which host is meant (RFC 9112, section 3.2.2). */
static void host_replace(struct head *head)
{
    struct http_request *request = &head->request;
    size_t i = 0;

    while (i < request->header_count && strcasecmp(request->headers[i].name, "Host") != 0)
        i++;
    if (i == HTTP_HEADERS_MAX)
        return;
    request->headers[i] = (struct http_header){"Host", head->host};
    if (i == request->header_count)
        request->header_count++;
}

static bool host_check(struct head *head, struct head_problem *problem)
{
    const char *host = http_header(&head->request, "Host");

    if (host == NULL && head->request.minor == 1)
        return refuse(problem, 400, "the header Host is missing");
    if (host != NULL && !is_host(host))
        return refuse(problem, 400, "the header Host holds no host");
    if (head->host != NULL)
        host_replace(head);
    return true;
}

/* Whether a header that is a list has this word, however often the header is given. */
static bool list_has(const struct head *head, const char *name, const char *word)
{
    for (size_t i = 0; i < head->request.header_count; i++) {
        if (strcasecmp(head->request.headers[i].name, name) != 0)
            continue;
        for (const char *at = head->request.headers[i].value; *at != '\0';) {
            at += strspn(at, ", \t");
            size_t length = strcspn(at, ", \t");
            if (length == strlen(word) && strncasecmp(at, word, length) == 0)
                return true;
            at += length;
        }
    }
    return false;
}

static bool length_read(const char *text, struct head *head, struct head_problem *problem)
{
    int64_t length = 0;

    for (const char *at = text; *at != '\0'; at++) {
        if (!is_digit(*at))
            return refuse(problem, 400, "the header Content-Length is no number");
        length = length > (INT64_MAX - 9) / 10 ? INT64_MAX : length * 10 + (*at - '0');
    }
    if (text[0] == '\0')
        return refuse(problem, 400, "the header Content-Length is empty");
    head->content_length = length;
    return true;
}

/* How long the body is (RFC 9112, section 6.3), where both ways of saying it would be one too many. */
static bool framing_read(struct head *head, struct head_problem *problem)
{
    const char *length = http_header(&head->request, "Content-Length");
    const char *coding = http_header(&head->request, "Transfer-Encoding");

    if (coding == NULL)
        return length == NULL || length_read(length, head, problem);
    if (length != NULL)
        return refuse(problem, 400, "the request has both Content-Length and Transfer-Encoding");
    if (head->request.minor == 0)
        return refuse(problem, 400, "HTTP/1.0 knows no Transfer-Encoding");
    if (strcasecmp(coding, "chunked") != 0)
        return refuse(problem, 501, "the only Transfer-Encoding that this server takes is chunked");
    head->chunked = true;
    return true;
}

static void connection_read(struct head *head)
{
    const char *expect = http_header(&head->request, "Expect");

    head->close = list_has(head, "Connection", "close") ||
                  (head->request.minor == 0 && !list_has(head, "Connection", "keep-alive"));
    head->expects_continue =
        head->request.minor == 1 && expect != NULL && strcasecmp(expect, "100-continue") == 0;
}

/* Cuts the line that begins at `at` off behind its text; returns where the next begins. */
static char *line_cut(char *at)
{
    char *end = strstr(at, "\r\n");

    *end = '\0';
    return end + 2;
}

bool head_read(char *buffer, size_t size, struct head *head, struct head_problem *problem)
{
    char *last = buffer + size - 2; /* the empty line */
    char *line = buffer;

    *head = (struct head){.request.query = ""};
    *last = '\0'; /* strings end here whatever follows */
    char *next = line_cut(line);
    if ((size_t)(next - line) > HEAD_LINE_MAX)
        return refuse(problem, 414, "the request line is longer than %d bytes", HEAD_LINE_MAX);
    if (!request_line_read(line, head, problem))
        return false;
    for (line = next; line < last; line = next) {
        next = line_cut(line);
        if (!header_line_read(line, head, problem))
            return false;
    }
    if (!single_headers_check(head, problem) || !host_check(head, problem) || !framing_read(head, problem))
        return false;
    connection_read(head);
    return true;
}
