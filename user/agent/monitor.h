/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * monitor.h - one run of `mbtrace monitor`: the kernel (or a file) in, records out.
 *
 * Intervals lie on an absolute clock: sample k is due at start + k × interval. A sample that is late covers more time and
 * says so in interval_ns; the next one is due when it always was. SIGINT, SIGTERM and the end of what is watched
 * end a run with a last sample and the summary.
 */
#ifndef MBTRACE_AGENT_MONITOR_H
#define MBTRACE_AGENT_MONITOR_H

#include "base/log.h"
#include "config/options.h"

/* As the command line says it (cli/cmd_monitor.c has the table of options). */
struct monitor_options {
	const char *pids; /* "12,34"; NULL: all */
	bool follow;
	const char *comm, *cgroup;
	uint64_t duration_ns, interval_ns, count; /* 0: no end */
	const char *sources; /* "sched,tcp"; NULL: all */
	const char *format; /* NULL: table */
	const char *output; /* NULL: standard output */
	uint64_t top; /* METRIC_NULL: the format's default */
	const char *sort;
	bool histograms, cmdline, redact;
	const char *color;
	struct option_list alerts;
	const char *alert_file, *on_alert;
	bool alert_exit;
	double max_overhead; /* percent of all CPUs */
	uint64_t max_memory;
	const char *replay;
};

#define MONITOR_INTERVAL_MIN (100 * 1000000ull)
#define MONITOR_INTERVAL_MAX (86400 * 1000000000ull)

/* Exit codes of the program (interface of all commands). */
enum exit_code { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_ALERTED, EXIT_CANNOT };

/* Runs to the end and says on `log` what went wrong. Returns an exit code. */
int monitor_run(const struct monitor_options *options, const struct log *log);

#endif
