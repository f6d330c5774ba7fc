/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * percpu.h - counters and histograms that programs keep for each CPU in a mapped array, read as growth over all CPUs.
 *
 * The array's value is a struct of 64-bit totals, cumulative since load; its key is the CPU. What each total was at the last
 * read is kept once, for the sum. A total that stepped back (see the wire header that allows it) has not grown, and
 * counts again once it is past where it was.
 *
 *	err = percpu_open(&cpus, skel->maps.cpus);		the map's max_entries were set to the possible CPUs before load
 *	opened = percpu_growth(&cpus, offsetof(struct tcp_cpu, opened));
 */
#ifndef MBTRACE_PROBE_PERCPU_H
#define MBTRACE_PROBE_PERCPU_H

#include <stddef.h>
#include <stdint.h>

#include "metric/histogram.h"

struct bpf_map;

struct percpu {
	const char *now; /* mapped */
	char *before; /* one value: the sums of the last read */
	size_t stride; /* size of a value */
	size_t length; /* of the mapping */
	unsigned int n;
};

/* 0 or -errno; percpu_close() accepts a zeroed one. */
int percpu_open(struct percpu *p, const struct bpf_map *map);
void percpu_close(struct percpu *p);

/* How far the counter at this offset has grown since it was last asked for. */
uint64_t percpu_growth(struct percpu *p, size_t offset);
/* The present sum of a gauge that programs add to and take from. */
int64_t percpu_level(const struct percpu *p, size_t offset);
/* Makes d the growth of the `n_bins` counters at bins_offset, with the exact sum of values at sum_offset. 0 or -ENOMEM. */
int percpu_dist(struct percpu *p, size_t bins_offset, unsigned int n_bins, size_t sum_offset,
		struct dist *d);

#endif
