/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * utf8.h - bytes that may or may not be text.
 *
 * Names of processes, cgroups and files are any bytes; what mbtrace writes is UTF-8. Only the standard's forms count as valid: no
 * overlong ones, no surrogates, nothing above U+10FFFF.
 */
#ifndef MBTRACE_BASE_UTF8_H
#define MBTRACE_BASE_UTF8_H

#include <stddef.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, for a byte that is no text */

/* The length (1..4) of the valid sequence at text, of which n > 0 bytes are there; 0 if there is none. */
size_t utf8_len(const char *text, size_t n);

#endif
