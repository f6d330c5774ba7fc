// SPDX-License-Identifier: BSD-2-Clause
/*
 * DESIGN. Each record is one line, rendered into one buffer that is kept, by one walk over the layouts of the scopes: no tree,
 * no allocation a row, no printf. A line is handed to the output whole, so that a full disk or a closed pipe never
 * leaves half a record.
 */
#include "base/json.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "export/layout.h"
#include "export/sink.h"
#include "export/view.h"

#define PCT_DECIMALS 3
#define VALUE_DECIMALS 6 /* of alerts, whose values have any unit */

struct sink {
	struct output *output;
	struct view view;
	struct layout layout;
	struct buf line, scratch;
	struct json json;
};

static void json_sink_close(struct sink *s)
{
	if (!s)
		return;
	layout_release(&s->layout);
	view_release(&s->view);
	buf_release(&s->line);
	buf_release(&s->scratch);
	free(s);
}

DEFINE_CLEANUP(struct sink *, json_sink_close)

static int json_sink_open(const struct sink_options *options, struct output *output,
			  struct sink **ret_sink)
{
	CLEANUP(json_sink_close) struct sink *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->output = output;
	err = view_init(&s->view, options, "cpu_ns");
	if (!err)
		err = layout_init(&s->layout, options->cmdline);
	if (err)
		return err;
	*ret_sink = TAKE_PTR(s);
	return 0;
}

/* Starts a line {"type":…; record_end() ends it and writes it out. */
static struct json *record_begin(struct sink *s, const char *type)
{
	buf_reset(&s->line);
	s->json = JSON_INIT(&s->line);
	json_object(&s->json, NULL);
	json_str(&s->json, "type", type);
	return &s->json;
}

static int record_end(struct sink *s)
{
	json_end(&s->json);
	buf_addc(&s->line, '\n');
	if (s->line.failed)
		return -ENOMEM;
	return output_write(s->output, s->line.data, s->line.len);
}

/* A time of 0 is not known. */
static void write_time(struct json *j, const char *key, uint64_t realtime_ns)
{
	char text[CLOCK_TEXT_LEN];

	json_str(j, key, realtime_ns ? clock_format(realtime_ns, text) : NULL);
}

static void write_buckets(struct json *j, const struct dist *d)
{
	if (d->count && !d->n_bins) { /* read from a file that had none */
		json_null(j, "buckets");
		return;
	}
	json_array(j, "buckets");
	for (uint32_t i = 0; i < d->n_bins; i++) {
		json_array(j, NULL);
		json_u64(j, NULL, bins_upper(d->bins[i].bin));
		json_u64(j, NULL, d->bins[i].count);
		json_end(j);
	}
	json_end(j);
}

static void write_dist(struct sink *s, const char *key, const struct dist *d)
{
	struct json *j = &s->json;

	if (!d->known) {
		json_null(j, key);
		return;
	}
	json_object(j, key);
	for (int part = 0; part < PART_NONE; part++) {
		uint64_t value = dist_part_value(d, part);
		/* The bounds and percentiles of nothing are no values. */
		bool known = d->count || part == PART_COUNT || part == PART_SUM;

		if (known && value != DIST_UNKNOWN)
			json_u64(j, dist_part_name(part), value);
		else
			json_null(j, dist_part_name(part));
	}
	if (s->view.options.histograms)
		write_buckets(j, d);
	json_end(j);
}

static void write_sources(struct json *j, const char *key, uint32_t sources)
{
	json_array(j, key);
	for (int i = 0; i < SOURCE_COUNT; i++)
		if (sources & 1u << i)
			json_str(j, NULL, source_name(i));
	json_end(j);
}

static void write_rows(struct sink *s, const char *key, const struct snapshot *snapshot,
		       enum metric_scope scope);

