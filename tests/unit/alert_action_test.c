// SPDX-License-Identifier: BSD-2-Clause
/* Commands that really run: what they get, how they end, and what is left behind. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "alert/action.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macros.h"
#include "suite.h"

#define LONG_NS (30 * NSEC_PER_SEC) /* only reached when something is wrong */

#ifdef __SANITIZE_ADDRESS__
#define SANDBOX_VERDICT SCMP_ACT_LOG /* its runtime does what it likes */
#else
#define SANDBOX_VERDICT SCMP_ACT_KILL_PROCESS
#endif

static char folder[] = "/tmp/mbtrace-action-XXXXXX";
static struct action *action;
static struct rule_error error;
static struct buf ends; /* "RULE how code\n" for each end, in order */

static void keep_end(const struct action_end *end, void *context)
{
	char text[128];

	buf_printf(&ends, "%s: %s\n", end->rule, action_end_text(end, text, sizeof(text)));
}

static void with_command(const char *command, uint64_t limit_ns)
{
	struct action_options options = { .time_limit_ns = limit_ns, .ended = keep_end };

	buf_reset(&ends);
	if (action_new(command, &options, &action, &error))
		ck_abort_msg("%s: %s", command, error.message);
}

/* Writes a shell script into a folder of this test's own and makes it the command. */
static void with_script(const char *body, uint64_t limit_ns)
{
	char path[PATH_MAX];
	FILE *f;

	if (strstr(folder, "XXXXXX"))
		ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/run", folder);
	f = fopen(path, "we");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "#!/bin/sh\ncd %s || exit 9\n%s\n", folder, body);
	fclose(f);
	ck_assert_int_eq(chmod(path, 0755), 0);
	with_command(path, limit_ns);
}

static int start(const char *rule)
{
	struct record_alert alert = {
		.time_ns = 1700000000123000000ull,
		.rule = rule,
		.state = ALERT_FIRING,
		.metric = "process.cpu_pct",
		.value = 95.5,
		.threshold = 90,
		.has_process = true,
		.pid = 77,
		.comm = "post gres",
	};

	return action_start(action, &alert, "{\"type\":\"alert\"}", 16);
}

/* Polls as an event loop would until nothing runs or waits. */
static void settle(void)
{
	uint64_t deadline = clock_monotonic_ns() + LONG_NS;

	while (action_stats(action).running || action_stats(action).queued) {
		struct pollfd fd = { .fd = action_fd(action), .events = POLLIN };

		ck_assert(clock_monotonic_ns() < deadline);
		if (poll(&fd, 1, 1000) > 0)
			action_poll(action);
	}
}

static void finish(uint64_t grace_ns, struct action_stats *ret_stats)
{
	action_close(action, grace_ns, ret_stats);
	action = NULL;
	/* Nothing of it is left to wait for. */
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	ck_assert_int_eq(errno, ECHILD);
}

static const char *contents(const char *name)
{
	static struct buf text;
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	if (file_read(path, &text, 1 << 20))
		return "";
	return buf_str(&text);
}

static void remove_folder(void)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir(folder);

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%.255s", folder, entry->d_name);
		unlink(path);
	}
	if (dir)
		closedir(dir);
	rmdir(folder);
}

/* Waits until a process is gone or a zombie. */
static void await_end(int pid)
{
	struct buf stat = BUF_INIT;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; file_read(path, &stat, 4096) == 0 && !strstr(buf_str(&stat), ") Z"); i++) {
		ck_assert_int_lt(i, 2000);
		usleep(10000);
	}
	buf_release(&stat);
}

START_TEST(succeeds_and_fails)
{
	struct action_stats stats;

	with_command("true", 0);
	ck_assert_int_eq(start("a"), 0);
	settle();
	ck_assert_str_eq(buf_str(&ends), "a: exit 0\n");
	finish(LONG_NS, &stats);
	ck_assert_uint_eq(stats.started, 1);
	ck_assert_uint_eq(stats.succeeded, 1);
	ck_assert_uint_eq(stats.failed + stats.dropped, 0);

	with_command("sh -c 'exit 3'", 0);
	start("a");
	settle();
	ck_assert_str_eq(buf_str(&ends), "a: exit 3\n");
	finish(LONG_NS, &stats);
	ck_assert_uint_eq(stats.failed, 1);

	with_command("sh -c 'kill -9 $$'", 0);
	start("a");
	settle();
	ck_assert_str_eq(buf_str(&ends), "a: killed by signal 9\n");
	finish(LONG_NS, NULL);
}
END_TEST

