// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * fault.bpf.c - how long page faults take, where the kernel lets functions be hooked.
 *
 * DESIGN. No tracepoint has both ends of a fault, so this needs fentry and fexit on handle_mm_fault(), which serves a fault
 * once the address was found to be legal. Counting faults needs no program: perf software events and the tasks have the
 * numbers. The thread's mark of when a fault began is in task local storage; the process's slot is remembered there too.
 *
 * The function may give up the mm's lock to wait for I/O and return VM_FAULT_RETRY; its caller then calls it again. The
 * two calls are one fault, whose time is from the first entry to the last return, with what the caller did in between. A retry is
 * known by its address, and by FAULT_FLAG_TRIED unless the try before was under the VMA's own lock (6.4), which says
 * nothing. A caller that does not want to wait (FAULT_FLAG_RETRY_NOWAIT) does not come again.
 * Faults that end in an error (SIGSEGV, SIGBUS, out of memory) were not served: they are not counted here.
 */
#include "bpf/common/kernel.bpf.h"
#include "bpf/common/slots.bpf.h"
#include "bpf/fault.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before load. */
const volatile bool use_storage = true; /* task local storage (5.11); else a hash by thread id */

/* Since 5.14 these are in BTF as an enum, before they were macros; the numbers have not changed. */
#define FAULT_RETRY_NOWAIT 0x0008
#define FAULT_TRIED 0x0020
#define FAULT_VMA_LOCK 0x1000 /* 6.4; unused before */
/* enum vm_fault_reason, 4.20 */
#define RESULT_RETRY 0x0400
#define RESULT_ERROR 0x0873 /* OOM, SIGBUS, HWPOISON, HWPOISON_LARGE, SIGSEGV, FALLBACK */

/* Why a mark was kept past the end of a call. */
enum { NOT_KEPT, KEPT_UNTIL_TRIED, KEPT_AFTER_VMA_LOCK };

/* What a thread is in the middle of. */
struct mark {
	__u64 key; /* of its process */
	__u64 start; /* 0: no fault is under way */
	__u64 address;
	__u32 slot; /* number + 1; 0: not looked for yet */
	__u32 kept;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mark);
} marks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32); /* thread id */
	__type(value, struct mark);
} marks_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fault_cpu);
} cpus SEC(".maps");

DEFINE_SLOTS(fault);

static __always_inline struct fault_cpu *this_cpu(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpus, &cpu);
}

static __always_inline struct mark *mark_of_hash(bool create)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();
	struct mark *mark = bpf_map_lookup_elem(&marks_hash, &tid), fresh = {};

	if (mark || !create)
		return mark;
	bpf_map_update_elem(&marks_hash, &tid, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&marks_hash, &tid);
}

/* The current thread's mark, made if need be; NULL when there is no room (or, without create, none yet). */
static __always_inline struct mark *mark_of_current(bool create)
{
	struct task_struct *task;
	struct mark *mark;

	if (use_storage) {
		task = bpf_get_current_task_btf();
		mark = bpf_task_storage_get(&marks, task, NULL,
					    create ? BPF_LOCAL_STORAGE_GET_F_CREATE : 0);
	} else {
		task = (struct task_struct *)bpf_get_current_task();
		mark = mark_of_hash(create);
	}
	if (mark && !mark->key)
		mark->key = process_key(BPF_CORE_READ(task, tgid),
					BPF_CORE_READ(task, group_leader, start_boottime));
	return mark;
}

/* Counts in the histogram of the current thread's process. */
static __always_inline void count_for_process(struct fault_cpu *cpu, struct mark *mark, __u64 latency)
{
	__u32 number = mark->slot - 1;
	__u64 key = mark->key;
	struct hist_slot *slot = bpf_map_lookup_elem(&fault_slots, &number);

	if (!slot || slot->owner != key) {
		number = slot_take(&fault_slots, &fault_owners, &fault_free, key);
		if (number == SLOT_NONE) {
			__sync_fetch_and_add(&cpu->slots_empty, 1);
			return;
		}
		mark->slot = number + 1;
		slot = bpf_map_lookup_elem(&fault_slots, &number);
		if (!slot)
			return;
	}
	slot_count(slot, latency);
}

SEC("fentry/handle_mm_fault")
int BPF_PROG(fault_begin, struct vm_area_struct *vma, unsigned long address, unsigned int flags)
{
	struct fault_cpu *cpu = this_cpu();
	struct mark *mark = mark_of_current(true);

	if (!cpu)
		return 0;
	if (!mark) {
		__sync_fetch_and_add(&cpu->begin_failed, 1);
		return 0;
	}
	if (mark->start && mark->kept && mark->address == address &&
	    (mark->kept == KEPT_AFTER_VMA_LOCK || (flags & FAULT_TRIED))) {
		mark->kept = NOT_KEPT;
		return 0;
	}
	mark->kept = NOT_KEPT;
	mark->address = address;
	mark->start = bpf_ktime_get_ns();
	return 0;
}

SEC("fexit/handle_mm_fault")
int BPF_PROG(fault_end, struct vm_area_struct *vma, unsigned long address, unsigned int flags,
	     struct pt_regs *regs, unsigned int result)
{
	struct fault_cpu *cpu = this_cpu();
	struct mark *mark = mark_of_current(false);
	__u64 now, start;

	/* Without a mark it began before we came, or that it could not be marked was counted then. */
	if (!cpu || !mark)
		return 0;
	start = mark->start;
	if (start && (result & RESULT_RETRY) && !(flags & FAULT_RETRY_NOWAIT)) {
		mark->kept = flags & FAULT_VMA_LOCK ? KEPT_AFTER_VMA_LOCK : KEPT_UNTIL_TRIED;
		return 0;
	}
	mark->start = 0;
	if (result & (RESULT_RETRY | RESULT_ERROR))
		return 0;
	now = bpf_ktime_get_ns();
	if (!start || now < start || mark->address != address) {
		__sync_fetch_and_add(&cpu->discarded, 1);
		return 0;
	}
	__sync_fetch_and_add(&cpu->latency[bin_of(now - start, BINS_COUNT)], 1);
	__sync_fetch_and_add(&cpu->latency_sum, now - start);
	count_for_process(cpu, mark, now - start);
	return 0;
}

/* The hash of marks does not clean itself; by this point of its exit a thread has given up its memory. */
SEC("raw_tp/sched_process_exit")
int fault_exit(struct bpf_raw_tracepoint_args *ctx)
{
	__u32 tid = (__u32)bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&marks_hash, &tid);
	return 0;
}
