// SPDX-License-Identifier: BSD-2-Clause
/*
 * Rules held against made samples at made times. What the engine reports is kept as text, one line each:
 *	TIME STATE [pid:comm or row] VALUE [reason] [<- culprits]
 * with TIME in seconds of the samples' clock, so that a test reads as a story.
 */
#include <math.h>
#include <string.h>

#include "alert/alert_set.h"
#include "alert/culprit.h"
#include "alert/engine.h"
#include "base/clock.h"
#include "base/macros.h"
#include "suite.h"

#define START_NS 1700000000000000000ull

static struct rule_set rules;
static struct engine *engine;
static struct snapshot *sample;
static struct buf story;
static uint64_t seconds;
static bool everybody_lives;

static void keep(const struct record_alert *a, void *context)
{
	buf_printf(&story, "%g %s", (a->time_ns - START_NS) / 1e9, alert_state_name(a->state));
	if (rules.n > 1)
		buf_printf(&story, " (%s)", a->rule);
	if (a->has_process)
		buf_printf(&story, " %llu:%s", (unsigned long long)a->pid, a->comm ?: "-");
	if (a->row)
		buf_printf(&story, " %s", a->row);
	if (isnan(a->value))
		buf_adds(&story, " -");
	else
		buf_printf(&story, " %g", a->value);
	if (a->reason)
		buf_printf(&story, " \"%s\"", a->reason);
	for (size_t i = 0; i < a->n_culprits; i++)
		buf_printf(&story, "%s%s=%g", i ? " " : " <- ", a->culprits[i].comm,
			   a->culprits[i].value);
	buf_addc(&story, '\n');
}

static bool lives(uint64_t pid, uint64_t start_ns, void *context)
{
	return everybody_lives;
}

static void with_rules(const char *text)
{
	struct rule_error error;

	engine_free(engine);
	rule_set_release(&rules);
	if (rule_set_add_lines(&rules, text, strlen(text), &error))
		ck_abort_msg("%s", error.message);
	ck_assert_int_eq(engine_new(&rules, &(struct engine_options){ .report = keep }, &engine), 0);
	sample = sample ?: snapshot_new();
	buf_reset(&story);
	seconds = 0;
}

/* The next second's sample, empty. */
static struct snapshot *next(void)
{
	snapshot_reset(sample);
	seconds++;
	sample->time_ns = START_NS + seconds * NSEC_PER_SEC;
	sample->elapsed_ns = seconds * NSEC_PER_SEC;
	sample->interval_ns = NSEC_PER_SEC;
	return sample;
}

static struct process_metrics *process(uint64_t pid, uint64_t start, const char *comm, double cpu_pct)
{
	struct process_metrics *p = snapshot_add_process(sample);

	p->pid = pid;
	p->start_ns = start;
	p->comm = comm;
	p->state = "running";
	p->cpu_pct = cpu_pct;
	return p;
}

static void evaluate(void)
{
	ck_assert_int_eq(engine_evaluate(engine, sample), 0);
}

/* One second in which process 7 uses so much CPU. */
static void cpu(double pct)
{
	next();
	process(7, 1, "busy", pct);
	evaluate();
}

/* One second in which the system uses so much CPU; NAN: not measured. */
static void util(double pct)
{
	next()->system.cpu_util_pct = pct;
	evaluate();
}

static void told(const char *want)
{
	ck_assert_str_eq(buf_str(&story), want);
	buf_reset(&story);
}

START_TEST(fires_once_and_resolves)
{
	with_rules("system.cpu.util_pct > 90");
	util(50);
	told("");
	util(91);
	told("2 firing 91\n");
	util(99);
	util(95);
	told("");
	util(90);
	told("5 resolved 90 \"cleared\"\n");
	util(10);
	told("");
	util(100);
	told("7 firing 100\n");
	ck_assert_uint_eq(engine_stats(engine).fired, 2);
	ck_assert_uint_eq(engine_stats(engine).firing, 1);
}
END_TEST

