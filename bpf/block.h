/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * block.h - what the block I/O programs hand to user space.
 *
 * Everything counts up since load and is shared by all CPUs, which add atomically; user space maps it and takes the growth.
 * "Groups" are those of the kernel's own disk statistics: read, write, discard; whatever is neither read nor discard is a
 * write there too (write zeroes, zone operations, the empty write that carries a flush).
 */
#ifndef MBTRACE_BPF_BLOCK_H
#define MBTRACE_BPF_BLOCK_H

#include "metric/bins.h"

#define BLOCK_NAME_LEN 32 /* DISK_NAME_LEN */
#define BLOCK_PROBES 4 /* rows that are looked at to find a device's */
#define BLOCK_WAYS 4 /* requests in flight that can share a hash */
#define BLOCK_HINTS 1024 /* power of two: processes whose histogram is found without a hash map */

/* The process key of what the kernel writes of its own accord: pages long dirty, or pushed out for memory. */
#define BLOCK_WRITEBACK_KEY 1ull

enum block_group { BLOCK_READ, BLOCK_WRITE, BLOCK_DISCARD, BLOCK_GROUPS };

/*
 * What one device did. Requests that have a latency are counted only by their bin, queue times of 0 (nothing held the request up)
 * by what the other bins leave over. Fields that one event touches together share a cache line, and the CPU
 * where a request starts writes no line that the one where it ends writes.
 */
struct block_row {
	/* Seldom written. */
	unsigned int dev; /* major << 20 | first minor; 0: free */
	unsigned int unused;
	char name[BLOCK_NAME_LEN]; /* the kernel's name when the row was taken */
	unsigned long long uncreated; /* requests with a latency, but without a queue time */
	unsigned long long unstamped; /* requests that were issued, but nobody noted when */
	unsigned long long unused_word;
	/* At the end of a request. */
	unsigned int end_dev, unused_end; /* dev again, so that no other line is read */
	unsigned long long bytes[BLOCK_GROUPS];
	unsigned long long latency_sum, queue_sum; /* ns */
	unsigned long long discards, flushes;
	/* At its start; the last ones seldom. */
	unsigned int start_dev; /* dev again */
	unsigned int stamp_starts; /* the kernel does not note when requests are created: we do */
	unsigned long long started; /* requests with data; upper half: those that began where the one before ended */
	unsigned long long last_end; /* sector after the request started last, without what was merged to it since */
	unsigned long long last_request; /* its address */
	unsigned long long errors;
	unsigned long long untimed[2]; /* reads and writes without a latency: never issued, or unstamped */
	unsigned long long unused_start;
	unsigned int latency[2][BINS_SHORT_COUNT]; /* of reads, of writes: from issue to completion */
	unsigned int queue[BINS_SHORT_COUNT]; /* of both: from creation to issue, if not 0 */
};

_Static_assert(sizeof(struct block_row) == 3 * 64 + 4 * 3 * BINS_SHORT_COUNT, "wire format");

/*
 * One request in flight, or one that has ended and whose address will be used again. The owner's process_key() has a number
 * of the request added, so that an entry two CPUs wrote at once names nobody who exists.
 */
struct block_way {
	unsigned long long request; /* its address; 0: free */
	unsigned long long owner;
};

struct block_set {
	struct block_way way[BLOCK_WAYS];
};

_Static_assert(sizeof(struct block_set) == 64, "a set is a cache line");

/* What we note ourselves of the request in the same way; times in ns, 0: not taken. */
struct block_stamps {
	unsigned long long started[BLOCK_WAYS], issued[BLOCK_WAYS];
	unsigned long long born[BLOCK_WAYS]; /* start_time_ns: tells this use of the request from earlier ones */
};

/* What went wrong. */
struct block_totals {
	unsigned long long set_full; /* requests that began and found no place in the table */
	unsigned long long unowned; /* requests that completed and whose owner is not known */
	unsigned long long rows_full; /* completions on a device that has no row */
	unsigned long long slots_empty; /* a process could not be given its histogram */
	unsigned long long discarded; /* times that would be negative */
};

_Static_assert(sizeof(struct block_totals) == 8 * 5, "wire format");

#endif
