/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * slots.h - a pool of per-process histograms, shared by BPF programs and user space.
 *
 * A process gets a slot at its first event; user space takes slots back from processes that went idle or ended. A slot is in
 * the mmap'ed array `NAME_slots`, found by process key in the hash `NAME_owners`, and free ones are in the stack `NAME_free`.
 * A program remembers its slot number and checks `owner` at each use, so that a slot taken back is noticed.
 */
#ifndef MBTRACE_BPF_SLOTS_H
#define MBTRACE_BPF_SLOTS_H

#include "metric/bins.h"

struct hist_slot {
	unsigned long long owner; /* process_key(), 0 when free */
	unsigned long long sum; /* of all values, ns */
	unsigned int count; /* of all values: cheap proof of activity */
	unsigned int unused;
	unsigned int bins[BINS_SHORT_COUNT];
};

_Static_assert(sizeof(struct hist_slot) == 24 + 4 * BINS_SHORT_COUNT, "wire format");

/*
 * One number for a process, never reused within 50 days: the pid and the microsecond it started (boot clock).
 * Never 0 for a real process.
 */
static inline __attribute__((always_inline)) unsigned long long
process_key(unsigned int tgid, unsigned long long start_boottime)
{
	return ((unsigned long long)tgid << 42) | ((start_boottime >> 10) & ((1ull << 42) - 1));
}

#endif
