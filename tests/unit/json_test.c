// SPDX-License-Identifier: BSD-2-Clause
/* The JSON Lines sink: which rows and members there are, what is null, what is hidden. */
#include "suite.h"

#include <jansson.h>

#include "base/utf8.h"
#include "export/redact.h"
#include "export/rows.h"
#include "export_sample.h"

/* The one record that `write` makes with the sink, parsed. */
static json_t *written(const struct sink_options *options, const struct snapshot *s)
{
	struct capture c;
	struct sink *sink;
	json_t *root;

	capture_open(&c);
	ck_assert_int_eq(json_sink.open(options, &c.output, &sink), 0);
	ck_assert_int_eq(json_sink.sample(sink, s), 0);
	root = json_loads(capture_text(&c), 0, NULL);
	ck_assert_ptr_nonnull(root);
	json_sink.close(sink);
	capture_release(&c);
	return root;
}

/* "a.b.0.c" below root: numbers index lists. NULL if it is not there. */
static const json_t *at(const json_t *root, const char *path)
{
	char text[128], *part = text, *dot;

	snprintf(text, sizeof(text), "%s", path);
	do {
		dot = strchr(part, '.');
		if (dot)
			*dot = 0;
		root = json_is_array(root) ? json_array_get(root, strtoul(part, NULL, 10)) :
					     json_object_get(root, part);
		part = dot + 1;
	} while (dot);
	return root;
}

static long long number(const json_t *root, const char *path)
{
	const json_t *value = at(root, path);

	ck_assert_msg(json_is_integer(value), "%s", path);
	return json_integer_value(value);
}

static struct snapshot *small(void)
{
	struct snapshot *s = snapshot_new();

	s->time_ns = 1700000000000000000ull;
	s->interval_ns = 1000000000;
	for (int i = 0; i < 5; i++) {
		struct process_metrics *p = snapshot_add_process(s);

		p->pid = 10 + i;
		p->comm = i % 2 ? "odd" : "even";
		p->cgroup = "/secret.slice";
		p->cmdline = "secret --password=x";
		p->cpu_ns = i == 2 ? METRIC_NULL : (uint64_t)i * 100;
		p->cpu_pct = i / 3.0;
		p->idle = i == 4;
	}
	s->trust.rows_hidden = 7;
	return s;
}

START_TEST(rows_are_sorted_and_hidden_ones_counted)
{
	struct snapshot *s = small();
	json_t *all = written(&(struct sink_options){ 0 }, s);
	json_t *two = written(&(struct sink_options){ .top = 2, .sort = "pid" }, s);

	ck_assert_uint_eq(json_array_size(at(all, "processes")), 4); /* one is idle */
	ck_assert_int_eq(number(all, "processes.0.pid"), 13);
	ck_assert_int_eq(number(all, "processes.1.pid"), 11);
	ck_assert_int_eq(number(all, "processes.2.pid"), 10);
	ck_assert_int_eq(number(all, "processes.3.pid"), 12); /* not known: last */
	ck_assert_int_eq(number(all, "trust.rows_hidden"), 7);
	ck_assert_uint_eq(json_array_size(at(two, "processes")), 2);
	ck_assert_int_eq(number(two, "processes.0.pid"), 10);
	ck_assert_int_eq(number(two, "trust.rows_hidden"), 9);
	ck_assert_uint_eq(s->trust.rows_hidden, 7); /* the snapshot is only read */
	json_decref(all);
	json_decref(two);
	snapshot_free(s);
}
END_TEST

