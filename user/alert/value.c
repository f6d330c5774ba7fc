// SPDX-License-Identifier: BSD-2-Clause
#include "alert/value.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

#define DIGITS_MAX 15 /* what a double surely keeps, so that a value read is the value written */
#define EXACT_MAX 1e15 /* whole numbers below are written exactly with as many digits */
#define EXPONENT_MAX 30 /* beyond any value of a 64-bit counter */
#define VALUE_MAX 1.8e19 /* just below 2^64: nothing counted is larger */

struct value_unit {
	const char *name;
	double factor;
};

/* Units from small to large; the first of equal factors is the one that is written. */
static const struct value_unit count_units[] = {
	{ "", 1 }, { "k", 1e3 }, { "K", 1e3 }, { "M", 1e6 }, { "G", 1e9 }, { NULL },
};
static const struct value_unit time_units[] = {
	{ "ns", 1 },  { "us", 1e3 }, { "\xc2\xb5s", 1e3 }, { "\xce\xbcs", 1e3 }, { "ms", 1e6 },
	{ "s", 1e9 }, { "m", 60e9 }, { "min", 60e9 },	   { "h", 3600e9 },	 { "d", 86400e9 },
	{ NULL },
};
static const struct value_unit size_units[] = {
	{ "", 1 },
	{ "B", 1 },
	{ "K", 1024 },
	{ "KB", 1024 },
	{ "KiB", 1024 },
	{ "M", 1048576 },
	{ "MB", 1048576 },
	{ "MiB", 1048576 },
	{ "G", 1073741824 },
	{ "GB", 1073741824 },
	{ "GiB", 1073741824 },
	{ "T", 1099511627776. },
	{ "TB", 1099511627776. },
	{ "TiB", 1099511627776. },
	{ NULL },
};
static const struct value_unit share_units[] = { { "", 1 }, { "%", 1 }, { NULL } };
static const struct value_unit flag_units[] = { { "", 1 }, { NULL } };

static const struct {
	const char *name;
	const struct value_unit *units;
	const char *examples;
} kinds[] = {
	[VALUE_COUNT] = { "a count", count_units, "100, 10k, 2M" },
	[VALUE_TIME] = { "a time", time_units, "20ms, 5s, 100us" },
	[VALUE_SIZE] = { "a size", size_units, "4096, 64K, 10M, 1G" },
	[VALUE_SHARE] = { "a percentage", share_units, "90, 90%, 0.5" },
	[VALUE_FLAG] = { "true or false", flag_units, "true, false" },
};

enum value_kind value_kind_of(const struct metric *m, enum dist_part part)
{
	static const enum value_kind of_unit[] = {
		[UNIT_NONE] = VALUE_COUNT,
		[UNIT_NS] = VALUE_TIME,
		[UNIT_BYTES] = VALUE_SIZE,
		[UNIT_PCT] = VALUE_SHARE,
	};

	if (m->type == METRIC_BOOL)
		return VALUE_FLAG;
	if (m->type == METRIC_DIST && part == PART_COUNT)
		return VALUE_COUNT;
	return of_unit[m->unit];
}

