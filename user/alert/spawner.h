/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * spawner.h - the small process that runs commands for the agent: for action.h only.
 *
 * Why a process. The agent drops its capabilities and installs a system call filter, and what it starts after
 * that would inherit both: a mailer would be killed on its first open(). So a helper is forked before, when the agent is small, and does
 * the starting, the time limit and the killing. It knows one command line and sleeps in poll(); the agent never waits for it.
 *
 * The two talk over a socketpair of whole messages (SOCK_SEQPACKET): a spawn_request with its texts one way, a
 * spawn_result the other, one for each request. When the agent's end closes or is shut down, for whatever reason, the
 * helper ends what still runs, reports it and exits. It ignores all signals that can be, so that a Ctrl-C meant for the agent does
 * not take its commands away.
 *
 * A command gets a process group of its own, default signals, an empty signal mask, the JSON as a sealed file at standard input, and the
 * agent's standard error as its standard output and error. No other descriptor is open in it.
 */
#ifndef MBTRACE_ALERT_SPAWNER_H
#define MBTRACE_ALERT_SPAWNER_H

#include <stdint.h>
#include <sys/types.h>

#define SPAWNER_RUNNING_MAX 8 /* commands at once: alerts come in storms */
#define SPAWNER_MESSAGE_MAX (48 * 1024) /* of a request; well below a socket's buffer */
#define SPAWNER_ENV_MAX 16 /* variables of a request */
#define SPAWNER_TERM_NS (2 * 1000000000ull) /* between SIGTERM and SIGKILL */
#define SPAWNER_ENV_PREFIX "MBTRACE_ALERT_"

/* Followed by env_len bytes of NUL-ended "NAME=value" texts, and json_len bytes. */
struct spawn_request {
	uint32_t id, n_env, env_len, json_len;
};

enum spawn_how {
	SPAWN_EXITED, /* code: its exit status */
	SPAWN_KILLED, /* code: the signal */
	SPAWN_TIMED_OUT, /* ended at the time limit */
	SPAWN_CUT_SHORT, /* ended because the run is over */
	SPAWN_FAILED, /* could not be started; code: errno */
};

struct spawn_result {
	uint32_t id;
	uint32_t how; /* enum spawn_how */
	int32_t code;
};

/*
 * Forks the helper, which will run argv with a limit of time_limit_ns. 0 with its pid and the agent's end of the socket
 * (close-on-exec), or -errno. Call it early: before threads, sandbox and large memory.
 */
int spawner_fork(char *const *argv, uint64_t time_limit_ns, pid_t *ret_pid, int *ret_fd);

#endif
