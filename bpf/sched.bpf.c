// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * sched.bpf.c - where each thread's time goes, from one program at one hook.
 *
 * DESIGN. When a task leaves the CPU the kernel already holds, in the run queue's own clock, when it got the CPU
 * (sched_info.last_arrival) and how long it has waited for one in all (run_delay). So no wakeup program, no clock read and no
 * hash map are needed, and only the outgoing task is looked at: one look-up a switch. Per thread we keep one mark: when it left
 * the CPU before, why, and how long it had waited by then. At its next switch-out
 *
 *	wait  = run_delay now - run_delay at the mark		migrations between run queues included
 *	sleep = last_arrival - mark - wait			booked to why it left
 *	slice = now - last_arrival
 *
 * A switch that this kernel does not show (some hide tasks of the hypervisor's agent) thus loses nothing of other
 * tasks. CPU time, faults, I/O bytes and switches are in the task already: the iterator reads them once an interval.
 * The alternative, timestamps at wakeup in a hash (runqlat), costs several times as much and sees no sleep.
 *
 * A thread's last few waits stand in its account and travel with its record; only a thread that waits more often than that in
 * one interval takes a histogram of the pool for its process. So thousands of quiet processes need none.
 */
#include "bpf/common/kernel.bpf.h"
#include "bpf/common/slots.bpf.h"
#include "bpf/sched.h"

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

/* The account of one thread. Written by its own switch-outs; the iterator writes only where it says so. */
struct account {
	__u64 id;
	__u64 mark; /* rq clock when it last left the CPU, or was first seen off it; 0: neither yet */
	__u64 mark_delay; /* its total wait at the mark */
	__u64 sleep_ns, blocked_ns, iowait_ns; /* closed episodes */
	__u64 process_start;
	__u64 switches; /* switch-outs seen */
	__u32 tgid, vpid;
	__u32 slot; /* number + 1; 0: not looked for yet */
	__u32 state; /* enum thread_state at the mark */
	__u32 n_waits; /* waits put into `waits` so far */
	__u32 n_read; /* of these, how many the iterator has sent; written by it alone */
	__u32 waits[SCHED_WAITS]; /* ns, a ring */
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
	if (bpf_probe_read_kernel(&upid, sizeof(upid),
				  (void *)&pid->numbers[0] + ns_level * sizeof(upid)))
		return 0;
	return BPF_CORE_READ(upid.ns, ns.inum) == ns_inum ? upid.nr : 0;
}

static __always_inline void account_init(struct account *a, struct task_struct *task)
{
	a->tgid = BPF_CORE_READ(task, tgid);
	a->process_start = BPF_CORE_READ(task, group_leader, start_boottime);
	a->vpid = visible_pid(task, a->tgid);
	/* Waits of before it was seen are not its next one's; of a newborn in its first slice all are. */
	if (BPF_CORE_READ(task, sched_info.pcount) > 1)
		a->mark_delay = BPF_CORE_READ(task, sched_info.run_delay);
	/* Unique: no CPU makes two in one nanosecond. It stays with the thread when exec gives it another tid. */
	a->id = (bpf_ktime_get_ns() << 8) | (bpf_get_smp_processor_id() & 0xff);
}

/* The thread's account, made if need be; NULL when there is no room (or, without create, none yet). */
static __always_inline struct account *account_of(struct task_struct *task, bool storage, bool create)
{
	struct account *a;

	if (storage && use_storage) {
		a = bpf_task_storage_get(&accounts, task, NULL,
					 create ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
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
	__u64 queued = READ(direct, task, sched_info.last_queued),
	      wait = READ(direct, task, sched_info.run_delay);

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
	return direct ? BPF_CORE_READ_BITFIELD(task, in_iowait) :
			BPF_CORE_READ_BITFIELD_PROBED(task, in_iowait);
}

/* Where time off the CPU is summed up. */
struct off_cpu {
	__u64 sleep_ns, blocked_ns, iowait_ns;
};

static __always_inline void book(struct off_cpu *sums, __u32 state, __u64 off)
{
	if (state == SCHED_SLEEPING)
		sums->sleep_ns += off;
	else if (state == SCHED_BLOCKED)
		sums->blocked_ns += off;
	else if (state == SCHED_IOWAIT)
		sums->iowait_ns += off;
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

/*
 * What an account says, as it stands at `now`: closed episodes, and the one that is open. An episode ends when the thread got
 * the CPU (it has since, if last_arrival is behind the mark), or goes on until now, its wait for a CPU not counted.
 */
static __always_inline void record_account(struct task_record *r, struct task_struct *task,
					   const struct account *a, __u64 now, bool direct)
{
	__u64 arrived = READ(direct, task, sched_info.last_arrival), mark = a->mark;
	struct off_cpu off = { a->sleep_ns, a->blocked_ns, a->iowait_ns };
	__u64 end = arrived > mark ? arrived : now, wait = READ(direct, task, sched_info.run_delay);

	r->id = a->id;
	r->process_start = a->process_start;
	r->vpid = a->vpid;
	r->switches = a->switches;
	/* Keeps the compiler from choosing between the two addresses, which no verifier takes. */
	asm volatile("" : "+r"(wait));
	wait = (arrived > mark ? wait : r->runq_ns) - a->mark_delay;
	if (mark && r->state != SCHED_DEAD && end > mark + wait)
		book(&off, a->state, end - mark - wait);
	r->sleep_ns = off.sleep_ns;
	r->blocked_ns = off.blocked_ns;
	r->iowait_ns = off.iowait_ns;
	r->n_waits = a->n_waits;
	__builtin_memcpy(r->waits, a->waits, sizeof(r->waits));
}

/* Everything known of a thread at `now` (rq clock). */
static __always_inline void record_fill(struct task_record *r, struct task_struct *task,
					const struct account *a, __u64 now, __u64 now_mono,
					bool direct, bool ended)
{
	struct task_struct *parent;

	__builtin_memset(r, 0, sizeof(*r));
	r->now = now_mono;
	r->start = READ(direct, task, start_time);
	r->tid = READ(direct, task, pid);
	r->tgid = READ(direct, task, tgid);
	r->cpu_ns = READ(direct, task, se.sum_exec_runtime);
	r->runq_ns = total_wait(task, now, direct);
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
	parent = BPF_CORE_READ(task, real_parent);
	r->ppid = visible_pid(parent, BPF_CORE_READ(parent, tgid));
	r->cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
	BPF_CORE_READ_STR_INTO(&r->comm, task, comm);
	if (READ(direct, task, flags) & PF_KTHREAD)
		r->flags |= TASK_KTHREAD;
	if (r->tid == r->tgid)
		r->flags |= TASK_LEADER;

	if (ended) {
		r->state = SCHED_DEAD;
	} else if (READ(direct, task, on_cpu)) {
		r->state = SCHED_RUNNING;
		r->cpu_ns += unbooked_cpu(task, now, direct);
	} else if (READ(direct, task, sched_info.last_queued)) {
		r->state = SCHED_WAITING;
	} else {
		r->state = a && a->mark ? a->state :
					  state_of(task_state(task), in_iowait(task, direct));
	}
	if (a) {
		record_account(r, task, a, now, direct);
		return;
	}
	r->process_start = BPF_CORE_READ(task, group_leader, start_boottime);
	r->vpid = visible_pid(task, r->tgid);
}

static __always_inline bool wanted(__u32 pid)
{
	return !filter_pids || bpf_map_lookup_elem(&selected, &pid);
}

/* Sends the last record of a thread. Without an account it lived for one slice: its only wait is run_delay. */
static __always_inline void send_exit(struct sched_cpu *cpu, struct task_struct *task,
				      struct account *a, __u64 now, __u64 now_mono, bool direct)
{
	struct task_record *r;
	__u64 flags;

	if (filter_pids && !wanted(a ? a->vpid : visible_pid(task, BPF_CORE_READ(task, tgid))))
		return;
	r = bpf_ringbuf_reserve(&exits, sizeof(*r), 0);
	if (!r) {
		cpu->exits_lost++;
		return;
	}
	record_fill(r, task, a, now, now_mono, direct, true);
	if (follow_switches) {
		/* The switch it does not come back from: the kernel leaves it out of what getrusage() says. */
		r->voluntary--;
		r->switches--;
	}
	if (!a && follow_switches) {
		r->switches = 0;
		r->n_waits = 1;
		r->waits[0] = r->runq_ns < SCHED_WAIT_MAX ? r->runq_ns : SCHED_WAIT_MAX;
	}
	cpu->exits++;
	flags = bpf_ringbuf_query(&exits, BPF_RB_AVAIL_DATA) >= wakeup_bytes ? BPF_RB_FORCE_WAKEUP :
									       BPF_RB_NO_WAKEUP;
	bpf_ringbuf_submit(r, flags);
}

/* Counts a wait in the histogram of the thread's process. */
static __always_inline void count_in_slot(struct sched_cpu *cpu, struct account *a, __u64 wait)
{
	__u64 key = process_key(a->tgid, a->process_start);
	__u32 number = a->slot - 1;
	struct hist_slot *slot = bpf_map_lookup_elem(&runq_slots, &number);

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

/* Closes the episode that ended when the thread got the CPU it leaves now. */
static __always_inline void close_episode(struct sched_cpu *cpu, struct account *a, __u64 arrived,
					  __u64 delay)
{
	__u64 wait = delay - a->mark_delay;

	if (a->mark) {
		struct off_cpu off = { a->sleep_ns, a->blocked_ns, a->iowait_ns };

		if (arrived - a->mark >= wait && arrived >= a->mark) {
			book(&off, a->state, arrived - a->mark - wait);
			a->sleep_ns = off.sleep_ns;
			a->blocked_ns = off.blocked_ns;
			a->iowait_ns = off.iowait_ns;
		} else if (a->state != SCHED_WAITING) {
			cpu->discarded++;
		}
	}
	if (a->n_waits - a->n_read < SCHED_WAITS && wait < SCHED_WAIT_MAX) {
		a->waits[a->n_waits & (SCHED_WAITS - 1)] = wait;
		a->n_waits++;
	} else {
		count_in_slot(cpu, a, wait);
	}
}

/* A task leaves the CPU: close what came before, mark when and why it goes. */
static __always_inline void switch_out(struct sched_cpu *cpu, struct task_struct *prev,
				       unsigned int state, __u64 now, bool storage, bool direct)
{
	__u64 arrived = READ(direct, prev, sched_info.last_arrival),
	      delay = READ(direct, prev, sched_info.run_delay);
	struct account *a = account_of(prev, storage, !(state & TASK_DEAD));

	if (now >= arrived) {
		cpu->oncpu[bin_of(now - arrived, BINS_COUNT)]++;
		cpu->oncpu_sum += now - arrived;
	}
	if (a) {
		cpu->runq[bin_of(delay - a->mark_delay, BINS_COUNT)]++;
		cpu->runq_sum += delay - a->mark_delay;
		close_episode(cpu, a, arrived, delay);
		a->state = state_of(state, in_iowait(prev, direct));
		a->mark_delay = delay;
		a->mark = now;
		a->switches++;
	} else if (!(state & TASK_DEAD)) {
		cpu->storage_failed++;
	} else {
		cpu->runq[bin_of(delay, BINS_COUNT)]++;
		cpu->runq_sum += delay;
	}
	if (state & TASK_DEAD)
		send_exit(cpu, prev, a, now, bpf_ktime_get_ns(), direct);
}

static __always_inline int on_switch(bool preempt, struct task_struct *prev, struct task_struct *next,
				     unsigned int prev_state, bool storage, bool direct)
{
	struct sched_cpu *cpu = this_cpu();
	bool idle = !READ(direct, prev, pid);
	__u64 now;

	if (!cpu)
		return 0;
	/* An idle task's cfs_rq need not be this CPU's: its clock may have stood still for seconds. */
	now = rq_clock(idle ? next : prev, direct);
	cpu->switches++;
	if (!idle)
		switch_out(cpu, prev, preempt ? 0 : prev_state, now, storage, direct);
	if (READ(direct, next, tgid) == agent_tgid && agent_tgid) {
		clock_pair.mono = bpf_ktime_get_ns();
		clock_pair.rq = now;
	}
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
	struct task_struct *prev = (struct task_struct *)ctx->args[1],
			   *next = (struct task_struct *)ctx->args[2];

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
	struct task_struct *from = (struct task_struct *)ctx->args[0],
			   *to = (struct task_struct *)ctx->args[1];
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

	/*
	 * A thread that has ended sends its own last record; without sched_switch it does so when it begins to exit, and a large
	 * one takes a while from there: seen again it would be counted as a new one, twice.
	 */
	if (!task || !cpu || task->exit_state || (!follow_switches && task->flags & PF_EXITING))
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
	if (a)
		a->n_read = r.n_waits;
	bpf_seq_write(ctx->meta->seq, &r, sizeof(r));
	return 0;
}
