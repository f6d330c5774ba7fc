// SPDX-License-Identifier: BSD-2-Clause
/*
 * DESIGN. One table for everything, as RFC 4180 has it: a header line, then lines of equally many fields. A line is one row of the
 * model (the system with trust and self, a device, an interface, a process, an alert), told apart by `record` and `scope`;
 * a column is one figure, named by its path in JSON, so the name works in an alert rule too. Cells that are not of
 * the row's scope are empty, and so is what could not be measured.
 *
 * The alternative was one line a figure (time, row, metric, value). It takes no fewer bytes, every spreadsheet would have to pivot
 * it first, and `--top` and `--sort` would mean nothing in it.
 */
#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "base/utf8.h"
#include "export/sink.h"
#include "export/view.h"
#include "metric/table.h"

#define PCT_DECIMALS 3
#define VALUE_DECIMALS 6

struct sink {
	struct output *output;
	struct view view;
	struct buf text, scratch;
};

/* The columns before and behind those of the metric table. */
static const char *const first_columns[] = { "time", "record", "scope", "elapsed_ns", "interval_ns" };
static const char *const alert_columns[] = { "alert.rule",   "alert.state",	"alert.metric",
					     "alert.value",  "alert.threshold", "alert.since",
					     "alert.pid",    "alert.comm",	"alert.row",
					     "alert.reason", "alert.culprits" };

static void csv_sink_close(struct sink *s)
{
	if (!s)
		return;
	view_release(&s->view);
	buf_release(&s->text);
	buf_release(&s->scratch);
	free(s);
}

static int csv_sink_open(const struct sink_options *options, struct output *output,
			 struct sink **ret_sink)
{
	struct sink *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->output = output;
	err = view_init(&s->view, options, "cpu_ns");
	if (err) {
		csv_sink_close(s);
		return err;
	}
	*ret_sink = s;
	return 0;
}

static int flush(struct sink *s)
{
	if (s->text.failed)
		return -ENOMEM;
	return output_write(s->output, s->text.data, s->text.len);
}

/* Whether the text may stand without quotes: printable ASCII that nobody takes for something else. */
static bool is_plain(const char *text)
{
	if (strchr("=+-@", *text))
		return !*text;
	for (; *text; text++)
		if (*text < 0x20 || *text == 0x7f || *text == ',' || *text == '"')
			return false;
	return true;
}

/*
 * A text field. Names are chosen by whoever starts a process, and a spreadsheet runs a cell that begins like a formula: such a
 * one gets an apostrophe in front, which is how spreadsheets are told that it is text. What is not UTF-8, or could move
 * a terminal's cursor, is replaced.
 */
static void add_text(struct buf *out, const char *text)
{
	const char *end = text ? text + strlen(text) : NULL;

	if (!text)
		return;
	if (is_plain(text)) {
		buf_adds(out, text);
		return;
	}
	buf_addc(out, '"');
	if (*text && strchr("=+-@\t\r", *text))
		buf_addc(out, '\'');
	while (text < end) {
		size_t len = utf8_len(text, end - text);

		if (*text == '"')
			buf_addc(out, '"');
		if (!len || ((unsigned char)*text < 0x20 && !strchr("\t\r\n", *text)))
			buf_adds(out, UTF8_REPLACEMENT);
		else
			buf_add(out, text, len);
		text += MAX(len, 1u);
	}
	buf_addc(out, '"');
}

static void add_double(struct buf *out, double value, int decimals)
{
	if (isfinite(value))
		buf_addf(out, value, decimals);
}

static void add_time(struct buf *out, uint64_t realtime_ns)
{
	char text[CLOCK_TEXT_LEN];

	if (realtime_ns)
		buf_adds(out, clock_format(realtime_ns, text));
}

/* How many columns a member has: none, one, or one for each part of a distribution. */
static int columns_of(const struct sink *s, const struct metric *m)
{
	if (m->type == METRIC_ROWS || (m->optional && !s->view.options.cmdline))
		return 0;
	return m->type == METRIC_DIST ? PART_NONE + s->view.options.histograms : 1;
}

