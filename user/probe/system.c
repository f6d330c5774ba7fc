// SPDX-License-Identifier: BSD-2-Clause
/*
 * DESIGN. What /proc says of the whole system: CPU shares, memory, pressure, faults, network interfaces. Each file is
 * opened once and read again with pread, so an interval costs seven reads and no path lookups. The kernel's counters are since
 * boot: the figures of before are kept, and a file that cannot be opened (no PSI, hidden by a container) or no longer
 * parsed leaves its members null.
 */
#include <math.h>
#include <fcntl.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macros.h"
#include "probe/all.h"
#include "probe/object.h"
#include "probe/system_parse.h"

#define FILE_MAX \
	(4 << 20) /* the interrupt line of /proc/stat grows with the CPUs; this is beyond the largest machines */
#define INTERFACES_MAX 4096 /* a host of many containers has some thousands */

enum system_file {
	FILE_STAT,
	FILE_MEMORY,
	FILE_VMSTAT,
	FILE_INTERFACES,
	FILE_PRESSURE_MEMORY,
	FILE_PRESSURE_CPU,
	FILE_PRESSURE_IO,
	FILE_COUNT
};

static const char *const paths[FILE_COUNT] = {
	[FILE_STAT] = "/proc/stat",
	[FILE_MEMORY] = "/proc/meminfo",
	[FILE_VMSTAT] = "/proc/vmstat",
	[FILE_INTERFACES] = "/proc/self/net/dev",
	[FILE_PRESSURE_MEMORY] = "/proc/pressure/memory",
	[FILE_PRESSURE_CPU] = "/proc/pressure/cpu",
	[FILE_PRESSURE_IO] = "/proc/pressure/io",
};

/* All counters of one moment. What could not be read is METRIC_NULL or false. */
struct figures {
	uint64_t time_ns; /* monotonic */
	bool has_stat, has_fault;
	struct stat_figures stat;
	struct fault_figures fault;
	struct pressure_figures memory_pressure, cpu_pressure, io_pressure;
	struct interface_figures *interfaces;
	size_t n_interfaces, cap_interfaces;
};

struct probe {
	int fds[FILE_COUNT]; /* -1: cannot be read here */
	bool faults; /* the fault source is wanted */
	bool retries_counted; /* /proc/vmstat counts a fault again when it is retried */
	double ticks_per_second;
	struct buf text;
	struct figures before, now;
};

static const char *read_text(struct probe *p, enum system_file file)
{
	if (p->fds[file] < 0 || file_reread(p->fds[file], &p->text, FILE_MAX))
		return NULL;
	return buf_str(&p->text);
}

static struct pressure_figures read_pressure(struct probe *p, enum system_file file)
{
	struct pressure_figures pressure = { METRIC_NULL, METRIC_NULL };
	const char *text = read_text(p, file);

	if (text)
		pressure_parse(text, &pressure);
	return pressure;
}

static void read_interfaces(struct probe *p)
{
	const char *text = read_text(p, FILE_INTERFACES);
	struct interface_figures one;
	struct figures *now = &p->now;

	now->n_interfaces = 0;
	while (text && now->n_interfaces < INTERFACES_MAX && interface_parse(&text, &one)) {
		if (now->n_interfaces == now->cap_interfaces) {
			size_t cap = now->cap_interfaces ? now->cap_interfaces * 2 : 8;
			struct interface_figures *more =
				realloc(now->interfaces, cap * sizeof(*more));

			if (!more)
				return;
			now->interfaces = more;
			now->cap_interfaces = cap;
		}
		now->interfaces[now->n_interfaces++] = one;
	}
}

/* Reads all counters into p->now; those of before are in p->before. */
static void read_figures(struct probe *p)
{
	struct figures kept = p->before;
	const char *text;

	p->before = p->now;
	p->now = (struct figures){ .interfaces = kept.interfaces,
				   .cap_interfaces = kept.cap_interfaces };
	text = read_text(p, FILE_STAT);
	p->now.time_ns = clock_monotonic_ns();
	p->now.has_stat = text && stat_parse(text, &p->now.stat) == 0;
	text = p->faults ? read_text(p, FILE_VMSTAT) : NULL;
	p->now.has_fault = text && fault_parse(text, &p->now.fault) == 0;
	p->now.memory_pressure = read_pressure(p, FILE_PRESSURE_MEMORY);
	p->now.cpu_pressure = read_pressure(p, FILE_PRESSURE_CPU);
	p->now.io_pressure = read_pressure(p, FILE_PRESSURE_IO);
	read_interfaces(p);
}

static uint64_t growth(uint64_t before, uint64_t now)
{
	/* Less than before: the counter began anew (a driver was reset, the interface made again). */
	return now >= before ? now - before : now;
}

static void give_cpu(const struct probe *p, struct system_metrics *system)
{
	double seconds = (p->now.time_ns - p->before.time_ns) / 1e9;
	const struct stat_figures *before = &p->before.stat, *now = &p->now.stat;

	if (!p->before.has_stat || !p->now.has_stat)
		return;
	cpu_shares(&before->cpu, &now->cpu, now->cpus * seconds * p->ticks_per_second, system);
	/* The scheduler probe has it from its own hook, at the same instant as its other figures. */
	if (system->switches == METRIC_NULL && before->switches != METRIC_NULL &&
	    now->switches != METRIC_NULL)
		system->switches = growth(before->switches, now->switches);
}

static void give_memory(struct probe *p, struct system_metrics *system)
{
	const char *text = read_text(p, FILE_MEMORY);
	struct memory_figures memory;

	if (!text || memory_parse(text, &memory))
		return;
	system->memory_total_bytes = memory.total;
	system->memory_available_bytes = memory.available;
	system->swap_used_bytes = memory.swap_used;
}

