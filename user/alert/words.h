/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * words.h - a command line split into words as a shell splits it, and nothing else a shell does.
 *
 * Blanks separate words. '…' keeps everything; "…" keeps everything but \" \\ \$ \` ; outside quotes a backslash keeps the next
 * character. No variables, no globs, no pipes: $, *, | and > are characters like others.
 */
#ifndef MBTRACE_ALERT_WORDS_H
#define MBTRACE_ALERT_WORDS_H

#include "alert/rule.h"

#define WORDS_TEXT_MAX 4096 /* bytes of a command line; more belongs in a script */
#define WORDS_MAX 128

struct words {
	char **argv; /* NULL-terminated; one allocation holds it and the texts */
	size_t n;
};

/* 0 with at least one word, -EINVAL with *ret_error filled, or -ENOMEM. */
int words_split(const char *text, struct words *ret_words, struct rule_error *ret_error);
void words_release(struct words *words);

#endif
