// SPDX-License-Identifier: BSD-2-Clause
/*
 * DESIGN. A sample is a block of lines: the system, what fires, the processes, cost and trust. On a terminal the first block pushes
 * what was on the screen up, where it can be scrolled back to, and each block is drawn over the one before from the upper
 * left corner, line by line, so that nothing flickers. The corner and not "so many lines up": a resized window, or a message
 * on the same terminal, would leave the cursor elsewhere. The block is a line shorter than the window, or it would scroll.
 * Elsewhere (a pipe, a file, a dumb terminal) blocks follow each other with an empty line between.
 */
#include "tui/table.h"

#include "base/macros.h"
#include "base/units.h"
#include "tui/block.h"
#include "tui/columns.h"

#define MIN_PROCESSES 3 /* shown in however low a window, before lines of the system */
#define REDRAW_DEVICES 4
#define REDRAW_ALERTS 5

struct sink {
	struct output *output;
	struct view view;
	uint64_t top; /* as asked for; view.options.top is what fits */
	struct terminal terminal;
	struct about about;
	struct firing firing;
	struct screen system, alerts, processes, trust;
	struct buf text;
	unsigned int drawn, drawn_width,
		drawn_lines; /* the block on the screen: its lines, and the window's size */
	uint64_t samples;
};

static void table_close(struct sink *s)
{
	if (!s)
		return;
	terminal_close(&s->terminal);
	view_release(&s->view);
	firing_release(&s->firing);
	screen_release(&s->system);
	screen_release(&s->alerts);
	screen_release(&s->processes);
	screen_release(&s->trust);
	buf_release(&s->text);
	free(s);
}

static int table_open(const struct sink_options *options, struct output *output,
		      struct sink **ret_sink)
{
	struct sink *s = calloc(1, sizeof(*s));
	int err;

	if (!s)
		return -ENOMEM;
	s->output = output;
	s->top = options->top;
	terminal_open(&s->terminal, output->fd, options->color, options->redraw);
	err = view_init(&s->view, options, "cpu_ns");
	if (err) {
		table_close(s);
		return err;
	}
	*ret_sink = s;
	return 0;
}

static int table_header(struct sink *s, const struct record_header *header)
{
	about_set(&s->about, header, &s->view);
	return 0;
}

static int table_alert(struct sink *s, const struct record_alert *alert)
{
	return firing_update(&s->firing, alert);
}

/* The processes in as many lines, their title included (0: no limit). */
static int draw_processes(struct sink *s, const struct snapshot *snapshot, bool whole,
			  unsigned int width, unsigned int max_lines)
{
	struct columns columns;
	int err;

	s->view.options.top = s->top;
	if (max_lines && (!s->top || s->top > max_lines - 1))
		s->view.options.top = max_lines - 1;
	err = view_select(&s->view, snapshot, whole);
	if (err)
		return err;
	screen_begin(&s->processes, &s->terminal, width);
	if (!max_lines ||
	    s->view.rows.n_shown + 2 <= max_lines) /* the window has room for an empty line */
		screen_end_line(&s->processes);
	columns_choose(&columns, &s->view.key, s->view.options.cmdline, width);
	columns_title(&columns, &s->processes, &s->view.key);
	for (size_t i = 0; i < s->view.rows.n_shown; i++)
		columns_row(&columns, &s->processes, &s->view, s->view.rows.shown[i],
			    snapshot->interval_ns);
	return 0;
}

/*
 * Draws the parts of a block into at most max_lines (0: no limit). In a low window lines of the system go first, so that
 * some processes are seen; alerts and trust always are.
 */
