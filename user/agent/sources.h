/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sources.h - the probes of a run: opened, read together, shed and taken back for the budget.
 *
 * A source (sched, fault, block, tcp) is what a user asks for; a probe (probe/probe.h) is what feeds it. The required
 * probes are always open. What cannot be attached is reported and the rest runs. Sources are shed from the last to the
 * first (tcp, block, fault, sched) and taken back in the opposite order.
 * One thread. sources_close() accepts NULL.
 */
#ifndef MBTRACE_AGENT_SOURCES_H
#define MBTRACE_AGENT_SOURCES_H

#include "base/buf.h"
#include "metric/record.h"
#include "probe/probe.h"
#include "probe/process.h"

struct sources;

struct sources_options {
	uint32_t wanted; /* bits 1 << source_id */
	const uint32_t *pids; /* NULL: all; borrowed until close */
	size_t n_pids;
	bool follow;
	uint64_t max_memory; /* bytes, agent and maps: sizes the maps */
};

/*
 * 0 if at least the required probes are open; then *ret_error may still name sources that are not. -EPERM, -ENOENT (no
 * BTF)… with one line saying what is missing and what to do.
 */
int sources_open(const struct sources_options *options, struct sources **ret_sources,
		 struct buf *ret_error);
void sources_close(struct sources *s);

/* How many descriptors a run takes at most; sources_open() allows itself so many where it may. */
unsigned int sources_files_needed(void);

/* How each source is attached, for the header. Texts are valid until sources change. */
void sources_describe(const struct sources *s, struct record_source ret[SOURCE_COUNT]);
/* Sources that are attached now. */
uint32_t sources_attached(const struct sources *s);
struct process_table *sources_processes(struct sources *s);
/* Whether the agent is in a PID namespace of its own, so that its /proc has other numbers than events. */
bool sources_namespaced(const struct sources *s);

/* Starts all counting anew: what happened before is forgotten. */
int sources_restart(struct sources *s);
/* Reads every probe into the snapshot; the number of probes that failed (their members stay null). */
int sources_read(struct sources *s, struct snapshot *snapshot);
/* Calls `add` for every descriptor that sources_drain() should be called for when it is readable. */
void sources_each_fd(const struct sources *s, void (*add)(int fd, void *context), void *context);
void sources_drain(struct sources *s);

uint64_t sources_map_bytes(const struct sources *s);
uint64_t sources_bpf_ns(const struct sources *s);

/* Begins to count the run time of programs, until the descriptor is closed. -errno: not permitted, or not on this kernel. */
int sources_count_bpf(void);
/* Gives up the last source that is attached; its id, or -1 when none is left to give up. */
int sources_shed(struct sources *s);
/* Takes back the source that was shed last; its id, or -1 when there is none or it cannot be opened (*ret_error says why). */
int sources_restore(struct sources *s, struct buf *ret_error);

#endif
