// SPDX-License-Identifier: BSD-2-Clause
#include "agent/doctor.h"

#include <dirent.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/resource.h>
#include <sys/vfs.h>

#include "agent/sources.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/macros.h"
#include "base/units.h"
#include "probe/all.h"
#include "probe/object.h"

#define TEXT_MAX (4 << 20) /* a mountinfo of thousands of containers */
#define TRIAL_MEMORY (4u << 20) /* small maps are enough to see that they can be made */

static void add_finding(const struct finding *finding, void *context)
{
	struct doctor_report *r = context;

	if (r->n == r->cap) {
		size_t cap = r->cap ? r->cap * 2 : 64;
		struct finding *more = realloc(r->findings, cap * sizeof(*more));

		if (!more) {
			r->failed = true;
			return;
		}
		r->findings = more;
		r->cap = cap;
	}
	r->findings[r->n++] = *finding;
}

#define SET(text, ...) snprintf(text, sizeof(text), __VA_ARGS__)

/* --- sources --- */

static enum finding_status status_of(enum probe_state state)
{
	static const enum finding_status map[] = {
		[PROBE_ABSENT] = FINDING_ABSENT,
		[PROBE_DEGRADED] = FINDING_FALLBACK,
		[PROBE_ATTACHED] = FINDING_AVAILABLE,
	};

	return map[state];
}

static enum probe_state state_of(const char *name)
{
	for (int state = PROBE_ABSENT; state <= PROBE_ATTACHED; state++)
		if (strcmp(name, probe_state_name(state)) == 0)
			return state;
	return PROBE_ABSENT;
}

static void set_source(struct finding *f, enum probe_state state, const char *mode, const char *reason)
{
	f->status = status_of(state);
	SET(f->reason, "%s%s%s", mode ?: "", mode && *mode && reason && *reason ? ": " : "",
	    reason ?: "");
}

/* Opens all sources as monitor would, for a moment. */
static void try_sources(struct doctor_report *r)
{
	const struct sources_options options = { .wanted = (1u << SOURCE_COUNT) - 1,
						 .max_memory = TRIAL_MEMORY };
	struct record_source described[SOURCE_COUNT];
	cleanup_buf struct buf error = BUF_INIT;
	struct sources *s = NULL;
	int err = sources_open(&options, &s, &error);

	r->works = !err;
	if (err)
		snprintf(r->reason, sizeof(r->reason), "%s",
			 error.len ? buf_str(&error) : strerror(-err));
	else
		sources_describe(s, described);
	for (int id = 0; id < SOURCE_COUNT; id++) {
		struct finding f = { .group = "source", .required = id == SOURCE_SCHED };

		SET(f.name, "%s", source_name(id));
		if (err)
			set_source(&f, PROBE_ABSENT, NULL,
				   id == SOURCE_SCHED ? r->reason : "sched comes first");
		else
			set_source(&f, state_of(described[id].status), described[id].mode,
				   described[id].reason);
		add_finding(&f, r);
	}
	sources_close(s);
}

/* What the probe that is named as the source says of this kernel. */
static const struct probe_ops *probe_of(enum source_id id)
{
	for (size_t i = 0; probes[i]; i++)
		if (strcmp(probes[i]->name, source_name(id)) == 0)
			return probes[i];
	return NULL;
}

/* Without permission: what would be there for one who had it. */
static void look_at_sources(struct doctor_report *r, int err)
{
	bool denied = err == -EPERM || err == -EACCES;

	snprintf(r->reason, sizeof(r->reason), "%s",
		 denied ? "not permitted: it needs CAP_BPF and CAP_PERFMON in the initial user namespace (or root)" :
			  "this kernel refuses to load a BPF program: it needs CONFIG_BPF_SYSCALL=y");
	for (int id = 0; id < SOURCE_COUNT; id++) {
		struct finding f = { .group = "source",
				     .required = id == SOURCE_SCHED,
				     .status = FINDING_ABSENT };
		struct probe_status status = { .state = PROBE_ATTACHED };
		const struct probe_ops *ops = probe_of(id);

		SET(f.name, "%s", source_name(id));
		if (ops && ops->supported && id != SOURCE_FAULT)
			ops->supported(&status);
		if (status.state == PROBE_ABSENT)
			SET(f.reason, "%s", status.reason);
		else
			SET(f.reason, "not permitted; with permission: %s%s%s",
			    status.mode[0] ? status.mode : "to be tried",
			    status.reason[0] ? ", " : "", status.reason);
		SET(f.mend, "%s", feature_mend_privilege);
		add_finding(&f, r);
	}
}

