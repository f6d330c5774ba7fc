// SPDX-License-Identifier: BSD-2-Clause
#include "agent/sandbox.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <ucontext.h>

#include "base/macros.h"

/*
 * DESIGN. An allow list in libseccomp, made of one table. What is not in it must fail in a way that a monitor survives
 * and somebody gets to know of. SECCOMP_RET_ERRNO survives but tells nobody; RET_LOG needs an audit daemon; RET_KILL
 * turns every new libc into an outage. So a refused call raises SIGSYS (RET_TRAP), and the handler counts it and makes it
 * return -EPERM: the agent can warn, once. An attacker gains nothing by being alive, for what is refused stays refused.
 * A few calls end the process all the same: nothing of ours or of a library makes them by accident.
 *
 * Arguments are checked where a call is two things in one: opening for reading and for writing, mapping data and code,
 * a thread and a process, the harmless and the mighty commands of bpf(2).
 */

#define CALL(name) SCMP_SYS(name)

/* Bits of `allow` for what holds always. */
#define ALWAYS 0u

/* Calls that are allowed whatever their arguments. */
static const int always[] = {
	/* descriptors */
	CALL(read), CALL(readv), CALL(pread64), CALL(preadv), CALL(preadv2), CALL(write),
	CALL(writev), CALL(pwrite64), CALL(pwritev), CALL(pwritev2), CALL(lseek), CALL(close),
	CALL(close_range), CALL(dup), CALL(dup2), CALL(dup3), CALL(fcntl), CALL(fsync),
	CALL(fdatasync), CALL(ftruncate), CALL(flock), CALL(fadvise64), CALL(pipe2), CALL(eventfd2),
	/* a helper process and its socket, opened before */
	CALL(sendto), CALL(recvfrom), CALL(sendmsg), CALL(recvmsg), CALL(shutdown), CALL(wait4),
	CALL(waitid),
	/* looking at files */
	CALL(access), CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(readlinkat),
	CALL(stat), CALL(lstat), CALL(fstat), CALL(newfstatat), CALL(statx), CALL(statfs),
	CALL(fstatfs), CALL(getdents64), CALL(getcwd), CALL(umask),
	/* waiting */
	CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2),
	CALL(poll), CALL(ppoll), CALL(select), CALL(pselect6), CALL(timerfd_create),
	CALL(timerfd_settime), CALL(timerfd_gettime), CALL(signalfd4), CALL(nanosleep),
	CALL(clock_nanosleep), CALL(pause), CALL(restart_syscall), CALL(alarm), CALL(setitimer),
	/* clocks and accounts */
	CALL(clock_gettime), CALL(clock_getres), CALL(timer_create), CALL(timer_delete),
	CALL(gettimeofday), CALL(time), CALL(times), CALL(getrusage), CALL(sysinfo), CALL(uname),
	CALL(getrandom), CALL(getcpu), CALL(getpid), CALL(getppid), CALL(gettid), CALL(getuid),
	CALL(geteuid), CALL(getgid), CALL(getegid), CALL(getpgrp), CALL(getpriority),
	CALL(sched_getaffinity), CALL(sched_yield), CALL(capget),
	/* signals */
	CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(rt_sigtimedwait),
	CALL(rt_sigsuspend), CALL(rt_sigpending), CALL(sigaltstack),
	/* memory */
	CALL(brk), CALL(munmap), CALL(mremap), CALL(madvise), CALL(mlock),
	/* threads */
	CALL(futex), CALL(futex_waitv), CALL(set_robust_list), CALL(rseq), CALL(membarrier),
	CALL(set_tid_address), CALL(exit), CALL(exit_group)
};

static const int for_output[] = { CALL(rename), CALL(renameat), CALL(renameat2), CALL(unlink),
				  CALL(unlinkat) };

static const int for_files[] = { CALL(open),   CALL(openat), CALL(mkdir),     CALL(mkdirat),
				 CALL(fchmod), CALL(fchown), CALL(fallocate), CALL(utimensat) };

static const int for_bpf[] = { CALL(perf_event_open) };

/* By nobody but an intruder. */
static const int deadly[] = { CALL(execve),
			      CALL(execveat),
			      CALL(ptrace),
			      CALL(process_vm_readv),
			      CALL(process_vm_writev),
			      CALL(init_module),
			      CALL(finit_module),
			      CALL(kexec_load),
			      CALL(kexec_file_load),
			      CALL(setuid),
			      CALL(setgid),
			      CALL(setresuid),
			      CALL(setresgid),
			      CALL(setns),
			      CALL(unshare),
			      CALL(mount),
			      CALL(pivot_root),
			      CALL(chroot) };

