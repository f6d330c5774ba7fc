/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_schedule.h - when to walk over all open files of the machine to learn who owns which connection.
 *
 * The walk costs with the number of open files, whatever it finds. So it is made only when there are connections without a sure
 * owner, and after one that took t of CPU time not again for 300 t: at most a third of a percent of one CPU. Connections
 * that a walk did not find an owner for (nobody has accepted them yet) do not ask for one at once again, but after 1, 2, 4
 * … 64 seconds. Pure arithmetic; times in ns of one clock.
 */
#ifndef MBTRACE_PROBE_TCP_SCHEDULE_H
#define MBTRACE_PROBE_TCP_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define TCP_WALK_REST 300 /* times its cost */

struct tcp_schedule {
	uint64_t allowed; /* not before */
	uint64_t retry; /* when those that were not found are looked for again */
	uint64_t delay; /* the last wait for that; 0: none was left over */
	uint64_t left; /* how many were not found */
};

/* Whether to walk now, when `unnamed` connections have no sure owner. */
bool tcp_schedule_due(struct tcp_schedule *s, uint64_t now, uint64_t unnamed);
/* Notes a walk that ended at `now`, took `cost` of CPU time and left `unnamed`. */
void tcp_schedule_done(struct tcp_schedule *s, uint64_t now, uint64_t cost, uint64_t unnamed);

#endif
