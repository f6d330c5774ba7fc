/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suite.h - the main() of a unit test: SUITE("name", test, test, …) at the end of the file.
 *
 * Check runs each test in a process of its own, so that one that crashes or hangs fails alone; CK_FORK=no runs them in
 * this process, for a debugger.
 */
#ifndef MBTRACE_TESTS_SUITE_H
#define MBTRACE_TESTS_SUITE_H

#include <check.h>
#include <stddef.h>

#define SUITE_SECONDS 60 /* for one test: a slow machine, sanitizers on */

static inline int suite_run(const char *name, const TTest *const *tests, size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner = srunner_create(suite);
	int failed;

	suite_add_tcase(suite, tcase);
	tcase_set_timeout(tcase, SUITE_SECONDS);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(tcase, tests[i]);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

#define SUITE(name, ...)                                                       \
	int main(void)                                                         \
	{                                                                      \
		const TTest *tests[] = { __VA_ARGS__ };                        \
                                                                               \
		return suite_run(name, tests, sizeof(tests) / sizeof(*tests)); \
	}

#endif
