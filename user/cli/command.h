/* SPDX-License-Identifier: BSD-2-Clause */
/* command.h - what every command is: a row of main.c's table, and what it gets from there. */
#ifndef MBTRACE_CLI_COMMAND_H
#define MBTRACE_CLI_COMMAND_H

#include "agent/monitor.h"
#include "base/log.h"
#include "config/options.h"

struct command_context {
	const struct log *log;
	const char *config_file; /* --config; NULL: the default one, if it exists */
};

struct command {
	const char *name;
	const char *summary; /* one line of `mbtrace help` */
	const char *usage; /* behind "mbtrace NAME" */
	const char *text; /* behind the options in `mbtrace help NAME` */
	const struct option *options;
	size_t n_options;
	/* argv[0] is the command's name. Returns an exit code. */
	int (*run)(const struct command_context *context, int argc, char **argv);
};

/* Every command, NULL-terminated. */
extern const struct command *const commands[];
extern const struct command monitor_command, doctor_command, help_command;

/*
 * Reads file, environment and command line of a command into `values`; 0, or an exit code after having said what is
 * wrong. `*ret_rest` is the first operand. The values are released with options_release().
 */
int command_options(const struct command_context *context, const struct command *command,
		    void *values, int argc, char **argv, struct option_values *ret_values,
		    int *ret_rest);
/* Refuses operands where a command takes none. */
int command_no_operands(const struct command_context *context, const struct command *command,
			int argc, char **argv, int rest);
/* Prints `mbtrace help NAME`. */
void command_help(const struct command *command);

#endif
