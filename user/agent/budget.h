/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * budget.h - what the agent may cost, and when a source has to go or may come back. Pure: decisions only.
 *
 * The cost of an interval is the agent's CPU time plus that of its BPF programs, as a share of all CPUs, and its resident
 * memory plus its maps. Over the limit in BUDGET_OVER successive intervals: shed. Below BUDGET_ROOM of it in so many
 * intervals, a number that doubles with each shedding: restore. One without room sets the count back a little.
 */
#ifndef MBTRACE_AGENT_BUDGET_H
#define MBTRACE_AGENT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_OVER 5
#define BUDGET_ROOM 0.7
#define BUDGET_CALM \
	5 /* intervals of room before the first restore; doubles with each shedding, up to… */
#define BUDGET_CALM_MAX 640
#define BUDGET_SETBACK 4 /* calm intervals that one without room takes back */

enum budget_verdict { BUDGET_KEEP, BUDGET_SHED, BUDGET_RESTORE };

struct budget {
	double max_pct;
	uint64_t max_bytes;
	unsigned int over, calm, calm_needed;
	unsigned int n_shed;
	double pct; /* of the last interval */
};

void budget_init(struct budget *b, double max_pct, uint64_t max_bytes);
/* One interval: `cost_ns` of CPU time in `interval_ns` on `cpus` CPUs, `bytes` of memory. */
enum budget_verdict budget_judge(struct budget *b, uint64_t cost_ns, uint64_t interval_ns,
				 unsigned int cpus, uint64_t bytes);
/* The verdict was carried out. */
void budget_shed(struct budget *b);
void budget_restored(struct budget *b);

#endif
