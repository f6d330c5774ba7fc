// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * block.bpf.c - what each block device and each process reads and writes, and how long it takes.
 *
 * DESIGN. All is counted once, when a request completes (block_rq_complete): the kernel keeps in the request when it was
 * created (start_time_ns) and when it was given to the device (io_start_time_ns), so one clock read there yields both the
 * queue time and the latency. The rules of what counts are those of the kernel's disk statistics, so that the two agree
 * exactly: bytes at every (also partial) completion, a request when it ends, but
 *
 *	- not for the steps of a flush sequence (RQF_FLUSH_SEQ): its request ends once more when all steps are done;
 *	- not for commands that bypass the block layer (passthrough), unless the kernel counts them (it then set `part`);
 *	- a flush is the flush machinery's own request; those who asked for it have theirs.
 *
 * Who began a request is known only at its start (block_io_start), where nothing else is done but judging whether it is
 * sequential. In between, the owner is in a table without a hash map: sets of 4 ways, chosen by the request's address,
 * written without a lock. Request structures are allocated once per tag and used again and again, so an entry stays: its next
 * use overwrites it, or finds its owner in it and writes nothing. That matters more than instructions do: a request often
 * ends on another CPU than it began, and a line of memory that both write travels twice for each. Where a set is full, the
 * reference count of its requests tells which have ended. Should two CPUs write one way at once, the
 * entry names nobody, and the request counts as unattributed. A hash map would cost an insert, a lookup and a delete.
 *
 * Before 6.5 there is no block_io_start. There block_rq_insert and block_rq_issue serve, and who sees a request first
 * names its owner; the sum of the two is told apart from leftovers by the request's creation time. There the time of issue
 * is taken by ourselves too: some releases (5.16 to 5.18) keep another instant in io_start_time_ns. The same program stamps
 * where the kernel does not keep it at all (a queue without writeback throttling or other users of its statistics).
 */
#include "common/kernel.bpf.h"
#include "common/slots.bpf.h"
#include "block.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set before load. Sizes are powers of two. */
const volatile __u32 row_mask = 0; /* rows - 1 */
const volatile __u32 set_mask = 0; /* sets - 1 */
const volatile bool own_issue = false; /* block_rq_issue is attached: the time of issue is ours */
const volatile bool owner_by_issue =
	false; /* no block_io_start: the first of insert and issue names the owner */
const volatile bool queue_argument =
	false; /* insert and issue have the queue before the request (until 5.10) */
/* Bits of rq_flags. They moved in 6.12, to an enumeration that is nameless at first: out of CO-RE's reach. */
const volatile __u32 rqf_io_stat = 1 << 13; /* the kernel counts it */
const volatile __u32 rqf_flush_seq = 1 << 4; /* a step of a flush sequence */

struct block_totals totals = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct block_row);
} rows SEC(".maps");

/* Row number → device: who may write a free row. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} claims SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct block_set);
} inflight SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct block_stamps);
} stamps SEC(".maps");

/* Hash of a process → the number of its histogram + 1, or of another's: the slot's owner tells. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BLOCK_HINTS);
	__type(key, __u32);
	__type(value, __u32);
} hints SEC(".maps");

/* Requests of each slot's owner: reads in the lower half, writes in the upper. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} requests SEC(".maps");

DEFINE_SLOTS(io);

/* Reads a field by a plain load where the verifier knows the pointer (tp_btf), by a helper where not (raw_tp). */
#define READ(direct, p, field) ((direct) ? (p)->field : BPF_CORE_READ(p, field))

/* What can be merged to a request while it waits: more than any device's max_sectors_kb. */
#define MERGED_SECTORS 16384

#define ADD(counter, value) __sync_fetch_and_add(&(counter), value)

static __always_inline __u32 request_op(struct request *rq, bool direct)
{
	return READ(direct, rq, cmd_flags) & REQ_OP_MASK;
}

static __always_inline __u32 group_of(__u32 op)
{
	return op == REQ_OP_DISCARD ? BLOCK_DISCARD : op & 1 ? BLOCK_WRITE : BLOCK_READ;
}

static __always_inline __u32 request_dev(struct request *rq, bool direct)
{
	struct gendisk *disk = request_disk(rq, direct);

	/* A queue without a disk (a SCSI device no driver took) has only passthrough requests. */
	if (!disk)
		return 0;
	return READ(direct, disk, major) << 20 | (READ(direct, disk, first_minor) & 0xfffff);
}

/* Takes a free row for a device; false when another device was faster. */
static __noinline bool row_claim(struct block_row *row, __u32 number, __u32 dev, const char *name)
{
	if (!row || bpf_map_update_elem(&claims, &number, &dev, BPF_NOEXIST))
		return false;
	bpf_probe_read_kernel_str(row->name, sizeof(row->name), name);
	row->start_dev = row->end_dev = dev;
	row->dev = dev;
	return true;
}

