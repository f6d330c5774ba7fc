// SPDX-License-Identifier: BSD-2-Clause
#include "export/members.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"

#define WHERE_LEN 96

int members_fail(struct members *m, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m->error, sizeof(m->error), fmt, ap);
	va_end(ap);
	return -EBADMSG;
}

int members_u64(struct members *m, const char *where, const json_t *value, uint64_t *ret_value)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return members_fail(m, "%s is not a whole number of 0 or more", where);
	*ret_value = json_integer_value(value);
	return 0;
}

int members_time(struct members *m, const char *where, const json_t *value, uint64_t *ret_realtime_ns)
{
	if (json_is_null(value)) {
		*ret_realtime_ns = 0;
		return 0;
	}
	if (!json_is_string(value) || clock_parse(json_string_value(value), ret_realtime_ns))
		return members_fail(m, "%s is not a time as 2026-01-31T12:00:00.000Z", where);
	return 0;
}

int members_text(struct members *m, const char *where, const json_t *value, const char **ret_text)
{
	if (value && !json_is_null(value) && !json_is_string(value))
		return members_fail(m, "%s is neither a text nor null", where);
	*ret_text = json_string_value(value);
	return 0;
}

int members_double(struct members *m, const char *where, const json_t *value, double *ret_value)
{
	if (value && !json_is_null(value) && !json_is_number(value))
		return members_fail(m, "%s is neither a number nor null", where);
	*ret_value = json_is_number(value) ? json_number_value(value) : NAN;
	return 0;
}

/* "system.sched.switches", "process[3].cpu_ns", with `part` behind it if there is one. */
static const char *where_is(const struct members *m, const struct metric *metric, const char *part,
			    char *text)
{
	const struct metric_scope_info *scope = &metric_scopes[metric->scope];
	char row[24] = "";

	if (scope->key)
		snprintf(row, sizeof(row), "[%zu]", m->row);
	snprintf(text, WHERE_LEN, "%s%s.%s%s%s", scope->prefix, row, metric->name, part ? "." : "",
		 part ? part : "");
	return text;
}

/* One [upper, count] of a distribution's buckets, which ascend. */
static int read_bucket(struct members *m, const char *where, const json_t *bucket, struct dist *d)
{
	uint64_t upper = 0, count = 0;
	unsigned int bin;
	int err;

	if (json_array_size(bucket) != 2)
		return members_fail(m, "%s has a bucket that is not [upper, count]", where);
	err = members_u64(m, where, json_array_get(bucket, 0), &upper);
	if (!err)
		err = members_u64(m, where, json_array_get(bucket, 1), &count);
	if (err)
		return err;
	bin = bins_index(upper);
	if (bins_upper(bin) != upper)
		return members_fail(m, "%s has a bucket that ends at no bin's end", where);
	if (!count || (d->n_bins && d->bins[d->n_bins - 1].bin >= bin))
		return members_fail(m, "%s has empty buckets, or out of order", where);
	if (count > INT64_MAX - d->count)
		return members_fail(m, "%s holds more values than can be counted", where);
	return dist_add_bin(d, bin, count);
}

static int read_buckets(struct members *m, const struct metric *metric, const json_t *list,
			uint64_t count, struct dist *d)
{
	char text[WHERE_LEN];
	const char *where = where_is(m, metric, "buckets", text);
	size_t n = json_array_size(list);

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list))
		return members_fail(m, "%s is not a list", where);
	for (size_t i = 0; i < n; i++) {
		int err = read_bucket(m, where, json_array_get(list, i), d);

		if (err)
			return err;
	}
	if (d->count != count)
		return members_fail(m, "%s hold other than count values", where);
	return 0;
}

/* The parts of a distribution; those that are null are DIST_UNKNOWN. */
static int read_parts(struct members *m, const struct metric *metric, const json_t *object,
		      uint64_t *parts)
{
	char text[WHERE_LEN];

	for (int part = 0; part < PART_NONE; part++) {
		const char *name = dist_part_name(part);
		const json_t *value = json_object_get(object, name);
		int err;

		parts[part] = DIST_UNKNOWN;
		if (!value || json_is_null(value))
			continue;
		err = members_u64(m, where_is(m, metric, name, text), value, &parts[part]);
		if (err)
			return err;
	}
	if (parts[PART_COUNT] == DIST_UNKNOWN || parts[PART_SUM] == DIST_UNKNOWN)
		return members_fail(m, "%s has no count or no sum", where_is(m, metric, NULL, text));
	if (parts[PART_COUNT] &&
	    (parts[PART_MAX] == DIST_UNKNOWN || parts[PART_MIN] > parts[PART_MAX]))
		return members_fail(m, "%s has no sound min and max",
				    where_is(m, metric, NULL, text));
	return 0;
}

static int read_dist(struct members *m, const struct metric *metric, const json_t *value,
		     struct dist *d)
{
	uint64_t parts[PART_NONE];
	char text[WHERE_LEN];
	int err;

