// SPDX-License-Identifier: BSD-2-Clause
#include "probe/tcp_schedule.h"

#include "base/clock.h"
#include "base/macros.h"

#define FIRST_DELAY NSEC_PER_SEC
#define LONGEST_DELAY (64 * NSEC_PER_SEC)

bool tcp_schedule_due(struct tcp_schedule *s, uint64_t now, uint64_t unnamed)
{
	/* Some of those that were not found may have ended: what comes instead of them is new. */
	s->left = MIN(s->left, unnamed);
	if (!unnamed || now < s->allowed)
		return false;
	return unnamed > s->left || now >= s->retry;
}

void tcp_schedule_done(struct tcp_schedule *s, uint64_t now, uint64_t cost, uint64_t unnamed)
{
	s->allowed = now + TCP_WALK_REST * cost;
	s->left = unnamed;
	if (!unnamed)
		s->delay = 0;
	else
		s->delay = s->delay ? MIN(s->delay * 2, LONGEST_DELAY) : FIRST_DELAY;
	s->retry = now + s->delay;
}
