/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sandbox.h - what a long-running command gives up once everything is opened and attached.
 *
 * First the capabilities, then the system calls:
 *
 *	sandbox_drop_capabilities((const int[]){ CAP_BPF, CAP_PERFMON }, 2);
 *	sandbox_enter(SANDBOX_BPF | SANDBOX_OUTPUT);
 *
 * After sandbox_enter() only the system calls of a list work, whatever the user id. Files open for reading only, memory
 * cannot be made executable, no process can be started (commands of alerts run in a process forked before), no
 * socket opened, no other process touched. A call that is not in the list fails with EPERM and is counted: a monitor
 * must not die at night because a library has learnt a new call. Only what no library does behind one's back (exec,
 * ptrace, loading modules, changing the user) ends the process. docs/privileges.md says more.
 *
 * The filter holds for all threads, for good. Not entered under a sanitizer, whose runtime needs far more.
 */
#ifndef MBTRACE_AGENT_SANDBOX_H
#define MBTRACE_AGENT_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

/* What is still to be done, besides reading, waiting and writing to what is open. */
enum sandbox_allow {
	SANDBOX_BPF = 1 << 0, /* read and change maps, iterate, load and attach again, open perf events */
	SANDBOX_OUTPUT = 1 << 1, /* rename or remove an output that is open already */
	SANDBOX_FILES = 1 << 2, /* create, write and remove files: a history */
};

/*
 * Gives up all capabilities but those named (CAP_X of <linux/capability.h>), of which those that it has stay effective;
 * also the ambient and inheritable ones, the bounding set where permitted, and every way to new ones (no_new_privs). 0 or -errno.
 */
int sandbox_drop_capabilities(const int *keep, size_t n);

/* 0, or -errno and nothing has changed. -ENOSYS: this kernel or architecture has no filter of system calls. */
int sandbox_enter(unsigned int allow);

/* How many system calls were refused so far; the number of the last is written to *ret_last if there was one. */
uint64_t sandbox_refused(int *ret_last);

/* Whether the program was built so that sandbox_enter() does nothing. */
int sandbox_is_disabled(void);

#endif
