// SPDX-License-Identifier: BSD-2-Clause
#include "alert/rule_set.h"

#include <string.h>

#include "base/file.h"
#include "base/macros.h"

#define SET_FIRST_CAP 4

void rule_set_release(struct rule_set *set)
{
	free(set->rules);
	*set = RULE_SET_INIT;
}

/* An error about a whole rule rather than a place in it. */
static int PRINTF_LIKE(2, 3) refuse(struct rule_error *error, const char *fmt, ...)
{
	va_list ap;

	*error = (struct rule_error){ 0 };
	va_start(ap, fmt);
	vsnprintf(error->message, sizeof(error->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static int reserve(struct rule_set *set)
{
	size_t cap = set->cap ? set->cap * 2 : SET_FIRST_CAP;
	struct rule *bigger;

	if (set->n < set->cap)
		return 0;
	bigger = realloc(set->rules, cap * sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	set->rules = bigger;
	set->cap = cap;
	return 0;
}

int rule_set_add(struct rule_set *set, const char *text, size_t len, struct rule_error *ret_error)
{
	int err = reserve(set);
	struct rule *rule;

	if (err)
		return err;
	rule = &set->rules[set->n];
	err = rule_parse(text, len, rule, ret_error);
	if (err)
		return err;
	if (set->n == RULE_SET_MAX)
		return refuse(ret_error, "more than %d rules", RULE_SET_MAX);
	for (size_t i = 0; i < set->n; i++)
		if (strcmp(rule_label(&set->rules[i]), rule_label(rule)) == 0)
			return refuse(ret_error,
				      "a second rule \"%.200s\": give each rule a name of its own",
				      rule_label(rule));
	set->n++;
	return 0;
}

static bool is_empty_line(const char *line, size_t len)
{
	size_t blanks = 0;

	while (blanks < len && (line[blanks] == ' ' || line[blanks] == '\t' || line[blanks] == '\r'))
		blanks++;
	return blanks == len || line[blanks] == '#';
}

int rule_set_add_lines(struct rule_set *set, const char *text, size_t len,
		       struct rule_error *ret_error)
{
	const char *end = text + len;

	for (size_t number = 1; text < end; number++) {
		const char *newline = memchr(text, '\n', end - text), *stop = newline ?: end;

		if (!is_empty_line(text, stop - text)) {
			int err = rule_set_add(set, text, stop - text, ret_error);

			if (err == -EINVAL)
				ret_error->line = number;
			if (err)
				return err;
		}
		text = newline ? newline + 1 : end;
	}
	return 0;
}

int rule_set_add_file(struct rule_set *set, const char *path, struct rule_error *ret_error)
{
	cleanup_buf struct buf text = BUF_INIT;
	int err = file_read(path, &text, RULE_FILE_MAX);

	return err ?: rule_set_add_lines(set, buf_str(&text), text.len, ret_error);
}
