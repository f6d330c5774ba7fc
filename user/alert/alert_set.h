/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * alert_set.h - the alerts that are in some state: for the engine only.
 *
 * Only these have memory; a rule's row that is fine has none. They are found by rule and row through a hash, with a chain for
 * equal hashes. An alert that ends is marked (ALERT_RESOLVED), is not found any more, and is freed by the next
 * alert_set_sweep(), so that a walk over the set may end alerts as it goes.
 */
#ifndef MBTRACE_ALERT_ALERT_SET_H
#define MBTRACE_ALERT_ALERT_SET_H

#include "alert/rule_set.h"
#include "base/map.h"
#include "metric/record.h"

#define ALERT_KEY_LEN 64 /* of devices and interfaces, and what is kept of a process's name */

struct alert {
	struct alert *chain; /* next of the same hash */
	const struct rule *rule;
	enum alert_state state; /* RESOLVED: to be swept */
	bool fired; /* in this episode */
	bool unmeasured; /* its row was last read as null, and so stays while absent */
	uint64_t seen; /* number of the last sample whose rows had it */
	uint64_t held_from; /* engine's clock, when the condition first held */
	uint64_t since_ns; /* the same as realtime */
	double value; /* last one known, NAN: none */
	uint64_t pid, start_ns; /* of a process */
	char key[ALERT_KEY_LEN]; /* comm of a process, else what names the row */
};

/* What tells one row of a rule from another. */
struct alert_id {
	const struct rule *rule;
	uint64_t pid, start_ns;
	const char *key; /* of a device or interface; else NULL */
	uint64_t hash;
};

struct alert_set {
	const struct rule_set *rules;
	struct map map; /* hash → chain */
	size_t *n_of_rule;
	size_t n, max;
	const struct metric *row_keys[SCOPE_COUNT]; /* the text member that names a row, or NULL */
};

/* 0 or -ENOMEM. alert_set_release() accepts a zeroed set. */
int alert_set_init(struct alert_set *set, const struct rule_set *rules, size_t max);
void alert_set_release(struct alert_set *set);

/* How many of a rule there are, ended ones not yet swept included. */
static inline size_t alert_set_count(const struct alert_set *set, const struct rule *rule)
{
	return set->n_of_rule[rule - set->rules->rules];
}

/* The identity of a row of the rule's scope; its key points into the row. */
struct alert_id alert_id_of(const struct alert_set *set, const struct rule *rule, const void *row);
struct alert *alert_set_find(const struct alert_set *set, const struct alert_id *id);
/* A new one, ALERT_PENDING, with no value. 0, -ENOMEM, or -ENOSPC when there are `max`. */
int alert_set_add(struct alert_set *set, const struct alert_id *id, struct alert **ret_alert);
/* Frees what has ended. */
void alert_set_sweep(struct alert_set *set);

/* Walks all that have not ended: for (struct alert_walk w = { 0 }; (alert = alert_set_next(set, &w));). Nothing may be added. */
struct alert_walk {
	size_t pos;
	struct alert *next;
};

struct alert *alert_set_next(const struct alert_set *set, struct alert_walk *walk);
size_t alert_set_bytes(const struct alert_set *set);

#endif
