// SPDX-License-Identifier: BSD-2-Clause
#include "probe/all.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/macros.h"
#include "fault.skel.h"
#include "probe/object.h"
#include "probe/percpu.h"
#include "probe/process.h"
#include "probe/slots.h"
#include "bpf/fault.h"

/*
 * DESIGN. Three sources for three questions. How many faults, in user mode and in the kernel: two software perf events a
 * CPU in one group, counting, so nothing runs at a fault and one read a CPU gives both. Minor and major: the tasks count them
 * (the scheduler probe's pass) and /proc/vmstat sums them (the system probe). How long: only by hooking the function that
 * serves them, which some kernels refuse; then the latency is null and the status says so.
 *
 * A counter of a CPU that goes away never counts again: when the CPU is back it gets a new one. Where that is refused by then
 * (the agent has given up capabilities; Debian's kernel.perf_event_paranoid of 3 wants one of them) the two counts are
 * null from then on, for a part is not the whole.
 */
#define ONLINE_MAX 4096 /* "0-3,5" of the largest machines is far shorter */

/* The two events of a CPU, in the order in which the group is read. */
enum { USER, KERNEL, MODES };

struct counter {
	int fds[MODES]; /* -1: not counting */
	uint64_t before[MODES];
};

struct probe {
	struct counter *counters; /* by CPU */
	unsigned int n_cpus;
	bool counting; /* some counter is open */
	int online_fd;
	struct buf online, online_before;
	/* latency */
	struct fault_bpf *skel; /* NULL: not measured */
	struct process_table *processes;
	struct percpu cpus;
	struct slots slots;
	uint64_t missed; /* runs that the kernel skipped, up to the last read */
};

static int event_open(unsigned int cpu, int mode, int leader)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_PAGE_FAULTS,
		.exclude_kernel = mode == USER,
		.exclude_user = mode == KERNEL,
		.exclude_hv = 1,
		.read_format = PERF_FORMAT_GROUP,
	};
	int fd = syscall(SYS_perf_event_open, &attr, -1, cpu, leader, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void counter_close(struct counter *counter)
{
	for (int mode = 0; mode < MODES; mode++)
		if (counter->fds[mode] >= 0)
			close(counter->fds[mode]);
	*counter = (struct counter){ .fds = { -1, -1 } };
}

static int counter_open(struct counter *counter, unsigned int cpu)
{
	*counter = (struct counter){ .fds = { -1, -1 } };
	for (int mode = 0; mode < MODES; mode++) {
		int fd = event_open(cpu, mode, counter->fds[USER]);

		if (fd < 0) {
			counter_close(counter);
			return fd;
		}
		counter->fds[mode] = fd;
	}
	return 0;
}

/* Opens the counters of all CPUs that are online: 0, or -errno when not one could be. */
static int counters_open(struct probe *p)
{
	int err = 0;

	p->counting = false;
	for (unsigned int cpu = 0; cpu < p->n_cpus; cpu++) {
		int one = counter_open(&p->counters[cpu], cpu);

		/* -ENODEV: this CPU is offline */
		if (!one)
			p->counting = true;
		else if (one != -ENODEV)
			err = one;
	}
	return p->counting ? 0 : err ?: -ENODEV;
}

static void counters_close(struct probe *p)
{
	for (unsigned int cpu = 0; p->counters && cpu < p->n_cpus; cpu++)
		counter_close(&p->counters[cpu]);
}

static void counters_read(struct probe *p, uint64_t *ret_growth)
{
	for (unsigned int cpu = 0; cpu < p->n_cpus; cpu++) {
		struct counter *counter = &p->counters[cpu];
		struct {
			uint64_t n, values[MODES];
		} group;

		if (counter->fds[USER] < 0 ||
		    read(counter->fds[USER], &group, sizeof(group)) != sizeof(group))
			continue;
		for (int mode = 0; mode < MODES; mode++) {
			ret_growth[mode] += group.values[mode] - counter->before[mode];
			counter->before[mode] = group.values[mode];
		}
	}
}

/* Whether CPUs came or went since this was last asked. */
static bool cpus_changed(struct probe *p)
{
	bool changed;

	if (p->online_fd < 0 || file_reread(p->online_fd, &p->online, ONLINE_MAX))
		return false;
	changed = strcmp(buf_str(&p->online), buf_str(&p->online_before)) != 0;
	if (changed) {
		buf_reset(&p->online_before);
		buf_adds(&p->online_before, buf_str(&p->online));
	}
	return changed;
}

/* Whether the CPU is in a list like "0-3,5". */
static bool is_listed(const char *list, unsigned int cpu)
{
	char *end;

	for (const char *p = list; *p >= '0' && *p <= '9'; p = end + (*end == ',')) {
		unsigned long first = strtoul(p, &end, 10),
			      last = *end == '-' ? strtoul(end + 1, &end, 10) : first;

		if (cpu >= first && cpu <= last)
			return true;
	}
	return false;
}

/* Takes the counters of CPUs that went away, and gives new ones to those that came. */
static void counters_adapt(struct probe *p)
{
	for (unsigned int cpu = 0; cpu < p->n_cpus; cpu++) {
		struct counter *counter = &p->counters[cpu];

		if (!is_listed(buf_str(&p->online), cpu))
			counter_close(counter);
		else if (counter->fds[USER] < 0 && counter_open(counter, cpu))
			p->counting = false;
	}
}

static void add_latency(uint64_t owner, const struct dist *growth, void *context)
{
	struct process *process = process_find(context, owner);

	if (process)
		dist_merge(&process->now.fault_latency, growth);
}

/* Runs that the kernel skipped because the program was running on that CPU already. */
static uint64_t runs_missed(const struct fault_bpf *skel)
{
	const struct bpf_program *programs[] = { skel->progs.fault_begin, skel->progs.fault_end };
	uint64_t missed = 0;

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);

		if (!bpf_obj_get_info_by_fd(bpf_program__fd(programs[i]), &info, &size))
			missed += info.recursion_misses;
	}
	return missed;
}