static const struct list {
	const int *calls;
	size_t n;
	unsigned int needs; /* bits of enum sandbox_allow, any of which suffices; ALWAYS */
	uint32_t action;
} lists[] = {
	{ always, ARRAY_SIZE(always), ALWAYS, SCMP_ACT_ALLOW },
	{ for_output, ARRAY_SIZE(for_output), SANDBOX_OUTPUT | SANDBOX_FILES, SCMP_ACT_ALLOW },
	{ for_files, ARRAY_SIZE(for_files), SANDBOX_FILES, SCMP_ACT_ALLOW },
	{ for_bpf, ARRAY_SIZE(for_bpf), SANDBOX_BPF, SCMP_ACT_ALLOW },
	{ deadly, ARRAY_SIZE(deadly), ALWAYS, SCMP_ACT_KILL_PROCESS },
	/* Its flags are hidden from the filter; told that it does not exist, libc falls back to clone. */
	{ (const int[]){ CALL(clone3) }, 1, ALWAYS, SCMP_ACT_ERRNO(ENOSYS) },
	/* The way to a cgroup by its id: the capability is gone, the caller has another way. Not worth counting. */
	{ (const int[]){ CALL(open_by_handle_at) }, 1, ALWAYS, SCMP_ACT_ERRNO(EPERM) },
};

/* Opening may neither write, create nor truncate; of O_TMPFILE the bit that is not O_DIRECTORY counts. */
#define WRITING (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))
#define WHOLE 0xffffffffu /* the register's upper half means nothing to calls that take an int */