START_TEST(for_needs_no_gap)
{
	with_rules("system.cpu.util_pct > 90 for 3s");
	util(95);
	told("1 pending 95\n");
	util(96);
	util(97);
	told("");
	util(10); /* silent */
	told("");
	util(95);
	told("5 pending 95\n");
	util(95);
	util(95);
	told("");
	util(98);
	told("8 firing 98\n");
	util(5);
	told("9 resolved 5 \"cleared\"\n");
	/* It starts again after each clear. */
	util(95);
	told("10 pending 95\n");
	util(95);
	util(95);
	told("");
	util(95);
	told("13 firing 95\n");
}
END_TEST

static uint64_t last_since;

static void keep_since(const struct record_alert *a, void *context)
{
	last_since = (a->since_ns - START_NS) / NSEC_PER_SEC;
}

START_TEST(since_is_when_it_began)
{
	with_rules("system.cpu.util_pct > 90 for 2s");
	engine_free(engine);
	ck_assert_int_eq(
		engine_new(&rules, &(struct engine_options){ .report = keep_since }, &engine), 0);
	util(50);
	util(95);
	ck_assert_uint_eq(last_since, 2);
	last_since = 0;
	util(95);
	util(95);
	ck_assert_uint_eq(last_since, 2);
	last_since = 0;
	util(50);
	ck_assert_uint_eq(last_since, 2);
	util(95);
	ck_assert_uint_eq(last_since, 6);
}
END_TEST

START_TEST(flapping)
{
	with_rules("system.cpu.util_pct > 90 for 2s");
	for (int i = 0; i < 50; i++) {
		util(95);
		util(95);
		util(80);
	}
	ck_assert_uint_eq(engine_stats(engine).fired, 0);
	with_rules("system.cpu.util_pct > 90 clear < 70");
	util(95);
	for (int i = 0; i < 50; i++) {
		util(89);
		util(71);
		util(91);
	}
	told("1 firing 95\n");
	util(69);
	told("152 resolved 69 \"cleared\"\n");
	/* Between the thresholds nothing begins. */
	util(89);
	told("");
}
END_TEST

START_TEST(for_goes_by_sample_time)
{
	with_rules("system.cpu.util_pct > 90 for 10s");
	util(95);
	told("1 pending 95\n");
	seconds += 8; /* a late sample: its interval was long */
	util(95);
	told("");
	util(95);
	told("11 firing 95\n");
}
END_TEST

START_TEST(samples_are_not_quite_on_time)
{
	static const int64_t off_us[] = { 300, -200, 900, 100, -50 };

	with_rules("system.cpu.util_pct > 90 for 3s");
	for (size_t i = 0; i < ARRAY_SIZE(off_us); i++) {
		next()->system.cpu_util_pct = 95;
		sample->elapsed_ns += off_us[i] * 1000;
		evaluate();
	}
	told("1 pending 95\n4 firing 95\n");
}
END_TEST

START_TEST(clock_steps_do_not_count)
{
	with_rules("system.cpu.util_pct > 90 for 5s");
	util(95);
	next()->system.cpu_util_pct = 95;
	sample->time_ns += 3600 * NSEC_PER_SEC; /* somebody set the clock */
	evaluate();
	told("1 pending 95\n");
	/* Samples of another run in the same file begin at 0 again. */
	seconds = 0;
	util(95);
	told("1 pending 95\n");
	seconds = 5;
	util(95);
	told("6 firing 95\n");
}
END_TEST

START_TEST(elapsed_that_stands_still)
{
	with_rules("system.cpu.util_pct > 90 for 2s");
	for (int i = 0; i < 3; i++) {
		next()->system.cpu_util_pct = 95;
		sample->elapsed_ns = 0;
		evaluate();
	}
	told("1 pending 95\n3 firing 95\n");
}
END_TEST

