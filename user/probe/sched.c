// SPDX-License-Identifier: BSD-2-Clause
#include "probe/all.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "bpf/sched.h"
#include "probe/object.h"
#include "probe/percpu.h"
#include "probe/process.h"
#include "probe/slots.h"
#include "sched.skel.h"

/*
 * DESIGN. The iterator and the exit ring both give cumulative totals of a thread; what it did in an interval is the growth
 * since the record before. A thread is known by the id of its account, so neither exec, which hands its tid to another
 * task, nor a reused tid can mix two threads. A thread that was born after the start has grown from zero, from its birth on.
 * Totals only grow: a running thread's CPU time is partly estimated, and where a later record is behind, the
 * larger one is kept until it is overtaken. So the sums over a run are exact whatever the interval.
 */
#define PASS_BUFFER \
	65536 /* bytes a read of the iterator; the kernel gives at most 32 KiB at once */
#define CLOCK_TRIES 100 /* milliseconds to wait for being switched in once */
#define UNSEEN_PASSES \
	3 /* passes without a word after which a thread is gone and its last record was lost */

/* A thread's totals at its last record. */
struct thread {
	uint64_t id;
	uint64_t key; /* of its process; 0: no record was taken yet */
	uint32_t pass; /* number of the last pass that saw it */
	uint64_t now; /* mono, of the last record */
	uint64_t cpu_ns, runq_ns, sleep_ns, blocked_ns, iowait_ns;
	uint64_t voluntary, involuntary, migrations, minflt, majflt, read_bytes, write_bytes;
	uint64_t first_switches; /* voluntary and involuntary, less those seen, when it was first seen */
	uint64_t hidden; /* switches that the kernel counted and did not show */
	uint32_t n_waits;
};

struct probe {
	struct sched_bpf *skel;
	struct process_table *processes;
	bool follow; /* sched_switch is attached */
	struct map threads; /* id → struct thread */
	struct percpu cpus;
	struct slots runq;
	struct ring_buffer *ring;
	char *buffer;
	uint32_t pass;
	uint64_t started; /* mono: threads born later have grown from zero */
	uint64_t unattributed; /* threads that should have been known, since the last read */
	uint64_t hidden; /* switches that the kernel did not show, since the last read */
};

/* The larger of two totals; what a later record lacks is kept until it is overtaken. */
static uint64_t grow(uint64_t *total, uint64_t value)
{
	uint64_t growth = value > *total ? value - *total : 0;

	*total += growth;
	return growth;
}

/* Adds a thread's growth to its process. Returns whether it did anything but sleep. */
static bool add_growth(struct thread *t, const struct task_record *r, struct process_metrics *m)
{
	uint64_t cpu = grow(&t->cpu_ns, r->cpu_ns), runq = grow(&t->runq_ns, r->runq_ns);
	uint64_t sleep = grow(&t->sleep_ns, r->sleep_ns),
		 blocked = grow(&t->blocked_ns, r->blocked_ns);
	uint64_t iowait = grow(&t->iowait_ns, r->iowait_ns), wall = grow(&t->now, r->now);
	uint64_t voluntary = grow(&t->voluntary, r->voluntary),
		 involuntary = grow(&t->involuntary, r->involuntary);
	uint64_t minflt = grow(&t->minflt, r->minflt), majflt = grow(&t->majflt, r->majflt);
	uint64_t read = grow(&t->read_bytes, r->read_bytes),
		 written = grow(&t->write_bytes, r->write_bytes);

	m->cpu_ns += cpu;
	m->runq_ns += runq;
	m->sleep_ns += sleep;
	m->blocked_ns += blocked;
	m->iowait_ns += iowait;
	m->wall_ns += wall;
	m->residual_ns += (int64_t)(wall - cpu - runq - sleep - blocked - iowait);
	m->voluntary += voluntary;
	m->involuntary += involuntary;
	m->migrations += grow(&t->migrations, r->migrations);
	m->minflt += minflt;
	m->majflt += majflt;
	m->read_bytes += read;
	m->write_bytes += written;
	return cpu || runq || blocked || iowait || voluntary || involuntary || minflt || majflt ||
	       read || written;
}

/* Adds the waits that a record has beyond the one before. */
static void add_waits(struct thread *t, const struct task_record *r, struct dist *runq)
{
	uint32_t fresh = MIN(r->n_waits - t->n_waits, SCHED_WAITS);

	for (uint32_t i = r->n_waits - fresh; i != r->n_waits; i++)
		dist_add(runq, r->waits[i % SCHED_WAITS]);
	t->n_waits = r->n_waits;
}

