// SPDX-License-Identifier: BSD-2-Clause
#include "probe/feature.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/macros.h"
#include "probe/object.h"

/*
 * DESIGN. Versions and configurations are hearsay: distributions backport, and hardened kernels refuse what they have. So
 * what may be tried is tried, with the smallest program there is, and only for who may not is BTF read instead. The
 * table of hooks repeats what the programs' sections say, for it adds what a section cannot: what a hook is for and
 * what happens without it. A test compares the two.
 */
const char feature_mend_privilege[] =
	"run as root, or give the program CAP_BPF and CAP_PERFMON (setcap "
	"cap_bpf,cap_perfmon+ep)";

enum hook_kind { HOOK_TYPED, HOOK_RAW, HOOK_ITERATOR, HOOK_ENTRY, HOOK_EXIT };

static const struct {
	const char *section; /* as libbpf writes it */
	const char *symbol; /* in BTF, in front of the name */
	uint32_t kind; /* of BTF */
	enum bpf_prog_type type;
	enum bpf_attach_type attach;
} kinds[] = {
	[HOOK_TYPED] = { "tp_btf", "btf_trace_", BTF_KIND_TYPEDEF, BPF_PROG_TYPE_TRACING,
			 BPF_TRACE_RAW_TP },
	[HOOK_RAW] = { "raw_tp", "btf_trace_", BTF_KIND_TYPEDEF, BPF_PROG_TYPE_RAW_TRACEPOINT, 0 },
	[HOOK_ITERATOR] = { "iter", "bpf_iter_", BTF_KIND_FUNC, BPF_PROG_TYPE_TRACING,
			    BPF_TRACE_ITER },
	[HOOK_ENTRY] = { "fentry", "", BTF_KIND_FUNC, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY },
	[HOOK_EXIT] = { "fexit", "", BTF_KIND_FUNC, BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT },
};

#define UNLESS "only used where the better way is missing: "

static const struct hook {
	enum hook_kind kind;
	const char *name;
	bool required;
	const char *feeds;
	const char *instead; /* what happens without it; NULL: what it feeds is not measured */
} hooks[] = {
	{ HOOK_ITERATOR, "task", true,
	  "every thread's times, switches, faults and bytes, once an interval", NULL },
	{ HOOK_TYPED, "sched_switch", false, "run-queue waits, time slices, sleep",
	  "raw_tp, with a hash of threads" },
	{ HOOK_RAW, "sched_switch", false, UNLESS "run-queue waits", "tp_btf" },
	{ HOOK_RAW, "sched_process_exit", false,
	  "last records of threads, where sched is not asked for",
	  "threads that end within an interval lack their last part" },
	{ HOOK_RAW, "sched_process_free", false, UNLESS "empties the hash of threads",
	  "task storage" },
	{ HOOK_RAW, "sched_process_fork", false, "--follow", NULL },
	{ HOOK_ENTRY, "handle_mm_fault", false, "latency of page faults", NULL },
	{ HOOK_EXIT, "handle_mm_fault", false, "latency of page faults", NULL },
	{ HOOK_TYPED, "block_rq_complete", false, "block I/O", "raw_tp" },
	{ HOOK_RAW, "block_rq_complete", false, UNLESS "block I/O", "tp_btf" },
	{ HOOK_TYPED, "block_io_start", false, "who began a request, and whether it is sequential",
	  "block_rq_insert and block_rq_issue: writes that wait for a cache flush have no owner" },
	{ HOOK_RAW, "block_io_start", false, UNLESS "who began a request",
	  "tp_btf, or block_rq_insert and block_rq_issue" },
	{ HOOK_TYPED, "block_rq_insert", false, UNLESS "who began a request", "raw_tp" },
	{ HOOK_RAW, "block_rq_insert", false, UNLESS "who began a request", "tp_btf" },
	{ HOOK_TYPED, "block_rq_issue", false,
	  "when a request went to its device, where the kernel keeps no note", "raw_tp" },
	{ HOOK_RAW, "block_rq_issue", false, UNLESS "when a request went to its device", "tp_btf" },
	{ HOOK_TYPED, "inet_sock_set_state", false, "TCP connections",
	  "raw_tp, by plain writes: bytes may be counted twice when a connection ends" },
	{ HOOK_RAW, "inet_sock_set_state", false, UNLESS "TCP connections", "tp_btf" },
	{ HOOK_RAW, "tcp_send_reset", false, "TCP resets sent", NULL },
	{ HOOK_RAW, "tcp_receive_reset", false, "TCP resets received", NULL },
	{ HOOK_ITERATOR, "bpf_map_elem", false, "bytes, retransmits and RTT of open connections",
	  NULL },
	{ HOOK_ITERATOR, "task_file", false, "owners of accepted connections", NULL },
	{ HOOK_ITERATOR, "tcp", false, "connections that were there before", NULL },
};

