/* SPDX-License-Identifier: BSD-2-Clause */
/* suggest.h - "did you mean": the names nearest to one that was not found. */
#ifndef MBTRACE_BASE_SUGGEST_H
#define MBTRACE_BASE_SUGGEST_H

#include <stddef.h>

#define SUGGEST_MAX_LEN 128 /* longer names are not compared: nobody mistypes them */

/* Damerau-Levenshtein distance (insert, delete, change, swap of neighbours), case ignored; SIZE_MAX if too long. */
size_t suggest_distance(const char *a, const char *b);

/* One candidate list walked by `next(context, i)` (NULL at the end); writes up to `max` names, nearest first, that are
 * near enough to be a slip (distance at most a third of the length, or the typed text as a prefix or part). Returns how many. */
size_t suggest_nearest(const char *typed, const char *(*next)(const void *context, size_t i),
		       const void *context, const char **ret_names, size_t max);

#endif
