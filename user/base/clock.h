/* SPDX-License-Identifier: BSD-2-Clause */
/* clock.h - the clocks, in nanoseconds, and their written form. */
#ifndef MBTRACE_BASE_CLOCK_H
#define MBTRACE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define NSEC_PER_USEC 1000ull
#define NSEC_PER_MSEC 1000000ull
#define NSEC_PER_SEC 1000000000ull

uint64_t clock_monotonic_ns(void);
uint64_t clock_boottime_ns(void); /* as monotonic, but counts suspend */
uint64_t clock_realtime_ns(void);
uint64_t clock_process_cpu_ns(void); /* user and system time of this process */

#define CLOCK_TEXT_LEN sizeof("2026-01-01T00:00:00.000000000Z")

/* RFC 3339 in UTC with milliseconds; returns `text`, which has room for CLOCK_TEXT_LEN bytes. */
char *clock_format(uint64_t realtime_ns, char *text);
/* Reads what clock_format writes (any number of decimals, Z only); 0 or -EINVAL. */
int clock_parse(const char *text, uint64_t *ret_realtime_ns);

#endif