static int draw_parts(struct sink *s, const struct snapshot *snapshot, bool whole,
		      unsigned int width, unsigned int max_lines)
{
	unsigned int left, least = 1 + MIN_PROCESSES;
	int err;

	screen_begin(&s->system, &s->terminal, width);
	block_system(&s->system, &s->about, snapshot, max_lines ? REDRAW_DEVICES : 0);
	screen_begin(&s->alerts, &s->terminal, width);
	block_alerts(&s->alerts, &s->view, &s->firing, snapshot->time_ns,
		     max_lines ? REDRAW_ALERTS : 0);
	if (!max_lines)
		return draw_processes(s, snapshot, whole, width, 0);
	left = max_lines - MIN(max_lines, s->alerts.n_lines + BLOCK_TRUST_LINES);
	screen_cut(&s->system, left > least ? left - least : 0);
	left -= s->system.n_lines;
	err = draw_processes(s, snapshot, whole, width, MAX(left, 2u));
	screen_cut(&s->processes, left);
	return err;
}

/* Puts the parts together, the trust line with what draw_processes() hid. */
static int join_parts(struct sink *s, const struct snapshot *snapshot, unsigned int width)
{
	const struct screen *const parts[] = { &s->system, &s->alerts, &s->processes, &s->trust };

	screen_begin(&s->trust, &s->terminal, width);
	block_trust(&s->trust, snapshot, &s->view.trust);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		buf_add(&s->text, parts[i]->text.data, parts[i]->text.len);
		if (parts[i]->text.failed)
			return -ENOMEM;
	}
	return s->text.failed ? -ENOMEM : 0;
}

static int write_out(struct sink *s)
{
	return s->text.failed ? -ENOMEM : output_write(s->output, s->text.data, s->text.len);
}

static void begin_block(struct sink *s, unsigned int window_lines)
{
	buf_reset(&s->text);
	if (!s->terminal.redraw) {
		buf_adds(&s->text, s->samples ? "\n" : "");
		return;
	}
	for (unsigned int i = 0; !s->samples && i < window_lines; i++)
		buf_addc(&s->text, '\n');
	buf_adds(&s->text, s->terminal.home);
}

static int table_sample(struct sink *s, const struct snapshot *snapshot)
{
	unsigned int width, lines;
	int err;

	terminal_size(&s->terminal, &width, &lines);
	begin_block(s, lines);
	/* A character in the last cell makes some terminals wrap or clear it. */
	width -= s->terminal.redraw;
	err = draw_parts(s, snapshot, false, width, s->terminal.redraw ? MAX(lines, 2u) - 1 : 0);
	if (!err)
		err = join_parts(s, snapshot, width);
	if (err)
		return err;
	if (s->terminal.redraw)
		buf_adds(&s->text, s->terminal.clear_below);
	s->samples++;
	firing_sweep(&s->firing);
	return write_out(s);
}

static int table_summary(struct sink *s, const struct record_summary *summary)
{
	char elapsed[UNITS_TEXT_LEN];
	unsigned int width, lines;
	int err;

	terminal_size(&s->terminal, &width, &lines);
	buf_reset(&s->text);
	screen_begin(&s->alerts, &s->terminal, width);
	screen_printf(&s->alerts, STYLE_BOLD, "SUMMARY of %llu sample%s in %s, %llu alert%s fired",
		      (unsigned long long)summary->samples, summary->samples == 1 ? "" : "s",
		      units_format_duration(summary->elapsed_ns, elapsed),
		      (unsigned long long)summary->alerts_fired,
		      summary->alerts_fired == 1 ? "" : "s");
	screen_end_line(&s->alerts);
	buf_addc(&s->text, '\n');
	buf_add(&s->text, s->alerts.text.data, s->alerts.text.len);
	err = draw_parts(s, summary->whole, true, width - s->terminal.redraw, 0);
	if (!err)
		err = join_parts(s, summary->whole, width - s->terminal.redraw);
	return err ? err : write_out(s);
}

const struct sink_ops table_sink = {
	.name = "table",
	.open = table_open,
	.header = table_header,
	.sample = table_sample,
	.alert = table_alert,
	.summary = table_summary,
	.close = table_close,
};
