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
	uint64_t private_bytes; /* resident memory but for files' and that of mapped maps, which map_bytes has */
	uint64_t map_age; /* looks since the maps were last added up */
	int trial_fd; /* BPF run times are counted for the first interval while this is open */
	uint64_t trial_before; /* BPF time when it began */
	double bpf_ns_per_event; /* what that interval showed; 0: not known */
};

#define SELF_INIT ((struct self){ .statm_fd = -1, .stats_fd = -1, .trial_fd = -1 })

/* Starts counting from now. */
void self_init(struct self *self, const struct sources *sources);
/* Sources were opened or closed: their BPF time counts from now. */
void self_rebase(struct self *self, const struct sources *sources);
/* What was spent since the last look. */
void self_measure(struct self *self, const struct sources *sources, struct self_metrics *ret);
/*
 * CPU time of the agent and of its programs in an interval with so many kernel events. Where the kernel does not count run times
 * all the time, the programs' is reckoned from what an event cost in the first interval, in which they were counted.
 */
uint64_t self_cost_ns(struct self *self, const struct sources *sources,
		      const struct self_metrics *m, uint64_t events);
void self_release(struct self *self);

#endif
