// SPDX-License-Identifier: BSD-2-Clause
#include "base/clock.h"

#include <ctype.h>
#include <string.h>

#include "base/macros.h"

static uint64_t read_clock(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts); /* cannot fail for the clocks below */
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t clock_boottime_ns(void)
{
	return read_clock(CLOCK_BOOTTIME);
}

uint64_t clock_realtime_ns(void)
{
	return read_clock(CLOCK_REALTIME);
}

uint64_t clock_process_cpu_ns(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

char *clock_format(uint64_t realtime_ns, char *text)
{
	time_t seconds = realtime_ns / NSEC_PER_SEC;
	unsigned int ms = realtime_ns % NSEC_PER_SEC / NSEC_PER_MSEC;
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(text, CLOCK_TEXT_LEN, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		 (tm.tm_year + 1900u) % 10000, (tm.tm_mon + 1u) % 100,
		 (unsigned int)tm.tm_mday % 100, (unsigned int)tm.tm_hour % 100,
		 (unsigned int)tm.tm_min % 100, (unsigned int)tm.tm_sec % 100, ms);
	return text;
}

int clock_parse(const char *text, uint64_t *ret_realtime_ns)
{
	char again[CLOCK_TEXT_LEN];
	struct tm tm = { 0 };
	uint64_t fraction = 0, unit = NSEC_PER_SEC / 10;
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	time_t seconds;

	if (!p)
		return -EINVAL;
	if (*p == '.') {
		if (!isdigit((unsigned char)*++p))
			return -EINVAL;
		for (; isdigit((unsigned char)*p); p++, unit /= 10)
			fraction += (*p - '0') * unit;
	}
	seconds = timegm(&tm);
	if (*p != 'Z' || p[1] || seconds < 0 || (uint64_t)seconds >= UINT64_MAX / NSEC_PER_SEC)
		return -EINVAL;
	/* strptime lets blanks and a 31st of February pass: written again it must be the same. */
	clock_format((uint64_t)seconds * NSEC_PER_SEC, again);
	if (strncmp(text, again, strlen("2026-01-01T00:00:00")) != 0)
		return -EINVAL;
	*ret_realtime_ns = (uint64_t)seconds * NSEC_PER_SEC + fraction;
	return 0;
}
