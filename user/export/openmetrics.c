// SPDX-License-Identifier: BSD-2-Clause
/*
 * DESIGN. Each sample is one whole exposition that ends with "# EOF": counters since start, gauges as they are now. To a
 * file each replaces the one before, which is what a scraper's textfile collector wants; on standard output they follow
 * each other. A family's values must stand together, so the metric table is the outer loop and the rows the inner one;
 * the labels of a row are made once and copied.
 *
 * Distributions of the system and of devices are histograms with bounds at powers of two nanoseconds, where the bins of
 * metric/bins.h end too, so nothing is interpolated. Those of processes are summaries (sum, count and the
 * interval's percentiles): thirty lines for each of a thousand processes are asked for with --histograms.
 */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/utf8.h"
#include "export/firing.h"
#include "export/sink.h"
#include "export/tally.h"
#include "export/view.h"
#include "metric/table.h"

#define LE_FIRST 10 /* 2^10 ns: 1 µs */
#define LE_LAST 36 /* 2^36 ns: 69 s */
#define RATIO_DECIMALS 6

/* A row that is exposed. */
struct exposed {
	const void *row; /* of the snapshot */
	const void *totals; /* since start */
	size_t labels, labels_len; /* in sink.labels, without braces */
};

struct sink {
	struct output *output;
	struct view view;
	struct tally tally;
	struct firing firing;
	struct exposed *rows[SCOPE_COUNT];
	size_t n_rows[SCOPE_COUNT], cap_rows[SCOPE_COUNT];
	struct map pids; /* number of a process's row + 1, to notice a pid met twice */
	struct buf text, labels, about, scratch;
	uint64_t samples;
};

static void om_close(struct sink *s)
{
	if (!s)
		return;
	view_release(&s->view);
	tally_release(&s->tally);
	firing_release(&s->firing);
	for (int scope = 0; scope < SCOPE_COUNT; scope++)
		free(s->rows[scope]);
	map_release(&s->pids);
	buf_release(&s->text);
	buf_release(&s->labels);
	buf_release(&s->about);
	buf_release(&s->scratch);
	free(s);
}

static int om_open(const struct sink_options *options, struct output *output, struct sink **ret_sink)
{
	struct sink *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->output = output;
	err = view_init(&s->view, options, "cpu_ns");
	if (err) {
		om_close(s);
		return err;
	}
	*ret_sink = s;
	return 0;
}

/* --- text --- */

/* Appends name="value", with a comma before it unless it is the first. */
static void add_label(struct buf *out, bool first, const char *name, const char *value)
{
	const char *end = value + strlen(value);

	if (!first)
		buf_addc(out, ',');
	buf_adds(out, name);
	buf_adds(out, "=\"");
	while (value < end) {
		size_t len = utf8_len(value, end - value);

		if (*value == '\\' || *value == '"')
			buf_add(out, (char[]){ '\\', *value }, 2);
		else if (*value == '\n')
			buf_adds(out, "\\n");
		else if (!len || (unsigned char)*value < 0x20)
			buf_adds(out, UTF8_REPLACEMENT); /* nothing that moves a terminal's cursor */
		else
			buf_add(out, value, len);
		value += MAX(len, 1u);
	}
	buf_addc(out, '"');
}

static void add_label_u64(struct buf *out, bool first, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	add_label(out, first, name, text);
}

/* Nanoseconds as seconds, all digits that there are. */
static void add_seconds(struct buf *out, uint64_t ns)
{
	uint64_t unit = NSEC_PER_SEC / 10;

	buf_addu(out, ns / NSEC_PER_SEC);
	ns %= NSEC_PER_SEC;
	if (ns)
		buf_addc(out, '.');
	for (; ns; ns %= unit, unit /= 10)
		buf_addc(out, '0' + ns / unit);
}

static void add_family(struct buf *out, const char *name, const char *unit, const char *type,
		       const char *help)
{
	buf_printf(out, "# TYPE %s %s\n", name, type);
	if (*unit)
		buf_printf(out, "# UNIT %s %s\n", name, unit);
	buf_printf(out, "# HELP %s %s\n", name, help);
}

/* "NAMESUFFIX{labels" and nothing behind; more labels may follow. */
static void add_open(struct buf *out, const char *name, const char *suffix, const char *labels,
		     size_t len)
{
	buf_adds(out, name);
	buf_adds(out, suffix);
	buf_addc(out, '{');
	buf_add(out, labels, len);
}

/* All of a line up to its value. */
static void add_name(struct buf *out, const char *name, const char *suffix, const char *labels,
		     size_t len)
{
	if (len) {
		add_open(out, name, suffix, labels, len);
		buf_adds(out, "} ");
	} else {
		buf_adds(out, name);
		buf_adds(out, suffix);
		buf_addc(out, ' ');
	}
}