/* --- this process --- */

static bool has_capability(cap_value_t cap)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	if (caps)
		cap_get_flag(caps, cap, CAP_EFFECTIVE, &value);
	cap_free(caps);
	return value == CAP_SET;
}

static void examine_capabilities(struct doctor_report *r, bool memory_is_locked)
{
	const struct {
		cap_value_t cap;
		const char *name, *feeds;
		bool required, admin; /* CAP_SYS_ADMIN stands in for it */
		const char *without;
	} rows[] = {
		{ CAP_BPF, "CAP_BPF", "loading programs and making maps", true, true, NULL },
		{ CAP_PERFMON, "CAP_PERFMON",
		  "attaching to tracepoints, reading kernel memory, perf events", true, true, NULL },
		{ CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE",
		  "raising RLIMIT_MEMLOCK, which maps count against before Linux 5.11",
		  memory_is_locked, false, "not needed on this kernel" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct finding f = { .group = "capability",
				     .required = rows[i].required,
				     .feeds = rows[i].feeds };

		SET(f.name, "%s", rows[i].name);
		if (has_capability(rows[i].cap)) {
			f.status = FINDING_AVAILABLE;
		} else if (rows[i].admin && has_capability(CAP_SYS_ADMIN)) {
			f.status = FINDING_FALLBACK;
			SET(f.reason, "CAP_SYS_ADMIN stands in for it");
		} else {
			f.status = rows[i].required ? FINDING_ABSENT : FINDING_FALLBACK;
			SET(f.reason, "%s",
			    rows[i].required ? "this process does not have it" : rows[i].without);
			if (rows[i].required)
				SET(f.mend, "run as root, or setcap %s+ep on the program",
				    rows[i].name);
		}
		add_finding(&f, r);
	}
}

static void examine_limits(struct doctor_report *r, bool memory_is_locked)
{
	struct finding files = { .group = "limit", .name = "open files", .required = true };
	struct finding memory = { .group = "limit",
				  .name = "locked memory",
				  .feeds = "maps, before Linux 5.11" };
	unsigned int needed = sources_files_needed();
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < needed) {
		files.status = FINDING_ABSENT;
		SET(files.reason, "%llu allowed, about %u needed",
		    (unsigned long long)limit.rlim_cur, needed);
		SET(files.mend, "ulimit -n %u (LimitNOFILE= of a unit)", needed);
	}
	add_finding(&files, r);
	if (memory_is_locked && !getrlimit(RLIMIT_MEMLOCK, &limit) &&
	    limit.rlim_cur != RLIM_INFINITY) {
		bool raised = has_capability(CAP_SYS_RESOURCE);

		memory.status = raised ? FINDING_FALLBACK : FINDING_ABSENT;
		memory.required = true;
		SET(memory.reason, "%llu KiB allowed%s", (unsigned long long)limit.rlim_cur / 1024,
		    raised ? ", raised by CAP_SYS_RESOURCE" : "");
		SET(memory.mend, "%s",
		    raised ? "" :
			     "ulimit -l unlimited (LimitMEMLOCK=infinity of a unit), or CAP_SYS_RESOURCE");
	}
	add_finding(&memory, r);
}

/* --- the system --- */

/* The options of the last mount on /proc have hidepid other than 0. */
static bool proc_hides(const char *mountinfo)
{
	bool hides = false;

	for (const char *line = mountinfo; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		const char *where = strstr(line, " /proc "), *hide = strstr(line, "hidepid=");
		const char *end = line + strcspn(line, "\n");

		if (!where || where > end)
			continue;
		hides = hide && hide < end && strncmp(hide, "hidepid=0", 9) != 0 &&
			strncmp(hide, "hidepid=off", 11) != 0;
	}
	return hides;
}

