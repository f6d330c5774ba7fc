/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * redact.h - names hidden behind pseudonyms, for output that leaves the machine.
 *
 * A name gets a number when it is first met and keeps it for the run: the same process is "comm-3" in every record, and
 * nothing of the name can be worked out from that (a hash could be guessed from a list of names). Command lines have no pseudonym: they are
 * "[redacted]", as are names beyond REDACT_MAX_NAMES. Not thread-safe.
 */
#ifndef MBTRACE_EXPORT_REDACT_H
#define MBTRACE_EXPORT_REDACT_H

#include <stddef.h>

#include "base/buf.h"

#define REDACT_MAX_NAMES \
	65536 /* some 6 MiB: a machine that starts more differently named programs in a run is rare */

struct redact;

/* NULL without memory; redact_free() accepts NULL. */
struct redact *redact_new(void);
void redact_free(struct redact *r);

/*
 * The pseudonym of a member's value: `kind` is the member's name ("comm", "cgroup", "cmdline", "host"). NULL stays NULL, and a
 * kind that is not secret (a device) stays as it is. Valid until redact_free().
 */
const char *redact_text(struct redact *r, const char *kind, const char *text);
/* A metric's path or a rule: the values of its filters ([comm=…]) replaced. Appended to `out`. */
void redact_path(struct redact *r, const char *path, struct buf *out);

#endif