#define GROWTH(p, member) percpu_growth(&(p)->cpus, offsetof(struct fault_cpu, member))

static int latency_read(struct probe *p, struct snapshot *s)
{
	uint64_t missed = runs_missed(p->skel);
	int err = percpu_dist(&p->cpus, offsetof(struct fault_cpu, latency), BINS_COUNT,
			      offsetof(struct fault_cpu, latency_sum), &s->system.fault_latency);

	slots_read(&p->slots, add_latency, p->processes);
	s->trust.events += s->system.fault_latency.count;
	s->trust.map_full += GROWTH(p, begin_failed) + GROWTH(p, slots_empty);
	s->trust.discarded += GROWTH(p, discarded);
	s->trust.lost += missed - p->missed;
	p->missed = missed;
	return err;
}

/* Not known is not the same as none. */
static void forget_empty_latencies(struct process_table *processes)
{
	struct process *process;

	for (size_t i = 0; (process = process_next(processes, &i));)
		if (!process->now.fault_latency.count)
			process->now.fault_latency.known = false;
}

static int fault_read(struct probe *p, struct snapshot *s)
{
	uint64_t growth[MODES] = { 0 };
	int err = p->skel ? latency_read(p, s) : 0;

	forget_empty_latencies(p->processes);
	counters_read(p, growth);
	if (p->counting) {
		s->system.fault_user = growth[USER];
		s->system.fault_kernel = growth[KERNEL];
	}
	if (cpus_changed(p) && p->counting)
		counters_adapt(p);
	return err;
}

static void latency_close(struct probe *p)
{
	slots_close(&p->slots);
	percpu_close(&p->cpus);
	fault_bpf__destroy(p->skel);
	p->skel = NULL;
}

static int latency_configure(struct probe *p, const struct probe_settings *settings)
{
	bool storage = kernel_has_task_storage(settings->btf);
	struct fault_bpf *skel = p->skel;
	int err;

	skel->rodata->use_storage = storage;
	bpf_map__set_autocreate(skel->maps.marks, storage);
	bpf_program__set_autoload(skel->progs.fault_exit, !storage);
	err = bpf_map__set_max_entries(skel->maps.cpus, p->n_cpus);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.marks_hash,
					       storage ? 1 : settings->table_entries);
	if (!err)
		err = slots_size(skel->maps.fault_slots, skel->maps.fault_owners,
				 skel->maps.fault_free, settings->slots);
	return err;
}

