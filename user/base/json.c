// SPDX-License-Identifier: BSD-2-Clause
#include "base/json.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "base/utf8.h"

/* Whether the byte stands for itself, whatever follows. */
static inline bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void write_string(struct buf *out, const char *text, size_t n)
{
	const char *s = text, *end = s + n, *plain = s;

	buf_addc(out, '"');
	while (s < end) {
		size_t len;

		if (is_plain(*s)) {
			s++;
			continue;
		}
		len = utf8_len(s, end - s);
		if (len > 1) {
			s += len;
			continue;
		}
		buf_add(out, plain, s - plain);
		if (!len)
			buf_adds(out, UTF8_REPLACEMENT);
		else if (*s == '"' || *s == '\\')
			buf_add(out, (char[]){ '\\', *s }, 2);
		else if (*s == '\n')
			buf_adds(out, "\\n");
		else if (*s == '\t')
			buf_adds(out, "\\t");
		else
			buf_printf(out, "\\u%04x", *s);
		plain = ++s;
	}
	buf_add(out, plain, s - plain);
	buf_addc(out, '"');
}

/* A key is nearly half of what is written: it goes out in one piece. */
static void write_key(struct buf *out, const char *key)
{
	size_t len = strlen(key);
	char *to;

	for (size_t i = 0; i < len; i++) {
		if (!is_plain(key[i])) {
			write_string(out, key, len);
			buf_addc(out, ':');
			return;
		}
	}
	if (buf_reserve(out, len + 3))
		return;
	to = out->data + out->len;
	*to++ = '"';
	memcpy(to, key, len);
	memcpy(to + len, "\":", sizeof("\":")); /* the NUL too */
	out->len += len + 3;
}

static void begin_value(struct json *j, const char *key)
{
	if (!j->first[j->depth])
		buf_addc(j->out, ',');
	j->first[j->depth] = false;
	if (key)
		write_key(j->out, key);
}

static void open_level(struct json *j, const char *key, char open, char close)
{
	begin_value(j, key);
	buf_addc(j->out, open);
	assert(j->depth < JSON_MAX_DEPTH);
	j->close[j->depth++] = close;
	j->first[j->depth] = true;
}

void json_object(struct json *j, const char *key)
{
	open_level(j, key, '{', '}');
}

void json_array(struct json *j, const char *key)
{
	open_level(j, key, '[', ']');
}

void json_end(struct json *j)
{
	assert(j->depth > 0);
	buf_addc(j->out, j->close[--j->depth]);
}

void json_strn(struct json *j, const char *key, const char *value, size_t len)
{
	begin_value(j, key);
	write_string(j->out, value, len);
}

void json_str(struct json *j, const char *key, const char *value)
{
	if (value)
		json_strn(j, key, value, strlen(value));
	else
		json_null(j, key);
}

void json_u64(struct json *j, const char *key, uint64_t value)
{
	begin_value(j, key);
	buf_addu(j->out, value);
}

void json_i64(struct json *j, const char *key, int64_t value)
{
	begin_value(j, key);
	if (value < 0)
		buf_addc(j->out, '-');
	buf_addu(j->out, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void json_double(struct json *j, const char *key, double value, int decimals)
{
	if (!isfinite(value)) {
		json_null(j, key);
		return;
	}
	begin_value(j, key);
	buf_addf(j->out, value, decimals);
}

void json_bool(struct json *j, const char *key, bool value)
{
	begin_value(j, key);
	buf_adds(j->out, value ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	begin_value(j, key);
	buf_adds(j->out, "null");
}