START_TEST(null_never_fires)
{
	with_rules("system.cpu.util_pct > 90");
	util(NAN);
	told("1 nodata -\n");
	util(NAN);
	told("");
	util(50); /* silent: it never fired */
	told("");
	util(NAN);
	told("4 nodata -\n");
	util(95);
	told("5 firing 95\n");
	ck_assert_uint_eq(engine_stats(engine).fired, 1);
	/* Every operator. */
	with_rules("system.cpu.util_pct != 1\nsystem.cpu.util_pct < 1\nsystem.cpu.util_pct == 0");
	util(NAN);
	ck_assert_uint_eq(engine_stats(engine).fired, 0);
	ck_assert_uint_eq(engine_stats(engine).nodata, 3);
}
END_TEST

START_TEST(firing_without_data)
{
	with_rules("system.cpu.util_pct > 90 clear < 70");
	util(95);
	util(NAN);
	util(NAN);
	told("1 firing 95\n2 nodata -\n");
	util(80); /* not cleared: the same episode goes on */
	told("4 firing 80 \"data again\"\n");
	util(NAN);
	util(60);
	told("5 nodata -\n6 resolved 60 \"cleared\"\n");
	ck_assert_uint_eq(engine_stats(engine).fired, 1);
}
END_TEST

START_TEST(pending_without_data)
{
	with_rules("system.cpu.util_pct > 90 for 2s");
	util(95);
	util(95);
	util(NAN); /* a gap */
	util(95);
	util(95);
	told("1 pending 95\n3 nodata -\n4 pending 95\n");
	util(95);
	told("6 firing 95\n");
}
END_TEST

START_TEST(end_of_run)
{
	with_rules("a: system.cpu.util_pct > 90\nb: system.cpu.util_pct > 90 for 1m\n"
		   "c: process.cpu_pct > 90\nd: self.bpf_ns > 1s");
	next()->system.cpu_util_pct = 95;
	process(7, 1, "x", 91);
	evaluate();
	told("1 firing (a) 95 <- x=91\n1 pending (b) 95\n1 firing (c) 7:x 91\n1 nodata (d) -\n");
	util(96);
	engine_finish(engine);
	/* The pending one, and the one that never had data, have nothing to end. */
	told("2 resolved (c) 7:x 0 \"cleared\"\n2 resolved (a) 96 \"end of run\"\n");
	ck_assert_uint_eq(engine_stats(engine).fired, 2);
	ck_assert_uint_eq(engine_stats(engine).firing + engine_stats(engine).pending, 0);

	with_rules("system.cpu.util_pct > 90");
	util(95);
	util(NAN);
	engine_finish(engine);
	told("1 firing 95\n2 nodata -\n2 resolved - \"end of run\"\n");
}
END_TEST

START_TEST(each_process_on_its_own)
{
	with_rules("process.cpu_pct > 90");
	next();
	process(7, 1, "a", 95);
	process(8, 2, "b", 50);
	process(9, 3, "c", 99);
	evaluate();
	told("1 firing 7:a 95\n1 firing 9:c 99\n");
	next();
	process(7, 1, "a", 96);
	process(8, 2, "b", 91);
	process(9, 3, "c", 10);
	evaluate();
	told("2 firing 8:b 91\n2 resolved 9:c 10 \"cleared\"\n");
}
END_TEST

START_TEST(process_that_exits)
{
	with_rules("process.cpu_pct > 90");
	cpu(95);
	next();
	process(7, 1, "busy", 92)->state = "exited";
	evaluate();
	told("1 firing 7:busy 95\n2 resolved 7:busy 92 \"process ended\"\n");
	ck_assert_uint_eq(engine_stats(engine).firing, 0);
	/* Its last interval was short and its memory is gone: that is no clearing. */
	with_rules("process.rss_bytes > 1M");
	next();
	process(7, 1, "big", 1)->rss_bytes = 2 << 20;
	evaluate();
	next();
	process(7, 1, "big", 1)->rss_bytes = 0;
	sample->processes[0].state = "exited";
	evaluate();
	told("1 firing 7:big 2.09715e+06\n2 resolved 7:big 0 \"process ended\"\n");
	/* Born, busy and gone within one interval. */
	with_rules("process.cpu_pct > 90");
	next();
	process(8, 5, "short", 100)->state = "exited";
	evaluate();
	told("1 firing 8:short 100\n1 resolved 8:short 100 \"process ended\"\n");
	/* A zombie stays as an idle row. */
	with_rules("process.cpu_pct < 5");
	for (int i = 0; i < 3; i++) {
		struct process_metrics *p;

		next();
		p = process(8, 5, "zombie", 0);
		p->state = "exited";
		p->idle = i > 0;
		evaluate();
	}
	told("1 firing 8:zombie 0\n1 resolved 8:zombie 0 \"process ended\"\n");
}
END_TEST

