// SPDX-License-Identifier: BSD-2-Clause
#include "alert/rule.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "alert/nearest.h"
#include "alert/value.h"
#include "base/macros.h"
#include "base/units.h"

/*
 * DESIGN. Recursive descent straight over the text: each parse_X() eats one part of the rule at p->at, fills p->rule, and
 * fails with the place where it stands. There is no token list, since what a word means depends on where it stands
 * ("for" is a fine name), and places in the text are what errors need.
 */
struct parser {
	const char *start, *at, *end;
	struct rule *rule;
	struct rule_error *error;
};

static int PRINTF_LIKE(3, 4) fail(const struct parser *p, const char *at, const char *fmt, ...)
{
	va_list ap;

	p->error->line = 0;
	p->error->column = 1;
	for (const char *s = p->start; s < at; s++)
		p->error->column += ((unsigned char)*s & 0xc0) != 0x80; /* a column is a character */
	snprintf(p->error->text, sizeof(p->error->text), "%.*s", (int)(p->end - p->start), p->start);
	va_start(ap, fmt);
	vsnprintf(p->error->message, sizeof(p->error->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end && is_blank(*p->at))
		p->at++;
}

/* Nothing left but a comment. */
static bool at_end(const struct parser *p)
{
	return p->at == p->end || *p->at == '#';
}

/* Length of the word here: up to a blank or the end. */
static size_t word_len(const struct parser *p)
{
	const char *s = p->at;

	while (s < p->end && !is_blank(*s))
		s++;
	return s - p->at;
}

static bool is_path_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.';
}

/* A name ends in a colon, and no colon stands in what follows it before the operator. */
static int parse_name(struct parser *p)
{
	const char *colon = p->at, *last;

	while (colon < p->end && !strchr(":<>=![]#\"'", *colon))
		colon++;
	if (colon == p->end || *colon != ':')
		return 0;
	last = colon;
	while (last > p->at && is_blank(last[-1]))
		last--;
	if (last == p->at)
		return fail(p, p->at, "expected a name before the colon");
	if (last - p->at > RULE_NAME_MAX)
		return fail(p, p->at, "a name has at most %d bytes", RULE_NAME_MAX);
	memcpy(p->rule->name, p->at, last - p->at);
	p->at = colon + 1;
	skip_blanks(p);
	return 0;
}

/* The scope whose rows a path prefix stands for, or SCOPE_COUNT. */
static enum metric_scope rows_of_prefix(const char *prefix)
{
	for (int scope = 0; scope < SCOPE_COUNT; scope++)
		if (metric_scopes[scope].key && strcmp(metric_scopes[scope].prefix, prefix) == 0)
			return scope;
	return strcmp(prefix, "processes") == 0 ? SCOPE_PROCESS : SCOPE_COUNT;
}

/* The member that a filter names. */
static int parse_filter_member(struct parser *p, enum metric_scope scope, struct rule_filter *filter)
{
	const char *key = p->at;
	char near[RULE_MESSAGE_MAX / 2];
	size_t len;

	while (p->at < p->end && is_path_char(*p->at))
		p->at++;
	len = p->at - key;
	if (!len)
		return fail(p, key, "expected a member to choose by, such as [%s=…]",
			    scope == SCOPE_PROCESS ? "comm" : metric_scopes[scope].key);
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];

		if (m->scope != scope || strlen(m->name) != len || memcmp(m->name, key, len) != 0)
			continue;
		if (m->type == METRIC_DIST || m->type == METRIC_ROWS || m->type == METRIC_SOURCES)
			return fail(p, key,
				    "%s is neither text nor a number, so it cannot choose rows",
				    m->name);
		filter->member = m;
		return 0;
	}
	return fail(p, key, "%s has no member \"%.*s\"%s", metric_scopes[scope].prefix,
		    (int)MIN(len, 64), key, nearest_members(scope, key, len, near, sizeof(near)));
}