/* How many switches the kernel counted and did not show, beyond those known of. One may be under way. */
static uint64_t add_hidden(struct thread *t, const struct task_record *r)
{
	uint64_t counted = r->voluntary + r->involuntary - t->first_switches;
	uint64_t hidden = counted > r->switches + 1 ? counted - r->switches - 1 : 0;

	return grow(&t->hidden, hidden);
}

/* The thread of a record, made when it is new. NULL without memory, or for one whose past is not known. */
static struct thread *thread_of(struct probe *p, const struct task_record *r, uint64_t id)
{
	struct thread *t = map_get(&p->threads, id);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t || map_put(&p->threads, id, t)) {
		free(t);
		return NULL;
	}
	t->id = id;
	t->now = r->start;
	if (r->start < p->started) {
		/* It was there before: from here on only. */
		struct process_metrics nothing = { 0 };

		t->now = r->now;
		t->n_waits = r->n_waits;
		t->first_switches = r->voluntary + r->involuntary - r->switches;
		add_growth(t, r, &nothing);
	}
	return t;
}

/* The order in which a process's threads tell what it is doing: the busiest wins. */
static bool tells_more(unsigned char state, unsigned char than)
{
	static const unsigned char rank[] = {
		[SCHED_RUNNING] = 5, [SCHED_WAITING] = 4,  [SCHED_IOWAIT] = 3,
		[SCHED_BLOCKED] = 2, [SCHED_SLEEPING] = 1, [SCHED_DEAD] = 0
	};

	return rank[state] > rank[than];
}

