// SPDX-License-Identifier: BSD-2-Clause
/* The metric table and what is done along it: every row is reset, merged, found by its path. */
#include "suite.h"

#include <math.h>

#include "base/macros.h"
#include "metric/snapshot.h"
#include "metric/table.h"

START_TEST(rows_are_sound)
{
	for (size_t i = 0; i < metric_count; i++) {
		const struct metric *m = &metrics[i];

		ck_assert_msg(m->name && *m->name && m->help && *m->help,
			      "row %zu lacks name or help", i);
		ck_assert_msg(m->offset < metric_scopes[m->scope].size,
			      "%s lies outside of its struct", m->name);
		/* The type says how it merges. */
		if (m->type == METRIC_DIST)
			ck_assert_msg(m->merge == MERGE_DIST && m->unit == UNIT_NS, "%s", m->name);
		if (m->type == METRIC_PCT)
			ck_assert_msg(m->merge == MERGE_MEAN && m->unit == UNIT_PCT, "%s", m->name);
		ck_assert_msg((m->type == METRIC_ROWS) == (m->rows != 0 && m->merge == MERGE_KEY &&
							   m->scope == SCOPE_SYSTEM),
			      "%s", m->name);
		/* The unit is in the name, where the unit is one of the contract's. */
		if (m->type == METRIC_U64 || m->type == METRIC_I64 || m->type == METRIC_PCT) {
			static const char *const suffixes[] = { "", "_ns", "_bytes", "_pct" };
			size_t len = strlen(m->name), n = strlen(suffixes[m->unit]);

			ck_assert_msg(len > n && strcmp(m->name + len - n, suffixes[m->unit]) == 0,
				      "%s does not end in %s", m->name, suffixes[m->unit]);
		}
		for (size_t k = 0; k < i; k++) {
			ck_assert_msg(metrics[k].scope != m->scope ||
					      strcmp(metrics[k].name, m->name) != 0,
				      "%s twice", m->name);
			ck_assert_msg(!m->openmetrics || !metrics[k].openmetrics ||
					      strcmp(metrics[k].openmetrics, m->openmetrics) != 0,
				      "%s twice", m->openmetrics);
			ck_assert_msg(metrics[k].scope != m->scope || metrics[k].offset != m->offset ||
					      m->type == METRIC_ROWS ||
					      metrics[k].type == METRIC_ROWS,
				      "%s and %s are the same field", metrics[k].name, m->name);
		}
	}
	for (int scope = 0; scope < SCOPE_COUNT; scope++) {
		bool found = !metric_scopes[scope].key;

		for (size_t i = 0; i < metric_count; i++)
			found |= (int)metrics[i].scope == scope && !found &&
				 strcmp(metrics[i].name, metric_scopes[scope].key) == 0 &&
				 metrics[i].merge == MERGE_KEY;
		ck_assert_msg(found, "%s has no key", metric_scopes[scope].prefix);
	}
}
END_TEST

/* After a reset nothing is measured: null where null is possible, zero or true where it is not. */
START_TEST(reset)
{
	for (int scope = 0; scope < SCOPE_COUNT; scope++) {
		void *row = malloc(metric_scopes[scope].size);

		memset(row, 0, metric_scopes[scope].size);
		metric_row_reset(scope, row);
		for (size_t i = 0; i < metric_count; i++) {
			const struct metric *m = &metrics[i];
			double value = 5;
			bool known;

			if ((int)m->scope != scope || m->type == METRIC_ROWS)
				continue;
			known = metric_value(m, row, m->type == METRIC_DIST ? PART_COUNT : PART_NONE,
					     &value);
			if (m->type == METRIC_TEXT)
				ck_assert_ptr_null(metric_text(m, row));
			else if (m->type == METRIC_BOOL || (m->type == METRIC_U64 && !m->nullable))
				ck_assert_msg(known && value == (m->merge == MERGE_AND), "%s is %g",
					      m->name, value);
			else
				ck_assert_msg(!known, "%s is known", m->name);
		}
		metric_row_release(scope, row);
		free(row);
	}
}
END_TEST