START_TEST(pending_process_that_exits)
{
	with_rules("process.cpu_pct > 90 for 2s");
	cpu(95);
	next();
	process(7, 1, "busy", 95)->state = "exited";
	evaluate();
	told("1 pending 7:busy 95\n");
	ck_assert_uint_eq(engine_stats(engine).pending, 0);
}
END_TEST

START_TEST(reused_pid)
{
	with_rules("process.cpu_pct > 90");
	cpu(95);
	next();
	process(7, 2, "other", 20);
	evaluate();
	told("1 firing 7:busy 95\n2 resolved 7:busy - \"process ended\"\n");
	/* Both within one interval, and the second is as busy. */
	with_rules("process.cpu_pct > 90 for 1s");
	cpu(95);
	cpu(95);
	told("1 pending 7:busy 95\n2 firing 7:busy 95\n");
	next();
	process(7, 1, "busy", 95)->state = "exited";
	process(7, 2, "heir", 95);
	evaluate();
	told("3 resolved 7:busy 95 \"process ended\"\n3 pending 7:heir 95\n");
}
END_TEST

START_TEST(absent_process_was_idle)
{
	with_rules("process.cpu_pct > 90 clear < 50");
	cpu(95);
	next();
	evaluate();
	told("1 firing 7:busy 95\n2 resolved 7:busy 0 \"cleared\"\n");

	/* A counter is 0, so a low one goes on. */
	with_rules("process.majflt < 5 for 2s");
	for (int i = 0; i < 4; i++) {
		next();
		if (!i)
			process(7, 1, "calm", 1)->majflt = 1;
		evaluate();
	}
	told("1 pending 7:calm 1\n3 firing 7:calm 0\n");

	/* What is not counted is as it was. */
	with_rules("process.rss_bytes > 1M");
	next();
	process(7, 1, "big", 1)->rss_bytes = 2 << 20;
	evaluate();
	next();
	evaluate();
	told("1 firing 7:big 2.09715e+06\n");
	next();
	process(7, 1, "big", 1)->rss_bytes = 1 << 20;
	evaluate();
	told("3 resolved 7:big 1.04858e+06 \"cleared\"\n");

	/* It is not known to have been idle where rows are hidden. */
	with_rules("process.cpu_pct > 90");
	cpu(95);
	next()->trust.rows_hidden = 3;
	evaluate();
	told("1 firing 7:busy 95\n2 nodata 7:busy -\n");
	cpu(95);
	told("3 firing 7:busy 95 \"data again\"\n");
}
END_TEST

START_TEST(idle_rows_are_like_absent_ones)
{
	with_rules("process.cpu_pct < 5");
	next();
	process(7, 1, "idle", 0)->idle = true;
	evaluate();
	told("");
	cpu(1);
	next();
	process(7, 1, "idle", 0)->idle = true;
	evaluate();
	told("2 firing 7:busy 1\n");
}
END_TEST

START_TEST(agent_knows_who_lives)
{
	struct engine_options options = { .report = keep, .alive = lives };

	with_rules("process.cpu_pct < 5");
	engine_free(engine);
	ck_assert_int_eq(engine_new(&rules, &options, &engine), 0);
	everybody_lives = true;
	cpu(1);
	next();
	evaluate();
	told("1 firing 7:busy 1\n");
	everybody_lives = false;
	next();
	evaluate();
	told("3 resolved 7:busy - \"process ended\"\n");
}
END_TEST

