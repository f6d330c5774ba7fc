// SPDX-License-Identifier: BSD-2-Clause
#include "alert/words.h"

#include <string.h>

#include "base/macros.h"

struct splitter {
	const char *start, *at;
	char *out; /* where the next byte of a word goes */
	struct rule_error *error;
};

static int PRINTF_LIKE(3, 4) fail(const struct splitter *s, const char *at, const char *fmt, ...)
{
	va_list ap;

	*s->error = (struct rule_error){ .column = 1 };
	for (const char *c = s->start; c < at; c++)
		s->error->column += ((unsigned char)*c & 0xc0) != 0x80;
	snprintf(s->error->text, sizeof(s->error->text), "%s", s->start);
	va_start(ap, fmt);
	vsnprintf(s->error->message, sizeof(s->error->message), fmt, ap);
	va_end(ap);
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* One quoted piece of a word; s->at is at the opening quote. */
static int take_quoted(struct splitter *s)
{
	const char *opened = s->at;
	char quote = *s->at++;

	for (; *s->at != quote; s->at++) {
		if (!*s->at)
			return fail(s, opened, "this quote is never closed");
		if (quote == '"' && *s->at == '\\' && s->at[1] && strchr("\"\\$`", s->at[1]))
			s->at++;
		*s->out++ = *s->at;
	}
	s->at++;
	return 0;
}

static int take_word(struct splitter *s)
{
	while (*s->at && !is_blank(*s->at)) {
		if (*s->at == '"' || *s->at == '\'') {
			int err = take_quoted(s);

			if (err)
				return err;
			continue;
		}
		if (*s->at == '\\' && !*++s->at)
			return fail(s, s->at - 1, "a backslash needs a character after it");
		*s->out++ = *s->at++;
	}
	*s->out++ = 0;
	return 0;
}

int words_split(const char *text, struct words *ret_words, struct rule_error *ret_error)
{
	size_t array = (WORDS_MAX + 1) * sizeof(char *), len = strnlen(text, WORDS_TEXT_MAX + 1);
	struct splitter s = { .start = text, .at = text, .error = ret_error };
	cleanup_free char **argv = NULL;
	size_t n = 0;

	if (len > WORDS_TEXT_MAX)
		return fail(&s, text, "a command has at most %d bytes; put it in a script",
			    WORDS_TEXT_MAX);
	argv = malloc(array + len + 1);
	if (!argv)
		return -ENOMEM;
	s.out = (char *)argv + array;
	for (;;) {
		int err;

		while (is_blank(*s.at))
			s.at++;
		if (!*s.at)
			break;
		if (n == WORDS_MAX)
			return fail(&s, s.at, "more than %d words; put them in a script", WORDS_MAX);
		argv[n++] = s.out;
		err = take_word(&s);
		if (err)
			return err;
	}
	if (!n || !*argv[0])
		return fail(&s, text, "expected a command");
	argv[n] = NULL;
	*ret_words = (struct words){ TAKE_PTR(argv), n };
	return 0;
}

void words_release(struct words *words)
{
	free(words->argv);
	*words = (struct words){ 0 };
}
