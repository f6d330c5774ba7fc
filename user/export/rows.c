// SPDX-License-Identifier: BSD-2-Clause
#include "export/rows.h"

#include <string.h>

#include "base/macros.h"

/* The words people type without looking. */
static const struct {
	const char *word, *member;
} short_words[] = {
	{ "cpu", "cpu_ns" },
	{ "rss", "rss_bytes" },
	{ "mem", "rss_bytes" },
	{ "memory", "rss_bytes" },
	{ "iowait", "iowait_ns" },
	{ "blocked", "blocked_ns" },
	{ "sleep", "sleep_ns" },
	{ "read", "read_bytes" },
	{ "write", "write_bytes" },
	{ "name", "comm" },
	{ "command", "comm" },
	{ "runq", "runq_ns" },
	{ "latency", "io_latency.p99" },
	{ "start", "start_ns" },
};

static const struct metric *find_member(const char *name)
{
	for (size_t i = 0; i < metric_count; i++)
		if (metrics[i].scope == SCOPE_PROCESS && strcmp(metrics[i].name, name) == 0)
			return &metrics[i];
	return NULL;
}

int rows_key_parse(const char *text, struct rows_key *ret_key)
{
	struct rows_key key = { .part = PART_NONE };
	char path[96];

	for (size_t i = 0; i < ARRAY_SIZE(short_words); i++)
		if (strcmp(text, short_words[i].word) == 0)
			text = short_words[i].member;
	key.metric = find_member(text);
	if (key.metric && key.metric->type == METRIC_DIST)
		key.part = PART_P99;
	if (!key.metric) {
		snprintf(path, sizeof(path), "%s.%s", metric_scopes[SCOPE_PROCESS].prefix, text);
		key.metric = metric_find(path, strlen(path), &key.part);
	}
	if (!key.metric)
		return -EINVAL;
	*ret_key = key;
	return 0;
}

const char *rows_key_name(const void *context, size_t i)
{
	for (size_t row = 0; row < metric_count; row++)
		if (metrics[row].scope == SCOPE_PROCESS && metrics[row].type != METRIC_ROWS &&
		    i-- == 0)
			return metrics[row].name;
	return i < ARRAY_SIZE(short_words) ? short_words[i].word : NULL;
}

static int compare_texts(const char *a, const char *b)
{
	if (!a || !b)
		return !a - !b;
	return strcmp(a, b);
}

/* qsort_r: the key is its context. Rows that are equal keep the order they have in the snapshot. */
static int compare_rows(const void *left, const void *right, void *context)
{
	const struct rows_key *key = context;
	const struct process_metrics *a = *(const struct process_metrics *const *)left;
	const struct process_metrics *b = *(const struct process_metrics *const *)right;
	double va, vb;
	bool known_a, known_b;
	int order = 0;

	if (key->metric->type == METRIC_TEXT) {
		order = compare_texts(metric_text(key->metric, a), metric_text(key->metric, b));
	} else {
		known_a = metric_value(key->metric, a, key->part, &va);
		known_b = metric_value(key->metric, b, key->part, &vb);
		if (!known_a || !known_b)
			order = known_b - known_a;
		else if (va != vb)
			order = va < vb ? 1 : -1;
		if (key->metric->merge == MERGE_KEY && key->metric->unit == UNIT_NONE)
			order = -order;
	}
	return order ? order : (a > b) - (a < b);
}

int rows_select(struct rows *r, const struct snapshot *s, const struct rows_key *key, uint64_t top,
		bool idle)
{
	if (r->cap < s->n_processes) {
		const struct process_metrics **shown =
			reallocarray(r->shown, s->n_processes, sizeof(*shown));

		if (!shown)
			return -ENOMEM;
		r->shown = shown;
		r->cap = s->n_processes;
	}
	r->n_shown = r->n_hidden = 0;
	for (size_t i = 0; i < s->n_processes; i++)
		if (idle || !s->processes[i].idle)
			r->shown[r->n_shown++] = &s->processes[i];
	if (r->n_shown)
		qsort_r(r->shown, r->n_shown, sizeof(*r->shown), compare_rows, (void *)key);
	if (top && r->n_shown > top) {
		r->n_hidden = r->n_shown - top;
		r->n_shown = top;
	}
	return 0;
}

void rows_release(struct rows *r)
{
	free(r->shown);
	*r = (struct rows){ 0 };
}