START_TEST(process_without_data)
{
	with_rules("process.cpu_pct > 90");
	cpu(NAN);
	told(""); /* one of many: nothing to say */
	cpu(95);
	cpu(NAN);
	next(); /* and absent: what was not measured is not 0 */
	evaluate();
	told("2 firing 7:busy 95\n3 nodata 7:busy -\n");
	next();
	process(7, 1, "busy", NAN)->state = "exited";
	evaluate();
	told("5 resolved 7:busy - \"process ended\"\n");
}
END_TEST

START_TEST(exec_changes_the_name)
{
	with_rules("process[comm=sh].cpu_pct > 90");
	next();
	process(7, 1, "sh", 95);
	process(8, 1, "cc", 95);
	evaluate();
	told("1 firing 7:sh 95\n");
	next();
	process(7, 1, "python", 95);
	evaluate();
	told("2 resolved 7:python 95 \"no longer matches\"\n");
}
END_TEST

static void add_device(const char *name, uint64_t errors)
{
	snapshot_add_device(sample)->dev = name;
	sample->devices[sample->n_devices - 1].io.errors = errors;
}

START_TEST(devices_and_interfaces)
{
	with_rules("system.block.devices[dev=sd*].errors > 0");
	next();
	add_device("sda", 0);
	add_device("sdb", 2);
	add_device("nvme0n1", 9);
	evaluate();
	told("1 firing sdb 2\n");
	next();
	add_device("sda", 1);
	add_device("sdb", 3);
	evaluate();
	told("2 firing sda 1\n");
	next();
	add_device("sda", 0);
	evaluate();
	told("3 resolved sda 0 \"cleared\"\n3 resolved sdb - \"device gone\"\n");

	with_rules("system.net.interfaces.rx_dropped > 0");
	next();
	snapshot_add_interface(sample)->name = "eth0";
	sample->interfaces[0].rx_dropped = 4;
	evaluate();
	next();
	evaluate();
	told("1 firing eth0 4\n2 resolved eth0 - \"interface gone\"\n");
}
END_TEST

START_TEST(distributions)
{
	with_rules("p: system.sched.runq.p99 > 20ms\nn: system.sched.runq.count > 1");
	next();
	dist_clear(&sample->system.runq);
	dist_add(&sample->system.runq, 30000000);
	dist_add(&sample->system.runq, 30000000);
	evaluate();
	told("1 firing (p) 3e+07\n1 firing (n) 2\n");
	/* Nothing happened: nothing waited long, and the count is 0. */
	next();
	dist_clear(&sample->system.runq);
	evaluate();
	told("2 resolved (p) - \"cleared\"\n2 resolved (n) 0 \"cleared\"\n");
	/* Not measured. */
	next();
	evaluate();
	told("3 nodata (p) -\n3 nodata (n) -\n");
}
END_TEST

START_TEST(nothing_happened_clears)
{
	with_rules("system.sched.runq.p99 > 20ms clear < 5ms");
	next();
	dist_clear(&sample->system.runq);
	dist_add(&sample->system.runq, 30000000);
	evaluate();
	next();
	dist_clear(&sample->system.runq);
	dist_add(&sample->system.runq, 10000000);
	evaluate();
	told("1 firing 3e+07\n");
	next();
	dist_clear(&sample->system.runq);
	evaluate();
	told("3 resolved - \"cleared\"\n");
}
END_TEST

START_TEST(pending_process_without_data)
{
	with_rules("process.cpu_pct > 90 for 5s");
	cpu(95);
	cpu(NAN);
	told("1 pending 7:busy 95\n");
	ck_assert_uint_eq(engine_stats(engine).pending + engine_stats(engine).nodata, 0);
}
END_TEST