static const struct map_type {
	enum bpf_map_type type;
	const char *name, *value; /* of the enum in BTF */
	bool required;
	const char *instead;
} map_types[] = {
	{ BPF_MAP_TYPE_RINGBUF, "ring buffer", "BPF_MAP_TYPE_RINGBUF", true, NULL },
	{ BPF_MAP_TYPE_STACK, "stack map", "BPF_MAP_TYPE_STACK", true, NULL },
	{ BPF_MAP_TYPE_TASK_STORAGE, "task storage", "BPF_MAP_TYPE_TASK_STORAGE", false,
	  "a hash of threads" },
};

static const struct member {
	const char *name, *type, *member;
	bool required;
	const char *instead, *mend;
} members[] = {
	{ "sched_info", "sched_info", "run_delay", true, NULL, "a kernel with CONFIG_SCHED_INFO=y" },
	{ "task io accounting", "task_io_accounting", "read_bytes", false,
	  "a process's read_bytes and write_bytes are 0",
	  "a kernel with CONFIG_TASK_IO_ACCOUNTING=y" },
};

const char *finding_status_name(enum finding_status status)
{
	static const char *const names[] = {
		[FINDING_AVAILABLE] = "available",
		[FINDING_FALLBACK] = "fallback",
		[FINDING_ABSENT] = "absent",
	};

	return names[status];
}

/* The smallest program: returns 0. Its descriptor or -errno. */
static int load_nothing(enum bpf_prog_type type, enum bpf_attach_type attach, uint32_t btf_id)
{
	const struct bpf_insn nothing[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach,
		    .attach_btf_id = btf_id);

	return bpf_prog_load(type, "nothing", "Dual BSD/GPL", nothing, ARRAY_SIZE(nothing), &options);
}

int feature_permission(void)
{
	cleanup_close int fd = load_nothing(BPF_PROG_TYPE_RAW_TRACEPOINT, 0, 0);

	return fd < 0 ? fd : 0;
}

/* The type that stands for the hook in BTF, or negative. */
static int hook_type(const struct btf *btf, const struct hook *hook)
{
	char symbol[128];

	snprintf(symbol, sizeof(symbol), "%s%s", kinds[hook->kind].symbol, hook->name);
	return btf__find_by_name_kind(btf, symbol, kinds[hook->kind].kind);
}

/* Loads a program for the hook and attaches it for a moment; 0 or -errno. */
static int hook_try(const struct hook *hook, int type)
{
	bool raw = hook->kind == HOOK_RAW, map = strncmp(hook->name, "bpf_", 4) == 0;
	cleanup_close int program = -1, link = -1;

	program = load_nothing(kinds[hook->kind].type, kinds[hook->kind].attach, raw ? 0 : type);
	if (program < 0)
		return program;
	/* An iterator over a map wants one to be attached to; that it loads is proof enough. */
	if (hook->kind == HOOK_ITERATOR)
		link = map ? program : bpf_link_create(program, 0, BPF_TRACE_ITER, NULL);
	else
		link = bpf_raw_tracepoint_open(raw ? hook->name : NULL, program);
	if (link < 0)
		return link;
	if (link == program)
		program = -1;
	return 0;
}

/* Completes a finding whose thing cannot be used: -ENOENT is not there, -EPERM is refused, else what went wrong. */
static void explain(struct finding *f, int err, bool permitted, const char *instead)
{
	f->status = instead && permitted ? FINDING_FALLBACK : FINDING_ABSENT;
	if (!permitted && err != -ENOENT) {
		snprintf(f->reason, sizeof(f->reason),
			 "the kernel has it, this process may not use it");
		snprintf(f->mend, sizeof(f->mend), "%s", feature_mend_privilege);
		return;
	}
	snprintf(f->reason, sizeof(f->reason), "%s%s%s",
		 err == -ENOENT			 ? "this kernel does not have it" :
		 err == -EPERM || err == -EACCES ? "refused by this kernel" :
						   strerror(-err),
		 instead ? "; instead: " : "", instead ?: "");
}

/* Programs are fitted to the kernel by its BTF: without it none can be attached anywhere. */
static void explain_no_btf(struct finding *f)
{
	f->status = FINDING_ABSENT;
	snprintf(f->reason, sizeof(f->reason), "of no use without BTF");
}

