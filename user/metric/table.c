// SPDX-License-Identifier: BSD-2-Clause
#include "metric/table.h"

#include <math.h>
#include <string.h>

#include "base/macros.h"

/*
 * DESIGN. One row a member, made by the macros below so that a row reads as a line:
 *	kind(scope struct, "name", field, extras…, "openmetrics", "help")
 * COUNT adds over time, GAUGE keeps the last, SHARE is averaged, DIST merges, KEY names a row.
 * Everything that walks the table gets merging, nulls and units from it; no member is handled by name anywhere.
 */
/* clang-format off */
#define ROW(scope_, type_, merge_, unit_, struct_, name_, field_, om_, help_, ...)                                \
	{                                                                                                           \
		.name = (name_), .scope = (scope_), .type = (type_), .merge = (merge_), .unit = (unit_),            \
		.offset = offsetof(struct struct_, field_), .openmetrics = (om_), .help = (help_), ##__VA_ARGS__    \
	}
#define SYS(type_, merge_, unit_, name_, field_, om_, help_, ...) \
	ROW(SCOPE_SYSTEM, type_, merge_, unit_, system_metrics, name_, field_, om_, help_, ##__VA_ARGS__)
#define DEV(type_, merge_, unit_, name_, field_, om_, help_, ...) \
	ROW(SCOPE_DEVICE, type_, merge_, unit_, device_metrics, name_, field_, om_, help_, ##__VA_ARGS__)
#define NIC(type_, merge_, unit_, name_, field_, om_, help_, ...) \
	ROW(SCOPE_INTERFACE, type_, merge_, unit_, interface_metrics, name_, field_, om_, help_, ##__VA_ARGS__)
#define PROC(type_, merge_, unit_, name_, field_, om_, help_, ...) \
	ROW(SCOPE_PROCESS, type_, merge_, unit_, process_metrics, name_, field_, om_, help_, ##__VA_ARGS__)
#define TRUST(type_, merge_, name_, field_, om_, help_) \
	ROW(SCOPE_TRUST, type_, merge_, UNIT_NONE, trust_metrics, name_, field_, om_, help_)
#define SELF(merge_, unit_, name_, field_, om_, help_, ...) \
	ROW(SCOPE_SELF, METRIC_U64, merge_, unit_, self_metrics, name_, field_, om_, help_, ##__VA_ARGS__)

#define NULLABLE .nullable = true

/* The members block_metrics has in both of its scopes. */
#define BLOCK_TOTALS(S, prefix, at, om)                                                                               \
	S(METRIC_U64, MERGE_SUM, UNIT_NONE, prefix "reads", at.reads, om "_reads", "read requests completed", NULLABLE), \
	S(METRIC_U64, MERGE_SUM, UNIT_NONE, prefix "writes", at.writes, om "_writes", "write requests completed",     \
	  NULLABLE),                                                                                                  \
	S(METRIC_U64, MERGE_SUM, UNIT_BYTES, prefix "read_bytes", at.read_bytes, om "_read", "bytes read", NULLABLE), \
	S(METRIC_U64, MERGE_SUM, UNIT_BYTES, prefix "write_bytes", at.write_bytes, om "_written", "bytes written",    \
	  NULLABLE),                                                                                                  \
	S(METRIC_U64, MERGE_SUM, UNIT_NONE, prefix "errors", at.errors, om "_errors",                                 \
	  "requests that ended in an error", NULLABLE),                                                               \
	S(METRIC_DIST, MERGE_DIST, UNIT_NS, prefix "latency", at.latency, om "_latency",                              \
	  "time in the device, from issue to completion, of reads and writes", NULLABLE),                             \
	S(METRIC_DIST, MERGE_DIST, UNIT_NS, prefix "queue", at.queue, om "_queue",                                    \
	  "time queued before the device, from creation to issue, of reads and writes", NULLABLE)
#define BLOCK_EXTRAS(S, prefix, at, om)                                                                               \
	S(METRIC_U64, MERGE_SUM, UNIT_NONE, prefix "flushes", at.flushes, om "_flushes", "cache flushes completed",   \
	  NULLABLE),                                                                                                  \
	S(METRIC_U64, MERGE_SUM, UNIT_NONE, prefix "discards", at.discards, om "_discards",                           \
	  "discard (trim) requests completed", NULLABLE),                                                             \
	S(METRIC_U64, MERGE_SUM, UNIT_BYTES, prefix "discard_bytes", at.discard_bytes, om "_discarded",               \
	  "bytes discarded", NULLABLE)

const struct metric metrics[] = {
	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "cpu.util_pct", cpu_util_pct, "cpu_utilization",
	    "share of all CPUs' time that was not idle or waiting for I/O", NULLABLE),
	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "cpu.user_pct", cpu_user_pct, "cpu_user",
	    "share of all CPUs' time in user mode", NULLABLE),
	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "cpu.system_pct", cpu_system_pct, "cpu_system",
	    "share of all CPUs' time in the kernel, interrupts included", NULLABLE),
	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "cpu.iowait_pct", cpu_iowait_pct, "cpu_iowait",
	    "share of all CPUs' time idle while a task waited for I/O", NULLABLE),
	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "cpu.steal_pct", cpu_steal_pct, "cpu_steal",
	    "share of all CPUs' time taken by the hypervisor", NULLABLE),

	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "sched.switches", switches, "context_switches", "context switches", NULLABLE),
	SYS(METRIC_DIST, MERGE_DIST, UNIT_NS, "sched.runq", runq, "runqueue_wait",
	    "waits for a CPU, from runnable to running", NULLABLE),
	SYS(METRIC_DIST, MERGE_DIST, UNIT_NS, "sched.oncpu", oncpu, "oncpu_slice",
	    "time slices, from switched in to switched out", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "sched.migrations", migrations, "task_migrations",
	    "moves of a task to another CPU", NULLABLE),

	SYS(METRIC_U64, MERGE_LAST, UNIT_BYTES, "memory.total_bytes", memory_total_bytes, "memory_total",
	    "memory the kernel manages", NULLABLE),
	SYS(METRIC_U64, MERGE_LAST, UNIT_BYTES, "memory.available_bytes", memory_available_bytes, "memory_available",
	    "memory that programs could get without swapping", NULLABLE),
	SYS(METRIC_U64, MERGE_LAST, UNIT_BYTES, "memory.swap_used_bytes", swap_used_bytes, "swap_used", "swap in use",
	    NULLABLE),
	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "memory.pressure.some_pct", pressure_some_pct, "memory_pressure_some",
	    "share of time in which some task stalled for memory (PSI)", NULLABLE),
	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "memory.pressure.full_pct", pressure_full_pct, "memory_pressure_full",
	    "share of time in which all non-idle tasks stalled for memory (PSI)", NULLABLE),

	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "fault.user", fault_user, "page_faults_user",
	    "page faults raised in user mode", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "fault.kernel", fault_kernel, "page_faults_kernel",
	    "page faults raised in the kernel", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "fault.minor", fault_minor, "page_faults_minor",
	    "page faults served without I/O", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "fault.major", fault_major, "page_faults_major",
	    "page faults that needed I/O", NULLABLE),
	SYS(METRIC_DIST, MERGE_DIST, UNIT_NS, "fault.latency", fault_latency, "page_fault_latency",
	    "time to serve a page fault (needs fentry)", NULLABLE),

	BLOCK_TOTALS(SYS, "block.", block, "block"),
	ROW(SCOPE_SYSTEM, METRIC_ROWS, MERGE_KEY, UNIT_NONE, system_metrics, "block.devices", block, NULL,
	    "the same for each device", .rows = SCOPE_DEVICE),
	BLOCK_EXTRAS(SYS, "block.", block, "block"),

	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "tcp.opened", tcp_opened, "tcp_opened",
	    "connections established by connect()", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "tcp.accepted", tcp_accepted, "tcp_accepted",
	    "connections established from outside", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "tcp.closed", tcp_closed, "tcp_closed",
	    "established connections that ended", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "tcp.failed", tcp_failed, "tcp_failed",
	    "connection attempts that did not succeed", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_BYTES, "tcp.tx_bytes", tcp_tx_bytes, "tcp_sent",
	    "payload bytes sent, retransmissions not counted", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_BYTES, "tcp.rx_bytes", tcp_rx_bytes, "tcp_received", "payload bytes received",
	    NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "tcp.retransmits", tcp_retransmits, "tcp_retransmits",
	    "segments sent again", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "tcp.resets_sent", tcp_resets_sent, "tcp_resets_sent", "RSTs sent", NULLABLE),
	SYS(METRIC_U64, MERGE_SUM, UNIT_NONE, "tcp.resets_received", tcp_resets_received, "tcp_resets_received",
	    "RSTs received", NULLABLE),
	SYS(METRIC_U64, MERGE_LAST, UNIT_NONE, "tcp.established", tcp_established, "tcp_established",
	    "connections that are established now", NULLABLE),
	SYS(METRIC_DIST, MERGE_DIST, UNIT_NS, "tcp.rtt", tcp_rtt, "tcp_rtt",
	    "the kernel's smoothed round-trip time, once for each connection that moved data in the interval", NULLABLE),
	SYS(METRIC_DIST, MERGE_DIST, UNIT_NS, "tcp.connect", tcp_connect, "tcp_connect",
	    "time from SYN to established of connect()", NULLABLE),

	ROW(SCOPE_SYSTEM, METRIC_ROWS, MERGE_KEY, UNIT_NONE, system_metrics, "net.interfaces", block, NULL,
	    "each network interface", .rows = SCOPE_INTERFACE),

	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "pressure.cpu_some_pct", cpu_pressure_some_pct, "cpu_pressure_some",
	    "share of time in which some task waited for a CPU (PSI)", NULLABLE),
	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "pressure.io_some_pct", io_pressure_some_pct, "io_pressure_some",
	    "share of time in which some task waited for I/O (PSI)", NULLABLE),
	SYS(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "pressure.io_full_pct", io_pressure_full_pct, "io_pressure_full",
	    "share of time in which all non-idle tasks waited for I/O (PSI)", NULLABLE),

	DEV(METRIC_TEXT, MERGE_KEY, UNIT_NONE, "dev", dev, NULL, "the device's kernel name"),
	BLOCK_TOTALS(DEV, "", io, "device"),
	DEV(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "sequential_pct", sequential_pct, "device_sequential",
	    "share of requests that began where the one before ended", NULLABLE),
	BLOCK_EXTRAS(DEV, "", io, "device"),

	NIC(METRIC_TEXT, MERGE_KEY, UNIT_NONE, "name", name, NULL, "the interface"),
	NIC(METRIC_U64, MERGE_SUM, UNIT_BYTES, "rx_bytes", rx_bytes, "interface_received", "bytes received"),
	NIC(METRIC_U64, MERGE_SUM, UNIT_BYTES, "tx_bytes", tx_bytes, "interface_sent", "bytes sent"),
	NIC(METRIC_U64, MERGE_SUM, UNIT_NONE, "rx_dropped", rx_dropped, "interface_rx_dropped",
	    "packets dropped on receipt"),
	NIC(METRIC_U64, MERGE_SUM, UNIT_NONE, "tx_dropped", tx_dropped, "interface_tx_dropped",
	    "packets dropped on sending"),

	PROC(METRIC_U64, MERGE_KEY, UNIT_NONE, "pid", pid, NULL, "process id; 0 is the kernel's writeback"),
	PROC(METRIC_U64, MERGE_LAST, UNIT_NONE, "ppid", ppid, NULL, "its parent's", NULLABLE),
	PROC(METRIC_TEXT, MERGE_LAST, UNIT_NONE, "comm", comm, NULL, "its name", NULLABLE),
	PROC(METRIC_TEXT, MERGE_LAST, UNIT_NONE, "cgroup", cgroup, NULL, "its cgroup's path", NULLABLE),
	PROC(METRIC_U64, MERGE_LAST, UNIT_NONE, "threads", threads, "process_threads", "threads at the end", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NS, "cpu_ns", cpu_ns, "process_cpu", "time on a CPU", NULLABLE),
	PROC(METRIC_PCT, MERGE_MEAN, UNIT_PCT, "cpu_pct", cpu_pct, NULL, "the same as a share of one CPU", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NS, "runq_ns", runq_ns, "process_runqueue_wait", "time waiting for a CPU",
	     NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NS, "iowait_ns", iowait_ns, "process_iowait", "time blocked on I/O", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NS, "blocked_ns", blocked_ns, "process_blocked",
	     "time blocked otherwise (uninterruptible)", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NS, "sleep_ns", sleep_ns, "process_sleep",
	     "time asleep: waiting for events, timers, locks, the network", NULLABLE),
	PROC(METRIC_I64, MERGE_SUM, UNIT_NS, "residual_ns", residual_ns, "process_residual",
	     "wall time in none of the above: interrupts and steal", NULLABLE),
	PROC(METRIC_DIST, MERGE_DIST, UNIT_NS, "runq", runq, "process_runqueue", "its waits for a CPU", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "voluntary", voluntary, "process_voluntary_switches",
	     "voluntary context switches", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "involuntary", involuntary, "process_involuntary_switches",
	     "involuntary context switches", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "minflt", minflt, "process_minor_faults", "minor page faults", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "majflt", majflt, "process_major_faults", "major page faults", NULLABLE),
	PROC(METRIC_U64, MERGE_LAST, UNIT_BYTES, "rss_bytes", rss_bytes, "process_resident", "resident memory", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_BYTES, "read_bytes", read_bytes, "process_read",
	     "bytes it caused to be read from storage", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_BYTES, "write_bytes", write_bytes, "process_written",
	     "bytes it caused to be written to storage", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "reads", reads, "process_reads", "read requests it issued, completed",
	     NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "writes", writes, "process_writes", "write requests it issued, completed",
	     NULLABLE),
	PROC(METRIC_DIST, MERGE_DIST, UNIT_NS, "io_latency", io_latency, "process_io_latency",
	     "time in the device of its requests", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_BYTES, "tx_bytes", tx_bytes, "process_tcp_sent", "TCP payload sent", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_BYTES, "rx_bytes", rx_bytes, "process_tcp_received", "TCP payload received",
	     NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "retransmits", retransmits, "process_tcp_retransmits",
	     "TCP segments sent again", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NS, "wall_ns", wall_ns, NULL, "wall time of its threads: the sum of the times above",
	     NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "migrations", migrations, "process_migrations",
	     "moves of its threads to another CPU", NULLABLE),
	PROC(METRIC_U64, MERGE_KEY, UNIT_NS, "start_ns", start_ns, NULL, "when it started, since boot", NULLABLE),
	PROC(METRIC_TEXT, MERGE_LAST, UNIT_NONE, "state", state, NULL,
	     "running, waiting, iowait, blocked, sleeping or exited, at the end", NULLABLE),
	PROC(METRIC_DIST, MERGE_DIST, UNIT_NS, "fault_latency", fault_latency, "process_fault_latency",
	     "time to serve its page faults (needs fentry)", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "opened", opened, "process_tcp_opened", "TCP connections it opened", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "accepted", accepted, "process_tcp_accepted", "TCP connections it accepted",
	     NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "closed", closed, "process_tcp_closed",
	     "its TCP connections that ended", NULLABLE),
	PROC(METRIC_U64, MERGE_SUM, UNIT_NONE, "failed", failed, "process_tcp_failed",
	     "TCP connections it tried and did not get", NULLABLE),
	PROC(METRIC_TEXT, MERGE_LAST, UNIT_NONE, "cmdline", cmdline, NULL, "its command line (--cmdline)", NULLABLE,
	     .optional = true),

	TRUST(METRIC_U64, MERGE_SUM, "events", events, "events", "kernel events that were counted"),
	TRUST(METRIC_U64, MERGE_SUM, "lost", lost, "events_lost", "events that found no room on their way"),
	TRUST(METRIC_U64, MERGE_SUM, "map_full", map_full, "map_full", "entries that found a map full"),
	TRUST(METRIC_U64, MERGE_SUM, "discarded", discarded, "events_discarded", "events whose times made no sense"),
	TRUST(METRIC_U64, MERGE_SUM, "unattributed", unattributed, "events_unattributed",
	      "events counted for the system whose process is not known"),
	TRUST(METRIC_U64, MERGE_LAST, "rows_hidden", rows_hidden, "rows_hidden", "active processes that are not shown"),
	TRUST(METRIC_SOURCES, MERGE_OR, "shed", shed, NULL, "sources given up for the budget"),
	TRUST(METRIC_BOOL, MERGE_AND, "complete", complete, "complete", "nothing was lost or given up"),

	SELF(MERGE_SUM, UNIT_NS, "cpu_ns", cpu_ns, "self_cpu", "CPU time of mbtrace itself"),
	SELF(MERGE_SUM, UNIT_NS, "bpf_ns", bpf_ns, "self_bpf", "CPU time of its BPF programs (kernel.bpf_stats_enabled)",
	     NULLABLE),
	SELF(MERGE_LAST, UNIT_BYTES, "rss_bytes", rss_bytes, "self_resident", "its resident memory"),
	SELF(MERGE_LAST, UNIT_BYTES, "map_bytes", map_bytes, "self_maps", "memory of its BPF maps", NULLABLE),
};

