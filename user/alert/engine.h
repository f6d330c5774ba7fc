/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - rules held against one sample after another: who is pending, firing, resolved.
 *
 * An *alert* is one rule for one row: for one process (a pid with its start time: a reused pid is another), one device, one
 * interface, or the system. An *episode* goes from the condition's first holding to its end.
 *
 *	             holds                 for DURATION              no longer holds, or `clear` holds
 *	(inactive) ---------> pending ----------------> firing ---------------------> resolved, (inactive)
 *	    ^                    |                        |  ^
 *	    '--------------------'              no data   v  |  data again, not cleared
 *	       stops holding: silent                     nodata ---> resolved, when the data says so or the row ends
 *
 * Each arrow into a named state calls `report` once. `for` counts the time between samples, on the samples' own clock:
 * the condition holds in the first sample and in every one until one that is at least DURATION later (less a
 * tenth of an interval, for samples come a little early or late). Without `for` pending is passed
 * over. Nothing is reported when a pending alert ends.
 *
 * What a missing value means:
 * - null ("could not be measured") never fires; a firing alert becomes nodata. A rule about one thing (system, trust, self) that
 *   meets null is reported as nodata even if it never fired, once, since it watches nothing.
 * - a distribution in which nothing happened has no percentiles, and nothing that was slow: the condition does not hold,
 *   and an alert is cleared.
 * - a process that is not in the sample, or an idle row, did nothing: counters and shares are 0, what is not counted (resident
 *   memory, threads) is as before. It can end or keep up an episode, never begin one. Where a sample hides rows (trust.rows_hidden,
 *   a file written with --top) an absent process is unknown instead: no data.
 *
 * Why an alert resolves, or fires again, is its record's reason: "cleared", "process ended" (its last row says exited, its pid has
 * another start time, or `alive` says so), "no longer matches" (it is there, but a filter does not choose it any more: exec
 * gave it another name), "device gone", "interface gone", "end of run" (engine_finish()), and "data again" for firing after nodata.
 *
 * An engine borrows the rules; they must not change while it lives. Not thread-safe. Memory is bounded by ENGINE_ALERTS_MAX alerts; what
 * would be more is counted (engine_stats.overflow) and begins when there is room, if it still holds.
 *
 *	engine_new(&rules, &(struct engine_options){ .report = show, .context = sinks }, &engine);
 *	engine_evaluate(engine, snapshot);	each interval
 *	engine_finish(engine);			at the end
 */
#ifndef MBTRACE_ALERT_ENGINE_H
#define MBTRACE_ALERT_ENGINE_H

#include "alert/rule_set.h"
#include "metric/record.h"

#define ENGINE_ALERTS_MAX 4096 /* pending, firing or without data at once: about 1 MiB */

struct engine;

struct engine_options {
	/* Called for each change; the record and its texts are valid during the call only. */
	void (*report)(const struct record_alert *alert, void *context);
	/* Whether a process that is absent from the sample still exists; NULL: it does until a sample says otherwise. */
	bool (*alive)(uint64_t pid, uint64_t start_ns, void *context);
	void *context;
};

struct engine_stats {
	uint64_t fired; /* episodes that fired */
	uint64_t overflow; /* conditions that held and found no room */
	size_t pending, firing, nodata; /* now */
};

/* 0 or -ENOMEM. engine_free() accepts NULL. */
int engine_new(const struct rule_set *rules, const struct engine_options *options,
	       struct engine **ret_engine);
void engine_free(struct engine *engine);

/* Holds every rule against the sample; 0, or -ENOMEM (then some rules may not have been). */
int engine_evaluate(struct engine *engine, const struct snapshot *s);

/* The run is over: what fires (or fired, and has no data) is reported as resolved, "end of run", at the last sample's time. */
void engine_finish(struct engine *engine);

struct engine_stats engine_stats(const struct engine *engine);
size_t engine_bytes(const struct engine *engine);

#endif
