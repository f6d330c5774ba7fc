// SPDX-License-Identifier: BSD-2-Clause
/* The budget's decisions: when a source goes, when it comes back, and that one that keeps going comes back less often. */
#include "suite.h"

#include "agent/budget.h"

#define SECOND 1000000000ull
#define LIMIT_BYTES (32u << 20)

static struct budget budget;

static void begin(void)
{
	budget_init(&budget, 1, LIMIT_BYTES);
}

/* One interval of a second on two CPUs that cost so many percent of both. */
static enum budget_verdict interval(double pct)
{
	return budget_judge(&budget, (uint64_t)(pct / 100 * 2 * SECOND), SECOND, 2, LIMIT_BYTES / 2);
}

/* How many intervals within the budget it takes until a source may come back; 0: more than `most`. */
static unsigned int calm_until_restore(unsigned int most)
{
	for (unsigned int i = 1; i <= most; i++)
		if (interval(0.1) == BUDGET_RESTORE)
			return i;
	return 0;
}

START_TEST(within_is_kept)
{
	begin();
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(interval(0.99), BUDGET_KEEP);
}
END_TEST

START_TEST(one_peak_is_borne)
{
	begin();
	for (int i = 0; i < 100; i++) {
		for (int k = 1; k < BUDGET_OVER; k++)
			ck_assert_int_eq(interval(50), BUDGET_KEEP);
		ck_assert_int_eq(interval(0.5), BUDGET_KEEP);
	}
}
END_TEST

START_TEST(over_for_long_is_shed)
{
	begin();
	for (int k = 1; k < BUDGET_OVER; k++)
		ck_assert_int_eq(interval(1.01), BUDGET_KEEP);
	ck_assert_int_eq(interval(1.01), BUDGET_SHED);
}
END_TEST

START_TEST(short_intervals_bear_a_burst)
{
	unsigned int over = 1;

	begin();
	while (budget_judge(&budget, SECOND, SECOND / 10, 2, 0) == BUDGET_KEEP)
		over++;
	ck_assert_uint_eq(over, BUDGET_OVER_NS / (SECOND / 10));
}
END_TEST

START_TEST(memory_counts_too)
{
	begin();
	for (int k = 1; k < BUDGET_OVER; k++)
		ck_assert_int_eq(budget_judge(&budget, 0, SECOND, 2, LIMIT_BYTES + 1), BUDGET_KEEP);
	ck_assert_int_eq(budget_judge(&budget, 0, SECOND, 2, LIMIT_BYTES + 1), BUDGET_SHED);
	ck_assert_int_eq(budget_judge(&budget, 0, SECOND, 2, LIMIT_BYTES), BUDGET_KEEP);
}
END_TEST

START_TEST(nothing_to_restore)
{
	begin();
	ck_assert_uint_eq(calm_until_restore(1000), 0);
}
END_TEST

/* Sheds a source, waits until it may come back, lets it; how many seconds that took. */
static unsigned int shed_and_restore(void)
{
	unsigned int seconds;

	budget_shed(&budget);
	seconds = calm_until_restore(BUDGET_CALM_MAX_NS / SECOND);
	ck_assert_uint_gt(seconds, 0);
	budget_restored(&budget);
	return seconds;
}

START_TEST(restored_less_and_less_often)
{
	unsigned int before = 0;

	begin();
	for (int round = 0; round < 20; round++) {
		unsigned int now = shed_and_restore();

		ck_assert(now > before || now == BUDGET_CALM_MAX_NS / SECOND);
		before = now;
	}
	ck_assert_uint_eq(before, BUDGET_CALM_MAX_NS / SECOND);
}
END_TEST

START_TEST(one_bad_minute_is_forgiven)
{
	begin();
	for (int i = 0; i < 4; i++)
		budget_shed(&budget);
	for (int i = 0; i < 4; i++) {
		ck_assert_uint_eq(calm_until_restore(100), BUDGET_CALM_NS / SECOND);
		budget_restored(&budget);
	}
	/* Long after, the next one is no worse. */
	for (int i = 0; i < 1000; i++)
		interval(0.1);
	ck_assert_uint_eq(shed_and_restore(), BUDGET_CALM_NS / SECOND);
}
END_TEST

START_TEST(no_room_is_not_calm)
{
	begin();
	budget_shed(&budget);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(interval(BUDGET_ROOM + 0.1), BUDGET_KEEP);
}
END_TEST

START_TEST(no_limits)
{
	budget_init(&budget, 0, 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(budget_judge(&budget, UINT64_MAX / 200, SECOND, 1, UINT64_MAX),
				 BUDGET_KEEP);
}
END_TEST

SUITE("budget", within_is_kept, one_peak_is_borne, over_for_long_is_shed,
      short_intervals_bear_a_burst, memory_counts_too, nothing_to_restore,
      restored_less_and_less_often, one_bad_minute_is_forgiven, no_room_is_not_calm, no_limits)