/* clang-format on */
const size_t metric_count = ARRAY_SIZE(metrics);

const struct metric_scope_info metric_scopes[SCOPE_COUNT] = {
	[SCOPE_SYSTEM] = { "system", sizeof(struct system_metrics), NULL },
	[SCOPE_DEVICE] = { "system.block.devices", sizeof(struct device_metrics), "dev" },
	[SCOPE_INTERFACE] = { "system.net.interfaces", sizeof(struct interface_metrics), "name" },
	[SCOPE_PROCESS] = { "process", sizeof(struct process_metrics), "pid" },
	[SCOPE_TRUST] = { "trust", sizeof(struct trust_metrics), NULL },
	[SCOPE_SELF] = { "self", sizeof(struct self_metrics), NULL },
};

static const struct {
	const char *name, *brief;
	double q;
} parts[] = {
	[PART_COUNT] = { "count", "count", 0 }, [PART_SUM] = { "sum_ns", "sum", 0 },
	[PART_MIN] = { "min_ns", "min", 0 },	[PART_MAX] = { "max_ns", "max", 0 },
	[PART_P50] = { "p50_ns", "p50", 0.5 },	[PART_P90] = { "p90_ns", "p90", 0.9 },
	[PART_P99] = { "p99_ns", "p99", 0.99 }, [PART_P999] = { "p999_ns", "p999", 0.999 },
};

