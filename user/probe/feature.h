/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * feature.h - which of the kernel's hooks and features mbtrace can use, one by one: for doctor.
 *
 * Each finding says whether the thing is available, has a fallback here, or is absent, why, and what would mend it.
 * Whoever may load programs gets the truth: a program of two instructions is loaded and attached to each hook, a map of each
 * type is made, and both are gone at once. Whoever may not is told what the kernel's own description (BTF) has.
 */
#ifndef MBTRACE_PROBE_FEATURE_H
#define MBTRACE_PROBE_FEATURE_H

#include <stdbool.h>

enum finding_status { FINDING_AVAILABLE, FINDING_FALLBACK, FINDING_ABSENT };

/* "available", "fallback", "absent". */
const char *finding_status_name(enum finding_status status);

struct finding {
	const char *group; /* "hook", "feature"… */
	char name[64];
	enum finding_status status;
	bool required; /* without it monitor does not run */
	const char *feeds; /* what it is for; NULL: nothing to say */
	char reason[512]; /* why it is not simply available; empty when it is */
	char mend[256]; /* what to do about it; empty: nothing can be done, or needs to be */
};

typedef void finding_add(const struct finding *finding, void *context);

/* Whether this process may load tracing programs: 0, or -errno of the attempt. */
int feature_permission(void);

/* Finds out about every hook and feature. `permitted`: try them. */
void features_examine(bool permitted, finding_add *add, void *context);

/* The mend of whatever lacks privilege. */
extern const char feature_mend_privilege[];

#endif
