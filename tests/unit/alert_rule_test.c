// SPDX-License-Identifier: BSD-2-Clause
/* Rules and values as text: what is taken and what it means, what is refused and where. */
#include <math.h>
#include <string.h>

#include "alert/glob.h"
#include "alert/rule_set.h"
#include "alert/value.h"
#include "alert/words.h"
#include "base/macros.h"
#include "suite.h"

static struct rule rule;
static struct rule_error error;

static int parse(const char *text)
{
	return rule_parse(text, strlen(text), &rule, &error);
}

static void accept(const char *text)
{
	if (parse(text))
		ck_abort_msg("\"%s\": column %zu: %s", text, error.column, error.message);
}

static const char *canonical(void)
{
	static struct buf out;

	buf_reset(&out);
	rule_print(&rule, &out);
	return buf_str(&out);
}

START_TEST(every_part)
{
	accept("hot: process.cpu_pct > 90 for 10s clear < 70");
	ck_assert_str_eq(rule.name, "hot");
	ck_assert_str_eq(rule.text, "process.cpu_pct > 90 for 10s clear < 70");
	ck_assert_str_eq(rule.path, "process.cpu_pct");
	ck_assert_str_eq(rule_label(&rule), "hot");
	ck_assert_str_eq(rule.metric->name, "cpu_pct");
	ck_assert_int_eq(rule.metric->scope, SCOPE_PROCESS);
	ck_assert_int_eq(rule.part, PART_NONE);
	ck_assert_int_eq(rule.fire.op, RULE_GT);
	ck_assert_double_eq(rule.fire.value, 90);
	ck_assert_uint_eq(rule.for_ns, 10000000000ull);
	ck_assert(rule.has_clear);
	ck_assert_int_eq(rule.clear.op, RULE_LT);
	ck_assert_double_eq(rule.clear.value, 70);

	accept("  system.sched.runq.p99>20ms   # a comment");
	ck_assert_str_eq(rule_label(&rule), "system.sched.runq.p99>20ms");
	ck_assert_int_eq(rule.part, PART_P99);
	ck_assert_double_eq(rule.fire.value, 20e6);
	ck_assert(!rule.has_clear && !rule.for_ns && !rule.n_filters);
}
END_TEST

/* What is written, and its one canonical form, which must be its own canonical form. */
static const struct {
	const char *text, *canonical;
} good[] = {
	{ "process.cpu_pct > 90", "process.cpu_pct > 90" },
	{ "process.cpu_pct>90%", "process.cpu_pct > 90" },
	{ "processes.cpu_pct >= 0.5", "process.cpu_pct >= 0.5" },
	{ "process.majflt == 0", "process.majflt == 0" },
	{ "process.majflt != 1k", "process.majflt != 1k" },
	{ "process.minflt <= 1500", "process.minflt <= 1500" },
	{ "process.minflt > 1.5M", "process.minflt > 1500k" },
	{ "process.minflt > 2e3", "process.minflt > 2k" },
	{ "system.sched.runq.p99_ns > 5s", "system.sched.runq.p99 > 5s" },
	{ "system.sched.runq.count > 5k", "system.sched.runq.count > 5k" },
	{ "system.sched.runq.sum > 1.5s", "system.sched.runq.sum > 1500ms" },
	{ "system.sched.runq.max > 100us", "system.sched.runq.max > 100us" },
	{ "system.sched.runq.max > 100\xc2\xb5s", "system.sched.runq.max > 100us" },
	{ "system.sched.runq.max > 0", "system.sched.runq.max > 0ns" },
	{ "process.cpu_ns > 90m", "process.cpu_ns > 90m" },
	{ "process.residual_ns < -5ms", "process.residual_ns < -5ms" },
	{ "process.rss_bytes > 1.5G", "process.rss_bytes > 1536M" },
	{ "process.rss_bytes > 10MiB", "process.rss_bytes > 10M" },
	{ "process.rss_bytes > 4096", "process.rss_bytes > 4K" },
	{ "process.rss_bytes > 4097", "process.rss_bytes > 4097" },
	{ "trust.lost > 0", "trust.lost > 0" },
	{ "trust.complete == false", "trust.complete == false" },
	{ "trust.complete != 1", "trust.complete != true" },
	{ "self.rss_bytes > 32M", "self.rss_bytes > 32M" },
	{ "system.block.latency.p99 > 50ms for 5s", "system.block.latency.p99 > 50ms for 5s" },
	{ "system.block.latency.p99 > 50ms clear < 10ms for 90",
	  "system.block.latency.p99 > 50ms for 90s clear < 10ms" },
	{ "a b c: system.cpu.util_pct > 90", "a b c: system.cpu.util_pct > 90" },
	{ "for : system.cpu.util_pct > 90", "for: system.cpu.util_pct > 90" },
	{ "process[comm=postgres].majflt > 100", "process[comm=\"postgres\"].majflt > 100" },
	{ "process[ comm = Web Content  ].majflt>1", "process[comm=\"Web Content\"].majflt > 1" },
	{ "process[comm=\"a]b\"][ppid!=1].majflt>1", "process[comm=\"a]b\"][ppid!=1].majflt > 1" },
	{ "process[comm='say \"hi\"'].majflt>1", "process[comm=\"say \\\"hi\\\"\"].majflt > 1" },
	{ "process[comm=\"\"].majflt > 1", "process[comm=\"\"].majflt > 1" },
	{ "process[comm=a\\]\\ ].majflt > 1", "process[comm=\"a\\]\\ \"].majflt > 1" },
	{ "process[rss_bytes=1M].majflt > 1", "process[rss_bytes=1M].majflt > 1" },
	{ "process[residual_ns=-1ms].majflt > 1", "process[residual_ns=-1ms].majflt > 1" },
	{ "process[comm=kworker/0:1#2].cpu_pct > 5", "process[comm=\"kworker/0:1#2\"].cpu_pct > 5" },
	{ "x: system.block.devices[dev=sda].latency.p99 > 50ms",
	  "x: system.block.devices[dev=\"sda\"].latency.p99 > 50ms" },
	{ "system.net.interfaces[name=eth*].rx_bytes > 1G",
	  "system.net.interfaces[name=\"eth*\"].rx_bytes > 1G" },
	{ "system.block.devices.errors > 0", "system.block.devices.errors > 0" },
};

