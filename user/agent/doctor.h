/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * doctor.h - what of mbtrace would work here, found out by looking and, where permitted, by trying.
 *
 * A report is a list of findings, in groups: the sources, the hooks and features of the kernel they rest on, the capabilities
 * of this process, mounts, limits and kernel settings. Changes nothing; what it loads is gone when it returns.
 */
#ifndef MBTRACE_AGENT_DOCTOR_H
#define MBTRACE_AGENT_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "probe/feature.h"

struct doctor_report {
	bool works; /* monitor would run */
	bool tried; /* this process may load programs: hooks and sources were tried */
	char reason[512]; /* why monitor would not run; empty when it would */
	struct finding *findings;
	size_t n, cap;
	bool failed; /* memory ran out: the list is not whole */
};

/* 0 or -ENOMEM; released with doctor_release() in any case. */
int doctor_examine(struct doctor_report *ret_report);
void doctor_release(struct doctor_report *r);

#endif