static int csv_sink_header(struct sink *s, const struct record_header *header)
{
	buf_reset(&s->text);
	for (size_t i = 0; i < ARRAY_SIZE(first_columns); i++) {
		buf_adds(&s->text, i ? "," : "");
		buf_adds(&s->text, first_columns[i]);
	}
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];

		for (int part = 0; part < columns_of(s, m); part++) {
			buf_printf(&s->text, ",%s.%s", metric_scopes[m->scope].prefix, m->name);
			if (m->type == METRIC_DIST)
				buf_printf(&s->text, ".%s",
					   part < PART_NONE ? dist_part_name(part) : "buckets");
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(alert_columns); i++)
		buf_printf(&s->text, ",%s", alert_columns[i]);
	buf_addc(&s->text, '\n');
	return flush(s);
}

/* "upper:count upper:count …" */
static void add_buckets(struct buf *out, const struct dist *d)
{
	for (uint32_t i = 0; i < d->n_bins; i++) {
		if (i)
			buf_addc(out, ' ');
		buf_addu(out, bins_upper(d->bins[i].bin));
		buf_addc(out, ':');
		buf_addu(out, d->bins[i].count);
	}
}

static void add_dist(struct sink *s, const struct metric *m, const void *row)
{
	for (int part = 0; part < PART_NONE; part++) {
		double value;

		buf_addc(&s->text, ',');
		if (metric_value(m, row, part, &value))
			buf_addu(&s->text, dist_part_value(metric_dist(m, row), part));
	}
	if (s->view.options.histograms) {
		buf_addc(&s->text, ',');
		if (metric_dist(m, row)->known)
			add_buckets(&s->text, metric_dist(m, row));
	}
}

static void add_sources(struct buf *out, uint32_t sources)
{
	const char *between = "";

	for (int i = 0; i < SOURCE_COUNT; i++) {
		if (!(sources & 1u << i))
			continue;
		buf_adds(out, between);
		buf_adds(out, source_name(i));
		between = " ";
	}
}

static void add_member(struct sink *s, const struct metric *m, const void *row)
{
	const void *at = metric_at(m, row);

	if (m->type == METRIC_DIST) {
		add_dist(s, m, row);
		return;
	}
	buf_addc(&s->text, ',');
	switch (m->type) {
	case METRIC_U64:
		if (*(const uint64_t *)at != METRIC_NULL)
			buf_addu(&s->text, *(const uint64_t *)at);
		break;
	case METRIC_I64:
		if (*(const int64_t *)at != METRIC_NULL_SIGNED)
			buf_printf(&s->text, "%lld", (long long)*(const int64_t *)at);
		break;
	case METRIC_PCT:
		add_double(&s->text, *(const double *)at, PCT_DECIMALS);
		break;
	case METRIC_TEXT:
		add_text(&s->text, view_text(&s->view, m, row));
		break;
	case METRIC_BOOL:
		buf_adds(&s->text, *(const bool *)at ? "true" : "false");
		break;
	default:
		add_sources(&s->text, *(const uint32_t *)at);
		break;
	}
}

/* The row that a line has of each scope; NULL: its cells are empty. */
struct line {
	const void *rows[SCOPE_COUNT];
};

static void add_line(struct sink *s, const struct snapshot *snapshot, const char *record,
		     const char *scope, const struct line *line)
{
	add_time(&s->text, snapshot->time_ns);
	buf_printf(&s->text, ",%s,%s,%llu,%llu", record, scope,
		   (unsigned long long)snapshot->elapsed_ns,
		   (unsigned long long)snapshot->interval_ns);
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];
		int n = columns_of(s, m);

		if (n && line->rows[m->scope])
			add_member(s, m, line->rows[m->scope]);
		else
			for (; n > 0; n--)
				buf_addc(&s->text, ',');
	}
	for (size_t i = 0; i < ARRAY_SIZE(alert_columns); i++)
		buf_addc(&s->text, ',');
	buf_addc(&s->text, '\n');
}

