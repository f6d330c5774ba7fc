/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rows.h - which processes of a snapshot a format shows, and in what order.
 *
 * Rows are sorted by any member of a process, the largest first (names and pids: ascending); what is not known comes last,
 * and equal rows stay as they are. Rows beyond `top` are hidden, and whoever shows the rest says so in trust.rows_hidden.
 */
#ifndef MBTRACE_EXPORT_ROWS_H
#define MBTRACE_EXPORT_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metric/table.h"

struct rows_key {
	const struct metric *metric;
	enum dist_part part;
};

/*
 * Reads "cpu_pct", "runq.p99", "comm", or a short word for one of them ("cpu"); of a distribution alone the p99 is meant.
 * -EINVAL if there is no such member.
 */
int rows_key_parse(const char *text, struct rows_key *ret_key);
/* The i-th text that rows_key_parse() accepts, or NULL past the end: for near matches and help. The context is unused. */
const char *rows_key_name(const void *context, size_t i);

struct rows {
	const struct process_metrics **shown; /* and behind them the hidden ones; valid until the next rows_select() or a change of the snapshot */
	size_t n_shown;
	size_t n_hidden;
	size_t cap;
};

/* Selects from the snapshot's processes; idle ones only if asked for. top 0: all. 0 or -ENOMEM. */
int rows_select(struct rows *r, const struct snapshot *s, const struct rows_key *key, uint64_t top,
		bool idle);
void rows_release(struct rows *r);

#endif
