// SPDX-License-Identifier: BSD-2-Clause
/* Replay: what the JSON sink wrote comes back the same, and nothing else is taken. */
#include "suite.h"

#include "base/clock.h"
#include "export/replay.h"
#include "export_sample.h"

/* Opens the captured text as a file. */
static struct replay *replay_capture(const struct capture *c)
{
	struct replay *r;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", c->output.fd);
	ck_assert_int_eq(replay_open(path, &r), 0);
	return r;
}

static struct replay *replay_text(struct capture *c, const char *text, size_t len)
{
	capture_open(c);
	ck_assert_int_eq(output_write(&c->output, text, len), 0);
	return replay_capture(c);
}

static void write_run(struct sink *sink, uint64_t seed, size_t n)
{
	struct record_header header = sample_header();
	struct record_alert alert = sample_alert(),
			    plain = { .rule = "r", .metric = "m", .value = NAN };
	struct snapshot *s = NULL;

	ck_assert_int_eq(json_sink.header(sink, &header), 0);
	ck_assert_int_eq(json_sink.alert(sink, &alert), 0);
	ck_assert_int_eq(json_sink.alert(sink, &plain), 0);
	for (int i = 0; i < 5; i++) {
		snapshot_free(s);
		s = sample_new(seed + i, n);
		ck_assert_int_eq(json_sink.sample(sink, s), 0);
	}
	ck_assert_int_eq(json_sink.summary(sink, &(struct record_summary){ 5, 5000000000, 1, s }), 0);
	snapshot_free(s);
}

/* Writes every record of `from` as JSON to `to`. */
static void copy_run(const struct capture *from, struct capture *to,
		     const struct sink_options *options)
{
	struct replay *r = replay_capture(from);
	struct replay_record record;
	struct sink *sink;

	capture_open(to);
	ck_assert_int_eq(json_sink.open(options, &to->output, &sink), 0);
	do {
		int err = replay_next(r, &record);

		ck_assert_msg(err == 0, "%d: %s", err, replay_error(r));
		if (record.kind == REPLAY_HEADER)
			err = json_sink.header(sink, record.header);
		else if (record.kind == REPLAY_SAMPLE)
			err = json_sink.sample(sink, record.sample);
		else if (record.kind == REPLAY_ALERT)
			err = json_sink.alert(sink, record.alert);
		else if (record.kind == REPLAY_SUMMARY)
			err = json_sink.summary(sink, record.summary);
		ck_assert_int_eq(err, 0);
	} while (record.kind != REPLAY_END);
	json_sink.close(sink);
	replay_close(r);
}

static void check_same(const struct sink_options *options, uint64_t seed, size_t n)
{
	struct capture first, second;
	struct sink *sink;

	capture_open(&first);
	ck_assert_int_eq(json_sink.open(options, &first.output, &sink), 0);
	write_run(sink, seed, n);
	json_sink.close(sink);
	copy_run(&first, &second, options);
	check_texts(capture_text(&first), capture_text(&second));
	ck_assert_int_eq(first.text.len, second.text.len);
	capture_release(&first);
	capture_release(&second);
}

START_TEST(a_run_is_the_same_again)
{
	for (uint64_t seed = 1; seed < 40; seed++) {
		check_same(&(struct sink_options){ .cmdline = true }, seed, seed);
		check_same(&(struct sink_options){ .cmdline = true, .histograms = true }, seed, seed);
		check_same(&(struct sink_options){ .sort = "runq.p99" }, seed, 10);
	}
	check_same(&(struct sink_options){ .histograms = true }, 1, 3000);
}
END_TEST

START_TEST(buckets_are_dropped_unless_asked_for)
{
	struct sink_options plain = { 0 }, histograms = { .histograms = true };
	struct capture rich, poor, direct;
	struct sink *sink;

	capture_open(&rich);
	ck_assert_int_eq(json_sink.open(&histograms, &rich.output, &sink), 0);
	write_run(sink, 7, 20);
	json_sink.close(sink);
	capture_open(&direct);
	ck_assert_int_eq(json_sink.open(&plain, &direct.output, &sink), 0);
	write_run(sink, 7, 20);
	json_sink.close(sink);
	copy_run(&rich, &poor, &plain);
	check_texts(capture_text(&poor), capture_text(&direct));
	ck_assert_ptr_nonnull(strstr(capture_text(&rich), "\"buckets\""));
	ck_assert_ptr_null(strstr(capture_text(&poor), "\"buckets\""));
	capture_release(&rich);
	capture_release(&poor);
	capture_release(&direct);
}
END_TEST

/* A sample around one process row or one system member. */
#define SAMPLE(system, process)                                                                          \
	"{\"type\":\"sample\",\"time\":\"2026-01-01T00:00:00.000Z\",\"elapsed_ns\":1,\"interval_ns\":1," \
	"\"system\":{" system "},\"processes\":[" process                                                \
	"],\"trust\":{\"events\":0,\"lost\":0,\"map_full\":0,"                                           \
	"\"discarded\":0,\"unattributed\":0,\"rows_hidden\":0,\"shed\":[],\"complete\":true},"           \
	"\"self\":{\"cpu_ns\":0,\"bpf_ns\":null,\"rss_bytes\":0,\"map_bytes\":null}}\n"
