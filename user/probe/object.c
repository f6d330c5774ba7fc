// SPDX-License-Identifier: BSD-2-Clause
#include "probe/object.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "base/file.h"
#include "base/macros.h"
#include "base/units.h"

#define FDINFO_MAX 4096

struct btf *kernel_btf_load(void)
{
	/* That there is none is for the caller to say. */
	libbpf_print_fn_t before = libbpf_set_print(NULL);
	struct btf *btf = btf__load_vmlinux_btf();

	libbpf_set_print(before);
	return btf;
}

/* Spoils a name wherever it stands as a whole string in the types' data. */
static void hide_name(char *data, uint32_t size, const char *name, size_t len)
{
	for (char *p = data; (p = memmem(p, data + size - p, name, len)); p += len)
		if (p > data && !p[-1] && p + len < data + size && !p[len])
			*p = '?';
}

struct btf *kernel_btf_load_without(const char *names)
{
	struct btf *real = kernel_btf_load(), *edited = NULL;
	const void *data;
	uint32_t size;
	char *copy;

	if (!real || !names || !*names)
		return real;
	data = btf__raw_data(real, &size);
	copy = data ? malloc(size) : NULL;
	if (copy) {
		memcpy(copy, data, size);
		for (const char *p = names; *p; p += strcspn(p, ","), p += *p == ',')
			hide_name(copy, size, p, strcspn(p, ","));
		edited = btf__new(copy, size);
	}
	free(copy);
	btf__free(real);
	return edited;
}

void kernel_btf_free(const struct btf *btf)
{
	btf__free((struct btf *)btf);
}

unsigned int kernel_possible_cpus(void)
{
	libbpf_print_fn_t before = libbpf_set_print(NULL);
	int n = libbpf_num_possible_cpus();

	libbpf_set_print(before);
	return n > 0 ? n : 1;
}

int kernel_count_run_time(void)
{
	return bpf_enable_stats(BPF_STATS_RUN_TIME);
}

/* The function prototype of a tracepoint's typed form, or NULL. */
static const struct btf_type *tracepoint_prototype(const struct btf *btf, const char *name)
{
	char symbol[128];
	const struct btf_type *type;
	int id;

	snprintf(symbol, sizeof(symbol), "btf_trace_%s", name);
	id = btf__find_by_name_kind(btf, symbol, BTF_KIND_TYPEDEF);
	if (id < 0)
		return NULL;
	type = btf__type_by_id(btf, btf__type_by_id(btf, id)->type);
	if (!type || !btf_is_ptr(type))
		return NULL;
	type = btf__type_by_id(btf, type->type);
	return type && btf_is_func_proto(type) ? type : NULL;
}

bool kernel_has_typed_tracepoint(const struct btf *btf, const char *name)
{
	return tracepoint_prototype(btf, name) != NULL;
}

unsigned int kernel_tracepoint_args(const struct btf *btf, const char *name)
{
	const struct btf_type *prototype = tracepoint_prototype(btf, name);

	/* The first is the tracepoint's own data pointer. */
	return prototype && btf_vlen(prototype) ? btf_vlen(prototype) - 1 : 0;
}

bool kernel_has_enum_value(const struct btf *btf, const char *enumeration, const char *value)
{
	int id = btf__find_by_name_kind(btf, enumeration, BTF_KIND_ENUM);
	const struct btf_type *type;

	if (id < 0)
		return false;
	type = btf__type_by_id(btf, id);
	for (unsigned int i = 0; i < btf_vlen(type); i++)
		if (strcmp(btf__name_by_offset(btf, btf_enum(type)[i].name_off), value) == 0)
			return true;
	return false;
}

bool kernel_has_task_storage(const struct btf *btf)
{
	return kernel_has_enum_value(btf, "bpf_map_type", "BPF_MAP_TYPE_TASK_STORAGE");
}

static bool type_has_member(const struct btf *btf, const struct btf_type *type, const char *member)
{
	const struct btf_member *m = btf_members(type);

	for (unsigned int i = 0; i < btf_vlen(type); i++) {
		const char *name = btf__name_by_offset(btf, m[i].name_off);
		const struct btf_type *inner;

		if (strcmp(name, member) == 0)
			return true;
		if (*name)
			continue;
		inner = btf__type_by_id(btf, m[i].type);
		if (inner && btf_is_composite(inner) && type_has_member(btf, inner, member))
			return true;
	}
	return false;
}

bool kernel_has_member(const struct btf *btf, const char *type, const char *member)
{
	int id = btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT);

	return id >= 0 && type_has_member(btf, btf__type_by_id(btf, id), member);
}

/*
 * libbpf tells why a load failed only through a callback without context; the last warning is kept here while one
 * object loads. Probes are opened by one thread.
 */
static char last_warning[sizeof(((struct probe_status *)0)->reason)];

static int keep_warning(enum libbpf_print_level level, const char *fmt, va_list args)
{
	char line[sizeof(last_warning)];

	if (level != LIBBPF_WARN)
		return 0;
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = 0;
	/* The first warning is the cause, the rest its consequences. */
	if (!last_warning[0])
		memcpy(last_warning, line, sizeof(last_warning));
	return 0;
}

int object_load(struct bpf_object_skeleton *skeleton, struct probe_status *status)
{
	libbpf_print_fn_t before;
	int err;

	last_warning[0] = 0;
	before = libbpf_set_print(keep_warning);
	err = bpf_object__load_skeleton(skeleton);
	libbpf_set_print(before);
	if (err && err != -EPERM && last_warning[0])
		memcpy(status->reason, last_warning, sizeof(status->reason));
	return err;
}

void object_explain(int err, struct probe_status *status)
{
	const char *why;

	status->state = PROBE_ABSENT;
	if (status->reason[0] && err != -EPERM && err != -EACCES)
		return;
	switch (err) {
	case -EPERM:
	case -EACCES:
		why = "not permitted: run as root or with CAP_BPF and CAP_PERFMON";
		break;
	case -ENOMEM:
	case -E2BIG:
		why = "the kernel refused memory for its maps: lower --max-memory, or give the cgroup more";
		break;
	case -ESRCH:
	case -ENOENT:
		why = "this kernel lacks a type or hook it needs; `mbtrace doctor` says which";
		break;
	default:
		snprintf(status->reason, sizeof(status->reason), "cannot be loaded: %s",
			 strerror(-err));
		return;
	}
	snprintf(status->reason, sizeof(status->reason), "%s", why);
}

uint64_t object_map_bytes(const struct bpf_object *object)
{
	cleanup_buf struct buf text = BUF_INIT;
	struct bpf_map *map;
	uint64_t total = 0;

	bpf_object__for_each_map(map, object) {
		char path[64];
		const char *line;
		unsigned long long bytes;

		if (bpf_map__fd(map) < 0)
			continue;
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
		if (file_read(path, &text, FDINFO_MAX))
			continue;
		line = strstr(buf_str(&text), "memlock:");
		if (line && sscanf(line, "memlock: %llu", &bytes) == 1)
			total += bytes;
	}
	return total;
}

uint64_t object_run_ns(const struct bpf_object *object)
{
	struct bpf_program *program;
	uint64_t total = 0;

	bpf_object__for_each_program(program, object) {
		struct bpf_prog_info info = { 0 };
		uint32_t size = sizeof(info);

		/* An iterator runs in the agent's own time, which is counted already. */
		if (bpf_program__expected_attach_type(program) == BPF_TRACE_ITER)
			continue;
		if (bpf_program__fd(program) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size))
			total += info.run_time_ns;
	}
	return total;
}
