/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * block.h - the parts of the table around the processes: the system's figures above them, alerts, cost and trust below.
 */
#ifndef MBTRACE_TUI_BLOCK_H
#define MBTRACE_TUI_BLOCK_H

#include "export/firing.h"
#include "export/view.h"
#include "tui/screen.h"

/* What the header record said, kept. */
struct about {
	char version[32], host[64], kernel[64];
	unsigned int cpus;
	char absent[SOURCE_COUNT][160]; /* why a source is not there; empty: it is */
};

void about_set(struct about *a, const struct record_header *h, struct view *v);

/* The system's lines; at most max_rows devices (0: all that did something). */
void block_system(struct screen *out, const struct about *a, const struct snapshot *s,
		  unsigned int max_rows);
/* One line for each alert that fires or has just ended, at most max_rows (0: all). */
void block_alerts(struct screen *out, struct view *v, const struct firing *f, uint64_t now_ns,
		  unsigned int max_rows);
/* The tool's own cost, and the trust line, last: BLOCK_TRUST_LINES lines. */
#define BLOCK_TRUST_LINES 2
void block_trust(struct screen *out, const struct snapshot *s, const struct trust_metrics *trust);

#endif