#define DIST(rest) SAMPLE("\"sched\":{\"runq\":{" rest "}}", "")

START_TEST(percentiles_without_buckets_are_of_use)
{
	static const char text[] = DIST(
		"\"count\":10,\"sum_ns\":100,\"min_ns\":1,\"max_ns\":50,\"p50_ns\":9,\"p99_ns\":49");
	struct capture c;
	struct replay *r = replay_text(&c, text, strlen(text));
	struct replay_record record;
	enum dist_part part;
	const struct metric *m = metric_find("system.sched.runq.p99", 21, &part);
	struct dist twice = { 0 };
	double value;

	ck_assert_int_eq(replay_next(r, &record), 0);
	ck_assert(metric_value(m, &record.sample->system, part, &value));
	ck_assert_double_eq(value, 49);
	ck_assert(!metric_value(m, &record.sample->system, PART_P90, &value));
	/* Merged, the sums are right and the percentiles unknown: nothing is made up. */
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(dist_merge(&twice, &record.sample->system.runq), 0);
	ck_assert_int_eq(twice.count, 20);
	ck_assert_int_eq(twice.sum, 200);
	ck_assert_int_eq(twice.max, 50);
	ck_assert_uint_eq(dist_percentile(&twice, 0.99), DIST_UNKNOWN);
	dist_release(&twice);
	replay_close(r);
	capture_release(&c);
}
END_TEST

static const struct {
	const char *text, *error; /* NULL: accepted */
} lines[] = {
	{ SAMPLE("", ""), NULL },
	{ SAMPLE("\"news\":[{}]", "{\"pid\":1,\"news\":1}"), NULL },
	{ "{\"type\":\"of tomorrow\"}\n", NULL },
	{ "\n\n" SAMPLE("", ""), NULL },
	{ DIST("\"count\":0,\"sum_ns\":0,\"min_ns\":null,\"max_ns\":null"), NULL },
	{ DIST("\"count\":3,\"sum_ns\":9,\"min_ns\":1,\"max_ns\":5,\"buckets\":[[1,2],[5,1]]"), NULL },
	{ "{\"type\":\"sample\"}\n", ":1: system is missing, or not an object" },
	{ "{\"type\":\"sam", ":1: the line is cut off" },
	{ "{\"type\":\"of tomorrow\"}\n\n{]\n", ":3: not JSON: " },
	{ "{\"a\":1,\"a\":2}\n", ":1: not JSON: duplicate object key" },
	{ "[1]\n", ":1: not an object" },
	{ "{\"foo\":1}\n", ":1: no record of mbtrace monitor" },
	{ "{\"type\":7}\n", ":1: no record of mbtrace monitor" },
	{ "{\"type\":\"a\x1b[2J\n", "" },
	{ SAMPLE("", "7"), "process is missing, or not an object" },
	{ SAMPLE("", "{}"), "process[0].pid is missing" },
	{ SAMPLE("", "{\"pid\":null}"), "process[0].pid is missing" },
	{ SAMPLE("", "{\"pid\":1},{\"pid\":-1}"), "process[1].pid is not a whole number" },
	{ SAMPLE("", "{\"pid\":1.0}"), "process[0].pid is not a whole number" },
	{ SAMPLE("", "{\"pid\":9223372036854775808}"), "not JSON: too big integer" },
	{ SAMPLE("", "{\"pid\":1,\"residual_ns\":\"x\"}"),
	  "process[0].residual_ns is not a whole number" },
	{ SAMPLE("", "{\"pid\":1,\"cpu_pct\":\"x\"}"),
	  "process[0].cpu_pct is neither a number nor null" },
	{ SAMPLE("", "{\"pid\":1,\"cpu_pct\":1e999}"), "not JSON" },
	{ SAMPLE("", "{\"pid\":1,\"comm\":1}"), "process[0].comm is neither a text nor null" },
	{ SAMPLE("", "{\"pid\":1,\"comm\":\"a\\u0000b\"}"), "not JSON" },
	{ SAMPLE("\"cpu\":1", ""), "cpu of system is not an object" },
	{ SAMPLE("\"memory\":{\"pressure\":[]}", ""), "pressure of system is not an object" },
	{ SAMPLE("\"block\":{\"devices\":{}}", ""), "the list of system.block.devices is missing" },
	{ SAMPLE("\"block\":{\"devices\":[{}]}", ""), "system.block.devices[0].dev is missing" },
	{ SAMPLE("\"sched\":{\"runq\":5}", ""), "system.sched.runq is not a distribution" },
	{ DIST("\"count\":1"), "system.sched.runq has no count or no sum" },
	{ DIST("\"count\":1,\"sum_ns\":1,\"min_ns\":2,\"max_ns\":1"), "has no sound min and max" },
	{ DIST("\"count\":1,\"sum_ns\":1"), "has no sound min and max" },
	{ DIST("\"count\":1,\"sum_ns\":-1"), "runq.sum_ns is not a whole number" },
	{ DIST("\"count\":2,\"sum_ns\":9,\"min_ns\":1,\"max_ns\":5,\"buckets\":[[1,1]]"),
	  "other than count values" },
	{ DIST("\"count\":2,\"sum_ns\":9,\"min_ns\":1,\"max_ns\":5,\"buckets\":[1,1]"),
	  "not [upper, count]" },
	{ DIST("\"count\":2,\"sum_ns\":9,\"min_ns\":1,\"max_ns\":5,\"buckets\":[[5,1],[1,1]]"),
	  "out of order" },
	{ DIST("\"count\":1,\"sum_ns\":9,\"min_ns\":1,\"max_ns\":5,\"buckets\":[[32,1]]"),
	  "at no bin's end" },
	{ DIST("\"count\":1,\"sum_ns\":9,\"min_ns\":1,\"max_ns\":5,\"buckets\":7"), "is not a list" },
	{ DIST("\"count\":0,\"sum_ns\":9,\"buckets\":[[1,9223372036854775807],[3,9223372036854775807]]"),
	  "than can be counted" },
	{ "{\"type\":\"header\",\"schema\":2}\n", "written by a newer mbtrace" },
	{ "{\"type\":\"header\",\"schema\":1,\"interval_ns\":1,\"host\":{}}\n",
	  "host.cpus is not a whole number" },
	{ "{\"type\":\"alert\",\"time\":\"noon\"}\n", "time is not a time" },
	{ "{\"type\":\"alert\",\"time\":null,\"since\":null,\"rule\":\"r\",\"metric\":\"m\",\"state\":\"mad\"}\n",
	  "state is none of an alert" },
};

