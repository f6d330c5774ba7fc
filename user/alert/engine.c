// SPDX-License-Identifier: BSD-2-Clause
#include "alert/engine.h"

#include <math.h>
#include <string.h>

#include "alert/alert_set.h"
#include "alert/culprit.h"
#include "base/macros.h"

/*
 * DESIGN. An interval is two passes. The first walks rules × rows, and steps the alert of each row (making one where a
 * condition holds); it marks what it met with the sample's number. The second walks the alerts that were not met and
 * decides what their absence means. A rule without alerts makes no look-up at all, which is the normal case: a
 * row that is fine costs a comparison.
 *
 * The engine's clock adds up what lies between samples, so that neither a step of the wall clock nor several runs in
 * one replayed file make `for` fire early: a sample that is older than the one before begins all pendings anew.
 */
#define SLACK_SHARE \
	10 /* a tenth of an interval: samples come a little early or late, and must not cost one more */

enum reading {
	READ_VALUE,
	READ_EMPTY, /* a figure of a distribution in which nothing happened */
	READ_NULL, /* could not be measured */
};

/* What a sample says of a rule's metric for one row. */
struct observation {
	enum reading reading;
	double value;
};

static const struct observation nothing = { READ_NULL, NAN };

struct engine {
	const struct rule_set *rules;
	struct engine_options options;
	struct alert_set alerts;
	uint64_t number; /* of samples */
	uint64_t now; /* the engine's clock */
	uint64_t elapsed_ns, time_ns; /* of the last sample */
	struct map pids; /* of the present sample; filled when first asked */
	bool pids_filled;
	uint64_t fired, overflow;
};

int engine_new(const struct rule_set *rules, const struct engine_options *options,
	       struct engine **ret_engine)
{
	struct engine *engine = calloc(1, sizeof(*engine));

	if (!engine || alert_set_init(&engine->alerts, rules, ENGINE_ALERTS_MAX)) {
		free(engine);
		return -ENOMEM;
	}
	engine->rules = rules;
	engine->options = *options;
	*ret_engine = engine;
	return 0;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	alert_set_release(&engine->alerts);
	map_release(&engine->pids);
	free(engine);
}

/* --- states --- */

/* Reports the alert's state as it now is; `s` is NULL where there is no sample to look for culprits in. */
static void report(const struct engine *engine, const struct alert *alert,
		   const struct observation *seen, const struct snapshot *s, const char *reason)
{
	enum metric_scope scope = alert->rule->metric->scope;
	bool is_process = scope == SCOPE_PROCESS;
	struct record_alert record = {
		.time_ns = engine->time_ns,
		.rule = rule_label(alert->rule),
		.state = alert->state,
		.metric = alert->rule->path,
		.value = seen->reading == READ_VALUE ? seen->value : NAN,
		.threshold = alert->rule->fire.value,
		.since_ns = alert->since_ns,
		.has_process = is_process,
		.pid = alert->pid,
		.comm = is_process && *alert->key ? alert->key : NULL,
		.row = !is_process && metric_scopes[scope].key ? alert->key : NULL,
		.reason = reason,
	};

	if (s && alert->state == ALERT_FIRING)
		record.n_culprits = culprits_find(alert->rule, s, record.culprits);
	engine->options.report(&record, engine->options.context);
}

/* The end: told to others only if they were told of a beginning. */
static void resolve(const struct engine *engine, struct alert *alert,
		    const struct observation *seen, const char *reason)
{
	alert->state = ALERT_RESOLVED;
	if (alert->fired)
		report(engine, alert, seen, NULL, reason);
}

static bool holds(const struct rule *rule, const struct observation *seen)
{
	return seen->reading == READ_VALUE && rule_condition_holds(&rule->fire, seen->value);
}

/* Whether a fired alert's episode is over. Where nothing happened, nothing is wrong. */
static bool is_cleared(const struct rule *rule, const struct observation *seen)
{
	if (seen->reading == READ_EMPTY)
		return true;
	return rule->has_clear ? rule_condition_holds(&rule->clear, seen->value) :
				 !rule_condition_holds(&rule->fire, seen->value);
}

static void set_state(const struct engine *engine, struct alert *alert, enum alert_state state,
		      const struct observation *seen, const struct snapshot *s, const char *reason)
{
	alert->state = state;
	report(engine, alert, seen, s, reason);
}

static void fire(struct engine *engine, struct alert *alert, const struct observation *seen,
		 const struct snapshot *s)
{
	alert->fired = true;
	engine->fired++;
	set_state(engine, alert, ALERT_FIRING, seen, s, NULL);
}

/* The condition holds for the first time. */
static void begin_episode(struct engine *engine, struct alert *alert,
			  const struct observation *seen, const struct snapshot *s)
{
	alert->held_from = engine->now;
	alert->since_ns = engine->time_ns;
	if (alert->rule->for_ns)
		set_state(engine, alert, ALERT_PENDING, seen, s, NULL);
	else
		fire(engine, alert, seen, s);
}

