/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sink.h - where the records of a run go: one row of operations a format.
 *
 * A sink renders into a buffer and hands whole records to its output. Order of calls: header once, then samples and alerts,
 * summary once, close. The alerts that a sample brings about come before that sample, so that a screen or an
 * exposition shows what fires together with the figures that made it fire. Every call returns 0 or -errno of the output (-EPIPE: the reader went away); after an
 * error the sink is only closed. Not thread-safe.
 */
#ifndef MBTRACE_EXPORT_SINK_H
#define MBTRACE_EXPORT_SINK_H

#include "base/file.h"
#include "metric/record.h"
#include "metric/snapshot.h"

struct sink;

struct sink_options {
	uint64_t top; /* process rows to show; 0: all active */
	const char *sort; /* process member to sort by ("cpu_pct"); NULL: the format's default (cpu_ns) */
	bool histograms; /* buckets with every distribution */
	bool cmdline; /* optional members are shown */
	bool redact; /* names of processes, cgroups and command lines are hidden */
	bool color; /* only for people */
	bool redraw; /* the output is a terminal that can be redrawn in place */
};

struct sink_ops {
	const char *name; /* of --format */
	bool replaces; /* each sample is the file's whole content (output_replace()): files are made during the run */
	/* 0 with a sink that writes to `output` (borrowed until close), or -errno. */
	int (*open)(const struct sink_options *options, struct output *output,
		    struct sink **ret_sink);
	int (*header)(struct sink *sink, const struct record_header *header);
	int (*sample)(struct sink *sink, const struct snapshot *snapshot);
	int (*alert)(struct sink *sink, const struct record_alert *alert);
	int (*summary)(struct sink *sink, const struct record_summary *summary);
	void (*close)(struct sink *sink); /* accepts NULL */
};

/* Appends the JSON record of one alert, newline included, for a command that is told of it. 0 or -ENOMEM. */
int json_alert_text(const struct sink_options *options, const struct record_alert *alert,
		    struct buf *ret_line);

extern const struct sink_ops json_sink, csv_sink, openmetrics_sink;

#endif
