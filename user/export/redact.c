// SPDX-License-Identifier: BSD-2-Clause
#include "export/redact.h"

#include <search.h>
#include <stdbool.h>
#include <string.h>

#include "base/macros.h"

#define HIDDEN "[redacted]"

struct name {
	const char *kind; /* of kinds[] */
	char pseudonym[24];
	char text[];
};

struct redact {
	void *names; /* a tree of struct name, by kind and text (search.h) */
	size_t n_names;
	unsigned int last[4]; /* numbers given, by kind */
};

static const struct {
	const char *kind;
	bool numbered;
} kinds[] = {
	{ "comm", true },
	{ "cgroup", true },
	{ "host", true },
	{ "cmdline", false },
};

_Static_assert(ARRAY_SIZE(kinds) == sizeof(((struct redact *)0)->last) / sizeof(unsigned int),
	       "a counter each");

struct redact *redact_new(void)
{
	return calloc(1, sizeof(struct redact));
}

void redact_free(struct redact *r)
{
	if (!r)
		return;
	tdestroy(r->names, free);
	free(r);
}

static int compare_names(const void *left, const void *right)
{
	const struct name *a = left, *b = right;

	/* Kinds are pointers into one table. */
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->text, b->text);
}

static size_t find_kind(const char *kind, size_t len)
{
	size_t i = 0;

	while (i < ARRAY_SIZE(kinds) &&
	       (strlen(kinds[i].kind) != len || memcmp(kinds[i].kind, kind, len) != 0))
		i++;
	return i;
}

/* The pseudonym of `len` bytes of text. */
static const char *name_of(struct redact *r, size_t kind, const char *text, size_t len)
{
	struct name *name, **found;

	if (!kinds[kind].numbered)
		return HIDDEN;
	name = malloc(sizeof(*name) + len + 1);
	if (!name)
		return HIDDEN;
	name->kind = kinds[kind].kind;
	memcpy(name->text, text, len);
	name->text[len] = 0;
	found = tfind(name, &r->names, compare_names);
	if (found || r->n_names == REDACT_MAX_NAMES || !tsearch(name, &r->names, compare_names)) {
		free(name);
		return found ? (*found)->pseudonym : HIDDEN;
	}
	r->n_names++;
	snprintf(name->pseudonym, sizeof(name->pseudonym), "%s-%u", name->kind, ++r->last[kind]);
	return name->pseudonym;
}

const char *redact_text(struct redact *r, const char *kind, const char *text)
{
	size_t at = find_kind(kind, strlen(kind));

	return !text || at == ARRAY_SIZE(kinds) ? text : name_of(r, at, text, strlen(text));
}

/* Appends a filter's value. A pattern has no pseudonym of use, but nothing of it may be seen either. */
static void redact_value(struct redact *r, size_t kind, const char *value, size_t len, struct buf *out)
{
	if (memchr(value, '*', len) || memchr(value, '?', len))
		buf_adds(out, HIDDEN);
	else
		buf_adds(out, name_of(r, kind, value, len));
}

/* The length of the value at text: in quotes, or up to the next filter or the end of the filters. */
static size_t value_len(const char *text)
{
	const char *quote = *text == '"' || *text == '\'' ? strchr(text + 1, *text) : NULL;

	return quote ? (size_t)(quote + 1 - text) : strcspn(text, ",]");
}

/* Appends one "key=value" and returns what follows it. */
static const char *redact_filter(struct redact *r, const char *text, struct buf *out)
{
	size_t key_len = strcspn(text, "=!~<> ,]");
	size_t kind = find_kind(text, key_len);
	size_t before = key_len + strspn(text + key_len, "=!~<> ");
	const char *value = text + before;
	size_t len = value_len(value);
	bool quoted = len >= 2 && value[len - 1] == *value && (*value == '"' || *value == '\'');

	buf_add(out, text, before);
	if (kind == ARRAY_SIZE(kinds) || !len)
		buf_add(out, value, len);
	else
		redact_value(r, kind, value + quoted, len - 2 * quoted, out);
	return value + len;
}

void redact_path(struct redact *r, const char *path, struct buf *out)
{
	bool inside = false;

	while (*path) {
		size_t skip = inside ? strspn(path, ", ") : strcspn(path, "[");

		buf_add(out, path, skip);
		path += skip;
		if (inside && *path && *path != ']') {
			path = redact_filter(r, path, out);
		} else if (*path) {
			inside = *path == '[';
			buf_addc(out, *path++);
		}
	}
}
