/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * screen.h - lines of text for people, laid out in memory: clipped to a width, styled, and safe to print.
 *
 * Names come from whoever starts a process. What is no printable character of the user's locale (a control character, a
 * broken sequence, a letter that reorders the line) is shown as "?", so nothing in a name moves the cursor. "µ" is
 * "u" outside UTF-8. A column is one cell of the terminal; wide characters take two.
 *
 *	screen_begin(&s, &terminal, 80);
 *	screen_put(&s, STYLE_BOLD, "CPU");
 *	screen_to(&s, 6);
 *	screen_printf(&s, STYLE_PLAIN, "%s busy", text);
 *	screen_end_line(&s);
 */
#ifndef MBTRACE_TUI_SCREEN_H
#define MBTRACE_TUI_SCREEN_H

#include "base/buf.h"
#include "tui/terminal.h"

struct screen {
	const struct terminal *terminal;
	struct buf text; /* whole lines, with what ends each on this terminal */
	struct buf scratch;
	unsigned int width;
	unsigned int column; /* of the line being written */
	unsigned int n_lines; /* ended */
};

void screen_begin(struct screen *s, const struct terminal *t, unsigned int width);
void screen_release(struct screen *s);

/* Appends text at the cursor; what does not fit the line is left out. */
void screen_put(struct screen *s, enum style style, const char *text);
void screen_printf(struct screen *s, enum style style, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Appends text in a field of so many columns, at its left or right end; clipped to it. */
void screen_left(struct screen *s, enum style style, const char *text, unsigned int width);
void screen_right(struct screen *s, enum style style, const char *text, unsigned int width);
/* Blanks up to a column; none if the cursor is there or beyond. */
void screen_to(struct screen *s, unsigned int column);
void screen_end_line(struct screen *s);

/* Drops all lines beyond the first `keep`. */
void screen_cut(struct screen *s, unsigned int keep);
/* How many columns the text takes. */
unsigned int screen_width_of(struct screen *s, const char *text);

#endif