START_TEST(good_rules)
{
	char text[RULE_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		accept(good[i].text);
		ck_assert_str_eq(canonical(), good[i].canonical);
		snprintf(text, sizeof(text), "%s", canonical());
		accept(text);
		ck_assert_str_eq(canonical(), text);
	}
}
END_TEST

/* What is refused, at which column, and a part of what is said. */
static const struct {
	const char *text;
	size_t column;
	const char *message;
} bad[] = {
	{ "", 1, "expected a metric" },
	{ "   ", 4, "expected a metric" },
	{ "# nothing", 1, "expected a metric" },
	{ ": process.cpu_pct > 90", 1, "expected a name" },
	{ "hot:", 5, "expected a metric" },
	{ "> 90", 1, "expected a metric" },
	{ "process.cpu_pc > 90", 1, "did you mean process.cpu_pct" },
	{ "hot: cpu_pct > 90", 6, "process.cpu_pct" },
	{ "system.sched.runq > 20ms", 18, "system.sched.runq.p99" },
	{ "system.sched.runq.p95 > 20ms", 1, "system.sched.runq.p9" },
	{ "process.comm == postgres", 1, "process[comm=" },
	{ "system.block.devices > 1", 1, "no metric" },
	{ "trust.shed > 1", 1, "no metric" },
	{ "nonsense.zzzzzzzzzz > 1", 1, "no metric \"nonsense.zzzzzzzzzz\"" },
	{ "process.cpu_pct", 16, "expected one of" },
	{ "process.cpu_pct = 90", 17, "expected one of" },
	{ "process.cpu_pct => 90", 17, "expected one of" },
	{ "process.cpu_pct ! 90", 17, "expected one of" },
	{ "process.cpu_pct 90", 17, "expected one of" },
	{ "process.cpu_pct >", 18, "expected a value" },
	{ "process.cpu_pct > # 90", 19, "expected a value" },
	{ "process.cpu_pct > high", 19, "expected a percentage" },
	{ "process.cpu_pct > -1", 19, "never negative" },
	{ "process.cpu_pct > 90ms", 21, "\"ms\" does not fit" },
	{ "process.cpu_pct > 90#hot", 21, "does not fit" },
	{ "process.cpu_pct > 90e", 21, "\"e\" does not fit" },
	{ "process.cpu_pct > nan", 19, "expected a percentage" },
	{ "process.cpu_pct > 1e30", 19, "too large" },
	{ "process.cpu_pct > 1234567890123456", 19, "digits" },
	{ "system.sched.runq.p99 > 20", 27, "needs its unit" },
	{ "system.sched.runq.p99 > 10M", 27, "\"M\" does not fit" },
	{ "system.sched.runq.p99 > 20%", 27, "does not fit" },
	{ "system.sched.runq.p99 > 20 ms", 27, "needs its unit" },
	{ "system.sched.runq.count > 5ms", 28, "does not fit" },
	{ "process.rss_bytes > 10ms", 23, "does not fit" },
	{ "process.rss_bytes > 10%", 23, "does not fit" },
	{ "process.majflt > 10%", 20, "does not fit" },
	{ "process.majflt > 10m", 20, "does not fit" },
	{ "process.majflt > 10KiB", 20, "does not fit" },
	{ "trust.complete == maybe", 19, "expected true or false" },
	{ "trust.complete == 2", 19, "expected true or false" },
	{ "process.cpu_pct > 90 fro 10s", 22, "expected \"for\", \"clear\"" },
	{ "process.cpu_pct > 90 for", 25, "expected a duration" },
	{ "process.cpu_pct > 90 for x", 26, "expected a duration" },
	{ "process.cpu_pct > 90 for 0", 26, "more than 0" },
	{ "process.cpu_pct > 90 for 31d", 26, "at most 30 days" },
	{ "process.cpu_pct > 90 for 1s for 2s", 29, "twice" },
	{ "process.cpu_pct > 90 clear", 27, "expected one of" },
	{ "process.cpu_pct > 90 clear <", 29, "expected a value" },
	{ "process.cpu_pct > 90 clear < 70 clear < 60", 33, "twice" },
	{ "process.cpu_pct > 90 clear > 80", 22, "both fire and clear" },
	{ "process.cpu_pct > 90 clear < 95", 22, "both fire and clear" },
	{ "process.cpu_pct > 90 clear < 90.0005", 22, "both fire and clear" },
	{ "process.majflt > 10 clear != 5", 21, "both fire and clear" },
	{ "process.majflt == 10 clear <= 10", 22, "both fire and clear" },
	{ "process.majflt != 10 clear == 9", 22, "both fire and clear" },
	{ "process[].majflt > 1", 9, "expected a member" },
	{ "process[com=x].majflt > 1", 9, "did you mean comm" },
	{ "process[runq=x].majflt > 1", 9, "neither text nor a number" },
	{ "process[comm].majflt > 1", 13, "expected = or !=" },
	{ "process[comm=].majflt > 1", 14, "expected a value" },
	{ "process[comm=  ].majflt > 1", 16, "expected a value" },
	{ "process[comm=x.majflt > 1", 8, "never closed" },
	{ "process[comm=\"x].majflt > 1", 14, "quote is never closed" },
	{ "process[comm=\"x\"y].majflt > 1", 17, "never closed" },
	{ "process[comm=x\\", 15, "backslash" },
	{ "process[pid=12x].majflt > 1", 15, "pid: \"x\" does not fit" },
	{ "process.majflt[comm=x] > 1", 15, "a filter stands only behind" },
	{ "system[cpu=1].cpu.util_pct > 1", 7, "a filter stands only behind" },
	{ "system.block[dev=sda].reads > 1", 13, "a filter stands only behind" },
	{ "process[pid=1][pid=2][pid=3][pid=4][pid=5][pid=6][pid=7][pid=8][pid=9].majflt > 1", 64,
	  "more than 8" },
	{ "\xc3\xa4\xc3\xb6: process.cpu_pc > 1", 5, "did you mean" },
	{ "process.cpu_pct > 1\x1b[31m", 20, "control character" },
	{ "process.cpu_pct > 1\n", 20, "control character" },
};