START_TEST(what_is_not_known_is_null)
{
	struct snapshot *s = small();
	json_t *root;

	s->system.runq.known = true;
	root = written(&(struct sink_options){ .histograms = true }, s);
	ck_assert(json_is_null(at(root, "system.cpu.util_pct")));
	ck_assert(json_is_null(at(root, "system.memory.pressure.some_pct")));
	ck_assert(json_is_null(at(root, "system.fault.latency")));
	ck_assert(json_is_null(at(root, "system.sched.switches")));
	ck_assert(json_is_null(at(root, "processes.0.residual_ns")));
	ck_assert(json_is_null(at(root, "processes.0.state")));
	ck_assert_int_eq(number(root, "system.sched.runq.count"), 0);
	ck_assert(json_is_null(at(root, "system.sched.runq.p99_ns")));
	ck_assert_uint_eq(json_array_size(at(root, "system.sched.runq.buckets")), 0);
	ck_assert(json_is_array(at(root, "system.block.devices")));
	ck_assert(json_is_array(at(root, "system.net.interfaces")));
	ck_assert_ptr_null(at(root, "processes.0.cmdline")); /* not asked for */
	json_decref(root);
	snapshot_free(s);
}
END_TEST

START_TEST(names_are_hidden)
{
	struct sink_options options = { .redact = true, .cmdline = true };
	struct record_header header = sample_header();
	struct record_alert alert = sample_alert();
	struct snapshot *s = small();
	struct sink *sink;
	struct capture c;
	const char *text;

	for (size_t i = 0; i < s->n_processes; i++)
		s->processes[i].comm = "postgres";
	capture_open(&c);
	ck_assert_int_eq(json_sink.open(&options, &c.output, &sink), 0);
	alert.rule = "process[comm=postgres].cpu_pct > 90";
	ck_assert_int_eq(json_sink.header(sink, &header), 0);
	ck_assert_int_eq(json_sink.alert(sink, &alert), 0);
	ck_assert_int_eq(json_sink.sample(sink, s), 0);
	ck_assert_int_eq(json_sink.summary(sink, &(struct record_summary){ .whole = s }), 0);
	text = capture_text(&c);
	ck_assert_ptr_null(strstr(text, "postgres"));
	ck_assert_ptr_null(strstr(text, "secret"));
	ck_assert_ptr_null(strstr(text, "system.slice"));
	ck_assert_ptr_null(strstr(text, "\"box\""));
	ck_assert_ptr_nonnull(strstr(text, "process[comm=comm-1].cpu_pct > 90"));
	ck_assert_ptr_nonnull(strstr(text, "\"cgroup\":\"cgroup-2\""));
	ck_assert_ptr_nonnull(strstr(text, "\"row\":\"sda\"")); /* devices are no names */
	json_sink.close(sink);
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

START_TEST(pseudonyms_are_stable)
{
	static const struct {
		const char *path, *hidden;
	} paths[] = {
		{ "process[comm=b].cpu_pct", "process[comm=comm-2].cpu_pct" },
		{ "process[comm=\"b\", pid=7].cpu_pct", "process[comm=comm-2, pid=7].cpu_pct" },
		{ "process[pid=7,comm!=b].x", "process[pid=7,comm!=comm-2].x" },
		{ "process[comm=b*].x", "process[comm=[redacted]].x" },
		{ "process[cgroup = /x].x > 5", "process[cgroup = cgroup-1].x > 5" },
		{ "system.block.devices[dev=sda].reads", "system.block.devices[dev=sda].reads" },
		{ "process[comm=", "process[comm=" },
		{ "process[comm=a", "process[comm=comm-1" },
		{ "[[comm=a]]", "[[comm=a]]" },
		{ "plain", "plain" },
		{ "", "" },
	};
	struct redact *r = redact_new();
	char name[16];

	ck_assert_str_eq(redact_text(r, "comm", "a"), "comm-1");
	ck_assert_str_eq(redact_text(r, "comm", "b"), "comm-2");
	ck_assert_str_eq(redact_text(r, "comm", "a"), "comm-1");
	ck_assert_str_eq(redact_text(r, "cgroup", "/x"), "cgroup-1");
	ck_assert_str_eq(redact_text(r, "cmdline", "a"), "[redacted]");
	ck_assert_str_eq(redact_text(r, "state", "running"), "running");
	ck_assert_ptr_null(redact_text(r, "comm", NULL));
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct buf out = BUF_INIT;

		redact_path(r, paths[i].path, &out);
		ck_assert_str_eq(buf_str(&out), paths[i].hidden);
		buf_release(&out);
	}
	for (int i = 0; i < REDACT_MAX_NAMES; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		redact_text(r, "comm", name);
	}
	ck_assert_str_eq(redact_text(r, "comm", "one too many"), "[redacted]");
	ck_assert_str_eq(redact_text(r, "comm", "b"), "comm-2");
	redact_free(r);
}
END_TEST

