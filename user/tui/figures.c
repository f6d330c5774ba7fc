// SPDX-License-Identifier: BSD-2-Clause
#include "tui/figures.h"

#include <math.h>

#include "base/clock.h"
#include "base/macros.h"

static char *unknown(char *text)
{
	snprintf(text, FIGURE_LEN, "-");
	return text;
}

/* Value a second; an interval of 0 is taken as a second, for a first sample may have none. */
static double per_second(uint64_t value, uint64_t interval_ns)
{
	return interval_ns ? value * (double)NSEC_PER_SEC / interval_ns : value;
}

char *figure_rate(uint64_t count, uint64_t interval_ns, char *text)
{
	double rate = per_second(count, interval_ns);

	if (count == METRIC_NULL)
		return unknown(text);
	if (count && rate < 0.05)
		snprintf(text, FIGURE_LEN, "<0.1");
	else if (count && rate < 9.95)
		snprintf(text, FIGURE_LEN, "%.1f", rate);
	else
		units_format_count(rate + 0.5, text);
	return text;
}

char *figure_size_rate(uint64_t bytes, uint64_t interval_ns, char *text)
{
	if (bytes == METRIC_NULL)
		return unknown(text);
	return units_format_size(per_second(bytes, interval_ns) + 0.5, text);
}

char *figure_size(uint64_t bytes, char *text)
{
	return bytes == METRIC_NULL ? unknown(text) : units_format_size(bytes, text);
}

char *figure_count(uint64_t count, char *text)
{
	return count == METRIC_NULL ? unknown(text) : units_format_count(count, text);
}

char *figure_pct(double pct, char *text)
{
	if (isnan(pct))
		return unknown(text);
	if (pct >= 999.5)
		snprintf(text, FIGURE_LEN, "%.0f", pct);
	else
		snprintf(text, FIGURE_LEN, "%.1f", pct);
	return text;
}

char *figure_share(uint64_t ns, uint64_t interval_ns, char *text)
{
	if (ns == METRIC_NULL || !interval_ns)
		return unknown(text);
	return figure_pct(100.0 * ns / interval_ns, text);
}

char *figure_time(const struct dist *d, enum dist_part part, char *text)
{
	uint64_t value = d->known && d->count ? dist_part_value(d, part) : DIST_UNKNOWN;

	return value == DIST_UNKNOWN ? unknown(text) : units_format_duration(value, text);
}

static char *figure_u64(const struct metric *m, uint64_t value, uint64_t interval_ns, char *text)
{
	bool adds_up = m->merge == MERGE_SUM;

	if (value == METRIC_NULL)
		return unknown(text);
	if (m->unit == UNIT_NS)
		return adds_up ? figure_share(value, interval_ns, text) :
				 units_format_duration(value, text);
	if (m->unit == UNIT_BYTES)
		return adds_up ? figure_size_rate(value, interval_ns, text) :
				 figure_size(value, text);
	if (adds_up)
		return figure_rate(value, interval_ns, text);
	if (m->merge == MERGE_LAST && value >= 100000) /* pids are never shortened */
		return figure_count(value, text);
	snprintf(text, FIGURE_LEN, "%llu", (unsigned long long)value);
	return text;
}

char *figure_metric(const struct metric *m, enum dist_part part, const void *row,
		    uint64_t interval_ns, char *text)
{
	double value;

	switch (m->type) {
	case METRIC_U64:
		return figure_u64(m, metric_u64(m, row), interval_ns, text);
	case METRIC_DIST:
		if (part == PART_COUNT)
			return metric_dist(m, row)->known ?
				       figure_rate(metric_dist(m, row)->count, interval_ns, text) :
				       unknown(text);
		return figure_time(metric_dist(m, row), part, text);
	default:
		if (!metric_value(m, row, part, &value))
			return unknown(text);
		return figure_pct(
			m->unit == UNIT_NS && interval_ns ? 100 * value / interval_ns : value, text);
	}
}
