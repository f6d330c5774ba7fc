// SPDX-License-Identifier: BSD-2-Clause
/* filter.c - which rows a rule is about. */
#include "alert/glob.h"
#include "alert/rule.h"

static bool passes(const struct rule_filter *filter, const void *row)
{
	bool matches;

	if (filter->member->type == METRIC_TEXT) {
		const char *text = metric_text(filter->member, row);

		if (!text)
			return false;
		matches = glob_match(filter->pattern, text);
	} else {
		double number;

		if (!metric_value(filter->member, row, PART_NONE, &number))
			return false;
		matches = number == filter->number;
	}
	return matches != filter->negate;
}

bool rule_matches(const struct rule *rule, const void *row)
{
	for (size_t i = 0; i < rule->n_filters; i++)
		if (!passes(&rule->filters[i], row))
			return false;
	return true;
}
