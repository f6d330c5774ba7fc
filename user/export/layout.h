/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * layout.h - how the dotted names of a scope nest, worked out once from the table of metric/.
 *
 * "memory.pressure.some_pct" is the member some_pct of the object pressure in the object memory. A layout is the list of
 * steps that writes, reads or describes such an object in one pass: open an object, a member, close it. Members of one group
 * come together even if their rows in the table do not. The JSON writer, replay and the JSON Schema all walk the same layouts.
 */
#ifndef MBTRACE_EXPORT_LAYOUT_H
#define MBTRACE_EXPORT_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>

#include "metric/table.h"

#define LAYOUT_KEY_LEN 32 /* the longest part of a name, NUL included */
#define LAYOUT_MAX_DEPTH 4 /* objects in a row's object: "memory.pressure.some_pct" has two */

enum layout_kind { LAYOUT_OPEN, LAYOUT_CLOSE, LAYOUT_MEMBER };

struct layout_step {
	enum layout_kind kind;
	const struct metric *metric; /* of LAYOUT_MEMBER */
	char key[LAYOUT_KEY_LEN]; /* empty for LAYOUT_CLOSE */
};

struct layout {
	struct layout_step *steps[SCOPE_COUNT];
	size_t n_steps[SCOPE_COUNT];
};

/* Lays out every scope, with the optional members or without. 0 or -ENOMEM; release accepts a zeroed one. */
int layout_init(struct layout *l, bool optional);
void layout_release(struct layout *l);

#endif
