// SPDX-License-Identifier: BSD-2-Clause
#include "agent/monitor.h"

#include <inttypes.h>
#include <langinfo.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>

#include "agent/budget.h"
#include "agent/replay.h"
#include "agent/sandbox.h"
#include "agent/self.h"
#include "agent/session.h"
#include "agent/sources.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/macros.h"
#include "base/units.h"

#define PIDS_MAX 1024 /* processes named with -p */
#define PROC_TEXT_MAX 256
#define PROC_STATUS_MAX 65536 /* lists of groups are long */

enum wake { WAKE_TIMER, WAKE_SIGNAL, WAKE_RING, WAKE_ACTION };

struct monitor {
	const struct monitor_options *options;
	const struct log *log;
	struct sources *sources;
	struct session session;
	struct self self;
	struct budget budget;
	struct snapshot *snapshot;
	uint32_t pids[PIDS_MAX];
	size_t n_pids;
	unsigned int cpus;
	int epoll_fd, timer_fd, signal_fd;
	sigset_t signals; /* that end the run */
	uint64_t start, last; /* mono, of the first interval and of the last sample */
	uint64_t end; /* mono; UINT64_MAX: none */
	bool stop;
	uint64_t refused; /* system calls, when that was last said */
};

static uint32_t parse_sources(const char *names)
{
	uint32_t mask = 0;

	for (int id = 0; id < SOURCE_COUNT; id++) {
		size_t len = strlen(source_name(id));

		for (const char *p = names; p && *p; p += strcspn(p, ","), p += *p == ',')
			if (strncmp(p, source_name(id), len) == 0 && (!p[len] || p[len] == ','))
				mask |= 1u << id;
	}
	return names ? mask : (1u << SOURCE_COUNT) - 1;
}

/* Whether pid is that of a thread which is not its process's first. */
static bool is_other_thread(uint64_t pid)
{
	cleanup_buf struct buf text = BUF_INIT;
	const char *line;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%" PRIu64 "/status", pid);
	if (file_read(path, &text, PROC_STATUS_MAX))
		return false;
	line = strstr(buf_str(&text), "\nTgid:");
	return line && strtoull(line + sizeof("\nTgid:") - 1, NULL, 10) != pid;
}

/* Reads -p; the processes must exist. */
static int parse_pids(struct monitor *m)
{
	cleanup_free char *list = m->options->pids ? strdup(m->options->pids) : NULL;
	char *rest = list, *word;

	while (rest && (word = strsep(&rest, ","))) {
		uint64_t pid;

		if (units_parse_u64(word, &pid) || !pid || pid > INT32_MAX) {
			log_error(m->log, "monitor", "--pid: \"%s\" is not a process id", word);
			return EXIT_USAGE;
		}
		if (kill(pid, 0) < 0 && errno == ESRCH) {
			log_error(m->log, "monitor", "--pid: there is no process %s here%s", word,
				  " (pids are those of this PID namespace)");
			return EXIT_FAILED;
		}
		if (is_other_thread(pid)) {
			log_error(m->log, "monitor", "--pid: %s is a thread; name its process", word);
			return EXIT_FAILED;
		}
		if (m->n_pids == PIDS_MAX) {
			log_error(m->log, "monitor",
				  "--pid: more than %u processes; use --cgroup or --comm", PIDS_MAX);
			return EXIT_USAGE;
		}
		m->pids[m->n_pids++] = pid;
	}
	return EXIT_DONE;
}

/* The exit code of a failure to open the sources. */
static int exit_code_of(int err)
{
	return err == -ENOMEM || err == -EMFILE ? EXIT_FAILED : EXIT_CANNOT;
}

static int open_sources(struct monitor *m)
{
	struct sources_options options = { .wanted = parse_sources(m->options->sources),
					   .pids = m->n_pids ? m->pids : NULL,
					   .n_pids = m->n_pids,
					   .follow = m->options->follow,
					   .max_memory = m->options->max_memory };
	cleanup_buf struct buf error = BUF_INIT;
	int err = sources_open(&options, &m->sources, &error);

	if (err) {
		log_error(m->log, "monitor", "%s", error.len ? buf_str(&error) : strerror(-err));
		return exit_code_of(err);
	}
	if (error.len)
		log_warning(m->log, "monitor", "%s; the rest runs", buf_str(&error));
	return EXIT_DONE;
}

static void watch_fd(struct monitor *m, int fd, enum wake wake)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u32 = wake };

	epoll_ctl(m->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static void watch_ring(int fd, void *context)
{
	watch_fd(context, fd, WAKE_RING);
}

/* From here on a signal that ends the run is kept until the loop reads it: none leaves a temporary file behind. */
static void block_signals(sigset_t *set)
{
	struct sigaction hangup;

	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	/* What nohup(1) has set to be ignored stays so: a blocked signal would be kept and read all the same. */
	if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN)
		sigaddset(set, SIGHUP);
	sigprocmask(SIG_BLOCK, set, NULL);
}