static void write_member(struct sink *s, const char *key, const struct metric *m, const void *row,
			 const struct snapshot *snapshot)
{
	struct json *j = &s->json;
	const void *at = metric_at(m, row);

	switch (m->type) {
	case METRIC_U64:
		if (*(const uint64_t *)at == METRIC_NULL)
			json_null(j, key);
		else
			json_u64(j, key, *(const uint64_t *)at);
		break;
	case METRIC_I64:
		if (*(const int64_t *)at == METRIC_NULL_SIGNED)
			json_null(j, key);
		else
			json_i64(j, key, *(const int64_t *)at);
		break;
	case METRIC_PCT:
		json_double(j, key, *(const double *)at, PCT_DECIMALS);
		break;
	case METRIC_DIST:
		write_dist(s, key, at);
		break;
	case METRIC_TEXT:
		json_str(j, key, view_text(&s->view, m, row));
		break;
	case METRIC_BOOL:
		json_bool(j, key, *(const bool *)at);
		break;
	case METRIC_SOURCES:
		write_sources(j, key, *(const uint32_t *)at);
		break;
	case METRIC_ROWS:
		write_rows(s, key, snapshot, m->rows);
		break;
	}
}

/* One row as an object. */
static void write_object(struct sink *s, const char *key, enum metric_scope scope, const void *row,
			 const struct snapshot *snapshot)
{
	const struct layout_step *step = s->layout.steps[scope],
				 *end = step + s->layout.n_steps[scope];

	json_object(&s->json, key);
	for (; step < end; step++) {
		if (step->kind == LAYOUT_OPEN)
			json_object(&s->json, step->key);
		else if (step->kind == LAYOUT_CLOSE)
			json_end(&s->json);
		else
			write_member(s, step->key, step->metric, row, snapshot);
	}
	json_end(&s->json);
}

static void write_rows(struct sink *s, const char *key, const struct snapshot *snapshot,
		       enum metric_scope scope)
{
	size_t n;
	const char *rows = snapshot_rows(snapshot, scope, &n);

	json_array(&s->json, key);
	for (size_t i = 0; i < n; i++)
		write_object(s, NULL, scope, rows + i * metric_scopes[scope].size, snapshot);
	json_end(&s->json);
}

/* The members that samples and the summary share. */
static int write_snapshot(struct sink *s, const struct snapshot *snapshot, bool whole)
{
	int err = view_select(&s->view, snapshot, whole);

	if (err)
		return err;
	write_object(s, "system", SCOPE_SYSTEM, &snapshot->system, snapshot);
	json_array(&s->json, "processes");
	for (size_t i = 0; i < s->view.rows.n_shown; i++)
		write_object(s, NULL, SCOPE_PROCESS, s->view.rows.shown[i], snapshot);
	json_end(&s->json);
	write_object(s, "trust", SCOPE_TRUST, &s->view.trust, snapshot);
	write_object(s, "self", SCOPE_SELF, &snapshot->self, snapshot);
	return 0;
}

static void write_filter(struct sink *s, const struct record_header *h)
{
	struct json *j = &s->json;

	json_object(j, "filter");
	if (h->n_filter_pids) {
		json_array(j, "pids");
		for (size_t i = 0; i < h->n_filter_pids; i++)
			json_u64(j, NULL, h->filter_pids[i]);
		json_end(j);
	} else {
		json_null(j, "pids");
	}
	json_bool(j, "follow", h->filter_follow);
	json_str(j, "comm", view_name(&s->view, "comm", h->filter_comm));
	json_str(j, "cgroup", view_name(&s->view, "cgroup", h->filter_cgroup));
	json_end(j);
}

