/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * record.h - the records of a run that are not samples: header, alert, summary.
 *
 * Texts are borrowed: valid during the call they are passed to. See docs of `monitor` for the meaning of each member.
 */
#ifndef MBTRACE_METRIC_RECORD_H
#define MBTRACE_METRIC_RECORD_H

#include "metric/snapshot.h"

#define RECORD_SCHEMA 1 /* goes up only when a reader of the old one would be wrong */

struct record_source {
	const char *status, *mode,
		*reason; /* attached, degraded, absent; NULL where there is nothing to say */
};

struct record_header {
	const char *version;
	const char *host_kernel, *host_boot_id, *host_name;
	unsigned int host_cpus;
	uint64_t interval_ns;
	/* filter: what was asked for; NULL or 0 when not */
	const uint32_t *filter_pids;
	size_t n_filter_pids;
	bool filter_follow;
	const char *filter_comm, *filter_cgroup;
	struct record_source sources[SOURCE_COUNT];
};

enum alert_state { ALERT_PENDING, ALERT_FIRING, ALERT_RESOLVED, ALERT_NODATA };

/* "pending", "firing", "resolved", "nodata". */
const char *alert_state_name(enum alert_state state);

#define ALERT_CULPRITS 3 /* processes named by a firing alert */

struct record_culprit {
	uint64_t pid;
	const char *comm;
	double value; /* its own part of the metric, in the metric's unit */
	const char *metric; /* which of its members that is: "process.cpu_pct" */
};

struct record_alert {
	uint64_t time_ns; /* realtime */
	const char *rule; /* its name, or its text */
	enum alert_state state;
	const char *metric; /* path as written in the rule */
	double value; /* NAN: no data */
	double threshold;
	uint64_t since_ns; /* realtime: when the condition first held */
	bool has_process; /* a process. rule: which one */
	uint64_t pid;
	const char *comm;
	const char *row; /* key of another list's row (device, interface) or NULL */
	/* Why it resolved: "cleared", "process ended", "no longer matches", "device gone", "interface gone", "end of run"; why it fires
	 * once more: "data again", after nodata. NULL else. */
	const char *reason;
	struct record_culprit culprits[ALERT_CULPRITS];
	size_t n_culprits;
};

struct record_summary {
	uint64_t samples;
	uint64_t elapsed_ns;
	uint64_t alerts_fired;
	const struct snapshot *whole; /* all intervals merged */
};

#endif
