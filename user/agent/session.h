/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * session.h - what a run from the kernel and a run from a file have in common: the alert rules, the output, the exit code.
 *
 * Life: session_open() checks the rules and opens the output before anything is attached, so that a mistake costs
 * nothing; session_header(), session_sample() for each sample, session_finish() once, session_close(). When session_fd()
 * is readable, session_poll(). A session reports its errors on the log.
 */
#ifndef MBTRACE_AGENT_SESSION_H
#define MBTRACE_AGENT_SESSION_H

#include "agent/emit.h"
#include "agent/monitor.h"
#include "alert/action.h"
#include "alert/engine.h"

struct session {
	const struct monitor_options *options;
	const struct log *log;
	struct sink_options sink_options;
	struct emit emit;
	struct rule_set rules;
	struct engine *engine; /* NULL: no rules */
	struct action *action; /* NULL: no --on-alert */
};

/* 0 or an exit code, after having said what is wrong. */
int session_open(struct session *s, const struct monitor_options *options, const struct log *log);
/* All of these return 0 or the output's -errno. */
int session_header(struct session *s, const struct record_header *header);
/* Holds the rules against the sample and writes both. */
int session_sample(struct session *s, const struct snapshot *snapshot);
/* Ends alerts, writes the summary, puts the output in its place. Returns the exit code of the run. */
int session_finish(struct session *s);
void session_close(struct session *s);

/* Readable when session_poll() has something to do; -1: never. */
int session_fd(const struct session *s);
void session_poll(struct session *s);

#endif
