// SPDX-License-Identifier: BSD-2-Clause
#include <locale.h>
#include <string.h>

#include "base/macros.h"
#include "base/suggest.h"
#include "cli/command.h"

#define CONFIG_FILE "/etc/mbtrace.conf"

const struct command *const commands[] = { &monitor_command, &doctor_command, &help_command, NULL };

struct global_options {
	const char *config, *log_level, *log_format;
	bool quiet, version, help;
};

#define GLOBAL(member) offsetof(struct global_options, member)

static const struct option global_options[] = {
	{ "config", 0, OPTION_TEXT, "FILE", "read options from FILE", GLOBAL(config),
	  .command_line_only = true },
	{ "log-level", 0, OPTION_CHOICE, "LEVEL", "debug, info, warning or error",
	  GLOBAL(log_level), .choices = "debug|info|warning|error", .fallback = "info" },
	{ "log-format", 0, OPTION_CHOICE, "FORMAT", "messages as text or json", GLOBAL(log_format),
	  .choices = "text|json", .fallback = "text" },
	{ "quiet", 'q', OPTION_FLAG, NULL, "only errors", GLOBAL(quiet) },
	{ "version", 'V', OPTION_FLAG, NULL, "print the version", GLOBAL(version),
	  .command_line_only = true },
	{ "help", 'h', OPTION_FLAG, NULL, "print this help", GLOBAL(help), .command_line_only = true },
};

static void print(const struct buf *b)
{
	fwrite(buf_str(b), 1, b->len, stdout);
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

static const char *next_command(const void *context, size_t i)
{
	return commands[i] ? commands[i]->name : NULL;
}

static int unknown_command(const struct log *log, const char *name)
{
	const char *near[1];

	if (suggest_nearest(name, next_command, NULL, near, ARRAY_SIZE(near)))
		log_error(log, "cli", "no command \"%s\"; did you mean %s?", name, near[0]);
	else
		log_error(log, "cli", "no command \"%s\"; `mbtrace help` lists them", name);
	return EXIT_USAGE;
}

static void print_overview(FILE *to)
{
	cleanup_buf struct buf b = BUF_INIT;

	buf_adds(&b, "mbtrace: where a Linux machine's time goes\n\n"
		     "usage: mbtrace [GLOBAL] COMMAND [OPTION]...\n\ncommands:\n");
	for (size_t i = 0; commands[i]; i++)
		buf_printf(&b, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
	buf_adds(&b, "\nglobal options, before the command:\n");
	options_help(global_options, ARRAY_SIZE(global_options), &b);
	buf_adds(&b, "\n`mbtrace help COMMAND` tells more. Start with: sudo mbtrace monitor\n");
	fwrite(buf_str(&b), 1, b.len, to);
}

void command_help(const struct command *command)
{
	cleanup_buf struct buf b = BUF_INIT;

	buf_printf(&b, "%s: %s\n\nusage: mbtrace %s%s\n", command->name, command->summary,
		   command->name, command->usage);
	if (command->n_options)
		buf_adds(&b, "\n");
	options_help(command->options, command->n_options, &b);
	if (command->text)
		buf_printf(&b, "\n%s", command->text);
	print(&b);
}

int command_options(const struct command_context *context, const struct command *command,
		    void *values, int argc, char **argv, struct option_values *ret_values,
		    int *ret_rest)
{
	cleanup_buf struct buf error = BUF_INIT;
	struct option_values *v = ret_values;
	const char *file = context->config_file ? context->config_file : CONFIG_FILE;
	int err;

	*v = (struct option_values){ .command = command->name,
				     .table = command->options,
				     .n = command->n_options,
				     .values = values };
	options_defaults(v);
	err = options_file(v, file, context->config_file != NULL, &error);
	if (!err)
		err = options_environment(v, &error);
	if (!err)
		err = options_command_line(v, argc, argv, ret_rest, &error);
	if (!err)
		return EXIT_DONE;
	log_error(context->log, command->name, "%s", buf_str(&error));
	options_release(v);
	return EXIT_USAGE;
}

int command_no_operands(const struct command_context *context, const struct command *command,
			int argc, char **argv, int rest)
{
	if (rest >= argc)
		return EXIT_DONE;
	log_error(context->log, command->name, "\"%s\" is not an option, and %s takes nothing else",
		  argv[rest], command->name);
	return EXIT_USAGE;
}

static int help_run(const struct command_context *context, int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		print_overview(stdout);
		return EXIT_DONE;
	}
	command = find_command(argv[1]);
	if (!command)
		return unknown_command(context->log, argv[1]);
	command_help(command);
	return EXIT_DONE;
}

const struct command help_command = {
	.name = "help",
	.summary = "what a command does and its options",
	.usage = " [COMMAND]",
	.run = help_run,
};

/* Index of the command in argv: behind the global options and their values. */
static int command_index(int argc, char **argv)
{
	int i = 1;

	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *name = argv[i] + 2;

		if (strcmp(argv[i], "--") == 0)
			return i + 1;
		for (size_t k = 0; k < ARRAY_SIZE(global_options); k++)
			if (argv[i][1] == '-' && global_options[k].value &&
			    strcmp(global_options[k].name, name) == 0)
				i++;
	}
	return MIN(i, argc);
}

static bool asks_for_help(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return true;
	return false;
}

/* Reads the options before the command; 0 or an exit code. */
static int read_globals(struct global_options *globals, struct option_values *v, struct log *log,
			int argc, char **argv)
{
	cleanup_buf struct buf error = BUF_INIT;
	int rest, err;

	*v = (struct option_values){ .command = "global",
				     .table = global_options,
				     .n = ARRAY_SIZE(global_options),
				     .values = globals };
	options_defaults(v);
	err = options_environment(v, &error);
	if (!err)
		err = options_command_line(v, argc, argv, &rest, &error);
	if (err) {
		log_error(log, "cli", "%s", buf_str(&error));
		return EXIT_USAGE;
	}
	log_level_parse(globals->quiet ? "error" : globals->log_level, &log->level);
	log->json = strcmp(globals->log_format, "json") == 0;
	return EXIT_DONE;
}

static int dispatch(const struct global_options *globals, const struct log *log, int argc, char **argv)
{
	struct command_context context = { .log = log, .config_file = globals->config };
	const struct command *command;

	if (globals->version) {
		puts("mbtrace " MBTRACE_VERSION);
		return EXIT_DONE;
	}
	if (globals->help) {
		print_overview(stdout);
		return EXIT_DONE;
	}
	if (!argc) {
		print_overview(stderr);
		return EXIT_USAGE;
	}
	command = find_command(argv[0]);
	if (!command)
		return unknown_command(log, argv[0]);
	if (asks_for_help(argc, argv)) {
		command_help(command);
		return EXIT_DONE;
	}
	return command->run(&context, argc, argv);
}

int main(int argc, char **argv)
{
	struct log log = { .fd = STDERR_FILENO, .level = LOG_INFO };
	struct global_options globals = { 0 };
	struct option_values values;
	int at = command_index(argc, argv), code;

	/* A locale that does not exist leaves the C locale, which is fine. */
	setlocale(LC_CTYPE, "");
	code = read_globals(&globals, &values, &log, at, argv);
	if (!code)
		code = dispatch(&globals, &log, argc - at, argv + at);
	options_release(&values);
	if (fflush(stdout) != 0 && errno != EPIPE && !code)
		code = EXIT_FAILED;
	return code;
}
