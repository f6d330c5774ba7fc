// SPDX-License-Identifier: BSD-2-Clause
#include "export/firing.h"

#include <string.h>

#include "base/macros.h"

static void alert_release(struct record_alert *a)
{
	free((char *)a->rule);
	free((char *)a->metric);
	free((char *)a->comm);
	free((char *)a->row);
	free((char *)a->reason);
	for (size_t i = 0; i < a->n_culprits; i++) {
		free((char *)a->culprits[i].comm);
		free((char *)a->culprits[i].metric);
	}
}

static bool copy_text(const char **text)
{
	if (*text)
		*text = strdup(*text);
	return *text != NULL;
}

/* The copy owns its texts. A text that finds no memory is missing, but that of the rule, which makes it fail. */
static int alert_copy(const struct record_alert *from, struct record_alert *ret_copy)
{
	*ret_copy = *from;
	copy_text(&ret_copy->metric);
	copy_text(&ret_copy->comm);
	copy_text(&ret_copy->row);
	copy_text(&ret_copy->reason);
	for (size_t i = 0; i < ret_copy->n_culprits; i++) {
		copy_text(&ret_copy->culprits[i].comm);
		copy_text(&ret_copy->culprits[i].metric);
	}
	if (copy_text(&ret_copy->rule))
		return 0;
	alert_release(ret_copy);
	return -ENOMEM;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_same(const struct record_alert *a, const struct record_alert *b)
{
	return a->has_process == b->has_process && (!a->has_process || a->pid == b->pid) &&
	       same_text(a->rule, b->rule) && same_text(a->row, b->row);
}

static struct record_alert *find(const struct firing *f, const struct record_alert *a)
{
	for (size_t i = 0; i < f->n; i++)
		if (is_same(&f->alerts[i], a))
			return &f->alerts[i];
	return NULL;
}

static struct record_alert *add(struct firing *f)
{
	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 8;
		struct record_alert *alerts = reallocarray(f->alerts, cap, sizeof(*alerts));

		if (!alerts)
			return NULL;
		f->alerts = alerts;
		f->cap = cap;
	}
	return &f->alerts[f->n++];
}

int firing_update(struct firing *f, const struct record_alert *a)
{
	struct record_alert copy, *known = find(f, a);
	int err;

	if (a->state == ALERT_PENDING || (a->state == ALERT_RESOLVED && !known))
		return 0;
	err = alert_copy(a, &copy);
	if (err)
		return err;
	if (known) {
		alert_release(known);
	} else {
		known = add(f);
		if (!known) {
			alert_release(&copy);
			return -ENOMEM;
		}
	}
	*known = copy;
	return 0;
}

void firing_sweep(struct firing *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (f->alerts[i].state == ALERT_FIRING)
			f->alerts[kept++] = f->alerts[i];
		else
			alert_release(&f->alerts[i]);
	}
	f->n = kept;
}

void firing_release(struct firing *f)
{
	for (size_t i = 0; i < f->n; i++)
		alert_release(&f->alerts[i]);
	free(f->alerts);
	*f = (struct firing){ 0 };
}
