// SPDX-License-Identifier: BSD-2-Clause
#include "alert/action.h"

#include <math.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "alert/words.h"
#include "base/clock.h"
#include "base/macros.h"

#define HELPER_END_NS \
	(SPAWNER_TERM_NS + NSEC_PER_SEC) /* the helper's own way to its end, and some */

/*
 * DESIGN. The queue lives here and not in the helper: the agent knows what was dropped without asking, and the helper stays
 * so small that it can be trusted with the privileges it keeps. A job is the request message as it will be sent, so that
 * starting one is one send(). A job waits in `queue`, then hangs in `running` until its result comes, since its rule
 * must not run twice. The socket's buffer cannot be full of requests: at most SPAWNER_RUNNING_MAX are in it, and where they
 * fill it anyway the job stays queued until a result, which must come, makes action_poll() try again.
 */
struct job {
	struct job *next;
	char *rule; /* in the message's environment */
	uint32_t id;
	size_t len;
	char message[];
};

struct action {
	struct action_options options;
	struct words words;
	pid_t helper;
	int fd; /* -1: the helper is gone */
	uint32_t last_id;
	struct job *queue, **queue_end;
	size_t queue_bytes;
	struct job *running;
	struct action_stats stats;
};

/* --- making one --- */

/* 0 when the file can be executed, -ENOENT or -EACCES. */
static int check_program(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return -ENOENT;
	return S_ISREG(st.st_mode) && !access(path, X_OK) ? 0 : -EACCES;
}

/* Looks where posix_spawnp() will look, so that a misspelt command is told at the start and not at the first alert. */
static int find_program(const char *name)
{
	const char *path = getenv("PATH") ?: "/bin:/usr/bin";
	int found = -ENOENT;

	if (strchr(name, '/'))
		return check_program(name);
	while (found) {
		size_t len = strcspn(path, ":");
		char file[4096];
		int err;

		snprintf(file, sizeof(file), "%.*s%s%s", (int)len, path, len ? "/" : "", name);
		err = check_program(file);
		if (err != -ENOENT)
			found = err;
		if (!path[len])
			break;
		path += len + 1;
	}
	return found;
}

static int refuse_program(const char *name, int err, struct rule_error *ret_error)
{
	*ret_error = (struct rule_error){ 0 };
	snprintf(ret_error->message, sizeof(ret_error->message),
		 err == -EACCES ? "\"%.200s\" may not be executed: is it a program, and executable?" :
		 strchr(name, '/') ? "there is no \"%.200s\"" :
				     "\"%.200s\" is not in PATH",
		 name);
	return err;
}

static int take_command(struct action *action, const char *command, struct rule_error *ret_error)
{
	int err = words_split(command, &action->words, ret_error);

	if (err)
		return err;
	err = find_program(action->words.argv[0]);
	return err ? refuse_program(action->words.argv[0], err, ret_error) : 0;
}

int action_new(const char *command, const struct action_options *options,
	       struct action **ret_action, struct rule_error *ret_error)
{
	struct action *action = calloc(1, sizeof(*action));
	uint64_t limit = options->time_limit_ns ?: ACTION_TIME_LIMIT_NS;
	int err;

	*ret_error = (struct rule_error){ .message = "no memory" };
	if (!action)
		return -ENOMEM;
	action->options = *options;
	action->queue_end = &action->queue;
	err = take_command(action, command, ret_error);
	if (!err) {
		err = spawner_fork(action->words.argv, limit, &action->helper, &action->fd);
		snprintf(ret_error->message, sizeof(ret_error->message),
			 "cannot fork its helper: %s", strerror(-err));
	}
	if (err) {
		words_release(&action->words);
		free(action);
		return err;
	}
	*ret_action = action;
	return 0;
}

/* --- an alert as a message --- */

static void add_env(struct buf *env, uint32_t *n, const char *name, const char *value)
{
	buf_printf(env, SPAWNER_ENV_PREFIX "%s=%s", name, value ?: "");
	buf_addc(env, 0);
	(*n)++;
}

/* A plain number without exponent, with a decimal point whatever the locale; nothing for no data. */
static char *number_text(double value, char *text, size_t size)
{
	bool whole = fabs(value) >= 1e15 || value == floor(value);
	char *comma;

	*text = 0;
	if (!isfinite(value))
		return text;
	snprintf(text, size, "%.*f", whole ? 0 : 3, value);
	comma = strchr(text, ',');
	if (comma)
		*comma = '.';
	return text;
}

