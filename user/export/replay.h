/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * replay.h - reads JSON Lines that `monitor` wrote, record by record, in the order of the file.
 *
 * What is read is what was written: a sample replayed through the JSON sink with the same options gives the same line. Members are
 * found by walking the table of metric/; those that this version does not know are ignored, those that the file
 * lacks are "not measured". Everything else that is not as the interface says (a wrong type, a number out of range, a line
 * that was cut off, a line longer than REPLAY_MAX_LINE) is refused with the number of the line and what is wrong with it.
 *
 * Distributions keep the percentiles that were written (see "summarized" in metric/histogram.h), and their bins if the
 * file has them. Whole numbers above 2^63-1 are refused: nothing measured reaches them.
 *
 *	struct replay *r;
 *	struct replay_record record;
 *	int err = replay_open("run.jsonl", &r);
 *	while (!err && (err = replay_next(r, &record)) == 0 && record.kind != REPLAY_END)
 *		...
 *	if (err == -EBADMSG) puts(replay_error(r));	run.jsonl:17: processes[3].cpu_ns is not a whole number
 *	replay_close(r);
 */
#ifndef MBTRACE_EXPORT_REPLAY_H
#define MBTRACE_EXPORT_REPLAY_H

#include <stdint.h>

#include "metric/record.h"
#include "metric/snapshot.h"

/* A sample of 20,000 processes with histograms is about 40 MB; what is longer was not written by monitor. */
#define REPLAY_MAX_LINE (64u << 20)

enum replay_kind { REPLAY_END, REPLAY_HEADER, REPLAY_SAMPLE, REPLAY_ALERT, REPLAY_SUMMARY };

/* The pointer of its kind is set, the others are NULL. They, and the texts in them, are valid until the next call. */
struct replay_record {
	enum replay_kind kind;
	const struct record_header *header;
	struct snapshot *sample; /* also the summary's `whole`; the caller may drop rows */
	const struct record_alert *alert;
	const struct record_summary *summary;
};

struct replay;

/* "-" is standard input. 0 or -errno. */
int replay_open(const char *path, struct replay **ret_replay);
/* 0 (REPLAY_END at the end of the file), -EBADMSG with replay_error(), or -errno of reading. After an error only close. */
int replay_next(struct replay *r, struct replay_record *ret_record);
/* What was wrong: "FILE:LINE: why". Empty if nothing was. */
const char *replay_error(const struct replay *r);
void replay_close(struct replay *r); /* accepts NULL */

#endif