/* Timer, signals, rings. 0 or -errno. */
static int open_events(struct monitor *m)
{
	m->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	m->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	m->signal_fd = signalfd(-1, &m->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (m->epoll_fd < 0 || m->timer_fd < 0 || m->signal_fd < 0)
		return -errno;
	watch_fd(m, m->timer_fd, WAKE_TIMER);
	watch_fd(m, m->signal_fd, WAKE_SIGNAL);
	if (session_fd(&m->session) >= 0)
		watch_fd(m, session_fd(&m->session), WAKE_ACTION);
	sources_each_fd(m->sources, watch_ring, m);
	return 0;
}

/* Sets the timer to the next sample that is due: on the absolute clock, or the end of the run if that is before. */
static void arm(struct monitor *m, uint64_t now)
{
	uint64_t interval = m->options->interval_ns,
		 due = m->start + ((now - m->start) / interval + 1) * interval;
	struct itimerspec at = { 0 };

	due = MIN(due, m->end);
	at.it_value =
		(struct timespec){ .tv_sec = due / NSEC_PER_SEC, .tv_nsec = due % NSEC_PER_SEC };
	timerfd_settime(m->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

/* The text of a one-line file without its newline, "" if it cannot be read. */
static void read_line(const char *path, char *text, size_t size)
{
	cleanup_buf struct buf b = BUF_INIT;

	text[0] = 0;
	if (file_read(path, &b, PROC_TEXT_MAX) == 0)
		snprintf(text, size, "%.*s", (int)strcspn(buf_str(&b), "\n"), buf_str(&b));
}

static int write_header(struct monitor *m)
{
	struct record_header header = { .version = MBTRACE_VERSION,
					.host_cpus = m->cpus,
					.interval_ns = m->options->interval_ns,
					.filter_pids = m->n_pids ? m->pids : NULL,
					.n_filter_pids = m->n_pids,
					.filter_follow = m->options->follow,
					.filter_comm = m->options->comm,
					.filter_cgroup = m->options->cgroup };
	char boot_id[64];
	struct utsname host;

	uname(&host);
	read_line("/proc/sys/kernel/random/boot_id", boot_id, sizeof(boot_id));
	header.host_kernel = host.release;
	header.host_name = host.nodename;
	header.host_boot_id = boot_id;
	sources_describe(m->sources, header.sources);
	return session_header(&m->session, &header);
}

/* Sheds or takes back a source when the cost of the interval says so. */
static void keep_budget(struct monitor *m, const struct snapshot *s)
{
	cleanup_buf struct buf error = BUF_INIT;
	uint64_t cost = self_cost_ns(&m->self, m->sources, &s->self, s->trust.events);
	uint64_t bytes = m->self.private_bytes + m->self.map_bytes;
	int id;

	switch (budget_judge(&m->budget, cost, s->interval_ns, m->cpus, bytes)) {
	case BUDGET_SHED:
		id = sources_shed(m->sources);
		if (id < 0)
			return;
		budget_shed(&m->budget);
		log_warning(m->log, "monitor",
			    "over its budget (%.2f%% of all CPUs, %.1f MiB): source %s is shed",
			    m->budget.pct, bytes / 1048576.0, source_name(id));
		break;
	case BUDGET_RESTORE:
		id = sources_restore(m->sources, &error);
		if (id < 0) {
			log_warning(m->log, "monitor", "a shed source cannot be taken back: %s",
				    buf_str(&error));
			budget_shed(&m->budget);
			return;
		}
		budget_restored(&m->budget);
		log_info(m->log, "monitor", "within its budget again: source %s is taken back",
			 source_name(id));
		break;
	default:
		return;
	}
	sources_each_fd(m->sources, watch_ring, m);
	self_rebase(&m->self, m->sources);
}

/* Says once that the sandbox was in the way: of a library that has learnt a new call, or of an intruder. */
static void report_refusals(struct monitor *m)
{
	int call;

	if (m->refused || !(m->refused = sandbox_refused(&call)))
		return;
	log_warning(m->log, "monitor", "the sandbox refused system call %d", call);
}

/* Ends the interval: reads everything and hands it on. 0 or -errno of the output. */
static int take_sample(struct monitor *m)
{
	struct process_view view = { .sources = sources_attached(m->sources),
				     .cmdline = m->options->cmdline,
				     .recorded_only = m->n_pids > 0,
				     .other_pids = sources_namespaced(m->sources),
				     .comm = m->options->comm,
				     .cgroup = m->options->cgroup };
	struct snapshot *s = m->snapshot;
	uint64_t now = clock_monotonic_ns();
	int err;

	snapshot_reset(s);
	s->time_ns = clock_realtime_ns();
	s->interval_ns = now - m->last;
	s->elapsed_ns = now - m->start;
	m->last = now;
	if (sources_read(m->sources, s))
		s->trust.lost++;
	view.interval_ns = s->interval_ns;
	if (process_table_flush(sources_processes(m->sources), &view, s))
		s->trust.map_full++;
	trust_judge(&s->trust);
	self_measure(&m->self, m->sources, &s->self);
	err = session_sample(&m->session, s);
	keep_budget(m, s);
	report_refusals(m);
	return err;
}

/* Whether anything that -p named (or, with --follow, its children) is still there: only they have records. */
static bool targets_live(const struct monitor *m)
{
	const struct process *p;

	for (size_t i = 0; m->n_pids && (p = process_next(sources_processes(m->sources), &i));)
		if (p->recorded && p->pid)
			return true;
	return !m->n_pids;
}

static int on_timer(struct monitor *m)
{
	uint64_t expirations, now;
	int err;

	if (read(m->timer_fd, &expirations, sizeof(expirations)) < 0 && errno == EAGAIN)
		return 0;
	err = take_sample(m);
	now = clock_monotonic_ns();
	if (now >= m->end || (m->options->count && m->session.emit.samples >= m->options->count)) {
		m->stop = true;
	} else if (!targets_live(m)) {
		log_info(m->log, "monitor", "every process of --pid has ended");
		m->stop = true;
	} else {
		arm(m, now);
	}
	return err;
}

/* Until the end of the run. 0 or -errno of the output. */
static int loop(struct monitor *m)
{
	int err = 0;

	arm(m, m->start);
	while (!m->stop && !err) {
		struct epoll_event events[8];
		int n = epoll_wait(m->epoll_fd, events, ARRAY_SIZE(events), -1);

		for (int i = 0; i < n && !err; i++) {
			switch (events[i].data.u32) {
			case WAKE_TIMER:
				err = on_timer(m);
				break;
			case WAKE_SIGNAL:
				/* What the interval has so far is not lost. */
				err = take_sample(m);
				m->stop = true;
				break;
			case WAKE_RING:
				sources_drain(m->sources);
				break;
			case WAKE_ACTION:
				session_poll(&m->session);
				break;
			}
		}
	}
	return err;
}

/*
 * Gives up what the loop does not need. CAP_BPF and CAP_PERFMON stay, to take back a source that was shed; older kernels
 * want them for every bpf(2) call. A kernel without filters of system calls is no reason not to run.
 */
static int enter_sandbox(struct monitor *m)
{
	static const int keep[] = { CAP_BPF, CAP_PERFMON };
	unsigned int files = m->session.emit.ops->replaces ? SANDBOX_FILES : SANDBOX_OUTPUT;
	int err = sandbox_drop_capabilities(keep, ARRAY_SIZE(keep));

	if (!err)
		err = sandbox_enter(SANDBOX_BPF | (m->options->output ? files : 0));
	if (err == -ENOSYS)
		log_warning(m->log, "monitor", "this kernel has no seccomp filters: running without");
	else if (err)
		log_error(m->log, "monitor", "cannot give up privileges: %s", strerror(-err));
	return err == -ENOSYS ? 0 : err;
}

/* A reader that does not read must not make the rings overflow. */
static void drain_meanwhile(void *context)
{
	struct monitor *m = context;

	sources_drain(m->sources);
}

/* From attaching to the summary. */
static int run(struct monitor *m)
{
	int err, code;

	code = open_sources(m);
	if (code)
		return code;
	m->cpus = sysconf(_SC_NPROCESSORS_ONLN);
	m->snapshot = snapshot_new();
	err = m->snapshot ? open_events(m) : -ENOMEM;
	if (err) {
		log_error(m->log, "monitor", "cannot start: %s", strerror(-err));
		return EXIT_FAILED;
	}
	m->session.emit.output.idle = drain_meanwhile;
	m->session.emit.output.idle_context = m;
	budget_init(&m->budget, m->options->max_overhead, m->options->max_memory);
	/* Opening took its time: the first interval begins now, for all of them. */
	m->start = m->last = clock_monotonic_ns();
	err = sources_restart(m->sources);
	m->end = m->options->duration_ns ? m->start + m->options->duration_ns : UINT64_MAX;
	self_init(&m->self, m->sources);
	if (enter_sandbox(m))
		return EXIT_FAILED;
	if (!err)
		err = write_header(m);
	if (!err)
		err = loop(m);
	if (err && err != -EPIPE)
		log_debug(m->log, "monitor", "the loop ended early: %s", strerror(-err));
	return session_finish(&m->session);
}

int monitor_run(const struct monitor_options *options, const struct log *log)
{
	struct monitor m = { .options = options,
			     .log = log,
			     .self = SELF_INIT,
			     .epoll_fd = -1,
			     .timer_fd = -1,
			     .signal_fd = -1 };
	int code;

	/* A closed pipe and a file that may not grow are errors of write(2), told like any other. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* A replay has no loop: it may be ended at any moment. */
	if (!options->replay)
		block_signals(&m.signals);
	code = session_open(&m.session, options, log);
	if (!code && options->replay)
		code = replay_run(&m.session);
	else if (!code)
		code = parse_pids(&m) ?: run(&m);
	session_close(&m.session);
	sources_close(m.sources);
	self_release(&m.self);
	snapshot_free(m.snapshot);
	cleanup_close_fn(&m.epoll_fd);
	cleanup_close_fn(&m.timer_fd);
	cleanup_close_fn(&m.signal_fd);
	return code;
}
