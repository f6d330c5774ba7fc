// SPDX-License-Identifier: BSD-2-Clause
/*
 * Any bytes as a rule file, as one rule and as a command line: nothing crashes; an error points into its line; a rule that is
 * taken is written in a form that is taken again and is written the same.
 */
#include <string.h>

#include "alert/rule_set.h"
#include "alert/words.h"

static void check_error(const struct rule_error *error)
{
	struct buf out = BUF_INIT;

	if (!*error->message || error->column > RULE_TEXT_MAX + 1)
		abort();
	rule_error_format(error, "fuzz", &out);
	buf_release(&out);
}

static void check_rule(const struct rule *rule)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct rule_error error;
	struct rule again;

	rule_print(rule, &once);
	/* Quotes and spelt-out units can make it longer than a rule may be. */
	if (once.len <= RULE_TEXT_MAX) {
		if (rule_parse(once.data, once.len, &again, &error))
			abort();
		rule_print(&again, &twice);
		if (strcmp(once.data, twice.data) != 0)
			abort();
		if (again.metric != rule->metric || again.part != rule->part ||
		    again.for_ns != rule->for_ns || again.n_filters != rule->n_filters ||
		    strcmp(again.name, rule->name) != 0)
			abort();
	}
	buf_release(&once);
	buf_release(&twice);
}

static void check_set(const char *text, size_t len)
{
	struct rule_set set = RULE_SET_INIT;
	struct rule_error error;
	int err = rule_set_add_lines(&set, text, len, &error);

	if (err == -EINVAL)
		check_error(&error);
	for (size_t i = 0; i < set.n; i++)
		check_rule(&set.rules[i]);
	rule_set_release(&set);
}

static void check_words(const char *text, size_t len)
{
	char *ended = strndup(text, len);
	struct words words = { 0 };
	struct rule_error error;

	if (words_split(ended, &words, &error) == -EINVAL && !*error.message)
		abort();
	for (size_t i = 0; i < words.n; i++)
		if (strlen(words.argv[i]) > len)
			abort();
	words_release(&words);
	free(ended);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rule_error error;
	struct rule rule;

	if (!rule_parse((const char *)data, size, &rule, &error))
		check_rule(&rule);
	else
		check_error(&error);
	check_set((const char *)data, size);
	check_words((const char *)data, size);
	return 0;
}
