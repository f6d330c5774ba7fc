// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>

#include "base/macros.h"
#include "base/suggest.h"
#include "cli/command.h"
#include "export/rows.h"

#define AT(member) offsetof(struct monitor_options, member)

static const struct option options[] = {
	{ "pid", 'p', OPTION_TEXT, "PID[,PID]", "only these processes", AT(pids),
	  .command_line_only = true },
	{ "follow", 0, OPTION_FLAG, NULL, "with --pid: and the children they start", AT(follow) },
	{ "comm", 0, OPTION_TEXT, "NAME", "only processes of this name", AT(comm) },
	{ "cgroup", 0, OPTION_TEXT, "PATH", "only processes in this cgroup or below it", AT(cgroup) },
	{ "duration", 'd', OPTION_DURATION, "TIME", "how long to run", AT(duration_ns), .min = 1 },
	{ "interval", 'i', OPTION_DURATION, "TIME", "time between samples", AT(interval_ns),
	  .fallback = "1s", .min = MONITOR_INTERVAL_MIN, .max = MONITOR_INTERVAL_MAX },
	{ "count", 'n', OPTION_COUNT, "N", "how many samples", AT(count), .min = 1 },
	{ "source", 0, OPTION_NAMES, "NAME[,NAME]", "sched, fault, block, tcp; default: all",
	  AT(sources), .choices = "sched|fault|block|tcp" },
	{ "format", 'f', OPTION_CHOICE, "FORMAT", "table, json, csv or openmetrics", AT(format),
	  .choices = "table|json|csv|openmetrics", .fallback = "table" },
	{ "output", 'o', OPTION_TEXT, "FILE",
	  "write to FILE, complete at the end; default: standard output", AT(output) },
	{ "top", 0, OPTION_COUNT, "N",
	  "processes to show, 0: all; default: 10 in a table, else all", AT(top) },
	{ "sort", 0, OPTION_TEXT, "KEY",
	  "sort processes by this member (cpu, rss_bytes, runq.p99); default: cpu_ns", AT(sort) },
	{ "histograms", 0, OPTION_FLAG, NULL, "add buckets to every distribution", AT(histograms) },
	{ "cmdline", 0, OPTION_FLAG, NULL, "show command lines (they may hold secrets)", AT(cmdline) },
	{ "redact", 0, OPTION_FLAG, NULL, "hide names of processes and cgroups", AT(redact) },
	{ "color", 0, OPTION_CHOICE, "WHEN", "auto, always or never", AT(color),
	  .choices = "auto|always|never", .fallback = "auto" },
	{ "alert", 0, OPTION_LIST, "RULE", "alert when RULE holds; may be given again", AT(alerts) },
	{ "alert-file", 0, OPTION_TEXT, "FILE", "rules from FILE, one a line", AT(alert_file) },
	{ "on-alert", 0, OPTION_TEXT, "COMMAND", "run COMMAND when an alert fires or resolves",
	  AT(on_alert) },
	{ "alert-exit", 0, OPTION_FLAG, NULL, "exit 3 if an alert fired", AT(alert_exit) },
	{ "max-overhead", 0, OPTION_PERCENT, "PCT", "most of all CPUs it may use itself",
	  AT(max_overhead), .fallback = "1", .max = 100 },
	{ "max-memory", 0, OPTION_SIZE, "SIZE", "most memory it may use itself, maps included",
	  AT(max_memory), .fallback = "32M", .min = 1 << 20 },
	{ "replay", 0, OPTION_TEXT, "FILE",
	  "read samples from FILE (JSON Lines) instead of the kernel", AT(replay),
	  .command_line_only = true },
};

static const char help_text[] =
	"Times take a unit (500ms, 5s, 2m, 1h), sizes too (64K, 10M, 1G). SIGINT ends a run with a last sample and a summary.\n"
	"An alert rule is [NAME:] METRIC OP VALUE [for TIME] [clear OP VALUE], for example\n"
	"    hot: process.cpu_pct > 90 for 10s clear < 70\n"
	"    system.sched.runq.p99 > 20ms\n"
	"Exit: 0 done, 1 failed, 2 used wrongly, 3 an alert fired (--alert-exit), 4 not permitted or not possible here.\n";

static int check_sort(const struct command_context *context, const char *key)
{
	struct rows_key parsed;
	const char *near[3];
	size_t n;

	if (!key || rows_key_parse(key, &parsed) == 0)
		return EXIT_DONE;
	n = suggest_nearest(key, rows_key_name, NULL, near, ARRAY_SIZE(near));
	log_error(context->log, "monitor", "--sort: a process has no \"%s\"%s%s", key,
		  n ? "; did you mean " : "; try cpu_pct, runq.p99, rss_bytes, read_bytes",
		  n ? near[0] : "");
	return EXIT_USAGE;
}

static int check(const struct command_context *context, const struct monitor_options *o)
{
	int code = check_sort(context, o->sort);

	if (!code && o->follow && !o->pids) {
		log_error(context->log, "monitor", "--follow goes with --pid");
		code = EXIT_USAGE;
	}
	if (!code && o->on_alert && !o->alerts.n && !o->alert_file) {
		log_error(context->log, "monitor", "--on-alert goes with --alert or --alert-file");
		code = EXIT_USAGE;
	}
	return code;
}

static int monitor_main(const struct command_context *context, int argc, char **argv)
{
	struct monitor_options o = { .top = METRIC_NULL };
	struct option_values values;
	int rest, code = command_options(context, &monitor_command, &o, argc, argv, &values, &rest);

	if (code)
		return code;
	code = command_no_operands(context, &monitor_command, argc, argv, rest);
	if (!code)
		code = check(context, &o);
	if (!code)
		code = monitor_run(&o, context->log);
	options_release(&values);
	return code;
}

const struct command monitor_command = {
	.name = "monitor",
	.summary = "live metrics of processes, CPUs, disks and connections",
	.usage = " [OPTION]...",
	.text = help_text,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.run = monitor_main,
};
