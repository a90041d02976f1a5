#include "capture/filter_terms.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

size_t filter_option_count(const struct packet_capture_request *request)
{
    return request->option_count < OPTIONS_MAX ? request->option_count : OPTIONS_MAX;
}

bool filter_has_option(const struct packet_capture_request *request, enum option_name name)
{
    for (size_t i = 0; i < filter_option_count(request); i++)
        if (request->options[i].name == name)
            return true;
    return false;
}

static bool says_inner(const struct packet_capture_request *request, const char *truth)
{
    for (size_t i = 0; i < filter_option_count(request); i++)
        if (request->options[i].name == OPTION_INNER && strcmp(request->options[i].value, truth) == 0)
            return true;
    return false;
}

bool filter_is_inner(const struct packet_capture_request *request)
{
    return filter_has_option(request, OPTION_VNI) || says_inner(request, filter_option_true);
}

bool filter_contradicts_inner(const struct packet_capture_request *request)
{
    return filter_is_inner(request) && says_inner(request, filter_option_false);
}

void filter_terms_read(const struct packet_capture_request *request, enum option_name name,
                       struct filter_terms *terms, struct errors *errors)
{
    const struct filter_option *option = filter_option(name);

    terms->count = 0;
    for (size_t i = 0; i < filter_option_count(request); i++) {
        const char *value = request->options[i].value;
        if (request->options[i].name != name)
            continue;
        if (option->write_term(option, value, terms->text[terms->count]))
            terms->count++;
        else if (errors != NULL)
            errors_add(errors, ERROR_BAD_VALUE, "options", "option %s has the value %s; it takes %s",
                       names_of(&option_names, (int)name), value[0] == '\0' ? "(empty)" : value,
                       option->takes);
    }
}

/* One test on every value before the next test: then libpcap loads what it compares them with only once. */
void filter_terms_write(const struct filter_option *option, size_t depth, const struct filter_terms *terms,
                        char text[FILTER_TESTS_SIZE])
{
    size_t used = (size_t)snprintf(text, FILTER_TESTS_SIZE, "%s(", option->layer->depths[depth]);
    const char *separator = "";

    for (size_t test = 0; test < COUNT(option->tests) && option->tests[test] != NULL; test++) {
        if (option->layer->test_per_depth && test != depth)
            continue;
        for (size_t i = 0; i < terms->count; i++) {
            used += (size_t)snprintf(text + used, FILTER_TESTS_SIZE - used, "%s%s%s", separator,
                                     option->tests[test], terms->text[i]);
            separator = " or ";
        }
    }
    snprintf(text + used, FILTER_TESTS_SIZE - used, ")");
}
