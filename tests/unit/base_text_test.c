// SPDX-License-Identifier: BSD-2-Clause
/* Buffers, JSON, UTF-8, numbers with units, times, near names. */
#include "suite.h"

#include <jansson.h>
#include <locale.h>
#include <math.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/suggest.h"
#include "base/units.h"
#include "base/utf8.h"

START_TEST(buffers)
{
	struct buf b = BUF_INIT;

	ck_assert_str_eq(buf_str(&b), "");
	buf_adds(&b, "");
	buf_addu(&b, 0);
	buf_addc(&b, ' ');
	buf_addu(&b, UINT64_MAX);
	buf_printf(&b, " %s %d", "x", -5);
	ck_assert_str_eq(buf_str(&b), "0 18446744073709551615 x -5");
	ck_assert_uint_eq(b.len, strlen(b.data));
	buf_reset(&b);
	ck_assert_str_eq(buf_str(&b), "");
	/* Longer than any first guess, by every way of appending. */
	for (int i = 0; i < 10000; i++)
		buf_addc(&b, 'a' + i % 26);
	buf_printf(&b, "%*d", 5000, 7);
	buf_add(&b, "\0z", 2);
	ck_assert_uint_eq(b.len, 15002);
	ck_assert_int_eq(b.data[9999], 'a' + 9999 % 26);
	ck_assert_int_eq(b.data[14999], '7');
	ck_assert_int_eq(b.data[15001], 'z');
	ck_assert_int_eq(b.data[15002], 0);
	ck_assert(!b.failed);
	/* What cannot be had marks the buffer, and it stays as it was. */
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX / 2), -ENOMEM);
	buf_adds(&b, "more");
	ck_assert(b.failed);
	ck_assert_uint_eq(b.len, 15002);
	buf_reset(&b);
	ck_assert(!b.failed);
	buf_release(&b);
	buf_release(&b);
}
END_TEST

START_TEST(decimals)
{
	static const struct {
		double value;
		int decimals;
		const char *text;
	} cases[] = {
		{ 0, 3, "0" },
		{ 1.5, 3, "1.5" },
		{ 1.0005, 3, "1.001" },
		{ 99.9999, 2, "100" },
		{ -0.001, 2, "0" },
		{ -2.25, 2, "-2.25" },
		{ 0.05, 2, "0.05" },
		{ 0.005, 3, "0.005" },
		{ 123456789.5, 1, "123456789.5" },
		{ 1e11, 6, "100000000000" },
		{ 0.999999, 6, "0.999999" },
		{ 3, 0, "3" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct buf b = BUF_INIT;

		buf_addf(&b, cases[i].value, cases[i].decimals);
		ck_assert_str_eq(buf_str(&b), cases[i].text);
		buf_release(&b);
	}
	for (int i = 0; i < 100000; i++) {
		struct buf b = BUF_INIT;
		double value = (rand() - RAND_MAX / 2) / 1024.0;

		buf_addf(&b, value, 6);
		if (fabs(strtod(b.data, NULL) - value) > 0.51e-6)
			ck_abort_msg("%.9f is written as %s", value, b.data);
		buf_release(&b);
	}
}
END_TEST

START_TEST(json_shapes)
{
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);

	json_object(&j, NULL);
	json_array(&j, "empty");
	json_end(&j);
	json_array(&j, "list");
	json_u64(&j, NULL, UINT64_MAX);
	json_i64(&j, NULL, INT64_MIN);
	json_double(&j, NULL, NAN, 2);
	json_double(&j, NULL, -INFINITY, 2);
	json_double(&j, NULL, 1e300, 2);
	json_object(&j, NULL);
	json_end(&j);
	json_end(&j);
	json_bool(&j, "yes", true);
	json_bool(&j, "no", false);
	json_str(&j, "none", NULL);
	json_null(&j, "nothing");
	json_str(&j, "a\"key\n", "v");
	json_end(&j);
	ck_assert_uint_eq(j.depth, 0);
	ck_assert_str_eq(buf_str(&b),
			 "{\"empty\":[],\"list\":[18446744073709551615,-9223372036854775808,null,null,"
			 "1.0000000000000001e+300,{}],\"yes\":true,\"no\":false,\"none\":null,"
			 "\"nothing\":null,\"a\\\"key\\n\":\"v\"}");
	buf_release(&b);
}
END_TEST

