/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * log.h - messages for people and for log collectors, on standard error.
 *
 * A logger is passed, never global. Text form: "mbtrace: warning: message"; JSON form: one object a line with
 * `time`, `level`, `component` and `message`. One write(2) a message, so messages of several threads don't mix.
 * Libraries (everything below agent/) never log: they return errors.
 */
#ifndef MBTRACE_BASE_LOG_H
#define MBTRACE_BASE_LOG_H

#include <stdbool.h>

#include "base/macros.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR };

struct log {
	int fd; /* where to; not owned */
	enum log_level level; /* messages below are dropped */
	bool json;
	const char *run_id; /* correlates the lines of one run in JSON; may be NULL */
};

/* A level's name, and back: 0 or -EINVAL. */
const char *log_level_name(enum log_level level);
int log_level_parse(const char *name, enum log_level *ret_level);

void log_write(const struct log *log, enum log_level level, const char *component, const char *fmt,
	       ...) PRINTF_LIKE(4, 5);

#define log_debug(log, component, ...) log_write(log, LOG_DEBUG, component, __VA_ARGS__)
#define log_info(log, component, ...) log_write(log, LOG_INFO, component, __VA_ARGS__)
#define log_warning(log, component, ...) log_write(log, LOG_WARNING, component, __VA_ARGS__)
#define log_error(log, component, ...) log_write(log, LOG_ERROR, component, __VA_ARGS__)

#endif
