// SPDX-License-Identifier: BSD-2-Clause
#include "tui/columns.h"

#include <string.h>

#include "base/macros.h"
#include "tui/figures.h"

#define BAR_WIDTH 12

/* A column is a member of a process, shown as its kind and unit ask for, unless it has a `draw` of its own. */
struct column {
	const char *title;
	const char *member; /* "runq.p99"; NULL for those that are drawn */
	unsigned int width; /* at least that of the title */
	unsigned int rank; /* the smaller, the narrower may a screen be that still shows it */
	void (*draw)(struct screen *out, const struct process_metrics *p, uint64_t interval_ns);
};

static void draw_bar(struct screen *out, const struct process_metrics *p, uint64_t interval_ns);
static void draw_waits_for(struct screen *out, const struct process_metrics *p, uint64_t interval_ns);

/* In the order they are shown. */
static const struct column columns[] = {
	{ "PID", "pid", 7, 0, NULL },
	{ "PPID", "ppid", 7, 21, NULL },
	{ "COMMAND", "comm", 15, 1, NULL },
	{ "CPU%", "cpu_ns", 5, 2, NULL },
	{ "RUNQ%", "runq_ns", 5, 4, NULL },
	{ "DISK%", "iowait_ns", 5, 5, NULL },
	{ "KERN%", "blocked_ns", 5, 6, NULL },
	{ "TIME GOES TO", NULL, BAR_WIDTH, 7, draw_bar },
	{ "WAITS FOR", NULL, 9, 3, draw_waits_for },
	{ "RSS", "rss_bytes", 6, 8, NULL },
	{ "RUNQp99", "runq.p99", 7, 9, NULL },
	{ "MAJF/s", "majflt", 6, 10, NULL },
	{ "READ/s", "read_bytes", 6, 11, NULL },
	{ "WRITE/s", "write_bytes", 7, 12, NULL },
	{ "IOp99", "io_latency.p99", 6, 14, NULL },
	{ "TX/s", "tx_bytes", 6, 15, NULL },
	{ "RX/s", "rx_bytes", 6, 16, NULL },
	{ "THR", "threads", 5, 13, NULL },
	{ "MINF/s", "minflt", 6, 17, NULL },
	{ "VOL/s", "voluntary", 6, 19, NULL },
	{ "INVOL/s", "involuntary", 7, 20, NULL },
	{ "CGROUP", "cgroup", 24, 18, NULL },
	{ "COMMAND LINE", "cmdline", 30, 8, NULL },
};

_Static_assert(ARRAY_SIZE(columns) + 1 <= COLUMNS_MAX, "room for each and the sort key's");

#define KEY_COLUMN ARRAY_SIZE(columns) /* the number of the one that is made for the sort key */
#define KEY_WIDTH 9

/* --- where the time goes --- */

/* What a thread can be at, the bar's letter for it, and the word for waiting for it. */
static const struct {
	char letter[2];
	enum style style;
	const char *word;
	size_t offset; /* of its time in struct process_metrics */
} parts[] = {
	{ "C", STYLE_GOOD, "nothing", offsetof(struct process_metrics, cpu_ns) },
	{ "R", STYLE_NOTICE, "cpu", offsetof(struct process_metrics, runq_ns) },
	{ "D", STYLE_DISK, "disk", offsetof(struct process_metrics, iowait_ns) },
	{ "K", STYLE_BAD, "kernel", offsetof(struct process_metrics, blocked_ns) },
};

#define PARTS ARRAY_SIZE(parts)

/* The times of the parts, and their sum; false if none of them is known. */
static bool times_of(const struct process_metrics *p, uint64_t *times, uint64_t *ret_sum)
{
	bool known = false;

	*ret_sum = 0;
	for (size_t i = 0; i < PARTS; i++) {
		times[i] = *(const uint64_t *)((const char *)p + parts[i].offset);
		known |= times[i] != METRIC_NULL;
		if (times[i] == METRIC_NULL)
			times[i] = 0;
		*ret_sum += times[i];
	}
	return known;
}

/* The index of the part that tells most about the process; PARTS: it sleeps. */
static size_t telling_part(const uint64_t *times, uint64_t sum, uint64_t interval_ns)
{
	size_t longest = 1;

	if (sum < interval_ns / 20)
		return PARTS;
	for (size_t i = 2; i < PARTS; i++)
		if (times[i] > times[longest])
			longest = i;
	return times[longest] * 4 >= sum ? longest : 0;
}

static bool has_exited(const struct process_metrics *p)
{
	return p->state && strcmp(p->state, "exited") == 0;
}

const char *columns_waits_for(const struct process_metrics *p, uint64_t interval_ns)
{
	uint64_t times[PARTS], sum;
	size_t part;

	if (!times_of(p, times, &sum))
		return has_exited(p) ? "(exited)" : "-";
	part = telling_part(times, sum, interval_ns);
	if (part == PARTS || (part == 0 && has_exited(p)))
		return has_exited(p) ? "(exited)" : "events";
	return parts[part].word;
}

static void draw_waits_for(struct screen *out, const struct process_metrics *p, uint64_t interval_ns)
{
	const char *word = columns_waits_for(p, interval_ns);
	enum style style = STYLE_DIM;

	for (size_t i = 0; i < PARTS; i++)
		if (word == parts[i].word)
			style = parts[i].style;
	screen_left(out, style, word, 9);
}

