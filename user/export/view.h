/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view.h - what every sink does with a snapshot before it renders it: choose the rows, count the hidden ones, hide names.
 */
#ifndef MBTRACE_EXPORT_VIEW_H
#define MBTRACE_EXPORT_VIEW_H

#include "export/redact.h"
#include "export/rows.h"
#include "export/sink.h"

struct view {
	struct sink_options options; /* `sort` is not kept: see key */
	struct rows_key key;
	struct redact *redact; /* NULL: names are shown */
	/* After view_select(): */
	struct rows rows;
	struct trust_metrics trust; /* the snapshot's, with the rows hidden here */
};

/* 0, -EINVAL (no such sort key) or -ENOMEM. */
int view_init(struct view *v, const struct sink_options *options, const char *default_sort);
void view_release(struct view *v);

/* Chooses the processes to show; idle ones too for a `whole` run. 0 or -ENOMEM. */
int view_select(struct view *v, const struct snapshot *s, bool whole);

/* A text member as it may be shown; NULL when it is not known. */
const char *view_text(struct view *v, const struct metric *m, const void *row);
/* A name that is no member of a row: `kind` as in redact.h. */
const char *view_name(struct view *v, const char *kind, const char *text);
/* A rule or a metric's path as it may be shown: `path` itself, or made in `scratch`, which is emptied before. */
const char *view_path(struct view *v, const char *path, struct buf *scratch);

#endif