static void add_alert_env(struct buf *env, uint32_t *n, const struct record_alert *alert)
{
	char text[CLOCK_TEXT_LEN + 512];

	/* The rule comes first: job_new() takes it from there. */
	add_env(env, n, "RULE", alert->rule);
	add_env(env, n, "STATE", alert_state_name(alert->state));
	add_env(env, n, "METRIC", alert->metric);
	add_env(env, n, "VALUE", number_text(alert->value, text, sizeof(text)));
	add_env(env, n, "THRESHOLD", number_text(alert->threshold, text, sizeof(text)));
	add_env(env, n, "TIME", clock_format(alert->time_ns, text));
	snprintf(text, sizeof(text), "%llu", (unsigned long long)alert->pid);
	add_env(env, n, "PID", alert->has_process ? text : NULL);
	add_env(env, n, "COMM", alert->has_process ? alert->comm : NULL);
	add_env(env, n, "ROW", alert->row);
	add_env(env, n, "REASON", alert->reason);
}

/* 0, -ENOMEM, or -ENOSPC for what is too large to be sent. */
static int job_new(const struct record_alert *alert, const char *json, size_t json_len,
		   struct job **ret_job)
{
	cleanup_buf struct buf env = BUF_INIT;
	bool ended = json_len && json[json_len - 1] == '\n';
	struct spawn_request request = { .json_len = json_len + !ended };
	struct job *job;
	char *at;

	add_alert_env(&env, &request.n_env, alert);
	if (env.failed)
		return -ENOMEM;
	request.env_len = env.len;
	if (json_len > ACTION_JSON_MAX ||
	    sizeof(request) + env.len + request.json_len > SPAWNER_MESSAGE_MAX)
		return -ENOSPC;
	job = malloc(sizeof(*job) + sizeof(request) + env.len + request.json_len);
	if (!job)
		return -ENOMEM;
	*job = (struct job){ .len = sizeof(request) + env.len + request.json_len };
	at = job->message;
	memcpy(at, &request, sizeof(request));
	at += sizeof(request);
	memcpy(at, env.data, env.len);
	job->rule = at + strlen(SPAWNER_ENV_PREFIX "RULE=");
	at += env.len;
	memcpy(at, json, json_len);
	if (!ended)
		at[json_len] = '\n';
	*ret_job = job;
	return 0;
}

static void job_set_id(struct job *job, uint32_t id)
{
	job->id = id;
	memcpy(job->message + offsetof(struct spawn_request, id), &id, sizeof(id));
}

/* --- queue, running, results --- */

static void enqueue(struct action *action, struct job *job)
{
	job->next = NULL;
	*action->queue_end = job;
	action->queue_end = &job->next;
	action->queue_bytes += job->len;
	action->stats.queued++;
}

/* Takes out the job that *link points to. */
static struct job *dequeue(struct action *action, struct job **link)
{
	struct job *job = *link;

	*link = job->next;
	if (!job->next)
		action->queue_end = link;
	action->queue_bytes -= job->len;
	action->stats.queued--;
	return job;
}

static bool is_running(const struct action *action, const char *rule)
{
	for (const struct job *job = action->running; job; job = job->next)
		if (strcmp(job->rule, rule) == 0)
			return true;
	return false;
}

/* The end of a job, whatever it was. */
static void finish(struct action *action, struct job *job, enum spawn_how how, int code)
{
	const struct action_end end = { job->rule, how, code };
	bool good = how == SPAWN_EXITED && code == 0;

	action->stats.succeeded += good;
	action->stats.failed += !good;
	action->stats.timed_out += how == SPAWN_TIMED_OUT;
	action->stats.running--;
	if (action->options.ended)
		action->options.ended(&end, action->options.context);
	free(job);
}

static void drop_queue(struct action *action)
{
	while (action->queue) {
		free(dequeue(action, &action->queue));
		action->stats.dropped++;
	}
}

/* The helper is gone; whatever was with it is lost. */
static int lose_helper(struct action *action)
{
	close(action->fd);
	action->fd = -1;
	waitpid(action->helper, NULL, 0);
	while (action->running) {
		struct job *job = action->running;

		action->running = job->next;
		finish(action, job, SPAWN_FAILED, EPIPE);
	}
	drop_queue(action);
	return -EPIPE;
}

