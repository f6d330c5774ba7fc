/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * value.h - the values of rules: a number with a unit that fits the metric it is held against.
 *
 * Stricter than base/units.h on purpose: "10M" against a time is not ten minutes but a mistake, and a bare number
 * against a time is one too, since JSON shows nanoseconds where the command line means seconds.
 *
 *	times	20ms 5s 1.5us 2m 1h 3d	(a bare 0 is fine)
 *	sizes	4096 64K 10M 1.5G	(1024; KB, KiB and B are understood)
 *	shares	90 90% 0.5
 *	counts	100 10k 2M		(1000)
 *	flags	true false 1 0
 */
#ifndef MBTRACE_ALERT_VALUE_H
#define MBTRACE_ALERT_VALUE_H

#include <stdbool.h>
#include <stddef.h>

#include "metric/table.h"

#define VALUE_TEXT_LEN 40

enum value_kind { VALUE_COUNT, VALUE_TIME, VALUE_SIZE, VALUE_SHARE, VALUE_FLAG };

/* What kind of value a metric, or a part of a distribution, has. */
enum value_kind value_kind_of(const struct metric *m, enum dist_part part);

/* What is wrong with a value. */
struct value_error {
	size_t at; /* offset of the first wrong byte */
	char message[120];
};

/*
 * Reads exactly `len` bytes; the value is in the metric's own unit. A minus sign is allowed where `is_signed`.
 * 0, or -EINVAL with *ret_error filled.
 */
int value_parse(const char *text, size_t len, enum value_kind kind, bool is_signed,
		double *ret_value, struct value_error *ret_error);

/* Writes a value so that value_parse() reads the same; returns `text`, which has VALUE_TEXT_LEN bytes. */
char *value_format(double value, enum value_kind kind, char *text);

#endif