static int latency_open(struct probe *p, const struct probe_settings *settings,
			struct probe_status *status)
{
	int err;

	if (btf__find_by_name_kind(settings->btf, "handle_mm_fault", BTF_KIND_FUNC) < 0)
		return -ENOENT;
	p->skel = fault_bpf__open();
	err = p->skel ? latency_configure(p, settings) : -errno;
	if (!err)
		err = object_load(p->skel->skeleton, status);
	if (!err)
		err = percpu_open(&p->cpus, p->skel->maps.cpus);
	if (!err)
		err = slots_open(&p->slots, p->skel->maps.fault_slots, p->skel->maps.fault_owners,
				 p->skel->maps.fault_free);
	if (!err)
		err = fault_bpf__attach(p->skel);
	if (err)
		latency_close(p);
	return err;
}

/* Says what is missing: `counting` and `latency` are 0 or why not, `detail` is what libbpf said. */
static void explain(struct probe_status *status, int counting, int latency)
{
	const char *mode = !counting ? (!latency ? "perf event + fentry" : "perf event") :
				       (!latency ? "fentry" : "task counters");
	const char *no_counting = "", *no_latency = "",
		   *missing = ": page-fault latency is not measured";
	char detail[sizeof(status->reason)];

	snprintf(detail, sizeof(detail), "%s", status->reason);
	if (counting == -EACCES || counting == -EPERM)
		no_counting =
			"perf events are not permitted (CAP_PERFMON): user and kernel faults are not counted";
	else if (counting)
		no_counting =
			"this kernel has no perf events: user and kernel faults are not counted";
	if (latency == -EPERM)
		no_latency = "fentry is refused by this kernel";
	else if (latency == -ENOENT)
		no_latency = "this kernel's BTF has no handle_mm_fault";
	else if (latency)
		no_latency = *detail ? detail : strerror(-latency);
	status->state = counting || latency ? PROBE_DEGRADED : PROBE_ATTACHED;
	snprintf(status->mode, sizeof(status->mode), "%s", mode);
	snprintf(status->reason, sizeof(status->reason), "%s%s%.120s%s", no_counting,
		 counting && latency ? "; " : "", no_latency, latency ? missing : "");
}

static void fault_close(struct probe *p)
{
	if (!p)
		return;
	latency_close(p);
	counters_close(p);
	free(p->counters);
	if (p->online_fd >= 0)
		close(p->online_fd);
	buf_release(&p->online);
	buf_release(&p->online_before);
	free(p);
}

static int fault_open(const struct probe_settings *settings, struct probe **ret_probe,
		      struct probe_status *status)
{
	struct probe *p = calloc(1, sizeof(*p));
	int counting, latency;

	if (!p)
		return -ENOMEM;
	p->processes = settings->processes;
	p->n_cpus = settings->possible_cpus;
	p->online_fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);
	p->counters = calloc(p->n_cpus, sizeof(*p->counters));
	if (!p->counters) {
		fault_close(p);
		return -ENOMEM;
	}
	cpus_changed(p);
	counting = counters_open(p);
	latency = latency_open(p, settings, status);
	explain(status, counting, latency);
	*ret_probe = p;
	return 0;
}

/* Whether the counters can be had; fentry is only known by trying it. */
static void fault_supported(struct probe_status *ret_status)
{
	struct counter counter;
	int err = counter_open(&counter, 0);

	*ret_status = (struct probe_status){ 0 };
	explain(ret_status, err == -ENODEV ? 0 : err, 0);
	if (!err)
		counter_close(&counter);
}

static uint64_t fault_map_bytes(const struct probe *p)
{
	return p->skel ? object_map_bytes(p->skel->obj) : 0;
}

static uint64_t fault_bpf_ns(const struct probe *p)
{
	return p->skel ? object_run_ns(p->skel->obj) : 0;
}

const struct probe_ops fault_probe = {
	.name = "fault",
	.sources = 1u << SOURCE_FAULT,
	.supported = fault_supported,
	.open = fault_open,
	.read = fault_read,
	.map_bytes = fault_map_bytes,
	.bpf_ns = fault_bpf_ns,
	.close = fault_close,
};
