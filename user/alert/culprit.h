/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * culprit.h - the processes behind a system metric.
 *
 * One const table says which process members explain which metric ("system.sched.runq" by runq_ns). What is named
 * are the processes with the largest values of these members in the very sample that fired; for a device or an interface that
 * is their I/O on all of them, since a process is not told apart by device.
 */
#ifndef MBTRACE_ALERT_CULPRIT_H
#define MBTRACE_ALERT_CULPRIT_H

#include "alert/rule.h"
#include "metric/record.h"

/*
 * Fills up to ALERT_CULPRITS processes, largest first, and returns how many; their texts are the snapshot's. 0 where no process
 * explains the metric, where the rule is about a process already, or where it fires on too little of something.
 */
size_t culprits_find(const struct rule *rule, const struct snapshot *s,
		     struct record_culprit *ret_culprits);

#endif