	if (!json_is_object(value))
		return members_fail(m, "%s is not a distribution", where_is(m, metric, NULL, text));
	err = read_parts(m, metric, value, parts);
	if (err)
		return err;
	dist_clear(d);
	err = read_buckets(m, metric, json_object_get(value, "buckets"), parts[PART_COUNT], d);
	if (err || !parts[PART_COUNT])
		return err;
	return dist_summarize(d, parts[PART_COUNT], parts[PART_SUM], parts[PART_MIN],
			      parts[PART_MAX], parts + PART_P50);
}

_Static_assert(PART_NONE - PART_P50 == DIST_QUANTILES, "the percentiles are the last parts");

/* Sources that this version does not know are ignored, as unknown members are. */
static int read_sources(struct members *m, const char *where, const json_t *list,
			uint32_t *ret_sources)
{
	uint32_t sources = 0;

	if (!json_is_array(list))
		return members_fail(m, "%s is not a list", where);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name = json_string_value(json_array_get(list, i));

		if (!name)
			return members_fail(m, "%s is not a list of names", where);
		for (int id = 0; id < SOURCE_COUNT; id++)
			if (strcmp(name, source_name(id)) == 0)
				sources |= 1u << id;
	}
	*ret_sources = sources;
	return 0;
}

static int read_text(struct members *m, const char *where, const json_t *value, const char **ret_text)
{
	const char *text = NULL;
	int err = members_text(m, where, value, &text);

	if (err)
		return err;
	*ret_text = snapshot_text(m->snapshot, text);
	return *ret_text ? 0 : -ENOMEM;
}

/* A value that is there and not null. */
static int read_value(struct members *m, const struct metric *metric, const json_t *value, void *row)
{
	void *at = (char *)row + metric->offset;
	char text[WHERE_LEN];
	const char *where = where_is(m, metric, NULL, text);

	switch (metric->type) {
	case METRIC_U64:
		return members_u64(m, where, value, at);
	case METRIC_I64:
		if (!json_is_integer(value))
			return members_fail(m, "%s is not a whole number", where);
		*(int64_t *)at = json_integer_value(value);
		return 0;
	case METRIC_PCT:
		return members_double(m, where, value, at);
	case METRIC_DIST:
		return read_dist(m, metric, value, at);
	case METRIC_TEXT:
		return read_text(m, where, value, at);
	case METRIC_BOOL:
		if (!json_is_boolean(value))
			return members_fail(m, "%s is neither true nor false", where);
		*(bool *)at = json_is_true(value);
		return 0;
	case METRIC_SOURCES:
		return read_sources(m, where, value, at);
	default:
		return members_read_rows(m, value, metric->rows);
	}
}

static int read_member(struct members *m, const struct layout_step *step, const json_t *object,
		       void *row)
{
	const json_t *value = object ? json_object_get(object, step->key) : NULL;
	char text[WHERE_LEN];

	if (value && !json_is_null(value))
		return read_value(m, step->metric, value, row);
	if (step->metric->nullable || step->metric->type == METRIC_ROWS)
		return 0;
	return members_fail(m, "%s is missing", where_is(m, step->metric, NULL, text));
}

int members_read(struct members *m, const json_t *object, enum metric_scope scope, void *row)
{
	const struct layout_step *step = m->layout->steps[scope],
				 *end = step + m->layout->n_steps[scope];
	const json_t *nest[LAYOUT_MAX_DEPTH + 1];
	unsigned int depth = 0;

	if (!json_is_object(object))
		return members_fail(m, "%s is missing, or not an object",
				    metric_scopes[scope].prefix);
	nest[0] = object;
	for (; step < end; step++) {
		const json_t *inner;
		int err;

		switch (step->kind) {
		case LAYOUT_OPEN:
			inner = nest[depth] ? json_object_get(nest[depth], step->key) : NULL;
			if (inner && !json_is_null(inner) && !json_is_object(inner))
				return members_fail(m, "%s of %s is not an object", step->key,
						    metric_scopes[scope].prefix);
			nest[++depth] = json_is_object(inner) ? inner : NULL;
			break;
		case LAYOUT_CLOSE:
			depth--;
			break;
		case LAYOUT_MEMBER:
			err = read_member(m, step, nest[depth], row);
			if (err)
				return err;
			break;
		}
	}
	return 0;
}

static void *add_row(struct snapshot *s, enum metric_scope scope)
{
	switch (scope) {
	case SCOPE_DEVICE:
		return snapshot_add_device(s);
	case SCOPE_INTERFACE:
		return snapshot_add_interface(s);
	default:
		return snapshot_add_process(s);
	}
}

int members_read_rows(struct members *m, const json_t *list, enum metric_scope scope)
{
	size_t n = json_array_size(list);

	if (!json_is_array(list))
		return members_fail(m, "the list of %s is missing, or not a list",
				    metric_scopes[scope].prefix);
	for (size_t i = 0; i < n; i++) {
		void *row = add_row(m->snapshot, scope);
		int err;

		if (!row)
			return -ENOMEM;
		m->row = i;
		err = members_read(m, json_array_get(list, i), scope, row);
		if (err)
			return err;
	}
	return 0;
}
