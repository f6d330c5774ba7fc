// SPDX-License-Identifier: BSD-2-Clause
#include <string.h>
#include <sys/utsname.h>

#include "agent/doctor.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/macros.h"
#include "cli/command.h"

#define SCHEMA 1 /* goes up only when a reader of the old one would be wrong */

struct doctor_options {
	const char *format;
};

static const struct option options[] = {
	{ "format", 'f', OPTION_CHOICE, "FORMAT", "text or json",
	  offsetof(struct doctor_options, format), .choices = "text|json", .fallback = "text" },
};

static const char help_text[] =
	"Says of every source, hook, capability, mount, limit and setting whether it is available, has a fallback or is\n"
	"absent, why, and what to do about it. Needs no privilege; with it, hooks are tried and not only looked up.\n"
	"Exit: 0 monitor would work, 4 it would not.\n";

static const struct {
	const char *group, *title;
} groups[] = {
	{ "source", "sources" },
	{ "feature", "features of the kernel" },
	{ "hook", "hooks" },
	{ "capability", "capabilities" },
	{ "mount", "mounts" },
	{ "limit", "limits" },
	{ "kernel", "state of the kernel" },
	{ "setting", "settings" },
};

/* `*said` is the mend that was printed last: a screenful of the same advice helps nobody. */
static void print_finding(const struct finding *f, const char **said, struct buf *b)
{
	buf_printf(b, "  %-9s  %s%s", finding_status_name(f->status), f->name,
		   f->required ? " *" : "");
	if (f->feeds)
		buf_printf(b, " (%s)", f->feeds);
	buf_addc(b, '\n');
	if (f->reason[0])
		buf_printf(b, "             %s\n", f->reason);
	if (!f->mend[0])
		return;
	buf_printf(b, "             to mend it: %s\n",
		   strcmp(f->mend, *said) == 0 ? "the same" : f->mend);
	*said = f->mend;
}

static void print_text(const struct doctor_report *r, const struct utsname *host, struct buf *b)
{
	buf_printf(b, "mbtrace " MBTRACE_VERSION " on Linux %s %s\n", host->release, host->machine);
	if (!r->tried)
		buf_adds(b, "Looked up only: without privilege nothing can be tried.\n");
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		const char *said = "";

		buf_printf(b, "\n%s\n", groups[i].title);
		for (size_t k = 0; k < r->n; k++)
			if (strcmp(r->findings[k].group, groups[i].group) == 0)
				print_finding(&r->findings[k], &said, b);
	}
	buf_adds(b, "\n* is required.\n");
	if (r->works)
		buf_adds(b, "`mbtrace monitor` works here.\n");
	else
		buf_printf(b, "`mbtrace monitor` does not work here: %s\n", r->reason);
}

static const char *text_or_null(const char *text)
{
	return text && *text ? text : NULL;
}

static void print_json(const struct doctor_report *r, const struct utsname *host, struct buf *b)
{
	struct json j = JSON_INIT(b);

	json_object(&j, NULL);
	json_u64(&j, "schema", SCHEMA);
	json_str(&j, "version", MBTRACE_VERSION);
	json_object(&j, "host");
	json_str(&j, "kernel", host->release);
	json_str(&j, "machine", host->machine);
	json_end(&j);
	json_bool(&j, "works", r->works);
	json_bool(&j, "tried", r->tried);
	json_str(&j, "reason", text_or_null(r->reason));
	json_array(&j, "findings");
	for (size_t i = 0; i < r->n; i++) {
		const struct finding *f = &r->findings[i];

		json_object(&j, NULL);
		json_str(&j, "group", f->group);
		json_str(&j, "name", f->name);
		json_str(&j, "status", finding_status_name(f->status));
		json_bool(&j, "required", f->required);
		json_str(&j, "feeds", f->feeds);
		json_str(&j, "reason", text_or_null(f->reason));
		json_str(&j, "mend", text_or_null(f->mend));
		json_end(&j);
	}
	json_end(&j);
	json_end(&j);
	buf_addc(b, '\n');
}

static int report(const struct command_context *context, const struct doctor_options *o)
{
	cleanup_buf struct buf b = BUF_INIT;
	struct doctor_report r;
	struct utsname host;
	int err = doctor_examine(&r), code;

	uname(&host);
	code = r.works ? EXIT_DONE : EXIT_CANNOT;
	if (strcmp(o->format, "json") == 0)
		print_json(&r, &host, &b);
	else
		print_text(&r, &host, &b);
	doctor_release(&r);
	if (err || b.failed) {
		log_error(context->log, "doctor", "out of memory");
		return EXIT_FAILED;
	}
	if (fwrite(buf_str(&b), 1, b.len, stdout) < b.len || fflush(stdout)) {
		if (errno == EPIPE)
			return code;
		log_error(context->log, "doctor", "cannot write: %s", strerror(errno));
		return EXIT_FAILED;
	}
	return code;
}

static int doctor_main(const struct command_context *context, int argc, char **argv)
{
	struct doctor_options o = { 0 };
	struct option_values values;
	int rest, code = command_options(context, &doctor_command, &o, argc, argv, &values, &rest);

	if (code)
		return code;
	code = command_no_operands(context, &doctor_command, argc, argv, rest);
	if (!code)
		code = report(context, &o);
	options_release(&values);
	return code;
}

const struct command doctor_command = {
	.name = "doctor",
	.summary = "what works on this machine, and what to do about the rest",
	.usage = " [--format text|json]",
	.text = help_text,
	.options = options,
	.n_options = ARRAY_SIZE(options),
	.run = doctor_main,
};
