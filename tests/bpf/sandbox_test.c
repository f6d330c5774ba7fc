// SPDX-License-Identifier: BSD-2-Clause
/*
 * The probes live in the sandbox: read, given up and taken back with no capability but CAP_BPF and CAP_PERFMON, and
 * without a refused system call.
 */
#include "../unit/suite.h"

#include <linux/capability.h>

#include "agent/sandbox.h"
#include "agent/sources.h"
#include "base/macros.h"

static const int keep[] = { CAP_BPF, CAP_PERFMON };

static void read_once(struct sources *s, struct snapshot *snapshot)
{
	struct process_view view = { .sources = sources_attached(s), .interval_ns = 1 };

	snapshot_reset(snapshot);
	ck_assert_int_eq(sources_read(s, snapshot), 0);
	ck_assert_int_eq(process_table_flush(sources_processes(s), &view, snapshot), 0);
}

START_TEST(shed_and_restored)
{
	struct sources_options options = { .wanted = (1u << SOURCE_COUNT) - 1,
					   .max_memory = 32 << 20 };
	struct snapshot *snapshot = snapshot_new();
	cleanup_buf struct buf error = BUF_INIT;
	struct sources *s;
	uint32_t attached;
	int last = -1;

	ck_assert_int_eq(sources_open(&options, &s, &error), 0);
	attached = sources_attached(s);
	ck_assert_uint_eq(attached, options.wanted);
	ck_assert_int_eq(sandbox_drop_capabilities(keep, ARRAY_SIZE(keep)), 0);
	ck_assert_int_eq(sandbox_enter(SANDBOX_BPF), 0);
	read_once(s, snapshot);
	ck_assert_uint_gt(snapshot->n_processes, 0);
	for (int id = SOURCE_COUNT - 1; id >= 0; id--) {
		ck_assert_int_eq(sources_shed(s), id);
		read_once(s, snapshot);
	}
	ck_assert_int_eq(sources_shed(s), -1);
	for (int id = 0; id < SOURCE_COUNT; id++) {
		ck_assert_int_eq(sources_restore(s, &error), id);
		read_once(s, snapshot);
	}
	ck_assert_uint_eq(sources_attached(s), attached);
	sources_drain(s);
	sources_close(s);
	snapshot_free(snapshot);
	ck_assert_msg(!sandbox_refused(&last), "system call %d was refused", last);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { shed_and_restored };

	if (geteuid()) {
		puts("needs root");
		return 77;
	}
	return suite_run("sandbox", tests, ARRAY_SIZE(tests));
}
