/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * rule_set.h - the rules of a run, from the command line and from files.
 *
 * A file has one rule a line; empty lines and lines that begin with # are skipped, and a # behind a rule begins a comment too. Every
 * rule has a label of its own (its name or its text): two of one label are refused, since records, the command's environment
 * and its "one run at a time" know a rule by its label.
 *
 * The set owns its array; pointers to rules are valid until the next add. Fill it before an engine is made of it.
 *
 *	struct rule_set rules = RULE_SET_INIT;
 *	err = rule_set_add_file(&rules, "alerts.rules", &error);
 *	rule_set_release(&rules);
 */
#ifndef MBTRACE_ALERT_RULE_SET_H
#define MBTRACE_ALERT_RULE_SET_H

#include "alert/rule.h"

#define RULE_SET_MAX 256 /* each is held against every row of every sample */
#define RULE_FILE_MAX (256 * 1024) /* bytes: far beyond RULE_SET_MAX rules with a comment each */

struct rule_set {
	struct rule *rules;
	size_t n, cap;
};

#define RULE_SET_INIT ((struct rule_set){ 0 })

void rule_set_release(struct rule_set *set);

/* Adds one rule. 0, -EINVAL with *ret_error filled, or -ENOMEM. */
int rule_set_add(struct rule_set *set, const char *text, size_t len, struct rule_error *ret_error);

/* Adds the rules of a file's text; stops at the first error, whose line is in *ret_error (then earlier lines are in the set). */
int rule_set_add_lines(struct rule_set *set, const char *text, size_t len,
		       struct rule_error *ret_error);

/* Adds the rules of a file. -EINVAL: *ret_error tells; any other -errno: the file could not be read (-EFBIG: too large). */
int rule_set_add_file(struct rule_set *set, const char *path, struct rule_error *ret_error);

#endif
