// SPDX-License-Identifier: BSD-2-Clause
#include "alert/spawner.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/macros.h"

#define MEMFD_NOEXEC \
	8u /* MFD_NOEXEC_SEAL of Linux 6.3, which a sysctl may insist on; older kernels refuse it */
#define SOCKET_FD 3 /* where the helper keeps its end */

/* A command that runs. */
struct child {
	uint32_t id;
	pid_t pid; /* also its process group; 0: free */
	int pidfd;
	uint64_t deadline_ns; /* of the next step against it; 0: none is left */
	bool told_to_end; /* SIGTERM was sent */
	enum spawn_how why; /* TIMED_OUT or CUT_SHORT when told to end */
};

struct spawner {
	char *const *argv;
	char **env; /* the helper's own without MBTRACE_ALERT_*, then room for a request's */
	size_t n_env;
	uint64_t time_limit_ns;
	bool closing;
	struct child children[SPAWNER_RUNNING_MAX];
	union {
		struct spawn_request head;
		char bytes[SPAWNER_MESSAGE_MAX];
	} message;
};

static void tell(uint32_t id, enum spawn_how how, int code)
{
	const struct spawn_result result = { id, how, code };

	/* Blocking: results are fewer than requests in flight, so there is room. Nobody there: the next poll tells. */
	send(SOCKET_FD, &result, sizeof(result), MSG_NOSIGNAL);
}

/* A file in memory with the text, at its start, that nobody can change: readable at any pace, and nobody waits to fill it. */
static int text_file(const char *text, size_t len)
{
	cleanup_close int fd = memfd_create("alert", MFD_CLOEXEC | MFD_ALLOW_SEALING | MEMFD_NOEXEC);
	const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("alert", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0)
			return -errno;
		text += n;
		len -= n;
	}
	if (lseek(fd, 0, SEEK_SET) < 0 || fcntl(fd, F_ADD_SEALS, seals))
		return -errno;
	return TAKE_FD(fd);
}

/* Starts the command; 0 or -errno. */
static int spawn(const struct spawner *s, int input, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int err;

	sigemptyset(&none);
	sigfillset(&all);
	err = posix_spawn_file_actions_init(&files);
	if (err)
		return -err;
	err = posix_spawnattr_init(&attr);
	if (err) {
		posix_spawn_file_actions_destroy(&files);
		return -err;
	}
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSIGMASK);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setsigmask(&attr, &none);
	err = posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
	if (!err)
		err = posix_spawnp(ret_pid, s->argv[0], &files, &attr, s->argv, s->env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return -err;
}

/* Appends the request's variables to the environment; the texts stay in the message. */
static void set_env(struct spawner *s, const struct spawn_request *request)
{
	char *text = s->message.bytes + sizeof(*request), *end = text + request->env_len;
	size_t n = s->n_env;

	for (uint32_t i = 0; i < MIN(request->n_env, SPAWNER_ENV_MAX) && text < end; i++) {
		s->env[n++] = text;
		text += strnlen(text, end - text) + 1;
	}
	s->env[n] = NULL;
}

static int start(struct spawner *s, const struct spawn_request *request, struct child *child)
{
	const char *json = s->message.bytes + sizeof(*request) + request->env_len;
	cleanup_close int input = text_file(json, request->json_len);
	pid_t pid;
	int err;

	if (input < 0)
		return input;
	set_env(s, request);
	err = spawn(s, input, &pid);
	if (err)
		return err;
	*child = (struct child){
		.id = request->id,
		.pid = pid,
		.pidfd = pidfd_open(pid, 0),
		.deadline_ns = clock_monotonic_ns() + s->time_limit_ns,
	};
	if (child->pidfd < 0) {
		/* Without it the end would go unnoticed: better no command than one without a limit. */
		err = -errno;
		kill(-pid, SIGKILL);
		waitpid(pid, NULL, 0);
		child->pid = 0;
	}
	return err;
}

static void take_request(struct spawner *s)
{
	const struct spawn_request *request = &s->message.head;
	ssize_t n = recv(SOCKET_FD, s->message.bytes, sizeof(s->message.bytes), MSG_DONTWAIT);
	struct child *child = NULL;
	int err = -EAGAIN;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < (ssize_t)sizeof(*request) ||
	    (uint64_t)n != sizeof(*request) + (uint64_t)request->env_len + request->json_len) {
		s->closing = true;
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(s->children) && !child; i++)
		if (!s->children[i].pid)
			child = &s->children[i];
	if (child)
		err = start(s, request, child);
	if (err)
		tell(request->id, SPAWN_FAILED, -err);
}

/* Takes leave of a command whose first process has ended. */
static void reap(struct child *child)
{
	siginfo_t info = { 0 };

	/* Until it is reaped nobody else can have this group's number. What it left behind on a normal end is its own affair. */
	if (child->told_to_end)
		kill(-child->pid, SIGKILL);
	waitid(P_PIDFD, child->pidfd, &info, WEXITED);
	if (child->told_to_end)
		tell(child->id, child->why, 0);
	else
		tell(child->id, info.si_code == CLD_EXITED ? SPAWN_EXITED : SPAWN_KILLED,
		     info.si_status);
	close(child->pidfd);
	child->pid = 0;
}

