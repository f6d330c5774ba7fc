/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * emit.h - the output of a run: one sink, the whole run's sums for the summary, and what becomes of write errors.
 *
 * After an error of the output every call returns it and does nothing. -EPIPE means that the reader has gone away: the run
 * ends quietly.
 */
#ifndef MBTRACE_AGENT_EMIT_H
#define MBTRACE_AGENT_EMIT_H

#include "export/sink.h"

/* Processes that the summary names at most: beyond that the ended ones that used the least CPU go (and are counted). */
#define EMIT_SUMMARY_MAX 4096

struct emit {
	struct output output;
	const struct sink_ops *ops;
	struct sink *sink;
	struct snapshot *whole;
	uint64_t samples, rows_dropped;
	bool summarized; /* a summary was written */
	int err; /* the first error of the output */
};

/* The sink of a --format, or NULL. */
const struct sink_ops *emit_format(const char *name);
/* 0 or -errno; emit_close() accepts a half-opened or zeroed one. */
int emit_open(struct emit *e, const char *format, const char *path,
	      const struct sink_options *options);
int emit_header(struct emit *e, const struct record_header *header);
int emit_sample(struct emit *e, const struct snapshot *snapshot);
int emit_alert(struct emit *e, const struct record_alert *alert);
/* Writes a summary that is known already (of a replayed run) in the place of one made from the samples. */
int emit_summary(struct emit *e, const struct record_summary *summary);
/* Writes the summary, unless there was one, and puts the output in its place. */
int emit_finish(struct emit *e, uint64_t alerts_fired);
void emit_close(struct emit *e);

#endif
