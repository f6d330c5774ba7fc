/* SPDX-License-Identifier: BSD-2-Clause */
/* glob.h - patterns of a filter: "*" any text, "?" one character, "\x" the character x; nothing else is special. */
#ifndef MBTRACE_ALERT_GLOB_H
#define MBTRACE_ALERT_GLOB_H

#include <stdbool.h>

/* Whether the whole text matches. Takes at most strlen(pattern) * strlen(text) steps, whatever the pattern. */
bool glob_match(const char *pattern, const char *text);

#endif
