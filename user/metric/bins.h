/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bins.h - the one log-linear layout of all histograms, shared by BPF programs and user space.
 *
 * 16 bins for each power of two: values 0..15 have a bin each, and bin widths are 1/16 of the power of two below
 * the value, so a value's bin bounds are within 6.25% of it. Adding two histograms is adding their bins. This file is
 * pure arithmetic on unsigned long long (64 bits on every target, BPF included) and includes nothing.
 * Layout after HdrHistogram (G. Tene) with 4 bits of sub-bucket.
 *
 *	value	0 1 … 15 16 17 … 31 | 32-33 34-35 … | … | 15·2^60 … 2^64-1
 *	bin	0 1 … 15 16 17 … 31 | 32    33      … | … | 975
 */
#ifndef MBTRACE_METRIC_BINS_H
#define MBTRACE_METRIC_BINS_H

#define BINS_SUB_BITS 4
#define BINS_SUB (1u << BINS_SUB_BITS)
#define BINS_COUNT ((64 - BINS_SUB_BITS + 1) * BINS_SUB) /* 976 */

/* Bins of a histogram whose values end below 2^36 ns (68 s): the last one also takes all that is longer. */
#define BINS_SHORT_COUNT ((36 - BINS_SUB_BITS + 1) * BINS_SUB) /* 528 */

/* The number of the highest bit set; v must not be 0. Loop-free: six compares, fit for any verifier. */
static inline __attribute__((always_inline)) unsigned int bins_log2(unsigned long long v)
{
	unsigned int r = 0;

	if (v >> 32) {
		r += 32;
		v >>= 32;
	}
	if (v >> 16) {
		r += 16;
		v >>= 16;
	}
	if (v >> 8) {
		r += 8;
		v >>= 8;
	}
	if (v >> 4) {
		r += 4;
		v >>= 4;
	}
	if (v >> 2) {
		r += 2;
		v >>= 2;
	}
	return r + (unsigned int)(v >> 1);
}

/* The bin of a value: 0 .. BINS_COUNT-1. */
static inline __attribute__((always_inline)) unsigned int bins_index(unsigned long long v)
{
	unsigned int shift;

	if (v < BINS_SUB)
		return (unsigned int)v;
	shift = bins_log2(v) - BINS_SUB_BITS;
	return (shift << BINS_SUB_BITS) + (unsigned int)(v >> shift);
}

/* The smallest value of a bin. */
static inline __attribute__((always_inline)) unsigned long long bins_lower(unsigned int bin)
{
	unsigned int shift;

	if (bin < 2 * BINS_SUB)
		return bin;
	shift = (bin >> BINS_SUB_BITS) - 1;
	return (unsigned long long)(BINS_SUB + (bin & (BINS_SUB - 1))) << shift;
}

/* The largest value of a bin. */
static inline __attribute__((always_inline)) unsigned long long bins_upper(unsigned int bin)
{
	return bin + 1 >= BINS_COUNT ? ~0ull : bins_lower(bin + 1) - 1;
}

#endif