static void step_nodata(struct engine *engine, struct alert *alert)
{
	bool single = !metric_scopes[alert->rule->metric->scope].key;

	if (alert->state == ALERT_NODATA)
		return;
	if (alert->fired || single)
		set_state(engine, alert, ALERT_NODATA, &nothing, NULL, NULL);
	else
		resolve(engine, alert, &nothing, NULL); /* silent: it never fired */
}

/* An alert just made: for a condition that holds, or for a single thing without data. */
static void begin(struct engine *engine, struct alert *alert, const struct observation *seen,
		  const struct snapshot *s)
{
	alert->since_ns = engine->time_ns;
	alert->value = seen->value;
	if (seen->reading == READ_NULL)
		step_nodata(engine, alert);
	else
		begin_episode(engine, alert, seen, s);
}

/* Moves an alert on by one sample. */
static void step(struct engine *engine, struct alert *alert, const struct observation *seen,
		 const struct snapshot *s)
{
	const struct rule *rule = alert->rule;

	if (seen->reading == READ_VALUE)
		alert->value = seen->value;
	if (seen->reading == READ_NULL) {
		step_nodata(engine, alert);
		return;
	}
	if (alert->fired) {
		if (is_cleared(rule, seen))
			resolve(engine, alert, seen, "cleared");
		else if (alert->state == ALERT_NODATA)
			set_state(engine, alert, ALERT_FIRING, seen, s, "data again");
		return;
	}
	if (!holds(rule, seen))
		resolve(engine, alert, &nothing, NULL); /* silent: it never fired */
	else if (alert->state == ALERT_NODATA)
		begin_episode(engine, alert, seen, s);
	else if (engine->now - alert->held_from + s->interval_ns / SLACK_SHARE >= rule->for_ns)
		fire(engine, alert, seen, s);
}

/* --- the first pass: rows that are there --- */

static struct observation observe(const struct rule *rule, const void *row)
{
	struct observation seen = nothing;

	if (metric_value(rule->metric, row, rule->part, &seen.value))
		seen.reading = READ_VALUE;
	else if (rule->metric->type == METRIC_DIST && metric_dist(rule->metric, row)->known &&
		 !metric_dist(rule->metric, row)->count)
		seen.reading = READ_EMPTY;
	return seen;
}

static void keep_name(struct alert *alert, const struct process_metrics *p)
{
	if (p->comm)
		snprintf(alert->key, sizeof(alert->key), "%s", p->comm);
}

/* Whether a row that has no alert gets one. */
static bool has_cause(const struct rule *rule, const void *row, const struct observation *seen)
{
	/* An idle row is there in a live run and not in a replayed one: what comes of it must be the same in both. */
	if (rule->metric->scope == SCOPE_PROCESS && ((const struct process_metrics *)row)->idle)
		return false;
	return holds(rule, seen) ||
	       (seen->reading == READ_NULL && !metric_scopes[rule->metric->scope].key);
}

static bool has_exited(const struct process_metrics *p)
{
	return p->state && strcmp(p->state, "exited") == 0;
}

/* Holds one rule against one row. 0 or -ENOMEM. */
static int evaluate_row(struct engine *engine, const struct rule *rule, const void *row,
			const struct snapshot *s)
{
	bool is_process = rule->metric->scope == SCOPE_PROCESS, matches = rule_matches(rule, row),
	     is_new = false, ended;
	size_t n_alerts = alert_set_count(&engine->alerts, rule);
	struct observation seen;
	struct alert *alert;
	struct alert_id id;

	if (!matches && !n_alerts)
		return 0;
	seen = observe(rule, row);
	if (!n_alerts && !has_cause(rule, row, &seen))
		return 0;
	id = alert_id_of(&engine->alerts, rule, row);
	alert = alert_set_find(&engine->alerts, &id);
	if (!alert && matches && has_cause(rule, row, &seen)) {
		int err = alert_set_add(&engine->alerts, &id, &alert);

		engine->overflow += err == -ENOSPC;
		if (err)
			return err == -ENOSPC ? 0 : err;
		is_new = true;
	}
	if (!alert)
		return 0;
	alert->seen = engine->number;
	alert->unmeasured = seen.reading == READ_NULL;
	if (is_process)
		keep_name(alert, row);
	ended = is_process && has_exited(row);
	if (!matches)
		resolve(engine, alert, &seen, "no longer matches");
	else if (is_new)
		begin(engine, alert, &seen, s);
	else if (!ended || !alert->fired) /* what a last row lacks was not cleared */
		step(engine, alert, &seen, s);
	if (ended && alert->state != ALERT_RESOLVED)
		resolve(engine, alert, &seen, "process ended");
	return 0;
}

/* --- the second pass: alerts whose row is not there --- */

