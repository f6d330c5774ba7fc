// SPDX-License-Identifier: BSD-2-Clause
#include "probe/probe.h"

#include "probe/all.h"

const struct probe_ops *const probes[] = {
	&sched_probe, &fault_probe, &block_probe, &tcp_probe, &system_probe, NULL,
};

const char *probe_state_name(enum probe_state state)
{
	static const char *const names[] = {
		[PROBE_ABSENT] = "absent",
		[PROBE_DEGRADED] = "degraded",
		[PROBE_ATTACHED] = "attached",
	};

	return names[state];
}