const char *dist_part_name(enum dist_part part)
{
	return parts[part].name;
}

const char *dist_part_short(enum dist_part part)
{
	return parts[part].brief;
}

uint64_t dist_part_value(const struct dist *d, enum dist_part part)
{
	switch (part) {
	case PART_COUNT:
		return d->count;
	case PART_SUM:
		return d->sum;
	case PART_MIN:
		return d->count ? d->min : 0;
	case PART_MAX:
		return d->count ? d->max : 0;
	default:
		return dist_percentile(d, parts[part].q);
	}
}

bool metric_value(const struct metric *m, const void *row, enum dist_part part, double *ret_value)
{
	const void *at = metric_at(m, row);

	switch (m->type) {
	case METRIC_U64:
		*ret_value = *(const uint64_t *)at;
		return *(const uint64_t *)at != METRIC_NULL;
	case METRIC_I64:
		*ret_value = *(const int64_t *)at;
		return *(const int64_t *)at != METRIC_NULL_SIGNED;
	case METRIC_PCT:
		*ret_value = *(const double *)at;
		return !isnan(*ret_value);
	case METRIC_BOOL:
		*ret_value = *(const bool *)at;
		return true;
	case METRIC_DIST: {
		const struct dist *d = at;
		uint64_t figure;

		if (!d->known || part == PART_NONE)
			return false;
		/* A percentile of nothing is no value; the count and sum of nothing are 0. */
		if (!d->count && part != PART_COUNT && part != PART_SUM)
			return false;
		figure = dist_part_value(d, part);
		*ret_value = figure;
		return figure != DIST_UNKNOWN;
	}
	default:
		return false;
	}
}

