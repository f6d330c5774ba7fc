// SPDX-License-Identifier: BSD-2-Clause
#include "alert/alert_set.h"

#include <math.h>
#include <string.h>

#include "base/macros.h"

int alert_set_init(struct alert_set *set, const struct rule_set *rules, size_t max)
{
	*set = (struct alert_set){ .rules = rules, .max = max };
	set->n_of_rule = calloc(rules->n ?: 1, sizeof(*set->n_of_rule));
	for (size_t i = 0; i < metric_count; i++) {
		const char *key = metric_scopes[metrics[i].scope].key;

		if (key && metrics[i].type == METRIC_TEXT && strcmp(metrics[i].name, key) == 0)
			set->row_keys[metrics[i].scope] = &metrics[i];
	}
	return set->n_of_rule ? 0 : -ENOMEM;
}

void alert_set_release(struct alert_set *set)
{
	struct alert *alert;

	for (size_t i = 0; (alert = map_next(&set->map, &i));) {
		while (alert) {
			struct alert *next = alert->chain;

			free(alert);
			alert = next;
		}
	}
	map_release(&set->map);
	free(set->n_of_rule);
	*set = (struct alert_set){ 0 };
}

struct alert_id alert_id_of(const struct alert_set *set, const struct rule *rule, const void *row)
{
	enum metric_scope scope = rule->metric->scope;
	struct alert_id id = { .rule = rule };

	id.hash = (rule - set->rules->rules + 1) * 0x9e3779b97f4a7c15ull;
	if (scope == SCOPE_PROCESS) {
		const struct process_metrics *p = row;

		id.pid = p->pid;
		id.start_ns = p->start_ns;
		id.hash = (id.hash ^ id.pid) * 0xff51afd7ed558ccdull;
		id.hash = (id.hash ^ id.start_ns) * 0xff51afd7ed558ccdull;
	} else if (set->row_keys[scope]) {
		id.key = metric_text(set->row_keys[scope], row) ?: "";
		for (const char *s = id.key; *s; s++)
			id.hash = (id.hash ^ (unsigned char)*s) * 0x100000001b3ull;
	}
	return id;
}

static bool is_alert_of(const struct alert *alert, const struct alert_id *id)
{
	return alert->state != ALERT_RESOLVED && alert->rule == id->rule && alert->pid == id->pid &&
	       alert->start_ns == id->start_ns &&
	       (!id->key || strncmp(alert->key, id->key, ALERT_KEY_LEN - 1) == 0);
}

struct alert *alert_set_find(const struct alert_set *set, const struct alert_id *id)
{
	struct alert *alert = map_get(&set->map, id->hash);

	while (alert && !is_alert_of(alert, id))
		alert = alert->chain;
	return alert;
}

int alert_set_add(struct alert_set *set, const struct alert_id *id, struct alert **ret_alert)
{
	struct alert *alert;

	if (set->n == set->max)
		return -ENOSPC;
	alert = calloc(1, sizeof(*alert));
	if (!alert)
		return -ENOMEM;
	alert->chain = map_get(&set->map, id->hash);
	alert->rule = id->rule;
	alert->state = ALERT_PENDING;
	alert->value = NAN;
	alert->pid = id->pid;
	alert->start_ns = id->start_ns;
	if (id->key)
		snprintf(alert->key, sizeof(alert->key), "%s", id->key);
	if (map_put(&set->map, id->hash, alert)) {
		free(alert);
		return -ENOMEM;
	}
	set->n_of_rule[id->rule - set->rules->rules]++;
	set->n++;
	*ret_alert = alert;
	return 0;
}

static void forget(struct alert_set *set, struct alert *alert)
{
	set->n_of_rule[alert->rule - set->rules->rules]--;
	set->n--;
	free(alert);
}

/* Frees what has ended of one chain; true when nothing is left of it. */
static bool sweep_chain(void *value, void *context)
{
	struct alert_set *set = context;
	struct alert *head = value, *next;

	for (struct alert **link = &head->chain; *link;) {
		struct alert *alert = *link;

		if (alert->state == ALERT_RESOLVED) {
			*link = alert->chain;
			forget(set, alert);
		} else {
			link = &alert->chain;
		}
	}
	if (head->state != ALERT_RESOLVED)
		return false;
	next = head->chain;
	if (!next) {
		forget(set, head);
		return true;
	}
	/* The map holds the head's address: the next one moves there. */
	set->n_of_rule[head->rule - set->rules->rules]--;
	set->n--;
	*head = *next;
	free(next);
	return false;
}

void alert_set_sweep(struct alert_set *set)
{
	map_remove_if(&set->map, sweep_chain, set);
}

struct alert *alert_set_next(const struct alert_set *set, struct alert_walk *walk)
{
	for (;;) {
		struct alert *alert = walk->next ?: map_next(&set->map, &walk->pos);

		if (!alert)
			return NULL;
		walk->next = alert->chain;
		if (alert->state != ALERT_RESOLVED)
			return alert;
	}
}

size_t alert_set_bytes(const struct alert_set *set)
{
	return set->rules->n * sizeof(*set->n_of_rule) + map_bytes(&set->map) +
	       set->n * sizeof(struct alert);
}