static int write_snapshot(struct sink *s, const struct snapshot *snapshot, const char *record,
			  bool whole)
{
	int err = view_select(&s->view, snapshot, whole);
	struct line line = { 0 };

	if (err)
		return err;
	buf_reset(&s->text);
	line.rows[SCOPE_SYSTEM] = &snapshot->system;
	line.rows[SCOPE_TRUST] = &s->view.trust;
	line.rows[SCOPE_SELF] = &snapshot->self;
	add_line(s, snapshot, record, "system", &line);
	for (size_t i = 0; i < snapshot->n_devices; i++) {
		line = (struct line){ .rows[SCOPE_DEVICE] = &snapshot->devices[i] };
		add_line(s, snapshot, record, "device", &line);
	}
	for (size_t i = 0; i < snapshot->n_interfaces; i++) {
		line = (struct line){ .rows[SCOPE_INTERFACE] = &snapshot->interfaces[i] };
		add_line(s, snapshot, record, "interface", &line);
	}
	for (size_t i = 0; i < s->view.rows.n_shown; i++) {
		line = (struct line){ .rows[SCOPE_PROCESS] = s->view.rows.shown[i] };
		add_line(s, snapshot, record, "process", &line);
	}
	return flush(s);
}

static int csv_sink_sample(struct sink *s, const struct snapshot *snapshot)
{
	return write_snapshot(s, snapshot, "sample", false);
}

static int csv_sink_summary(struct sink *s, const struct record_summary *summary)
{
	return write_snapshot(s, summary->whole, "summary", true);
}

/* "pid comm value; …": who contributed most, the largest first. */
static void add_culprits(struct sink *s, const struct record_alert *a)
{
	struct buf *out = &s->scratch;

	buf_reset(out);
	for (size_t i = 0; i < a->n_culprits; i++) {
		const char *comm = view_name(&s->view, "comm", a->culprits[i].comm);

		buf_printf(out, "%s%llu %s ", i ? "; " : "", (unsigned long long)a->culprits[i].pid,
			   comm ? comm : "?");
		add_double(out, a->culprits[i].value, VALUE_DECIMALS);
	}
	add_text(&s->text, buf_str(out));
}

static int csv_sink_alert(struct sink *s, const struct record_alert *a)
{
	struct buf *out = &s->text;

	buf_reset(out);
	add_time(out, a->time_ns);
	buf_adds(out, ",alert,alert,,");
	for (size_t i = 0; i < metric_count; i++)
		for (int n = columns_of(s, &metrics[i]); n > 0; n--)
			buf_addc(out, ',');
	buf_addc(out, ',');
	add_text(out, view_path(&s->view, a->rule, &s->scratch));
	buf_printf(out, ",%s,", alert_state_name(a->state));
	add_text(out, view_path(&s->view, a->metric, &s->scratch));
	buf_addc(out, ',');
	add_double(out, a->value, VALUE_DECIMALS);
	buf_addc(out, ',');
	add_double(out, a->threshold, VALUE_DECIMALS);
	buf_addc(out, ',');
	add_time(out, a->since_ns);
	buf_addc(out, ',');
	if (a->has_process)
		buf_addu(out, a->pid);
	buf_addc(out, ',');
	if (a->has_process)
		add_text(out, view_name(&s->view, "comm", a->comm));
	buf_addc(out, ',');
	add_text(out, a->row);
	buf_addc(out, ',');
	add_text(out, a->reason);
	buf_addc(out, ',');
	add_culprits(s, a);
	buf_addc(out, '\n');
	return flush(s);
}

const struct sink_ops csv_sink = {
	.name = "csv",
	.open = csv_sink_open,
	.header = csv_sink_header,
	.sample = csv_sink_sample,
	.alert = csv_sink_alert,
	.summary = csv_sink_summary,
	.close = csv_sink_close,
};
