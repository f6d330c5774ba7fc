// SPDX-License-Identifier: BSD-2-Clause
#include "probe/process.h"

#include <string.h>

#include "base/file.h"
#include "base/macros.h"
#include "bpf/sched.h"
#include "metric/filter.h"
#include "metric/table.h"
#include "probe/cgroup.h"

/*
 * DESIGN. Entries are kept in one hash by key. `now` of an idle process costs nothing to empty: its counters are reset
 * only when something was added. Rows are copied, not moved, into the snapshot, so that distributions keep their memory
 * on both sides and a steady state allocates nothing.
 */
#define PROC_TEXT_MAX 4096 /* longest command line and status text that is read */

#define PROCESS_DISTS 8 /* room for the distributions of a process row */

struct process_table {
	struct map by_key;
	struct cgroups *cgroups;
	struct buf text; /* scratch for /proc files */
	size_t dists[PROCESS_DISTS], n_dists; /* offsets in struct process_metrics */
	bool *measured; /* for each row of metrics[]: measured with the sources of this flush */
};

struct process_table *process_table_new(void)
{
	struct process_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->measured = calloc(metric_count, sizeof(*t->measured));
	t->cgroups = cgroups_new(NULL);
	if (!t->measured || !t->cgroups) {
		process_table_free(t);
		return NULL;
	}
	for (size_t i = 0; i < metric_count; i++)
		if (metrics[i].scope == SCOPE_PROCESS && metrics[i].type == METRIC_DIST &&
		    t->n_dists < PROCESS_DISTS)
			t->dists[t->n_dists++] = metrics[i].offset;
	return t;
}

static void process_free(struct process *p)
{
	metric_row_release(SCOPE_PROCESS, &p->now);
	free(p);
}

void process_table_free(struct process_table *t)
{
	struct process *p;

	if (!t)
		return;
	for (size_t i = 0; (p = map_next(&t->by_key, &i));)
		process_free(p);
	map_release(&t->by_key);
	cgroups_free(t->cgroups);
	buf_release(&t->text);
	free(t->measured);
	free(t);
}

/* Empties the counters of the present interval: zero, not null, since probes add to them. */
static void process_begin(const struct process_table *t, struct process *p)
{
	struct dist kept[PROCESS_DISTS];

	for (size_t i = 0; i < t->n_dists; i++)
		kept[i] = *(struct dist *)((char *)&p->now + t->dists[i]);
	memset(&p->now, 0, sizeof(p->now));
	for (size_t i = 0; i < t->n_dists; i++) {
		dist_clear(&kept[i]);
		*(struct dist *)((char *)&p->now + t->dists[i]) = kept[i];
	}
}

static struct process *process_add(struct process_table *t, uint64_t key)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p || map_put(&t->by_key, key, p)) {
		free(p);
		return NULL;
	}
	p->key = key;
	process_begin(t, p);
	return p;
}

struct process *process_find(const struct process_table *t, uint64_t key)
{
	return map_get(&t->by_key, key);
}

struct process *process_get(struct process_table *t, uint32_t tgid, uint64_t start_ns)
{
	uint64_t key = process_key(tgid, start_ns);
	struct process *p = process_find(t, key);

	if (!p) {
		p = process_add(t, key);
		if (p) {
			p->tgid = p->pid = tgid;
			p->start_ns = start_ns;
		}
	}
	return p;
}

struct process *process_writeback(struct process_table *t)
{
	struct process *p = process_find(t, PROCESS_WRITEBACK_KEY);

	if (!p) {
		p = process_add(t, PROCESS_WRITEBACK_KEY);
		if (p) {
			p->identified = p->kernel_thread = true;
			snprintf(p->comm, sizeof(p->comm), "kernel writeback");
		}
	}
	return p;
}

struct process *process_next(const struct process_table *t, size_t *pos)
{
	return map_next(&t->by_key, pos);
}

/* Names a process that only an event has told of, from /proc; false when it is gone or another has its pid. */
static bool identify(struct process_table *t, struct process *p)
{
	char path[64];
	const char *start;

	snprintf(path, sizeof(path), "/proc/%u/comm", p->pid);
	if (file_read(path, &t->text, PROC_TEXT_MAX) || !t->text.len)
		return false;
	start = buf_str(&t->text);
	snprintf(p->comm, sizeof(p->comm), "%.*s", (int)strcspn(start, "\n"), start);
	p->identified = true;
	return true;
}

/* The words of a command line, joined by spaces; NULL when it has none. */
static const char *command_line(struct process_table *t, const struct process *p, struct snapshot *s)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/cmdline", p->pid);
	if (p->ended || file_read(path, &t->text, PROC_TEXT_MAX) || !t->text.len)
		return NULL;
	for (size_t i = 0; i + 1 < t->text.len; i++)
		if (!t->text.data[i])
			t->text.data[i] = ' ';
	return snapshot_text(s, t->text.data);
}

