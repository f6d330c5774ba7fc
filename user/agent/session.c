// SPDX-License-Identifier: BSD-2-Clause
#include "agent/session.h"

#include <math.h>
#include <string.h>

#include "base/macros.h"
#include "base/units.h"

#define TABLE_TOP 10 /* processes in a table, unless told otherwise */

/* Why a rule was refused, with a caret below the place. */
static int refuse_rule(const struct session *s, const struct rule_error *error, const char *source)
{
	cleanup_buf struct buf text = BUF_INIT;

	rule_error_format(error, source, &text);
	while (text.len && text.data[text.len - 1] == '\n')
		text.data[--text.len] = 0;
	log_error(s->log, "alert", "%s", buf_str(&text));
	return EXIT_USAGE;
}

static int load_rules(struct session *s)
{
	const struct monitor_options *o = s->options;
	struct rule_error error;

	for (size_t i = 0; i < o->alerts.n; i++) {
		int err = rule_set_add(&s->rules, o->alerts.items[i], strlen(o->alerts.items[i]),
				       &error);

		if (err == -EINVAL)
			return refuse_rule(s, &error, "--alert");
		if (err)
			return EXIT_FAILED;
	}
	if (o->alert_file) {
		int err = rule_set_add_file(&s->rules, o->alert_file, &error);

		if (err == -EINVAL)
			return refuse_rule(s, &error, o->alert_file);
		if (err) {
			log_error(s->log, "alert", "--alert-file: %s: %s", o->alert_file,
				  strerror(-err));
			return EXIT_USAGE;
		}
	}
	return EXIT_DONE;
}

/* A value as people write it, in the unit of the rule's metric. */
static void write_value(const struct session *s, const struct record_alert *alert, struct buf *line)
{
	enum metric_unit unit = UNIT_NONE;
	char text[UNITS_TEXT_LEN];

	for (size_t i = 0; i < s->rules.n; i++)
		if (strcmp(rule_label(&s->rules.rules[i]), alert->rule) == 0)
			unit = s->rules.rules[i].metric->unit;
	if (isnan(alert->value))
		buf_adds(line, "not measured");
	else if (unit == UNIT_NS && alert->value >= 0)
		buf_adds(line, units_format_duration(alert->value, text));
	else if (unit == UNIT_BYTES && alert->value >= 0)
		buf_adds(line, units_format_size(alert->value, text));
	else
		buf_printf(line, "%g%s", alert->value, unit == UNIT_PCT ? "%" : "");
}

/* "pid 12 (name)"; the name only where it may be seen. */
static void write_process(const struct session *s, uint64_t pid, const char *comm, struct buf *line)
{
	buf_printf(line, "pid %llu", (unsigned long long)pid);
	if (comm && !s->options->redact)
		buf_printf(line, " (%s)", comm);
}

/* One alert as a message: what, about whom, why, and who is behind it. */
static void log_alert(const struct session *s, const struct record_alert *alert)
{
	cleanup_buf struct buf line = BUF_INIT;
	bool grave = alert->state == ALERT_FIRING || alert->state == ALERT_NODATA;

	buf_printf(&line, "%s %s: %s is ", alert->rule, alert_state_name(alert->state),
		   alert->metric);
	write_value(s, alert, &line);
	if (alert->has_process) {
		buf_adds(&line, ", ");
		write_process(s, alert->pid, alert->comm, &line);
	}
	if (alert->row)
		buf_printf(&line, ", %s", alert->row);
	if (alert->reason)
		buf_printf(&line, ", %s", alert->reason);
	for (size_t i = 0; i < alert->n_culprits; i++) {
		buf_adds(&line, i ? ", " : "; most by ");
		write_process(s, alert->culprits[i].pid, alert->culprits[i].comm, &line);
	}
	log_write(s->log, grave ? LOG_WARNING : LOG_INFO, "alert", "%s", buf_str(&line));
}

/* One alert: to the output, to the log, to the command. */
static void on_alert(const struct record_alert *alert, void *context)
{
	cleanup_buf struct buf line = BUF_INIT;
	struct record_alert shown = *alert;
	struct session *s = context;

	emit_alert(&s->emit, alert);
	log_alert(s, alert);
	if (!s->action || (alert->state != ALERT_FIRING && alert->state != ALERT_RESOLVED))
		return;
	/* The command's environment is output too. */
	if (s->options->redact)
		shown.comm = NULL;
	if (json_alert_text(&s->sink_options, alert, &line) == 0 &&
	    action_start(s->action, &shown, buf_str(&line), line.len))
		log_warning(s->log, "alert",
			    "--on-alert: an alert of \"%s\" is dropped: too many wait", alert->rule);
}