/* Gives the member a value that stands for n; what its kind cannot hold is left out. */
static void set_member(const struct metric *m, void *row, unsigned int n)
{
	void *at = (char *)row + m->offset;

	switch (m->type) {
	case METRIC_U64:
		*(uint64_t *)at = n;
		break;
	case METRIC_I64:
		*(int64_t *)at = -(int64_t)n;
		break;
	case METRIC_PCT:
		*(double *)at = n;
		break;
	case METRIC_DIST:
		dist_clear(at);
		ck_assert_int_eq(dist_add(at, n), 0);
		break;
	case METRIC_BOOL:
		*(bool *)at = n & 1;
		break;
	case METRIC_SOURCES:
		*(uint32_t *)at = n;
		break;
	default:
		break;
	}
}

/* What two intervals of values 4 and 9, the second a quarter of the whole, must make of a member. */
static void check_merged(const struct metric *m, const void *row)
{
	double value = NAN;

	if (m->type == METRIC_DIST) {
		const struct dist *d = metric_dist(m, row);

		ck_assert_msg(d->known && d->count == 2 && d->sum == 13 && d->min == 4 && d->max == 9,
			      "%s", m->name);
		return;
	}
	if (m->type == METRIC_SOURCES) {
		ck_assert_uint_eq(*(const uint32_t *)metric_at(m, row), 4 | 9);
		return;
	}
	if (m->type == METRIC_TEXT || m->type == METRIC_ROWS)
		return;
	ck_assert_msg(metric_value(m, row, PART_NONE, &value), "%s is null", m->name);
	if (m->type == METRIC_I64)
		value = -value;
	switch (m->merge) {
	case MERGE_SUM:
		ck_assert_msg(value == 13, "%s is %g", m->name, value);
		break;
	case MERGE_MEAN:
		ck_assert_msg(fabs(value - (4 * 0.75 + 9 * 0.25)) < 1e-9, "%s is %g", m->name, value);
		break;
	case MERGE_AND:
		ck_assert_msg(value == 0, "%s is %g", m->name, value);
		break;
	case MERGE_OR:
		ck_assert_msg(value == 1, "%s is %g", m->name, value);
		break;
	default:
		ck_assert_msg(value == 9, "%s is %g", m->name, value);
	}
}

START_TEST(rows_merge)
{
	for (int scope = 0; scope < SCOPE_COUNT; scope++) {
		size_t size = metric_scopes[scope].size;
		void *whole = calloc(1, size), *one = calloc(1, size);
		static const struct {
			unsigned int value;
			double weight;
		} intervals[] = { { 4, 1 }, { 0, 0.5 }, { 9, 0.25 } };

		metric_row_reset(scope, whole);
		for (size_t k = 0; k < ARRAY_SIZE(intervals); k++) {
			metric_row_reset(scope, one);
			/* The one in the middle measures nothing: it changes nothing, but for what cannot be null. */
			for (size_t i = 0; i < metric_count && intervals[k].value; i++)
				if ((int)metrics[i].scope == scope)
					set_member(&metrics[i], one, intervals[k].value);
			for (size_t i = 0; i < metric_count && !intervals[k].value; i++)
				if ((int)metrics[i].scope == scope && metrics[i].type == METRIC_U64 &&
				    metrics[i].merge != MERGE_SUM && !metrics[i].nullable)
					set_member(&metrics[i], one, 4);
			ck_assert_int_eq(metric_row_merge(scope, whole, one, intervals[k].weight), 0);
		}
		for (size_t i = 0; i < metric_count; i++)
			if ((int)metrics[i].scope == scope)
				check_merged(&metrics[i], whole);
		metric_row_release(scope, whole);
		metric_row_release(scope, one);
		free(whole);
		free(one);
	}
}
END_TEST

START_TEST(paths_are_found)
{
	char path[128];
	size_t n = 0;

	for (; metric_path(n, path, sizeof(path)); n++) {
		enum dist_part part = PART_NONE;
		const struct metric *m = metric_find(path, strlen(path), &part);
		char again[128];

		ck_assert_msg(m != NULL, "%s is not found", path);
		snprintf(again, sizeof(again), "%s.%s%s%s", metric_scopes[m->scope].prefix, m->name,
			 part == PART_NONE ? "" : ".",
			 part == PART_NONE ? "" : dist_part_short(part));
		ck_assert_str_eq(again, path);
		ck_assert_int_eq(m->type == METRIC_DIST, part != PART_NONE);
		/* One with more is none. */
		snprintf(again, sizeof(again), "%sx", path);
		ck_assert_ptr_null(metric_find(again, strlen(again), &part));
	}
	ck_assert_uint_gt(n, metric_count);
	ck_assert(!metric_path(n + 1000, path, sizeof(path)));
}
END_TEST