static void examine_hook(const struct btf *btf, const struct hook *hook, bool permitted,
			 finding_add *add, void *context)
{
	struct finding f = { .group = "hook", .required = hook->required, .feeds = hook->feeds };
	int type, err;

	snprintf(f.name, sizeof(f.name), "%s %s", kinds[hook->kind].section, hook->name);
	if (!btf) {
		explain_no_btf(&f);
		add(&f, context);
		return;
	}
	type = hook_type(btf, hook);
	/* A raw tracepoint may be there though BTF has no trace of it. */
	if (type < 0 && (hook->kind != HOOK_RAW || !permitted))
		err = -ENOENT;
	else
		err = permitted ? hook_try(hook, type) : -EPERM;
	if (err)
		explain(&f, err, permitted, hook->instead);
	add(&f, context);
}

static void examine_map_type(const struct btf *btf, const struct map_type *map, bool permitted,
			     finding_add *add, void *context)
{
	struct finding f = { .group = "feature", .required = map->required };
	bool present;

	snprintf(f.name, sizeof(f.name), "%s", map->name);
	present = permitted ? libbpf_probe_bpf_map_type(map->type, NULL) == 1 :
			      btf && kernel_has_enum_value(btf, "bpf_map_type", map->value);
	if (!present || !permitted)
		explain(&f, present ? -EPERM : -ENOENT, permitted, map->instead);
	add(&f, context);
}

/* Whether `member` of `type` is in BTF; what is only data needs no permission of its own. */
static void examine_member(const struct btf *btf, const struct member *m, finding_add *add,
			   void *context)
{
	struct finding f = { .group = "feature", .required = m->required };

	snprintf(f.name, sizeof(f.name), "%s", m->name);
	if (!btf) {
		explain_no_btf(&f);
	} else if (!kernel_has_member(btf, m->type, m->member)) {
		explain(&f, -ENOENT, true, m->instead);
		snprintf(f.mend, sizeof(f.mend), "%s", m->mend);
	}
	add(&f, context);
}

static void examine_btf(const struct btf *btf, finding_add *add, void *context)
{
	struct finding f = {
		.group = "feature", .name = "BTF", .required = true, .feeds = "the kernel's types"
	};

	if (!btf) {
		f.status = FINDING_ABSENT;
		snprintf(f.reason, sizeof(f.reason), "/sys/kernel/btf/vmlinux is missing or empty");
		snprintf(f.mend, sizeof(f.mend),
			 "a kernel with CONFIG_DEBUG_INFO_BTF=y, as those of Debian 11, Ubuntu 20.10, RHEL 8.2 and later; "
			 "or mount sysfs on /sys");
	}
	add(&f, context);
}

static void examine_perf_event(finding_add *add, void *context)
{
	struct finding f = { .group = "hook",
			     .name = "perf event page-faults",
			     .feeds = "faults in user mode and in the kernel" };
	struct perf_event_attr attr = { .type = PERF_TYPE_SOFTWARE,
					.size = sizeof(attr),
					.config = PERF_COUNT_SW_PAGE_FAULTS };
	cleanup_close int fd = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);

	if (fd < 0) {
		f.status = FINDING_ABSENT;
		snprintf(f.reason, sizeof(f.reason), "cannot be opened for a whole CPU: %s",
			 strerror(errno));
		if (errno == EACCES || errno == EPERM)
			snprintf(f.mend, sizeof(f.mend),
				 "CAP_PERFMON; where kernel.perf_event_paranoid is 3 (Debian), also sysctl -w "
				 "kernel.perf_event_paranoid=2");
		else
			snprintf(f.mend, sizeof(f.mend), "a kernel with CONFIG_PERF_EVENTS=y");
	}
	add(&f, context);
}

static int say_nothing(enum libbpf_print_level level, const char *fmt, va_list args)
{
	return 0;
}

void features_examine(bool permitted, finding_add *add, void *context)
{
	libbpf_print_fn_t before = libbpf_set_print(say_nothing);
	struct btf *btf = kernel_btf_load();

	examine_btf(btf, add, context);
	for (size_t i = 0; i < ARRAY_SIZE(members); i++)
		examine_member(btf, &members[i], add, context);
	for (size_t i = 0; i < ARRAY_SIZE(map_types); i++)
		examine_map_type(btf, &map_types[i], permitted, add, context);
	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++)
		examine_hook(btf, &hooks[i], permitted, add, context);
	examine_perf_event(add, context);
	kernel_btf_free(btf);
	libbpf_set_print(before);
}