static void draw_bar(struct screen *out, const struct process_metrics *p, uint64_t interval_ns)
{
	uint64_t times[PARTS], sum, length, passed = 0;
	unsigned int drawn = 0;

	if (!times_of(p, times, &sum) || !(length = MAX(sum, interval_ns))) {
		screen_left(out, STYLE_PLAIN, "-", BAR_WIDTH);
		return;
	}
	/* Each part ends at its rounded place, so that rounding never adds up. */
	for (size_t i = 0; i < PARTS; i++) {
		passed += times[i];
		for (; drawn < (unsigned int)(passed * (double)BAR_WIDTH / length + 0.5); drawn++)
			screen_put(out, parts[i].style, parts[i].letter);
	}
	for (; drawn < BAR_WIDTH; drawn++)
		screen_put(out, STYLE_DIM, ".");
}

/* --- choosing --- */

/* The member a column shows; false for those that are drawn. */
static bool key_of(size_t column, struct rows_key *ret_key)
{
	return columns[column].member && rows_key_parse(columns[column].member, ret_key) == 0;
}

static bool is_same_key(const struct rows_key *a, const struct rows_key *b)
{
	return a->metric == b->metric && a->part == b->part;
}

/* The column that shows what rows are sorted by, or KEY_COLUMN. */
static size_t column_of(const struct rows_key *sort)
{
	struct rows_key key;

	for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
		if (key_of(i, &key) && is_same_key(&key, sort))
			return i;
		/* "cpu_pct" is what the column CPU% shows, too. */
		if (columns[i].member && strcmp(columns[i].member, "cpu_ns") == 0 &&
		    strcmp(sort->metric->name, "cpu_pct") == 0)
			return i;
	}
	return KEY_COLUMN;
}

static bool is_optional(size_t column)
{
	struct rows_key key;

	return key_of(column, &key) && key.metric->optional;
}

/* Takes the column of the next higher rank if it fits; `chosen` says which are in. Returns the width left. */
static unsigned int take_by_rank(bool *chosen, bool optional, unsigned int room)
{
	for (unsigned int rank = 0; rank < COLUMNS_MAX; rank++) {
		for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
			if (columns[i].rank != rank || chosen[i] || columns[i].width + 1 > room)
				continue;
			if (is_optional(i) && !optional)
				continue;
			chosen[i] = true;
			room -= columns[i].width + 1;
		}
	}
	return room;
}

void columns_choose(struct columns *c, const struct rows_key *sort, bool optional, unsigned int width)
{
	bool chosen[COLUMNS_MAX] = { true, false, true }; /* without pid and name no row makes sense */
	size_t by = column_of(sort);
	unsigned int room = width + 1;

	*c = (struct columns){ .key = *sort, .key_column = by == KEY_COLUMN };
	chosen[by] = true;
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (chosen[i])
			room -= MIN(room, columns[i].width + 1);
	if (chosen[KEY_COLUMN])
		room -= MIN(room, KEY_WIDTH + 1u);
	room = take_by_rank(chosen, optional, room);
	for (size_t i = 0; i <= KEY_COLUMN; i++) {
		if (!chosen[i])
			continue;
		c->shown[c->n] = i;
		c->width[c->n++] = i == KEY_COLUMN ? KEY_WIDTH : columns[i].width;
	}
	/* A text at the end has the rest of the line. */
	if (c->n && columns[MIN(c->shown[c->n - 1], KEY_COLUMN - 1)].width >= 24 &&
	    c->shown[c->n - 1] != KEY_COLUMN)
		c->width[c->n - 1] += room;
}

/* --- drawing --- */

static bool is_text(const struct rows_key *key)
{
	return key->metric->type == METRIC_TEXT;
}

static void title(struct screen *out, const char *text, unsigned int width, bool left, bool sorted)
{
	enum style style = sorted ? STYLE_NOTICE : STYLE_BOLD;

	if (left)
		screen_left(out, style, text, width);
	else
		screen_right(out, style, text, width);
}

void columns_title(const struct columns *c, struct screen *out, const struct rows_key *sort)
{
	size_t by = column_of(sort);
	char name[KEY_WIDTH + 1];

	for (size_t i = 0; i < c->n; i++) {
		size_t column = c->shown[i];
		struct rows_key key = c->key;

		if (i)
			screen_put(out, STYLE_PLAIN, " ");
		if (column == KEY_COLUMN) {
			snprintf(name, sizeof(name), "%s", key.metric->name);
			title(out, name, c->width[i], is_text(&key), true);
		} else {
			title(out, columns[column].title, c->width[i],
			      !key_of(column, &key) || is_text(&key), column == by);
		}
	}
	screen_end_line(out);
}

static void draw_member(struct screen *out, struct view *v, const struct rows_key *key,
			const struct process_metrics *p, uint64_t interval_ns, unsigned int width)
{
	char text[FIGURE_LEN];
	const char *name;

	if (!is_text(key)) {
		screen_right(out, STYLE_PLAIN,
			     figure_metric(key->metric, key->part, p, interval_ns, text), width);
		return;
	}
	name = view_text(v, key->metric, p);
	screen_left(out, STYLE_PLAIN, name ? name : "-", width);
}

void columns_row(const struct columns *c, struct screen *out, struct view *v,
		 const struct process_metrics *p, uint64_t interval_ns)
{
	for (size_t i = 0; i < c->n; i++) {
		size_t column = c->shown[i];
		struct rows_key key = c->key;

		if (i)
			screen_put(out, STYLE_PLAIN, " ");
		if (column != KEY_COLUMN && columns[column].draw)
			columns[column].draw(out, p, interval_ns);
		else if (column == KEY_COLUMN || key_of(column, &key))
			draw_member(out, v, &key, p, interval_ns, c->width[i]);
	}
	screen_end_line(out);
}