/* Calls of which one argument is looked at: allowed where argument & mask is value. */
static const struct conditional {
	int call;
	unsigned int argument;
	uint32_t mask, value;
	unsigned int needs;
} conditionals[] = {
	{ CALL(open), 1, WRITING, O_RDONLY, ALWAYS },
	{ CALL(openat), 2, WRITING, O_RDONLY, ALWAYS },
	/* memory that is not code */
	{ CALL(mmap), 2, PROT_EXEC, 0, ALWAYS },
	{ CALL(mprotect), 2, PROT_EXEC, 0, ALWAYS },
	/* a thread, no process */
	{ CALL(clone), 0, CLONE_THREAD, CLONE_THREAD, ALWAYS },
	/* its own limits, and whether a process exists */
	{ CALL(prlimit64), 0, WHOLE, 0, ALWAYS },
	{ CALL(kill), 1, WHOLE, 0, ALWAYS },
	/* a terminal's size and mode */
	{ CALL(ioctl), 1, WHOLE, TIOCGWINSZ, ALWAYS },
	{ CALL(ioctl), 1, WHOLE, TCGETS, ALWAYS },
	{ CALL(ioctl), 1, WHOLE, TCSETS, ALWAYS },
	{ CALL(ioctl), 1, WHOLE, TCSETSW, ALWAYS },
	{ CALL(ioctl), 1, WHOLE, TCSETSF, ALWAYS },
	{ CALL(ioctl), 1, WHOLE, FIONREAD, ALWAYS },
	{ CALL(ioctl), 1, WHOLE, PERF_EVENT_IOC_ENABLE, SANDBOX_BPF },
	{ CALL(ioctl), 1, WHOLE, PERF_EVENT_IOC_DISABLE, SANDBOX_BPF },
	{ CALL(ioctl), 1, WHOLE, PERF_EVENT_IOC_SET_BPF, SANDBOX_BPF },
	/* maps and iterators */
	{ CALL(bpf), 0, WHOLE, BPF_MAP_LOOKUP_ELEM, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_MAP_UPDATE_ELEM, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_MAP_DELETE_ELEM, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_MAP_GET_NEXT_KEY, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_MAP_LOOKUP_AND_DELETE_ELEM, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_MAP_LOOKUP_BATCH, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_MAP_LOOKUP_AND_DELETE_BATCH, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_MAP_UPDATE_BATCH, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_MAP_DELETE_BATCH, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_OBJ_GET_INFO_BY_FD, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_ITER_CREATE, SANDBOX_BPF },
	/* loading and attaching again, after a source was shed */
	{ CALL(bpf), 0, WHOLE, BPF_MAP_CREATE, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_MAP_FREEZE, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_BTF_LOAD, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_PROG_LOAD, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_PROG_BIND_MAP, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_RAW_TRACEPOINT_OPEN, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_LINK_CREATE, SANDBOX_BPF },
	{ CALL(bpf), 0, WHOLE, BPF_LINK_DETACH, SANDBOX_BPF },
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define DISABLED 1
#else
#define DISABLED 0
#endif

/* A signal handler has no context but this: written by it alone, read by sandbox_refused(). */
static _Atomic uint64_t refused;
static _Atomic int last_refused;

/* Makes the refused call return -EPERM. False on an architecture that is not known. */
static bool set_result(ucontext_t *context, int result)
{
#if defined(__x86_64__)
	context->uc_mcontext.gregs[REG_RAX] = result;
	return true;
#elif defined(__aarch64__)
	context->uc_mcontext.regs[0] = (unsigned long)(long)result;
	return true;
#else
	return false;
#endif
}

static void on_refused(int number, siginfo_t *info, void *context)
{
	last_refused = info->si_syscall;
	refused++;
	set_result(context, -EPERM);
}

uint64_t sandbox_refused(int *ret_last)
{
	uint64_t n = refused;

	if (n)
		*ret_last = last_refused;
	return n;
}

int sandbox_is_disabled(void)
{
	return DISABLED;
}

/* The flags of every set: keep what is held and named, drop the rest. */
static int keep_capabilities(cap_t caps, const int *keep, size_t n)
{
	cap_t held = cap_get_proc();
	int err = 0;

	if (!held)
		return -errno;
	for (size_t i = 0; i < n && !err; i++) {
		cap_value_t cap = keep[i];
		cap_flag_value_t has;

		/* One that this kernel does not know is not held. */
		if (cap_get_flag(held, cap, CAP_PERMITTED, &has) || has != CAP_SET)
			continue;
		if (cap_set_flag(caps, CAP_PERMITTED, 1, &cap, CAP_SET) ||
		    cap_set_flag(caps, CAP_EFFECTIVE, 1, &cap, CAP_SET))
			err = -errno;
	}
	cap_free(held);
	return err;
}

int sandbox_drop_capabilities(const int *keep, size_t n)
{
	cap_t caps = cap_init();
	int err;

	if (!caps)
		return -errno;
	err = keep_capabilities(caps, keep, n);
	if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		err = -errno;
	/* Both may be refused without harm: nothing can be executed with privilege any more. */
	cap_reset_ambient();
	for (cap_value_t cap = 0; !err && CAP_IS_SUPPORTED(cap); cap++)
		cap_drop_bound(cap);
	if (!err && cap_set_proc(caps))
		err = -errno;
	cap_free(caps);
	return err;
}

static bool is_allowed(unsigned int needs, unsigned int allow)
{
	return needs == ALWAYS || (needs & allow);
}

static int add_rules(scmp_filter_ctx filter, unsigned int allow)
{
	int err = 0;

	/* A call that this architecture does not have is left out by libseccomp. */
	for (size_t i = 0; i < ARRAY_SIZE(lists) && !err; i++)
		for (size_t k = 0; k < lists[i].n && !err && is_allowed(lists[i].needs, allow); k++)
			err = seccomp_rule_add(filter, lists[i].action, lists[i].calls[k], 0);
	for (size_t i = 0; i < ARRAY_SIZE(conditionals) && !err; i++) {
		const struct conditional *c = &conditionals[i];

		/* What SANDBOX_FILES allows whole needs no condition. */
		if (is_allowed(c->needs, allow))
			err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, c->call, 1,
					       SCMP_CMP(c->argument, SCMP_CMP_MASKED_EQ, c->mask,
							c->value));
	}
	/* A process may signal itself: abort() and raise(). */
	return err   ?:
		       seccomp_rule_add(filter, SCMP_ACT_ALLOW, CALL(tgkill), 1,
					SCMP_A0(SCMP_CMP_EQ, getpid()));
}

/* The handler of refused calls; they are raised where they happen, and would kill if the signal were blocked. */
static int catch_refused(void)
{
	struct sigaction action = { .sa_sigaction = on_refused, .sa_flags = SA_SIGINFO | SA_RESTART };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (sigaction(SIGSYS, &action, NULL))
		return -errno;
	return -pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int sandbox_enter(unsigned int allow)
{
	scmp_filter_ctx filter;
	int err;

	if (DISABLED)
		return 0;
	filter = seccomp_init(set_result(&(ucontext_t){ 0 }, 0) ? SCMP_ACT_TRAP :
								  SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return -ENOMEM;
	/* Hot calls first is what the tree is for: a filter runs at every call. */
	err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!err)
		err = add_rules(filter, allow);
	if (!err)
		err = catch_refused();
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err == -EINVAL ? -ENOSYS : err;
}