/* What another parser makes of a text that we wrote. */
static void read_back(const char *text, size_t len, char *ret_text, size_t size, size_t *ret_len)
{
	struct buf b = BUF_INIT;
	struct json j = JSON_INIT(&b);
	json_error_t error;
	json_t *root;

	json_object(&j, NULL);
	json_strn(&j, "text", text, len);
	json_end(&j);
	root = json_loadb(b.data, b.len, JSON_ALLOW_NUL, &error);
	ck_assert_msg(root != NULL, "%s: %s", error.text, b.data);
	*ret_len = json_string_length(json_object_get(root, "text"));
	ck_assert_uint_lt(*ret_len, size);
	memcpy(ret_text, json_string_value(json_object_get(root, "text")), *ret_len);
	json_decref(root);
	buf_release(&b);
}

START_TEST(json_texts)
{
	static const struct {
		const char *text, *read;
	} cases[] = {
		{ "", "" },
		{ "plain /text\\ with \"quotes\"", "plain /text\\ with \"quotes\"" },
		{ "\x01\x1f\t\n\r\b\x7f", "\x01\x1f\t\n\r\b\x7f" },
		{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7",
		  "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\xa7" },
		/* lone and truncated bytes, overlong forms, surrogates, above U+10FFFF */
		{ "a\xff"
		  "b",
		  "a\xef\xbf\xbd"
		  "b" },
		{ "\xc3", "\xef\xbf\xbd" },
		{ "\xe2\x82", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xc0\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xe0\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xf5\x80", "\xef\xbf\xbd\xef\xbf\xbd" },
	};
	char text[512];
	size_t len;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		read_back(cases[i].text, strlen(cases[i].text), text, sizeof(text), &len);
		ck_assert_uint_eq(len, strlen(cases[i].read));
		ck_assert_mem_eq(text, cases[i].read, len);
	}
	/* Whatever the bytes, another parser accepts them. */
	srand(1);
	for (int i = 0; i < 20000; i++) {
		char bytes[32];

		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = rand() % 3 ? 0x80 + rand() % 128 : rand() % 128;
		read_back(bytes, rand() % sizeof(bytes), text, sizeof(text), &len);
	}
}
END_TEST

START_TEST(utf8_lengths)
{
	ck_assert_uint_eq(utf8_len("a", 1), 1);
	ck_assert_uint_eq(utf8_len("\xc3\xbc", 2), 2);
	ck_assert_uint_eq(utf8_len("\xc3\xbc", 1), 0);
	ck_assert_uint_eq(utf8_len("\xe2\x82\xac", 3), 3);
	ck_assert_uint_eq(utf8_len("\xf0\x9f\x90\xa7", 4), 4);
	ck_assert_uint_eq(utf8_len("\xf4\x8f\xbf\xbf", 4), 4);
	ck_assert_uint_eq(utf8_len("\x80", 1), 0);
}
END_TEST