void metric_row_reset(enum metric_scope scope, void *row)
{
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];
		void *at = (char *)row + m->offset;

		if (m->scope != scope)
			continue;
		switch (m->type) {
		case METRIC_U64:
			*(uint64_t *)at = m->nullable ? METRIC_NULL : 0;
			break;
		case METRIC_I64:
			*(int64_t *)at = METRIC_NULL_SIGNED;
			break;
		case METRIC_PCT:
			*(double *)at = NAN;
			break;
		case METRIC_DIST:
			dist_clear(at);
			((struct dist *)at)->known = false;
			break;
		case METRIC_TEXT:
			*(const char **)at = NULL;
			break;
		case METRIC_BOOL:
			*(bool *)at = m->merge == MERGE_AND;
			break;
		case METRIC_SOURCES:
			*(uint32_t *)at = 0;
			break;
		case METRIC_ROWS:
			break;
		}
	}
}

static void merge_u64(uint64_t *whole, uint64_t value, enum metric_merge merge)
{
	if (value == METRIC_NULL)
		return;
	if (merge == MERGE_SUM && *whole != METRIC_NULL)
		*whole += value;
	else
		*whole = value;
}

static void merge_i64(int64_t *whole, int64_t value)
{
	if (value == METRIC_NULL_SIGNED)
		return;
	*whole = *whole == METRIC_NULL_SIGNED ? value : *whole + value;
}

