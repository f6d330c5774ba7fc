// SPDX-License-Identifier: BSD-2-Clause
#include "agent/replay.h"

#include <string.h>

#include "base/macros.h"
#include "base/units.h"
#include "export/replay.h"
#include "metric/filter.h"

DEFINE_CLEANUP(struct replay *, replay_close)

/* Whether --pid names this process. */
static bool is_named(const char *pids, uint64_t pid)
{
	while (*pids) {
		char *end;

		if (strtoull(pids, &end, 10) == pid)
			return true;
		pids = *end ? end + 1 : end;
	}
	return false;
}

static bool is_wanted(const struct monitor_options *o, const struct process_metrics *p)
{
	return (!o->pids || is_named(o->pids, p->pid)) && filter_comm(o->comm, p->comm) &&
	       filter_cgroup(o->cgroup, p->cgroup);
}

/* Drops the rows that the filters do not let through: what stays changes places with what goes. */
static void filter_rows(const struct monitor_options *o, struct snapshot *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_processes; i++) {
		struct process_metrics row = s->processes[i];

		if (!is_wanted(o, &row))
			continue;
		s->processes[i] = s->processes[kept];
		s->processes[kept++] = row;
	}
	s->n_processes = kept;
}

/* Whether what is replayed is all of the file. */
static bool is_whole(const struct session *session)
{
	const struct monitor_options *o = session->options;

	return !session->engine && !o->pids && !o->comm && !o->cgroup && !o->count;
}

/* Hands one record on; 0 or the output's -errno. */
static int take_record(struct session *session, const struct replay_record *record)
{
	switch (record->kind) {
	case REPLAY_HEADER:
		return session_header(session, record->header);
	case REPLAY_SAMPLE:
		filter_rows(session->options, record->sample);
		return session_sample(session, record->sample);
	case REPLAY_ALERT:
		/* Alerts of then are of use only where no rules are given now. */
		return session->engine ? 0 : emit_alert(&session->emit, record->alert);
	case REPLAY_SUMMARY:
		/* It knows more than the samples (idle rows, bins), but only of the whole run with its own rules. */
		return is_whole(session) ? emit_summary(&session->emit, record->summary) : 0;
	default:
		return 0;
	}
}

int replay_run(struct session *session)
{
	const struct monitor_options *o = session->options;
	CLEANUP(replay_close) struct replay *replay = NULL;
	struct replay_record record;
	int err = replay_open(o->replay, &replay), code;
	bool begun = false;

	if (err) {
		log_error(session->log, "replay", "%s: %s", o->replay, strerror(-err));
		return EXIT_FAILED;
	}
	while ((err = replay_next(replay, &record)) == 0 && record.kind != REPLAY_END) {
		begun = true;
		if (take_record(session, &record))
			break; /* session_finish() tells */
		session_poll(session);
		if (o->count && session->emit.samples >= o->count)
			break;
	}
	if (err == -EBADMSG)
		log_error(session->log, "replay", "%s", replay_error(replay));
	else if (err)
		log_error(session->log, "replay", "%s: %s", o->replay, strerror(-err));
	/* Of a file without a record there is nothing to sum up, and nothing to put in an output's place. */
	if (err && !begun)
		return EXIT_FAILED;
	code = session_finish(session);
	return err ? EXIT_FAILED : code;
}
