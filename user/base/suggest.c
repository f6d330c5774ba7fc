// SPDX-License-Identifier: BSD-2-Clause
#include "base/suggest.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "base/macros.h"

size_t suggest_distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b);
	size_t rows[3][SUGGEST_MAX_LEN + 1], *before = rows[0], *previous = rows[1], *row = rows[2];

	if (la > SUGGEST_MAX_LEN || lb > SUGGEST_MAX_LEN)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		previous[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t *oldest = before;

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			int ca = tolower((unsigned char)a[i - 1]),
			    cb = tolower((unsigned char)b[j - 1]);
			size_t best = previous[j - 1] + (ca != cb);

			best = MIN(best, previous[j] + 1);
			best = MIN(best, row[j - 1] + 1);
			if (i > 1 && j > 1 && ca == tolower((unsigned char)b[j - 2]) &&
			    cb == tolower((unsigned char)a[i - 2]))
				best = MIN(best, before[j - 2] + 1);
			row[j] = best;
		}
		before = previous;
		previous = row;
		row = oldest;
	}
	return previous[lb];
}

/* How far a candidate is from what was typed; SIZE_MAX when it is no likely slip. */
static size_t score(const char *typed, const char *candidate)
{
	size_t distance = suggest_distance(typed, candidate),
	       longest = MAX(strlen(typed), strlen(candidate));

	if (distance <= longest / 3 || distance == 1)
		return distance;
	/* A part of the name is a good guess too, but behind every slip of the pen. */
	if (strlen(typed) >= 3 && strstr(candidate, typed))
		return longest;
	return SIZE_MAX;
}

size_t suggest_nearest(const char *typed, const char *(*next)(const void *context, size_t i),
		       const void *context, const char **ret_names, size_t max)
{
	size_t scores[8], n = 0;
	const char *name;

	max = MIN(max, ARRAY_SIZE(scores));
	for (size_t i = 0; (name = next(context, i)); i++) {
		size_t s = score(typed, name), at = n;

		if (s == SIZE_MAX)
			continue;
		while (at > 0 && scores[at - 1] > s)
			at--;
		if (at >= max)
			continue;
		n = MIN(n + 1, max);
		memmove(scores + at + 1, scores + at, (n - at - 1) * sizeof(*scores));
		memmove(ret_names + at + 1, ret_names + at, (n - at - 1) * sizeof(*ret_names));
		scores[at] = s;
		ret_names[at] = name;
	}
	return n;
}