/*
 * The text of a filter's value: bare up to the bracket, or quoted. Quotes are taken off; backslashes stay, and a double quote gets
 * one, so that a pattern can be written back between double quotes as it is.
 */
static int parse_filter_text(struct parser *p, char *text, const char **ret_start)
{
	char quote = p->at < p->end && (*p->at == '"' || *p->at == '\'') ? *p->at : 0;
	const char *opened = p->at;
	size_t len = 0, kept = 0;

	p->at += quote != 0;
	*ret_start = p->at;
	for (; p->at < p->end && *p->at != (quote ?: ']'); p->at++) {
		bool escaped = *p->at == '\\';

		if (len + 2 > RULE_PATTERN_MAX)
			return fail(p, opened, "a filter's value has at most %d bytes",
				    RULE_PATTERN_MAX);
		if (escaped && ++p->at == p->end)
			return fail(p, p->at - 1, "a backslash needs a character after it");
		if (escaped || *p->at == '"')
			text[len++] = '\\';
		text[len++] = *p->at;
		if (quote || escaped || !is_blank(*p->at))
			kept = len; /* blanks before the bracket are not part of a bare value */
	}
	if (p->at == p->end && quote)
		return fail(p, opened, "this quote is never closed");
	if (p->at < p->end && !quote && !kept)
		return fail(p, p->at, "expected a value");
	p->at += quote != 0;
	text[kept] = 0;
	return 0;
}

/* One filter; p->at is behind the opening bracket at `opened`. */
static int parse_filter(struct parser *p, enum metric_scope scope, const char *opened)
{
	struct rule_filter *filter = &p->rule->filters[p->rule->n_filters];
	char text[RULE_PATTERN_MAX + 1] = "";
	struct value_error why;
	const char *start;
	int err;

	if (p->rule->n_filters == RULE_FILTERS_MAX)
		return fail(p, opened, "more than %d filters", RULE_FILTERS_MAX);
	*filter = (struct rule_filter){ 0 };
	skip_blanks(p);
	err = parse_filter_member(p, scope, filter);
	if (err)
		return err;
	skip_blanks(p);
	filter->negate = p->at < p->end && *p->at == '!';
	p->at += filter->negate;
	if (p->at == p->end || *p->at != '=')
		return fail(p, p->at, "expected = or !=");
	p->at++;
	skip_blanks(p);
	err = parse_filter_text(p, text, &start);
	if (err)
		return err;
	skip_blanks(p);
	if (p->at == p->end || *p->at != ']')
		return fail(p, p->at == p->end ? opened : p->at, "this bracket is never closed");
	p->at++;
	p->rule->n_filters++;
	if (filter->member->type == METRIC_TEXT) {
		memcpy(filter->pattern, text, sizeof(text));
		return 0;
	}
	if (value_parse(text, strlen(text), value_kind_of(filter->member, PART_NONE),
			filter->member->type == METRIC_I64, &filter->number, &why))
		return fail(p, start + why.at, "%s: %s", filter->member->name, why.message);
	return 0;
}

/* Says why a path names no metric. */
static int fail_path(struct parser *p, const char *start, const char *path, size_t len)
{
	char near[RULE_MESSAGE_MAX / 2], longer[RULE_TEXT_MAX + 8];
	enum dist_part part;

	if (!len)
		return fail(p, start,
			    "expected a metric, such as process.cpu_pct or system.sched.runq.p99");
	snprintf(longer, sizeof(longer), "%s.p99", path);
	if (metric_find(longer, strlen(longer), &part))
		return fail(p, p->at,
			    "%.64s is a distribution: name one of its figures, such as %.64s", path,
			    longer);
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];
		const char *prefix = metric_scopes[m->scope].prefix;

		if (m->type != METRIC_TEXT || strncmp(path, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(longer, sizeof(longer), "%s.%s", prefix, m->name);
		if (strcmp(longer, path) == 0)
			return fail(p, start,
				    "%s is text: it can choose rows, as in %s[%s=…], but not be compared",
				    longer, prefix, m->name);
	}
	return fail(p, start, "no metric \"%.64s\"%s", path,
		    nearest_metrics(path, near, sizeof(near)));
}

