/* SPDX-License-Identifier: BSD-2-Clause */
/* self.h - what the agent itself costs: CPU, BPF run time, memory. */
#ifndef MBTRACE_AGENT_SELF_H
#define MBTRACE_AGENT_SELF_H

#include "agent/sources.h"

struct self {
	uint64_t cpu_before, bpf_before;
	int statm_fd, stats_fd; /* /proc/self/statm, kernel.bpf_stats_enabled; -1: not to be had */
	bool stats_before; /* BPF run times were counted at the last look */
	struct buf text;
	uint64_t map_bytes;
	uint64_t map_age; /* looks since the maps were last added up */
};

#define SELF_INIT ((struct self){ .statm_fd = -1, .stats_fd = -1 })

/* Starts counting from now. */
void self_init(struct self *self, const struct sources *sources);
/* Sources were opened or closed: their BPF time counts from now. */
void self_rebase(struct self *self, const struct sources *sources);
/* What was spent since the last look. */
void self_measure(struct self *self, const struct sources *sources, struct self_metrics *ret);
void self_release(struct self *self);

#endif