START_TEST(bad_rules)
{
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rule before = rule;

		if (!parse(bad[i].text))
			ck_abort_msg("\"%s\" was taken as %s", bad[i].text, canonical());
		if (error.column != bad[i].column || !strstr(error.message, bad[i].message))
			ck_abort_msg("\"%s\": column %zu: %s", bad[i].text, error.column,
				     error.message);
		ck_assert_mem_eq(&rule, &before, sizeof(rule));
	}
}
END_TEST

/* All that each rule may be cut to: never taken for another rule's sake, never read past the end. */
START_TEST(cut_rules)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		for (size_t len = 0; len <= strlen(good[i].text); len++) {
			char *exact = malloc(len ?: 1);

			memcpy(exact, good[i].text, len);
			if (rule_parse(exact, len, &rule, &error))
				ck_assert(error.column >= 1 && *error.message);
			free(exact);
		}
	}
}
END_TEST

START_TEST(limits)
{
	char text[2 * RULE_TEXT_MAX];

	memset(text, ' ', sizeof(text));
	memcpy(text, "process.cpu_pct > 90", 20);
	ck_assert_int_eq(rule_parse(text, RULE_TEXT_MAX, &rule, &error), 0);
	ck_assert_str_eq(rule.text, "process.cpu_pct > 90");
	ck_assert_int_eq(rule_parse(text, RULE_TEXT_MAX + 1, &rule, &error), -EINVAL);
	ck_assert_uint_eq(error.column, RULE_TEXT_MAX + 1);

	memset(text, 'n', RULE_NAME_MAX + 1);
	snprintf(text + RULE_NAME_MAX, 40, ": process.cpu_pct > 90");
	accept(text);
	memset(text, 'n', RULE_NAME_MAX + 1);
	snprintf(text + RULE_NAME_MAX + 1, 40, ": process.cpu_pct > 90");
	ck_assert_int_eq(parse(text), -EINVAL);

	memcpy(text, "process[comm=", 13);
	memset(text + 13, 'c', RULE_PATTERN_MAX);
	snprintf(text + 13 + RULE_PATTERN_MAX, 40, "].cpu_pct > 90");
	ck_assert_int_eq(parse(text), -EINVAL);
	snprintf(text + 13 + RULE_PATTERN_MAX - 1, 40, "].cpu_pct > 90");
	accept(text);
	/* A path as long as a rule may be. */
	memset(text, 'p', RULE_TEXT_MAX);
	ck_assert_int_eq(rule_parse(text, RULE_TEXT_MAX, &rule, &error), -EINVAL);
}
END_TEST

