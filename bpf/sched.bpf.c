// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sched.bpf.c - where each thread's time goes, from one program at one hook.
 *
 * DESIGN. At sched_switch the kernel has already stored, in the run queue's own clock, when the incoming task became
 * runnable (sched_info.last_queued), how long it waited before in all (run_delay), and when the outgoing task got the CPU
 * (last_arrival). So no wakeup program, no clock read and no hash map are needed. Per thread we keep one mark: when it left the
 * CPU, why, and how long it had waited by then. At its next switch-in
 *
 *	wait  = growth of (run_delay + now - last_queued) since the mark	migrations between run queues included
 *	sleep = now - mark - wait						booked to why it left
 *
 * CPU time, faults, I/O bytes and switches are in the task already: the iterator reads them once an interval.
 * The alternative, timestamps at wakeup in a hash (runqlat), costs 3 to 6 times as much and sees no sleep.
 */
#include "common/kernel.bpf.h"
#include "common/slots.bpf.h"
#include "sched.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before load. */
const volatile bool use_storage = true; /* task local storage (5.11); else a hash by task address */
const volatile bool follow_switches = true; /* sched_switch is attached: exit records come from there */
const volatile bool filter_pids = false; /* only processes in `selected` are sent */
const volatile __u32 ns_level = 0; /* depth of the agent's PID namespace, 0: the initial one */
const volatile __u32 ns_inum = 0;
const volatile __u32 wakeup_bytes = 65536; /* wake the reader when the ring holds that much */

__u32 agent_tgid = 0; /* the reader of the iterator, learnt from its first pass */
struct sched_clock clock_pair = {};

/* The account of one thread. */
struct account {
	__u64 id;
	__u64 mark; /* rq clock when it left the CPU, or was first seen off it; 0 while it runs */
	__u64 mark_delay; /* its total wait at the mark */
	__u64 sleep_ns, blocked_ns, iowait_ns; /* closed episodes */
	__u64 process_start;
	__u32 tgid, vpid;
	__u32 slot; /* number + 1; 0: not looked for yet */
	__u32 state; /* enum thread_state at the mark */
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct account);
} accounts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64); /* address of the task_struct */
	__type(value, struct account);
} accounts_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sched_cpu);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} exits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32); /* pid as the agent sees it */
	__type(value, __u8);
} selected SEC(".maps");

DEFINE_SLOTS(runq);

/*
 * Reads a field of a task (or whatever p points to): by a plain load where the verifier knows the pointer (tp_btf,
 * iterators), by a helper where it does not (raw_tp). `direct` is a constant wherever this is used.
 */
#define READ(direct, p, field) ((direct) ? (p)->field : BPF_CORE_READ(p, field))

static __always_inline struct sched_cpu *this_cpu(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpus, &cpu);
}

/* The tgid as the agent's PID namespace sees it, or 0. */
static __always_inline __u32 visible_pid(struct task_struct *task, __u32 tgid)
{
	struct pid *pid;
	struct upid upid;

	if (!ns_level)
		return tgid;
	pid = BPF_CORE_READ(task, signal, pids[PIDTYPE_TGID]);
	if (!pid || BPF_CORE_READ(pid, level) < ns_level)
		return 0;
	if (bpf_probe_read_kernel(&upid, sizeof(upid), (void *)&pid->numbers[0] + ns_level * sizeof(upid)))
		return 0;
	return BPF_CORE_READ(upid.ns, ns.inum) == ns_inum ? upid.nr : 0;
}

static __always_inline void account_init(struct account *a, struct task_struct *task)
{
	a->tgid = BPF_CORE_READ(task, tgid);
	a->process_start = BPF_CORE_READ(task, group_leader, start_boottime);
	a->vpid = visible_pid(task, a->tgid);
	/* Waits of before it was seen are not the next one's; a newborn's all are. */
	if (BPF_CORE_READ(task, sched_info.pcount))
		a->mark_delay = BPF_CORE_READ(task, sched_info.run_delay);
	/* Unique: no CPU makes two in one nanosecond. It stays with the thread when exec gives it another tid. */
	a->id = (bpf_ktime_get_ns() << 8) | (bpf_get_smp_processor_id() & 0xff);
}