/* A line whose value is a whole number. */
static void add_line(struct buf *out, const char *name, const char *suffix, const char *labels,
		     size_t len, uint64_t value)
{
	add_name(out, name, suffix, labels, len);
	buf_addu(out, value);
	buf_addc(out, '\n');
}

static void add_line_seconds(struct buf *out, const char *name, const char *suffix,
			     const char *labels, size_t len, uint64_t ns)
{
	add_name(out, name, suffix, labels, len);
	add_seconds(out, ns);
	buf_addc(out, '\n');
}

/* --- the rows of a sample --- */

static void add_row_labels(struct sink *s, enum metric_scope scope, const void *row)
{
	struct buf *out = &s->labels;

	if (scope == SCOPE_DEVICE) {
		add_label(out, true, "dev", ((const struct device_metrics *)row)->dev);
	} else if (scope == SCOPE_INTERFACE) {
		add_label(out, true, "interface", ((const struct interface_metrics *)row)->name);
	} else if (scope == SCOPE_PROCESS) {
		const struct process_metrics *p = row;
		const char *comm = p->pid ? view_name(&s->view, "comm", p->comm) : p->comm;

		add_label_u64(out, true, "pid", p->pid);
		add_label(out, false, "comm", comm ? comm : "");
	}
}

static struct exposed *new_row(struct sink *s, enum metric_scope scope)
{
	if (s->n_rows[scope] == s->cap_rows[scope]) {
		size_t cap = s->cap_rows[scope] ? s->cap_rows[scope] * 2 : 4;
		struct exposed *rows = reallocarray(s->rows[scope], cap, sizeof(*rows));

		if (!rows)
			return NULL;
		s->rows[scope] = rows;
		s->cap_rows[scope] = cap;
	}
	return &s->rows[scope][s->n_rows[scope]++];
}

/*
 * Two processes of one sample may have had the same pid, one after the other. Series of the same labels may not be there
 * twice: the younger one stays, the other counts as hidden. `e` is the last row.
 */
static void keep_younger(struct sink *s, struct exposed *e)
{
	const struct process_metrics *p = e->row;
	size_t at = (size_t)map_get(&s->pids, p->pid);
	struct exposed *other = at ? &s->rows[SCOPE_PROCESS][at - 1] : NULL;

	if (!other) {
		map_put(&s->pids, p->pid, (void *)s->n_rows[SCOPE_PROCESS]);
		return;
	}
	if (((const struct process_metrics *)other->row)->start_ns < p->start_ns)
		*other = *e;
	s->n_rows[SCOPE_PROCESS]--;
	s->view.trust.rows_hidden++;
}

static int expose_row(struct sink *s, enum metric_scope scope, const void *row)
{
	struct exposed *e = new_row(s, scope);

	if (!e)
		return -ENOMEM;
	e->row = row;
	e->totals = tally_add(&s->tally, scope, row);
	e->labels = s->labels.len;
	add_row_labels(s, scope, row);
	e->labels_len = s->labels.len - e->labels;
	if (!e->totals)
		return -ENOMEM;
	if (scope == SCOPE_PROCESS)
		keep_younger(s, e);
	return 0;
}

static int expose_rows(struct sink *s, const struct snapshot *snapshot, enum metric_scope scope)
{
	size_t n;
	const char *rows = snapshot_rows(snapshot, scope, &n);
	int err = 0;

	for (size_t i = 0; i < n && !err; i++)
		err = expose_row(s, scope, rows + i * metric_scopes[scope].size);
	return err;
}

/* Processes that are not shown are counted all the same: they may be shown the next time. */
static int expose_processes(struct sink *s, const struct snapshot *snapshot)
{
	bool all = !s->view.options.top;
	int err = view_select(&s->view, snapshot, all);

	map_release(&s->pids);
	for (size_t i = 0; i < s->view.rows.n_shown && !err; i++)
		err = expose_row(s, SCOPE_PROCESS, s->view.rows.shown[i]);
	for (size_t i = 0; i < s->view.rows.n_hidden && !err; i++)
		if (!tally_add(&s->tally, SCOPE_PROCESS, s->view.rows.shown[s->view.rows.n_shown + i]))
			err = -ENOMEM;
	return err;
}

static int expose_snapshot(struct sink *s, const struct snapshot *snapshot)
{
	int err;

	tally_advance(&s->tally);
	buf_reset(&s->labels);
	memset(s->n_rows, 0, sizeof(s->n_rows));
	err = expose_processes(s, snapshot);
	if (!err)
		err = expose_row(s, SCOPE_TRUST, &s->view.trust);
	if (!err)
		err = expose_rows(s, snapshot, SCOPE_SYSTEM);
	if (!err)
		err = expose_rows(s, snapshot, SCOPE_DEVICE);
	if (!err)
		err = expose_rows(s, snapshot, SCOPE_INTERFACE);
	if (!err)
		err = expose_rows(s, snapshot, SCOPE_SELF);
	return err;
}