/* The row of a request's device, taken if need be; NULL when there is none left. `ends`: which of its lines is used. */
static __always_inline struct block_row *row_of(struct request *rq, bool ends, bool direct)
{
	__u32 dev = request_dev(rq, direct), at = (dev * 0x9e3779b1u) >> 16;

	if (!dev)
		return NULL;
#pragma unroll
	for (int i = 0; i < BLOCK_PROBES; i++) {
		__u32 number = (at + i) & row_mask;
		struct block_row *row = bpf_map_lookup_elem(&rows, &number);

		if (!row)
			return NULL;
		if ((ends ? row->end_dev : row->start_dev) == dev)
			return row;
		if (!row->dev && row_claim(row, number, dev, request_disk(rq, direct)->disk_name))
			return row;
	}
	return NULL;
}

/*
 * A number for a request's address. The verifier forbids arithmetic on a typed pointer but for one thing: the difference of
 * two.
 */
static __always_inline __u64 request_id(struct request *rq, bool direct)
{
	__u64 id = (__u64)rq;

	if (direct)
		asm volatile("%0 -= %1" : "+r"(id) : "r"(&totals));
	return id;
}

/* The same spread over all bits: chooses the set, and seals the owner. */
static __always_inline __u64 request_hash(struct request *rq, bool direct)
{
	return request_id(rq, direct) * 0x9e3779b97f4a7c15ull;
}

static __always_inline __u32 set_of(__u64 hash)
{
	/* Addresses of requests are multiples of a cache line, and neighbours differ by a few of them. */
	return (__u32)(hash >> 40) & set_mask;
}

/* Where a request's entry is: its way, BLOCK_WAYS if it has none. */
static __always_inline __u32 way_find(const struct block_set *set, struct request *rq)
{
#pragma unroll
	for (__u32 i = 0; i < BLOCK_WAYS; i++)
		if (set->way[i].request == (__u64)rq)
			return i;
	return BLOCK_WAYS;
}

/* The way for a new entry: a free one, or one whose request is free. The slow path. */
static __noinline __u32 way_vacate(const struct block_set *set)
{
	if (!set)
		return BLOCK_WAYS;
#pragma unroll
	for (__u32 i = 0; i < BLOCK_WAYS; i++) {
		__u64 request = set->way[i].request;
		int references = 0;

		if (!request)
			return i;
		/* It is an atomic_t, before 5.14 a refcount_t. */
		bpf_probe_read_kernel(&references, sizeof(references),
				      (void *)request + bpf_core_field_offset(struct request, ref));
		if (!references)
			return i;
	}
	return BLOCK_WAYS;
}

/* The running task; a typed pointer where the kernel gives one (5.11). */
static __always_inline __u64 current_owner(bool write, bool direct)
{
	struct task_struct *task;
	__u32 flags, tgid;
	__u64 start;

	if (direct && bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf)) {
		task = bpf_get_current_task_btf();
		flags = task->flags;
		tgid = task->tgid;
		start = task->group_leader->start_boottime;
	} else {
		task = (struct task_struct *)bpf_get_current_task();
		flags = BPF_CORE_READ(task, flags);
		tgid = BPF_CORE_READ(task, tgid);
		start = BPF_CORE_READ(task, group_leader, start_boottime);
	}
	if (write && (flags & (PF_KTHREAD | PF_MEMALLOC)))
		return BLOCK_WRITEBACK_KEY;
	/* The idle task: an interrupt began it. */
	return tgid ? process_key(tgid, start) : 0;
}

/*
 * Whether a request begins where the one before it ends now, with what was merged to it since it began. That request is asked
 * only where the distance can be due to merging.
 */
static __always_inline void judge_sequence(struct block_row *row, struct request *rq, bool direct)
{
	__u64 sector = READ(direct, rq, __sector), distance = sector - row->last_end;
	__u32 sectors = READ(direct, rq, __data_len) >> 9;

	if (!sectors)
		return;
	if (distance && distance <= MERGED_SECTORS) {
		struct request *last = (struct request *)row->last_request;

		distance = sector - BPF_CORE_READ(last, __sector) -
			   (BPF_CORE_READ(last, __data_len) >> 9);
	}
	ADD(row->started, distance ? 1 : 1 + (1ull << 32));
	row->last_end = sector + sectors;
	row->last_request = (__u64)rq;
}

