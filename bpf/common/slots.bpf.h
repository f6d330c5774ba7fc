/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* slots.bpf.h - the BPF side of slots.h: find or take a process's histogram and count a value in it. */
#ifndef MBTRACE_BPF_SLOTS_BPF_H
#define MBTRACE_BPF_SLOTS_BPF_H

#include "bpf/common/bins.bpf.h"
#include "bpf/common/kernel.bpf.h"
#include "bpf/common/slots.h"

#define SLOT_NONE 0xffffffffu /* looked for and not found: the pool was empty */

/* Defines the three maps of a pool. User space sets their sizes before load. */
#define DEFINE_SLOTS(name)                         \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_ARRAY);  \
		__uint(map_flags, BPF_F_MMAPABLE); \
		__uint(max_entries, 1);            \
		__type(key, __u32);                \
		__type(value, struct hist_slot);   \
	} name##_slots SEC(".maps");               \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_HASH);   \
		__uint(max_entries, 1);            \
		__type(key, __u64);                \
		__type(value, __u32);              \
	} name##_owners SEC(".maps");              \
	struct {                                   \
		__uint(type, BPF_MAP_TYPE_STACK);  \
		__uint(max_entries, 1);            \
		__uint(key_size, 0);               \
		__uint(value_size, 4);             \
	} name##_free SEC(".maps")

/* Finds or takes the slot of a process: its number, or SLOT_NONE when the pool is empty. The slow path. */
static __noinline __u32 slot_take(void *slots, void *owners, void *free, __u64 key)
{
	__u32 *known = bpf_map_lookup_elem(owners, &key), number;
	struct hist_slot *slot;

	if (known)
		return *known;
	if (bpf_map_pop_elem(free, &number))
		return SLOT_NONE;
	slot = bpf_map_lookup_elem(slots, &number);
	if (!slot)
		return SLOT_NONE;
	slot->owner = key;
	if (bpf_map_update_elem(owners, &key, &number, BPF_NOEXIST) == 0)
		return number;
	/* Another CPU was faster (or the hash is full): give ours back and use theirs. */
	slot->owner = 0;
	bpf_map_push_elem(free, &number, BPF_ANY);
	known = bpf_map_lookup_elem(owners, &key);
	return known ? *known : SLOT_NONE;
}

static __always_inline void slot_count(struct hist_slot *slot, __u64 value)
{
	__sync_fetch_and_add(&slot->bins[bin_of(value, BINS_SHORT_COUNT)], 1);
	__sync_fetch_and_add(&slot->sum, value);
	__sync_fetch_and_add(&slot->count, 1);
}

#endif
