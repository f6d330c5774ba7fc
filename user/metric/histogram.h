/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * histogram.h - distributions of nanoseconds (or any unsigned 64-bit values) over the bins of bins.h.
 *
 * `struct dist` is sparse and grows as bins are met: a process that waited ten times costs ten bins, not a thousand.
 * Zero-initialised is the empty distribution. Percentiles are interpolated inside a bin and clamped to the observed
 * minimum and maximum: within 6.25% of the exact value, exact when all values of a bin are equal to min or max.
 * Where only bins are known (a BPF program keeps no minimum per interval), min and max are the outer bins' bounds.
 *
 * A distribution read back from a file is *summarized*: its percentiles are those that were written, which win over what its
 * bins would give, and it may have no bins at all (a file written without --histograms). What is merged with one
 * that has values but no bins has none either: its count, sum and bounds stay exact, its percentiles are DIST_UNKNOWN.
 *
 * Not thread-safe. The owner calls dist_release().
 */
#ifndef MBTRACE_METRIC_HISTOGRAM_H
#define MBTRACE_METRIC_HISTOGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "metric/bins.h"

/* The shares whose percentiles are written to files: 0.5, 0.9, 0.99, 0.999. */
#define DIST_QUANTILES 4
extern const double dist_quantiles[DIST_QUANTILES];

#define DIST_UNKNOWN UINT64_MAX /* a percentile that cannot be told */

struct dist_bin {
	uint16_t bin; /* number in bins.h */
	uint64_t count;
};

struct dist {
	uint64_t count, sum, min, max; /* min and max have no meaning while count is 0 */
	struct dist_bin *bins; /* ascending by bin */
	uint64_t *quantiles; /* of a summarized one, by dist_quantiles; memory kept while it is not */
	uint32_t n_bins, cap_bins;
	bool known; /* false: could not be measured, shown as null */
	bool summarized;
};

void dist_release(struct dist *d);
/* Empties it but keeps its memory; `known` becomes true. */
void dist_clear(struct dist *d);
/* Adds `count` values of one bin whose sum is unknown: taken at the bin's middle. 0 or -ENOMEM. */
int dist_add_bin(struct dist *d, unsigned int bin, uint64_t count);
/* Adds one exact value. */
int dist_add(struct dist *d, uint64_t value);
/* Adds the bins of `from`, its sum and its bounds; unknown adds nothing. 0 or -ENOMEM. */
int dist_merge(struct dist *d, const struct dist *from);
/* Sets the exact sum and, where they are known and fit their bins, narrower bounds. */
void dist_set_exact(struct dist *d, uint64_t sum, uint64_t min, uint64_t max);
/*
 * Makes it what a file says: these figures, with the bins that were added before (or none). `quantiles` has DIST_QUANTILES
 * values, DIST_UNKNOWN among them allowed. 0 or -ENOMEM.
 */
int dist_summarize(struct dist *d, uint64_t count, uint64_t sum, uint64_t min, uint64_t max,
		   const uint64_t *quantiles);
/*
 * The value below which the share q (0..1) of all values lies; 0 when empty. DIST_UNKNOWN where only a summary without that
 * percentile is left.
 */
uint64_t dist_percentile(const struct dist *d, double q);
size_t dist_bytes(const struct dist *d);

#endif
