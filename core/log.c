#include "core/log.h"

#include "core/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static const char *log_program = "pktcapd";
static enum log_level log_threshold = LOG_INFO;

void log_open(const char *program, enum log_level level)
{
    log_program = program;
    log_threshold = level;
}

void log_write(enum log_level level, const char *format, ...)
{
    static const char *const LEVELS[] = {"ERROR", "WARNING", "INFO", "DEBUG"};
    char line[2048], when[CLOCK_TEXT_SIZE];
    va_list arguments;

    if (level > log_threshold)
        return;
    int used = snprintf(line, sizeof line, "%s %s %s[%d]: ", clock_text(clock_now_ms(), when), LEVELS[level],
                        log_program, (int)getpid());
    va_start(arguments, format);
    vsnprintf(line + used, sizeof line - (size_t)used - 1, format, arguments);
    va_end(arguments);
    /* What is logged may come from a request: one message must stay one line. */
    text_make_plain(line);
    fprintf(stderr, "%s\n", line);
}