/* Alerts of equal hashes, which no sample makes. */
START_TEST(equal_hashes)
{
	struct alert_set set;
	struct alert *alerts[4], *alert;
	struct alert_id ids[4];

	with_rules("process.cpu_pct > 90");
	ck_assert_int_eq(alert_set_init(&set, &rules, 4), 0);
	for (size_t i = 0; i < 4; i++) {
		ids[i] = (struct alert_id){ .rule = rules.rules, .pid = i, .hash = 5 };
		ck_assert_int_eq(alert_set_add(&set, &ids[i], &alerts[i]), 0);
	}
	ck_assert_int_eq(alert_set_add(&set, &ids[0], &alert), -ENOSPC);
	for (size_t i = 0; i < 4; i++)
		ck_assert_ptr_eq(alert_set_find(&set, &ids[i]), alerts[i]);
	/* The head of the chain (the last one added), and one from its middle. */
	alerts[3]->state = ALERT_RESOLVED;
	alerts[1]->state = ALERT_RESOLVED;
	ck_assert_ptr_null(alert_set_find(&set, &ids[3]));
	alert_set_sweep(&set);
	ck_assert_uint_eq(set.n, 2);
	ck_assert_uint_eq(alert_set_count(&set, rules.rules), 2);
	for (size_t i = 0; i < 4; i++) {
		alert = alert_set_find(&set, &ids[i]);
		ck_assert_int_eq(alert != NULL, i % 2 == 0);
		ck_assert(!alert || alert->pid == i);
	}
	for (struct alert_walk w = { 0 }; (alert = alert_set_next(&set, &w));)
		alert->state = ALERT_RESOLVED;
	alert_set_sweep(&set);
	ck_assert_uint_eq(set.n, 0);
	ck_assert_uint_eq(set.map.count, 0);
	alert_set_release(&set);
}
END_TEST

START_TEST(trust_and_self)
{
	with_rules("trust.complete == false\nself.bpf_ns > 1ms");
	next()->trust.complete = true;
	evaluate();
	next()->trust.complete = false;
	sample->self.bpf_ns = 2000000;
	evaluate();
	told("1 nodata (self.bpf_ns > 1ms) -\n2 firing (trust.complete == false) 0\n"
	     "2 firing (self.bpf_ns > 1ms) 2e+06\n");
}
END_TEST

START_TEST(culprits)
{
	with_rules("system.sched.switches > 10");
	next()->system.switches = 99;
	for (int i = 0; i < 6; i++) {
		static const char *const names[] = { "a", "b", "c", "d", "e", "f" };
		static const uint64_t voluntary[] = { 3, 0, 7, 1, 9, METRIC_NULL };
		struct process_metrics *p = process(10 + i, 1, names[i], 0);

		p->voluntary = voluntary[i];
		p->involuntary = i == 3 ? 20 : 0;
	}
	evaluate();
	told("1 firing 99 <- d=21 e=9 c=7\n");

	/* Too little of something that is good has no culprit; too little memory has. */
	with_rules("system.sched.switches < 10");
	next()->system.switches = 1;
	process(1, 1, "a", 0)->voluntary = 5;
	evaluate();
	told("1 firing 1\n");
	with_rules("system.memory.available_bytes < 1G");
	next()->system.memory_available_bytes = 1;
	process(1, 1, "small", 0)->rss_bytes = 1;
	process(2, 1, "large", 0)->rss_bytes = 9;
	evaluate();
	told("1 firing 1 <- large=9 small=1\n");

	with_rules("system.block.devices.latency.p99 > 1ms");
	next();
	add_device("sda", 0);
	dist_clear(&sample->devices[0].io.latency);
	dist_add(&sample->devices[0].io.latency, 5000000);
	process(1, 1, "dd", 0)->read_bytes = 5;
	sample->processes[0].write_bytes = 2;
	evaluate();
	told("1 firing sda 5e+06 <- dd=7\n");
}
END_TEST

