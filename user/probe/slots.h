/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slots.h - user space's side of a pool of per-process histograms (bpf/common/slots.h).
 *
 * Sizes are set before load with slots_size(); after load slots_open() maps the array and fills the stack of free slots.
 * Once an interval slots_read() gives each slot's growth since the last read, and takes slots back from owners
 * that did nothing for SLOTS_IDLE_READS reads; such a slot rests one read before it is free, so that a late
 * count of its old owner on another CPU cannot reach the next one.
 */
#ifndef MBTRACE_PROBE_SLOTS_H
#define MBTRACE_PROBE_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/common/slots.h"
#include "metric/histogram.h"

struct bpf_map;

#define SLOTS_IDLE_READS 4

struct slots_memory; /* what each slot held at the last read */

struct slots {
	struct hist_slot *slots; /* mapped, shared with the programs */
	struct slots_memory *memory;
	uint32_t n;
	int owners_fd, free_fd;
};

/* Before load: `n` slots for a pool's three maps. 0 or -errno. */
int slots_size(struct bpf_map *slots, struct bpf_map *owners, struct bpf_map *free, uint32_t n);
/* After load. 0 or -errno; slots_close() accepts a half-opened or zeroed pool. */
int slots_open(struct slots *s, const struct bpf_map *slots, const struct bpf_map *owners,
	       const struct bpf_map *free);
void slots_close(struct slots *s);

/* Calls `each` for every slot that grew, with its owner and the growth (valid during the call, known, sum exact). */
void slots_read(struct slots *s,
		void (*each)(uint64_t owner, const struct dist *growth, void *context),
		void *context);
size_t slots_bytes(const struct slots *s);

#endif
