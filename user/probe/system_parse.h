/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * system_parse.h - the texts of /proc that hold figures of the whole system, parsed. Pure: text in, numbers out.
 *
 * Each parser takes a whole file's text, skips what it does not know and returns 0, or -EBADMSG when what must be there is
 * not. Lines that only some kernels have leave METRIC_NULL. Ticks are those of sysconf(_SC_CLK_TCK).
 */
#ifndef MBTRACE_PROBE_SYSTEM_PARSE_H
#define MBTRACE_PROBE_SYSTEM_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "metric/snapshot.h"

/* Time of all CPUs since boot, in ticks; guests' time is in `user` already. */
struct cpu_times {
	uint64_t user, system, idle, iowait, steal; /* nice is user; interrupts are system */
};

/* /proc/stat */
struct stat_figures {
	struct cpu_times cpu;
	unsigned int cpus; /* online */
	uint64_t switches;
};

/* /proc/meminfo, in bytes */
struct memory_figures {
	uint64_t total, available, swap_used;
};

/* /proc/vmstat */
struct fault_figures {
	uint64_t all, major;
};

/* /proc/pressure/X: µs since boot in which some or all tasks stalled */
struct pressure_figures {
	uint64_t some_us, full_us;
};

#define INTERFACE_NAME_LEN 16 /* IFNAMSIZ */

/* One line of /proc/net/dev */
struct interface_figures {
	char name[INTERFACE_NAME_LEN];
	uint64_t rx_bytes, rx_dropped, tx_bytes, tx_dropped;
};

int stat_parse(const char *text, struct stat_figures *ret_stat);
int memory_parse(const char *text, struct memory_figures *ret_memory);
int fault_parse(const char *text, struct fault_figures *ret_fault);
int pressure_parse(const char *text, struct pressure_figures *ret_pressure);
/* Reads the next interface and moves *text past its line; false at the end. The two lines of heading are skipped. */
bool interface_parse(const char **text, struct interface_figures *ret_interface);

/*
 * What the CPUs did between two readings, as shares of all CPUs' time. `capacity` is the ticks that the online CPUs had;
 * it stands in for the idle time when that counter makes no sense (it jumps when a CPU comes or goes). All are NAN
 * when not even a tick passed.
 */
void cpu_shares(const struct cpu_times *before, const struct cpu_times *after, double capacity,
		struct system_metrics *ret_shares);

/* The share of `elapsed_ns` that a pressure counter grew by; NAN when one is METRIC_NULL or no time passed. */
double pressure_share(uint64_t before_us, uint64_t after_us, uint64_t elapsed_ns);

#endif
