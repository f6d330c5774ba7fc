/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * snapshot.h - everything mbtrace knows of one interval: the only thing that sinks, alerts and advisors see.
 *
 * Vocabulary. A *counter* counts within the interval, never since start. A *gauge* is the value at its end. Times are
 * nanoseconds, sizes bytes, shares percent. "Not measured" is METRIC_NULL for integers, NAN for percentages, `known == false`
 * for distributions and NULL for texts: never zero.
 *
 * Ownership. A snapshot owns its row arrays and the distributions in them; texts point into the snapshot's own pool
 * (snapshot_text()) or at constants. snapshot_reset() keeps the memory for the next interval. Not thread-safe: it is filled
 * by the agent's thread and only read after that.
 *
 * Every member shown anywhere is a row of table.h; a new metric is a field here, a row there, and the probe that fills it.
 */
#ifndef MBTRACE_METRIC_SNAPSHOT_H
#define MBTRACE_METRIC_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "metric/histogram.h"

#define METRIC_NULL UINT64_MAX
#define METRIC_NULL_SIGNED INT64_MIN

enum source_id { SOURCE_SCHED, SOURCE_FAULT, SOURCE_BLOCK, SOURCE_TCP, SOURCE_COUNT };

/* "sched", "fault", "block", "tcp". */
const char *source_name(enum source_id id);

/* What a block device, or all of them, did. */
struct block_metrics {
	uint64_t reads, writes, read_bytes, write_bytes, errors;
	struct dist latency; /* from the request's issue to the device until its completion */
	struct dist queue; /* from the request's creation until its issue */
	uint64_t flushes, discards, discard_bytes;
};

struct device_metrics {
	const char *dev; /* kernel name, "nvme0n1" */
	struct block_metrics io;
	double sequential_pct; /* requests that began where the one before ended */
};

struct interface_metrics {
	const char *name;
	uint64_t rx_bytes, tx_bytes, rx_dropped, tx_dropped;
};

struct system_metrics {
	double cpu_util_pct, cpu_user_pct, cpu_system_pct, cpu_iowait_pct,
		cpu_steal_pct; /* 100: all CPUs */
	uint64_t switches, migrations;
	struct dist runq, oncpu;
	uint64_t memory_total_bytes, memory_available_bytes, swap_used_bytes;
	double pressure_some_pct, pressure_full_pct; /* memory PSI within the interval */
	double cpu_pressure_some_pct, io_pressure_some_pct, io_pressure_full_pct;
	uint64_t fault_user, fault_kernel, fault_minor, fault_major;
	struct dist fault_latency;
	struct block_metrics block;
	uint64_t tcp_opened, tcp_accepted, tcp_closed, tcp_failed, tcp_tx_bytes, tcp_rx_bytes,
		tcp_retransmits;
	uint64_t tcp_resets_sent, tcp_resets_received, tcp_established;
	struct dist tcp_rtt, tcp_connect;
};

/* One process; a pid met twice in an interval (reuse) has two rows, told apart by start_ns. */
struct process_metrics {
	uint64_t pid, ppid; /* as the caller's PID namespace sees them; pid 0 is "kernel writeback" */
	const char *comm, *cgroup;
	uint64_t threads;
	uint64_t cpu_ns;
	double cpu_pct; /* 100: one CPU */
	uint64_t runq_ns, iowait_ns, blocked_ns, sleep_ns;
	int64_t residual_ns; /* wall_ns less all of the above: interrupts and time stolen by the hypervisor */
	struct dist runq;
	uint64_t voluntary, involuntary;
	uint64_t minflt, majflt, rss_bytes;
	uint64_t read_bytes, write_bytes, reads, writes;
	struct dist io_latency;
	uint64_t tx_bytes, rx_bytes, retransmits;
	uint64_t wall_ns; /* sum over its threads of the time each existed within the interval */
	uint64_t migrations;
	uint64_t start_ns; /* since boot, suspend included */
	const char *state; /* running, waiting, sleeping, blocked, iowait, exited: its most telling thread, at the end */
	struct dist fault_latency;
	uint64_t opened, accepted, closed, failed; /* TCP connections */
	const char *cmdline; /* only when asked for */
	bool idle; /* did nothing in this interval: only summaries want the row */
};

struct trust_metrics {
	uint64_t events, lost, map_full, discarded, unattributed, rows_hidden;
	uint32_t shed; /* bit 1 << source_id: given up for the budget */
	bool complete; /* nothing was lost, nothing shed */
};

struct self_metrics {
	uint64_t cpu_ns, bpf_ns, rss_bytes, map_bytes;
};

struct snapshot {
	uint64_t time_ns; /* realtime at the end */
	uint64_t elapsed_ns; /* since the first interval began */
	uint64_t interval_ns; /* as measured */
	struct system_metrics system;
	struct device_metrics *devices;
	size_t n_devices, cap_devices;
	struct interface_metrics *interfaces;
	size_t n_interfaces, cap_interfaces;
	struct process_metrics *processes; /* the active ones; order is the sink's affair */
	size_t n_processes, cap_processes;
	struct trust_metrics trust;
	struct self_metrics self;
	struct text_block *texts;
	struct map text_index; /* hash of a text → the text, so that equal texts are kept once */
	struct map process_index; /* hash of (pid, start) → row number + 1; only while merging into this snapshot */
};

/* An empty snapshot whose every member is "not measured"; released with snapshot_free(). NULL without memory. */
struct snapshot *snapshot_new(void);
void snapshot_free(struct snapshot *s);
/* Back to "not measured", rows gone, memory kept (but for a storm's). Pointers to texts and rows of before are invalid. */
void snapshot_reset(struct snapshot *s);

/* A new row, all "not measured"; valid until the next add. NULL without memory. */
struct process_metrics *snapshot_add_process(struct snapshot *s);
struct device_metrics *snapshot_add_device(struct snapshot *s);
struct interface_metrics *snapshot_add_interface(struct snapshot *s);

/* Drops the process rows from `n` on; memory for as many more is kept. */
void snapshot_truncate_processes(struct snapshot *s, size_t n);

/* A copy of the text that lives as long as the snapshot's content, shared by equal texts; NULL for NULL or without memory. */
const char *snapshot_text(struct snapshot *s, const char *text);

/*
 * Adds one interval to a running whole (for summaries and coarser history): counters add, distributions merge, percentages
 * are averaged by time, gauges keep the last known. Rows are matched by key (pid and start, device, name).
 * 0 or -ENOMEM (then `whole` may hold part of the interval).
 */
int snapshot_merge(struct snapshot *whole, const struct snapshot *interval);

/* Sets complete from the counts. */
void trust_judge(struct trust_metrics *t);

/* Bytes held by the snapshot. */
size_t snapshot_bytes(const struct snapshot *s);

#endif
