/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * action.h - `--on-alert`: a command of the user's run for alerts, without ever making the caller wait.
 *
 * action_new() forks a small helper process (spawner.h), so call it before the sandbox, threads and large memory. After that
 * action_start() only copies the alert into a queue and hands what may run to the helper; action_poll() is called when
 * action_fd() is readable, takes in what ended, and starts what waits. Both return at once. At most one command runs at a time for each rule (by
 * its label) and SPAWNER_RUNNING_MAX in all; a command that does not end within the time limit gets SIGTERM, and SIGKILL two
 * seconds later, with its whole process group. Alerts wait in order in a bounded queue; what finds it full is dropped and counted.
 *
 * The command has the alert as one line of JSON at its standard input (the caller writes the JSON: formats are export/'s), and in its environment
 * MBTRACE_ALERT_RULE, STATE, METRIC, VALUE, THRESHOLD, TIME, PID, COMM, ROW and REASON: always all of them, empty where the
 * alert has no such thing.
 *
 * System calls made after action_new(), for a filter: sendto, recvfrom, poll, shutdown, close, clock_gettime, wait4; and the first
 * time whatever clock_format() reads of time zones.
 *
 *	err = action_new("/etc/mbtrace/page \"on call\"", &options, &action, &error);
 *	...drop privileges...
 *	epoll_ctl(epoll, EPOLL_CTL_ADD, action_fd(action), …);
 *	action_start(action, alert, json.data, json.len);	in the engine's report
 *	action_poll(action);					when its descriptor is readable
 *	action_close(action, ACTION_CLOSE_NS, &stats);		at the end
 */
#ifndef MBTRACE_ALERT_ACTION_H
#define MBTRACE_ALERT_ACTION_H

#include "alert/rule.h"
#include "alert/spawner.h"
#include "metric/record.h"

#define ACTION_TIME_LIMIT_NS (30 * 1000000000ull) /* a pager's API, with retries */
#define ACTION_CLOSE_NS \
	(5 * 1000000000ull) /* what still runs or waits at the end of a run gets this long */
#define ACTION_QUEUE_MAX 256 /* alerts that wait */
#define ACTION_QUEUE_BYTES (1024 * 1024) /* and their texts */
#define ACTION_JSON_MAX (32 * 1024) /* an alert with three culprits is under 2 KiB */

struct action;

/* How one command ended. The texts are valid during the call only. */
struct action_end {
	const char *rule; /* label */
	enum spawn_how how;
	int code; /* exit status, signal or errno */
};

struct action_options {
	uint64_t time_limit_ns; /* 0: ACTION_TIME_LIMIT_NS */
	void (*ended)(const struct action_end *end, void *context); /* may be NULL */
	void *context;
};

struct action_stats {
	uint64_t started; /* handed to the helper */
	uint64_t succeeded; /* exit 0 */
	uint64_t failed; /* any other end, the time limit included */
	uint64_t timed_out; /* of those: at the time limit */
	uint64_t dropped; /* never started */
	size_t queued, running; /* now */
};

/*
 * 0; -EINVAL, -ENOENT or -EACCES with *ret_error filled when the command line is wrong, its program is not found, or it may not be
 * run; another -errno when the helper could not be made. Any error has a message.
 */
int action_new(const char *command, const struct action_options *options,
	       struct action **ret_action, struct rule_error *ret_error);

/* Queues one alert; 0, -ENOSPC when it was dropped, -EPIPE when the helper is gone (dropped too), -ENOMEM. */
int action_start(struct action *action, const struct record_alert *alert, const char *json,
		 size_t json_len);

/* Readable when action_poll() has something to do; -1 once the helper is gone. */
int action_fd(const struct action *action);
/* 0, or -EPIPE once, when the helper is found gone: then everything queued is dropped and what ran has failed. */
int action_poll(struct action *action);

/*
 * Waits up to grace_ns for what runs and waits, then ends what still runs, drops the rest, and frees; at most grace_ns
 * and three seconds in all, and at once when there is nothing. Accepts NULL; ret_stats may be NULL.
 */
void action_close(struct action *action, uint64_t grace_ns, struct action_stats *ret_stats);

struct action_stats action_stats(const struct action *action);

/* "exit 3", "killed by signal 9", …, for messages; writes to text (`size` bytes) and returns it. */
char *action_end_text(const struct action_end *end, char *text, size_t size);

#endif
