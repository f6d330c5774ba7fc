// SPDX-License-Identifier: BSD-2-Clause
#include "alert/glob.h"

#include <stddef.h>

/*
 * fnmatch() is not used: it follows the locale, stops at bytes that are not text in it, and a pattern with many stars can
 * take it exponential time. Here a mismatch goes back to the last star only, which is enough because
 * an earlier star could give nothing that the last one cannot.
 */

/* Bytes of the UTF-8 character at s, or 1 for a byte that is none. */
static size_t character_len(const char *s)
{
	size_t n = 1;

	while (n < 4 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n++;
	return n;
}

bool glob_match(const char *pattern, const char *text)
{
	const char *star = NULL, *retry = NULL;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = text;
			continue;
		}
		if (*pattern == '?') {
			pattern++;
			text += character_len(text);
			continue;
		}
		if (*pattern) {
			const char *literal = *pattern == '\\' && pattern[1] ? pattern + 1 : pattern;

			if (*literal == *text) {
				pattern = literal + 1;
				text++;
				continue;
			}
		}
		if (!star)
			return false;
		pattern = star;
		text = ++retry;
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
