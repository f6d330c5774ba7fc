/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fault.h - what fault.bpf.c tells user space: the totals of one CPU. */
#ifndef MBTRACE_BPF_FAULT_H
#define MBTRACE_BPF_FAULT_H

#include "metric/bins.h"

struct fault_cpu {
	unsigned long long latency_sum; /* ns */
	unsigned long long begin_failed; /* a thread could not be given a mark */
	unsigned long long slots_empty; /* a process could not be given its histogram */
	unsigned long long discarded; /* an end whose beginning was overwritten, or lies after it */
	unsigned long long latency[BINS_COUNT];
};

_Static_assert(sizeof(struct fault_cpu) == 8 * (4 + BINS_COUNT), "wire format");

#endif
