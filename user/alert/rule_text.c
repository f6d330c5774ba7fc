// SPDX-License-Identifier: BSD-2-Clause
/* rule_text.c - rules and their errors, written. */
#include <string.h>

#include "alert/rule.h"
#include "alert/value.h"

static void print_condition(const struct rule *rule, const struct rule_condition *condition,
			    struct buf *out)
{
	char text[VALUE_TEXT_LEN];

	buf_printf(out, " %s %s", rule_op_name(condition->op),
		   value_format(condition->value, value_kind_of(rule->metric, rule->part), text));
}

static void print_filter(const struct rule_filter *filter, struct buf *out)
{
	char text[VALUE_TEXT_LEN];

	buf_printf(out, "[%s%s", filter->member->name, filter->negate ? "!=" : "=");
	if (filter->member->type == METRIC_TEXT)
		buf_printf(out, "\"%s\"", filter->pattern);
	else
		buf_adds(out, value_format(filter->number, value_kind_of(filter->member, PART_NONE),
					   text));
	buf_addc(out, ']');
}

void rule_print(const struct rule *rule, struct buf *out)
{
	char text[VALUE_TEXT_LEN];

	if (*rule->name)
		buf_printf(out, "%s: ", rule->name);
	buf_adds(out, metric_scopes[rule->metric->scope].prefix);
	for (size_t i = 0; i < rule->n_filters; i++)
		print_filter(&rule->filters[i], out);
	buf_printf(out, ".%s", rule->metric->name);
	if (rule->part != PART_NONE)
		buf_printf(out, ".%s", dist_part_short(rule->part));
	print_condition(rule, &rule->fire, out);
	if (rule->for_ns)
		buf_printf(out, " for %s", value_format(rule->for_ns, VALUE_TIME, text));
	if (rule->has_clear) {
		buf_adds(out, " clear");
		print_condition(rule, &rule->clear, out);
	}
}

static void print_caret(const struct rule_error *error, struct buf *out)
{
	size_t column = 1;

	buf_adds(out, "    ");
	for (const char *s = error->text; *s; s++)
		buf_addc(out, ((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f ? '?' : *s);
	buf_adds(out, "\n    ");
	for (const char *s = error->text; *s && column < error->column; s++) {
		if (((unsigned char)*s & 0xc0) == 0x80)
			continue;
		/* A tab above needs a tab below. */
		buf_addc(out, *s == '\t' ? '\t' : ' ');
		column++;
	}
	buf_adds(out, "^\n");
}

void rule_error_format(const struct rule_error *error, const char *source, struct buf *out)
{
	buf_adds(out, source);
	if (error->line)
		buf_printf(out, ":%zu", error->line);
	if (error->column && error->line)
		buf_printf(out, ":%zu", error->column);
	else if (error->column)
		buf_printf(out, ": column %zu", error->column);
	buf_printf(out, ": %s\n", error->message);
	if (*error->text)
		print_caret(error, out);
}
