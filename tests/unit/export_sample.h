/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * export_sample.h - snapshots for the tests of the outputs, every member of the metric table filled or null by chance.
 *
 * A number seeds the chance, so a failing sample can be made again. Also: what a sink writes, as text.
 */
#ifndef MBTRACE_TESTS_EXPORT_SAMPLE_H
#define MBTRACE_TESTS_EXPORT_SAMPLE_H

#include <check.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/macros.h"
#include "export/sink.h"
#include "metric/table.h"

/* xorshift64*: chance that is the same everywhere. */
static inline uint64_t sample_random(uint64_t *seed)
{
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 0x2545f4914f6cdd1dull;
}

/* A number of any size, small ones as likely as large ones. */
static inline uint64_t sample_number(uint64_t *seed)
{
	return sample_random(seed) >> (sample_random(seed) % 44 + 20);
}

static inline void sample_dist(struct dist *d, uint64_t *seed)
{
	dist_clear(d);
	d->known = sample_random(seed) % 8 != 0;
	for (uint64_t n = d->known ? sample_random(seed) % 60 : 0; n > 0; n--)
		ck_assert_int_eq(dist_add(d, sample_number(seed)), 0);
}

static inline void sample_member(struct snapshot *s, const struct metric *m, void *row, uint64_t *seed)
{
	static const char *const texts[] = { "a",
					     "postgres",
					     "",
					     "with \"quotes\", comma",
					     "line\nbreak",
					     "\xc3\xa9t\xc3\xa9",
					     "bad\xff\x80",
					     "=1+1",
					     "tab\there",
					     "back\\slash",
					     "\x1b[31mred" };
	void *at = (char *)row + m->offset;

	if (m->nullable && sample_random(seed) % 10 == 0)
		return;
	switch (m->type) {
	case METRIC_U64:
		*(uint64_t *)at = sample_number(seed);
		break;
	case METRIC_I64:
		*(int64_t *)at = (int64_t)sample_number(seed) - 5000;
		break;
	case METRIC_PCT:
		*(double *)at = sample_random(seed) % 100001 / 1000.0;
		break;
	case METRIC_DIST:
		sample_dist(at, seed);
		break;
	case METRIC_TEXT:
		*(const char **)at = snapshot_text(s, texts[sample_random(seed) % ARRAY_SIZE(texts)]);
		break;
	case METRIC_BOOL:
		*(bool *)at = sample_random(seed) % 2;
		break;
	case METRIC_SOURCES:
		*(uint32_t *)at = sample_random(seed) % (1u << SOURCE_COUNT);
		break;
	case METRIC_ROWS:
		break;
	}
}

static inline void sample_row(struct snapshot *s, enum metric_scope scope, void *row, uint64_t *seed)
{
	for (size_t i = 0; i < metric_count; i++)
		if (metrics[i].scope == scope)
			sample_member(s, &metrics[i], row, seed);
}

/* A snapshot of so many processes, with two devices and interfaces; freed by snapshot_free(). */
static inline struct snapshot *sample_new(uint64_t seed, size_t n_processes)
{
	struct snapshot *s = snapshot_new();

	seed = seed * 2 + 1;
	ck_assert_ptr_nonnull(s);
	s->time_ns = 1700000000123000000ull + seed * 1000000000ull;
	s->elapsed_ns = seed * 1000000000ull;
	s->interval_ns = 1000000007;
	sample_row(s, SCOPE_SYSTEM, &s->system, &seed);
	sample_row(s, SCOPE_TRUST, &s->trust, &seed);
	sample_row(s, SCOPE_SELF, &s->self, &seed);
	for (int i = 0; i < 2; i++) {
		struct device_metrics *device = snapshot_add_device(s);

		sample_row(s, SCOPE_DEVICE, device, &seed);
		device->dev = i ? "nvme0n1" : "sda";
	}
	for (int i = 0; i < 2; i++) {
		struct interface_metrics *interface = snapshot_add_interface(s);

		sample_row(s, SCOPE_INTERFACE, interface, &seed);
		interface->name = i ? "lo" : "eth0";
	}
	for (size_t i = 0; i < n_processes; i++) {
		struct process_metrics *p = snapshot_add_process(s);

		sample_row(s, SCOPE_PROCESS, p, &seed);
		p->pid = i; /* 0 is the kernel's writeback */
	}
	return s;
}

static inline struct record_header sample_header(void)
{
	static const uint32_t pids[] = { 1, 4194304 };

	return (struct record_header){
		.version = "1.2.3",
		.host_kernel = "6.1.0",
		.host_cpus = 8,
		.host_boot_id = "c0ffee",
		.host_name = "box",
		.interval_ns = 1000000000,
		.filter_pids = pids,
		.n_filter_pids = 2,
		.filter_follow = true,
		.filter_comm = "postgres",
		.filter_cgroup = "/system.slice",
		.sources = { { "attached", "tp_btf", NULL },
			     { "degraded", "task iterator", "no fentry here" },
			     { "attached", "tp_btf", NULL },
			     { "absent", NULL, "needs CAP_BPF" } },
	};
}

static inline struct record_alert sample_alert(void)
{
	return (struct record_alert){
		.time_ns = 1700000000123000000ull,
		.rule = "hot",
		.state = ALERT_FIRING,
		.metric = "process[comm=postgres].cpu_pct",
		.value = 97.25,
		.threshold = 90,
		.since_ns = 1700000000000000000ull,
		.has_process = true,
		.pid = 42,
		.comm = "postgres",
		.row = "sda",
		.culprits = { { 42, "postgres", 97.25, "process.cpu_pct" } },
		.n_culprits = 1,
	};
}

/* A place to write to that can be read back. */
struct capture {
	struct output output;
	struct buf text;
};

static inline void capture_open(struct capture *c)
{
	*c = (struct capture){ .output = OUTPUT_INIT };
	c->output.fd = memfd_create("capture", MFD_CLOEXEC);
	ck_assert_int_ge(c->output.fd, 0);
}

/* All that was written so far. */
static inline const char *capture_text(struct capture *c)
{
	ck_assert_int_eq(file_reread(c->output.fd, &c->text, 1u << 30), 0);
	return buf_str(&c->text);
}

/* Equal, or the place where they part (Check's own message would be too long). */
static inline void check_texts(const char *a, const char *b)
{
	size_t at = 0;

	while (a[at] && a[at] == b[at])
		at++;
	if (a[at] != b[at])
		ck_abort_msg("differ at byte %zu: \"%.60s\" and \"%.60s\"", at,
			     a + at - MIN(at, 30), b + at - MIN(at, 30));
}

static inline void capture_release(struct capture *c)
{
	output_release(&c->output);
	buf_release(&c->text);
}

#endif