/* The metric with its filters. */
static int parse_metric(struct parser *p)
{
	const char *start = p->at, *first_bracket = NULL;
	char path[RULE_TEXT_MAX + 1];
	size_t len = 0, prefix_len = 0;

	while (p->at < p->end && (is_path_char(*p->at) || *p->at == '[')) {
		enum metric_scope scope;
		const char *here = p->at;
		int err;

		if (*here != '[') {
			path[len++] = *p->at++;
			continue;
		}
		path[len] = 0;
		scope = rows_of_prefix(path);
		if (scope == SCOPE_COUNT || (first_bracket && len != prefix_len))
			return fail(p, here,
				    "a filter stands only behind process, system.block.devices or "
				    "system.net.interfaces");
		first_bracket = first_bracket ?: here;
		prefix_len = len;
		p->at++;
		err = parse_filter(p, scope, here);
		if (err)
			return err;
	}
	path[len] = 0;
	p->rule->metric = metric_find(path, len, &p->rule->part);
	if (!p->rule->metric)
		return fail_path(p, start, path, len);
	memcpy(p->rule->path, start, p->at - start);
	return 0;
}

static const struct {
	const char *text;
	enum rule_op op;
} operators[] = {
	/* The longer first: ">" begins ">=". */
	{ ">=", RULE_GE }, { "<=", RULE_LE }, { "==", RULE_EQ },
	{ "!=", RULE_NE }, { ">", RULE_GT },  { "<", RULE_LT },
};

const char *rule_op_name(enum rule_op op)
{
	for (size_t i = 0; i < ARRAY_SIZE(operators); i++)
		if (operators[i].op == op)
			return operators[i].text;
	return "?";
}

/* OP VALUE */
static int parse_condition(struct parser *p, struct rule_condition *condition)
{
	const struct metric *m = p->rule->metric;
	struct value_error why;
	size_t i;

	skip_blanks(p);
	for (i = 0; i < ARRAY_SIZE(operators); i++) {
		size_t len = strlen(operators[i].text);

		if ((size_t)(p->end - p->at) >= len && memcmp(p->at, operators[i].text, len) == 0)
			break;
	}
	if (i == ARRAY_SIZE(operators))
		return fail(p, p->at, "expected one of > >= < <= == !=");
	condition->op = operators[i].op;
	p->at += strlen(operators[i].text);
	skip_blanks(p);
	if (at_end(p))
		return fail(p, p->at, "expected a value");
	if (value_parse(p->at, word_len(p), value_kind_of(m, p->rule->part), m->type == METRIC_I64,
			&condition->value, &why))
		return fail(p, p->at + why.at, "%s", why.message);
	p->at += word_len(p);
	return 0;
}

static int parse_for(struct parser *p)
{
	char word[32];
	size_t len;

	if (p->rule->for_ns)
		return fail(p, p->at - strlen("for"), "\"for\" stands here twice");
	skip_blanks(p);
	len = at_end(p) ? 0 : word_len(p);
	snprintf(word, sizeof(word), "%.*s", (int)MIN(len, sizeof(word) - 1), p->at);
	if (len >= sizeof(word) || units_parse_duration(word, &p->rule->for_ns))
		return fail(p, p->at, "expected a duration such as 500ms, 10s or 5m");
	if (!p->rule->for_ns || p->rule->for_ns > RULE_FOR_MAX_NS)
		return fail(p, p->at, "a duration is more than 0 and at most 30 days");
	p->at += len;
	return 0;
}

