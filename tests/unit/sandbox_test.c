// SPDX-License-Identifier: BSD-2-Clause
/* Each case runs in a child of its own, for a sandbox cannot be left. */
#include "suite.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/capability.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "agent/sandbox.h"
#include "base/macros.h"

/* In a child: fails with the line where something was not so. */
#define MUST(condition)                            \
	do {                                       \
		if (!(condition))                  \
			_exit(__LINE__ % 250 + 1); \
	} while (0)

/* The status of a child that runs fn. */
static int run(void (*fn)(void))
{
	pid_t pid = fork();
	int status;

	ck_assert_int_ge(pid, 0);
	if (!pid) {
		fn();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void must_pass(void (*fn)(void))
{
	int status = run(fn);

	ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
	ck_assert_msg(!WEXITSTATUS(status), "the condition in line %% 250 = %d does not hold",
		      WEXITSTATUS(status) - 1);
}

/* The call fails with EPERM and is counted. */
static bool is_refused(long result)
{
	static uint64_t before;
	bool refused = result == -1 && errno == EPERM;
	int last = -1;
	uint64_t now = sandbox_refused(&last);

	refused = refused && now == before + 1 && last >= 0;
	before = now;
	return refused;
}

static char file[] = "/tmp/mbtrace-sandbox.XXXXXX", other[] = "/tmp/mbtrace-sandbox-other";

static void reading_works(void)
{
	struct stat st;
	char text[64];
	int fd, last = -1;

	MUST(sandbox_refused(&last) == 0 && last == -1);
	MUST(sandbox_enter(0) == 0);
	fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	MUST(fd >= 0 && pread(fd, text, sizeof(text), 0) > 0 && close(fd) == 0);
	fd = open("/proc", O_RDONLY | O_DIRECTORY);
	MUST(fd >= 0 && syscall(SYS_getdents64, fd, text, sizeof(text)) != -1);
	MUST(stat("/", &st) == 0 && access("/", R_OK) == 0);
	MUST(sandbox_refused(&last) == 0);
}

static void writing_is_refused(void)
{
	MUST(sandbox_enter(0) == 0);
	MUST(is_refused(open(file, O_WRONLY)));
	MUST(is_refused(open(file, O_RDWR)));
	MUST(is_refused(open(file, O_RDONLY | O_CREAT, 0600)));
	MUST(is_refused(open(file, O_RDONLY | O_TRUNC)));
	MUST(is_refused(open("/tmp", O_TMPFILE | O_RDWR, 0600)));
	MUST(is_refused(rename(file, other)));
	MUST(is_refused(unlink(file)));
	MUST(is_refused(mkdir(other, 0700)));
	MUST(is_refused(chmod(file, 0777)));
}

static void might_is_refused(void)
{
	union bpf_attr attr = { 0 };
	void *code;
	int last;

	MUST(sandbox_enter(0) == 0);
	MUST(is_refused(socket(AF_UNIX, SOCK_STREAM, 0)));
	MUST(sandbox_refused(&last) == 1 && last == SYS_socket);
	MUST(is_refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0)));
	MUST(kill(getppid(), 0) == 0);
	MUST(is_refused(kill(getppid(), SIGCONT)));
	MUST(is_refused(syscall(SYS_tgkill, getppid(), getppid(), 0)));
	MUST(is_refused(ioctl(0, TIOCSTI, "x")));
	MUST(is_refused(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr))));
	MUST(is_refused(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0)));
	MUST(is_refused(
		(long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)));
	code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	MUST(code != MAP_FAILED);
	MUST(is_refused(mprotect(code, 4096, PROT_READ | PROT_EXEC)));
}

static void outputs_are_finished(void)
{
	int fd = open(file, O_WRONLY);

	MUST(sandbox_enter(SANDBOX_OUTPUT) == 0);
	MUST(write(fd, "x\n", 2) == 2 && ftruncate(fd, 0) == 0 && fsync(fd) == 0);
	MUST(rename(file, other) == 0 && rename(other, file) == 0);
	MUST(is_refused(open(file, O_WRONLY)));
}

static void files_are_made(void)
{
	MUST(sandbox_enter(SANDBOX_FILES) == 0);
	MUST(open(other, O_RDWR | O_CREAT | O_EXCL, 0600) >= 0 && unlink(other) == 0);
	MUST(is_refused(socket(AF_UNIX, SOCK_STREAM, 0)));
}