static void formatted(const char *want, const char *source)
{
	struct buf out = BUF_INIT;

	rule_error_format(&error, source, &out);
	ck_assert_str_eq(buf_str(&out), want);
	buf_release(&out);
}

START_TEST(errors_for_people)
{
	parse("\xc3\xa4:\tprocess.cpu_pc > 90");
	formatted("--alert: column 4: no metric \"process.cpu_pc\"; did you mean process.cpu_pct "
		  "or process.cpu_ns?\n"
		  "    \xc3\xa4:\tprocess.cpu_pc > 90\n"
		  "      \t^\n",
		  "--alert");
	parse("process.cpu_pct > 90\x1b[1m");
	formatted("--alert: column 21: a control character (0x1b)\n"
		  "    process.cpu_pct > 90?[1m\n"
		  "                        ^\n",
		  "--alert");
}
END_TEST

START_TEST(files)
{
	static const char text[] = "# comment\n"
				   "\n"
				   "hot: process.cpu_pct > 90 # behind\r\n"
				   " \t \n"
				   "  system.cpu.util_pct > 50\n"
				   "trust.lost > 0";
	struct rule_set set = RULE_SET_INIT;

	ck_assert_int_eq(rule_set_add_lines(&set, text, strlen(text), &error), 0);
	ck_assert_uint_eq(set.n, 3);
	ck_assert_str_eq(rule_label(&set.rules[0]), "hot");
	ck_assert_str_eq(set.rules[0].text, "process.cpu_pct > 90");
	ck_assert_str_eq(rule_label(&set.rules[2]), "trust.lost > 0");

	ck_assert_int_eq(rule_set_add_lines(&set, "\n\n x: process.cpu > 1\n", 21, &error), -EINVAL);
	ck_assert_uint_eq(error.line, 3);
	ck_assert_uint_eq(error.column, 5);
	ck_assert_uint_eq(set.n, 3);

	/* Two of one label. */
	ck_assert_int_eq(rule_set_add_lines(&set, "hot: process.pid > 1", 20, &error), -EINVAL);
	formatted("rules:1: a second rule \"hot\": give each rule a name of its own\n", "rules");
	ck_assert_int_eq(rule_set_add_lines(&set, "trust.lost > 0\n", 15, &error), -EINVAL);
	ck_assert_int_eq(rule_set_add_lines(&set, "a\0b > 0\n", 8, &error), -EINVAL);
	ck_assert_int_eq(rule_set_add_file(&set, "/nonexistent/rules", &error), -ENOENT);
	rule_set_release(&set);
}
END_TEST

