/* The head of a request: the same however it comes in pieces, and what it yields keeps the header's word. */
#include "fuzz/fuzz.h"

#include "http/head.h"

enum { MAX = 4096 };

struct end {
    enum head_progress progress;
    size_t size;
    int status;
};

static struct end find(const uint8_t *data, size_t length, size_t step)
{
    struct head_problem problem = {0};
    struct end end = {.progress = HEAD_PART};
    size_t scanned = 0;

    for (size_t come = 0; come < length && end.progress == HEAD_PART;) {
        come = length - come < step ? length : come + step;
        char *buffer = copy_of(data, come);
        end.progress = head_find_end(buffer, come, MAX, &scanned, &end.size, &problem);
        must(scanned <= come);
        free(buffer);
    }
    end.status = problem.status;
    return end;
}

static void lies_in(const char *buffer, size_t size, const char *text)
{
    must(text >= buffer && text + strlen(text) < buffer + size);
}

static void check(const char *buffer, size_t size, const struct head *head)
{
    const struct http_request *request = &head->request;

    lies_in(buffer, size, request->method);
    lies_in(buffer, size, request->path);
    must(request->path[0] == '/' && strpbrk(request->path, "?# \t\r\n") == NULL);
    must(request->query[0] == '\0' || request->query >= buffer);
    must(request->header_count <= HTTP_HEADERS_MAX && (request->minor == 0 || request->minor == 1));
    for (size_t i = 0; i < request->header_count; i++) {
        lies_in(buffer, size, request->headers[i].value);
        must(strpbrk(request->headers[i].value, "\r\n") == NULL);
    }
    must(head->content_length >= 0 && !(head->chunked && head->content_length > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct end end = find(data, size, SIZE_MAX / 2), in_pieces = find(data, size, 1 + size / 7);
    struct head head;
    struct head_problem problem;

    if (end.progress == HEAD_WHOLE) {
        must(in_pieces.progress == HEAD_WHOLE && in_pieces.size == end.size && end.size <= MAX);
        char *buffer = copy_of(data, end.size);
        if (head_read(buffer, end.size, &head, &problem))
            check(buffer, end.size, &head);
        else
            must(problem.status >= 400 && problem.status <= 505 && problem.message[0] != '\0');
        free(buffer);
    } else {
        must(in_pieces.progress == end.progress);
        must(end.progress == HEAD_PART || (end.status >= 400 && end.status <= 431));
    }
    return 0;
}
