// SPDX-License-Identifier: BSD-2-Clause
#include "agent/sources.h"

#include <malloc.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/macros.h"
#include "base/units.h"
#include "probe/object.h"

#define PROBES_MAX 8
/* Sizes of maps within the default budget of 32 MiB, measured; halved until they fit a smaller one. */
#define SLOTS_DEFAULT \
	512 /* histograms: 2.1 KiB each, for processes with over 8 waits a thread in an interval */
#define RING_DEFAULT (1u << 19) /* 2,200 last records of threads; the agent is woken at a quarter */
#define TABLE_DEFAULT \
	16384 /* in-flight requests, connections, threads where there is no task storage */
#define MEMORY_DEFAULT (32u << 20)
#define INITIAL_PID_NS \
	0xEFFFFFFCu /* inode number of the initial PID namespace (include/linux/proc_ns.h) */
#define PROC_TEXT_MAX (1u << 16)
#define LARGE_BLOCK (128 << 10) /* bytes: the C library's own threshold, before it learns another */
/* Descriptors of a run, measured, and some in reserve; the counters of faults come on top, two a CPU. */
#define FILES_BASE 96

struct source_probe {
	const struct probe_ops *ops;
	struct probe *probe;
	struct probe_status status;
	uint32_t opened_for; /* the sources it was opened with */
};

struct sources {
	struct probe_settings settings;
	struct source_probe probes[PROBES_MAX];
	size_t n;
	uint32_t wanted, shed;
};

/* How deep the agent's PID namespace is, 0 for the initial one, and its inode number. */
static int pid_namespace(uint32_t *ret_level, uint32_t *ret_inum, struct buf *error)
{
	cleanup_buf struct buf text = BUF_INIT;
	uint32_t numbers = 0;
	const char *line;
	struct stat st;
	int err = file_read("/proc/self/status", &text, PROC_TEXT_MAX);

	if (!err && stat("/proc/self/ns/pid", &st) < 0)
		err = -errno;
	if (err) {
		buf_printf(error, "/proc cannot be read (%s): mount -t proc proc /proc",
			   strerror(-err));
		return err;
	}
	/* "NSpid:\t1234\t5" has a number a level, as far out as this /proc sees. */
	line = strstr(buf_str(&text), "NSpid:");
	for (const char *p = line ? line : ""; *p && *p != '\n'; p++)
		numbers += *p == '\t';
	*ret_level = st.st_ino == INITIAL_PID_NS ? 0 : MAX(numbers, 2) - 1;
	*ret_inum = st.st_ino;
	return 0;
}

/* A size that a test asks for, to see what happens when a map is too small. */
static void override_size(const char *name, uint32_t *size)
{
	const char *text = getenv(name);
	uint64_t value;

	if (text && units_parse_u64(text, &value) == 0 && value > 0 && value < UINT32_MAX)
		*size = value;
}

/* Makes the maps fit the budget. */
static void size_maps(struct probe_settings *settings, uint64_t max_memory)
{
	uint32_t shift = 0;

	while (shift < 6 && max_memory < (MEMORY_DEFAULT >> shift))
		shift++;
	settings->slots = SLOTS_DEFAULT >> shift;
	settings->ring_bytes = RING_DEFAULT >> shift;
	settings->table_entries = TABLE_DEFAULT >> shift;
	override_size("MBTRACE_TEST_SLOTS", &settings->slots);
	override_size("MBTRACE_TEST_RING_BYTES", &settings->ring_bytes);
	override_size("MBTRACE_TEST_TABLE_ENTRIES", &settings->table_entries);
}

static int open_probe(struct sources *s, struct source_probe *p)
{
	int err;

	s->settings.sources = s->wanted & ~s->shed;
	p->opened_for = s->settings.sources & p->ops->sources;
	p->status = (struct probe_status){ .state = PROBE_ATTACHED };
	err = p->ops->open(&s->settings, &p->probe, &p->status);
	if (err) {
		p->probe = NULL;
		p->status.state = PROBE_ABSENT;
	}
	return err;
}

/* Adds the probe's name and why it is not there. */
static void explain(const struct source_probe *p, int err, struct buf *error)
{
	if (error->len)
		buf_adds(error, "; ");
	buf_printf(error, "%s: %s", p->ops->name,
		   p->status.reason[0] ? p->status.reason : strerror(-err));
}

