// SPDX-License-Identifier: BSD-2-Clause
/* Bins at their edges, percentiles against the sorted values, merging. */
#include "suite.h"

#include <math.h>
#include <stdlib.h>

#include "base/macros.h"
#include "metric/histogram.h"

static const uint64_t edges[] = {
	0,
	1,
	14,
	15,
	16,
	17,
	31,
	32,
	33,
	63,
	64,
	65,
	255,
	256,
	(1ull << 31) - 1,
	1ull << 31,
	(1ull << 31) + 1,
	(1ull << 32) - 1,
	1ull << 32,
	(1ull << 32) + 1,
	(1ull << 36) - 1,
	1ull << 36,
	(1ull << 63) - 1,
	1ull << 63,
	(1ull << 63) + 1,
	UINT64_MAX - 1,
	UINT64_MAX,
};

START_TEST(bins_at_edges)
{
	for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
		unsigned int bin = bins_index(edges[i]);

		ck_assert_uint_lt(bin, BINS_COUNT);
		if (edges[i] < bins_lower(bin) || edges[i] > bins_upper(bin))
			ck_abort_msg("%llu is not in its bin %u", (unsigned long long)edges[i], bin);
	}
	ck_assert_uint_eq(bins_index(0), 0);
	ck_assert_uint_eq(bins_index(15), 15);
	ck_assert_uint_eq(bins_index(16), 16);
	ck_assert_uint_eq(bins_index(31), 31);
	ck_assert_uint_eq(bins_index(32), 32);
	ck_assert_uint_eq(bins_index(33), 32);
	ck_assert_uint_eq(bins_index(UINT64_MAX), BINS_COUNT - 1);
	ck_assert(bins_upper(BINS_COUNT - 1) == UINT64_MAX);
	ck_assert_uint_eq(bins_index((1ull << 36) - 1), BINS_SHORT_COUNT - 1);
	ck_assert_uint_eq(bins_index(1ull << 36), BINS_SHORT_COUNT);
	for (int shift = 0; shift < 64; shift++) {
		ck_assert_uint_eq(bins_log2(1ull << shift), shift);
		ck_assert_uint_eq(bins_log2((1ull << shift) | ((1ull << shift) - 1)), shift);
	}
}
END_TEST

/* The bins cover all values once, in order, none wider than 1/16 of its values. */
START_TEST(bins_are_seamless)
{
	for (unsigned int bin = 0; bin < BINS_COUNT; bin++) {
		uint64_t lower = bins_lower(bin), upper = bins_upper(bin);

		ck_assert_uint_eq(bins_index(lower), bin);
		ck_assert_uint_eq(bins_index(upper), bin);
		if (bin + 1 < BINS_COUNT)
			ck_assert_uint_eq(bins_lower(bin + 1), upper + 1);
		ck_assert_uint_le(upper - lower, lower / 16);
	}
}
END_TEST

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static double uniform(void)
{
	return (rand() + 0.5) / (RAND_MAX + 1.0);
}

enum shape {
	UNIFORM,
	EXPONENTIAL,
	LOGNORMAL,
	TWO_PEAKS,
	CONSTANT,
	HEAVY_TAIL,
	SMALL,
	HUGE_VALUES,
	SHAPES
};

static uint64_t draw(enum shape shape)
{
	switch (shape) {
	case UNIFORM:
		return uniform() * 1e6;
	case EXPONENTIAL:
		return -log(uniform()) * 50000;
	case LOGNORMAL:
		return exp(10 + 2 * sqrt(-2 * log(uniform())) * cos(6.283185307 * uniform()));
	case TWO_PEAKS:
		return (rand() % 10 ? 1000 : 5000000) + uniform() * 100;
	case CONSTANT:
		return 123457;
	case HEAVY_TAIL:
		return 100 / pow(uniform(), 1.2);
	case SMALL:
		return rand() % 40;
	default:
		return (uint64_t)(uniform() * 9e18) + 9000000000000000000ull;
	}
}

/* The percentile is within 6.25% of a value at its rank (the values on both sides of it are as good). */
static void check_percentile(const struct dist *d, const uint64_t *sorted, size_t n, double q,
			     const char *what)
{
	double rank = q * n, got = dist_percentile(d, q);
	size_t before = rank < 1 ? 0 : MIN((size_t)ceil(rank) - 1, n - 1),
	       after = MIN((size_t)floor(rank), n - 1);
	double low = sorted[MIN(before, after)] * (1 - 0.0625),
	       high = sorted[MAX(before, after)] * (1 + 0.0625);

	if (got < low || got > high)
		ck_abort_msg("%s of %zu: q %g is %.0f, not in %.0f..%.0f", what, n, q, got, low,
			     high);
}

START_TEST(percentiles)
{
	static const double shares[] = { 0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1 };
	static const size_t sizes[] = { 1, 2, 3, 10, 100, 20000 };
	static uint64_t values[20000];

	srand(1);
	for (int shape = 0; shape < SHAPES; shape++) {
		for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
			struct dist exact = { 0 }, binned = { 0 };
			size_t n = sizes[s];
			uint64_t sum = 0;

			for (size_t i = 0; i < n; i++) {
				values[i] = draw(shape);
				sum += values[i];
				ck_assert_int_eq(dist_add(&exact, values[i]), 0);
				ck_assert_int_eq(dist_add_bin(&binned, bins_index(values[i]), 1), 0);
			}
			qsort(values, n, sizeof(*values), by_value);
			ck_assert_uint_eq(exact.count, n);
			ck_assert_uint_eq(exact.sum, sum);
			ck_assert_uint_eq(exact.min, values[0]);
			ck_assert_uint_eq(exact.max, values[n - 1]);
			ck_assert_uint_eq(dist_percentile(&exact, 1), values[n - 1]);
			for (size_t i = 0; i < ARRAY_SIZE(shares); i++) {
				check_percentile(&exact, values, n, shares[i], "exact bounds");
				check_percentile(&binned, values, n, shares[i], "bins only");
			}
			dist_release(&exact);
			dist_release(&binned);
		}
	}
}
END_TEST

