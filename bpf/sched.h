/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sched.h - what the scheduler programs hand to user space.
 *
 * Clocks: "rq" is the run queue's clock (nearly sched_clock()), "mono" is CLOCK_MONOTONIC. `struct sched_clock` relates
 * them; it is renewed each time the agent itself is switched in.
 */
#ifndef MBTRACE_BPF_SCHED_H
#define MBTRACE_BPF_SCHED_H

#include "metric/bins.h"

#define SCHED_COMM_LEN 16
#define SCHED_WAITS \
	8 /* waits a thread can have in an interval before its process takes a histogram; a power of two */
#define SCHED_WAIT_MAX 0xffffffffu /* ns; longer ones go to the histogram at once */

/* What a thread is doing. */
enum thread_state {
	SCHED_RUNNING,
	SCHED_WAITING,
	SCHED_SLEEPING,
	SCHED_BLOCKED,
	SCHED_IOWAIT,
	SCHED_DEAD
};

/* The totals of one CPU; only that CPU writes. */
struct sched_cpu {
	unsigned long long switches;
	unsigned long long runq_sum, oncpu_sum; /* ns */
	unsigned long long storage_failed; /* a thread could not be given its account */
	unsigned long long slots_empty; /* a process could not be given its histogram */
	unsigned long long exits_lost; /* the ring had no room for a record */
	unsigned long long exits; /* records sent */
	unsigned long long discarded; /* an episode that would have been negative */
	unsigned long long runq[BINS_COUNT];
	unsigned long long oncpu[BINS_COUNT];
};

_Static_assert(sizeof(struct sched_cpu) == 8 * (8 + 2 * BINS_COUNT), "wire format");

/* One instant on both clocks. */
struct sched_clock {
	unsigned long long rq, mono;
};

/* Flags of a record. */
enum {
	TASK_KTHREAD = 1, /* a kernel thread */
	TASK_LEADER = 2, /* the thread whose tid is the pid */
};

/* All that is known of a thread: cumulative since it was first seen. Sent by the iterator and at its last switch. */
struct task_record {
	unsigned long long id; /* of the thread's account; unique, never reused; 0: none */
	unsigned long long process_start; /* ns since boot (suspend included) of its process */
	unsigned long long start; /* of the thread, mono */
	unsigned long long now; /* mono */
	unsigned long long cpu_ns, runq_ns, sleep_ns, blocked_ns, iowait_ns;
	unsigned long long voluntary, involuntary, migrations;
	unsigned long long minflt, majflt;
	unsigned long long read_bytes, write_bytes;
	unsigned long long rss_pages, cgroup;
	unsigned long long switches; /* switch-outs that were seen: voluntary + involuntary, unless the kernel hid some */
	unsigned int tid, tgid, ppid; /* as the initial PID namespace sees them */
	unsigned int vpid; /* tgid as the agent's PID namespace sees it, 0: not visible there */
	unsigned char state, flags; /* enum thread_state */
	unsigned char unused[2];
	unsigned int n_waits; /* waits put into `waits` since it was first seen: the newest ones stand there */
	unsigned int waits[SCHED_WAITS]; /* ns, a ring */
	char comm[SCHED_COMM_LEN];
};

_Static_assert(sizeof(struct task_record) == 19 * 8 + 4 * 4 + 8 + 4 * SCHED_WAITS + 16,
	       "wire format");

#endif
