/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * members.h - reads JSON objects into rows of a snapshot, walking the table of metric/: one half of replay.
 *
 * What the file lacks or has as null stays "not measured"; a member that is never null in a healthy run must be there. Members that
 * the table does not know are ignored. Everything else that does not fit is refused: -EBADMSG, with `error` saying
 * which member of which row, and what it should be.
 */
#ifndef MBTRACE_EXPORT_MEMBERS_H
#define MBTRACE_EXPORT_MEMBERS_H

#include <jansson.h>
#include <stdint.h>

#include "base/macros.h"
#include "export/layout.h"
#include "metric/table.h"

struct members {
	const struct layout *layout; /* with the optional members */
	struct snapshot *snapshot; /* that is filled: owner of texts and rows */
	size_t row; /* number of the row being read, for messages */
	char error[160];
};

/* Each returns 0, -EBADMSG with `error` set, or -ENOMEM. */

/* Reads the object's members into a row of the scope. NULL is refused. */
int members_read(struct members *m, const json_t *object, enum metric_scope scope, void *row);
/* Reads a list of a scope's rows into the snapshot. NULL is refused. */
int members_read_rows(struct members *m, const json_t *list, enum metric_scope scope);

/* Sets `error` and returns -EBADMSG. */
int members_fail(struct members *m, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Plain values: `where` names them in messages. */
int members_u64(struct members *m, const char *where, const json_t *value, uint64_t *ret_value);
int members_time(struct members *m, const char *where, const json_t *value,
		 uint64_t *ret_realtime_ns);
int members_text(struct members *m, const char *where, const json_t *value,
		 const char **ret_text); /* null: NULL */
int members_double(struct members *m, const char *where, const json_t *value,
		   double *ret_value); /* null: NAN */

#endif