/* What a record tells of its process beyond the sums. */
static void describe(struct process *process, const struct task_record *r)
{
	bool leader = r->flags & TASK_LEADER;

	process->pid = r->vpid;
	process->ppid = r->ppid;
	process->kernel_thread = r->flags & TASK_KTHREAD;
	if (r->cgroup)
		process->cgroup_id = r->cgroup;
	/* The main thread's name is the process's; another thread's only until that is known. */
	if (leader || !process->identified)
		memcpy(process->comm, r->comm, SCHED_COMM_LEN);
	process->comm[SCHED_COMM_LEN - 1] = 0;
	process->identified = process->recorded = true;
	if (r->rss_pages || r->state != SCHED_DEAD)
		process->now.rss_bytes = r->rss_pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void take_record(struct probe *p, const struct task_record *r)
{
	/* Without accounts (sched not wanted) a thread is known by its tid and birth. */
	uint64_t id = r->id ? r->id : process_key(r->tid, r->start) ^ (1ull << 63);
	struct process *process = process_get(p->processes, r->tgid, r->process_start);
	struct thread *t = thread_of(p, r, id);

	if (!t || !process) {
		p->unattributed++;
		return;
	}
	describe(process, r);
	process->active |= add_growth(t, r, &process->now);
	if (p->follow) {
		add_waits(t, r, &process->now.runq);
		p->hidden += add_hidden(t, r);
	}
	if (!t->key && r->start >= p->started)
		process->active = true; /* it was born in this interval */
	t->key = process->key;
	if (r->state == SCHED_DEAD) {
		process->active = true;
		map_remove(&p->threads, id);
		free(t);
		return;
	}
	if (t->pass != p->pass) {
		process->threads++;
		if (tells_more(r->state, process->state))
			process->state = r->state;
	}
	t->pass = p->pass;
}

static int on_last_record(void *context, void *data, size_t size)
{
	if (size >= sizeof(struct task_record))
		take_record(context, data);
	return 0;
}

struct unseen {
	uint32_t pass;
	uint64_t gone;
};

/* Drops a thread that passes no longer see. */
static bool drop_unseen(void *value, void *context)
{
	struct thread *t = value;
	struct unseen *unseen = context;

	if (unseen->pass - t->pass < UNSEEN_PASSES)
		return false;
	unseen->gone++;
	free(t);
	return true;
}

/* Reads all threads once. 0 or -errno. */
static int run_pass(struct probe *p)
{
	cleanup_close int fd = bpf_iter_create(bpf_link__fd(p->skel->links.task_pass));
	size_t held = 0;

	if (fd < 0)
		return fd;
	p->pass++;
	for (;;) {
		ssize_t n = read(fd, p->buffer + held, PASS_BUFFER - held);
		size_t at = 0;

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		held += n;
		for (; at + sizeof(struct task_record) <= held; at += sizeof(struct task_record))
			take_record(p, (const void *)(p->buffer + at));
		memmove(p->buffer, p->buffer + at, held - at);
		held -= at;
	}
}

static void add_runq(uint64_t owner, const struct dist *growth, void *context)
{
	struct process *process = process_find(context, owner);

	if (process)
		dist_merge(&process->now.runq, growth);
}

#define GROWTH(member) percpu_growth(&p->cpus, offsetof(struct sched_cpu, member))
#define DIST(member, d)                                                       \
	percpu_dist(&p->cpus, offsetof(struct sched_cpu, member), BINS_COUNT, \
		    offsetof(struct sched_cpu, member##_sum), d)

/* What the programs counted for the system since the last read. */
static void read_cpus(struct probe *p, struct snapshot *s)
{
	struct trust_metrics *trust = &s->trust;

	if (p->follow) {
		/* The system's number of switches is the kernel's own (/proc/stat): it counts hidden ones too. */
		trust->events += GROWTH(switches);
		DIST(runq, &s->system.runq);
		DIST(oncpu, &s->system.oncpu);
	}
	trust->map_full += GROWTH(storage_failed) + GROWTH(slots_empty);
	trust->lost += GROWTH(exits_lost);
	trust->events += GROWTH(exits);
	trust->discarded += GROWTH(discarded);
	trust->unattributed += p->unattributed + p->hidden;
	p->unattributed = p->hidden = 0;
}

/* Before a pass: threads and states are counted anew. */
static void begin_pass(struct probe *p)
{
	struct process *process;

	for (size_t i = 0; (process = process_next(p->processes, &i));) {
		process->threads = 0;
		process->state = SCHED_DEAD;
	}
}

/* After a pass: a process without threads has ended. */
static void end_pass(struct probe *p, struct snapshot *s)
{
	struct unseen unseen = { .pass = p->pass };
	struct process *process;
	uint64_t migrations = 0;

	map_remove_if(&p->threads, drop_unseen, &unseen);
	if (s)
		s->trust.lost += unseen.gone;
	for (size_t i = 0; (process = process_next(p->processes, &i));) {
		migrations += process->now.migrations;
		if (process->identified && !process->threads && process->key != PROCESS_WRITEBACK_KEY)
			process->ended = true;
	}
	if (s)
		s->system.migrations = migrations;
}

static int sched_read(struct probe *p, struct snapshot *s)
{
	int err;

	begin_pass(p);
	/* The ring first: whoever ended before the pass is then known to have ended. */
	ring_buffer__consume(p->ring);
	err = run_pass(p);
	if (err)
		return err;
	/* And again: whoever ended during the pass. */
	ring_buffer__consume(p->ring);
	slots_read(&p->runq, add_runq, p->processes);
	end_pass(p, s);
	read_cpus(p, s);
	return 0;
}

static int sched_drain(struct probe *p)
{
	int n = ring_buffer__consume(p->ring);

	return n < 0 ? n : 0;
}

static int sched_ring_fd(const struct probe *p)
{
	return ring_buffer__epoll_fd(p->ring);
}

static uint64_t sched_map_bytes(const struct probe *p)
{
	return object_map_bytes(p->skel->obj);
}

static uint64_t sched_bpf_ns(const struct probe *p)
{
	return object_run_ns(p->skel->obj);
}

static void sched_close(struct probe *p)
{
	struct thread *t;

	if (!p)
		return;
	ring_buffer__free(p->ring);
	slots_close(&p->runq);
	percpu_close(&p->cpus);
	sched_bpf__destroy(p->skel);
	for (size_t i = 0; (t = map_next(&p->threads, &i));)
		free(t);
	map_release(&p->threads);
	free(p->buffer);
	free(p);
}

/* Chooses, before load, the programs and maps this kernel can have. */
static int configure(struct probe *p, const struct probe_settings *settings,
		     struct probe_status *status)
{
	struct sched_bpf *skel = p->skel;
	bool typed = kernel_has_typed_tracepoint(settings->btf, "sched_switch"), follow = p->follow;
	bool storage = typed && kernel_has_task_storage(settings->btf);
	bool four = kernel_tracepoint_args(settings->btf, "sched_switch") >= 4;
	int err;

	skel->rodata->use_storage = storage;
	skel->rodata->follow_switches = follow;
	skel->rodata->filter_pids = settings->n_pids > 0;
	skel->rodata->ns_level = settings->pid_ns_level;
	skel->rodata->ns_inum = settings->pid_ns_inum;
	skel->rodata->wakeup_bytes = settings->ring_bytes / 4;
	bpf_map__set_autocreate(skel->maps.accounts, storage);
	bpf_program__set_autoload(skel->progs.sched_switch, follow && typed && four);
	bpf_program__set_autoload(skel->progs.sched_switch_517, follow && typed && !four);
	bpf_program__set_autoload(skel->progs.sched_switch_raw, follow && !typed);
	bpf_program__set_autoload(skel->progs.sched_process_exit, !follow);
	bpf_program__set_autoload(skel->progs.sched_process_free, follow && !(storage));
	bpf_program__set_autoload(skel->progs.sched_process_fork, settings->follow);
	snprintf(status->mode, sizeof(status->mode), "%s",
		 !follow ? "iterator" :
		 typed	 ? (storage ? "tp_btf" : "tp_btf + hash") :
			   "raw_tp + hash");
	status->state = follow && storage ? PROBE_ATTACHED : PROBE_DEGRADED;
	if (follow && !storage)
		snprintf(status->reason, sizeof(status->reason),
			 "no %s: threads are kept in a hash of %u entries",
			 typed ? "task storage for tracing (Linux 5.11 has it)" :
				 "type of the tracepoint sched_switch in the kernel's BTF",
			 MAX(settings->table_entries / 2, 1));

	err = bpf_map__set_max_entries(skel->maps.cpus, settings->possible_cpus);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.exits, settings->ring_bytes);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.accounts_hash,
					       storage ? 1 : MAX(settings->table_entries / 2, 1));
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.selected,
					       MAX(settings->n_pids * 2, settings->table_entries));
	if (!err)
		err = slots_size(skel->maps.runq_slots, skel->maps.runq_owners,
				 skel->maps.runq_free, settings->slots);
	return err;
}