static void merge_mean(double *whole, double value, double weight)
{
	if (isnan(value))
		return;
	*whole = isnan(*whole) ? value : *whole + (value - *whole) * weight;
}

int metric_row_merge(enum metric_scope scope, void *whole, const void *row, double weight)
{
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];
		void *to = (char *)whole + m->offset;
		const void *from = metric_at(m, row);

		if (m->scope != scope)
			continue;
		switch (m->type) {
		case METRIC_U64:
			merge_u64(to, *(const uint64_t *)from, m->merge);
			break;
		case METRIC_I64:
			merge_i64(to, *(const int64_t *)from);
			break;
		case METRIC_PCT:
			merge_mean(to, *(const double *)from, weight);
			break;
		case METRIC_DIST:
			if (dist_merge(to, from))
				return -ENOMEM;
			break;
		case METRIC_BOOL:
			*(bool *)to = m->merge == MERGE_AND ? *(bool *)to && *(const bool *)from :
							      *(bool *)to || *(const bool *)from;
			break;
		case METRIC_SOURCES:
			*(uint32_t *)to |= *(const uint32_t *)from;
			break;
		case METRIC_TEXT: /* texts belong to a snapshot: its owner copies them */
		case METRIC_ROWS:
			break;
		}
	}
	return 0;
}