START_TEST(refused_at_once)
{
	struct action_options options = { 0 };

	ck_assert_int_eq(action_new("a 'b", &options, &action, &error), -EINVAL);
	ck_assert_uint_eq(error.column, 3);
	ck_assert_int_eq(action_new("no-such-program-anywhere x", &options, &action, &error),
			 -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.message, "no-such-program-anywhere"));
	ck_assert_int_eq(action_new("/nonexistent/program", &options, &action, &error), -ENOENT);
	ck_assert_int_eq(action_new("/etc/passwd", &options, &action, &error), -EACCES);
	ck_assert_int_eq(action_new("/", &options, &action, &error), -EACCES);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}
END_TEST

START_TEST(gets_the_alert)
{
	setenv("MBTRACE_ALERT_RULE", "of an outer run", 1);
	setenv("MBTRACE_ALERT_STALE", "of an outer run", 1);
	with_script("cat >json; env | grep ^MBTRACE_ALERT_ | sort >env; echo \"$@\" >args", 0);
	start("disk \"full\"");
	settle();
	ck_assert_str_eq(buf_str(&ends), "disk \"full\": exit 0\n");
	ck_assert_str_eq(contents("json"), "{\"type\":\"alert\"}\n");
	ck_assert_str_eq(contents("env"), "MBTRACE_ALERT_COMM=post gres\n"
					  "MBTRACE_ALERT_METRIC=process.cpu_pct\n"
					  "MBTRACE_ALERT_PID=77\n"
					  "MBTRACE_ALERT_REASON=\n"
					  "MBTRACE_ALERT_ROW=\n"
					  "MBTRACE_ALERT_RULE=disk \"full\"\n"
					  "MBTRACE_ALERT_STATE=firing\n"
					  "MBTRACE_ALERT_THRESHOLD=90\n"
					  "MBTRACE_ALERT_TIME=2023-11-14T22:13:20.123Z\n"
					  "MBTRACE_ALERT_VALUE=95.500\n");
	finish(LONG_NS, NULL);
	remove_folder();
}
END_TEST

START_TEST(system_alert_has_no_process)
{
	struct record_alert alert = {
		.rule = "r",
		.state = ALERT_RESOLVED,
		.metric = "self.bpf_ns",
		.value = NAN,
		.threshold = 2e18,
		.row = "sda",
		.reason = "cleared",
		.pid = 5,
	};

	with_script("env | grep ^MBTRACE_ALERT_ | sort >env", 0);
	ck_assert_int_eq(action_start(action, &alert, "{}\n", 3), 0);
	settle();
	ck_assert_str_eq(contents("env"), "MBTRACE_ALERT_COMM=\n"
					  "MBTRACE_ALERT_METRIC=self.bpf_ns\n"
					  "MBTRACE_ALERT_PID=\n"
					  "MBTRACE_ALERT_REASON=cleared\n"
					  "MBTRACE_ALERT_ROW=sda\n"
					  "MBTRACE_ALERT_RULE=r\n"
					  "MBTRACE_ALERT_STATE=resolved\n"
					  "MBTRACE_ALERT_THRESHOLD=2000000000000000000\n"
					  "MBTRACE_ALERT_TIME=1970-01-01T00:00:00.000Z\n"
					  "MBTRACE_ALERT_VALUE=\n");
	finish(LONG_NS, NULL);
	remove_folder();
}
END_TEST

START_TEST(no_shell_runs)
{
	with_script("for a; do echo \"$a\"; done >args", 0);
	action_close(action, 0, NULL);
	char command[PATH_MAX + 64];

	snprintf(command, sizeof(command), "%s/run '$HOME' \"a b\" *.c ';' `id`", folder);
	with_command(command, 0);
	start("a");
	settle();
	ck_assert_str_eq(contents("args"), "$HOME\na b\n*.c\n;\n`id`\n");
	finish(LONG_NS, NULL);
	remove_folder();
}
END_TEST