static int select_pids(struct probe *p, const struct probe_settings *settings)
{
	uint8_t one = 1;

	for (size_t i = 0; i < settings->n_pids; i++)
		if (bpf_map_update_elem(bpf_map__fd(p->skel->maps.selected), &settings->pids[i],
					&one, BPF_ANY))
			return -errno;
	return 0;
}

static int attach(struct probe *p)
{
	int err = sched_bpf__attach(p->skel);

	/* The first pass only tells the programs who we are; once we were switched in, the clocks are related. */
	if (!err)
		err = run_pass(p);
	for (int i = 0; i < CLOCK_TRIES && !err && p->follow && !p->skel->bss->clock_pair.mono; i++)
		nanosleep(&(struct timespec){ .tv_nsec = NSEC_PER_MSEC }, NULL);
	return err;
}

static int map_memory(struct probe *p)
{
	int err = percpu_open(&p->cpus, p->skel->maps.cpus);

	if (err)
		return err;
	p->buffer = malloc(PASS_BUFFER);
	if (!p->buffer)
		return -ENOMEM;
	p->ring = ring_buffer__new(bpf_map__fd(p->skel->maps.exits), on_last_record, p, NULL);
	if (!p->ring)
		return -errno;
	return slots_open(&p->runq, p->skel->maps.runq_slots, p->skel->maps.runq_owners,
			  p->skel->maps.runq_free);
}

/* The first pass: every thread gets its account and its baseline. */
static int take_baseline(struct probe *p)
{
	struct snapshot *ignored = snapshot_new();
	int err = ignored ? run_pass(p) : -ENOMEM;

	if (!err)
		read_cpus(p, ignored);
	snapshot_free(ignored);
	return err;
}

static int sched_open(const struct probe_settings *settings, struct probe **ret_probe,
		      struct probe_status *status)
{
	struct probe *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->processes = settings->processes;
	p->follow = settings->sources & (1u << SOURCE_SCHED);
	p->skel = sched_bpf__open();
	err = p->skel ? configure(p, settings, status) : -errno;
	if (!err)
		err = object_load(p->skel->skeleton, status);
	if (!err)
		err = map_memory(p);
	if (!err)
		err = select_pids(p, settings);
	p->started = clock_monotonic_ns();
	if (!err)
		err = attach(p);
	if (!err)
		err = take_baseline(p);
	if (err) {
		object_explain(err, status);
		sched_close(p);
		return err;
	}
	*ret_probe = p;
	return 0;
}

const struct probe_ops sched_probe = {
	.name = "sched",
	.sources = 1u << SOURCE_SCHED,
	.required = true,
	.open = sched_open,
	.read = sched_read,
	.ring_fd = sched_ring_fd,
	.drain = sched_drain,
	.map_bytes = sched_map_bytes,
	.bpf_ns = sched_bpf_ns,
	.close = sched_close,
};
