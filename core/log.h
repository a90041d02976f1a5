/*
 * The log: one line a message on standard error, time in UTC, the program's name in front.
 * The level is the only file-scope mutable state of the project.
 */
#ifndef PKTCAPD_CORE_LOG_H
#define PKTCAPD_CORE_LOG_H

#include "core/error.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* program stays the caller's; it must live as long as the process. */
void log_open(const char *program, enum log_level level);

void log_write(enum log_level level, const char *format, ...) PRINTF_LIKE(2, 3);

#define log_error(...)   log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_write(LOG_DEBUG, __VA_ARGS__)

#endif
