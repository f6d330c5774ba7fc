// SPDX-License-Identifier: BSD-2-Clause
#include "base/units.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/macros.h"

#define NUMBER_MAX_LEN 64 /* no sensible number is longer */

struct unit {
	const char *name;
	double factor;
};

/* Reads the decimal number at *text and moves past it; by hand, since strtod follows the locale. */
static int parse_number(const char **text, double *ret_value)
{
	const char *p = *text;
	double value = 0, place = 1;
	int digits = 0;

	for (; isdigit((unsigned char)*p); p++, digits++)
		value = value * 10 + (*p - '0');
	if (*p == '.')
		for (p++; isdigit((unsigned char)*p); p++, digits++)
			value += (*p - '0') * (place /= 10);
	if (!digits || digits > NUMBER_MAX_LEN)
		return -EINVAL;
	if (*p == 'e' || *p == 'E') {
		const char *first = p + 1 + (p[1] == '-' || p[1] == '+');
		char *end;
		long exponent = strtol(p + 1, &end, 10);

		if (isdigit((unsigned char)*first) && labs(exponent) < 300) {
			value *= pow(10, exponent);
			p = end;
		}
	}
	*text = p;
	*ret_value = value;
	return 0;
}

static int parse_with_unit(const char *text, const struct unit *units, size_t n, uint64_t *ret_value)
{
	double value;
	int err = parse_number(&text, &value);

	if (err)
		return err;
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(text, units[i].name) != 0)
			continue;
		value *= units[i].factor;
		if (value >= 1.8e19)
			return -ERANGE;
		*ret_value = (uint64_t)(value + 0.5);
		return 0;
	}
	return -EINVAL;
}

int units_parse_duration(const char *text, uint64_t *ret_ns)
{
	static const struct unit units[] = {
		{ "", 1e9 },	 { "ns", 1 },	   { "us", 1e3 }, { "\xc2\xb5s", 1e3 },
		{ "ms", 1e6 },	 { "s", 1e9 },	   { "m", 60e9 }, { "min", 60e9 },
		{ "h", 3600e9 }, { "d", 86400e9 },
	};

	return parse_with_unit(text, units, ARRAY_SIZE(units), ret_ns);
}

int units_parse_size(const char *text, uint64_t *ret_bytes)
{
	static const struct unit units[] = {
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
	};

	return parse_with_unit(text, units, ARRAY_SIZE(units), ret_bytes);
}

int units_parse_u64(const char *text, uint64_t *ret_value)
{
	unsigned long long value;
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (*end)
		return -EINVAL;
	if (errno == ERANGE)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

int units_parse_double(const char *text, double *ret_value)
{
	double sign = 1, value;
	int err;

	if (*text == '-') {
		sign = -1;
		text++;
	}
	err = parse_number(&text, &value);
	if (err || *text)
		return -EINVAL;
	*ret_value = sign * value;
	return 0;
}

/* Three significant digits of value, without a trailing point. */
static char *format_scaled(double value, const char *suffix, char *text)
{
	int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
	char number[16], *p;

	snprintf(number, sizeof(number), "%.*f", decimals, value);
	p = strchr(number, ',');
	if (p)
		*p = '.'; /* whatever the locale says */
	snprintf(text, UNITS_TEXT_LEN, "%.15s%.6s", number, suffix);
	return text;
}

char *units_format_duration(uint64_t ns, char *text)
{
	uint64_t s = ns / NSEC_PER_SEC;

	if (!ns)
		snprintf(text, UNITS_TEXT_LEN, "0");
	else if (ns < NSEC_PER_USEC)
		snprintf(text, UNITS_TEXT_LEN, "%uns", (unsigned int)ns);
	else if (ns < 999500)
		return format_scaled(ns / 1e3, "\xc2\xb5s", text);
	else if (ns < 999500000)
		return format_scaled(ns / 1e6, "ms", text);
	else if (s < 60)
		return format_scaled(ns / 1e9, "s", text);
	else if (s < 3600)
		snprintf(text, UNITS_TEXT_LEN, "%um%02us", (unsigned int)(s / 60),
			 (unsigned int)(s % 60));
	else if (s < 86400)
		snprintf(text, UNITS_TEXT_LEN, "%uh%02um", (unsigned int)(s / 3600),
			 (unsigned int)(s / 60 % 60));
	else
		snprintf(text, UNITS_TEXT_LEN, "%ud%02uh", (unsigned int)(s / 86400),
			 (unsigned int)(s / 3600 % 24));
	return text;
}

static char *format_steps(uint64_t value, double step, const char *const *suffixes, size_t n,
			  char *text)
{
	double scaled = value;
	size_t i = 0;

	if (value < step) {
		snprintf(text, UNITS_TEXT_LEN, "%u", (unsigned int)value);
		return text;
	}
	while (scaled >= step && i < n) {
		scaled /= step;
		i++;
	}
	return format_scaled(scaled, suffixes[i - 1], text);
}

char *units_format_size(uint64_t bytes, char *text)
{
	static const char *const suffixes[] = { "K", "M", "G", "T", "P", "E" };

	return format_steps(bytes, 1024, suffixes, ARRAY_SIZE(suffixes), text);
}

char *units_format_count(uint64_t count, char *text)
{
	static const char *const suffixes[] = { "k", "M", "G", "T", "P", "E" };

	return format_steps(count, 1000, suffixes, ARRAY_SIZE(suffixes), text);
}
