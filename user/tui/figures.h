/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * figures.h - figures of a snapshot as people read them: rates a second, shares, human units, and "-" for what is not known.
 *
 * Each fills a caller's buffer of FIGURE_LEN bytes and returns it. Intervals are nanoseconds.
 */
#ifndef MBTRACE_TUI_FIGURES_H
#define MBTRACE_TUI_FIGURES_H

#include <stdint.h>

#include "base/units.h"
#include "metric/table.h"

#define FIGURE_LEN UNITS_TEXT_LEN

/* "1.2k", "0.3", "<0.1": so many a second. */
char *figure_rate(uint64_t count, uint64_t interval_ns, char *text);
/* "4.5M": bytes a second. */
char *figure_size_rate(uint64_t bytes, uint64_t interval_ns, char *text);
char *figure_size(uint64_t bytes, char *text);
char *figure_count(uint64_t count, char *text);
/* "37.2", without the sign. */
char *figure_pct(double pct, char *text);
/* Time as a share of the interval, in percent: 100 is one thread all the time. */
char *figure_share(uint64_t ns, uint64_t interval_ns, char *text);
/* A part of a distribution of times: "1.2ms". "-" when it is empty too. */
char *figure_time(const struct dist *d, enum dist_part part, char *text);

/* Any numeric member (of a distribution: a part) as fits its kind and unit: counters as rates, times as shares. */
char *figure_metric(const struct metric *m, enum dist_part part, const void *row,
		    uint64_t interval_ns, char *text);

#endif
