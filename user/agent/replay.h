/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.h - a run of `monitor` whose samples come from a file of JSON Lines: the same formats, filters and rules. */
#ifndef MBTRACE_AGENT_REPLAY_H
#define MBTRACE_AGENT_REPLAY_H

#include "agent/session.h"

/* Reads options->replay to its end. Returns an exit code. */
int replay_run(struct session *session);

#endif
