/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * firing.h - the alerts that fire now, for formats that show a state and not a stream of records.
 *
 * An alert is told apart by its rule and by the process or row it is about. One that has ended (resolved, or without data) is
 * kept until firing_sweep(), so that its end is shown once.
 */
#ifndef MBTRACE_EXPORT_FIRING_H
#define MBTRACE_EXPORT_FIRING_H

#include <stddef.h>

#include "metric/record.h"

/* The texts are owned; culprits are those of the moment it fired. */
struct firing {
	struct record_alert *alerts; /* state: firing, resolved or nodata */
	size_t n, cap;
};

/* Takes in a record; pending ones are not kept. 0 or -ENOMEM. */
int firing_update(struct firing *f, const struct record_alert *a);
/* Drops the alerts that have ended. */
void firing_sweep(struct firing *f);
void firing_release(struct firing *f);

#endif
