// SPDX-License-Identifier: BSD-2-Clause
/* The parsers of /proc's system figures, on texts as kernels of several ages write them. */
#include "suite.h"

#include <math.h>

#include "base/macros.h"
#include "probe/system_parse.h"

/* Debian 12 (6.1), two CPUs, a guest, the interrupt line cut short. */
static const char stat_6_1[] = "cpu  15801 7 6178 430388 905 11 105 30 400 0\n"
			       "cpu0 6462 3 2460 217723 32 5 17 12 200 0\n"
			       "cpu1 9338 4 3718 212665 873 6 88 18 200 0\n"
			       "intr 476897 0 0 0 14 0 0 1\n"
			       "ctxt 987654321\n"
			       "btime 1700000000\n"
			       "processes 4242\n"
			       "procs_running 1\n"
			       "procs_blocked 0\n"
			       "softirq 277 0 1 2 3 4 5 6 7 8 9\n";
/* 2.6.9 of long ago: no steal, one CPU without a line of its own. */
static const char stat_2_6[] = "cpu  100 20 30 4000 50 6 7\nctxt 5\n";
static const char stat_offline[] = "cpu  1 1 1 1 1 1 1 1 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n"
				   "cpu3 0 0 0 0 0 0 0 0 0 0\nintr 0\nctxt 12\n";

START_TEST(stat_is_read)
{
	struct stat_figures stat;

	ck_assert_int_eq(stat_parse(stat_6_1, &stat), 0);
	ck_assert_uint_eq(stat.cpu.user, 15808);
	ck_assert_uint_eq(stat.cpu.system, 6178 + 11 + 105);
	ck_assert_uint_eq(stat.cpu.idle, 430388);
	ck_assert_uint_eq(stat.cpu.iowait, 905);
	ck_assert_uint_eq(stat.cpu.steal, 30);
	ck_assert_uint_eq(stat.cpus, 2);
	ck_assert_uint_eq(stat.switches, 987654321);

	ck_assert_int_eq(stat_parse(stat_2_6, &stat), 0);
	ck_assert_uint_eq(stat.cpu.system, 43);
	ck_assert_uint_eq(stat.cpu.steal, 0);
	ck_assert_uint_eq(stat.cpus, 1);
	ck_assert_uint_eq(stat.switches, 5);

	/* CPUs 1 and 2 are offline. */
	ck_assert_int_eq(stat_parse(stat_offline, &stat), 0);
	ck_assert_uint_eq(stat.cpus, 2);
	ck_assert_uint_eq(stat.switches, 12);
}
END_TEST

START_TEST(stat_that_is_none)
{
	static const char *const bad[] = {
		"", "cpu", "cpu  1 2 3\n", "cpu0 1 2 3 4 5\n", "intr 5\nctxt 6\n", "\n"
	};
	struct stat_figures stat;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(stat_parse(bad[i], &stat), -EBADMSG);
	ck_assert_int_eq(stat_parse("cpu  1 2 3 4\n", &stat), 0);
	ck_assert(stat.switches == METRIC_NULL);
}
END_TEST

START_TEST(memory_is_read)
{
	struct memory_figures memory;

	ck_assert_int_eq(memory_parse("MemTotal:       24684084 kB\nMemFree:        23606048 kB\n"
				      "MemAvailable:   24247492 kB\nBuffers:           43816 kB\n"
				      "SwapCached:            0 kB\nSwapTotal:       2097148 kB\n"
				      "SwapFree:        2000000 kB\n",
				      &memory),
			 0);
	ck_assert_uint_eq(memory.total, 24684084ull * 1024);
	ck_assert_uint_eq(memory.available, 24247492ull * 1024);
	ck_assert_uint_eq(memory.swap_used, 97148ull * 1024);

	/* 3.10 knows no MemAvailable; a kernel without swap no SwapTotal. */
	ck_assert_int_eq(memory_parse("MemTotal: 1024 kB\nMemFree: 512 kB\n", &memory), 0);
	ck_assert(memory.available == METRIC_NULL && memory.swap_used == METRIC_NULL);
	ck_assert_int_eq(memory_parse("MemFree: 512 kB\n", &memory), -EBADMSG);
	ck_assert_int_eq(memory_parse("", &memory), -EBADMSG);
}
END_TEST