/* The thread's account, made if need be; NULL when there is no room (or, without create, none yet). */
static __always_inline struct account *account_of(struct task_struct *task, bool storage, bool create)
{
	struct account *a;

	if (storage && use_storage) {
		a = bpf_task_storage_get(&accounts, task, NULL, create ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	} else {
		__u64 key = (__u64)task;

		a = bpf_map_lookup_elem(&accounts_hash, &key);
		if (!a && create) {
			struct account fresh = {};

			bpf_map_update_elem(&accounts_hash, &key, &fresh, BPF_NOEXIST);
			a = bpf_map_lookup_elem(&accounts_hash, &key);
		}
	}
	if (a && !a->id)
		account_init(a, task);
	return a;
}

static __always_inline __u64 rq_clock(struct task_struct *task, bool direct)
{
	return direct ? task->se.cfs_rq->rq->clock : BPF_CORE_READ(task, se.cfs_rq, rq, clock);
}

/* How long the thread has waited for a CPU in all, until `now` if it is waiting. */
static __always_inline __u64 total_wait(struct task_struct *task, __u64 now, bool direct)
{
	__u64 queued = READ(direct, task, sched_info.last_queued), wait = READ(direct, task, sched_info.run_delay);

	return queued && now > queued ? wait + (now - queued) : wait;
}

/* What a task that leaves the CPU in this state is going to do. */
static __always_inline __u32 state_of(unsigned int state, bool in_iowait)
{
	if (!state)
		return SCHED_WAITING;
	if (in_iowait)
		return SCHED_IOWAIT;
	/* Idle kernel threads are uninterruptible only to stay out of the load average. */
	if ((state & TASK_UNINTERRUPTIBLE) && !(state & TASK_NOLOAD))
		return SCHED_BLOCKED;
	return SCHED_SLEEPING;
}

static __always_inline bool in_iowait(struct task_struct *task, bool direct)
{
	return direct ? BPF_CORE_READ_BITFIELD(task, in_iowait) : BPF_CORE_READ_BITFIELD_PROBED(task, in_iowait);
}

static __always_inline void book(struct account *a, __u64 off, __u64 *sleep, __u64 *blocked, __u64 *iowait)
{
	if (a->state == SCHED_SLEEPING)
		*sleep += off;
	else if (a->state == SCHED_BLOCKED)
		*blocked += off;
	else if (a->state == SCHED_IOWAIT)
		*iowait += off;
}

/* The part of a running thread's CPU time that the kernel has not booked yet (it does at ticks and switches). */
static __always_inline __u64 unbooked_cpu(struct task_struct *task, __u64 now, bool direct)
{
	struct rq *rq = BPF_CORE_READ(task, se.cfs_rq, rq);
	/* exec_start is in the clock that leaves out interrupts and steal; it lags the other by this. */
	__u64 lag = BPF_CORE_READ(rq, clock) - BPF_CORE_READ(rq, clock_task);
	__u64 since = READ(direct, task, se.exec_start) + lag;

	return now > since ? now - since : 0;
}

/* Everything known of a thread at `now` (rq clock). */
static __always_inline void record_fill(struct task_record *r, struct task_struct *task, const struct account *a,
					__u64 now, __u64 now_mono, bool direct, bool ended)
{
	__u64 wait = total_wait(task, now, direct);

	__builtin_memset(r, 0, sizeof(*r));
	r->now = now_mono;
	r->start = READ(direct, task, start_time);
	r->tid = READ(direct, task, pid);
	r->tgid = READ(direct, task, tgid);
	r->cpu_ns = READ(direct, task, se.sum_exec_runtime);
	r->runq_ns = wait;
	r->voluntary = READ(direct, task, nvcsw);
	r->involuntary = READ(direct, task, nivcsw);
	r->migrations = READ(direct, task, se.nr_migrations);
	r->minflt = READ(direct, task, min_flt);
	r->majflt = READ(direct, task, maj_flt);
	if (bpf_core_field_exists(task->ioac.read_bytes)) {
		r->read_bytes = READ(direct, task, ioac.read_bytes);
		r->write_bytes = READ(direct, task, ioac.write_bytes);
	}
	r->rss_pages = task_rss_pages(task);
	r->ppid = BPF_CORE_READ(task, real_parent, tgid);
	r->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	BPF_CORE_READ_STR_INTO(&r->comm, task, comm);
	if (READ(direct, task, flags) & PF_KTHREAD)
		r->flags |= TASK_KTHREAD;
	if (r->tid == r->tgid)
		r->flags |= TASK_LEADER;

	if (a) {
		r->id = a->id;
		r->process_start = a->process_start;
		r->vpid = a->vpid;
		r->sleep_ns = a->sleep_ns;
		r->blocked_ns = a->blocked_ns;
		r->iowait_ns = a->iowait_ns;
	} else {
		r->flags |= TASK_NO_ACCOUNT;
		r->process_start = BPF_CORE_READ(task, group_leader, start_boottime);
		r->vpid = visible_pid(task, r->tgid);
	}

	if (ended) {
		r->state = SCHED_DEAD;
	} else if (READ(direct, task, on_cpu)) {
		r->state = SCHED_RUNNING;
		r->cpu_ns += unbooked_cpu(task, now, direct);
	} else if (READ(direct, task, sched_info.last_queued)) {
		r->state = SCHED_WAITING;
	} else {
		r->state = a && a->mark ? a->state : state_of(task_state(task), in_iowait(task, direct));
	}
	/* The episode that is still open. While it waits for a CPU, what came before the wait was sleep. */
	if (a && a->mark && r->state != SCHED_RUNNING && now > a->mark + (wait - a->mark_delay))
		book((struct account *)a, now - a->mark - (wait - a->mark_delay), &r->sleep_ns, &r->blocked_ns,
		     &r->iowait_ns);
}

static __always_inline bool wanted(__u32 pid)
{
	return !filter_pids || bpf_map_lookup_elem(&selected, &pid);
}

/* Sends the last record of a thread. */
static __always_inline void send_exit(struct sched_cpu *cpu, struct task_struct *task, struct account *a, __u64 now,
				      __u64 now_mono, bool direct)
{
	struct task_record *r;
	__u64 flags;

	if (!wanted(a ? a->vpid : visible_pid(task, BPF_CORE_READ(task, tgid))))
		return;
	r = bpf_ringbuf_reserve(&exits, sizeof(*r), 0);
	if (!r) {
		cpu->exits_lost++;
		return;
	}
	record_fill(r, task, a, now, now_mono, direct, true);
	if (!BPF_CORE_READ(task, signal, live.counter))
		r->flags |= TASK_LAST;
	cpu->exits++;
	flags = bpf_ringbuf_query(&exits, BPF_RB_AVAIL_DATA) >= wakeup_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
	bpf_ringbuf_submit(r, flags);
}

/* A task leaves the CPU: mark when and why. */
static __always_inline void switch_out(struct sched_cpu *cpu, struct task_struct *prev, unsigned int state, __u64 now,
				       bool storage, bool direct)
{
	__u64 arrived = READ(direct, prev, sched_info.last_arrival);
	struct account *a = account_of(prev, storage, !(state & TASK_DEAD));

	if (arrived && now >= arrived) {
		cpu->oncpu[bin_of(now - arrived, BINS_COUNT)]++;
		cpu->oncpu_sum += now - arrived;
	}
	if (state & TASK_DEAD) {
		send_exit(cpu, prev, a, now, bpf_ktime_get_ns(), direct);
		return;
	}
	if (!a) {
		cpu->storage_failed++;
		return;
	}
	a->state = state_of(state, in_iowait(prev, direct));
	a->mark_delay = READ(direct, prev, sched_info.run_delay);
	a->mark = now;
}

static __always_inline void count_wait(struct sched_cpu *cpu, struct account *a, __u64 wait)
{
	__u32 number = a->slot - 1;
	__u64 key = process_key(a->tgid, a->process_start);
	struct hist_slot *slot;

	cpu->runq[bin_of(wait, BINS_COUNT)]++;
	cpu->runq_sum += wait;
	slot = bpf_map_lookup_elem(&runq_slots, &number);
	if (!slot || slot->owner != key) {
		number = slot_take(&runq_slots, &runq_owners, &runq_free, key);
		if (number == SLOT_NONE) {
			cpu->slots_empty++;
			return;
		}
		a->slot = number + 1;
		slot = bpf_map_lookup_elem(&runq_slots, &number);
		if (!slot)
			return;
	}
	slot_count(slot, wait);
}

/* A task gets the CPU: what it did since its mark is known now. */
static __always_inline void switch_in(struct sched_cpu *cpu, struct task_struct *next, __u64 now, bool storage,
				      bool direct)
{
	struct account *a = account_of(next, storage, true);
	__u64 wait = total_wait(next, now, direct);

	if (!a) {
		cpu->storage_failed++;
		return;
	}
	wait -= a->mark_delay;
	if (a->mark) {
		if (now - a->mark >= wait)
			book(a, now - a->mark - wait, &a->sleep_ns, &a->blocked_ns, &a->iowait_ns);
		else
			cpu->discarded++;
		a->mark = 0;
	}
	count_wait(cpu, a, wait);
	if (a->tgid == agent_tgid) {
		clock_pair.mono = bpf_ktime_get_ns();
		clock_pair.rq = now;
	}
}

static __always_inline int on_switch(bool preempt, struct task_struct *prev, struct task_struct *next,
				     unsigned int prev_state, bool storage, bool direct)
{
	struct sched_cpu *cpu = this_cpu();
	__u64 now;

	if (!cpu)
		return 0;
	now = rq_clock(prev, direct);
	cpu->switches++;
	if (READ(direct, prev, pid))
		switch_out(cpu, prev, preempt ? 0 : prev_state, now, storage, direct);
	if (READ(direct, next, pid))
		switch_in(cpu, next, now, storage, direct);
	return 0;
}

/* sched_switch has had prev_state as its fourth argument since 5.18. */
SEC("tp_btf/sched_switch")
int sched_switch(u64 *ctx)
{
	struct task_struct *prev = (struct task_struct *)ctx[1], *next = (struct task_struct *)ctx[2];

	return on_switch(ctx[0], prev, next, ctx[3], true, true);
}

/* Before 5.18 the state is still in the task. */
SEC("tp_btf/sched_switch")
int sched_switch_517(u64 *ctx)
{
	struct task_struct *prev = (struct task_struct *)ctx[1], *next = (struct task_struct *)ctx[2];

	return on_switch(ctx[0], prev, next, task_state(prev), true, true);
}

/* Where the tracepoint's BTF is missing. */
SEC("raw_tp/sched_switch")
int sched_switch_raw(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *prev = (struct task_struct *)ctx->args[1], *next = (struct task_struct *)ctx->args[2];

	/* A task that runs again at once may have changed its state; the switch still sees the one it left with. */
	return on_switch(ctx->args[0], prev, next, task_state(prev), false, false);
}

/* Without sched_switch the last record is sent a little early, when the thread begins to exit. */
SEC("raw_tp/sched_process_exit")
int sched_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct sched_cpu *cpu = this_cpu();
	__u64 now = bpf_ktime_get_ns();

	if (cpu)
		send_exit(cpu, task, NULL, now, now, false);
	return 0;
}

