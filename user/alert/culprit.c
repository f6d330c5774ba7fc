// SPDX-License-Identifier: BSD-2-Clause
#include "alert/culprit.h"

#include <string.h>

#include "base/macros.h"

#define MEMBERS_MAX 2

/* A metric, or all whose path begins so, is explained by the sum of these process members. The first row that fits counts. */
static const struct explanation {
	enum metric_scope scope;
	const char *metric; /* ends in ".": a whole group; "": the whole scope */
	bool low; /* it is bad when it is low */
	const char *members[MEMBERS_MAX];
	const char *shown; /* as the record names them */
} explanations[] = {
	{ SCOPE_SYSTEM, "cpu.iowait_pct", false, { "iowait_ns" }, "process.iowait_ns" },
	{ SCOPE_SYSTEM, "cpu.", false, { "cpu_pct" }, "process.cpu_pct" },
	{ SCOPE_SYSTEM, "sched.runq", false, { "runq_ns" }, "process.runq_ns" },
	{ SCOPE_SYSTEM, "sched.oncpu", false, { "cpu_ns" }, "process.cpu_ns" },
	{ SCOPE_SYSTEM,
	  "sched.switches",
	  false,
	  { "voluntary", "involuntary" },
	  "process.voluntary+involuntary" },
	{ SCOPE_SYSTEM, "sched.migrations", false, { "migrations" }, "process.migrations" },
	{ SCOPE_SYSTEM, "memory.available_bytes", true, { "rss_bytes" }, "process.rss_bytes" },
	{ SCOPE_SYSTEM, "memory.", false, { "rss_bytes" }, "process.rss_bytes" },
	{ SCOPE_SYSTEM, "fault.major", false, { "majflt" }, "process.majflt" },
	{ SCOPE_SYSTEM, "fault.minor", false, { "minflt" }, "process.minflt" },
	{ SCOPE_SYSTEM, "fault.", false, { "minflt", "majflt" }, "process.minflt+majflt" },
	{ SCOPE_SYSTEM, "block.reads", false, { "reads" }, "process.reads" },
	{ SCOPE_SYSTEM, "block.writes", false, { "writes" }, "process.writes" },
	{ SCOPE_SYSTEM, "block.read_bytes", false, { "read_bytes" }, "process.read_bytes" },
	{ SCOPE_SYSTEM, "block.write_bytes", false, { "write_bytes" }, "process.write_bytes" },
	{ SCOPE_SYSTEM, "block.", false, { "read_bytes", "write_bytes" }, "process.read_bytes+write_bytes" },
	{ SCOPE_SYSTEM, "tcp.tx_bytes", false, { "tx_bytes" }, "process.tx_bytes" },
	{ SCOPE_SYSTEM, "tcp.rx_bytes", false, { "rx_bytes" }, "process.rx_bytes" },
	{ SCOPE_SYSTEM, "tcp.retransmits", false, { "retransmits" }, "process.retransmits" },
	{ SCOPE_SYSTEM, "tcp.opened", false, { "opened" }, "process.opened" },
	{ SCOPE_SYSTEM, "tcp.connect", false, { "opened" }, "process.opened" },
	{ SCOPE_SYSTEM, "tcp.accepted", false, { "accepted" }, "process.accepted" },
	{ SCOPE_SYSTEM, "tcp.closed", false, { "closed" }, "process.closed" },
	{ SCOPE_SYSTEM, "tcp.failed", false, { "failed" }, "process.failed" },
	{ SCOPE_SYSTEM, "tcp.", false, { "tx_bytes", "rx_bytes" }, "process.tx_bytes+rx_bytes" },
	{ SCOPE_SYSTEM, "pressure.cpu_some_pct", false, { "runq_ns" }, "process.runq_ns" },
	{ SCOPE_SYSTEM, "pressure.", false, { "iowait_ns" }, "process.iowait_ns" },
	{ SCOPE_DEVICE, "reads", false, { "reads" }, "process.reads" },
	{ SCOPE_DEVICE, "writes", false, { "writes" }, "process.writes" },
	{ SCOPE_DEVICE, "read_bytes", false, { "read_bytes" }, "process.read_bytes" },
	{ SCOPE_DEVICE, "write_bytes", false, { "write_bytes" }, "process.write_bytes" },
	{ SCOPE_DEVICE, "", false, { "read_bytes", "write_bytes" }, "process.read_bytes+write_bytes" },
	{ SCOPE_INTERFACE, "rx_bytes", false, { "rx_bytes" }, "process.rx_bytes" },
	{ SCOPE_INTERFACE, "tx_bytes", false, { "tx_bytes" }, "process.tx_bytes" },
	{ SCOPE_INTERFACE, "", false, { "tx_bytes", "rx_bytes" }, "process.tx_bytes+rx_bytes" },
};

static bool fits(const struct explanation *e, const struct metric *m)
{
	size_t len = strlen(e->metric);
	bool group = !len || e->metric[len - 1] == '.';

	return e->scope == m->scope &&
	       (group ? strncmp(m->name, e->metric, len) : strcmp(m->name, e->metric)) == 0;
}

static const struct explanation *explain(const struct rule *rule)
{
	bool fires_low = rule->fire.op == RULE_LT || rule->fire.op == RULE_LE;
	bool fires_high = rule->fire.op == RULE_GT || rule->fire.op == RULE_GE;

	for (size_t i = 0; i < ARRAY_SIZE(explanations); i++)
		if (fits(&explanations[i], rule->metric))
			return (explanations[i].low ? fires_high : fires_low) ? NULL :
										&explanations[i];
	return NULL;
}

static const struct metric *process_member(const char *name)
{
	for (size_t i = 0; i < metric_count; i++)
		if (metrics[i].scope == SCOPE_PROCESS && strcmp(metrics[i].name, name) == 0)
			return &metrics[i];
	return NULL;
}

/* What the process had part in; 0 where nothing of it is known. */
static double part_of(const struct process_metrics *p, const struct metric *const *members)
{
	double sum = 0, value;

	for (size_t i = 0; i < MEMBERS_MAX && members[i]; i++)
		if (metric_value(members[i], p, PART_NONE, &value))
			sum += value;
	return sum;
}

size_t culprits_find(const struct rule *rule, const struct snapshot *s,
		     struct record_culprit *ret_culprits)
{
	const struct explanation *e = explain(rule);
	const struct metric *members[MEMBERS_MAX] = { NULL };
	size_t n = 0;

	if (!e)
		return 0;
	for (size_t i = 0; i < MEMBERS_MAX && e->members[i]; i++)
		members[i] = process_member(e->members[i]);
	for (size_t i = 0; i < s->n_processes; i++) {
		const struct process_metrics *p = &s->processes[i];
		double value = part_of(p, members);
		size_t at = n;

		while (at > 0 && ret_culprits[at - 1].value < value)
			at--;
		if (value <= 0 || at >= ALERT_CULPRITS)
			continue;
		n = MIN(n + 1, ALERT_CULPRITS);
		memmove(ret_culprits + at + 1, ret_culprits + at,
			(n - at - 1) * sizeof(*ret_culprits));
		ret_culprits[at] = (struct record_culprit){ p->pid, p->comm, value, e->shown };
	}
	return n;
}
