/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kernel.bpf.h - every difference between kernels that programs must know of, as CO-RE flavours.
 *
 * A flavour is a struct named TYPE___suffix that holds a field as another release has it; libbpf matches it with the
 * running kernel's TYPE. Test the field, never a version. Each comment names the release that changed it.
 */
#ifndef MBTRACE_BPF_KERNEL_H
#define MBTRACE_BPF_KERNEL_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

/* task_struct.state became __state in 5.14. */
struct task_struct___5_13 {
	volatile long state;
} __attribute__((preserve_access_index));

static __always_inline unsigned int task_state(const struct task_struct *task)
{
	const struct task_struct___5_13 *old = (const void *)task;

	if (bpf_core_field_exists(task->__state))
		return BPF_CORE_READ(task, __state);
	return (unsigned int)BPF_CORE_READ(old, state);
}

/* mm_struct.rss_stat became an array of percpu_counter in 6.2. */
struct mm_rss_stat___6_1 {
	atomic_long_t count[4];
} __attribute__((preserve_access_index));

struct mm_struct___6_1 {
	struct mm_rss_stat___6_1 rss_stat;
} __attribute__((preserve_access_index));

/* Resident pages of a task (file, anonymous, shared memory); 0 for kernel threads. */
static __always_inline __u64 task_rss_pages(const struct task_struct *task)
{
	struct mm_struct *mm = BPF_CORE_READ(task, mm);
	struct mm_struct___6_1 *old = (void *)mm;
	__s64 file, anon, shmem;

	if (!mm)
		return 0;
	if (bpf_core_field_exists(old->rss_stat.count)) {
		file = BPF_CORE_READ(old, rss_stat.count[0].counter);
		anon = BPF_CORE_READ(old, rss_stat.count[1].counter);
		shmem = BPF_CORE_READ(old, rss_stat.count[3].counter);
	} else {
		file = BPF_CORE_READ(mm, rss_stat[0].count);
		anon = BPF_CORE_READ(mm, rss_stat[1].count);
		shmem = BPF_CORE_READ(mm, rss_stat[3].count);
	}
	/* Each is approximate and may be below zero for a moment. */
	return (file > 0 ? file : 0) + (anon > 0 ? anon : 0) + (shmem > 0 ? shmem : 0);
}

/* The disk of a request: request.rq_disk until 5.16, request_queue.disk from 5.15 on. */
struct request___5_16 {
	struct gendisk *rq_disk;
} __attribute__((preserve_access_index));

/* `direct`: the verifier knows rq (tp_btf) and what it points to. */
static __always_inline struct gendisk *request_disk(struct request *rq, bool direct)
{
	struct request___5_16 *old = (void *)rq;

	if (bpf_core_field_exists(rq->q->disk))
		return direct ? rq->q->disk : BPF_CORE_READ(rq, q, disk);
	return direct ? old->rq_disk : BPF_CORE_READ(old, rq_disk);
}

/* Constants of include/linux/sched.h that BTF does not carry; unchanged since 4.14. */
#define TASK_UNINTERRUPTIBLE 0x0002
#define TASK_DEAD 0x0080
#define TASK_NOLOAD 0x0400
#define PF_EXITING 0x00000004
#define PF_WQ_WORKER 0x00000020
#define PF_MEMALLOC 0x00000800
#define PF_KTHREAD 0x00200000

/* Of include/linux/blk_types.h: the operation's bits of cmd_flags, and the first of those that bypass the block layer. */
#define REQ_OP_MASK 0xffu
#define REQ_OP_PASSTHROUGH 32

#endif
