// SPDX-License-Identifier: BSD-2-Clause
/* The parts of the TCP probe that need no kernel: the life of an account's slot, and when files are walked. */
#include "suite.h"

#include "base/clock.h"
#include "probe/tcp_accounts.h"
#include "probe/tcp_schedule.h"

#define OWNER 42ull

START_TEST(free_slot_is_left_alone)
{
	struct tcp_account account = { 0 };
	struct tcp_account_memory memory = { 0 };
	struct tcp_growth growth;

	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_NOTHING);
}
END_TEST

START_TEST(growth_is_given_once)
{
	struct tcp_account account = { .owner = OWNER, .tx_bytes = 100, .failed = 1 };
	struct tcp_account_memory memory = { 0 };
	struct tcp_growth growth;

	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_GREW);
	ck_assert_uint_eq(growth.tx_bytes, 100);
	ck_assert_uint_eq(growth.failed, 1);
	ck_assert_uint_eq(growth.rx_bytes, 0);
	account.tx_bytes = 130;
	account.rx_bytes = 7;
	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_GREW);
	ck_assert_uint_eq(growth.tx_bytes, 30);
	ck_assert_uint_eq(growth.rx_bytes, 7);
	ck_assert_uint_eq(growth.failed, 0);
}
END_TEST

START_TEST(a_total_that_stepped_back_waits)
{
	struct tcp_account account = { .owner = OWNER, .rx_bytes = 1001 };
	struct tcp_account_memory memory = { 0 };
	struct tcp_growth growth;

	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_GREW);
	account.rx_bytes = 1000; /* a FIN that was taken for data */
	account.closed = 1;
	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_GREW);
	ck_assert_uint_eq(growth.rx_bytes, 0);
	ck_assert_uint_eq(growth.closed, 1);
	account.rx_bytes = 1500;
	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_GREW);
	ck_assert_uint_eq(growth.rx_bytes, 499);
}
END_TEST

START_TEST(an_idle_slot_rests_before_it_is_free)
{
	struct tcp_account account = { .owner = OWNER, .opened = 1 };
	struct tcp_account_memory memory = { 0 };
	struct tcp_growth growth;

	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_GREW);
	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_RETIRE);
	/* What the caller does then; and a late count of a program that still held the slot. */
	account.owner = 0;
	memory.resting = true;
	account.tx_bytes = 9;
	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_GREW);
	ck_assert_uint_eq(growth.tx_bytes, 9);
	ck_assert_uint_eq(memory.owner, OWNER);
	ck_assert_int_eq(tcp_account_judge(&account, &memory, &growth), TCP_ACCOUNT_PUT_BACK);
}
END_TEST

START_TEST(nothing_unnamed_asks_for_no_walk)
{
	struct tcp_schedule s = { 0 };

	ck_assert(!tcp_schedule_due(&s, NSEC_PER_SEC, 0));
	ck_assert(tcp_schedule_due(&s, NSEC_PER_SEC, 1));
}
END_TEST

START_TEST(a_walk_rests_three_hundred_times_its_cost)
{
	struct tcp_schedule s = { 0 };
	uint64_t now = 10 * NSEC_PER_SEC, cost = 20 * NSEC_PER_MSEC;

	tcp_schedule_done(&s, now, cost, 0);
	ck_assert(!tcp_schedule_due(&s, now + 6 * NSEC_PER_SEC - 1, 5));
	ck_assert(tcp_schedule_due(&s, now + 6 * NSEC_PER_SEC, 5));
}
END_TEST

START_TEST(those_not_found_are_asked_for_less_and_less)
{
	struct tcp_schedule s = { 0 };
	uint64_t now = 10 * NSEC_PER_SEC;

	for (uint64_t delay = NSEC_PER_SEC; delay <= 64 * NSEC_PER_SEC; delay *= 2) {
		tcp_schedule_done(&s, now, 0, 3);
		ck_assert(!tcp_schedule_due(&s, now + delay - 1, 3));
		ck_assert(tcp_schedule_due(&s, now + delay, 3));
		now += delay;
	}
	tcp_schedule_done(&s, now, 0, 3);
	ck_assert(tcp_schedule_due(&s, now + 64 * NSEC_PER_SEC, 3));
}
END_TEST

START_TEST(a_new_one_is_asked_for_at_once)
{
	struct tcp_schedule s = { 0 };
	uint64_t now = 10 * NSEC_PER_SEC;

	tcp_schedule_done(&s, now, 0, 3);
	ck_assert(tcp_schedule_due(&s, now + 1, 4));
	/* Two of the three ended, one came. */
	ck_assert(!tcp_schedule_due(&s, now + 2, 1));
	ck_assert(tcp_schedule_due(&s, now + 3, 2));
}
END_TEST

START_TEST(after_all_were_found_the_delay_begins_anew)
{
	struct tcp_schedule s = { 0 };

	tcp_schedule_done(&s, NSEC_PER_SEC, 0, 3);
	tcp_schedule_done(&s, 3 * NSEC_PER_SEC, 0, 0);
	tcp_schedule_done(&s, 5 * NSEC_PER_SEC, 0, 1);
	ck_assert(tcp_schedule_due(&s, 6 * NSEC_PER_SEC, 1));
}
END_TEST

SUITE("tcp", free_slot_is_left_alone, growth_is_given_once, a_total_that_stepped_back_waits,
      an_idle_slot_rests_before_it_is_free, nothing_unnamed_asks_for_no_walk,
      a_walk_rests_three_hundred_times_its_cost, those_not_found_are_asked_for_less_and_less,
      a_new_one_is_asked_for_at_once, after_all_were_found_the_delay_begins_anew)
