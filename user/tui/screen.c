// SPDX-License-Identifier: BSD-2-Clause
#include "tui/screen.h"

#include <stdarg.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "base/utf8.h"

#define UNREADABLE "?"

void screen_begin(struct screen *s, const struct terminal *t, unsigned int width)
{
	s->terminal = t;
	s->width = width;
	s->column = s->n_lines = 0;
	buf_reset(&s->text);
}

void screen_release(struct screen *s)
{
	buf_release(&s->text);
	buf_release(&s->scratch);
}

/* The code point of a valid sequence of `len` bytes. */
static wchar_t decode(const char *text, size_t len)
{
	static const unsigned char first_bits[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	wchar_t c = (unsigned char)*text & first_bits[len];

	for (size_t i = 1; i < len; i++)
		c = c << 6 | ((unsigned char)text[i] & 0x3f);
	return c;
}

/*
 * One character of text as it is shown: its bytes, how many columns they take, and how many bytes of text it was. Asked of
 * wcwidth() under the terminal's locale, which callers have put on.
 */
static const char *next_shown(const struct terminal *t, const char *text, size_t n, size_t *ret_len,
			      unsigned int *ret_columns, size_t *ret_used)
{
	size_t len = utf8_len(text, n);
	int columns;

	*ret_used = len ? len : 1;
	*ret_len = *ret_columns = 1;
	if (len == 1)
		return *text >= 0x20 && *text != 0x7f ? text : UNREADABLE;
	if (len == 2 && memcmp(text, "\xc2\xb5", 2) == 0 && !t->utf8)
		return "u";
	if (!len || !t->utf8)
		return UNREADABLE;
	columns = iswprint(decode(text, len)) ? wcwidth(decode(text, len)) : 0;
	/* Characters of no width (marks, direction changes) would make the line's layout lie. */
	if (columns <= 0)
		return UNREADABLE;
	*ret_len = len;
	*ret_columns = columns;
	return text;
}

/* Appends at most `room` columns of text to out; returns how many. */
static unsigned int put_clipped(const struct terminal *t, const char *text, unsigned int room,
				struct buf *out)
{
	locale_t before = t->locale ? uselocale(t->locale) : (locale_t)0;
	const char *end = text + strlen(text);
	unsigned int used = 0;

	while (text < end) {
		unsigned int columns;
		size_t len, consumed;
		const char *shown = next_shown(t, text, end - text, &len, &columns, &consumed);

		if (used + columns > room)
			break;
		if (out)
			buf_add(out, shown, len);
		used += columns;
		text += consumed;
	}
	if (before)
		uselocale(before);
	return used;
}

/* The line's text is styled piece by piece, each ended at once: a line that is cut never bleeds into the next. */
static void put_styled(struct screen *s, enum style style, const char *text, unsigned int room)
{
	bool styled = style != STYLE_PLAIN && *s->terminal->styles[style] && *text;

	if (styled)
		buf_adds(&s->text, s->terminal->styles[style]);
	s->column += put_clipped(s->terminal, text, room, &s->text);
	if (styled)
		buf_adds(&s->text, s->terminal->styles[STYLE_PLAIN]);
}

static unsigned int room_left(const struct screen *s)
{
	return s->width > s->column ? s->width - s->column : 0;
}

void screen_put(struct screen *s, enum style style, const char *text)
{
	put_styled(s, style, text, room_left(s));
}

void screen_printf(struct screen *s, enum style style, const char *fmt, ...)
{
	va_list ap;

	buf_reset(&s->scratch);
	va_start(ap, fmt);
	buf_vprintf(&s->scratch, fmt, ap);
	va_end(ap);
	screen_put(s, style, buf_str(&s->scratch));
}

void screen_to(struct screen *s, unsigned int column)
{
	for (; s->column < column && s->column < s->width; s->column++)
		buf_addc(&s->text, ' ');
}

void screen_left(struct screen *s, enum style style, const char *text, unsigned int width)
{
	unsigned int end = s->column + width;

	put_styled(s, style, text, width < room_left(s) ? width : room_left(s));
	screen_to(s, end);
}

void screen_right(struct screen *s, enum style style, const char *text, unsigned int width)
{
	unsigned int wide = screen_width_of(s, text);

	screen_to(s, s->column + (wide < width ? width - wide : 0));
	put_styled(s, style, text, width < room_left(s) ? width : room_left(s));
}

void screen_end_line(struct screen *s)
{
	/* Blanks at the end of a line say nothing, and wrap in a narrower window. */
	while (s->text.len && s->text.data[s->text.len - 1] == ' ')
		s->text.data[--s->text.len] = 0;
	if (s->terminal->redraw)
		buf_adds(&s->text, s->terminal->clear_line);
	buf_addc(&s->text, '\n');
	s->column = 0;
	s->n_lines++;
}

void screen_cut(struct screen *s, unsigned int keep)
{
	const char *end = buf_str(&s->text);

	if (keep >= s->n_lines)
		return;
	for (unsigned int i = 0; i < keep; i++)
		end = strchr(end, '\n') + 1;
	s->text.len = end - buf_str(&s->text);
	s->text.data[s->text.len] = 0;
	s->n_lines = keep;
}

unsigned int screen_width_of(struct screen *s, const char *text)
{
	return put_clipped(s->terminal, text, UINT32_MAX, NULL);
}
