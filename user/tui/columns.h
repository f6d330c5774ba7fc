/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * columns.h - the columns of the process table: which fit, and what stands in them.
 *
 * Where a process's time goes is shown twice. The columns CPU%, RUNQ%, DISK% and KERN% are its threads' times on a CPU, waiting
 * for one, waiting for I/O, and blocked in the kernel otherwise, as shares of the interval: 100 is one thread all the time.
 * The bar has a letter for each (C R D K, and . asleep): its length is the interval or, if the threads together spent
 * longer than that not asleep, all of that time. WAITS FOR names the wait that takes a quarter or more of the time
 * not asleep; "nothing" is a process that runs.
 */
#ifndef MBTRACE_TUI_COLUMNS_H
#define MBTRACE_TUI_COLUMNS_H

#include "export/view.h"
#include "tui/screen.h"

#define COLUMNS_MAX 32

/* Columns by number in the table of columns.c, in the order they are shown. */
struct columns {
	unsigned int shown[COLUMNS_MAX], width[COLUMNS_MAX];
	size_t n;
	struct rows_key key; /* a column that stands for the sort key only, if no other does */
	bool key_column;
};

/* Chooses the columns that fit a width. The one that rows are sorted by is always among them. */
void columns_choose(struct columns *c, const struct rows_key *sort, bool optional,
		    unsigned int width);

void columns_title(const struct columns *c, struct screen *out, const struct rows_key *sort);
void columns_row(const struct columns *c, struct screen *out, struct view *v,
		 const struct process_metrics *p, uint64_t interval_ns);

/* Where the time of a process went within an interval: the word of WAITS FOR. */
const char *columns_waits_for(const struct process_metrics *p, uint64_t interval_ns);

#endif
