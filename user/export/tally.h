/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tally.h - totals since start of every row of a run: what OpenMetrics calls counters.
 *
 * A snapshot counts within its interval; each row of it is added to the row of the same process, device or interface here.
 * Totals of a process go with its last interval (state "exited"), those of any row that is no longer seen after
 * TALLY_KEEP snapshots: an idle process may be missing for a while in a replayed file.
 */
#ifndef MBTRACE_EXPORT_TALLY_H
#define MBTRACE_EXPORT_TALLY_H

#include <stdint.h>

#include "base/map.h"
#include "metric/table.h"

#define TALLY_KEEP 300

struct tally {
	struct map rows; /* of struct tally_row, by a hash of their key */
	uint64_t now; /* snapshots so far */
};

/* Counts the next snapshot: before its rows are added. */
void tally_advance(struct tally *t);
/* Adds a row, and returns its totals, valid until the next advance; NULL without memory. Gauges in it are the last known. */
const void *tally_add(struct tally *t, enum metric_scope scope, const void *row);
void tally_release(struct tally *t);

#endif