static int json_sink_header(struct sink *s, const struct record_header *h)
{
	struct json *j = record_begin(s, "header");

	json_u64(j, "schema", RECORD_SCHEMA);
	json_str(j, "version", h->version);
	json_object(j, "host");
	json_str(j, "kernel", h->host_kernel);
	json_u64(j, "cpus", h->host_cpus);
	json_str(j, "boot_id", h->host_boot_id);
	json_str(j, "name", view_name(&s->view, "host", h->host_name));
	json_end(j);
	json_u64(j, "interval_ns", h->interval_ns);
	write_filter(s, h);
	json_object(j, "sources");
	for (int i = 0; i < SOURCE_COUNT; i++) {
		json_object(j, source_name(i));
		json_str(j, "status", h->sources[i].status);
		json_str(j, "mode", h->sources[i].mode);
		json_str(j, "reason", h->sources[i].reason);
		json_end(j);
	}
	json_end(j);
	return record_end(s);
}

static int json_sink_sample(struct sink *s, const struct snapshot *snapshot)
{
	struct json *j = record_begin(s, "sample");
	int err;

	write_time(j, "time", snapshot->time_ns);
	json_u64(j, "elapsed_ns", snapshot->elapsed_ns);
	json_u64(j, "interval_ns", snapshot->interval_ns);
	err = write_snapshot(s, snapshot, false);
	return err ? err : record_end(s);
}

static void write_culprits(struct sink *s, const struct record_alert *a)
{
	struct json *j = &s->json;

	json_array(j, "culprits");
	for (size_t i = 0; i < a->n_culprits; i++) {
		const struct record_culprit *c = &a->culprits[i];

		json_object(j, NULL);
		json_u64(j, "pid", c->pid);
		json_str(j, "comm", view_name(&s->view, "comm", c->comm));
		json_str(j, "metric", c->metric);
		json_double(j, "value", c->value, VALUE_DECIMALS);
		json_end(j);
	}
	json_end(j);
}

/* The alert as an object that is still open. */
static void write_alert(struct sink *s, const struct record_alert *a)
{
	struct json *j = record_begin(s, "alert");

	write_time(j, "time", a->time_ns);
	json_str(j, "rule", view_path(&s->view, a->rule, &s->scratch));
	json_str(j, "state", alert_state_name(a->state));
	json_str(j, "metric", view_path(&s->view, a->metric, &s->scratch));
	json_double(j, "value", a->value, VALUE_DECIMALS);
	json_double(j, "threshold", a->threshold, VALUE_DECIMALS);
	write_time(j, "since", a->since_ns);
	if (a->has_process) {
		json_object(j, "process");
		json_u64(j, "pid", a->pid);
		json_str(j, "comm", view_name(&s->view, "comm", a->comm));
		json_end(j);
	} else {
		json_null(j, "process");
	}
	json_str(j, "row", a->row);
	json_str(j, "reason", a->reason);
	write_culprits(s, a);
}

static int json_sink_alert(struct sink *s, const struct record_alert *a)
{
	write_alert(s, a);
	return record_end(s);
}

int json_alert_text(const struct sink_options *options, const struct record_alert *alert,
		    struct buf *ret_line)
{
	struct sink *s;
	int err = json_sink_open(options, NULL, &s);

	if (err)
		return err;
	write_alert(s, alert);
	json_end(&s->json);
	buf_addc(&s->line, '\n');
	buf_add(ret_line, buf_str(&s->line), s->line.len);
	err = s->line.failed || ret_line->failed ? -ENOMEM : 0;
	json_sink_close(s);
	return err;
}

static int json_sink_summary(struct sink *s, const struct record_summary *summary)
{
	struct json *j = record_begin(s, "summary");
	int err;

	json_u64(j, "samples", summary->samples);
	json_u64(j, "elapsed_ns", summary->elapsed_ns);
	json_u64(j, "alerts_fired", summary->alerts_fired);
	err = write_snapshot(s, summary->whole, true);
	return err ? err : record_end(s);
}

const struct sink_ops json_sink = {
	.name = "json",
	.open = json_sink_open,
	.header = json_sink_header,
	.sample = json_sink_sample,
	.alert = json_sink_alert,
	.summary = json_sink_summary,
	.close = json_sink_close,
};