/* Sends what may run, in the order of the queue. 0 or -EPIPE. */
static int dispatch(struct action *action)
{
	struct job **link = &action->queue, *job;

	while ((job = *link) && action->stats.running < SPAWNER_RUNNING_MAX) {
		if (is_running(action, job->rule)) {
			link = &job->next;
			continue;
		}
		job_set_id(job, ++action->last_id);
		if (send(action->fd, job->message, job->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
				return 0;
			return lose_helper(action);
		}
		dequeue(action, link);
		job->next = action->running;
		action->running = job;
		action->stats.running++;
		action->stats.started++;
	}
	return 0;
}

int action_start(struct action *action, const struct record_alert *alert, const char *json,
		 size_t json_len)
{
	struct job *job = NULL;
	int err = action->fd < 0 ? -EPIPE : 0;

	if (!err && action->stats.queued >= ACTION_QUEUE_MAX)
		err = -ENOSPC;
	if (!err)
		err = job_new(alert, json, json_len, &job);
	if (!err && action->queue_bytes + job->len > ACTION_QUEUE_BYTES)
		err = -ENOSPC;
	if (err) {
		action->stats.dropped++;
		free(job);
		return err;
	}
	enqueue(action, job);
	return dispatch(action);
}

int action_fd(const struct action *action)
{
	return action->fd;
}

static void take_result(struct action *action, const struct spawn_result *result)
{
	for (struct job **link = &action->running; *link; link = &(*link)->next) {
		struct job *job = *link;

		if (job->id != result->id)
			continue;
		*link = job->next;
		finish(action, job, result->how, result->code);
		return;
	}
}

int action_poll(struct action *action)
{
	struct spawn_result result;

	while (action->fd >= 0) {
		ssize_t n = recv(action->fd, &result, sizeof(result), MSG_DONTWAIT);

		if (n == sizeof(result))
			take_result(action, &result);
		else if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return dispatch(action);
		else
			return lose_helper(action);
	}
	return 0;
}

/* --- the end --- */

/* Goes on until nothing is left to do, the helper is gone, or the time is over. */
static void settle(struct action *action, uint64_t time_ns, bool until_helper_ends)
{
	uint64_t deadline = clock_monotonic_ns() + time_ns;

	while (action->fd >= 0 && (until_helper_ends || action->running || action->queue)) {
		struct pollfd fd = { .fd = action->fd, .events = POLLIN };
		uint64_t now = clock_monotonic_ns();

		if (now >= deadline)
			return;
		if (poll(&fd, 1, (int)((deadline - now) / NSEC_PER_MSEC) + 1) > 0)
			action_poll(action);
	}
}

void action_close(struct action *action, uint64_t grace_ns, struct action_stats *ret_stats)
{
	if (!action)
		return;
	settle(action, grace_ns, false);
	drop_queue(action);
	if (action->fd >= 0) {
		shutdown(action->fd, SHUT_WR);
		settle(action, HELPER_END_NS, true);
	}
	if (action->fd >= 0) {
		/* It was stopped, or hangs in the kernel: its end is not waited for, and it ends when it can. */
		close(action->fd);
		waitpid(action->helper, NULL, WNOHANG);
	}
	while (action->running) {
		struct job *job = action->running;

		action->running = job->next;
		finish(action, job, SPAWN_CUT_SHORT, 0);
	}
	if (ret_stats)
		*ret_stats = action->stats;
	words_release(&action->words);
	free(action);
}

struct action_stats action_stats(const struct action *action)
{
	return action->stats;
}

char *action_end_text(const struct action_end *end, char *text, size_t size)
{
	switch (end->how) {
	case SPAWN_EXITED:
		snprintf(text, size, "exit %d", end->code);
		break;
	case SPAWN_KILLED:
		snprintf(text, size, "killed by signal %d", end->code);
		break;
	case SPAWN_TIMED_OUT:
		snprintf(text, size, "ended at its time limit");
		break;
	case SPAWN_CUT_SHORT:
		snprintf(text, size, "ended with the run");
		break;
	case SPAWN_FAILED:
		snprintf(text, size, "could not be run: %s", strerror(end->code));
		break;
	}
	return text;
}