/* --- families --- */

static void add_le(struct buf *out, size_t labels_len, const char *name, const char *labels)
{
	add_open(out, name, "_bucket", labels, labels_len);
	buf_adds(out, labels_len ? ",le=\"" : "le=\"");
}

/* Cumulative counts at powers of two: the last bin below 2^k ends at 2^k - 1. */
static void add_histogram(struct buf *out, const char *name, const struct dist *d,
			  const char *labels, size_t len)
{
	uint64_t seen = 0;
	uint32_t i = 0;

	for (int k = LE_FIRST; k <= LE_LAST && (d->n_bins || !d->count); k++) {
		for (; i < d->n_bins && bins_upper(d->bins[i].bin) < 1ull << k; i++)
			seen += d->bins[i].count;
		add_le(out, len, name, labels);
		add_seconds(out, 1ull << k);
		buf_adds(out, "\"} ");
		buf_addu(out, seen);
		buf_addc(out, '\n');
	}
	add_le(out, len, name, labels);
	buf_adds(out, "+Inf\"} ");
	buf_addu(out, d->count);
	buf_addc(out, '\n');
}

/* The percentiles of this interval, if it has any. */
static void add_quantiles(struct buf *out, const char *name, const struct dist *d,
			  const char *labels, size_t len)
{
	for (int i = 0; i < DIST_QUANTILES && d->known && d->count; i++) {
		uint64_t value = dist_percentile(d, dist_quantiles[i]);

		if (value == DIST_UNKNOWN)
			continue;
		add_open(out, name, "", labels, len);
		buf_adds(out, len ? ",quantile=\"" : "quantile=\"");
		buf_addf(out, dist_quantiles[i], 3);
		buf_adds(out, "\"} ");
		add_seconds(out, value);
		buf_addc(out, '\n');
	}
}

static bool is_histogram(const struct sink *s, const struct metric *m)
{
	return m->scope != SCOPE_PROCESS || s->view.options.histograms;
}

static void add_dist(struct sink *s, const struct metric *m, const char *name,
		     const struct exposed *e)
{
	const struct dist *totals = metric_dist(m, e->totals);
	const char *labels = buf_str(&s->labels) + e->labels;

	if (is_histogram(s, m))
		add_histogram(&s->text, name, totals, labels, e->labels_len);
	else
		add_quantiles(&s->text, name, metric_dist(m, e->row), labels, e->labels_len);
	add_line(&s->text, name, "_count", labels, e->labels_len, totals->count);
	add_line_seconds(&s->text, name, "_sum", labels, e->labels_len, totals->sum);
}

static bool is_counter(const struct metric *m)
{
	return m->type == METRIC_U64 && m->merge == MERGE_SUM;
}

static const char *type_of(const struct sink *s, const struct metric *m)
{
	if (m->type == METRIC_DIST)
		return is_histogram(s, m) ? "histogram" : "summary";
	return is_counter(m) ? "counter" : "gauge";
}

/* Whether the row has the figure, now or (of what adds up) since start. */
static bool has_value(const struct metric *m, const struct exposed *e)
{
	double value;

	if (m->type == METRIC_DIST) /* a process that never waited needs no empty summary */
		return metric_dist(m, e->totals)->known &&
		       (m->scope != SCOPE_PROCESS || metric_dist(m, e->totals)->count);
	return metric_value(m, m->merge == MERGE_SUM ? e->totals : e->row, PART_NONE, &value);
}

static void add_value(struct sink *s, const struct metric *m, const char *name,
		      const struct exposed *e)
{
	const char *labels = buf_str(&s->labels) + e->labels;
	const void *row = m->merge == MERGE_SUM ? e->totals : e->row;
	uint64_t whole;
	double value;

	if (m->type == METRIC_DIST) {
		add_dist(s, m, name, e);
		return;
	}
	metric_value(m, row, PART_NONE, &value);
	add_name(&s->text, name, is_counter(m) ? "_total" : "", labels, e->labels_len);
	if (m->type == METRIC_U64) {
		whole = metric_u64(m, row);
		if (m->unit == UNIT_NS)
			add_seconds(&s->text, whole);
		else
			buf_addu(&s->text, whole);
	} else if (m->type == METRIC_I64) {
		buf_addf(&s->text, m->unit == UNIT_NS ? value / NSEC_PER_SEC : value, 9);
	} else {
		buf_addf(&s->text, m->unit == UNIT_PCT ? value / 100 : value, RATIO_DECIMALS);
	}
	buf_addc(&s->text, '\n');
}