START_TEST(other_spellings)
{
	static const char *const good[] = { "process.cpu_pct",
					    "processes.cpu_pct",
					    "system.sched.runq.p99_ns",
					    "system.sched.runq.sum_ns",
					    "system.block.devices.latency.p99",
					    "system.net.interfaces.rx_bytes",
					    "trust.complete",
					    "self.rss_bytes" };
	static const char *const bad[] = { "",
					   ".",
					   "system",
					   "system.",
					   "cpu_pct",
					   "process.comm",
					   "process",
					   "process..pid",
					   "system.sched.runq",
					   "system.sched.runq.",
					   "system.sched.runq.p98",
					   "trust.shed",
					   "system.block.devices",
					   "system.sched.switches.p99",
					   "System.sched.switches" };
	enum dist_part part;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		ck_assert_msg(metric_find(good[i], strlen(good[i]), &part), "%s is not found",
			      good[i]);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_msg(!metric_find(bad[i], strlen(bad[i]), &part), "%s is found", bad[i]);
}
END_TEST

START_TEST(parts)
{
	struct dist d = { 0 };

	for (int part = 0; part < PART_NONE; part++) {
		ck_assert_uint_gt(strlen(dist_part_name(part)), 0);
		ck_assert_uint_eq(dist_part_value(&d, part), 0);
		ck_assert_int_eq(strncmp(dist_part_name(part), dist_part_short(part),
					 strlen(dist_part_short(part))),
				 0);
	}
	for (uint64_t v = 1; v <= 1000; v++)
		ck_assert_int_eq(dist_add(&d, v * 1000), 0);
	ck_assert_uint_eq(dist_part_value(&d, PART_COUNT), 1000);
	ck_assert_uint_eq(dist_part_value(&d, PART_SUM), 500500000);
	ck_assert_uint_eq(dist_part_value(&d, PART_MIN), 1000);
	ck_assert_uint_eq(dist_part_value(&d, PART_MAX), 1000000);
	ck_assert_double_eq_tol(dist_part_value(&d, PART_P50), 500000, 500000 / 16);
	ck_assert_double_eq_tol(dist_part_value(&d, PART_P99), 990000, 990000 / 16);
	dist_release(&d);
}
END_TEST

/* One interval: n processes, of which each used `cpu` ns; a device, an interface. */
static void fill(struct snapshot *s, uint64_t interval_ns, size_t n, uint64_t cpu)
{
	struct interface_metrics *interface;
	struct device_metrics *device;

	snapshot_reset(s);
	s->interval_ns = interval_ns;
	s->elapsed_ns = s->time_ns = interval_ns;
	s->system.switches = 10;
	s->system.cpu_util_pct = cpu ? 50 : 0;
	s->trust.complete = true;
	for (size_t i = 0; i < n; i++) {
		struct process_metrics *p = snapshot_add_process(s);
		char comm[16];

		snprintf(comm, sizeof(comm), "p%zu", i);
		p->pid = 100 + i;
		p->start_ns = 5;
		p->comm = snapshot_text(s, comm);
		p->cpu_ns = cpu;
		dist_clear(&p->runq);
		ck_assert_int_eq(dist_add(&p->runq, 1000 * (i + 1)), 0);
	}
	device = snapshot_add_device(s);
	device->dev = snapshot_text(s, "vda");
	device->io.reads = 3;
	interface = snapshot_add_interface(s);
	interface->name = "lo";
	interface->rx_bytes = 7;
}