START_TEST(faults_are_read)
{
	struct fault_figures fault;

	ck_assert_int_eq(fault_parse("nr_free_pages 5901512\npgfree 10\npgfault 3456789\npgmajfault 123\n"
				     "pgmajfault_a 5\n",
				     &fault),
			 0);
	ck_assert_uint_eq(fault.all, 3456789);
	ck_assert_uint_eq(fault.major, 123);
	ck_assert_int_eq(fault_parse("pgfault 1\n", &fault), -EBADMSG);
	ck_assert_int_eq(fault_parse("", &fault), -EBADMSG);
}
END_TEST

START_TEST(pressure_is_read)
{
	struct pressure_figures pressure;

	ck_assert_int_eq(pressure_parse("some avg10=0.00 avg60=0.04 avg300=0.14 total=8121774\n"
					"full avg10=0.00 avg60=0.04 avg300=0.13 total=7636157\n",
					&pressure),
			 0);
	ck_assert_uint_eq(pressure.some_us, 8121774);
	ck_assert_uint_eq(pressure.full_us, 7636157);

	/* The file of the CPU up to 5.12. */
	ck_assert_int_eq(
		pressure_parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=77\n", &pressure), 0);
	ck_assert_uint_eq(pressure.some_us, 77);
	ck_assert(pressure.full_us == METRIC_NULL);
	/* The total of one line is not another's. */
	ck_assert_int_eq(pressure_parse("some avg10=0.00\nfull total=9\n", &pressure), -EBADMSG);
	ck_assert_int_eq(pressure_parse("", &pressure), -EBADMSG);
}
END_TEST

START_TEST(interfaces_are_read)
{
	static const char text[] =
		"Inter-|   Receive                                                |  Transmit\n"
		" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo "
		"colls carrier compressed\n"
		"    lo:    3267      29    0    0    0     0          0         0     3268      29    0    0    0     "
		"0       0          0\n"
		"verylongname15x:123 1 2 3 4 5 6 7 456 9 10 11 12 13 14 15\n"
		"  odd: 1 2 3\n"
		"eth0:18446744073709551615 1 2 8 4 5 6 7 99999999999999999999 9 10 7 12 13 14 15\n";
	struct interface_figures one;
	const char *at = text;

	ck_assert(interface_parse(&at, &one));
	ck_assert_str_eq(one.name, "lo");
	ck_assert_uint_eq(one.rx_bytes, 3267);
	ck_assert_uint_eq(one.tx_bytes, 3268);
	ck_assert(interface_parse(&at, &one));
	ck_assert_str_eq(one.name, "verylongname15x");
	ck_assert_uint_eq(one.rx_bytes, 123);
	ck_assert_uint_eq(one.rx_dropped, 3);
	ck_assert_uint_eq(one.tx_bytes, 456);
	ck_assert_uint_eq(one.tx_dropped, 11);
	ck_assert(interface_parse(&at, &one));
	ck_assert_str_eq(one.name, "eth0");
	ck_assert(one.rx_bytes == UINT64_MAX);
	ck_assert(one.tx_bytes == UINT64_MAX);
	ck_assert_uint_eq(one.rx_dropped, 8);
	ck_assert(!interface_parse(&at, &one));
	ck_assert(!interface_parse(&at, &one));
}
END_TEST

START_TEST(shares_add_up)
{
	struct cpu_times before = { 1000, 500, 8000, 100, 10 }, after = before;
	struct system_metrics shares;

	/* Two CPUs, one second: 200 ticks. */
	after.user += 50;
	after.system += 30;
	after.iowait += 10;
	after.steal += 10;
	after.idle += 100;
	cpu_shares(&before, &after, 200, &shares);
	ck_assert_double_eq_tol(shares.cpu_user_pct, 25, 1e-9);
	ck_assert_double_eq_tol(shares.cpu_system_pct, 15, 1e-9);
	ck_assert_double_eq_tol(shares.cpu_iowait_pct, 5, 1e-9);
	ck_assert_double_eq_tol(shares.cpu_steal_pct, 5, 1e-9);
	ck_assert_double_eq_tol(shares.cpu_util_pct, 45, 1e-9);

	/* Nothing passed at all: not known, not zero. */
	cpu_shares(&before, &before, 0, &shares);
	ck_assert_double_nan(shares.cpu_util_pct);
	ck_assert_double_nan(shares.cpu_steal_pct);
}
END_TEST

START_TEST(counters_that_go_back)
{
	struct cpu_times before = { 1000, 500, 8000, 100, 10 }, after = before;
	struct system_metrics shares;

	/* iowait falls when a task that waits moves to another CPU. */
	after.user += 100;
	after.idle += 100;
	after.iowait -= 50;
	cpu_shares(&before, &after, 200, &shares);
	ck_assert_double_eq_tol(shares.cpu_user_pct, 50, 1e-9);
	ck_assert_double_eq_tol(shares.cpu_iowait_pct, 0, 1e-9);

	/* A CPU went: its idle time falls back to what was booked by ticks. */
	after = before;
	after.user += 50;
	after.idle = 3000;
	cpu_shares(&before, &after, 200, &shares);
	ck_assert_double_eq_tol(shares.cpu_user_pct, 25, 1e-9);
	ck_assert_double_eq_tol(shares.cpu_util_pct, 25, 1e-9);

	/* And comes back: idle and iowait jump far ahead. */
	after = before;
	after.user += 50;
	after.idle += 500000;
	after.iowait += 70000;
	cpu_shares(&before, &after, 200, &shares);
	ck_assert_double_eq_tol(shares.cpu_user_pct, 25, 1e-9);
	ck_assert_double_eq_tol(shares.cpu_iowait_pct, 75, 1e-9);
}
END_TEST

START_TEST(shares_stay_within_bounds)
{
	srand(1);
	for (int i = 0; i < 100000; i++) {
		struct cpu_times before = { rand(), rand(), rand(), rand(), rand() };
		struct cpu_times after = { rand(), rand(), rand(), rand(), rand() };
		struct system_metrics s;

		cpu_shares(&before, &after, rand() % 1000, &s);
		if (isnan(s.cpu_util_pct))
			continue;
		if (s.cpu_util_pct < 0 || s.cpu_util_pct > 100 + 1e-9 || s.cpu_iowait_pct < 0 ||
		    s.cpu_iowait_pct > 100 + 1e-9)
			ck_abort_msg("util %f, iowait %f", s.cpu_util_pct, s.cpu_iowait_pct);
	}
}
END_TEST

START_TEST(pressure_shares)
{
	ck_assert_double_eq_tol(pressure_share(1000, 251000, 1000000000), 25, 1e-9);
	ck_assert_double_eq_tol(pressure_share(1000, 1000, 1000000000), 0, 1e-9);
	/* A long stall booked at once. */
	ck_assert_double_eq_tol(pressure_share(0, 9000000, 1000000000), 100, 1e-9);
	ck_assert_double_nan(pressure_share(METRIC_NULL, 5, 1000000000));
	ck_assert_double_nan(pressure_share(5, METRIC_NULL, 1000000000));
	ck_assert_double_nan(pressure_share(5, 6, 0));
}
END_TEST

SUITE("system", stat_is_read, stat_that_is_none, memory_is_read, faults_are_read, pressure_is_read,
      interfaces_are_read, shares_add_up, counters_that_go_back, shares_stay_within_bounds,
      pressure_shares)
