/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rule.h - one alert rule: text in, a checked rule out, or an error that points at the column.
 *
 *	[NAME:] METRIC OP VALUE [for DURATION] [clear OP VALUE] [# comment]
 *
 *	hot: process.cpu_pct > 90 for 10s clear < 70
 *	system.block.devices[dev=nvme*].latency.p99 > 50ms for 5s
 *	process[comm=postgres][ppid!=1].majflt > 100
 *
 * Vocabulary. METRIC is a path of metric/table.h. A *filter* [member=pattern] stands behind a list's prefix and chooses among
 * its rows; several must all match. A *pattern* may use * and ?, and a backslash takes the next character as it is.
 * The *condition* is OP VALUE; once it has fired, the alert ends when the condition no longer holds or, where there is a
 * `clear`, when that holds.
 *
 * A rule is a plain value: no memory of its own, copied by assignment, nothing to release. Everything here is pure.
 *
 *	struct rule rule;
 *	struct rule_error error;
 *	if (rule_parse(text, strlen(text), &rule, &error))
 *		rule_error_format(&error, "--alert", &buf);
 */
#ifndef MBTRACE_ALERT_RULE_H
#define MBTRACE_ALERT_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "metric/table.h"

#define RULE_TEXT_MAX 512 /* a line somebody can still read */
#define RULE_NAME_MAX 64 /* fits a log line and a pager's subject */
#define RULE_FILTERS_MAX 8 /* nobody names more members of one row */
#define RULE_PATTERN_MAX 128 /* a long cgroup path, with wildcards for the rest */
#define RULE_MESSAGE_MAX 320 /* a sentence and three near matches */
#define RULE_FOR_MAX_NS (30 * 86400 * 1000000000ull) /* 30 days: longer than a process is watched */

enum rule_op { RULE_GT, RULE_GE, RULE_LT, RULE_LE, RULE_EQ, RULE_NE };

struct rule_filter {
	const struct metric *member;
	bool negate; /* [member!=pattern] */
	char pattern[RULE_PATTERN_MAX + 1]; /* of a text member */
	double number; /* of any other */
};

struct rule_condition {
	enum rule_op op;
	double value; /* in the metric's own unit */
};

struct rule {
	char name[RULE_NAME_MAX + 1]; /* empty: none given */
	char text[RULE_TEXT_MAX + 1]; /* without name and comment */
	char path[RULE_TEXT_MAX + 1]; /* the metric as written, filters included */
	const struct metric *metric;
	enum dist_part part;
	struct rule_filter filters[RULE_FILTERS_MAX];
	size_t n_filters;
	struct rule_condition fire, clear;
	bool has_clear;
	uint64_t for_ns; /* 0: at once */
};

struct rule_error {
	size_t line; /* in a file, from 1; 0: not from a file */
	size_t column; /* in characters, from 1 */
	char message[RULE_MESSAGE_MAX];
	char text[RULE_TEXT_MAX + 1]; /* the line it is about */
};

/* Reads one rule of `len` bytes. 0, or -EINVAL with *ret_error filled; *ret_rule is written only on success. */
int rule_parse(const char *text, size_t len, struct rule *ret_rule, struct rule_error *ret_error);

/* Its name or, without one, its text. */
const char *rule_label(const struct rule *rule);

/* ">", ">=", "<", "<=", "==", "!=". */
const char *rule_op_name(enum rule_op op);
bool rule_condition_holds(const struct rule_condition *condition, double value);

/* Whether a row of the metric's scope passes every filter. A member that is not known matches none. */
bool rule_matches(const struct rule *rule, const void *row);

/* Writes the rule in its one canonical form, which rule_parse() reads as the same rule. */
void rule_print(const struct rule *rule, struct buf *out);

/*
 * The error for people: where (`source` is "--alert" or a file's name), what, and the line with a caret below:
 *
 *	--alert: column 9: no metric "process.cpu_pc"; did you mean process.cpu_pct?
 *	    process.cpu_pc > 90
 *	    ^
 * An error without text (two rules of one name) has no caret. Control characters of the line are shown as "?".
 */
void rule_error_format(const struct rule_error *error, const char *source, struct buf *out);

#endif
