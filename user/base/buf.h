/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * buf.h - a growing byte buffer, always NUL-terminated.
 *
 * Zero-initialised is empty and valid (BUF_INIT). Appending never fails loudly: on allocation failure
 * the buffer is marked (`failed`) and further appends do nothing, so a writer checks once, at the end.
 * Not thread-safe; the owner releases it with buf_release().
 *
 *	struct buf b = BUF_INIT;
 *	buf_printf(&b, "%d rows\n", n);
 *	if (b.failed) return -ENOMEM;
 *	fwrite(b.data, 1, b.len, stdout);
 *	buf_release(&b);
 */
#ifndef MBTRACE_BASE_BUF_H
#define MBTRACE_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

struct buf {
	char *data; /* NULL while empty */
	size_t len, cap;
	bool failed;
};

#define BUF_INIT ((struct buf){ 0 })
#define cleanup_buf __attribute__((cleanup(buf_release)))

void buf_release(struct buf *b);
static inline void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = 0;
}

/* Makes room for `extra` more bytes; 0 or -ENOMEM (which also marks the buffer). */
int buf_reserve(struct buf *b, size_t extra);
void buf_add(struct buf *b, const void *data, size_t len);
void buf_adds(struct buf *b, const char *s);
static inline void buf_addc(struct buf *b, char c)
{
	if (b->failed || b->cap - b->len < 2) {
		buf_add(b, &c, 1);
		return;
	}
	b->data[b->len++] = c;
	b->data[b->len] = 0;
}
void buf_addu(struct buf *b, uint64_t v); /* decimal, much faster than printf */
/* At most `decimals` (0..9) decimals, no trailing zeros, a point whatever the locale; value must be finite. */
void buf_addf(struct buf *b, double value, int decimals);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* The text so far; never NULL. */
static inline const char *buf_str(const struct buf *b)
{
	return b->data ? b->data : "";
}

#endif