START_TEST(every_system_metric_has_its_row)
{
	char path[128];
	struct rule rule;
	struct rule_error error;
	struct record_culprit found[ALERT_CULPRITS];
	size_t without = 0;

	with_rules("trust.lost > 0");
	next();
	process(1, 1, "p", 1);
	for (size_t i = 0; i < metric_count; i++)
		if (metrics[i].scope == SCOPE_PROCESS && metrics[i].type == METRIC_U64)
			*(uint64_t *)((char *)sample->processes + metrics[i].offset) = 1;
	for (size_t i = 0; metric_path(i, path, sizeof(path)); i++) {
		char text[160];

		snprintf(text, sizeof(text), "%s %s 0", path,
			 strcmp(path, "system.memory.available_bytes") ? ">" : "<");
		ck_assert_int_eq(rule_parse(text, strlen(text), &rule, &error), 0);
		if (culprits_find(&rule, sample, found))
			continue;
		without++;
		ck_assert_msg(strncmp(path, "process.", 8) == 0 || strncmp(path, "trust.", 6) == 0 ||
				      strncmp(path, "self.", 5) == 0,
			      "%s has nobody behind it", path);
	}
	ck_assert(without > 0);
}
END_TEST

START_TEST(storm_is_bounded)
{
	size_t extra = 100;

	with_rules("process.cpu_pct > 90");
	next();
	for (size_t i = 0; i < ENGINE_ALERTS_MAX + extra; i++)
		process(i + 1, i, "storm", 95);
	evaluate();
	ck_assert_uint_eq(engine_stats(engine).firing, ENGINE_ALERTS_MAX);
	ck_assert_uint_eq(engine_stats(engine).overflow, extra);
	ck_assert_uint_eq(engine_stats(engine).fired, ENGINE_ALERTS_MAX);
	ck_assert_uint_lt(engine_bytes(engine), 2 << 20);
	/* All calm: room for everybody again. */
	next();
	evaluate();
	ck_assert_uint_eq(engine_stats(engine).firing, 0);
	next();
	for (size_t i = 0; i < extra; i++)
		process(ENGINE_ALERTS_MAX + i + 1, ENGINE_ALERTS_MAX + i, "storm", 95);
	evaluate();
	ck_assert_uint_eq(engine_stats(engine).firing, extra);
	ck_assert_uint_eq(engine_stats(engine).overflow, extra);
}
END_TEST

/* By chance, against the plainest model of one rule and one process. */
START_TEST(agrees_with_a_model)
{
	uint64_t seed = 42;

	with_rules("process.cpu_pct > 50 for 3s clear < 30");
	bool firing = false;
	uint64_t held = 0, fired = 0, resolved = 0, seen_fired = 0, seen_resolved = 0;

	for (int i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		double value = (double)(seed >> 60) * 6 + ((seed >> 40) % 4 ? 20 : 0);

		cpu(value);
		if (firing) {
			if (value < 30) {
				firing = false;
				resolved++;
				held = 0;
			}
		} else if (value > 50) {
			if (++held > 3) {
				firing = true;
				fired++;
			}
		} else {
			held = 0;
		}
		seen_fired += strstr(buf_str(&story), "firing") != NULL;
		seen_resolved += strstr(buf_str(&story), "resolved") != NULL;
		ck_assert_uint_eq(seen_fired, fired);
		ck_assert_uint_eq(seen_resolved, resolved);
		buf_reset(&story);
	}
	ck_assert_uint_gt(fired, 100);
	ck_assert_uint_eq(engine_stats(engine).fired, fired);
}
END_TEST

SUITE("alert_engine", fires_once_and_resolves, for_needs_no_gap, since_is_when_it_began, flapping,
      for_goes_by_sample_time, samples_are_not_quite_on_time, clock_steps_do_not_count,
      elapsed_that_stands_still, null_never_fires, firing_without_data, pending_without_data,
      end_of_run, each_process_on_its_own, process_that_exits, pending_process_that_exits,
      reused_pid, absent_process_was_idle, idle_rows_are_like_absent_ones, agent_knows_who_lives,
      process_without_data, exec_changes_the_name, devices_and_interfaces, distributions,
      nothing_happened_clears, pending_process_without_data, equal_hashes, trust_and_self, culprits,
      every_system_metric_has_its_row, storm_is_bounded, agrees_with_a_model)