/* The value of a line of a copied /proc/PID/status. */
static uint64_t status_of(const char *name, int base)
{
	const char *line = strstr(contents("status"), name);

	ck_assert_ptr_nonnull(line);
	return strtoull(line + strlen(name), NULL, base);
}

START_TEST(clean_surroundings)
{
	int leak = open("/dev/null", O_RDONLY); /* without close-on-exec, on purpose */
	char command[PATH_MAX + 64];
	sigset_t blocked;

	/* What the agent does to its own signals is not the command's affair. */
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	signal(SIGPIPE, SIG_IGN);
	with_script("ls /proc/self/fd >fds", 0);
	start("a");
	settle();
	/* 3 is the folder that ls reads. */
	ck_assert_str_eq(contents("fds"), "0\n1\n2\n3\n");
	finish(LONG_NS, NULL);

	/* A shell would change its own signals: here the command is the witness itself. */
	snprintf(command, sizeof(command), "cp /proc/self/status %s/status", folder);
	with_command(command, 0);
	start("a");
	settle();
	ck_assert_uint_eq(status_of("\nSigBlk:", 16), 0);
	/* The C library starts programs with its own two signals (32 and 33) ignored. */
	ck_assert_uint_eq(status_of("\nSigIgn:", 16) & ~0x180000000ull, 0);
	ck_assert_uint_eq(status_of("\nNSpgid:", 10), status_of("\nPid:", 10));
	finish(LONG_NS, NULL);
	close(leak);
	remove_folder();
}
END_TEST

START_TEST(no_descriptors_are_leaked)
{
	int before = open("/dev/null", O_RDONLY | O_CLOEXEC), after;

	close(before);
	for (int i = 0; i < 5; i++) {
		with_command("true", 0);
		start("a");
		settle();
		finish(LONG_NS, NULL);
	}
	after = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(before, after);
	close(after);
}
END_TEST

START_TEST(time_limit)
{
	struct action_stats stats;

	with_command("sleep 1000", 100 * NSEC_PER_MSEC);
	start("a");
	settle();
	ck_assert_str_eq(buf_str(&ends), "a: ended at its time limit\n");
	finish(LONG_NS, &stats);
	ck_assert_uint_eq(stats.timed_out, 1);
	ck_assert_uint_eq(stats.failed, 1);
}
END_TEST

START_TEST(one_that_ignores_sigterm)
{
	int child;

	/* Its child ignores it too, and outlives nothing. */
	with_script("trap '' TERM; sleep 1000 & echo $! >child; while :; do sleep 1; done",
		    100 * NSEC_PER_MSEC);
	start("a");
	settle();
	ck_assert_str_eq(buf_str(&ends), "a: ended at its time limit\n");
	child = (int)strtol(contents("child"), NULL, 10);
	ck_assert_int_gt(child, 1);
	await_end(child); /* killed with its group */
	finish(LONG_NS, NULL);
	remove_folder();
}
END_TEST

/* The first process obeys, another of the group does not. */
START_TEST(nothing_of_a_late_group_is_left)
{
	int child;

	with_script("(trap '' TERM; exec sleep 1000) & echo $! >child; sleep 1000",
		    100 * NSEC_PER_MSEC);
	start("a");
	settle();
	ck_assert_str_eq(buf_str(&ends), "a: ended at its time limit\n");
	child = (int)strtol(contents("child"), NULL, 10);
	ck_assert_int_gt(child, 1);
	await_end(child);
	finish(LONG_NS, NULL);
	remove_folder();
}
END_TEST

START_TEST(one_run_of_a_rule_at_a_time)
{
	with_script("if ! mkdir lock-$MBTRACE_ALERT_RULE 2>/dev/null; then echo both >>overlap; fi\n"
		    "sleep 0.05; rmdir lock-$MBTRACE_ALERT_RULE; echo $MBTRACE_ALERT_RULE >>done",
		    0);
	for (int i = 0; i < 5; i++) {
		start("a");
		start("b");
	}
	ck_assert_uint_eq(action_stats(action).running, 2);
	ck_assert_uint_eq(action_stats(action).queued, 8);
	settle();
	ck_assert_str_eq(contents("overlap"), "");
	ck_assert_uint_eq(strlen(contents("done")), 20);
	ck_assert_uint_eq(action_stats(action).succeeded, 10);
	finish(LONG_NS, NULL);
	remove_folder();
}
END_TEST

