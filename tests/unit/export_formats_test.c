// SPDX-License-Identifier: BSD-2-Clause
/*
 * CSV and OpenMetrics, and what they are made with. Whether others can read them is tested with others' parsers, in
 * tests/cli/output.sh.
 */
#include "suite.h"

#include "base/clock.h"
#include "export/firing.h"
#include "export/layout.h"
#include "export/tally.h"
#include "export_sample.h"

static struct snapshot *simple(void)
{
	struct snapshot *s = snapshot_new();
	struct process_metrics *p = snapshot_add_process(s);

	s->time_ns = 1700000000500000000ull;
	s->interval_ns = NSEC_PER_SEC;
	p->pid = 7;
	p->start_ns = 70;
	p->comm = "a\"b\\c\nd\x1b";
	p->cpu_ns = 250000000;
	p->residual_ns = -5;
	p->rss_bytes = 4096;
	p->runq.known = true;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(dist_add(&p->runq, 1000 << i), 0);
	s->system.cpu_util_pct = 37.5;
	s->system.switches = 100;
	s->system.runq.known = true;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(dist_add(&s->system.runq, 1000 << i), 0);
	return s;
}

static const char *render(struct capture *c, const struct sink_ops *ops,
			  const struct sink_options *options, const struct snapshot *s, int times)
{
	struct sink *sink;

	capture_open(c);
	ck_assert_int_eq(ops->open(options, &c->output, &sink), 0);
	for (int i = 0; i < times; i++)
		ck_assert_int_eq(ops->sample(sink, s), 0);
	ops->close(sink);
	return capture_text(c);
}

#define HAS(text, part) \
	ck_assert_msg(strstr(text, part) != NULL, "no \"%s\" in %.4000s", part, text)

START_TEST(counters_go_on_and_gauges_do_not)
{
	struct snapshot *s = simple();
	struct capture c;
	const char *text = render(&c, &openmetrics_sink, &(struct sink_options){ 0 }, s, 3);
	const char *last = strstr(strstr(text, "# EOF\n") + 1, "# EOF\n");

	HAS(text, "\nmbtrace_context_switches_total 100\n");
	HAS(last, "\nmbtrace_context_switches_total 300\n");
	HAS(last, "\nmbtrace_cpu_utilization_ratio 0.375\n");
	HAS(last,
	    "mbtrace_process_cpu_seconds_total{pid=\"7\",comm=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\"} 0.75\n");
	HAS(last, "} 4096\n");
	HAS(last, "} -0.000000015\n");
	HAS(last, "\nmbtrace_runqueue_wait_seconds_bucket{le=\"0.000001024\"} 3\n");
	HAS(last, "\nmbtrace_runqueue_wait_seconds_bucket{le=\"0.000002048\"} 6\n");
	HAS(last, "\nmbtrace_runqueue_wait_seconds_bucket{le=\"0.000004096\"} 9\n");
	HAS(last, "\nmbtrace_runqueue_wait_seconds_bucket{le=\"+Inf\"} 9\n");
	HAS(last, "\nmbtrace_runqueue_wait_seconds_sum 0.000021\n");
	/* What was not measured is not there. */
	ck_assert_ptr_null(strstr(text, "mbtrace_tcp_opened"));
	ck_assert_str_eq(text + strlen(text) - 7, "\n# EOF\n");
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

START_TEST(a_file_holds_the_last_exposition)
{
	struct snapshot *s = simple();
	struct record_summary summary = { .whole = s };
	char folder[] = "/tmp/mbtrace-test-XXXXXX", path[64];
	struct sink_options options = { 0 };
	struct buf text = BUF_INIT;
	struct output o;
	struct sink *sink;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/mbtrace.prom", folder);
	ck_assert_int_eq(output_open(&o, path), 0);
	ck_assert_int_eq(openmetrics_sink.open(&options, &o, &sink), 0);
	for (int i = 1; i <= 3; i++) {
		char line[64];

		ck_assert_int_eq(openmetrics_sink.sample(sink, s), 0);
		ck_assert_int_eq(file_read(path, &text, 1 << 20), 0);
		snprintf(line, sizeof(line), "\nmbtrace_context_switches_total %d\n", 100 * i);
		HAS(buf_str(&text), line);
		ck_assert_ptr_eq(strstr(buf_str(&text), "# EOF"), buf_str(&text) + text.len - 6);
	}
	ck_assert_int_eq(openmetrics_sink.summary(sink, &summary), 0);
	openmetrics_sink.close(sink);
	ck_assert_int_eq(output_commit(&o), 0);
	ck_assert_int_eq(file_read(path, &text, 1 << 20), 0);
	HAS(buf_str(&text), "\nmbtrace_context_switches_total 300\n");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rmdir(folder), 0); /* nothing else was left */
	buf_release(&text);
	snapshot_free(s);
}
END_TEST

