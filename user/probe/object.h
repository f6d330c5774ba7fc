/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * object.h - what all BPF objects need: what this kernel offers, loading with a reason when it fails, and accounts.
 *
 * Detection reads the kernel's BTF (struct btf from kernel_btf(), borrowed), so it needs no privilege. Whether something
 * that exists is also permitted is found out by loading.
 */
#ifndef MBTRACE_PROBE_OBJECT_H
#define MBTRACE_PROBE_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "probe/probe.h"

struct bpf_object;
struct bpf_object_skeleton;
struct btf;

/* The running kernel's BTF; NULL (with errno) where there is none. Freed with kernel_btf_free(), which accepts NULL. */
struct btf *kernel_btf_load(void);
/* The same with the names of a comma-separated list hidden, so that detection does not find them; NULL: none. */
struct btf *kernel_btf_load_without(const char *names);
void kernel_btf_free(const struct btf *btf);
/* CPUs that could ever be online: how many copies a per-CPU map has. */
unsigned int kernel_possible_cpus(void);
/* Whether the tracepoint can be attached to with types (tp_btf). */
bool kernel_has_typed_tracepoint(const struct btf *btf, const char *name);
/* How many arguments the tracepoint passes; 0 if unknown. */
unsigned int kernel_tracepoint_args(const struct btf *btf, const char *name);
bool kernel_has_task_storage(const struct btf *btf); /* for tracing programs: 5.11 */
bool kernel_has_enum_value(const struct btf *btf, const char *enumeration, const char *value);
/* Whether struct `type` has the member (nested anonymous members included). */
bool kernel_has_member(const struct btf *btf, const char *type, const char *member);

/* Counts the run time of programs while the returned descriptor is open (some 70 ns more a run); -errno if refused. */
int kernel_count_run_time(void);

/* Loads a skeleton's object and maps its globals (skel->bss); puts what libbpf said into status->reason when it fails. 0 or -errno. */
int object_load(struct bpf_object_skeleton *skeleton, struct probe_status *status);
/* Makes status say "absent" and, where it has no reason yet, why -errno happens to a probe and what to do. */
void object_explain(int err, struct probe_status *status);
/* Memory of the object's maps; run time of its programs at hooks (0 unless kernel.bpf_stats_enabled), not of its iterators. */
uint64_t object_map_bytes(const struct bpf_object *object);
uint64_t object_run_ns(const struct bpf_object *object);

#endif
