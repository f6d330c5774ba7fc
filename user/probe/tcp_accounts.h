/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tcp_accounts.h - user space's side of the pool of per-process TCP accounts (struct tcp_account of bpf/tcp.h).
 *
 * The life of a slot is that of slots.h: programs take one for a process at its first event and find it by the process's key;
 * here a slot whose account did not grow between two reads is taken back, rests until a further read finds that no late count
 * reached it, and is free again. The time is short so that thousands of processes that live for a moment fit.
 * The functions that judge an account are apart from the map's calls, and are tested without a kernel.
 */
#ifndef MBTRACE_PROBE_TCP_ACCOUNTS_H
#define MBTRACE_PROBE_TCP_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/tcp.h"

struct bpf_map;

/* What a process did since the last read. */
struct tcp_growth {
	uint64_t tx_bytes, rx_bytes, retransmits, opened, accepted, closed, failed;
};

/* What is remembered of a slot. */
struct tcp_account_memory {
	uint64_t owner; /* as of the last read; kept while the slot rests */
	bool resting;
	struct tcp_growth totals; /* as of the last read */
};

enum tcp_account_step {
	TCP_ACCOUNT_NOTHING,
	TCP_ACCOUNT_GREW,
	TCP_ACCOUNT_RETIRE,
	TCP_ACCOUNT_PUT_BACK
};

/* Looks at one slot: what is to be done with it, and in ret_growth what it grew by (only with TCP_ACCOUNT_GREW). */
enum tcp_account_step tcp_account_judge(const struct tcp_account *account,
					struct tcp_account_memory *memory,
					struct tcp_growth *ret_growth);

struct tcp_accounts {
	struct tcp_account *accounts; /* mapped, shared with the programs */
	struct tcp_account_memory *memory;
	uint32_t n;
	int owners_fd, free_fd;
};

/* After load; the stack of free slots is filled by a program. 0 or -errno; tcp_accounts_close() accepts a half-opened or zeroed pool. */
int tcp_accounts_open(struct tcp_accounts *a, const struct bpf_map *accounts,
		      const struct bpf_map *owners, const struct bpf_map *free);
void tcp_accounts_close(struct tcp_accounts *a);

/* Calls `each` for every account that grew. `taken`: how often programs have taken a slot so far; none beyond is in use. */
void tcp_accounts_read(struct tcp_accounts *a, uint64_t taken,
		       void (*each)(const struct tcp_account *account,
				    const struct tcp_growth *growth, void *context),
		       void *context);

#endif