START_TEST(snapshots_merge)
{
	struct snapshot *whole = snapshot_new(), *one = snapshot_new();
	struct process_metrics *p;

	fill(one, 1000000000, 100, 500000000);
	ck_assert_int_eq(snapshot_merge(whole, one), 0);
	fill(one, 3000000000, 50, 300000000);
	/* The pid of p0 is another process now. */
	one->processes[0].start_ns = 6;
	one->processes[0].comm = snapshot_text(one, "reused");
	one->trust.lost = 2;
	trust_judge(&one->trust);
	ck_assert(!one->trust.complete);
	ck_assert_int_eq(snapshot_merge(whole, one), 0);
	/* Texts are the whole's own. */
	snapshot_free(one);

	ck_assert_uint_eq(whole->interval_ns, 4000000000);
	ck_assert_uint_eq(whole->n_processes, 101);
	ck_assert_uint_eq(whole->n_devices, 1);
	ck_assert_uint_eq(whole->n_interfaces, 1);
	ck_assert_uint_eq(whole->devices[0].io.reads, 6);
	ck_assert_str_eq(whole->devices[0].dev, "vda");
	ck_assert(whole->devices[0].io.writes == METRIC_NULL);
	ck_assert_uint_eq(whole->interfaces[0].rx_bytes, 14);
	ck_assert_uint_eq(whole->system.switches, 20);
	ck_assert_double_eq_tol(whole->system.cpu_util_pct, 50, 1e-9);
	ck_assert(whole->system.migrations == METRIC_NULL);
	ck_assert(!whole->trust.complete);
	ck_assert_uint_eq(whole->trust.lost, 2);

	p = &whole->processes[1];
	ck_assert_str_eq(p->comm, "p1");
	ck_assert_uint_eq(p->cpu_ns, 800000000);
	/* Shares are of the whole run, also for one that was absent from a part of it. */
	ck_assert_double_eq_tol(p->cpu_pct, 20, 1e-9);
	ck_assert_uint_eq(p->runq.count, 2);
	p = &whole->processes[99];
	ck_assert_uint_eq(p->cpu_ns, 500000000);
	ck_assert_double_eq_tol(p->cpu_pct, 12.5, 1e-9);
	ck_assert(p->minflt == METRIC_NULL);
	p = &whole->processes[100];
	ck_assert_str_eq(p->comm, "reused");
	ck_assert_uint_eq(p->pid, 100);
	ck_assert_uint_eq(p->cpu_ns, 300000000);
	ck_assert_uint_gt(snapshot_bytes(whole), 101 * sizeof(*p));
	snapshot_free(whole);
}
END_TEST

START_TEST(snapshots_are_reused)
{
	struct snapshot *s = snapshot_new();
	size_t bytes = 0, n;

	for (int round = 0; round < 20; round++) {
		fill(s, 1000000000, 500, 1);
		if (round == 2)
			bytes = snapshot_bytes(s);
		/* A steady state needs no more memory. */
		ck_assert(round < 3 || snapshot_bytes(s) == bytes);
		ck_assert_str_eq(s->processes[499].comm, "p499");
		ck_assert_uint_eq(s->processes[0].runq.count, 1);
	}
	ck_assert_ptr_eq(snapshot_text(s, "same"), snapshot_text(s, "same"));
	ck_assert_ptr_null(snapshot_text(s, NULL));
	for (int scope = 0; scope < SCOPE_COUNT; scope++) {
		ck_assert_ptr_nonnull(snapshot_rows(s, scope, &n));
		ck_assert_uint_eq(n, scope == SCOPE_PROCESS ? 500 : 1);
	}
	/* What a storm of processes took is given back when it is over. */
	fill(s, 1000000000, 20000, 1);
	ck_assert_uint_gt(snapshot_bytes(s), 10 * bytes);
	for (int round = 0; round < 2; round++)
		fill(s, 1000000000, 500, 1);
	ck_assert_uint_lt(snapshot_bytes(s), 3 * bytes);
	ck_assert_uint_eq(s->processes[499].runq.count, 1);
	fill(s, 1000000000, 20000, 1);
	snapshot_truncate_processes(s, 10);
	ck_assert_uint_lt(snapshot_bytes(s), 20000 * sizeof(*s->processes));
	snapshot_free(s);
	snapshot_free(NULL);
}
END_TEST

START_TEST(trust)
{
	struct trust_metrics t = { .events = 5, .unattributed = 2, .rows_hidden = 3 };

	trust_judge(&t);
	ck_assert(t.complete);
	t.shed = 1;
	trust_judge(&t);
	ck_assert(!t.complete);
	t = (struct trust_metrics){ .map_full = 1 };
	trust_judge(&t);
	ck_assert(!t.complete);
	t = (struct trust_metrics){ .discarded = 1 };
	trust_judge(&t);
	ck_assert(!t.complete);
}
END_TEST

SUITE("metric", rows_are_sound, reset, rows_merge, paths_are_found, other_spellings, parts,
      snapshots_merge, snapshots_are_reused, trust)
