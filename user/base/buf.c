// SPDX-License-Identifier: BSD-2-Clause
#include "base/buf.h"

#include <string.h>

#define BUF_FIRST_CAP 256

void buf_release(struct buf *b)
{
	free(b->data);
	*b = BUF_INIT;
}

int buf_reserve(struct buf *b, size_t extra)
{
	size_t need, cap;
	char *data;

	if (b->failed)
		return -ENOMEM;
	if (extra > SIZE_MAX / 2 - b->len)
		goto fail;
	need = b->len + extra + 1;
	if (need <= b->cap)
		return 0;
	cap = MAX(b->cap, BUF_FIRST_CAP);
	while (cap < need)
		cap += cap / 2;
	data = realloc(b->data, cap);
	if (!data)
		goto fail;
	b->data = data;
	b->cap = cap;
	return 0;
fail:
	b->failed = true;
	return -ENOMEM;
}

void buf_add(struct buf *b, const void *data, size_t len)
{
	if (!len || buf_reserve(b, len))
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = 0;
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addu(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t i = sizeof(digits);

	do {
		digits[--i] = '0' + v % 10;
		v /= 10;
	} while (v);
	buf_add(b, digits + i, sizeof(digits) - i);
}

void buf_addf(struct buf *b, double value, int decimals)
{
	static const uint64_t scale[] = { 1,	  10,	   100,	     1000,	10000,
					  100000, 1000000, 10000000, 100000000, 1000000000 };
	double magnitude = value < 0 ? -value : value;
	uint64_t scaled, fraction;

	decimals = CLAMP(decimals, 0, (int)ARRAY_SIZE(scale) - 1);
	if (magnitude * scale[decimals] >= 1e18) {
		buf_printf(b, "%.17g", value);
		return;
	}
	/* Fixed point by hand: independent of the locale's decimal mark, and no printf per figure. */
	scaled = (uint64_t)(magnitude * scale[decimals] + 0.5);
	if (value < 0 && scaled)
		buf_addc(b, '-');
	buf_addu(b, scaled / scale[decimals]);
	fraction = scaled % scale[decimals];
	if (!fraction)
		return;
	buf_addc(b, '.');
	for (int i = decimals - 1; i >= 0 && fraction; i--) {
		buf_addc(b, '0' + fraction / scale[i]);
		fraction %= scale[i];
	}
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	int n;

	if (buf_reserve(b, 64))
		return;
	va_copy(again, ap);
	n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, ap);
	if (n > 0 && (size_t)n >= b->cap - b->len) {
		b->data[b->len] = 0;
		if (buf_reserve(b, n) == 0)
			n = vsnprintf(b->data + b->len, b->cap - b->len, fmt, again);
		else
			n = 0;
	}
	va_end(again);
	if (n > 0)
		b->len += n;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}
