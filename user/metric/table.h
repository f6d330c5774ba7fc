/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - the one description of every member of a sample.
 *
 * JSON, CSV, OpenMetrics, the history, alert paths and their near matches, the JSON Schema, the report and the manual walk
 * this table; none of them names a member on its own. Rows stand in the order of output; members of one dotted group
 * ("cpu.util_pct", "cpu.user_pct") stand together.
 *
 *	for (size_t i = 0; i < metric_count; i++)
 *		if (metrics[i].scope == SCOPE_PROCESS) ... metric_u64(&metrics[i], row) ...
 */
#ifndef MBTRACE_METRIC_TABLE_H
#define MBTRACE_METRIC_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metric/snapshot.h"

/* Which struct a member lives in. */
enum metric_scope {
	SCOPE_SYSTEM, /* struct system_metrics: path "system." */
	SCOPE_DEVICE, /* struct device_metrics: "system.block.devices." */
	SCOPE_INTERFACE, /* struct interface_metrics: "system.net.interfaces." */
	SCOPE_PROCESS, /* struct process_metrics: "process." */
	SCOPE_TRUST, /* "trust." */
	SCOPE_SELF, /* "self." */
	SCOPE_COUNT
};

enum metric_type {
	METRIC_U64,
	METRIC_I64,
	METRIC_PCT, /* double */
	METRIC_DIST, /* struct dist */
	METRIC_TEXT, /* const char * */
	METRIC_BOOL,
	METRIC_SOURCES, /* uint32_t of bits 1 << source_id, shown as a list of names */
	METRIC_ROWS, /* a list of another scope's rows, `rows` */
};

/* How values of successive intervals become the value of a longer one. */
enum metric_merge { MERGE_SUM, MERGE_LAST, MERGE_MEAN, MERGE_DIST, MERGE_OR, MERGE_AND, MERGE_KEY };

enum metric_unit { UNIT_NONE, UNIT_NS, UNIT_BYTES, UNIT_PCT };

struct metric {
	const char *name; /* path within its scope */
	enum metric_scope scope;
	enum metric_type type;
	enum metric_merge merge;
	enum metric_unit unit;
	bool nullable; /* may be null in a healthy run (a source refused, a kernel that lacks it) */
	bool optional; /* left out of JSON unless asked for */
	size_t offset;
	enum metric_scope rows; /* of METRIC_ROWS */
	const char *openmetrics; /* family name without "mbtrace_" and unit or "_total"; NULL: a label or not exported */
	const char *help; /* one line */
};

extern const struct metric metrics[];
extern const size_t metric_count;

/* A scope's path prefix without the dot ("process"), the size of its struct, and the member that names a row (or NULL). */
struct metric_scope_info {
	const char *prefix;
	size_t size;
	const char *key;
};

extern const struct metric_scope_info metric_scopes[SCOPE_COUNT];

/* The parts of a distribution, in the order of output. */
enum dist_part {
	PART_COUNT,
	PART_SUM,
	PART_MIN,
	PART_MAX,
	PART_P50,
	PART_P90,
	PART_P99,
	PART_P999,
	PART_NONE
};

/* "count", "sum_ns", "min_ns", … and without the unit: "sum", "p99". */
const char *dist_part_name(enum dist_part part);
const char *dist_part_short(enum dist_part part);
uint64_t dist_part_value(const struct dist *d, enum dist_part part);

/* Reads a member of a row (a pointer to the struct of the metric's scope). The type must match. */
static inline const void *metric_at(const struct metric *m, const void *row)
{
	return (const char *)row + m->offset;
}

static inline uint64_t metric_u64(const struct metric *m, const void *row)
{
	return *(const uint64_t *)metric_at(m, row);
}

static inline const struct dist *metric_dist(const struct metric *m, const void *row)
{
	return (const struct dist *)metric_at(m, row);
}

static inline const char *metric_text(const struct metric *m, const void *row)
{
	return *(const char *const *)metric_at(m, row);
}

/* Any number-like member (or part of a distribution) as a double: false when it is null or not a number. */
bool metric_value(const struct metric *m, const void *row, enum dist_part part, double *ret_value);

/* The rows of a scope in a snapshot: *ret_n of them, each metric_scopes[scope].size bytes apart. */
const void *snapshot_rows(const struct snapshot *s, enum metric_scope scope, size_t *ret_n);

/* Sets every member of a row to "not measured". Distributions keep their memory. */
void metric_row_reset(enum metric_scope scope, void *row);
/* Adds one interval's row to a longer one's; `weight` is the interval's share of the whole so far (0..1). 0 or -ENOMEM. */
int metric_row_merge(enum metric_scope scope, void *whole, const void *row, double weight);
void metric_row_release(enum metric_scope scope, void *row);

/*
 * Finds the member a path names: "system.sched.runq.p99", "process.cpu_pct", "processes.cpu_pct",
 * "system.block.devices.latency.p99_ns". `len` bytes of path, without [filters]. Distributions need a part; other members have
 * *ret_part PART_NONE. NULL if there is no such number.
 */
const struct metric *metric_find(const char *path, size_t len, enum dist_part *ret_part);
/* The i-th path that metric_find() accepts, written to text (`size` bytes); false past the end. For near matches and help. */
bool metric_path(size_t i, char *text, size_t size);

#endif
