// SPDX-License-Identifier: BSD-2-Clause
/* The table for people: what it says, that it fits its window, and that no name gets at the terminal. */
#include "suite.h"

#include <pty.h>
#include <stdlib.h>
#include <termios.h>

#include "base/clock.h"
#include "export_sample.h"
#include "tui/columns.h"
#include "tui/figures.h"
#include "tui/table.h"

/* A machine with one process in each kind of trouble. */
static struct snapshot *troubled(void)
{
	static const struct {
		const char *comm, *state;
		unsigned int cpu, runq, disk, kernel; /* ms of a second */
	} rows[] = {
		{ "spinner", "running", 990, 10, 0, 0 },  { "crowded", "waiting", 500, 480, 0, 0 },
		{ "writer", "iowait", 100, 0, 800, 0 },	  { "locked", "blocked", 50, 0, 0, 900 },
		{ "lazy", "sleeping", 10, 1, 0, 0 },	  { "gone", "exited", 20, 0, 0, 0 },
		{ "server", "running", 1500, 100, 0, 0 },
	};
	struct snapshot *s = sample_new(3, 0);

	s->interval_ns = NSEC_PER_SEC;
	s->trust = (struct trust_metrics){ .events = 12345, .complete = true };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct process_metrics *p = snapshot_add_process(s);

		p->pid = 100 + i;
		p->comm = rows[i].comm;
		p->state = rows[i].state;
		p->cpu_ns = rows[i].cpu * NSEC_PER_MSEC;
		p->runq_ns = rows[i].runq * NSEC_PER_MSEC;
		p->iowait_ns = rows[i].disk * NSEC_PER_MSEC;
		p->blocked_ns = rows[i].kernel * NSEC_PER_MSEC;
		p->migrations = 1000 + i;
	}
	return s;
}

/* What the sink writes for some samples, after a header. The caller releases the capture. */
static const char *rendered(struct capture *c, const struct sink_options *options,
			    const struct snapshot *s)
{
	struct record_header header = sample_header();
	struct sink *sink;

	capture_open(c);
	ck_assert_int_eq(table_sink.open(options, &c->output, &sink), 0);
	ck_assert_int_eq(table_sink.header(sink, &header), 0);
	ck_assert_int_eq(table_sink.sample(sink, s), 0);
	table_sink.close(sink);
	return capture_text(c);
}

/* The line that has the text in it, up to its end. */
static const char *line_with(const char *all, const char *text)
{
	static char line[1024];
	const char *at = strstr(all, text), *end;

	ck_assert_msg(at != NULL, "no line has \"%s\"", text);
	while (at > all && at[-1] != '\n')
		at--;
	end = strchr(at, '\n');
	snprintf(line, sizeof(line), "%.*s", (int)(end - at), at);
	return line;
}

