/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device.h - block devices as the kernel's files tell of them: names, kinds and counts.
 *
 * A *request-based* device has a queue of requests, which the block programs see. A *bio-based* one (device mapper, md,
 * zram) passes I/O on or serves it at once, and only /proc/diskstats counts it. Partitions count to their disk.
 *
 *	struct diskstats d;
 *	for (const char *at = text; diskstats_next(&at, &d);) ...
 */
#ifndef MBTRACE_PROBE_DEVICE_H
#define MBTRACE_PROBE_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "metric/snapshot.h"

#define DEVICE_NAME_LEN 32 /* the kernel's DISK_NAME_LEN, with the NUL */

/* One line of /proc/diskstats: totals since boot. */
struct diskstats {
	unsigned int major, minor;
	char name[DEVICE_NAME_LEN]; /* as in sysfs: "cciss!c0d0" */
	uint64_t reads, read_bytes, writes, write_bytes;
	uint64_t discards, discard_bytes, flushes; /* METRIC_NULL before Linux 4.18 and 5.5 */
};

/* Reads the line at *at and moves past it; lines that are not understood are skipped. False at the end. */
bool diskstats_next(const char **at, struct diskstats *ret_line);

/* The name a device is shown by: a path of an nvme multipath device (nvme0c1n2) by its head's (nvme0n2). In place. */
void device_show_name(char *name);

/* The present name of a disk by its number, into DEVICE_NAME_LEN bytes; false when it is gone or hidden. */
bool device_name(unsigned int major, unsigned int minor, char *ret_name);

enum device_kind { DEVICE_PARTITION, DEVICE_REQUEST, DEVICE_BIO };

/* By its name; one that is gone counts as a partition: nothing more will come of it. */
enum device_kind device_kind_of(const char *name);

/* How many request-based disks there are, and whether the kernel notes for all of them when a request is issued. */
unsigned int device_count(bool *ret_all_stamped);

/* The totals of bio-based devices at the last call, so that the next one yields the growth. */
struct device_watch;

/* NULL without memory; device_watch_free() accepts NULL. */
struct device_watch *device_watch_new(void);
void device_watch_free(struct device_watch *w);
/*
 * Adds a row for each bio-based device that did something since the last call, but not where the snapshot has a row of that
 * name already (an nvme multipath head). A NULL snapshot only takes the totals. 0 or -errno.
 */
int device_watch_read(struct device_watch *w, struct snapshot *s);

#endif