void metric_row_release(enum metric_scope scope, void *row)
{
	for (size_t i = 0; i < metric_count; i++)
		if (metrics[i].scope == scope && metrics[i].type == METRIC_DIST)
			dist_release((struct dist *)((char *)row + metrics[i].offset));
}

/* Whether the `len` bytes at text are exactly `name`. */
static bool is(const char *text, size_t len, const char *name)
{
	return strlen(name) == len && memcmp(text, name, len) == 0;
}

static bool is_number(const struct metric *m)
{
	return m->type != METRIC_TEXT && m->type != METRIC_SOURCES && m->type != METRIC_ROWS;
}

/* Matches `rest` against the members of one scope. */
static const struct metric *find_in_scope(enum metric_scope scope, const char *rest, size_t len,
					  enum dist_part *ret_part)
{
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];
		size_t name_len = strlen(m->name);

		if (m->scope != scope || !is_number(m))
			continue;
		if (m->type != METRIC_DIST) {
			*ret_part = PART_NONE;
			if (is(rest, len, m->name))
				return m;
			continue;
		}
		if (len <= name_len + 1 || memcmp(rest, m->name, name_len) != 0 ||
		    rest[name_len] != '.')
			continue;
		for (int part = 0; part < PART_NONE; part++) {
			const char *text = rest + name_len + 1;
			size_t left = len - name_len - 1;

			*ret_part = part;
			if (is(text, left, parts[part].name) || is(text, left, parts[part].brief))
				return m;
		}
	}
	return NULL;
}

const struct metric *metric_find(const char *path, size_t len, enum dist_part *ret_part)
{
	for (int scope = 0; scope < SCOPE_COUNT; scope++) {
		/* "process." and "processes." mean the same. */
		const char *prefixes[] = { metric_scopes[scope].prefix,
					   scope == SCOPE_PROCESS ? "processes" : NULL };

		for (size_t i = 0; i < ARRAY_SIZE(prefixes) && prefixes[i]; i++) {
			size_t n = strlen(prefixes[i]);
			const struct metric *m;

			if (len <= n + 1 || memcmp(path, prefixes[i], n) != 0 || path[n] != '.')
				continue;
			m = find_in_scope(scope, path + n + 1, len - n - 1, ret_part);
			if (m)
				return m;
		}
	}
	return NULL;
}

bool metric_path(size_t i, char *text, size_t size)
{
	for (size_t row = 0; row < metric_count; row++) {
		const struct metric *m = &metrics[row];
		size_t n = m->type == METRIC_DIST ? PART_NONE : 1;

		if (!is_number(m))
			continue;
		if (i >= n) {
			i -= n;
			continue;
		}
		snprintf(text, size, "%s.%s%s%s", metric_scopes[m->scope].prefix, m->name,
			 m->type == METRIC_DIST ? "." : "",
			 m->type == METRIC_DIST ? parts[i].brief : "");
		return true;
	}
	return false;
}