/* Which process members come from which source: others stay null when it is not attached. */
static const struct {
	const char *member;
	enum source_id source;
} member_sources[] = {
	{ "runq", SOURCE_SCHED },	 { "iowait_ns", SOURCE_SCHED },
	{ "blocked_ns", SOURCE_SCHED },	 { "sleep_ns", SOURCE_SCHED },
	{ "residual_ns", SOURCE_SCHED }, { "minflt", SOURCE_FAULT },
	{ "majflt", SOURCE_FAULT },	 { "reads", SOURCE_BLOCK },
	{ "writes", SOURCE_BLOCK },	 { "io_latency", SOURCE_BLOCK },
	{ "tx_bytes", SOURCE_TCP },	 { "rx_bytes", SOURCE_TCP },
	{ "retransmits", SOURCE_TCP },	 { "opened", SOURCE_TCP },
	{ "accepted", SOURCE_TCP },	 { "closed", SOURCE_TCP },
	{ "failed", SOURCE_TCP },	 { "fault_latency", SOURCE_FAULT },
};

/* Whether the member is measured with the sources that are attached. */
static bool is_measured(const struct metric *m, uint32_t sources)
{
	for (size_t i = 0; i < ARRAY_SIZE(member_sources); i++)
		if (strcmp(m->name, member_sources[i].member) == 0)
			return sources & (1u << member_sources[i].source);
	return true;
}

/* Copies the measured members of `now` into a fresh row; 0 or -ENOMEM. */
static int copy_members(struct process_metrics *row, const struct process_metrics *now,
			const bool *measured)
{
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];
		void *to = (char *)row + m->offset;

		if (m->scope != SCOPE_PROCESS || !measured[i])
			continue;
		if (m->type == METRIC_U64 || m->type == METRIC_I64)
			*(uint64_t *)to = *(const uint64_t *)metric_at(m, now);
		else if (m->type == METRIC_DIST && dist_merge(to, metric_dist(m, now)))
			return -ENOMEM;
	}
	return 0;
}

static const char *state_name(const struct process *p)
{
	static const char *const names[] = {
		[SCHED_RUNNING] = "running",   [SCHED_WAITING] = "waiting",
		[SCHED_SLEEPING] = "sleeping", [SCHED_BLOCKED] = "blocked",
		[SCHED_IOWAIT] = "iowait",     [SCHED_DEAD] = "exited",
	};

	return p->ended ? "exited" : names[p->state];
}

/* Whether the filters of the view let the process through. */
static bool is_wanted(const struct process *p, const struct process_view *view, const char *cgroup)
{
	if (!p->pid && p->key != PROCESS_WRITEBACK_KEY)
		return false;
	return filter_comm(view->comm, p->comm) && filter_cgroup(view->cgroup, cgroup);
}

static int add_row(struct process_table *t, struct process *p, const struct process_view *view,
		   const char *cgroup, struct snapshot *s)
{
	struct process_metrics *row = snapshot_add_process(s);

	if (!row || copy_members(row, &p->now, t->measured))
		return -ENOMEM;
	row->pid = p->pid;
	row->ppid = p->ppid;
	row->comm = snapshot_text(s, p->comm);
	row->cgroup = snapshot_text(s, cgroup);
	row->threads = p->threads;
	row->start_ns = p->start_ns;
	row->cpu_pct = view->interval_ns ? 100.0 * p->now.cpu_ns / view->interval_ns : 0;
	row->state = p->key == PROCESS_WRITEBACK_KEY ? NULL : state_name(p);
	row->idle = !p->active;
	if (view->cmdline && p->active)
		row->cmdline = command_line(t, p, s);
	return 0;
}

/* Writes the row of a process that has one in this interval; 0 or -ENOMEM. */
static int flush_process(struct process_table *t, struct process *p,
			 const struct process_view *view, struct snapshot *s)
{
	const char *cgroup;

	if (!p->active && !p->shown)
		return 0;
	if (!p->recorded && view->recorded_only) {
		/* Not among those that are watched; nobody else would tell of its end. */
		p->ended = true;
		return 0;
	}
	if (!p->identified && (view->other_pids || !identify(t, p))) {
		s->trust.unattributed++;
		p->ended = true;
		return 0;
	}
	cgroup = p->cgroup_id ? cgroup_path(t->cgroups, p->cgroup_id, p->ended ? 0 : p->pid) : NULL;
	if (!is_wanted(p, view, cgroup))
		return 0;
	p->shown = true;
	return add_row(t, p, view, cgroup, s);
}

/* Drops what has ended; its last row has been written. */
static bool drop_ended(void *value, void *context)
{
	struct process *p = value;

	if (!p->ended)
		return false;
	process_free(p);
	return true;
}

int process_table_flush(struct process_table *t, const struct process_view *view, struct snapshot *s)
{
	bool ended = false;
	struct process *p;
	int err = 0;

	for (size_t i = 0; i < metric_count; i++)
		t->measured[i] = metrics[i].scope == SCOPE_PROCESS &&
				 is_measured(&metrics[i], view->sources);
	for (size_t i = 0; (p = map_next(&t->by_key, &i));) {
		err = flush_process(t, p, view, s) ?: err;
		ended |= p->ended;
		process_begin(t, p);
		p->active = false;
	}
	if (ended)
		map_remove_if(&t->by_key, drop_ended, NULL);
	return err;
}

void process_table_restart(struct process_table *t)
{
	struct process *p;

	for (size_t i = 0; (p = map_next(&t->by_key, &i));) {
		process_begin(t, p);
		p->active = p->shown = false;
	}
	map_remove_if(&t->by_key, drop_ended, NULL);
}

size_t process_table_bytes(const struct process_table *t)
{
	return map_bytes(&t->by_key) + t->by_key.count * sizeof(struct process) +
	       cgroups_bytes(t->cgroups);
}