static void bpf_commands(void)
{
	union bpf_attr attr = { 0 };

	MUST(sandbox_enter(SANDBOX_BPF) == 0);
	/* The kernel's own answer. */
	attr.map_fd = 12345;
	MUST(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attr, sizeof(attr)) == -1);
	MUST(errno == EBADF || geteuid());
	MUST(is_refused(syscall(SYS_bpf, BPF_OBJ_PIN, &attr, sizeof(attr))));
	MUST(is_refused(syscall(SYS_bpf, BPF_PROG_GET_FD_BY_ID, &attr, sizeof(attr))));
}

static void *set_flag(void *flag)
{
	*(int *)flag = 1;
	return NULL;
}

static void threads_start(void)
{
	pthread_t thread;
	int flag = 0, last;

	MUST(sandbox_enter(0) == 0);
	MUST(pthread_create(&thread, NULL, set_flag, &flag) == 0);
	MUST(pthread_join(thread, NULL) == 0 && flag == 1);
	MUST(sandbox_refused(&last) == 0);
}

/* A blocked SIGSYS would kill instead of being counted. */
static void blocked_signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	MUST(sandbox_enter(0) == 0);
	MUST(is_refused(socket(AF_UNIX, SOCK_STREAM, 0)));
}

static void executes(void)
{
	MUST(sandbox_enter(SANDBOX_BPF | SANDBOX_FILES | SANDBOX_OUTPUT) == 0);
	execl("/bin/true", "true", NULL);
}

static void traces(void)
{
	MUST(sandbox_enter(SANDBOX_BPF | SANDBOX_FILES | SANDBOX_OUTPUT) == 0);
	syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void aborts(void)
{
	MUST(sandbox_enter(0) == 0);
	abort();
}

static bool has(cap_value_t cap, cap_flag_t set)
{
	cap_flag_value_t value = CAP_CLEAR;
	cap_t caps = cap_get_proc();

	MUST(caps && cap_get_flag(caps, cap, set, &value) == 0);
	cap_free(caps);
	return value == CAP_SET;
}

static void capabilities_go(void)
{
	bool had = has(CAP_NET_RAW, CAP_PERMITTED);
	cap_t caps;

	MUST(sandbox_drop_capabilities((const int[]){ CAP_NET_RAW, 63 }, 2) == 0);
	MUST(has(CAP_NET_RAW, CAP_PERMITTED) == had && has(CAP_NET_RAW, CAP_EFFECTIVE) == had);
	MUST(!has(CAP_NET_RAW, CAP_INHERITABLE));
	for (cap_value_t cap = 0; CAP_IS_SUPPORTED(cap); cap++)
		MUST(cap == CAP_NET_RAW || (!has(cap, CAP_PERMITTED) && !has(cap, CAP_EFFECTIVE)));
	MUST(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	/* And do not come back. */
	caps = cap_from_text("cap_sys_admin=ep");
	MUST(caps && cap_set_proc(caps) == -1 && errno == EPERM);
	MUST(sandbox_drop_capabilities(NULL, 0) == 0);
	MUST(!has(CAP_NET_RAW, CAP_PERMITTED));
	MUST(sandbox_enter(0) == 0);
	MUST(is_refused(socket(AF_INET, SOCK_RAW, 1)));
}

START_TEST(capabilities)
{
	must_pass(capabilities_go);
}
END_TEST

START_TEST(refused_calls)
{
	int fd = mkstemp(file);

	ck_assert_int_ge(fd, 0);
	close(fd);
	must_pass(reading_works);
	must_pass(writing_is_refused);
	must_pass(might_is_refused);
	must_pass(outputs_are_finished);
	must_pass(files_are_made);
	must_pass(bpf_commands);
	must_pass(threads_start);
	must_pass(blocked_signals);
	ck_assert_int_eq(unlink(file), 0);
}
END_TEST

START_TEST(deadly_calls)
{
	int status = run(executes);

	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = run(traces);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
	status = run(aborts);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { capabilities, refused_calls, deadly_calls };

	if (sandbox_is_disabled()) {
		puts("built with a sanitizer, whose runtime does not live in the sandbox");
		return 77;
	}
	return suite_run("sandbox", tests, ARRAY_SIZE(tests));
}