static void add_metric(struct sink *s, const struct metric *m)
{
	static const char *const units[] = {
		[UNIT_NONE] = "",
		[UNIT_NS] = "seconds",
		[UNIT_BYTES] = "bytes",
		[UNIT_PCT] = "ratio",
	};
	const char *unit = units[m->unit];
	bool begun = false;
	char name[96];

	snprintf(name, sizeof(name), "mbtrace_%s%s%s", m->openmetrics, *unit ? "_" : "", unit);
	for (size_t i = 0; i < s->n_rows[m->scope]; i++) {
		const struct exposed *e = &s->rows[m->scope][i];

		if (!has_value(m, e))
			continue;
		if (!begun)
			add_family(&s->text, name, unit, type_of(s, m), m->help);
		begun = true;
		add_value(s, m, name, e);
	}
}

static void add_alerts(struct sink *s)
{
	struct buf *out = &s->text;

	if (!s->firing.n)
		return;
	add_family(out, "mbtrace_alert_firing", "", "gauge",
		   "1 while the rule fires, 0 once after its end");
	for (size_t i = 0; i < s->firing.n; i++) {
		const struct record_alert *a = &s->firing.alerts[i];
		const char *comm = view_name(&s->view, "comm", a->comm);

		buf_adds(out, "mbtrace_alert_firing{");
		add_label(out, true, "rule", view_path(&s->view, a->rule, &s->scratch));
		if (a->has_process) {
			add_label_u64(out, false, "pid", a->pid);
			add_label(out, false, "comm", comm ? comm : "");
		}
		if (a->row)
			add_label(out, false, "row", a->row);
		buf_printf(out, "} %d\n", a->state == ALERT_FIRING);
	}
	firing_sweep(&s->firing);
}

/* --- the calls of a sink --- */

static void add_info_label(struct buf *out, bool first, const char *name, const char *value)
{
	add_label(out, first, name, value ? value : "");
}

/* What does not change within a run is made once, and is part of every exposition. */
static int om_header(struct sink *s, const struct record_header *h)
{
	struct buf *out = &s->about;

	buf_reset(out);
	add_family(out, "mbtrace_build_info", "", "gauge",
		   "which mbtrace this is, and on what kernel it runs");
	buf_adds(out, "mbtrace_build_info{");
	add_info_label(out, true, "version", h->version);
	add_info_label(out, false, "kernel", h->host_kernel);
	buf_adds(out, "} 1\n");
	add_family(out, "mbtrace_source_attached", "", "gauge",
		   "1 if the source is attached, degraded or not, 0 if it is absent");
	for (int i = 0; i < SOURCE_COUNT; i++) {
		const char *status = h->sources[i].status;

		buf_adds(out, "mbtrace_source_attached{");
		add_info_label(out, true, "source", source_name(i));
		add_info_label(out, false, "status", status);
		add_info_label(out, false, "mode", h->sources[i].mode);
		buf_printf(out, "} %d\n", status && strcmp(status, "absent") != 0);
	}
	return out->failed ? -ENOMEM : 0;
}

static int write_out(struct sink *s)
{
	buf_adds(&s->text, "# EOF\n");
	if (s->text.failed || s->labels.failed)
		return -ENOMEM;
	return output_replace(s->output, s->text.data, s->text.len);
}

static int om_sample(struct sink *s, const struct snapshot *snapshot)
{
	struct buf *out = &s->text;
	int err = expose_snapshot(s, snapshot);

	if (err)
		return err;
	buf_reset(out);
	buf_add(out, s->about.data, s->about.len);
	add_family(out, "mbtrace_sample_timestamp_seconds", "seconds", "gauge",
		   "when this sample was taken");
	add_line_seconds(out, "mbtrace_sample_timestamp_seconds", "", "", 0, snapshot->time_ns);
	add_family(out, "mbtrace_sample_interval_seconds", "seconds", "gauge",
		   "the time since the sample before");
	add_line_seconds(out, "mbtrace_sample_interval_seconds", "", "", 0, snapshot->interval_ns);
	for (size_t i = 0; i < metric_count; i++)
		if (metrics[i].openmetrics)
			add_metric(s, &metrics[i]);
	add_alerts(s);
	s->samples++;
	return write_out(s);
}

static int om_alert(struct sink *s, const struct record_alert *alert)
{
	return firing_update(&s->firing, alert);
}

/* The last exposition has the totals of the whole run already; a run without one still leaves a valid file. */
static int om_summary(struct sink *s, const struct record_summary *summary)
{
	if (s->samples)
		return 0;
	buf_reset(&s->text);
	buf_add(&s->text, s->about.data, s->about.len);
	return write_out(s);
}

const struct sink_ops openmetrics_sink = {
	.name = "openmetrics",
	.replaces = true,
	.open = om_open,
	.header = om_header,
	.sample = om_sample,
	.alert = om_alert,
	.summary = om_summary,
	.close = om_close,
};
