// SPDX-License-Identifier: BSD-2-Clause
#include "export/tally.h"

#include <stddef.h>
#include <string.h>

#include "base/macros.h"

struct tally_row {
	enum metric_scope scope;
	uint64_t hash;
	uint64_t pid, start_ns; /* of a process */
	char name[64]; /* of a device or interface: the kernel's names are shorter */
	uint64_t seen; /* tally.now when it last was */
	bool ended;
	max_align_t totals[]; /* the scope's struct */
};

static void row_free(struct tally_row *r)
{
	metric_row_release(r->scope, r->totals);
	free(r);
}

/* The member that names the row, for scopes whose rows are named by a text; NULL else. */
static const char *name_of(enum metric_scope scope, const void *row)
{
	if (scope == SCOPE_DEVICE)
		return ((const struct device_metrics *)row)->dev;
	if (scope == SCOPE_INTERFACE)
		return ((const struct interface_metrics *)row)->name;
	return NULL;
}

/* Fills in the key of a row: all that tells it apart, and its hash. */
static void key_of(enum metric_scope scope, const void *row, struct tally_row *ret_key)
{
	const char *name = name_of(scope, row);

	*ret_key = (struct tally_row){ .scope = scope, .hash = scope };
	if (scope == SCOPE_PROCESS) {
		ret_key->pid = ((const struct process_metrics *)row)->pid;
		ret_key->start_ns = ((const struct process_metrics *)row)->start_ns;
		ret_key->hash ^= ret_key->pid * 0x9e3779b97f4a7c15ull ^ ret_key->start_ns * 31;
	}
	if (name) {
		snprintf(ret_key->name, sizeof(ret_key->name), "%s", name);
		for (const char *c = ret_key->name; *c; c++)
			ret_key->hash =
				(ret_key->hash ^ (unsigned char)*c) * 0x100000001b3ull; /* FNV-1a */
	}
}

static bool is_same(const struct tally_row *a, const struct tally_row *b)
{
	return a->scope == b->scope && a->pid == b->pid && a->start_ns == b->start_ns &&
	       strcmp(a->name, b->name) == 0;
}

/* The row with this key, made when it is new; where its hash is another's, the next hash is tried. */
static struct tally_row *row_get(struct tally *t, struct tally_row *key)
{
	struct tally_row *r;

	while ((r = map_get(&t->rows, key->hash)) && !is_same(r, key))
		key->hash++;
	if (r)
		return r;
	r = calloc(1, sizeof(*r) + metric_scopes[key->scope].size);
	if (!r)
		return NULL;
	memcpy(r, key, offsetof(struct tally_row, totals));
	metric_row_reset(r->scope, r->totals);
	if (map_put(&t->rows, r->hash, r)) {
		row_free(r);
		return NULL;
	}
	return r;
}

const void *tally_add(struct tally *t, enum metric_scope scope, const void *row)
{
	struct tally_row key, *r;

	key_of(scope, row, &key);
	r = row_get(t, &key);
	/* All of the weight on the new row: a mean becomes the last value, as a gauge is. */
	if (!r || metric_row_merge(scope, r->totals, row, 1))
		return NULL;
	r->seen = t->now;
	if (scope == SCOPE_PROCESS) {
		const char *state = ((const struct process_metrics *)row)->state;

		r->ended = state && strcmp(state, "exited") == 0;
	}
	return r->totals;
}

/* For map_remove_if(). A value that stays may be asked twice: so nothing is freed before it leaves. */
static bool drop(void *value, void *context)
{
	const struct tally *t = context;
	struct tally_row *r = value;

	if (!r->ended && t->now - r->seen < TALLY_KEEP)
		return false;
	row_free(r);
	return true;
}

void tally_advance(struct tally *t)
{
	map_remove_if(&t->rows, drop, t);
	t->now++;
}

void tally_release(struct tally *t)
{
	struct tally_row *r;

	for (size_t i = 0; (r = map_next(&t->rows, &i));)
		row_free(r);
	map_release(&t->rows);
	*t = (struct tally){ 0 };
}