static void give_faults(const struct probe *p, struct system_metrics *system)
{
	uint64_t all, major;

	if (!p->before.has_fault || !p->now.has_fault)
		return;
	all = growth(p->before.fault.all, p->now.fault.all);
	major = growth(p->before.fault.major, p->now.fault.major);
	system->fault_major = major;
	/* Perf events count a fault once (but not those that the kernel provokes on purpose, as for direct I/O). */
	if (p->retries_counted && system->fault_user != METRIC_NULL &&
	    system->fault_kernel != METRIC_NULL)
		all = system->fault_user + system->fault_kernel;
	/* The two are summed over the CPUs one after the other, while they go on counting. */
	system->fault_minor = all > major ? all - major : 0;
}

static void give_pressure(const struct probe *p, struct system_metrics *system)
{
	uint64_t elapsed = p->now.time_ns - p->before.time_ns;
	const struct figures *before = &p->before, *now = &p->now;

#define SHARE(which, kind) \
	pressure_share(before->which##_pressure.kind, now->which##_pressure.kind, elapsed)
	system->pressure_some_pct = SHARE(memory, some_us);
	system->pressure_full_pct = SHARE(memory, full_us);
	system->cpu_pressure_some_pct = SHARE(cpu, some_us);
	system->io_pressure_some_pct = SHARE(io, some_us);
	system->io_pressure_full_pct = SHARE(io, full_us);
#undef SHARE
}

/* The figures of before of an interface; they stand mostly at the same place. */
static const struct interface_figures *find_interface(const struct figures *before, size_t guess,
						      const char *name)
{
	for (size_t i = 0; i < before->n_interfaces; i++) {
		const struct interface_figures *one =
			&before->interfaces[(guess + i) % before->n_interfaces];

		if (strcmp(one->name, name) == 0)
			return one;
	}
	return NULL;
}

static int give_interfaces(const struct probe *p, struct snapshot *snapshot)
{
	for (size_t i = 0; i < p->now.n_interfaces; i++) {
		const struct interface_figures *now = &p->now.interfaces[i];
		const struct interface_figures *before = find_interface(&p->before, i, now->name);
		struct interface_metrics *row;

		/* A new name may be an old interface: what it moved in this interval is not known. */
		if (!before)
			continue;
		row = snapshot_add_interface(snapshot);
		if (!row)
			return -ENOMEM;
		row->name = snapshot_text(snapshot, now->name);
		row->rx_bytes = growth(before->rx_bytes, now->rx_bytes);
		row->tx_bytes = growth(before->tx_bytes, now->tx_bytes);
		row->rx_dropped = growth(before->rx_dropped, now->rx_dropped);
		row->tx_dropped = growth(before->tx_dropped, now->tx_dropped);
		if (!row->name)
			return -ENOMEM;
	}
	return 0;
}

static int system_read(struct probe *p, struct snapshot *snapshot)
{
	read_figures(p);
	give_cpu(p, &snapshot->system);
	give_memory(p, &snapshot->system);
	give_faults(p, &snapshot->system);
	give_pressure(p, &snapshot->system);
	return give_interfaces(p, snapshot);
}

static void system_supported(struct probe_status *ret_status)
{
	*ret_status = (struct probe_status){ .state = PROBE_ATTACHED, .mode = "/proc" };
	if (access(paths[FILE_STAT], R_OK)) {
		ret_status->state = PROBE_ABSENT;
		snprintf(ret_status->reason, sizeof(ret_status->reason),
			 "/proc/stat cannot be read: mount procfs on /proc");
		return;
	}
	for (int i = 0; i < FILE_COUNT; i++) {
		cleanup_close int fd = open(paths[i], O_RDONLY | O_CLOEXEC);

		if (fd >= 0)
			continue;
		ret_status->state = PROBE_DEGRADED;
		if (i >= FILE_PRESSURE_MEMORY)
			snprintf(ret_status->reason, sizeof(ret_status->reason),
				 "no pressure stall information: boot with psi=1 (needs CONFIG_PSI)");
		else
			snprintf(ret_status->reason, sizeof(ret_status->reason),
				 "%s cannot be read: %s", paths[i], strerror(errno));
		return;
	}
}

static void system_close(struct probe *p)
{
	if (!p)
		return;
	for (int i = 0; i < FILE_COUNT; i++)
		if (p->fds[i] >= 0)
			close(p->fds[i]);
	free(p->before.interfaces);
	free(p->now.interfaces);
	buf_release(&p->text);
	free(p);
}

static int system_open(const struct probe_settings *settings, struct probe **ret_probe,
		       struct probe_status *ret_status)
{
	struct probe *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	system_supported(ret_status);
	p->faults = settings->sources & (1u << SOURCE_FAULT);
	/* Up to 6.4; the enum's value came with 6.4, where this is a release too early. */
	p->retries_counted = settings->btf && !kernel_has_enum_value(settings->btf, "fault_flag",
								     "FAULT_FLAG_VMA_LOCK");
	p->ticks_per_second = sysconf(_SC_CLK_TCK);
	for (int i = 0; i < FILE_COUNT; i++)
		p->fds[i] = open(paths[i], O_RDONLY | O_CLOEXEC);
	read_figures(p);
	*ret_probe = p;
	return 0;
}

const struct probe_ops system_probe = {
	.name = "system",
	.required = true,
	.supported = system_supported,
	.open = system_open,
	.read = system_read,
	.close = system_close,
};