static int open_all(struct sources *s, struct buf *error)
{
	for (size_t i = 0; probes[i] && s->n < PROBES_MAX; i++) {
		struct source_probe *p = &s->probes[s->n];
		int err;

		if (!probes[i]->required && !(probes[i]->sources & s->wanted))
			continue;
		p->ops = probes[i];
		s->n++;
		err = open_probe(s, p);
		if (err)
			explain(p, err, error);
		if (err && p->ops->required)
			return err;
	}
	return 0;
}

/* The kernel's types are needed while probes are opened; they take megabytes, so they are given back then. */
static int types_load(struct sources *s, struct buf *error)
{
	/*
	 * Large blocks get mappings of their own, which go when they are freed. Left to itself the C library learns from the
	 * first one that is freed to put the next into the heap, where small ones that live on keep it resident.
	 */
	mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK);
	/* A test can have types hidden, to see what happens on kernels without them. */
	s->settings.btf = kernel_btf_load_without(getenv("MBTRACE_TEST_WITHOUT"));
	if (s->settings.btf)
		return 0;
	buf_adds(error,
		 "this kernel has no BTF (/sys/kernel/btf/vmlinux): mbtrace needs CONFIG_DEBUG_INFO_BTF=y, which "
		 "the kernels of Debian 11, Ubuntu 20.10, RHEL 8.2 and all later ones have");
	return -ENOENT;
}

static void types_free(struct sources *s)
{
	kernel_btf_free(s->settings.btf);
	s->settings.btf = NULL;
	malloc_trim(0);
}

unsigned int sources_files_needed(void)
{
	return FILES_BASE + 2 * kernel_possible_cpus();
}

/* Raises the limit of open files to what a run takes, as far as that is permitted; what is allowed then. */
static uint64_t allow_files(unsigned int needed)
{
	struct rlimit limit, raised;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur >= needed)
		return needed;
	raised = (struct rlimit){ .rlim_cur = needed, .rlim_max = MAX(limit.rlim_max, needed) };
	if (!setrlimit(RLIMIT_NOFILE, &raised))
		return needed;
	limit.rlim_cur = MIN(limit.rlim_max, needed);
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

/* libbpf tells a lack of descriptors in many ways, few of them right: says it in place of them. */
static void blame_files(struct buf *error, uint64_t allowed, unsigned int needed)
{
	buf_reset(error);
	buf_printf(error,
		   "%llu open files are allowed, for all sources %u are needed: ulimit -n %u "
		   "(LimitNOFILE= of a unit)",
		   (unsigned long long)allowed, needed, needed);
}

int sources_open(const struct sources_options *options, struct sources **ret_sources,
		 struct buf *ret_error)
{
	struct sources *s = calloc(1, sizeof(*s));
	unsigned int needed = sources_files_needed();
	uint64_t allowed = allow_files(needed);
	int err;

	if (!s)
		return -ENOMEM;
	s->wanted = options->wanted;
	s->settings.possible_cpus = kernel_possible_cpus();
	s->settings.follow = options->follow;
	s->settings.n_pids = options->n_pids;
	s->settings.pids = options->pids;
	s->settings.processes = process_table_new();
	size_maps(&s->settings, options->max_memory);
	err = s->settings.processes ? 0 : -ENOMEM;
	if (!err)
		err = pid_namespace(&s->settings.pid_ns_level, &s->settings.pid_ns_inum, ret_error);
	if (!err)
		err = types_load(s, ret_error);
	if (!err)
		err = open_all(s, ret_error);
	types_free(s);
	if (ret_error->len && allowed < needed) {
		blame_files(ret_error, allowed, needed);
		err = err ? -EMFILE : 0;
	}
	if (err) {
		sources_close(s);
		return err;
	}
	*ret_sources = s;
	return 0;
}

void sources_close(struct sources *s)
{
	if (!s)
		return;
	for (size_t i = s->n; i-- > 0;)
		if (s->probes[i].probe)
			s->probes[i].ops->close(s->probes[i].probe);
	process_table_free(s->settings.processes);
	free(s);
}