static void examine_mounts(struct doctor_report *r)
{
	struct finding proc = {
		.group = "mount", .name = "procfs", .required = true, .feeds = "figures of the system"
	};
	struct finding sys = {
		.group = "mount", .name = "sysfs", .required = true, .feeds = "BTF, CPUs, devices"
	};
	struct finding cgroup = { .group = "mount", .name = "cgroup2", .feeds = "names of cgroups" };
	cleanup_buf struct buf text = BUF_INIT;
	struct statfs fs;

	file_read("/proc/self/mountinfo", &text, TEXT_MAX);
	if (statfs("/proc", &fs) || fs.f_type != PROC_SUPER_MAGIC) {
		proc.status = FINDING_ABSENT;
		SET(proc.reason, "not mounted on /proc");
		SET(proc.mend, "mount -t proc proc /proc");
	} else if (proc_hides(buf_str(&text))) {
		proc.status = FINDING_FALLBACK;
		SET(proc.reason,
		    "mounted with hidepid: command lines of others' processes are not seen");
		SET(proc.mend, "mount -o remount,hidepid=0 /proc");
	}
	add_finding(&proc, r);
	if (statfs("/sys", &fs) || fs.f_type != SYSFS_MAGIC) {
		sys.status = FINDING_ABSENT;
		SET(sys.reason, "not mounted on /sys");
		SET(sys.mend, "mount -t sysfs sysfs /sys");
	}
	add_finding(&sys, r);
	if (!strstr(buf_str(&text), " - cgroup2 ")) {
		cgroup.status = FINDING_FALLBACK;
		SET(cgroup.reason,
		    "not mounted: a cgroup is named only while one of its processes lives");
		SET(cgroup.mend, "mount -t cgroup2 none /sys/fs/cgroup");
	}
	add_finding(&cgroup, r);
}

static void examine_lockdown(struct doctor_report *r)
{
	struct finding f = { .group = "kernel", .name = "lockdown" };
	cleanup_buf struct buf text = BUF_INIT;

	if (file_read("/sys/kernel/security/lockdown", &text, 4096)) {
		SET(f.reason, "not known: no lockdown in this kernel, or securityfs is not mounted");
	} else if (strstr(buf_str(&text), "[confidentiality]")) {
		f.status = FINDING_ABSENT;
		f.required = true;
		SET(f.reason, "confidentiality: programs may not read kernel memory");
		SET(f.mend, "boot with lockdown=integrity or without lockdown");
		/* What failed because of it says less. */
		SET(r->reason,
		    "the kernel is locked down (confidentiality): programs may not read its memory");
		r->works = false;
	} else if (strstr(buf_str(&text), "[integrity]")) {
		SET(f.reason, "integrity: what mbtrace does is still allowed");
	}
	add_finding(&f, r);
}

static void examine_pressure(struct doctor_report *r)
{
	struct finding f = { .group = "kernel",
			     .name = "pressure stall information",
			     .feeds = "pressure figures" };
	cleanup_buf struct buf text = BUF_INIT;
	int err = file_read("/proc/pressure/memory", &text, 4096);

	if (err) {
		f.status = FINDING_ABSENT;
		SET(f.reason, "%s: pressure is null",
		    err == -EOPNOTSUPP ? "switched off" : "/proc/pressure is missing");
		SET(f.mend, "%s",
		    err == -EOPNOTSUPP ? "boot with psi=1" :
					 "a kernel with CONFIG_PSI=y (and psi=1)");
	}
	add_finding(&f, r);
}

static void examine_seccomp(struct doctor_report *r)
{
	struct finding f = { .group = "kernel",
			     .name = "seccomp filters",
			     .feeds = "the agent's sandbox" };
	cleanup_buf struct buf text = BUF_INIT;

	if (file_read("/proc/sys/kernel/seccomp/actions_avail", &text, 4096)) {
		f.status = FINDING_FALLBACK;
		SET(f.reason, "this kernel has none: monitor runs without");
		SET(f.mend, "a kernel with CONFIG_SECCOMP_FILTER=y");
	}
	add_finding(&f, r);
}

/* A setting's value; UINT64_MAX when it cannot be read as a number from 0. */
static uint64_t setting(const char *path)
{
	cleanup_buf struct buf text = BUF_INIT;
	uint64_t value;

	if (file_read(path, &text, 256))
		return UINT64_MAX;
	if (text.len && text.data[text.len - 1] == '\n')
		text.data[text.len - 1] = 0;
	return units_parse_u64(buf_str(&text), &value) ? UINT64_MAX : value;
}