START_TEST(hostile_lines_are_refused)
{
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct capture c;
		struct replay *r = replay_text(&c, lines[i].text, strlen(lines[i].text));
		struct replay_record record = { .kind = REPLAY_SAMPLE };
		int err = 0;

		while (!err && record.kind != REPLAY_END)
			err = replay_next(r, &record);
		if (lines[i].error) {
			ck_assert_msg(err == -EBADMSG && strstr(replay_error(r), lines[i].error),
				      "%s: %d %s", lines[i].text, err, replay_error(r));
			ck_assert_ptr_null(strchr(replay_error(r), '\x1b'));
		} else {
			ck_assert_msg(!err, "%s: %d %s", lines[i].text, err, replay_error(r));
		}
		replay_close(r);
		capture_release(&c);
	}
}
END_TEST

START_TEST(every_prefix_of_a_line_is_refused)
{
	static const char text[] = SAMPLE("\"cpu\":{\"util_pct\":1.5}", "{\"pid\":1}");

	for (size_t len = 1; len + 1 < strlen(text); len++) {
		struct capture c;
		struct replay *r = replay_text(&c, text, len);
		struct replay_record record;

		ck_assert_int_eq(replay_next(r, &record), -EBADMSG);
		ck_assert_ptr_nonnull(strstr(replay_error(r), ":1: "));
		replay_close(r);
		capture_release(&c);
	}
}
END_TEST

START_TEST(a_line_without_end_is_refused)
{
	char zeros[1 << 16];
	struct replay_record record;
	struct capture c;
	struct replay *r;

	capture_open(&c);
	memset(zeros, ' ', sizeof(zeros));
	for (size_t i = 0; i <= REPLAY_MAX_LINE / sizeof(zeros) + 1; i++)
		ck_assert_int_eq(output_write(&c.output, zeros, sizeof(zeros)), 0);
	r = replay_capture(&c);
	ck_assert_int_eq(replay_next(r, &record), -EBADMSG);
	ck_assert_ptr_nonnull(strstr(replay_error(r), ":1: the line is longer than 64 MiB"));
	replay_close(r);
	capture_release(&c);
}
END_TEST

START_TEST(files_that_cannot_be_read)
{
	struct replay *r = NULL;
	struct replay_record record;

	ck_assert_int_eq(replay_open("/nonexistent/file", &r), -ENOENT);
	ck_assert_int_eq(replay_open("/", &r), 0);
	ck_assert_int_eq(replay_next(r, &record), -EISDIR);
	replay_close(r);
	ck_assert_int_eq(replay_open("/dev/null", &r), 0);
	ck_assert_int_eq(replay_next(r, &record), 0);
	ck_assert_int_eq(record.kind, REPLAY_END);
	replay_close(r);
	replay_close(NULL);
}
END_TEST

SUITE("replay", a_run_is_the_same_again, buckets_are_dropped_unless_asked_for,
      percentiles_without_buckets_are_of_use, hostile_lines_are_refused,
      every_prefix_of_a_line_is_refused, a_line_without_end_is_refused, files_that_cannot_be_read)