START_TEST(sort_keys)
{
	struct rows_key key;
	const char *name;

	for (size_t i = 0; (name = rows_key_name(NULL, i)); i++)
		ck_assert_msg(rows_key_parse(name, &key) == 0, "%s", name);
	ck_assert_int_eq(rows_key_parse("cpu", &key), 0);
	ck_assert_str_eq(key.metric->name, "cpu_ns");
	ck_assert_int_eq(rows_key_parse("comm", &key), 0);
	ck_assert_int_eq(rows_key_parse("io_latency.p999_ns", &key), 0);
	ck_assert_int_eq(key.part, PART_P999);
	ck_assert_int_eq(rows_key_parse("", &key), -EINVAL);
	ck_assert_int_eq(rows_key_parse("cpu_nss", &key), -EINVAL);
	ck_assert_int_eq(rows_key_parse("io_latency.p98", &key), -EINVAL);
	ck_assert_int_eq(rows_key_parse("io_latency", &key), 0);
	ck_assert_int_eq(key.part, PART_P99);
}
END_TEST

START_TEST(utf8_is_only_what_the_standard_allows)
{
	static const struct {
		const char *text;
		size_t len;
	} cases[] = {
		{ "a", 1 },
		{ "\x7f", 1 },
		{ "\xc2\x80", 2 },
		{ "\xdf\xbf", 2 },
		{ "\xe0\xa0\x80", 3 },
		{ "\xed\x9f\xbf", 3 },
		{ "\xef\xbf\xbf", 3 },
		{ "\xf0\x90\x80\x80", 4 },
		{ "\xf4\x8f\xbf\xbf", 4 },
		{ "\x80", 0 },
		{ "\xc0\x80", 0 },
		{ "\xc1\xbf", 0 },
		{ "\xe0\x9f\xbf", 0 },
		{ "\xed\xa0\x80", 0 },
		{ "\xf0\x8f\xbf\xbf", 0 },
		{ "\xf4\x90\x80\x80", 0 },
		{ "\xf5\x80\x80\x80", 0 },
		{ "\xff", 0 },
		{ "\xe2\x82", 0 },
		{ "\xc3"
		  "a",
		  0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_msg(utf8_len(cases[i].text, strlen(cases[i].text)) == cases[i].len,
			      "case %zu", i);
}
END_TEST

START_TEST(numbers_have_a_point_and_no_idle_zeros)
{
	static const struct {
		double value;
		int decimals;
		const char *text;
	} cases[] = {
		{ 0, 3, "0" },
		{ -0.0001, 3, "0" },
		{ 1.5, 3, "1.5" },
		{ -1.25, 1, "-1.3" },
		{ 99.9996, 3, "100" },
		{ 0.001, 3, "0.001" },
		{ 1e15, 3, "1e+15" },
		{ 123456789, 9, "123456789" },
		{ 0.5, 0, "1" },
		{ 1e300, 2, "1e+300" },
		{ 2000000.125, 3, "2000000.125" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf b = BUF_INIT;

		buf_addf(&b, cases[i].value, cases[i].decimals);
		ck_assert_double_eq(strtod(buf_str(&b), NULL), strtod(cases[i].text, NULL));
		ck_assert(cases[i].value >= 1e15 || strcmp(buf_str(&b), cases[i].text) == 0);
		buf_release(&b);
	}
}
END_TEST

SUITE("json", utf8_is_only_what_the_standard_allows, numbers_have_a_point_and_no_idle_zeros,
      rows_are_sorted_and_hidden_ones_counted, what_is_not_known_is_null, names_are_hidden,
      pseudonyms_are_stable, sort_keys)