START_TEST(too_many_rules)
{
	struct rule_set set = RULE_SET_INIT;
	char text[64];

	for (int i = 0; i < RULE_SET_MAX; i++) {
		snprintf(text, sizeof(text), "r%d: process.pid > %d", i, i);
		ck_assert_int_eq(rule_set_add(&set, text, strlen(text), &error), 0);
	}
	ck_assert_int_eq(rule_set_add(&set, "trust.lost > 0", 14, &error), -EINVAL);
	ck_assert_uint_eq(set.n, RULE_SET_MAX);
	rule_set_release(&set);
}
END_TEST

START_TEST(conditions)
{
	static const struct {
		enum rule_op op;
		bool below, at, above;
	} ops[] = {
		{ RULE_GT, false, false, true }, { RULE_GE, false, true, true },
		{ RULE_LT, true, false, false }, { RULE_LE, true, true, false },
		{ RULE_EQ, false, true, false }, { RULE_NE, true, false, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
		struct rule_condition c = { ops[i].op, 10 };

		ck_assert_int_eq(rule_condition_holds(&c, 9), ops[i].below);
		ck_assert_int_eq(rule_condition_holds(&c, 10), ops[i].at);
		ck_assert_int_eq(rule_condition_holds(&c, 11), ops[i].above);
	}
}
END_TEST

START_TEST(globs)
{
	static const struct {
		const char *pattern, *text;
		bool match;
	} cases[] = {
		{ "", "", true },
		{ "", "a", false },
		{ "*", "", true },
		{ "*", "abc", true },
		{ "a", "a", true },
		{ "a", "ab", false },
		{ "ab", "a", false },
		{ "a*", "abc", true },
		{ "*c", "abc", true },
		{ "*b", "abc", false },
		{ "a*c*e", "abcde", true },
		{ "a*c*f", "abcde", false },
		{ "**a**", "bab", true },
		{ "?", "", false },
		{ "?", "a", true },
		{ "?b",
		  "\xc3\xa4"
		  "b",
		  true },
		{ "??", "\xc3\xa4", false },
		{ "/system.slice/*", "/system.slice/a/b", true },
		{ "\\*", "*", true },
		{ "\\*", "a", false },
		{ "a\\?", "a?", true },
		{ "\\\\", "\\", true },
		{ "[a]", "[a]", true },
		{ "[a]", "a", false },
		{ "nvme?n1", "nvme0n1", true },
		{ "*ab", "aab", true },
		{ "*\xff", "a\xff", true },
	};
	char stars[128], text[4096];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		if (glob_match(cases[i].pattern, cases[i].text) != cases[i].match)
			ck_abort_msg("\"%s\" against \"%s\"", cases[i].pattern, cases[i].text);
	/* A pattern that takes a backtracking matcher for ever. */
	for (size_t i = 0; i + 2 < sizeof(stars); i += 2)
		memcpy(stars + i, "*a", 3);
	stars[sizeof(stars) - 2] = 'b';
	stars[sizeof(stars) - 1] = 0;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	ck_assert(!glob_match(stars, text));
}
END_TEST

START_TEST(filters)
{
	static const struct {
		const char *filters;
		bool match;
	} cases[] = {
		{ "[comm=postgres]", true },
		{ "[comm=postgre]", false },
		{ "[comm=post*]", true },
		{ "[comm=p?stgres]", true },
		{ "[comm!=postgres]", false },
		{ "[comm!=mysqld]", true },
		{ "[pid=77]", true },
		{ "[pid=7]", false },
		{ "[pid!=7]", true },
		{ "[comm=post*][pid=77]", true },
		{ "[comm=post*][pid=78]", false },
		{ "[rss_bytes=1M]", true },
		{ "[cgroup=*]", false },
		{ "[cgroup!=x]", false },
		{ "[threads=0]", false },
		{ "[threads!=0]", false },
	};
	struct snapshot *s = snapshot_new();
	struct process_metrics *p = snapshot_add_process(s);
	char text[128];

	p->pid = 77;
	p->comm = "postgres";
	p->rss_bytes = 1 << 20;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(text, sizeof(text), "process%s.cpu_pct > 1", cases[i].filters);
		accept(text);
		if (rule_matches(&rule, p) != cases[i].match)
			ck_abort_msg("%s", cases[i].filters);
	}
	snapshot_free(s);
}
END_TEST