/* Whether some value would both fire and clear; it is given in *ret_value. Thresholds and their neighbours tell. */
static bool overlap(const struct rule *rule, double *ret_value)
{
	bool whole = rule->metric->type != METRIC_PCT;
	double step = whole ? 1 : 0.001, middle = (rule->fire.value + rule->clear.value) / 2;
	const double values[] = {
		whole ? floor(middle) : middle, rule->fire.value,	 rule->clear.value,
		rule->fire.value - step,	rule->fire.value + step, rule->clear.value - step,
		rule->clear.value + step,
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		*ret_value = values[i];
		if (values[i] < 0 && rule->metric->type != METRIC_I64)
			continue;
		if (values[i] > 1 && rule->metric->type == METRIC_BOOL)
			continue;
		if (rule_condition_holds(&rule->fire, values[i]) &&
		    rule_condition_holds(&rule->clear, values[i]))
			return true;
	}
	return false;
}

static int parse_clear(struct parser *p)
{
	const char *keyword = p->at - strlen("clear");
	char text[VALUE_TEXT_LEN];
	double both;
	int err;

	if (p->rule->has_clear)
		return fail(p, keyword, "\"clear\" stands here twice");
	err = parse_condition(p, &p->rule->clear);
	if (err)
		return err;
	if (overlap(p->rule, &both))
		return fail(p, keyword, "a value of %s would both fire and clear",
			    value_format(both, value_kind_of(p->rule->metric, p->rule->part), text));
	p->rule->has_clear = true;
	return 0;
}

static bool eat_word(struct parser *p, const char *word)
{
	if (word_len(p) != strlen(word) || memcmp(p->at, word, strlen(word)) != 0)
		return false;
	p->at += strlen(word);
	return true;
}

/* [for DURATION] [clear OP VALUE], in any order. */
static int parse_clauses(struct parser *p)
{
	int err = 0;

	for (skip_blanks(p); !err && !at_end(p); skip_blanks(p)) {
		if (eat_word(p, "for"))
			err = parse_for(p);
		else if (eat_word(p, "clear"))
			err = parse_clear(p);
		else
			err = fail(p, p->at, "expected \"for\", \"clear\" or the end of the rule");
	}
	return err;
}

static int check_text(const struct parser *p)
{
	if (p->end - p->start > RULE_TEXT_MAX)
		return fail(p, p->start + RULE_TEXT_MAX, "a rule has at most %d bytes",
			    RULE_TEXT_MAX);
	for (const char *s = p->start; s < p->end; s++)
		if (((unsigned char)*s < 0x20 || *s == 0x7f) && !is_blank(*s))
			return fail(p, s, "a control character (0x%02x)", (unsigned char)*s);
	return 0;
}

int rule_parse(const char *text, size_t len, struct rule *ret_rule, struct rule_error *ret_error)
{
	struct rule rule = { 0 };
	struct parser p = {
		.start = text,
		.at = text,
		.end = text + len,
		.rule = &rule,
		.error = ret_error,
	};
	const char *begin, *last;
	int err = check_text(&p);

	if (err)
		return err;
	skip_blanks(&p);
	err = parse_name(&p);
	begin = p.at;
	if (!err)
		err = parse_metric(&p);
	if (!err)
		err = parse_condition(&p, &rule.fire);
	if (!err)
		err = parse_clauses(&p);
	if (err)
		return err;
	for (last = p.at; last > begin && is_blank(last[-1]);)
		last--;
	memcpy(rule.text, begin, last - begin);
	*ret_rule = rule;
	return 0;
}

const char *rule_label(const struct rule *rule)
{
	return *rule->name ? rule->name : rule->text;
}

bool rule_condition_holds(const struct rule_condition *condition, double value)
{
	switch (condition->op) {
	case RULE_GT:
		return value > condition->value;
	case RULE_GE:
		return value >= condition->value;
	case RULE_LT:
		return value < condition->value;
	case RULE_LE:
		return value <= condition->value;
	case RULE_EQ:
		return value == condition->value;
	case RULE_NE:
		return value != condition->value;
	}
	return false;
}
