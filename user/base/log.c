// SPDX-License-Identifier: BSD-2-Clause
#include "base/log.h"

#include <stdarg.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

static const char *const level_names[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARNING] = "warning",
	[LOG_ERROR] = "error",
};

const char *log_level_name(enum log_level level)
{
	return level_names[level];
}

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret_level = i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_write(const struct log *log, enum log_level level, const char *component, const char *fmt,
	       ...)
{
	cleanup_buf struct buf line = BUF_INIT, message = BUF_INIT;
	va_list ap;

	if (level < log->level)
		return;
	va_start(ap, fmt);
	buf_vprintf(&message, fmt, ap);
	va_end(ap);
	if (log->json) {
		struct json j = JSON_INIT(&line);
		char time[CLOCK_TEXT_LEN];

		json_object(&j, NULL);
		json_str(&j, "time", clock_format(clock_realtime_ns(), time));
		json_str(&j, "level", level_names[level]);
		json_str(&j, "component", component);
		if (log->run_id)
			json_str(&j, "run_id", log->run_id);
		json_str(&j, "message", buf_str(&message));
		json_end(&j);
	} else if (level == LOG_INFO) {
		buf_printf(&line, "mbtrace: %s", buf_str(&message));
	} else {
		buf_printf(&line, "mbtrace: %s: %s", level_names[level], buf_str(&message));
	}
	buf_addc(&line, '\n');
	if (!line.failed && write(log->fd, line.data, line.len) < 0)
		return; /* nowhere left to report it */
}
