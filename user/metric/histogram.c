// SPDX-License-Identifier: BSD-2-Clause
#include "metric/histogram.h"

#include <math.h>
#include <string.h>

#include "base/macros.h"

#define FIRST_CAP 8

const double dist_quantiles[DIST_QUANTILES] = { 0.5, 0.9, 0.99, 0.999 };

void dist_release(struct dist *d)
{
	free(d->bins);
	free(d->quantiles);
	*d = (struct dist){ 0 };
}

void dist_clear(struct dist *d)
{
	d->count = d->sum = d->min = d->max = 0;
	d->n_bins = 0;
	d->known = true;
	d->summarized = false;
}

/* The position of `bin` in d->bins, or where it would be inserted. */
static uint32_t position(const struct dist *d, unsigned int bin)
{
	uint32_t lo = 0, hi = d->n_bins;

	/* Bins mostly come in ascending order. */
	if (hi && d->bins[hi - 1].bin < bin)
		return hi;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (d->bins[mid].bin < bin)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Adds to a bin's count only. */
static int count_bin(struct dist *d, unsigned int bin, uint64_t count)
{
	uint32_t at = position(d, bin);

	if (at < d->n_bins && d->bins[at].bin == bin) {
		d->bins[at].count += count;
		return 0;
	}
	if (d->n_bins == d->cap_bins) {
		uint32_t cap = d->cap_bins ? d->cap_bins * 2 : FIRST_CAP;
		struct dist_bin *bins = realloc(d->bins, cap * sizeof(*bins));

		if (!bins)
			return -ENOMEM;
		d->bins = bins;
		d->cap_bins = cap;
	}
	memmove(d->bins + at + 1, d->bins + at, (d->n_bins - at) * sizeof(*d->bins));
	d->bins[at] = (struct dist_bin){ (uint16_t)bin, count };
	d->n_bins++;
	return 0;
}

static void widen(struct dist *d, uint64_t count, uint64_t sum, uint64_t min, uint64_t max)
{
	d->min = d->count ? MIN(d->min, min) : min;
	d->max = d->count ? MAX(d->max, max) : max;
	d->count += count;
	d->sum += sum;
}

int dist_add_bin(struct dist *d, unsigned int bin, uint64_t count)
{
	uint64_t lower, upper;
	int err;

	if (!count)
		return 0;
	bin = MIN(bin, BINS_COUNT - 1);
	err = count_bin(d, bin, count);
	if (err)
		return err;
	lower = bins_lower(bin);
	upper = bins_upper(bin);
	widen(d, count, (lower + (upper - lower) / 2) * count, lower, upper);
	return 0;
}

int dist_add(struct dist *d, uint64_t value)
{
	int err = count_bin(d, bins_index(value), 1);

	if (!err)
		widen(d, 1, value, value, value);
	return err;
}

int dist_summarize(struct dist *d, uint64_t count, uint64_t sum, uint64_t min, uint64_t max,
		   const uint64_t *quantiles)
{
	if (!d->quantiles)
		d->quantiles = malloc(DIST_QUANTILES * sizeof(*d->quantiles));
	if (!d->quantiles)
		return -ENOMEM;
	memcpy(d->quantiles, quantiles, DIST_QUANTILES * sizeof(*quantiles));
	d->count = count;
	d->sum = sum;
	d->min = min;
	d->max = max;
	d->known = d->summarized = true;
	return 0;
}

static int merge_bins(struct dist *d, const struct dist *from)
{
	/* Bins that cover only some of the values would lie. */
	if (!from->n_bins || (d->count && !d->n_bins)) {
		d->n_bins = 0;
		return 0;
	}
	for (uint32_t i = 0; i < from->n_bins; i++) {
		int err = count_bin(d, from->bins[i].bin, from->bins[i].count);

		if (err)
			return err;
	}
	return 0;
}

int dist_merge(struct dist *d, const struct dist *from)
{
	int err;

	if (from->known)
		d->known = true;
	if (!from->count)
		return 0;
	err = merge_bins(d, from);
	if (err)
		return err;
	if (!d->count && from->summarized)
		return dist_summarize(d, from->count, from->sum, from->min, from->max,
				      from->quantiles);
	d->summarized = false;
	widen(d, from->count, from->sum, from->min, from->max);
	return 0;
}

void dist_set_exact(struct dist *d, uint64_t sum, uint64_t min, uint64_t max)
{
	if (!d->n_bins)
		return;
	d->sum = sum;
	if (bins_index(min) == d->bins[0].bin)
		d->min = min;
	if (bins_index(max) >= d->bins[d->n_bins - 1].bin)
		d->max = max;
}

uint64_t dist_percentile(const struct dist *d, double q)
{
	double rank = q * d->count;
	uint64_t seen = 0;

	if (!d->count)
		return 0;
	for (int i = 0; d->summarized && i < DIST_QUANTILES; i++)
		if (dist_quantiles[i] == q)
			return d->quantiles[i];
	if (!d->n_bins)
		return DIST_UNKNOWN;
	for (uint32_t i = 0; i < d->n_bins; i++) {
		uint64_t lower, upper;
		double inside, value;

		if (seen + d->bins[i].count < rank) {
			seen += d->bins[i].count;
			continue;
		}
		lower = MAX(bins_lower(d->bins[i].bin), d->min);
		upper = i + 1 == d->n_bins ? d->max : MIN(bins_upper(d->bins[i].bin), d->max);
		inside = (rank - seen) / d->bins[i].count;
		value = lower + inside * ((double)upper - lower);
		return value >= upper ? upper : (uint64_t)value;
	}
	return d->max;
}

size_t dist_bytes(const struct dist *d)
{
	return d->cap_bins * sizeof(*d->bins) +
	       (d->quantiles ? DIST_QUANTILES * sizeof(*d->quantiles) : 0);
}