/* The hash of accounts does not clean itself. */
SEC("raw_tp/sched_process_free")
int sched_process_free(struct bpf_raw_tracepoint_args *ctx)
{
	__u64 key = ctx->args[0];

	bpf_map_delete_elem(&accounts_hash, &key);
	return 0;
}

/* --follow: the child of a selected process is selected. */
SEC("raw_tp/sched_process_fork")
int sched_process_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *from = (struct task_struct *)ctx->args[0], *to = (struct task_struct *)ctx->args[1];
	__u32 parent = visible_pid(from, BPF_CORE_READ(from, tgid));
	__u32 child = visible_pid(to, BPF_CORE_READ(to, tgid));
	struct sched_cpu *cpu = this_cpu();
	__u8 one = 1;

	if (parent != child && bpf_map_lookup_elem(&selected, &parent) &&
	    bpf_map_update_elem(&selected, &child, &one, BPF_ANY) && cpu)
		cpu->storage_failed++;
	return 0;
}

/* One pass over all threads an interval: sends each one's totals. The first pass gives every thread its account. */
SEC("iter/task")
int task_pass(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct sched_cpu *cpu = this_cpu();
	struct task_record r;
	struct account *a = NULL;
	__u64 mono, now;

	/* A thread that has begun to exit sends its own last record. */
	if (!task || !cpu || task->exit_state)
		return 0;
	if (!agent_tgid)
		agent_tgid = bpf_get_current_pid_tgid() >> 32;
	if (follow_switches && !clock_pair.mono)
		return 0;
	if (filter_pids && !wanted(visible_pid(task, task->tgid)))
		return 0;
	mono = bpf_ktime_get_ns();
	now = mono + (clock_pair.rq - clock_pair.mono);
	if (follow_switches) {
		a = account_of(task, true, true);
		if (!a) {
			cpu->storage_failed++;
		} else if (!a->mark && !task->on_cpu && !task->sched_info.last_queued) {
			/* Asleep and never seen to switch out: its time counts from here. */
			a->state = state_of(task_state(task), in_iowait(task, true));
			a->mark_delay = task->sched_info.run_delay;
			a->mark = now;
		}
	}
	record_fill(&r, task, a, now, mono, true, false);
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}
