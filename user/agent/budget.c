// SPDX-License-Identifier: BSD-2-Clause
#include "agent/budget.h"

#include "base/macros.h"

void budget_init(struct budget *b, double max_pct, uint64_t max_bytes)
{
	*b = (struct budget){ .max_pct = max_pct, .max_bytes = max_bytes, .calm_needed = BUDGET_CALM };
}

enum budget_verdict budget_judge(struct budget *b, uint64_t cost_ns, uint64_t interval_ns,
				 unsigned int cpus, uint64_t bytes)
{
	bool over_memory = b->max_bytes && bytes > b->max_bytes, over_cpu;

	b->pct = interval_ns && cpus ? 100.0 * cost_ns / interval_ns / cpus : 0;
	over_cpu = b->max_pct > 0 && b->pct > b->max_pct;
	if (over_cpu || over_memory) {
		b->calm = 0;
		if (++b->over < BUDGET_OVER)
			return BUDGET_KEEP;
		b->over = 0;
		return BUDGET_SHED;
	}
	b->over = 0;
	if (!b->n_shed)
		return BUDGET_KEEP;
	if (b->max_pct > 0 && b->pct > b->max_pct * BUDGET_ROOM) {
		b->calm -= MIN(b->calm, BUDGET_SETBACK);
		return BUDGET_KEEP;
	}
	if (++b->calm < b->calm_needed)
		return BUDGET_KEEP;
	b->calm = 0;
	return BUDGET_RESTORE;
}

void budget_shed(struct budget *b)
{
	b->n_shed++;
	b->calm = 0;
	/* Whoever is shed again and again is tried less and less often. */
	b->calm_needed = MIN(b->calm_needed * 2, BUDGET_CALM_MAX);
}

void budget_restored(struct budget *b)
{
	if (b->n_shed)
		b->n_shed--;
}
