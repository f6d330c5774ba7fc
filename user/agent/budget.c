// SPDX-License-Identifier: BSD-2-Clause
#include "agent/budget.h"

#include "base/macros.h"

void budget_init(struct budget *b, double max_pct, uint64_t max_bytes)
{
	*b = (struct budget){ .max_pct = max_pct,
			      .max_bytes = max_bytes,
			      .calm_needed_ns = BUDGET_CALM_NS };
}

/* One more interval over the limit: whether that is enough. */
static bool over_for_long(struct budget *b, uint64_t interval_ns)
{
	b->calm_ns = 0;
	b->over++;
	b->over_ns += interval_ns;
	if (b->over < BUDGET_OVER || b->over_ns < BUDGET_OVER_NS)
		return false;
	b->over = 0;
	b->over_ns = 0;
	return true;
}

/* One more interval within it: whether there has been room for long enough. */
static bool calm_for_long(struct budget *b, uint64_t interval_ns)
{
	if (b->max_pct > 0 && b->pct > b->max_pct * BUDGET_ROOM) {
		b->calm_ns -= MIN(b->calm_ns, BUDGET_SETBACK * interval_ns);
		return false;
	}
	b->calm_ns += interval_ns;
	if (b->calm_ns < b->calm_needed_ns)
		return false;
	b->calm_ns = 0;
	return true;
}

enum budget_verdict budget_judge(struct budget *b, uint64_t cost_ns, uint64_t interval_ns,
				 unsigned int cpus, uint64_t bytes)
{
	b->trial_ns -= MIN(b->trial_ns, interval_ns);
	b->pct = interval_ns && cpus ? 100.0 * cost_ns / interval_ns / cpus : 0;
	if ((b->max_pct > 0 && b->pct > b->max_pct) || (b->max_bytes && bytes > b->max_bytes))
		return over_for_long(b, interval_ns) ? BUDGET_SHED : BUDGET_KEEP;
	b->over = 0;
	b->over_ns = 0;
	return b->n_shed && calm_for_long(b, interval_ns) ? BUDGET_RESTORE : BUDGET_KEEP;
}

void budget_shed(struct budget *b)
{
	b->n_shed++;
	b->calm_ns = 0;
	/* It came back too early: whoever is shed again and again is tried less and less often. */
	if (b->trial_ns)
		b->calm_needed_ns = MIN(b->calm_needed_ns * 2, BUDGET_CALM_MAX_NS);
	b->trial_ns = 0;
}

void budget_restored(struct budget *b)
{
	if (b->n_shed)
		b->n_shed--;
	b->trial_ns = 2 * b->calm_needed_ns;
}
