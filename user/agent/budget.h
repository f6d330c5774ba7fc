/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * budget.h - what the agent may cost, and when a source has to go or may come back. Pure: decisions only.
 *
 * The cost of an interval is the agent's CPU time plus that of its BPF programs, as a share of all CPUs, and its resident
 * memory plus its maps. Over the limit in BUDGET_OVER successive intervals and for BUDGET_OVER_NS: shed. Below BUDGET_ROOM of
 * it for a time: restore. That time doubles each time a source that came back has to go again soon. An interval without room
 * sets it back a little.
 */
#ifndef MBTRACE_AGENT_BUDGET_H
#define MBTRACE_AGENT_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#define BUDGET_OVER 3
#define BUDGET_OVER_NS 3000000000ull /* a burst is borne, however short the intervals */
#define BUDGET_ROOM 0.7
#define BUDGET_CALM_NS \
	5000000000ull /* room for so long before a restore; doubles when that was too early, up to… */
#define BUDGET_CALM_MAX_NS 640000000000ull
#define BUDGET_SETBACK 4 /* times its own length that an interval without room takes back */

enum budget_verdict { BUDGET_KEEP, BUDGET_SHED, BUDGET_RESTORE };

struct budget {
	double max_pct;
	uint64_t max_bytes;
	unsigned int over;
	uint64_t over_ns, calm_ns, calm_needed_ns;
	unsigned int n_shed;
	uint64_t trial_ns; /* what is left of the time in which a source that came back is on trial */
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