START_TEST(percentiles_ascend)
{
	srand(2);
	for (int round = 0; round < 200; round++) {
		struct dist d = { 0 };
		uint64_t last = 0;

		for (int i = rand() % 500 + 1; i > 0; i--)
			ck_assert_int_eq(dist_add(&d, draw(rand() % SHAPES)), 0);
		for (int q = 0; q <= 1000; q++) {
			uint64_t value = dist_percentile(&d, q / 1000.0);

			if (value < last || value < d.min || value > d.max)
				ck_abort_msg("q %d/1000 is %llu after %llu", q,
					     (unsigned long long)value, (unsigned long long)last);
			last = value;
		}
		dist_release(&d);
	}
}
END_TEST

START_TEST(edges_of_values)
{
	for (size_t i = 0; i < ARRAY_SIZE(edges); i++) {
		struct dist d = { 0 };

		for (int k = 0; k < 3; k++)
			ck_assert_int_eq(dist_add(&d, edges[i]), 0);
		/* All equal: exact. */
		for (double q = 0; q <= 1; q += 0.125)
			ck_assert_uint_eq(dist_percentile(&d, q), edges[i]);
		dist_release(&d);
	}
}
END_TEST

START_TEST(nothing)
{
	struct dist d = { 0 }, other = { 0 };

	ck_assert(!d.known);
	ck_assert_uint_eq(dist_percentile(&d, 0.5), 0);
	ck_assert_int_eq(dist_add_bin(&d, 5, 0), 0);
	ck_assert_uint_eq(d.count, 0);
	dist_set_exact(&d, 1, 1, 1);
	ck_assert_uint_eq(d.sum, 0);
	/* Unknown adds nothing, and does not make known. */
	ck_assert_int_eq(dist_merge(&d, &other), 0);
	ck_assert(!d.known);
	dist_clear(&other);
	ck_assert_int_eq(dist_merge(&d, &other), 0);
	ck_assert(d.known);
	ck_assert_uint_eq(d.count, 0);
	dist_release(&d);
	dist_release(&d);
}
END_TEST

START_TEST(exact_sums)
{
	struct dist d = { 0 };

	ck_assert_int_eq(dist_add_bin(&d, bins_index(1000), 10), 0);
	ck_assert_uint_eq(d.min, bins_lower(bins_index(1000)));
	ck_assert_uint_eq(d.max, bins_upper(bins_index(1000)));
	dist_set_exact(&d, 10050, 1001, 1010);
	ck_assert_uint_eq(d.sum, 10050);
	ck_assert_uint_eq(d.min, 1001);
	ck_assert_uint_eq(d.max, 1010);
	/* Bounds that do not fit the bins are not believed. */
	dist_set_exact(&d, 10050, 5, 20);
	ck_assert_uint_eq(d.min, 1001);
	ck_assert_uint_eq(d.max, 1010);
	dist_release(&d);
}
END_TEST

/* Merging parts in any order gives what adding every value does. */
START_TEST(merging)
{
	struct dist whole = { 0 }, merged = { 0 };

	srand(3);
	dist_clear(&merged);
	for (int part = 0; part < 50; part++) {
		struct dist d = { 0 };

		dist_clear(&d);
		for (int i = rand() % 200; i > 0; i--) {
			uint64_t value = draw(rand() % SHAPES) >> rand() % 40;

			ck_assert_int_eq(dist_add(&whole, value), 0);
			ck_assert_int_eq(dist_add(&d, value), 0);
		}
		ck_assert_int_eq(dist_merge(&merged, &d), 0);
		dist_release(&d);
	}
	ck_assert_uint_eq(merged.count, whole.count);
	ck_assert_uint_eq(merged.sum, whole.sum);
	ck_assert_uint_eq(merged.min, whole.min);
	ck_assert_uint_eq(merged.max, whole.max);
	ck_assert_uint_eq(merged.n_bins, whole.n_bins);
	for (uint32_t i = 0; i < whole.n_bins; i++) {
		ck_assert_uint_eq(merged.bins[i].bin, whole.bins[i].bin);
		ck_assert_uint_eq(merged.bins[i].count, whole.bins[i].count);
		ck_assert(!i || whole.bins[i].bin > whole.bins[i - 1].bin);
	}
	ck_assert_uint_gt(dist_bytes(&whole), 0);
	/* Emptied, it keeps its memory. */
	dist_clear(&whole);
	ck_assert_uint_eq(whole.count, 0);
	ck_assert_uint_gt(dist_bytes(&whole), 0);
	dist_release(&whole);
	dist_release(&merged);
}
END_TEST

SUITE("histogram", bins_at_edges, bins_are_seamless, percentiles, percentiles_ascend,
      edges_of_values, nothing, exact_sums, merging)
