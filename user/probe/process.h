/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * process.h - what is known of each process between intervals, and what it did in the present one.
 *
 * The key of a process is process_key() of bpf/common/slots.h: pid and start time, so that a reused pid is another
 * process. Probes find or make an entry and add to its counters in `now`, which is a snapshot row being filled: integers start
 * at 0 each interval, distributions empty and known. At the end of the interval process_table_flush() copies active
 * processes into a snapshot and starts the next interval. Entries of ended processes go after their last interval.
 *
 *	struct process *p = process_get(table, key);	made on first sight, with pid and start from the key's event
 *	p->now.tx_bytes += sent;
 *	p->active = true;
 */
#ifndef MBTRACE_PROBE_PROCESS_H
#define MBTRACE_PROBE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "bpf/common/slots.h"
#include "metric/snapshot.h"

#define PROCESS_COMM_LEN 24 /* the kernel's 16, and room for "kernel writeback" */

/* The pseudo-process that the kernel's writeback and swap-out are booked to: shown as pid 0. */
#define PROCESS_WRITEBACK_KEY 1ull

struct process {
	uint64_t key;
	uint32_t tgid; /* initial namespace */
	uint32_t pid; /* the agent's namespace; 0: not visible there, no row */
	uint32_t ppid;
	uint64_t start_ns; /* since boot */
	uint64_t cgroup_id; /* 0: not known yet */
	char comm[PROCESS_COMM_LEN]; /* empty: not known yet */
	uint32_t threads; /* alive */
	bool identified; /* somebody has named it */
	bool recorded; /* the task pass or an exit record has told of it */
	bool kernel_thread;
	bool ended;
	bool active; /* did anything in this interval */
	bool shown; /* was active in some interval: stays in the snapshot as an idle row, for summaries */
	unsigned char state; /* enum thread_state of its most telling thread */
	struct process_metrics now;
};

struct process_table;

/* NULL without memory; process_table_free() accepts NULL. */
struct process_table *process_table_new(void);
void process_table_free(struct process_table *t);

/*
 * The process of this key, made when it is new. tgid is in the initial namespace, start_ns since boot. A new entry that the
 * task pass has not met yet has no name: flush looks it up in /proc, and failing that drops the row and counts it as unattributed.
 * NULL without memory.
 */
struct process *process_get(struct process_table *t, uint32_t tgid, uint64_t start_ns);
struct process *process_find(const struct process_table *t, uint64_t key);
struct process *process_writeback(struct process_table *t);
/* Walks all entries; start with *pos = 0. */
struct process *process_next(const struct process_table *t, size_t *pos);

/* Options of flush. */
struct process_view {
	uint32_t sources; /* members of sources that are not attached stay null */
	uint64_t interval_ns;
	bool cmdline; /* read command lines */
	bool recorded_only; /* only processes that the task pass sends: with a filter of pids, others are not meant */
	bool other_pids; /* this /proc numbers processes in another way than the kernel's events: it names nobody */
	const char *comm; /* only processes of this name; NULL: all */
	const char *cgroup; /* only below this path; NULL: all */
};

/* Copies the active (and formerly shown) processes into the snapshot; then empties every entry for the next interval. */
int process_table_flush(struct process_table *t, const struct process_view *view, struct snapshot *s);
/* Empties every entry and starts the first interval: what happened before is forgotten, and what ended is gone. */
void process_table_restart(struct process_table *t);
size_t process_table_bytes(const struct process_table *t);

#endif
