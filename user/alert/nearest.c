// SPDX-License-Identifier: BSD-2-Clause
#include "alert/nearest.h"

#include <string.h>

#include "base/macros.h"
#include "base/suggest.h"

#define NEAREST_MAX 3 /* more is a list nobody reads */
#define PATH_LEN 80 /* of the longest path of the table, with room */

static const char *format_names(const char **names, size_t n, char *text, size_t size)
{
	size_t used = 0;

	*text = 0;
	for (size_t i = 0; i < n && used < size; i++)
		used += snprintf(text + used, size - used, "%s%s",
				 !i	   ? "; did you mean " :
				 i + 1 < n ? ", " :
					     " or ",
				 names[i]);
	if (n && used < size)
		snprintf(text + used, size - used, "?");
	return text;
}

struct paths {
	char (*texts)[PATH_LEN];
	size_t n;
};

static const char *next_path(const void *context, size_t i)
{
	const struct paths *paths = context;

	return i < paths->n ? paths->texts[i] : NULL;
}

const char *nearest_metrics(const char *path, char *text, size_t size)
{
	cleanup_free char(*texts)[PATH_LEN] = NULL;
	const char *names[NEAREST_MAX];
	char one[PATH_LEN];
	struct paths paths = { 0 };

	while (metric_path(paths.n, one, sizeof(one)))
		paths.n++;
	texts = calloc(paths.n, sizeof(*texts));
	if (!texts)
		paths.n = 0; /* an error without near matches is still that error */
	for (size_t i = 0; i < paths.n; i++)
		metric_path(i, texts[i], sizeof(texts[i]));
	paths.texts = texts;
	return format_names(names, suggest_nearest(path, next_path, &paths, names, NEAREST_MAX),
			    text, size);
}

static const char *next_member(const void *context, size_t i)
{
	enum metric_scope scope = *(const enum metric_scope *)context;

	for (size_t k = 0; k < metric_count; k++)
		if (metrics[k].scope == scope && metrics[k].type != METRIC_DIST &&
		    metrics[k].type != METRIC_ROWS && metrics[k].type != METRIC_SOURCES && i-- == 0)
			return metrics[k].name;
	return NULL;
}

const char *nearest_members(enum metric_scope scope, const char *name, size_t len, char *text,
			    size_t size)
{
	const char *names[NEAREST_MAX];
	char typed[64];

	snprintf(typed, sizeof(typed), "%.*s", (int)MIN(len, sizeof(typed) - 1), name);
	return format_names(names, suggest_nearest(typed, next_member, &scope, names, NEAREST_MAX),
			    text, size);
}