START_TEST(durations)
{
	static const struct {
		const char *text;
		uint64_t ns;
		int err;
	} cases[] = {
		{ "0", 0 },
		{ "5", 5000000000 },
		{ "1.5", 1500000000 },
		{ "500ms", 500000000 },
		{ "5s", 5000000000 },
		{ "2m", 120000000000 },
		{ "2min", 120000000000 },
		{ "1h", 3600000000000 },
		{ "1d", 86400000000000 },
		{ "20us", 20000 },
		{ "20\xc2\xb5s", 20000 },
		{ "100ns", 100 },
		{ ".5s", 500000000 },
		{ "1e3ms", 1000000000 },
		{ "0.0000000001", 0 },
		{ "200000d", 17280000000000000000ull },
		{ "300000d", 0, -ERANGE },
		{ "1e30", 0, -ERANGE },
		{ "", 0, -EINVAL },
		{ "s", 0, -EINVAL },
		{ "-1s", 0, -EINVAL },
		{ "+1s", 0, -EINVAL },
		{ "1 s", 0, -EINVAL },
		{ " 1s", 0, -EINVAL },
		{ "1s ", 0, -EINVAL },
		{ "1x", 0, -EINVAL },
		{ "1e 3", 0, -EINVAL },
		{ ".", 0, -EINVAL },
		{ "1e", 0, -EINVAL },
		{ "0x10", 0, -EINVAL },
		{ "nan", 0, -EINVAL },
		{ "inf", 0, -EINVAL },
		{ "1,5s", 0, -EINVAL },
		{ "1.2.3s", 0, -EINVAL },
		{ "1e999", 0, -EINVAL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t ns = 12345;
		int err = units_parse_duration(cases[i].text, &ns);

		ck_assert_msg(err == cases[i].err && ns == (err ? 12345 : cases[i].ns),
			      "\"%s\" gives %d, %llu ns", cases[i].text, err, (unsigned long long)ns);
	}
}
END_TEST

START_TEST(sizes_and_numbers)
{
	uint64_t value = 1;
	double number = 1;

	ck_assert_int_eq(units_parse_size("4096", &value), 0);
	ck_assert_uint_eq(value, 4096);
	ck_assert_int_eq(units_parse_size("64K", &value), 0);
	ck_assert_uint_eq(value, 65536);
	ck_assert_int_eq(units_parse_size("1.5MiB", &value), 0);
	ck_assert_uint_eq(value, 1572864);
	ck_assert_int_eq(units_parse_size("1g", &value), 0);
	ck_assert_uint_eq(value, 1073741824);
	ck_assert_int_eq(units_parse_size("1T", &value), 0);
	ck_assert_uint_eq(value, 1099511627776);
	ck_assert_int_eq(units_parse_size("100000000T", &value), -ERANGE);
	ck_assert_int_eq(units_parse_size("1Q", &value), -EINVAL);
	ck_assert_int_eq(units_parse_size("-1K", &value), -EINVAL);
	ck_assert_int_eq(units_parse_u64("18446744073709551615", &value), 0);
	ck_assert(value == UINT64_MAX);
	ck_assert_int_eq(units_parse_u64("18446744073709551616", &value), -ERANGE);
	ck_assert_int_eq(units_parse_u64("-1", &value), -EINVAL);
	ck_assert_int_eq(units_parse_u64("1x", &value), -EINVAL);
	ck_assert_int_eq(units_parse_u64("", &value), -EINVAL);
	ck_assert_int_eq(units_parse_u64(" 1", &value), -EINVAL);
	ck_assert_int_eq(units_parse_double("-2.5e-3", &number), 0);
	ck_assert_double_eq_tol(number, -0.0025, 1e-15);
	ck_assert_int_eq(units_parse_double("nan", &number), -EINVAL);
	ck_assert_int_eq(units_parse_double("--1", &number), -EINVAL);
	ck_assert_int_eq(units_parse_double("1 ", &number), -EINVAL);
}
END_TEST

START_TEST(written_units)
{
	static const struct {
		char *(*format)(uint64_t value, char *text);
		uint64_t value;
		const char *text;
	} cases[] = {
		{ units_format_duration, 0, "0" },
		{ units_format_duration, 999, "999ns" },
		{ units_format_duration, 1000, "1.00\xc2\xb5s" },
		{ units_format_duration, 45600, "45.6\xc2\xb5s" },
		{ units_format_duration, 999499, "999\xc2\xb5s" },
		{ units_format_duration, 999500, "1.00ms" },
		{ units_format_duration, 1230000, "1.23ms" },
		{ units_format_duration, 999500000, "1.00s" },
		{ units_format_duration, 12300000000, "12.3s" },
		{ units_format_duration, 185000000000, "3m05s" },
		{ units_format_duration, 7800000000000, "2h10m" },
		{ units_format_duration, 356400000000000, "4d03h" },
		{ units_format_duration, UINT64_MAX, "213503d23h" },
		{ units_format_size, 0, "0" },
		{ units_format_size, 1023, "1023" },
		{ units_format_size, 1536, "1.50K" },
		{ units_format_size, 10695475, "10.2M" },
		{ units_format_size, UINT64_MAX, "16.0E" },
		{ units_format_count, 999, "999" },
		{ units_format_count, 1200, "1.20k" },
		{ units_format_count, 34500000, "34.5M" },
		{ units_format_count, UINT64_MAX, "18.4E" },
	};
	char text[UNITS_TEXT_LEN];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_str_eq(cases[i].format(cases[i].value, text), cases[i].text);
}
END_TEST

/* No value of 2^n or 10^n and their neighbours needs more than the room, nor shows more than four figures. */
START_TEST(written_units_fit)
{
	char text[UNITS_TEXT_LEN];

	for (int shift = 0; shift < 64; shift++) {
		for (int around = -1; around <= 1; around++) {
			uint64_t value = (1ull << shift) + around;

			ck_assert_uint_lt(strlen(units_format_duration(value, text)), 12);
			ck_assert_uint_lt(strlen(units_format_size(value, text)), 6);
			ck_assert_uint_lt(strlen(units_format_count(value, text)), 6);
		}
	}
}
END_TEST

START_TEST(times)
{
	static const char *const bad[] = { "",
					   "2026-01-01",
					   "2026-01-01T00:00:00",
					   "2026-01-01T00:00:00.Z",
					   "2026-01-01T00:00:00z",
					   "2026-01-01T00:00:00Z ",
					   "2026-13-01T00:00:00Z",
					   "2026-02-31T00:00:00Z",
					   "2026-01-01T24:00:00Z",
					   "1969-12-31T23:59:59Z",
					   " 2026-01-01T00:00:00Z",
					   "9999-01-01T00:00:00Z",
					   "2026-01-01T00:00:00+01:00" };
	char text[CLOCK_TEXT_LEN];
	uint64_t ns = 7;

	ck_assert_str_eq(clock_format(0, text), "1970-01-01T00:00:00.000Z");
	ck_assert_str_eq(clock_format(1767225599999999999, text), "2025-12-31T23:59:59.999Z");
	ck_assert_int_eq(clock_parse("2025-12-31T23:59:59.999999999Z", &ns), 0);
	ck_assert_uint_eq(ns, 1767225599999999999);
	ck_assert_int_eq(clock_parse("2024-02-29T12:00:00Z", &ns), 0);
	ck_assert_uint_eq(ns, 1709208000000000000);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(clock_parse(bad[i], &ns) == -EINVAL, "\"%s\" is accepted", bad[i]);
	for (uint64_t t = 0; t < 8000000000000000000; t += 12345678901234567) {
		ck_assert_int_eq(clock_parse(clock_format(t, text), &ns), 0);
		ck_assert_uint_eq(ns, t / 1000000 * 1000000);
	}
	ck_assert_uint_le(clock_monotonic_ns(), clock_monotonic_ns());
	ck_assert_uint_le(clock_monotonic_ns(), clock_boottime_ns() + 1000000);
}
END_TEST

static const char *name_at(const void *context, size_t i)
{
	return ((const char *const *)context)[i];
}

START_TEST(near_names)
{
	static const char *const names[] = {
		"monitor", "doctor", "help", "system.sched.runq.p99", "process.cpu_pct", NULL
	};
	char endless[SUGGEST_MAX_LEN + 2];
	const char *near[3];

	ck_assert_uint_eq(suggest_distance("", ""), 0);
	ck_assert_uint_eq(suggest_distance("abc", ""), 3);
	ck_assert_uint_eq(suggest_distance("monitor", "Monitor"), 0);
	ck_assert_uint_eq(suggest_distance("montior", "monitor"), 1);
	ck_assert_uint_eq(suggest_distance("kitten", "sitting"), 3);
	memset(endless, 'a', sizeof(endless) - 1);
	endless[sizeof(endless) - 1] = 0;
	ck_assert(suggest_distance(endless, "a") == SIZE_MAX);

	ck_assert_uint_eq(suggest_nearest("moniter", name_at, names, near, 3), 1);
	ck_assert_str_eq(near[0], "monitor");
	ck_assert_uint_eq(suggest_nearest("cpu_pct", name_at, names, near, 3), 1);
	ck_assert_str_eq(near[0], "process.cpu_pct");
	ck_assert_uint_eq(suggest_nearest("system.sched.runq.p9", name_at, names, near, 3), 1);
	ck_assert_uint_eq(suggest_nearest("zzz", name_at, names, near, 3), 0);
	ck_assert_uint_eq(suggest_nearest(endless, name_at, names, near, 3), 0);
	/* Nearest first, and no more than there is room for. */
	ck_assert_uint_eq(suggest_nearest("dooctor", name_at,
					  (const char *const[]){ "doctors", "doctor", "factor", NULL },
					  near, 2),
			  2);
	ck_assert_str_eq(near[0], "doctor");
	ck_assert_str_eq(near[1], "doctors");
}
END_TEST

/* A locale with a decimal comma changes nothing. Skipped in silence where there is none. */
START_TEST(other_locales)
{
	char text[UNITS_TEXT_LEN];
	struct buf b = BUF_INIT;
	uint64_t ns;

	if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
		return;
	ck_assert_int_eq(units_parse_duration("1.5s", &ns), 0);
	ck_assert_str_eq(units_format_duration(1230000, text), "1.23ms");
	buf_addf(&b, 0.5, 2);
	ck_assert_str_eq(buf_str(&b), "0.5");
	buf_release(&b);
}
END_TEST

SUITE("base text", buffers, decimals, json_shapes, json_texts, utf8_lengths, durations,
      sizes_and_numbers, written_units, written_units_fit, times, near_names, other_locales)