static void on_action_end(const struct action_end *end, void *context)
{
	const struct session *s = context;
	char text[80];

	if (end->how != SPAWN_EXITED || end->code != 0)
		log_warning(s->log, "alert", "--on-alert: the command for \"%s\": %s", end->rule,
			    action_end_text(end, text, sizeof(text)));
}

static int open_alerts(struct session *s)
{
	struct engine_options engine = { .report = on_alert, .context = s };
	struct action_options action = { .ended = on_action_end, .context = s };
	struct rule_error error;
	int err, code = load_rules(s);

	if (code || !s->rules.n)
		return code;
	err = engine_new(&s->rules, &engine, &s->engine);
	if (!err && s->options->on_alert) {
		err = action_new(s->options->on_alert, &action, &s->action, &error);
		if (err == -EINVAL || err == -ENOENT || err == -EACCES)
			return refuse_rule(s, &error, "--on-alert");
	}
	if (err)
		log_error(s->log, "alert", "cannot watch for alerts: %s", strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}

static const char *output_name(const struct session *s)
{
	return s->options->output ? s->options->output : "standard output";
}

static int open_output(struct session *s)
{
	const struct monitor_options *o = s->options;
	bool terminal = !o->output && isatty(STDOUT_FILENO);
	const char *term = getenv("TERM");
	int err;

	s->sink_options = (struct sink_options){ .top = o->top,
						 .sort = o->sort,
						 .histograms = o->histograms,
						 .cmdline = o->cmdline,
						 .redact = o->redact };
	s->sink_options.redraw = terminal && term && strcmp(term, "dumb") != 0;
	if (strcmp(o->color, "auto") == 0)
		s->sink_options.color = s->sink_options.redraw && !getenv("NO_COLOR");
	else
		s->sink_options.color = strcmp(o->color, "always") == 0;
	if (o->top == METRIC_NULL)
		s->sink_options.top = strcmp(o->format, "table") == 0 ? TABLE_TOP : 0;
	err = emit_open(&s->emit, o->format, o->output, &s->sink_options);
	if (err)
		log_error(s->log, "monitor", "cannot write to %s: %s", output_name(s),
			  strerror(-err));
	return err ? EXIT_FAILED : EXIT_DONE;
}

int session_open(struct session *s, const struct monitor_options *options, const struct log *log)
{
	int code;

	*s = (struct session){ .options = options, .log = log, .rules = RULE_SET_INIT };
	s->emit.output = OUTPUT_INIT;
	code = open_alerts(s);
	return code ? code : open_output(s);
}

int session_header(struct session *s, const struct record_header *header)
{
	return emit_header(&s->emit, header);
}

int session_sample(struct session *s, const struct snapshot *snapshot)
{
	/* The alerts that a sample brings about come before it. */
	if (s->engine && engine_evaluate(s->engine, snapshot))
		log_warning(s->log, "alert", "no memory to hold all rules against a sample");
	return emit_sample(&s->emit, snapshot);
}

int session_finish(struct session *s)
{
	uint64_t fired = 0;
	int err;

	if (s->engine) {
		engine_finish(s->engine);
		fired = engine_stats(s->engine).fired;
		if (engine_stats(s->engine).overflow)
			log_warning(s->log, "alert",
				    "%llu times a rule held and there was no room for its alert",
				    (unsigned long long)engine_stats(s->engine).overflow);
	}
	err = emit_finish(&s->emit, fired);
	/* A reader that went away has seen what it wanted. */
	if (err && err != -EPIPE) {
		log_error(s->log, "monitor",
			  "cannot write to %s: %s; what was written so far is whole lines",
			  output_name(s), strerror(-err));
		return EXIT_FAILED;
	}
	return s->options->alert_exit && fired ? EXIT_ALERTED : EXIT_DONE;
}

void session_close(struct session *s)
{
	struct action_stats stats = { 0 };

	if (s->action)
		action_close(s->action, ACTION_CLOSE_NS, &stats);
	if (stats.dropped)
		log_warning(s->log, "alert", "--on-alert: %llu alerts in all were dropped",
			    (unsigned long long)stats.dropped);
	engine_free(s->engine);
	rule_set_release(&s->rules);
	emit_close(&s->emit);
}

int session_fd(const struct session *s)
{
	return s->action ? action_fd(s->action) : -1;
}

void session_poll(struct session *s)
{
	if (s->action)
		action_poll(s->action);
}