void sources_describe(const struct sources *s, struct record_source ret[SOURCE_COUNT])
{
	for (int id = 0; id < SOURCE_COUNT; id++) {
		ret[id] = (struct record_source){ .status = probe_state_name(PROBE_ABSENT),
						  .reason = "not asked for" };
		/* The last probe that feeds it is its own; the ones before feed a part. */
		for (size_t i = 0; i < s->n && (s->wanted & (1u << id)); i++) {
			const struct source_probe *p = &s->probes[i];

			if (!(p->ops->sources & (1u << id)))
				continue;
			ret[id].status = probe_state_name(p->status.state);
			ret[id].mode = p->probe && p->status.mode[0] ? p->status.mode : NULL;
			ret[id].reason = p->status.reason[0] ? p->status.reason : NULL;
		}
	}
}

uint32_t sources_attached(const struct sources *s)
{
	uint32_t attached = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->probes[i].probe)
			attached |= s->probes[i].opened_for;
	return attached;
}

struct process_table *sources_processes(struct sources *s)
{
	return s->settings.processes;
}

bool sources_namespaced(const struct sources *s)
{
	return s->settings.pid_ns_level > 0;
}

int sources_restart(struct sources *s)
{
	struct snapshot *forgotten = snapshot_new();

	if (!forgotten)
		return -ENOMEM;
	sources_read(s, forgotten);
	process_table_restart(s->settings.processes);
	snapshot_free(forgotten);
	return 0;
}

int sources_read(struct sources *s, struct snapshot *snapshot)
{
	int failed = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->probes[i].probe)
			failed += s->probes[i].ops->read(s->probes[i].probe, snapshot) < 0;
	snapshot->trust.shed = s->shed;
	return failed;
}

void sources_each_fd(const struct sources *s, void (*add)(int fd, void *context), void *context)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct source_probe *p = &s->probes[i];
		int fd = p->probe && p->ops->ring_fd ? p->ops->ring_fd(p->probe) : -1;

		if (fd >= 0)
			add(fd, context);
	}
}

void sources_drain(struct sources *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->probes[i].probe && s->probes[i].ops->drain)
			s->probes[i].ops->drain(s->probes[i].probe);
}

uint64_t sources_map_bytes(const struct sources *s)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->probes[i].probe && s->probes[i].ops->map_bytes)
			total += s->probes[i].ops->map_bytes(s->probes[i].probe);
	return total;
}

uint64_t sources_bpf_ns(const struct sources *s)
{
	uint64_t total = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->probes[i].probe && s->probes[i].ops->bpf_ns)
			total += s->probes[i].ops->bpf_ns(s->probes[i].probe);
	return total;
}

int sources_count_bpf(void)
{
	return kernel_count_run_time();
}

/* Makes every probe agree with the sources that are wanted and not shed. 0 or -errno of a probe that does not open. */
static int apply(struct sources *s, struct buf *error)
{
	int err = types_load(s, error);

	for (size_t i = 0; i < s->n && !err; i++) {
		struct source_probe *p = &s->probes[i];
		uint32_t now = s->wanted & ~s->shed & p->ops->sources;

		if (p->opened_for == now)
			continue;
		if (p->probe)
			p->ops->close(p->probe);
		p->probe = NULL;
		p->opened_for = now;
		if (now || p->ops->required)
			err = open_probe(s, p);
		if (err)
			explain(p, err, error);
	}
	types_free(s);
	return err;
}

int sources_shed(struct sources *s)
{
	cleanup_buf struct buf ignored = BUF_INIT;

	for (int id = SOURCE_COUNT - 1; id >= 0; id--) {
		if (!(sources_attached(s) & (1u << id)))
			continue;
		s->shed |= 1u << id;
		apply(s, &ignored);
		return id;
	}
	return -1;
}

int sources_restore(struct sources *s, struct buf *ret_error)
{
	cleanup_buf struct buf ignored = BUF_INIT;

	for (int id = 0; id < SOURCE_COUNT; id++) {
		if (!(s->shed & (1u << id)))
			continue;
		s->shed &= ~(1u << id);
		if (apply(s, ret_error) == 0)
			return id;
		/* What does not open now stays shed, and is tried again later. */
		s->shed |= 1u << id;
		apply(s, &ignored);
		return -1;
	}
	return -1;
}
