// SPDX-License-Identifier: BSD-2-Clause
#include "agent/emit.h"

#include <string.h>

#include "base/macros.h"
#include "tui/table.h"

static const struct sink_ops *const formats[] = { &table_sink, &json_sink, &csv_sink,
						  &openmetrics_sink };

const struct sink_ops *emit_format(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++)
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	return NULL;
}

int emit_open(struct emit *e, const char *format, const char *path, const struct sink_options *options)
{
	int err;

	*e = (struct emit){ .output = OUTPUT_INIT, .ops = emit_format(format) };
	e->whole = snapshot_new();
	if (!e->whole)
		return -ENOMEM;
	err = output_open(&e->output, path);
	if (!err)
		err = e->ops->open(options, &e->output, &e->sink);
	return err;
}

int emit_header(struct emit *e, const struct record_header *header)
{
	return e->err ?: (e->err = e->ops->header(e->sink, header));
}

/* CPU time of a row that may go, or UINT64_MAX for one that must stay. */
static uint64_t dispensable(const struct process_metrics *p)
{
	return p->state && strcmp(p->state, "exited") == 0 && p->cpu_ns != METRIC_NULL ? p->cpu_ns :
											 UINT64_MAX;
}

/* Compares for the qsort that puts rows to keep first. */
static int by_need(const void *a, const void *b)
{
	uint64_t x = dispensable(a), y = dispensable(b);

	return (x < y) - (x > y);
}

/* Keeps the summary bounded however many processes come and go: half of the room is made at once. */
static void bound_summary(struct emit *e)
{
	struct snapshot *w = e->whole;
	size_t keep = EMIT_SUMMARY_MAX / 2;

	if (w->n_processes <= EMIT_SUMMARY_MAX)
		return;
	qsort(w->processes, w->n_processes, sizeof(*w->processes), by_need);
	while (keep < w->n_processes && dispensable(&w->processes[keep]) == UINT64_MAX)
		keep++;
	e->rows_dropped += w->n_processes - keep;
	snapshot_truncate_processes(w, keep);
}

int emit_sample(struct emit *e, const struct snapshot *snapshot)
{
	if (e->err)
		return e->err;
	e->err = e->ops->sample(e->sink, snapshot);
	if (!e->err)
		e->err = snapshot_merge(e->whole, snapshot);
	e->samples++;
	bound_summary(e);
	return e->err;
}

int emit_alert(struct emit *e, const struct record_alert *alert)
{
	return e->err ?: (e->err = e->ops->alert(e->sink, alert));
}

int emit_summary(struct emit *e, const struct record_summary *summary)
{
	e->summarized = true;
	return e->err ?: (e->err = e->ops->summary(e->sink, summary));
}

int emit_finish(struct emit *e, uint64_t alerts_fired)
{
	struct record_summary summary = { .samples = e->samples,
					  .elapsed_ns = e->whole->elapsed_ns,
					  .alerts_fired = alerts_fired,
					  .whole = e->whole };
	int err;

	e->whole->trust.rows_hidden += e->rows_dropped;
	if (!e->summarized)
		emit_summary(e, &summary);
	/* What was written so far is whole lines: it is kept even if the disk is full now. */
	err = output_commit(&e->output);
	if (!e->err)
		e->err = err;
	return e->err;
}

void emit_close(struct emit *e)
{
	if (e->sink)
		e->ops->close(e->sink);
	e->sink = NULL;
	output_release(&e->output);
	snapshot_free(e->whole);
	e->whole = NULL;
}
