// SPDX-License-Identifier: BSD-2-Clause
/* Names of block devices and lines of /proc/diskstats, as kernels of several ages write them. */
#include "suite.h"

#include <string.h>

#include "base/file.h"
#include "base/macros.h"
#include "probe/device.h"

START_TEST(names_that_are_shown)
{
	static const struct {
		const char *kernel, *shown;
	} names[] = {
		{ "nvme0c0n1", "nvme0n1" },
		{ "nvme12c345n6", "nvme12n6" },
		{ "nvme0n1", "nvme0n1" },
		{ "nvme0c0", "nvme0c0" },
		{ "nvme0c0n", "nvme0n" },
		{ "nvmec0n1", "nvmec0n1" },
		{ "nvme0cn1", "nvme0cn1" },
		{ "nvme", "nvme" },
		{ "loop7", "loop7" },
		{ "sda", "sda" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char name[DEVICE_NAME_LEN];

		snprintf(name, sizeof(name), "%s", names[i].kernel);
		device_show_name(name);
		ck_assert_str_eq(name, names[i].shown);
	}
}
END_TEST

START_TEST(line_of_5_5_and_later)
{
	const char *at =
		" 254       0 vda 212369 17687 11183922 345249 114215 45397 9522056 29715 0 31100 379971"
		" 41850 44 5413824 4115 25077 890\n";
	struct diskstats d;

	ck_assert(diskstats_next(&at, &d));
	ck_assert_uint_eq(d.major, 254);
	ck_assert_uint_eq(d.minor, 0);
	ck_assert_str_eq(d.name, "vda");
	ck_assert_uint_eq(d.reads, 212369);
	ck_assert_uint_eq(d.read_bytes, 11183922ull * 512);
	ck_assert_uint_eq(d.writes, 114215);
	ck_assert_uint_eq(d.write_bytes, 9522056ull * 512);
	ck_assert_uint_eq(d.discards, 41850);
	ck_assert_uint_eq(d.discard_bytes, 5413824ull * 512);
	ck_assert_uint_eq(d.flushes, 25077);
	ck_assert(!diskstats_next(&at, &d));
}
END_TEST

START_TEST(lines_of_older_kernels)
{
	const char *at = "   8       0 sda 1 0 8 3 2 0 16 4 0 5 7\n" /* before 4.18 */
			 "   8      16 sdb 1 0 8 3 2 0 16 4 0 5 7 9 0 72 1\n"; /* before 5.5 */
	struct diskstats d;

	ck_assert(diskstats_next(&at, &d));
	ck_assert_uint_eq(d.writes, 2);
	ck_assert_uint_eq(d.write_bytes, 16 * 512);
	ck_assert_uint_eq(d.discards, METRIC_NULL);
	ck_assert_uint_eq(d.discard_bytes, METRIC_NULL);
	ck_assert_uint_eq(d.flushes, METRIC_NULL);
	ck_assert(diskstats_next(&at, &d));
	ck_assert_str_eq(d.name, "sdb");
	ck_assert_uint_eq(d.discards, 9);
	ck_assert_uint_eq(d.discard_bytes, 72 * 512);
	ck_assert_uint_eq(d.flushes, METRIC_NULL);
	ck_assert(!diskstats_next(&at, &d));
}
END_TEST

START_TEST(lines_that_are_none)
{
	const char *at =
		"\n"
		"nonsense\n"
		" 104 0 cciss/c0d0 1 0 8 3 2 0 16 4 0 5 7\n" /* a slash is not allowed in sysfs */
		" 7 0 loop0 1 0\n" /* cut short */
		" 7 1 loop1 18446744073709551615 0 0 0 1 0 0 0 0 0 0"; /* no newline */
	struct diskstats d;

	ck_assert(diskstats_next(&at, &d));
	ck_assert_str_eq(d.name, "cciss!c0d0");
	ck_assert(diskstats_next(&at, &d));
	ck_assert_str_eq(d.name, "loop1");
	ck_assert_uint_eq(d.reads, UINT64_MAX);
	ck_assert(!diskstats_next(&at, &d));
	at = "";
	ck_assert(!diskstats_next(&at, &d));
}
END_TEST

/* On the running kernel: the parser takes every line, and every disk of sysfs has one of them and a kind. */
START_TEST(this_kernel)
{
	cleanup_buf struct buf text = BUF_INIT;
	size_t lines = 0, parsed = 0;
	struct diskstats d;

	if (access("/proc/diskstats", R_OK) || access("/sys/block", R_OK))
		return;
	ck_assert_int_eq(file_read("/proc/diskstats", &text, 1 << 20), 0);
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	for (const char *at = buf_str(&text); diskstats_next(&at, &d); parsed++) {
		char name[DEVICE_NAME_LEN];

		if (device_kind_of(d.name) == DEVICE_PARTITION)
			continue;
		ck_assert(device_name(d.major, d.minor, name));
		ck_assert_str_eq(name, d.name);
	}
	ck_assert_uint_eq(parsed, lines);
}
END_TEST

START_TEST(kinds)
{
	char name[DEVICE_NAME_LEN];

	ck_assert_int_eq(device_kind_of("no such device"), DEVICE_PARTITION);
	ck_assert(!device_name(4095, 4095, name));
}
END_TEST

SUITE("device", names_that_are_shown, line_of_5_5_and_later, lines_of_older_kernels,
      lines_that_are_none, this_kernel, kinds)
