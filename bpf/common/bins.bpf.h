/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* bins.bpf.h - the bin of a value in a form that every verifier can bound. */
#ifndef MBTRACE_BPF_BINS_H
#define MBTRACE_BPF_BINS_H

#include "bpf/common/kernel.bpf.h"
#include "metric/bins.h"

/* The bin of a value in a histogram of `count` bins, the last of which takes all that is longer. */
static __always_inline __u64 bin_of(__u64 value, __u64 count)
{
	__u64 bin = bins_index(value);

	/* Hides the origin from the compiler, so that what is checked is the very register that is used. */
	asm volatile("" : "+r"(bin));
	return bin < count ? bin : count - 1;
}

#endif
