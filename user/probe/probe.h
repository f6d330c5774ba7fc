/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * probe.h - what every probe is: a row of operations that opens, reads and closes one source of numbers.
 *
 * Life: open() loads and attaches whatever this kernel allows and says in `status` how (attached, degraded, absent, with
 * the mode and a reason a person can act on); read() is called once at the end of each interval and adds the interval's
 * numbers to the snapshot's system members and to the process table; drain() empties rings between intervals when
 * ring_fd() is readable; close() detaches and frees, and accepts NULL. All calls come from the agent's one thread.
 *
 * Rules. Counters given to the snapshot are for the interval (the probe keeps the totals of before). A member that could
 * not be measured is left as snapshot_reset() set it. Losses are added to snapshot->trust. Probes never print.
 * Adding a probe adds its three files and a row in probes[] (probe.c).
 */
#ifndef MBTRACE_PROBE_PROBE_H
#define MBTRACE_PROBE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metric/snapshot.h"

struct btf;
struct process_table;
struct probe;

enum probe_state { PROBE_ABSENT, PROBE_DEGRADED, PROBE_ATTACHED };

/* "attached", "degraded", "absent". */
const char *probe_state_name(enum probe_state state);

struct probe_status {
	enum probe_state state;
	char mode[64]; /* how it is attached: "tp_btf", "raw_tp + hash", "perf event" */
	char reason[256]; /* why not better, and what to do; empty when attached in the best mode */
};

/* What all probes are told at open. Valid until the last close. */
struct probe_settings {
	struct process_table *processes;
	uint32_t sources; /* bits 1 << source_id that the user wants */
	unsigned int possible_cpus;
	const struct btf *btf; /* the running kernel's, for detection (object.h) */
	uint32_t pid_ns_level, pid_ns_inum; /* of the agent; level 0: the initial namespace */
	const uint32_t *pids; /* filter of -p, as the agent's PID namespace numbers them; NULL: all */
	size_t n_pids;
	bool follow;
	/* Sizes of maps: entries. Small values are used by tests to make losses happen. */
	uint32_t slots; /* per-process histograms */
	uint32_t ring_bytes; /* power of two, at least a page */
	uint32_t table_entries; /* in-flight and fallback hashes */
};

struct probe_ops {
	const char *name; /* as its files: "sched" */
	uint32_t sources; /* bits of the sources it feeds */
	bool required; /* opened whatever sources are wanted: without it there is no sample */
	/* Whether this kernel and these privileges would let it work, without loading anything: for doctor. */
	void (*supported)(struct probe_status *ret_status);
	/* 0 with a probe, or -errno with a reason in status. */
	int (*open)(const struct probe_settings *settings, struct probe **ret_probe,
		    struct probe_status *ret_status);
	int (*read)(struct probe *probe, struct snapshot *snapshot);
	int (*ring_fd)(const struct probe *probe); /* NULL or -1: none */
	int (*drain)(struct probe *probe);
	uint64_t (*map_bytes)(const struct probe *probe); /* memory of its maps, as the kernel accounts them; may be NULL */
	uint64_t (*bpf_ns)(const struct probe *probe); /* run time of its programs since load, while stats are enabled */
	void (*close)(struct probe *probe);
};

/* All probes, NULL-terminated, in the order they are opened; they are shed for the budget from the last to the first. */
extern const struct probe_ops *const probes[];

#endif