START_TEST(no_more_than_allowed_at_once)
{
	char rule[16];

	with_command("sleep 0.05", 0);
	for (int i = 0; i < 3 * SPAWNER_RUNNING_MAX; i++) {
		snprintf(rule, sizeof(rule), "r%d", i);
		start(rule);
		ck_assert_uint_le(action_stats(action).running, SPAWNER_RUNNING_MAX);
	}
	settle();
	ck_assert_uint_eq(action_stats(action).succeeded, 3 * SPAWNER_RUNNING_MAX);
	finish(LONG_NS, NULL);
}
END_TEST

START_TEST(storm_is_dropped_and_counted)
{
	struct action_stats stats;
	uint64_t before;

	with_command("sleep 1000", 0);
	before = clock_monotonic_ns();
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(start("a"), i <= ACTION_QUEUE_MAX ? 0 : -ENOSPC);
	/* A thousand alerts for a command that hangs: the caller was not held up. */
	ck_assert(clock_monotonic_ns() - before < LONG_NS / 3);
	stats = action_stats(action);
	ck_assert_uint_eq(stats.running, 1);
	ck_assert_uint_eq(stats.queued, ACTION_QUEUE_MAX);
	ck_assert_uint_eq(stats.dropped, 1000 - 1 - ACTION_QUEUE_MAX);
	finish(0, &stats);
	ck_assert_uint_eq(stats.dropped, 999);
	ck_assert_uint_eq(stats.started, 1);
	ck_assert_uint_eq(stats.failed, 1);
	ck_assert_str_eq(buf_str(&ends), "a: ended with the run\n");
}
END_TEST

START_TEST(large_texts_are_bounded)
{
	static char json[ACTION_JSON_MAX + 1];
	struct record_alert alert = { .rule = "r", .metric = "m" };
	size_t taken = 0;

	memset(json, ' ', sizeof(json));
	with_command("sleep 1000", 0);
	ck_assert_int_eq(action_start(action, &alert, json, sizeof(json)), -ENOSPC);
	for (int i = 0; i < ACTION_QUEUE_MAX; i++)
		taken += action_start(action, &alert, json, ACTION_JSON_MAX) == 0;
	ck_assert_uint_le((taken - 1) * ACTION_JSON_MAX, ACTION_QUEUE_BYTES);
	ck_assert_uint_ge(taken, ACTION_QUEUE_BYTES / ACTION_JSON_MAX - 2);
	finish(0, NULL);
}
END_TEST

START_TEST(close_waits_for_what_is_left)
{
	struct action_stats stats;

	with_script("sleep 0.1; echo ran >>done", 0);
	start("a");
	start("a");
	start("b");
	finish(LONG_NS, &stats);
	ck_assert_uint_eq(stats.succeeded, 3);
	ck_assert_uint_eq(strlen(contents("done")), 12);
	remove_folder();
}
END_TEST

