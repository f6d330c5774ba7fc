// SPDX-License-Identifier: BSD-2-Clause
#include "tui/terminal.h"

#include <curses.h>
#include <langinfo.h>
#include <string.h>
#include <sys/ioctl.h>
#include <term.h>
#include <time.h>

#include "base/macros.h"
#include "base/units.h"

/* Curses names its macros like everyday words. */
#undef lines
#undef columns

#define SIZE_MAX_COLUMNS 1000 /* wider than any screen: a line is laid out in memory */
#define SIZE_MIN_COLUMNS 20

/* Appends a sequence without its padding ("$<5>"): no terminal of today needs to be waited for. */
static void add_sequence(char *to, const char *sequence)
{
	size_t len = strlen(to);

	while (sequence && *sequence && len + 1 < TERMINAL_SEQUENCE_LEN) {
		const char *end = sequence[0] == '$' && sequence[1] == '<' ? strchr(sequence, '>') :
									     NULL;

		if (end)
			sequence = end + 1;
		else
			to[len++] = *sequence++;
	}
	to[len] = 0;
}

/* A capability's text, or NULL. */
static const char *capability(const char *name)
{
	const char *text = tigetstr((char *)name);

	return text == (char *)-1 ? NULL : text;
}

static void set_color(struct terminal *t, enum style style, int color)
{
	const char *set = capability("setaf");

	if (set)
		add_sequence(t->styles[style],
			     tparm((char *)set, (long)color, 0L, 0L, 0L, 0L, 0L, 0L, 0L, 0L));
}

static void read_styles(struct terminal *t)
{
	const char *plain = capability("sgr0");

	if (!plain) /* what cannot be ended is not begun */
		return;
	add_sequence(t->styles[STYLE_PLAIN], plain);
	add_sequence(t->styles[STYLE_BOLD], capability("bold"));
	add_sequence(t->styles[STYLE_DIM], capability("dim"));
	set_color(t, STYLE_GOOD, COLOR_GREEN);
	set_color(t, STYLE_NOTICE, COLOR_YELLOW);
	set_color(t, STYLE_BAD, COLOR_RED);
	set_color(t, STYLE_DISK, COLOR_MAGENTA);
	add_sequence(t->styles[STYLE_ALARM], capability("bold"));
	set_color(t, STYLE_ALARM, COLOR_RED);
	add_sequence(t->styles[STYLE_ALARM], capability("rev"));
}

/* Whether the screen can be drawn over. */
static bool read_movement(struct terminal *t)
{
	add_sequence(t->home, capability("home"));
	add_sequence(t->clear_line, capability("el"));
	add_sequence(t->clear_below, capability("ed"));
	return *t->home && *t->clear_line && *t->clear_below;
}

static void read_locale(struct terminal *t)
{
	/* Numbers and the rest stay as in C: a decimal point is a point. */
	t->locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	t->utf8 = t->locale && strcmp(nl_langinfo_l(CODESET, t->locale), "UTF-8") == 0;
}

void terminal_open(struct terminal *t, int fd, bool color, bool redraw)
{
	int status;

	*t = (struct terminal){ .fd = fd };
	tzset();
	read_locale(t);
	if ((!color && !redraw) || setupterm(NULL, fd, &status) == ERR)
		return;
	if (color)
		read_styles(t);
	t->redraw = redraw && isatty(fd) && read_movement(t);
	del_curterm(cur_term); /* everything is copied */
}

void terminal_close(struct terminal *t)
{
	if (t->locale)
		freelocale(t->locale);
	*t = (struct terminal){ .fd = -1 };
}

static unsigned int environment_size(const char *name)
{
	const char *text = getenv(name);
	uint64_t value;

	return text && units_parse_u64(text, &value) == 0 && value < UINT32_MAX ? value : 0;
}

void terminal_size(const struct terminal *t, unsigned int *ret_columns, unsigned int *ret_lines)
{
	struct winsize size = { 0 };
	unsigned int columns = 0;

	*ret_lines = 0;
	if (ioctl(t->fd, TIOCGWINSZ, &size) == 0) {
		columns = size.ws_col;
		*ret_lines = size.ws_row ? size.ws_row : 24; /* a serial line knows neither */
	}
	if (!columns)
		columns = environment_size("COLUMNS");
	if (!columns)
		columns = *ret_lines ? 80 : TERMINAL_PLAIN_WIDTH;
	*ret_columns = CLAMP(columns, SIZE_MIN_COLUMNS, SIZE_MAX_COLUMNS);
}
