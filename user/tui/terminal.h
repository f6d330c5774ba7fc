/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * terminal.h - what the output can show: its size, colours, redrawing, letters beyond ASCII. The one user of curses' terminfo.
 *
 * Everything that has to be read from files (terminfo, locale, time zone) is read by terminal_open(), before a sandbox. An output
 * that is no terminal, or one that can do little (TERM=dumb, unset or unknown), simply has empty sequences. The process's own
 * locale is never changed.
 */
#ifndef MBTRACE_TUI_TERMINAL_H
#define MBTRACE_TUI_TERMINAL_H

#include <locale.h>
#include <stdbool.h>

#include "base/buf.h"

enum style {
	STYLE_PLAIN,
	STYLE_BOLD,
	STYLE_DIM,
	STYLE_GOOD, /* green */
	STYLE_NOTICE, /* yellow */
	STYLE_BAD, /* red */
	STYLE_DISK, /* magenta */
	STYLE_ALARM, /* bold, red, reversed */
	STYLE_COUNT
};

#define TERMINAL_SEQUENCE_LEN 48
#define TERMINAL_PLAIN_WIDTH 120 /* of what is no terminal and has no COLUMNS */

struct terminal {
	int fd; /* not owned */
	bool redraw; /* asked for, and possible */
	locale_t locale; /* characters as the user's environment has them; (locale_t)0: plain ASCII */
	bool utf8;
	char styles[STYLE_COUNT][TERMINAL_SEQUENCE_LEN]; /* that of STYLE_PLAIN ends the others */
	/* Of a terminal that is redrawn: to the upper left corner; clear to the end of the line; of the screen. */
	char home[TERMINAL_SEQUENCE_LEN], clear_line[TERMINAL_SEQUENCE_LEN],
		clear_below[TERMINAL_SEQUENCE_LEN];
};

void terminal_open(struct terminal *t, int fd, bool color, bool redraw);
void terminal_close(struct terminal *t);

/* As it is now: windows are resized. Without a terminal COLUMNS and LINES count, and there is no end of lines (0). */
void terminal_size(const struct terminal *t, unsigned int *ret_columns, unsigned int *ret_lines);

#endif