/* Enters who began a request; where its entry is, BLOCK_WAYS if it got none. */
static __always_inline __u32 owner_enter(struct block_set *set, struct request *rq, __u64 hash,
					 __u32 op, __u32 way, bool direct)
{
	__u64 owner = current_owner(op & 1, direct);

	/* The data of a flush sequence is first seen when the machinery goes on with it: not its owner's doing. */
	if (owner_by_issue && (READ(direct, rq, rq_flags) & rqf_flush_seq))
		owner = 0;
	if (way >= BLOCK_WAYS)
		way = way_vacate(set);
	else if (set->way[way].owner == owner + hash)
		return way;
	if (way >= BLOCK_WAYS) {
		ADD(totals.set_full, 1);
		return BLOCK_WAYS;
	}
	/* The request last, so that one who finds it finds the owner. */
	set->way[way].owner = owner + hash;
	*(volatile unsigned long long *)&set->way[way].request = (__u64)rq;
	return way;
}

/* Where a request begins: who began it and, if the kernel does not note it, when. */
static __always_inline int on_start(struct request *rq, bool direct)
{
	__u64 hash = request_hash(rq, direct);
	__u32 op = request_op(rq, direct), number = set_of(hash), way;
	struct block_row *row = row_of(rq, false, direct);
	struct block_stamps *times;
	struct block_set *set;

	/* Nobody is asked who discards or flushes; the write that wants a flush is a request of its own. */
	if (op == REQ_OP_FLUSH || op == REQ_OP_DISCARD || op >= REQ_OP_PASSTHROUGH)
		return 0;
	if (row)
		judge_sequence(row, rq, direct);
	set = bpf_map_lookup_elem(&inflight, &number);
	if (!set)
		return 0;
	way = owner_enter(set, rq, hash, op, way_find(set, rq), direct);
	if (way >= BLOCK_WAYS || !(own_issue || (row && row->stamp_starts)))
		return 0;
	times = bpf_map_lookup_elem(&stamps, &number);
	if (times) {
		times->started[way] = bpf_ktime_get_ns();
		times->issued[way] = 0;
		times->born[way] = READ(direct, rq, start_time_ns);
	}
	return 0;
}

/* Where a request is inserted into a queue, or given to the device: it may begin here as far as we can see. */
static __always_inline int on_insert_or_issue(struct request *rq, bool issue, bool direct)
{
	__u64 hash = request_hash(rq, direct);
	__u32 number = set_of(hash), way;
	struct block_set *set = bpf_map_lookup_elem(&inflight, &number);
	struct block_stamps *times = bpf_map_lookup_elem(&stamps, &number);

	if (!set || !times)
		return 0;
	way = way_find(set, rq);
	if (owner_by_issue &&
	    (way >= BLOCK_WAYS || times->born[way] != READ(direct, rq, start_time_ns))) {
		on_start(rq, direct);
		way = way_find(set, rq);
	}
	if (issue && way < BLOCK_WAYS)
		times->issued[way] = bpf_ktime_get_ns();
	return 0;
}

/* What is known of a request when it ends. */
struct ending {
	__u64 owner; /* 0: not known */
	__u64 created, issued; /* 0: not known */
};

/* Looks up what is in the table of a request that ended. */
static __always_inline void entry_read(struct request *rq, struct ending *e, bool direct)
{
	__u64 hash = request_hash(rq, direct);
	__u32 number = set_of(hash), way;
	struct block_stamps *times;
	struct block_set *set;

	set = bpf_map_lookup_elem(&inflight, &number);
	if (!set)
		return;
	way = way_find(set, rq);
	if (way >= BLOCK_WAYS)
		return;
	e->owner = set->way[way].owner - hash;
	if (!own_issue && e->created)
		return;
	times = bpf_map_lookup_elem(&stamps, &number);
	if (!times)
		return;
	if (owner_by_issue) {
		/* Not every start is seen: this may be what is left of an earlier use, and the next must not find it. */
		if (times->born[way] != e->created)
			e->owner = 0;
		set->way[way].request = 0;
	}
	if (own_issue)
		e->issued = times->issued[way];
	if (!e->created)
		e->created = times->started[way];
}

/* Adds the request to its process. `latency` is ~0 when there is none. */
static __always_inline void count_owner(__u64 key, bool write, __u64 latency)
{
	__u32 hint = (__u32)((key >> 42) ^ key) & (BLOCK_HINTS - 1),
	      *known = bpf_map_lookup_elem(&hints, &hint), number;
	struct hist_slot *slot = NULL;
	__u64 *count;

	if (!known)
		return;
	number = *known - 1;
	slot = bpf_map_lookup_elem(&io_slots, &number);
	if (!slot || slot->owner != key) {
		number = slot_take(&io_slots, &io_owners, &io_free, key);
		if (number == SLOT_NONE) {
			ADD(totals.slots_empty, 1);
			return;
		}
		*known = number + 1;
		slot = bpf_map_lookup_elem(&io_slots, &number);
	}
	count = bpf_map_lookup_elem(&requests, &number);
	if (!slot || !count)
		return;
	if (latency != ~0ull)
		slot_count(slot, latency);
	ADD(*count, write ? 1ull << 32 : 1);
}

