/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tcp.h - what the TCP programs hand to user space: totals of each CPU and of each process, cumulative since load.
 *
 * Everything is added to with atomics, for a softirq may interrupt a program that is adding on the same CPU. A total may
 * step back by a byte for a moment (a FIN that was taken for data): a reader waits until it is overtaken.
 */
#ifndef MBTRACE_BPF_TCP_H
#define MBTRACE_BPF_TCP_H

#include "metric/bins.h"

#define TCP_COMM_LEN 16

/* Values below 2^40 ns (18 minutes) have their own bins: a connect() may try for minutes. */
#define TCP_BINS ((40 - BINS_SUB_BITS + 1) * BINS_SUB)

/* Cells of sockets (bpf/tcp_sockets.bpf.h) in one group, the value of a map: what one call of a pass looks at. */
#define TCP_CELLS 64

/* The totals of one CPU. */
struct tcp_cpu {
	unsigned long long events; /* changes of state that counted, resets, first sights */
	unsigned long long opened, accepted, closed, failed;
	unsigned long long tx_bytes, rx_bytes, retransmits;
	unsigned long long resets_sent, resets_received;
	unsigned long long untracked; /* a socket could not be given its state: its bytes are not known */
	unsigned long long accounts_full; /* a process could not be given its account */
	unsigned long long unattributed; /* something was counted of a socket whose owner is not known */
	unsigned long long accounts_taken; /* in all, so that a reader knows how far to look */
	unsigned long long unnamed; /* sockets that live and have no sure owner: sum over the CPUs */
	unsigned long long rtt_sum, connect_sum; /* ns */
	unsigned long long rtt[TCP_BINS], connect[TCP_BINS];
};

_Static_assert(sizeof(struct tcp_cpu) == 8 * (17 + 2 * TCP_BINS), "wire format");

/* The totals of one process: a slot of a pool (common/slots.h), but for its content. */
struct tcp_account {
	unsigned long long owner; /* process_key(), 0 when free */
	unsigned long long start; /* boot clock, ns */
	unsigned int tgid; /* in the initial PID namespace */
	unsigned int unused;
	char comm[TCP_COMM_LEN]; /* empty: not known */
	unsigned long long tx_bytes, rx_bytes, retransmits, opened, accepted, closed, failed;
};

_Static_assert(sizeof(struct tcp_account) == 8 * 12, "wire format");

/* What one pass over all sockets found; zeroed by user space before it. */
struct tcp_found {
	unsigned long long sockets; /* connections and attempts at one */
	unsigned long long established; /* as TcpCurrEstab counts: ESTABLISHED and CLOSE_WAIT */
};

#endif
