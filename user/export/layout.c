// SPDX-License-Identifier: BSD-2-Clause
#include "export/layout.h"

#include <assert.h>
#include <string.h>

#include "base/macros.h"

struct builder {
	struct layout *layout;
	enum metric_scope scope;
	bool optional;
	unsigned int depth;
};

/* There is room: layout_init() counts two steps for each part of each name. */
static void add_step(struct builder *b, enum layout_kind kind, const struct metric *m,
		     const char *key, size_t len)
{
	struct layout_step *step = &b->layout->steps[b->scope][b->layout->n_steps[b->scope]++];

	assert(len < LAYOUT_KEY_LEN);
	*step = (struct layout_step){ .kind = kind, .metric = m };
	memcpy(step->key, key, len);
}

static bool is_shown(const struct builder *b, const struct metric *m)
{
	return m->scope == b->scope && (b->optional || !m->optional);
}

/* Whether an earlier shown row begins with the same bytes: its group has been laid out already. */
static bool is_repeated(const struct builder *b, const struct metric *m, size_t len)
{
	for (const struct metric *other = metrics; other < m; other++)
		if (is_shown(b, other) && strncmp(other->name, m->name, len) == 0)
			return true;
	return false;
}

/* Lays out the members whose names begin with `len` bytes of `prefix`; groups nest as deep as names have dots. */
static void add_group(struct builder *b, const char *prefix, size_t len)
{
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];
		const char *rest, *dot;

		if (!is_shown(b, m) || strncmp(m->name, prefix, len) != 0)
			continue;
		rest = m->name + len;
		dot = strchr(rest, '.');
		if (!dot) {
			add_step(b, LAYOUT_MEMBER, m, rest, strlen(rest));
		} else if (!is_repeated(b, m, dot + 1 - m->name)) {
			add_step(b, LAYOUT_OPEN, NULL, rest, dot - rest);
			b->depth++;
			assert(b->depth <= LAYOUT_MAX_DEPTH);
			add_group(b, m->name, dot + 1 - m->name);
			b->depth--;
			add_step(b, LAYOUT_CLOSE, NULL, "", 0);
		}
	}
}

int layout_init(struct layout *l, bool optional)
{
	*l = (struct layout){ 0 };
	for (int scope = 0; scope < SCOPE_COUNT; scope++) {
		struct builder b = { .layout = l, .scope = scope, .optional = optional };
		size_t parts = 0;

		for (size_t i = 0; i < metric_count; i++)
			for (const char *c = metrics[i].name; metrics[i].scope == b.scope && c;
			     c = strchr(c + 1, '.'))
				parts += 2;
		l->steps[scope] = calloc(parts + 1, sizeof(*l->steps[scope]));
		if (!l->steps[scope]) {
			layout_release(l);
			return -ENOMEM;
		}
		add_group(&b, "", 0);
	}
	return 0;
}

void layout_release(struct layout *l)
{
	for (int scope = 0; scope < SCOPE_COUNT; scope++)
		free(l->steps[scope]);
	*l = (struct layout){ 0 };
}