/* Written and read again, each kind of value is the same, and so is its text. */
START_TEST(values_round_trip)
{
	uint64_t seed = 1;

	for (int i = 0; i < 200000; i++) {
		enum value_kind kind = i % 4;
		char text[VALUE_TEXT_LEN], again[VALUE_TEXT_LEN];
		struct value_error why;
		double value, back;

		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		value = (double)(seed >> (seed % 61)) / (i % 3 ? 1 : 1000);
		if (value >= 1.7e19)
			continue;
		value_format(value, kind, text);
		if (value_parse(text, strlen(text), kind, false, &back, &why))
			ck_abort_msg("%.17g as \"%s\": %s", value, text, why.message);
		ck_assert(fabs(back - value) <= value * 1e-14);
		ck_assert_str_eq(value_format(back, kind, again), text);
	}
}
END_TEST

static const struct {
	const char *text;
	const char *words[8]; /* none: refused */
	size_t column;
} commands[] = {
	{ "true", { "true" } },
	{ "  a  b\tc ", { "a", "b", "c" } },
	{ "a 'b c' \"d e\"", { "a", "b c", "d e" } },
	{ "a'b'\"c\"d", { "abcd" } },
	{ "a '' \"\"", { "a", "", "" } },
	{ "a \\ b \\\"", { "a", " b", "\"" } },
	{ "a 'b\\'", { "a", "b\\" } },
	{ "a \"\\\"\\\\\\$\\`\\n\"", { "a", "\"\\$`\\n" } },
	{ "a $HOME *.c | b > c; d &", { "a", "$HOME", "*.c", "|", "b", ">", "c;" /* and so on */ } },
	{ "", { NULL }, 1 },
	{ "   ", { NULL }, 1 },
	{ "'' a", { NULL }, 1 },
	{ "a 'b", { NULL }, 3 },
	{ "a \"b", { NULL }, 3 },
	{ "a b\\", { NULL }, 4 },
};

START_TEST(command_words)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct words words = { 0 };
		int err = words_split(commands[i].text, &words, &error);

		if (!commands[i].words[0]) {
			ck_assert_int_eq(err, -EINVAL);
			ck_assert_uint_eq(error.column, commands[i].column);
			continue;
		}
		ck_assert_int_eq(err, 0);
		for (size_t w = 0; w < 8 && commands[i].words[w]; w++)
			ck_assert_str_eq(words.argv[w], commands[i].words[w]);
		ck_assert_ptr_null(words.argv[words.n]);
		words_release(&words);
	}
}
END_TEST

START_TEST(command_limits)
{
	static char text[WORDS_TEXT_MAX + 2];
	struct words words = { 0 };

	memset(text, 'a', WORDS_TEXT_MAX);
	ck_assert_int_eq(words_split(text, &words, &error), 0);
	ck_assert_uint_eq(strlen(words.argv[0]), WORDS_TEXT_MAX);
	words_release(&words);
	text[WORDS_TEXT_MAX] = 'a';
	ck_assert_int_eq(words_split(text, &words, &error), -EINVAL);
	for (size_t i = 0; i < WORDS_TEXT_MAX; i += 2)
		memcpy(text + i, "a ", 2);
	text[2 * WORDS_MAX] = 0;
	ck_assert_int_eq(words_split(text, &words, &error), 0);
	ck_assert_uint_eq(words.n, WORDS_MAX);
	words_release(&words);
	text[2 * WORDS_MAX] = 'a';
	text[2 * WORDS_MAX + 1] = 0;
	ck_assert_int_eq(words_split(text, &words, &error), -EINVAL);
}
END_TEST

SUITE("alert_rule", every_part, good_rules, bad_rules, cut_rules, limits, errors_for_people, files,
      too_many_rules, conditions, globs, filters, values_round_trip, command_words, command_limits)