START_TEST(a_pid_met_twice_is_exposed_once)
{
	struct snapshot *s = simple();
	struct process_metrics *p = snapshot_add_process(s);
	struct capture c;
	const char *text;

	p->pid = 7;
	p->start_ns = 80;
	p->comm = "young";
	p->cpu_ns = 1;
	text = render(&c, &openmetrics_sink, &(struct sink_options){ 0 }, s, 1);
	HAS(text, "mbtrace_process_cpu_seconds_total{pid=\"7\",comm=\"young\"} 0.000000001\n");
	ck_assert_ptr_null(strstr(text, "0.25\n"));
	HAS(text, "\nmbtrace_rows_hidden 1\n");
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

START_TEST(histograms_of_processes_are_asked_for)
{
	struct snapshot *s = simple();
	struct capture c;
	const char *text = render(&c, &openmetrics_sink, &(struct sink_options){ 0 }, s, 2);

	HAS(text, "# TYPE mbtrace_process_runqueue_seconds summary\n");
	HAS(text, ",quantile=\"0.99\"} 0.00000");
	ck_assert_ptr_null(strstr(text, "mbtrace_process_runqueue_seconds_bucket"));
	capture_release(&c);
	text = render(&c, &openmetrics_sink, &(struct sink_options){ .histograms = true }, s, 2);
	HAS(text, "# TYPE mbtrace_process_runqueue_seconds histogram\n");
	HAS(text, ",le=\"+Inf\"} 6\n");
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

START_TEST(totals_outlive_absence_but_not_the_process)
{
	struct snapshot *s = simple();
	struct process_metrics *p = &s->processes[0];
	struct tally t = { 0 };
	const struct process_metrics *totals = NULL;

	for (int i = 0; i < 2; i++) {
		tally_advance(&t);
		totals = tally_add(&t, SCOPE_PROCESS, p);
	}
	ck_assert_uint_eq(totals->cpu_ns, 500000000);
	ck_assert_uint_eq(totals->runq.count, 6);
	for (int i = 0; i < TALLY_KEEP - 1; i++)
		tally_advance(&t);
	totals = tally_add(&t, SCOPE_PROCESS, p);
	ck_assert_uint_eq(totals->cpu_ns, 750000000);
	/* Another process of the same pid is another row. */
	p->start_ns++;
	totals = tally_add(&t, SCOPE_PROCESS, p);
	ck_assert_uint_eq(totals->cpu_ns, 250000000);
	ck_assert_uint_eq(t.rows.count, 2);
	p->state = "exited";
	tally_add(&t, SCOPE_PROCESS, p);
	tally_advance(&t);
	ck_assert_uint_eq(t.rows.count, 1);
	for (int i = 0; i <= TALLY_KEEP; i++)
		tally_advance(&t);
	ck_assert_uint_eq(t.rows.count, 0);
	tally_release(&t);
	snapshot_free(s);
}
END_TEST

START_TEST(alerts_fire_until_they_end)
{
	struct record_alert a = sample_alert(), other = sample_alert(), pending = sample_alert();
	struct firing f = { 0 };

	pending.state = ALERT_PENDING;
	ck_assert_int_eq(firing_update(&f, &pending), 0);
	ck_assert_uint_eq(f.n, 0);
	ck_assert_int_eq(firing_update(&f, &a), 0);
	other.pid++;
	ck_assert_int_eq(firing_update(&f, &other), 0);
	a.value = 99;
	ck_assert_int_eq(firing_update(&f, &a), 0);
	ck_assert_uint_eq(f.n, 2);
	ck_assert_double_eq(f.alerts[0].value, 99);
	firing_sweep(&f);
	ck_assert_uint_eq(f.n, 2);
	a.state = ALERT_RESOLVED;
	ck_assert_int_eq(firing_update(&f, &a), 0);
	ck_assert_uint_eq(f.n, 2); /* shown once more */
	firing_sweep(&f);
	ck_assert_uint_eq(f.n, 1);
	ck_assert_uint_eq(f.alerts[0].pid, other.pid);
	ck_assert_int_eq(firing_update(&f, &a), 0); /* resolved without having fired */
	ck_assert_uint_eq(f.n, 1);
	firing_release(&f);
}
END_TEST

START_TEST(alerts_are_exposed)
{
	struct sink_options options = { 0 };
	struct record_alert a = sample_alert();
	struct snapshot *s = simple();
	struct capture c;
	struct sink *sink;

	capture_open(&c);
	a.rule = "\"hot\"\n";
	ck_assert_int_eq(openmetrics_sink.open(&options, &c.output, &sink), 0);
	ck_assert_int_eq(openmetrics_sink.alert(sink, &a), 0);
	ck_assert_int_eq(openmetrics_sink.sample(sink, s), 0);
	HAS(capture_text(&c),
	    "\nmbtrace_alert_firing{rule=\"\\\"hot\\\"\\n\",pid=\"42\",comm=\"postgres\",row=\"sda\"} 1\n");
	a.state = ALERT_RESOLVED;
	ck_assert_int_eq(openmetrics_sink.alert(sink, &a), 0);
	ck_assert_int_eq(openmetrics_sink.sample(sink, s), 0);
	HAS(capture_text(&c), "row=\"sda\"} 0\n");
	openmetrics_sink.close(sink);
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

/* The fields of one CSV line, quotes taken off; returns what follows it. */
static const char *csv_line(const char *text, char fields[][64], size_t max, size_t *ret_n)
{
	size_t n = 0, len = 0;
	bool quoted = false;

	for (; *text && (quoted || *text != '\n'); text++) {
		if (*text == '"' && quoted && text[1] == '"')
			fields[n][len++] = *++text;
		else if (*text == '"')
			quoted = !quoted;
		else if (*text == ',' && !quoted)
			fields[n][len] = 0, n++, len = 0;
		else
			fields[n][len++] = *text;
		ck_assert(n < max && len < 64);
	}
	fields[n][len] = 0;
	*ret_n = n + 1;
	return *text ? text + 1 : text;
}

START_TEST(csv_is_one_table)
{
	static char names[300][64], fields[300][64];
	struct sink_options options = { .cmdline = true };
	struct record_header header = sample_header();
	struct record_alert alert = sample_alert();
	struct snapshot *s = simple();
	size_t n_names, n, lines = 0;
	struct capture c;
	struct sink *sink;
	const char *text;

	s->processes[0].cgroup = "=1+1";
	capture_open(&c);
	ck_assert_int_eq(csv_sink.open(&options, &c.output, &sink), 0);
	ck_assert_int_eq(csv_sink.header(sink, &header), 0);
	ck_assert_int_eq(csv_sink.alert(sink, &alert), 0);
	ck_assert_int_eq(csv_sink.sample(sink, s), 0);
	ck_assert_int_eq(csv_sink.summary(sink, &(struct record_summary){ .whole = s }), 0);
	csv_sink.close(sink);
	text = csv_line(capture_text(&c), names, 300, &n_names);
	for (; *text; lines++) {
		text = csv_line(text, fields, 300, &n);
		ck_assert_uint_eq(n, n_names);
		for (size_t i = 0; i < n; i++) {
			if (strcmp(fields[2], "process") != 0 && strncmp(names[i], "process.", 8) == 0)
				ck_assert_str_eq(fields[i], "");
			else if (strcmp(names[i], "process.comm") == 0)
				ck_assert_str_eq(fields[i], "a\"b\\c\nd\xef\xbf\xbd");
			else if (strcmp(names[i], "process.cgroup") == 0)
				ck_assert_str_eq(fields[i], "'=1+1");
			else if (strcmp(names[i], "process.residual_ns") == 0)
				ck_assert_str_eq(fields[i], "-5");
		}
	}
	ck_assert_uint_eq(lines, 5);
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

/* Every column but those of alerts is a path that a rule understands, if it is a number. */
START_TEST(csv_columns_are_paths)
{
	struct record_header header = sample_header();
	struct sink_options options = { 0 };
	struct capture c;
	struct sink *sink;
	enum dist_part part;
	size_t found = 0;
	char path[96];

	capture_open(&c);
	ck_assert_int_eq(csv_sink.open(&options, &c.output, &sink), 0);
	ck_assert_int_eq(csv_sink.header(sink, &header), 0);
	for (size_t i = 0; metric_path(i, path, sizeof(path)); i++) {
		const struct metric *m = metric_find(path, strlen(path), &part);
		char column[128];

		snprintf(column, sizeof(column), ",%s.%s%s%s,", metric_scopes[m->scope].prefix,
			 m->name, part == PART_NONE ? "" : ".",
			 part == PART_NONE ? "" : dist_part_name(part));
		HAS(capture_text(&c), column);
		found++;
	}
	ck_assert_uint_gt(found, 100);
	csv_sink.close(sink);
	capture_release(&c);
}
END_TEST

START_TEST(a_layout_has_each_member_once)
{
	struct layout l;

	ck_assert_int_eq(layout_init(&l, true), 0);
	for (size_t i = 0; i < metric_count; i++) {
		int scope = metrics[i].scope, seen = 0, depth = 0;

		for (size_t k = 0; k < l.n_steps[scope]; k++) {
			const struct layout_step *step = &l.steps[scope][k];

			seen += step->metric == &metrics[i];
			depth += (step->kind == LAYOUT_OPEN) - (step->kind == LAYOUT_CLOSE);
			ck_assert_int_ge(depth, 0);
		}
		ck_assert_int_eq(seen, 1);
		ck_assert_int_eq(depth, 0);
	}
	layout_release(&l);
}
END_TEST

SUITE("export", counters_go_on_and_gauges_do_not, a_file_holds_the_last_exposition,
      a_pid_met_twice_is_exposed_once, histograms_of_processes_are_asked_for,
      totals_outlive_absence_but_not_the_process, alerts_fire_until_they_end, alerts_are_exposed,
      csv_is_one_table, csv_columns_are_paths, a_layout_has_each_member_once)