START_TEST(the_agent_dies)
{
	int pid, status;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	pid = fork();
	if (!pid) {
		with_script("echo $$ >pid; exec sleep 1000", 0);
		start("a");
		for (int i = 0; i < 1000 && !*contents("pid"); i++)
			usleep(10000);
		/* As if killed: its end of the socket just closes. */
		_exit(*contents("pid") ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	await_end((int)strtol(contents("pid"), NULL, 10));
	remove_folder();
}
END_TEST

START_TEST(the_helper_dies)
{
	struct action_stats stats;
	char path[300];
	struct buf text = BUF_INIT;
	int helper;

	with_command("sleep 0.3", 0);
	start("a");
	start("a");
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	if (file_read(path, &text, 4096))
		return; /* a kernel without CONFIG_PROC_CHILDREN */
	helper = (int)strtol(buf_str(&text), NULL, 10);
	ck_assert_int_gt(helper, 1);
	ck_assert_int_eq(kill(helper, SIGKILL), 0);
	settle();
	ck_assert_int_eq(action_fd(action), -1);
	ck_assert_int_eq(start("b"), -EPIPE);
	stats = action_stats(action);
	ck_assert_uint_eq(stats.failed, 1);
	ck_assert_uint_eq(stats.dropped, 2);
	finish(LONG_NS, NULL);
	buf_release(&text);
}
END_TEST

START_TEST(signals_for_the_agent_are_not_for_it)
{
	struct buf text = BUF_INIT;
	char path[300];
	int helper;

	with_command("true", 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	if (file_read(path, &text, 4096))
		return;
	helper = (int)strtol(buf_str(&text), NULL, 10);
	ck_assert_int_gt(helper, 1);
	kill(helper, SIGINT);
	kill(helper, SIGTERM);
	kill(helper, SIGHUP);
	start("a");
	settle();
	ck_assert_str_eq(buf_str(&ends), "a: exit 0\n");
	finish(LONG_NS, NULL);
	buf_release(&text);
}
END_TEST

/* A script that is not one any more when the time comes. */
START_TEST(gone_when_needed)
{
	char path[PATH_MAX];

	with_script("true", 0);
	snprintf(path, sizeof(path), "%s/run", folder);
	unlink(path);
	start("a");
	settle();
	ck_assert_str_eq(buf_str(&ends), "a: could not be run: No such file or directory\n");
	ck_assert_uint_eq(action_stats(action).failed, 1);
	finish(LONG_NS, NULL);
	remove_folder();
}
END_TEST

/* With standard descriptors closed, the socket sits among them. */
START_TEST(closed_standard_files)
{
	int saved[3];

	with_script("cat >json; echo noise; echo noise >&2", 0);
	action_close(action, 0, NULL);
	for (int fd = 0; fd < 3; fd++) {
		saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
		close(fd);
	}
	char command[PATH_MAX];
	snprintf(command, sizeof(command), "%s/run", folder);
	struct action_options options = { .ended = keep_end };
	int err = action_new(command, &options, &action, &error);
	if (!err) {
		start("a");
		settle();
		action_close(action, LONG_NS, NULL);
	}
	for (int fd = 0; fd < 3; fd++)
		dup2(saved[fd], fd);
	ck_assert_int_eq(err, 0);
	ck_assert_str_eq(buf_str(&ends), "a: exit 0\n");
	ck_assert_str_eq(contents("json"), "{\"type\":\"alert\"}\n");
	remove_folder();
}
END_TEST

/* The agent's end of it needs no more than action.h says, and the command is free of the agent's filter. */
START_TEST(under_a_sandbox)
{
	static const int allowed[] = {
		SCMP_SYS(sendto),     SCMP_SYS(recvfrom), SCMP_SYS(poll),  SCMP_SYS(ppoll),
		SCMP_SYS(shutdown),   SCMP_SYS(close),	  SCMP_SYS(wait4), SCMP_SYS(clock_gettime),
		SCMP_SYS(exit_group), SCMP_SYS(brk),	  SCMP_SYS(mmap),  SCMP_SYS(munmap),
		SCMP_SYS(madvise),    SCMP_SYS(futex),
	};
	char time[CLOCK_TEXT_LEN];
	scmp_filter_ctx filter;
	int pid, status;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	pid = fork();
	if (!pid) {
		with_script("cat >json; ls / >/dev/null && grep Seccomp: /proc/self/status >filter",
			    0);
		clock_format(0, time); /* reads /etc/localtime, once */
		filter = seccomp_init(SANDBOX_VERDICT);
		for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
			seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
		if (seccomp_load(filter))
			_exit(2);
		/* Not settle(): Check writes a file at each assertion. */
		start("a");
		action_close(action, LONG_NS, NULL);
		_exit(strcmp(buf_str(&ends), "a: exit 0\n") != 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
	ck_assert_str_eq(contents("json"), "{\"type\":\"alert\"}\n");
	ck_assert_str_eq(contents("filter"), "Seccomp:\t0\n");
	remove_folder();
}
END_TEST

SUITE("alert_action", succeeds_and_fails, refused_at_once, gets_the_alert,
      system_alert_has_no_process, no_shell_runs, clean_surroundings, no_descriptors_are_leaked,
      time_limit, one_that_ignores_sigterm, nothing_of_a_late_group_is_left,
      one_run_of_a_rule_at_a_time, no_more_than_allowed_at_once, storm_is_dropped_and_counted,
      large_texts_are_bounded, close_waits_for_what_is_left, the_agent_dies, the_helper_dies,
      signals_for_the_agent_are_not_for_it, gone_when_needed, closed_standard_files, under_a_sandbox)