/* Adds the times of a request that was issued at all; its latency, or ~0. */
static __always_inline __u64 count_times(struct block_row *row, const struct ending *e, bool write,
					 bool issued)
{
	__u64 now = bpf_ktime_get_ns(), latency;

	if (!e->issued || now < e->issued) {
		ADD(row->untimed[write], 1);
		if (e->issued)
			ADD(totals.discarded, 1);
		else if (issued)
			ADD(row->unstamped, 1);
		return ~0ull;
	}
	latency = now - e->issued;
	ADD(row->latency[write][bin_of(latency, BINS_SHORT_COUNT)], 1);
	ADD(row->latency_sum, latency);
	if (e->created && e->issued > e->created) {
		ADD(row->queue[bin_of(e->issued - e->created, BINS_SHORT_COUNT)], 1);
		ADD(row->queue_sum, e->issued - e->created);
	} else if (e->issued != e->created) {
		ADD(row->uncreated, 1);
		if (e->created)
			ADD(totals.discarded, 1);
	}
	return latency;
}

/* A request has ended: all of it, with the steps of its flush sequence. */
static __always_inline void count_request(struct block_row *row, struct request *rq, __u32 op,
					  __u32 length, bool direct)
{
	struct ending e = { .created = READ(direct, rq, start_time_ns),
			    .issued = READ(direct, rq, io_start_time_ns) };
	bool write = op & 1;
	__u64 latency;

	if (!e.created && !row->stamp_starts)
		row->stamp_starts = 1;
	entry_read(rq, &e, direct);
	/* From now on the request cannot be asked how far it grew. */
	if (READ(direct, rq, bio) != READ(direct, rq, biotail) && row->last_request == (__u64)rq)
		row->last_end = READ(direct, rq, __sector) + (length >> 9);
	latency = count_times(row, &e, write, length);
	if (e.owner)
		count_owner(e.owner, write, latency);
	else
		ADD(totals.unowned, 1);
}

static __always_inline int on_complete(struct request *rq, bool error, __u32 bytes, bool direct)
{
	__u32 op = request_op(rq, direct), flags = READ(direct, rq, rq_flags),
	      length = READ(direct, rq, __data_len);
	__u32 group = group_of(op);
	struct block_row *row;

	/* Where the kernel does not count (iostats is 0) we count what it would. */
	if (op != REQ_OP_FLUSH &&
	    (flags & rqf_io_stat ? !READ(direct, rq, part) : op >= REQ_OP_PASSTHROUGH))
		return 0;
	row = row_of(rq, true, direct);
	if (!row) {
		ADD(totals.rows_full, 1);
		return 0;
	}
	if (op == REQ_OP_FLUSH) {
		ADD(row->flushes, 1);
		return 0;
	}
	/* The kernel counts sectors, and none for a request that carries no data pages. */
	if (bytes >= 512 && READ(direct, rq, bio))
		ADD(row->bytes[group], bytes & ~511u);
	if ((flags & rqf_flush_seq) || bytes < length)
		return 0;
	if (error)
		ADD(row->errors, 1);
	if (group == BLOCK_DISCARD)
		ADD(row->discards, 1);
	else
		count_request(row, rq, op, length, direct);
	return 0;
}

SEC("tp_btf/block_rq_complete")
int block_rq_complete(u64 *ctx)
{
	return on_complete((struct request *)ctx[0], (__u32)ctx[1] != 0, ctx[2], true);
}

SEC("raw_tp/block_rq_complete")
int block_rq_complete_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_complete((struct request *)ctx->args[0], (__u32)ctx->args[1] != 0, ctx->args[2],
			   false);
}

SEC("tp_btf/block_io_start")
int block_io_start(u64 *ctx)
{
	return on_start((struct request *)ctx[0], true);
}

SEC("raw_tp/block_io_start")
int block_io_start_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_start((struct request *)ctx->args[0], false);
}

SEC("tp_btf/block_rq_insert")
int block_rq_insert(u64 *ctx)
{
	return on_insert_or_issue((struct request *)(queue_argument ? ctx[1] : ctx[0]), false, true);
}

SEC("raw_tp/block_rq_insert")
int block_rq_insert_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_insert_or_issue((struct request *)(queue_argument ? ctx->args[1] : ctx->args[0]),
				  false, false);
}

SEC("tp_btf/block_rq_issue")
int block_rq_issue(u64 *ctx)
{
	return on_insert_or_issue((struct request *)(queue_argument ? ctx[1] : ctx[0]), true, true);
}

SEC("raw_tp/block_rq_issue")
int block_rq_issue_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_insert_or_issue((struct request *)(queue_argument ? ctx->args[1] : ctx->args[0]),
				  true, false);
}
