/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * options.h - options as data: one const table a command, from which command line, environment, file and help all come.
 *
 * A row says where in the command's struct its value goes, how it is read, and what is allowed. Values are applied in the
 * order built-in default, file, environment, command line: the later wins; lists add up. Texts are borrowed from where they
 * came from (argv, the environment) or kept by `struct option_values`.
 *
 * In a file, a section is a command and a key an option's name without dashes:
 *	[monitor]
 *	interval = 5s
 * In the environment, the same is MBTRACE_MONITOR_INTERVAL=5s.
 *
 * Every function that can refuse a value returns 0 or -EINVAL and then has said why, in one line, in `error`.
 */
#ifndef MBTRACE_CONFIG_OPTIONS_H
#define MBTRACE_CONFIG_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum option_kind {
	OPTION_FLAG, /* bool */
	OPTION_TEXT, /* const char * */
	OPTION_CHOICE, /* const char *, one of `choices` */
	OPTION_NAMES, /* const char *, a comma-separated list out of `choices` */
	OPTION_COUNT, /* uint64_t */
	OPTION_DURATION, /* uint64_t, ns */
	OPTION_SIZE, /* uint64_t, bytes */
	OPTION_PERCENT, /* double */
	OPTION_LIST, /* struct option_list: may be given again */
};

#define OPTION_LIST_MAX 256 /* alert rules on a command line; longer sets belong in a file */

struct option_list {
	const char *items[OPTION_LIST_MAX];
	size_t n;
};

struct option {
	const char *name; /* without dashes */
	char letter; /* 0: no short form */
	enum option_kind kind;
	const char *value; /* what the value is called in help; NULL for flags, and "[…]" marks it optional */
	const char *help; /* one line */
	size_t offset; /* of the member in the command's struct */
	const char *choices; /* "a|b|c" */
	const char *fallback; /* built-in default as a text, shown in help; NULL: none */
	uint64_t min, max; /* of numbers; max 0: no bound */
	const char *implied; /* value when the option is given without one (value "[…]") */
	bool command_line_only; /* neither file nor environment may set it */
};

/* Everything that a set of options is parsed into. */
struct option_values {
	const char *command; /* section of the file, part of the environment's names */
	const struct option *table;
	size_t n;
	void *values; /* the command's struct */
	char **kept; /* texts of files */
	size_t n_kept;
};

void options_release(struct option_values *v);
/* Sets every member that has a built-in default. The table's defaults are right, so this cannot fail. */
void options_defaults(struct option_values *v);
/* Applies the section of a file and of its drop-in folder FILE.d (*.conf, in order of names). A missing file is no error unless `must_exist`. */
int options_file(struct option_values *v, const char *path, bool must_exist, struct buf *error);
int options_environment(struct option_values *v, struct buf *error);
/*
 * Reads argv[1..argc) (argv[0] is the command's name). *ret_rest is the index of the first operand; argv may be permuted,
 * operands last, "--" ends options.
 */
int options_command_line(struct option_values *v, int argc, char **argv, int *ret_rest,
			 struct buf *error);
/* One line or two an option, aligned. */
void options_help(const struct option *table, size_t n, struct buf *out);
/* Whether `name` is one of "a|b|c". */
bool option_is_choice(const char *choices, const char *name, size_t len);

#endif
