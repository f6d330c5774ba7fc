/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nearest.h - near matches for what a rule names and the table of metrics does not have.
 *
 * Each writes "; did you mean A, B or C?" to text (`size` bytes), or nothing when nothing is near, and returns it.
 */
#ifndef MBTRACE_ALERT_NEAREST_H
#define MBTRACE_ALERT_NEAREST_H

#include "metric/table.h"

/* Among all paths that a rule may name. */
const char *nearest_metrics(const char *path, char *text, size_t size);
/* Among the members of one scope that a filter may name; `name` has `len` bytes. */
const char *nearest_members(enum metric_scope scope, const char *name, size_t len, char *text,
			    size_t size);

#endif
