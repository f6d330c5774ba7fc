/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * units.h - numbers with units, read and written.
 *
 * Readers take the whole text, refuse trailing garbage, signs and overflow, and return 0, -EINVAL (not such a
 * number) or -ERANGE (too large). Writers fill a caller's buffer of UNITS_TEXT_LEN bytes and return it.
 */
#ifndef MBTRACE_BASE_UNITS_H
#define MBTRACE_BASE_UNITS_H

#include <stdint.h>

#define UNITS_TEXT_LEN 24

/* "500ms", "5s", "2m", "1h", "1.5s", "20us", "100ns"; a bare number is seconds. */
int units_parse_duration(const char *text, uint64_t *ret_ns);
/* "4096", "64K", "10M", "1G" (1024); "KiB", "KB" and "B" after the number are understood too. */
int units_parse_size(const char *text, uint64_t *ret_bytes);
int units_parse_u64(const char *text, uint64_t *ret_value);
int units_parse_double(const char *text,
		       double *ret_value); /* decimal point whatever the locale; -EINVAL for nan, inf */

/* Three significant digits: "1.23ms", "45.6µs", "0", "12.3s", "3m05s", "2h10m", "4d03h". */
char *units_format_duration(uint64_t ns, char *text);
/* "0", "512", "1.5K", "10.2M", "3.4G" (1024). */
char *units_format_size(uint64_t bytes, char *text);
/* "0", "999", "1.2k", "34.5M" (1000). */
char *units_format_count(uint64_t count, char *text);

#endif
