/* SPDX-License-Identifier: BSD-2-Clause */
/* all.h - the row of operations of each probe, defined in the file of its name. */
#ifndef MBTRACE_PROBE_ALL_H
#define MBTRACE_PROBE_ALL_H

#include "probe/probe.h"

extern const struct probe_ops sched_probe, fault_probe, block_probe, tcp_probe, system_probe;

#endif