static void examine_settings(struct doctor_report *r)
{
	/* Which values are good; others have the consequence and the mend. */
	const struct {
		const char *name, *path;
		uint64_t min, max;
		const char *consequence, *mend;
		bool matters; /* for this process */
	} rows[] = {
		{ "kernel.perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid", 0, 2,
		  "perf events need CAP_SYS_ADMIN: user and kernel faults are null without it",
		  "sysctl -w kernel.perf_event_paranoid=2", !has_capability(CAP_SYS_ADMIN) },
		{ "kernel.unprivileged_bpf_disabled", "/proc/sys/kernel/unprivileged_bpf_disabled",
		  0, 2, "", "", true },
		{ "net.core.bpf_jit_enable", "/proc/sys/net/core/bpf_jit_enable", 1, 2,
		  "programs are interpreted: several times their cost",
		  "sysctl -w net.core.bpf_jit_enable=1", true },
		{ "kernel.bpf_stats_enabled", "/proc/sys/kernel/bpf_stats_enabled", 1, 1,
		  "self.bpf_ns is null: the programs' own time is not measured",
		  "sysctl -w kernel.bpf_stats_enabled=1 (costs some 70 ns each run)", true },
		{ "kernel.kptr_restrict", "/proc/sys/kernel/kptr_restrict", 0, 1,
		  "kernel addresses are hidden: only profiles use them",
		  "sysctl -w kernel.kptr_restrict=1", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct finding f = { .group = "setting" };
		uint64_t value = setting(rows[i].path);

		SET(f.name, "%s", rows[i].name);
		/* -1 is as open as can be; a setting that is not there restricts nothing, or cannot be read by us. */
		if (value != UINT64_MAX && (value < rows[i].min || value > rows[i].max) &&
		    rows[i].matters) {
			f.status = FINDING_FALLBACK;
			SET(f.reason, "is %llu: %s", (unsigned long long)value, rows[i].consequence);
			SET(f.mend, "%s", rows[i].mend);
		} else if (value != UINT64_MAX) {
			SET(f.reason, "is %llu", (unsigned long long)value);
		}
		add_finding(&f, r);
	}
}

/* Devices for which the kernel does not note when a request began. */
static void examine_iostats(struct doctor_report *r)
{
	struct finding f = { .group = "setting",
			     .name = "queue/iostats",
			     .feeds = "times of block I/O" };
	cleanup_buf struct buf names = BUF_INIT;
	DIR *dir = opendir("/sys/block");
	struct dirent *d;

	while (dir && (d = readdir(dir))) {
		char path[512];

		snprintf(path, sizeof(path), "/sys/block/%s/queue/iostats", d->d_name);
		if (d->d_name[0] != '.' && setting(path) == 0)
			buf_printf(&names, "%s%s", names.len ? " " : "", d->d_name);
	}
	if (dir)
		closedir(dir);
	if (names.len) {
		f.status = FINDING_FALLBACK;
		SET(f.reason, "off for %.120s: their requests are timed by another hook",
		    buf_str(&names));
		SET(f.mend, "echo 1 > /sys/block/DEVICE/queue/iostats");
	}
	add_finding(&f, r);
}

/* Whether maps count against RLIMIT_MEMLOCK: the account that was kept for that went with Linux 5.11. */
static bool is_memory_locked(void)
{
	struct btf *btf = kernel_btf_load();
	bool locked = btf && kernel_has_member(btf, "bpf_map_memory", "user");

	kernel_btf_free(btf);
	return locked;
}

int doctor_examine(struct doctor_report *ret_report)
{
	struct doctor_report *r = ret_report;
	bool locked = is_memory_locked();
	int err = feature_permission();

	*r = (struct doctor_report){ .tried = !err };
	if (r->tried)
		try_sources(r);
	else
		look_at_sources(r, err);
	features_examine(r->tried, add_finding, r);
	examine_capabilities(r, locked);
	examine_mounts(r);
	examine_limits(r, locked);
	examine_lockdown(r);
	examine_pressure(r);
	examine_seccomp(r);
	examine_settings(r);
	examine_iostats(r);
	return r->failed ? -ENOMEM : 0;
}

void doctor_release(struct doctor_report *r)
{
	free(r->findings);
	*r = (struct doctor_report){ 0 };
}