static int PRINTF_LIKE(3, 4) refuse(struct value_error *error, size_t at, const char *fmt, ...)
{
	va_list ap;

	error->at = at;
	va_start(ap, fmt);
	vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/* A decimal number as digits and a power of ten, so that it becomes a double with one rounding. */
struct number {
	uint64_t digits;
	int n_digits, exponent;
};

static size_t read_digits(const char *text, size_t len, struct number *number)
{
	size_t i = 0;

	for (; i < len && isdigit((unsigned char)text[i]); i++) {
		if (number->n_digits < DIGITS_MAX)
			number->digits = number->digits * 10 + (text[i] - '0');
		number->n_digits++;
	}
	return i;
}

/* Reads "12", "1.5", ".5", "1e3"; returns the bytes used, 0 when it is no number. */
static size_t read_number(const char *text, size_t len, struct number *ret_number)
{
	struct number number = { 0 };
	size_t i = read_digits(text, len, &number), sign;
	int exponent = 0;

	if (i < len && text[i] == '.') {
		size_t places = read_digits(text + i + 1, len - i - 1, &number);

		number.exponent = -(int)places;
		i += 1 + places;
	}
	if (!number.n_digits)
		return 0;
	*ret_number = number;
	/* An exponent only with digits after it: "1e" is a number and a wrong unit. */
	if (i >= len || (text[i] != 'e' && text[i] != 'E'))
		return i;
	sign = i + 1 < len && (text[i + 1] == '-' || text[i + 1] == '+');
	if (i + 1 + sign >= len || !isdigit((unsigned char)text[i + 1 + sign]))
		return i;
	sign += i + 1;
	for (; sign < len && isdigit((unsigned char)text[sign]); sign++)
		exponent = MIN(exponent * 10 + (text[sign] - '0'), EXPONENT_MAX + 1);
	if (text[i + 1] == '-')
		exponent = -exponent;
	ret_number->exponent += exponent;
	return sign;
}

static double number_value(const struct number *number, double factor)
{
	double value = (double)number->digits * factor;

	return number->exponent < 0 ? value / pow(10, -number->exponent) :
				      value * pow(10, number->exponent);
}

static const struct value_unit *find_unit(enum value_kind kind, const char *text, size_t len)
{
	for (const struct value_unit *u = kinds[kind].units; u->name; u++)
		if (strlen(u->name) == len && memcmp(text, u->name, len) == 0)
			return u;
	return NULL;
}

static bool read_flag(const char *text, size_t len, double *ret_value)
{
	*ret_value = len == 4 && memcmp(text, "true", 4) == 0;
	return *ret_value != 0 || (len == 5 && memcmp(text, "false", 5) == 0);
}

int value_parse(const char *text, size_t len, enum value_kind kind, bool is_signed,
		double *ret_value, struct value_error *ret_error)
{
	bool negative = len && *text == '-';
	const struct value_unit *unit;
	struct number number;
	double value;
	size_t used;

	if (kind == VALUE_FLAG && read_flag(text, len, ret_value))
		return 0;
	if (negative && !is_signed)
		return refuse(ret_error, 0, "it is never negative");
	used = read_number(text + negative, len - negative, &number);
	if (!used)
		return refuse(ret_error, 0, "expected %s such as %s", kinds[kind].name,
			      kinds[kind].examples);
	used += negative;
	if (number.n_digits > DIGITS_MAX)
		return refuse(ret_error, 0, "more than %d digits", DIGITS_MAX);
	unit = find_unit(kind, text + used, len - used);
	if (!unit && used == len && number.digits)
		return refuse(ret_error, used, "%s needs its unit, such as %s", kinds[kind].name,
			      kinds[kind].examples);
	if (!unit && used < len)
		return refuse(ret_error, used, "\"%.*s\" does not fit: this is %s, such as %s",
			      (int)MIN(len - used, 16), text + used, kinds[kind].name,
			      kinds[kind].examples);
	value = number_value(&number, unit ? unit->factor : 1);
	if (value >= VALUE_MAX)
		return refuse(ret_error, 0, "too large for any metric");
	if (kind == VALUE_FLAG && value != 0 && value != 1)
		return refuse(ret_error, 0, "expected true or false");
	*ret_value = negative ? -value : value;
	return 0;
}

/* "%.15g" with a decimal point whatever the locale; returns the value that this text has. */
static double format_number(double value, char *text)
{
	struct number number;
	char *comma;

	snprintf(text, VALUE_TEXT_LEN, "%.*g", DIGITS_MAX, value);
	comma = strchr(text, ',');
	if (comma)
		*comma = '.';
	return read_number(text, strlen(text), &number) ? number_value(&number, 1) : 0;
}

char *value_format(double value, enum value_kind kind, char *text)
{
	const struct value_unit *best = kinds[kind].units;
	char number[VALUE_TEXT_LEN];

	if (kind == VALUE_FLAG) {
		snprintf(text, VALUE_TEXT_LEN, "%s", value != 0 ? "true" : "false");
		return text;
	}
	/* The unit is chosen by the value that will be read back, so that writing that one gives the same text. */
	value = copysign(format_number(fabs(value), number), value);
	for (const struct value_unit *u = best; u->name; u++)
		if (u->factor > best->factor && fabs(value) >= u->factor &&
		    fmod(value, u->factor) == 0 && fabs(value) / u->factor < EXACT_MAX)
			best = u;
	format_number(fabs(value) / best->factor, number);
	snprintf(text, VALUE_TEXT_LEN, "%s%.30s%s", value < 0 ? "-" : "", number, best->name);
	return text;
}