static bool pid_is_taken(struct engine *engine, uint64_t pid, const struct snapshot *s)
{
	if (!engine->pids_filled) {
		map_release(&engine->pids);
		/* Without memory a reused pid is noticed a sample later. */
		for (size_t i = 0; i < s->n_processes; i++)
			map_put(&engine->pids, s->processes[i].pid, &s->processes[i]);
		engine->pids_filled = true;
	}
	return map_get(&engine->pids, pid);
}

static bool has_ended(struct engine *engine, const struct alert *alert, const struct snapshot *s)
{
	const struct engine_options *o = &engine->options;

	if (pid_is_taken(engine, alert->pid, s))
		return true; /* by another: the row of this one is absent */
	return o->alive && !o->alive(alert->pid, alert->start_ns, o->context);
}

/* What an idle process's metric is, which is what its absence from a sample says. */
static struct observation observe_idle(const struct alert *alert, const struct snapshot *s)
{
	const struct metric *m = alert->rule->metric;

	if (s->trust.rows_hidden || alert->unmeasured)
		return nothing;
	if (m->type == METRIC_DIST && alert->rule->part != PART_COUNT && alert->rule->part != PART_SUM)
		return (struct observation){ READ_EMPTY, NAN };
	if (m->merge == MERGE_LAST || m->merge == MERGE_KEY)
		return (struct observation){ isnan(alert->value) ? READ_NULL : READ_VALUE,
					     alert->value };
	return (struct observation){ READ_VALUE, 0 };
}

static void step_absent(struct engine *engine, struct alert *alert, const struct snapshot *s)
{
	struct observation idle;

	switch (alert->rule->metric->scope) {
	case SCOPE_DEVICE:
		resolve(engine, alert, &nothing, "device gone");
		return;
	case SCOPE_INTERFACE:
		resolve(engine, alert, &nothing, "interface gone");
		return;
	case SCOPE_PROCESS:
		break;
	default:
		return; /* always there */
	}
	if (has_ended(engine, alert, s)) {
		resolve(engine, alert, &nothing, "process ended");
		return;
	}
	idle = observe_idle(alert, s);
	step(engine, alert, &idle, s);
}

static void visit_absent(struct engine *engine, const struct snapshot *s)
{
	struct alert *alert;

	engine->pids_filled = false;
	for (struct alert_walk w = { 0 }; (alert = alert_set_next(&engine->alerts, &w));)
		if (alert->seen != engine->number)
			step_absent(engine, alert, s);
}

/* --- samples --- */

/* Begins pendings anew: what was between the samples is not known. */
static void forget_pendings(struct engine *engine)
{
	struct alert *alert;

	for (struct alert_walk w = { 0 }; (alert = alert_set_next(&engine->alerts, &w));)
		if (alert->state == ALERT_PENDING)
			resolve(engine, alert, &nothing, NULL);
	alert_set_sweep(&engine->alerts);
}

static void advance_clock(struct engine *engine, const struct snapshot *s)
{
	if (engine->number++) {
		if (s->elapsed_ns > engine->elapsed_ns)
			engine->now += s->elapsed_ns - engine->elapsed_ns;
		else if (s->elapsed_ns < engine->elapsed_ns)
			forget_pendings(engine);
		else if (s->time_ns > engine->time_ns)
			engine->now += s->time_ns - engine->time_ns;
	}
	engine->elapsed_ns = s->elapsed_ns;
	engine->time_ns = s->time_ns;
}

int engine_evaluate(struct engine *engine, const struct snapshot *s)
{
	int err = 0;

	advance_clock(engine, s);
	for (size_t i = 0; i < engine->rules->n; i++) {
		const struct rule *rule = &engine->rules->rules[i];
		size_t n, size = metric_scopes[rule->metric->scope].size;
		const char *row = snapshot_rows(s, rule->metric->scope, &n);

		for (; n; n--, row += size)
			err = evaluate_row(engine, rule, row, s) ?: err;
	}
	visit_absent(engine, s);
	alert_set_sweep(&engine->alerts);
	return err;
}

void engine_finish(struct engine *engine)
{
	struct alert *alert;

	for (struct alert_walk w = { 0 }; (alert = alert_set_next(&engine->alerts, &w));) {
		struct observation last = { alert->state == ALERT_NODATA ? READ_NULL : READ_VALUE,
					    alert->value };

		resolve(engine, alert, &last, "end of run");
	}
	alert_set_sweep(&engine->alerts);
}

struct engine_stats engine_stats(const struct engine *engine)
{
	struct engine_stats stats = { .fired = engine->fired, .overflow = engine->overflow };
	struct alert *alert;

	for (struct alert_walk w = { 0 }; (alert = alert_set_next(&engine->alerts, &w));) {
		stats.pending += alert->state == ALERT_PENDING;
		stats.firing += alert->state == ALERT_FIRING;
		stats.nodata += alert->state == ALERT_NODATA;
	}
	return stats;
}

size_t engine_bytes(const struct engine *engine)
{
	return sizeof(*engine) + map_bytes(&engine->pids) + alert_set_bytes(&engine->alerts);
}
