/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.h - whether a process is one that --comm and --cgroup ask for: the same live and in a replay. */
#ifndef MBTRACE_METRIC_FILTER_H
#define MBTRACE_METRIC_FILTER_H

#include <stdbool.h>

/* NULL wants any name. Names are compared as far as the kernel keeps them (15 bytes). */
bool filter_comm(const char *wanted, const char *comm);
/* NULL wants any cgroup; else it must be `wanted` or below it. An unknown one (NULL) is not. */
bool filter_cgroup(const char *wanted, const char *cgroup);

#endif