START_TEST(each_trouble_has_its_word)
{
	struct snapshot *s = troubled();
	const char *words[] = { "nothing", "cpu", "disk", "kernel", "events", "(exited)", "nothing" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		ck_assert_str_eq(columns_waits_for(&s->processes[i], s->interval_ns), words[i]);
	s->processes[0].cpu_ns = s->processes[0].runq_ns = s->processes[0].iowait_ns = METRIC_NULL;
	s->processes[0].blocked_ns = METRIC_NULL;
	ck_assert_str_eq(columns_waits_for(&s->processes[0], s->interval_ns), "-");
	snapshot_free(s);
}
END_TEST

START_TEST(time_goes_where_the_bar_says)
{
	struct snapshot *s = troubled();
	struct capture c;
	const char *text;

	setenv("COLUMNS", "80", 1);
	text = rendered(&c, &(struct sink_options){ 0 }, s);
	ck_assert_ptr_nonnull(strstr(line_with(text, " spinner "),
				     " 99.0   1.0   0.0   0.0 CCCCCCCCCCCC nothing"));
	ck_assert_ptr_nonnull(
		strstr(line_with(text, " crowded "), " 50.0  48.0   0.0   0.0 CCCCCCRRRRRR cpu"));
	ck_assert_ptr_nonnull(strstr(line_with(text, " writer "), " CDDDDDDDDDD. disk"));
	ck_assert_ptr_nonnull(strstr(line_with(text, " locked "), " CKKKKKKKKKK. kernel"));
	ck_assert_ptr_nonnull(strstr(line_with(text, " lazy "), " ............ events"));
	/* More than one thread's worth: the bar is all of it. */
	ck_assert_ptr_nonnull(strstr(line_with(text, " server "),
				     "150.0  10.0   0.0   0.0 CCCCCCCCCCCR nothing"));
	/* Sorted by CPU time. */
	ck_assert(strstr(text, " server ") < strstr(text, " spinner "));
	ck_assert(strstr(text, " spinner ") < strstr(text, " crowded "));
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

START_TEST(lines_fit_their_width)
{
	setenv("LC_ALL", "C", 1);
	for (unsigned int width = 20; width < 260; width++) {
		struct sink_options options = { .cmdline = width % 2,
						.sort = width % 3 ? NULL : "migrations" };
		struct snapshot *s = sample_new(width, 20);
		struct capture c;
		const char *line;
		char columns[16];

		snprintf(columns, sizeof(columns), "%u", width);
		setenv("COLUMNS", columns, 1);
		line = rendered(&c, &options, s);
		for (; *line; line = strchr(line, '\n') + 1) {
			ck_assert_msg(strcspn(line, "\n") <= width, "%u: %.*s", width,
				      (int)strcspn(line, "\n"), line);
			ck_assert(*line == '\n' || strchr(line, '\n')[-1] != ' ');
		}
		capture_release(&c);
		snapshot_free(s);
	}
}
END_TEST

START_TEST(a_narrow_table_keeps_what_matters)
{
	struct snapshot *s = troubled();
	struct capture c;
	const char *text;

	setenv("COLUMNS", "60", 1);
	text = rendered(&c, &(struct sink_options){ .sort = "migrations" }, s);
	text = line_with(text, "PID");
	ck_assert_ptr_nonnull(strstr(text, "COMMAND"));
	ck_assert_ptr_nonnull(strstr(text, "CPU%"));
	ck_assert_ptr_nonnull(strstr(text, "WAITS FOR"));
	ck_assert_ptr_nonnull(strstr(text, "migratio")); /* what rows are sorted by */
	ck_assert_ptr_null(strstr(text, "CGROUP"));
	capture_release(&c);
	setenv("COLUMNS", "240", 1);
	text = line_with(rendered(&c, &(struct sink_options){ .cmdline = true }, s), "PID");
	ck_assert_ptr_nonnull(strstr(text, "CGROUP"));
	ck_assert_ptr_nonnull(strstr(text, "COMMAND LINE"));
	ck_assert_ptr_null(strstr(text, "migratio"));
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

START_TEST(names_do_not_reach_the_terminal)
{
	static const char *const names[] = { "\x1b[2J",
					     "a\rb",
					     "\x9b"
					     "31m",
					     "new\nline",
					     "\x7f",
					     "bad\xff\xc3",
					     "\xe2\x80\xae"
					     "rtl",
					     "\x01\x02",
					     "e\xcc\x81" };
	struct snapshot *s = troubled();
	const char *locales[] = { "C", "C.UTF-8", "no_such_locale" };

	for (size_t l = 0; l < ARRAY_SIZE(locales); l++) {
		setenv("LC_ALL", locales[l], 1);
		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			struct capture c;

			s->processes[0].comm = names[i];
			s->devices[0].dev = names[i];
			for (const char *b = rendered(&c, &(struct sink_options){ 0 }, s); *b; b++)
				ck_assert_msg(*b == '\n' || (unsigned char)*b >= 0x20, "%zu: %#x",
					      i, *b);
			ck_assert_ptr_null(strstr(buf_str(&c.text), "\xe2\x80\xae"));
			ck_assert_ptr_null(strchr(buf_str(&c.text), '\x7f'));
			ck_assert(strcmp(locales[l], "C.UTF-8") == 0 ||
				  !strchr(buf_str(&c.text), '\xc2'));
			capture_release(&c);
		}
	}
	snapshot_free(s);
}
END_TEST

START_TEST(letters_beyond_ascii_need_the_locale)
{
	struct snapshot *s = troubled();
	struct capture c;

	s->processes[0].comm = "caf\xc3\xa9\xe4\xb8\xad"; /* the last takes two cells */
	dist_clear(&s->system.runq);
	ck_assert_int_eq(dist_add(&s->system.runq, 45000), 0);
	setenv("COLUMNS", "80", 1);
	setenv("LC_ALL", "C.UTF-8", 1);
	ck_assert_ptr_nonnull(strstr(rendered(&c, &(struct sink_options){ 0 }, s),
				     "caf\xc3\xa9\xe4\xb8\xad           99.0"));
	ck_assert_ptr_nonnull(strstr(buf_str(&c.text), "45.0\xc2\xb5s"));
	capture_release(&c);
	setenv("LC_ALL", "C", 1);
	ck_assert_ptr_nonnull(strstr(rendered(&c, &(struct sink_options){ 0 }, s), "caf??"));
	ck_assert_ptr_nonnull(strstr(buf_str(&c.text), "45.0us"));
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

START_TEST(the_last_line_says_whether_to_trust_it)
{
	struct snapshot *s = troubled();
	struct capture c;
	const char *text;

	setenv("COLUMNS", "120", 1);
	text = rendered(&c, &(struct sink_options){ .top = 2 }, s);
	ck_assert_str_eq(strstr(text, "\nTRUST"),
			 "\nTRUST complete: 12.3k events, none lost, 5 processes not shown\n");
	capture_release(&c);
	s->trust = (struct trust_metrics){
		.events = 99, .lost = 7, .discarded = 1, .shed = 1u << SOURCE_TCP, .unattributed = 3
	};
	text = rendered(&c, &(struct sink_options){ 0 }, s);
	ck_assert_str_eq(
		strstr(text, "\nTRUST"),
		"\nTRUST INCOMPLETE: 99 events, 7 lost, 1 discarded, tcp given up, 3 of unknown processes\n");
	ck_assert_str_eq(line_with(text, "TCP "),
			 "TCP   not measured: needs CAP_BPF"); /* of the header */
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

START_TEST(what_fires_is_shown_and_its_end_once)
{
	struct sink_options options = { 0 };
	struct record_header header = sample_header();
	struct record_alert alert = sample_alert();
	struct snapshot *s = troubled();
	struct capture c;
	struct sink *sink;
	const char *text;

	setenv("COLUMNS", "200", 1);
	s->time_ns = alert.since_ns + 12 * NSEC_PER_SEC;
	alert.metric = "process[comm=postgres].runq.p99";
	alert.value = 25000000;
	alert.threshold = 20000000;
	alert.row = NULL;
	capture_open(&c);
	ck_assert_int_eq(table_sink.open(&options, &c.output, &sink), 0);
	ck_assert_int_eq(table_sink.header(sink, &header), 0);
	for (int state = ALERT_PENDING; state <= ALERT_RESOLVED; state++) {
		alert.state = state;
		alert.reason = state == ALERT_RESOLVED ? "cleared" : NULL;
		ck_assert_int_eq(table_sink.alert(sink, &alert), 0);
		ck_assert_int_eq(table_sink.sample(sink, s), 0);
		ck_assert_int_eq(table_sink.sample(sink, s), 0);
	}
	text = capture_text(&c);
	ck_assert_str_eq(line_with(text, "ALERT"),
			 "ALERT hot  process[comm=postgres].runq.p99 25.0ms (limit 20.0ms)"
			 "  pid 42 postgres  for 12.0s");
	/* Firing: in two samples. Ended: in one, and in none after that. */
	text = strstr(text, "ALERT");
	text = strstr(text + 1, "ALERT");
	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_null(strstr(text + 1, "ALERT"));
	text = strstr(text, "\nended hot");
	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_null(strstr(text + 2, "ended"));
	table_sink.close(sink);
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

/* What a terminal of this size gets for two samples, a form feed behind each. */
static void on_terminal(struct buf *out, unsigned short rows, unsigned short columns,
			const struct snapshot *s)
{
	struct sink_options options = { .redraw = true, .color = true };
	struct winsize size = { .ws_row = rows, .ws_col = columns };
	struct record_header header = sample_header();
	struct output o = OUTPUT_INIT;
	struct termios raw = { 0 };
	struct sink *sink;
	int reader;

	cfmakeraw(&raw);
	ck_assert_int_eq(openpty(&reader, &o.fd, NULL, &raw, &size), 0);
	ck_assert_int_eq(table_sink.open(&options, &o, &sink), 0);
	ck_assert_int_eq(table_sink.header(sink, &header), 0);
	for (int i = 0; i < 2; i++) {
		char piece[4096];

		ck_assert_int_eq(table_sink.sample(sink, s), 0);
		ck_assert_int_eq(write(o.fd, "\f", 1), 1); /* what a pty has got comes out later */
		do {
			ssize_t n = read(reader, piece, sizeof(piece));

			ck_assert_int_gt(n, 0);
			buf_add(out, piece, n);
		} while (out->data[out->len - 1] != '\f');
	}
	table_sink.close(sink);
	output_release(&o);
	close(reader);
}

START_TEST(a_terminal_is_redrawn_in_place)
{
	struct snapshot *s = troubled();

	setenv("TERM", "xterm", 1);
	setenv("LC_ALL", "C", 1);
	for (unsigned short rows = 2; rows < 50; rows++) {
		struct buf out = BUF_INIT;
		unsigned int pushed = 0, lines = 0;
		const char *first, *second;

		on_terminal(&out, rows, 80, s);
		first = strstr(buf_str(&out), "\x1b[H");
		second = strchr(buf_str(&out), '\f') + 1;
		ck_assert_ptr_nonnull(first);
		for (const char *b = buf_str(&out); b < first; b++)
			pushed += *b == '\n';
		for (const char *b = first; b < second; b++)
			lines += *b == '\n';
		ck_assert_uint_eq(pushed, rows);
		/* It does not scroll, and the trust line is there in all but the lowest window. */
		ck_assert_msg(lines < MAX(rows, 4), "%u lines in %u", lines, rows);
		ck_assert_ptr_nonnull(strstr(second, "TRUST"));
		ck_assert_msg(strncmp(second, "\x1b[H", 3) == 0, "%u rows: %.20s", rows, second + 1);
		ck_assert_ptr_nonnull(strstr(second, "\x1b[J\f"));
		ck_assert_ptr_nonnull(strstr(second, "\x1b[32mcomplete"));
		if (rows >= 30)
			ck_assert_ptr_nonnull(strstr(second, "gone"));
		buf_release(&out);
	}
	snapshot_free(s);
}
END_TEST

START_TEST(a_dumb_terminal_gets_plain_lines)
{
	static const char *const terms[] = { "dumb", "no-such-terminal", "" };
	struct snapshot *s = troubled();

	setenv("LC_ALL", "C", 1);
	for (size_t i = 0; i < ARRAY_SIZE(terms); i++) {
		struct buf out = BUF_INIT;

		setenv("TERM", terms[i], 1);
		on_terminal(&out, 24, 80, s);
		ck_assert_ptr_null(strchr(buf_str(&out), '\x1b'));
		ck_assert_ptr_nonnull(strstr(buf_str(&out), "TRUST complete"));
		buf_release(&out);
	}
	snapshot_free(s);
}
END_TEST

START_TEST(names_are_hidden)
{
	struct snapshot *s = troubled();
	struct capture c;
	const char *text;

	setenv("COLUMNS", "250", 1);
	s->processes[0].cgroup = "/secret.slice";
	s->processes[0].cmdline = "secret";
	text = rendered(&c, &(struct sink_options){ .redact = true, .cmdline = true }, s);
	ck_assert_ptr_null(strstr(text, "secret"));
	ck_assert_ptr_null(strstr(text, "spinner"));
	ck_assert_ptr_null(strstr(text, "box"));
	ck_assert_ptr_nonnull(strstr(text, " comm-1 "));
	capture_release(&c);
	snapshot_free(s);
}
END_TEST

START_TEST(figures)
{
	char t[FIGURE_LEN];
	struct dist d = { .known = true };

	ck_assert_str_eq(figure_rate(0, NSEC_PER_SEC, t), "0");
	ck_assert_str_eq(figure_rate(1, 60 * NSEC_PER_SEC, t), "<0.1");
	ck_assert_str_eq(figure_rate(3, 10 * NSEC_PER_SEC, t), "0.3");
	ck_assert_str_eq(figure_rate(25000, 2 * NSEC_PER_SEC, t), "12.5k");
	ck_assert_str_eq(figure_rate(METRIC_NULL, NSEC_PER_SEC, t), "-");
	ck_assert_str_eq(figure_size_rate(1 << 20, NSEC_PER_SEC / 2, t), "2.00M");
	ck_assert_str_eq(figure_share(NSEC_PER_SEC / 4, NSEC_PER_SEC, t), "25.0");
	ck_assert_str_eq(figure_share(METRIC_NULL, NSEC_PER_SEC, t), "-");
	ck_assert_str_eq(figure_share(1, 0, t), "-");
	ck_assert_str_eq(figure_pct(NAN, t), "-");
	ck_assert_str_eq(figure_pct(12800, t), "12800");
	ck_assert_str_eq(figure_time(&d, PART_P99, t), "-");
	ck_assert_int_eq(dist_add(&d, 1500000), 0);
	ck_assert_str_eq(figure_time(&d, PART_P99, t), "1.50ms");
	d.known = false;
	ck_assert_str_eq(figure_time(&d, PART_P99, t), "-");
	dist_release(&d);
}
END_TEST

SUITE("table", each_trouble_has_its_word, time_goes_where_the_bar_says, lines_fit_their_width,
      a_narrow_table_keeps_what_matters, names_do_not_reach_the_terminal,
      letters_beyond_ascii_need_the_locale, the_last_line_says_whether_to_trust_it,
      what_fires_is_shown_and_its_end_once, a_terminal_is_redrawn_in_place,
      a_dumb_terminal_gets_plain_lines, names_are_hidden, figures)