static void tell_to_end(struct child *child, enum spawn_how why, uint64_t now)
{
	child->told_to_end = true;
	child->why = why;
	child->deadline_ns = now + SPAWNER_TERM_NS;
	kill(-child->pid, SIGTERM);
}

/* The next step against a command that is past its deadline. */
static void enforce(struct child *child, uint64_t now)
{
	if (!child->deadline_ns || now < child->deadline_ns)
		return;
	if (!child->told_to_end) {
		tell_to_end(child, SPAWN_TIMED_OUT, now);
		return;
	}
	kill(-child->pid, SIGKILL);
	child->deadline_ns = 0;
}

/* Sleeps until something happens; returns with ready[i] set for each child that ended. */
static void wait_for_events(struct spawner *s, bool *ready)
{
	struct pollfd fds[1 + SPAWNER_RUNNING_MAX];
	uint64_t now = clock_monotonic_ns(), nearest = UINT64_MAX;
	int timeout = -1;

	fds[0] = (struct pollfd){ .fd = s->closing ? -1 : SOCKET_FD, .events = POLLIN };
	for (size_t i = 0; i < ARRAY_SIZE(s->children); i++) {
		const struct child *child = &s->children[i];

		fds[1 + i] =
			(struct pollfd){ .fd = child->pid ? child->pidfd : -1, .events = POLLIN };
		if (child->pid && child->deadline_ns)
			nearest = MIN(nearest, child->deadline_ns);
	}
	if (nearest != UINT64_MAX)
		timeout = nearest <= now ? 0 :
					   (int)MIN((nearest - now) / NSEC_PER_MSEC + 1, 3600000u);
	memset(ready, 0, SPAWNER_RUNNING_MAX);
	if (poll(fds, ARRAY_SIZE(fds), timeout) <= 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(s->children); i++)
		ready[i] = fds[1 + i].revents != 0;
	if (fds[0].revents)
		take_request(s);
}

static void run(struct spawner *s)
{
	bool ready[SPAWNER_RUNNING_MAX], told_all = false;

	for (;;) {
		size_t running = 0;
		uint64_t now;

		wait_for_events(s, ready);
		now = clock_monotonic_ns();
		for (size_t i = 0; i < ARRAY_SIZE(s->children); i++) {
			struct child *child = &s->children[i];

			if (child->pid && ready[i])
				reap(child);
			if (!child->pid)
				continue;
			if (s->closing && !told_all && !child->told_to_end)
				tell_to_end(child, SPAWN_CUT_SHORT, now);
			enforce(child, now);
			running++;
		}
		told_all = s->closing;
		if (s->closing && !running)
			return;
	}
}

/* Keeps the socket and standard error; the rest of what the agent has open is none of its business. */
static int arrange_files(int socket)
{
	/* The agent may have been started with 0, 1 or 2 closed, and have the socket there. */
	int away = fcntl(socket, F_DUPFD_CLOEXEC, SOCKET_FD + 1), null = open("/dev/null", O_RDWR);

	if (away < 0 || null < 0)
		return -errno;
	if (fcntl(STDERR_FILENO, F_GETFD) < 0 || STDERR_FILENO == socket)
		dup2(null, STDERR_FILENO);
	if (dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		return -errno;
	if (null > SOCKET_FD)
		close(null);
	if (dup3(away, SOCKET_FD, O_CLOEXEC) < 0)
		return -errno;
	/* Where close_range() is refused, close-on-exec, which everything here has, still keeps commands clean. */
	close_range(SOCKET_FD + 1, ~0u, 0);
	return 0;
}

static int arrange_env(struct spawner *s)
{
	size_t n = 0;

	while (environ && environ[n])
		n++;
	s->env = calloc(n + SPAWNER_ENV_MAX + 1, sizeof(*s->env));
	if (!s->env)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], SPAWNER_ENV_PREFIX, strlen(SPAWNER_ENV_PREFIX)) != 0)
			s->env[s->n_env++] = environ[i];
	return 0;
}

static void __attribute__((noreturn))
helper_main(char *const *argv, uint64_t time_limit_ns, int socket)
{
	struct spawner *s = calloc(1, sizeof(*s));

	prctl(PR_SET_NAME, "mbtrace-alert");
	if (!s || arrange_env(s) || arrange_files(socket))
		_exit(1);
	s->argv = argv;
	s->time_limit_ns = time_limit_ns;
	run(s);
	_exit(0);
}

int spawner_fork(char *const *argv, uint64_t time_limit_ns, pid_t *ret_pid, int *ret_fd)
{
	sigset_t all, before;
	int pair[2], err;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return -errno;
	/* The helper lives with all signals blocked, from its first moment: the agent's handlers are not for it. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	err = -errno;
	if (!pid)
		helper_main(argv, time_limit_ns, pair[1]);
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return err;
	}
	*ret_pid = pid;
	*ret_fd = pair[0];
	return 0;
}
