/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tcp_sockets.bpf.h - what tcp.bpf.c keeps of each connection, and where.
 *
 * DESIGN. The state (struct tcp_socket) is in a hash by the sock's address, made when the socket leaves TCP_CLOSE and deleted when it
 * is back there, which every socket reaches. A pass that walked the hash, or socket local storage, would touch five scattered
 * cache lines of each socket: 15 ms for 40,000 idle ones here. So what a pass needs of an idle one is apart, in an array
 * of cells that it reads in order: 3 ms for the same. A cell is found by its number in the state, the state by the address
 * in the cell.
 *
 * Who may touch the state: the events of one socket, which its lock puts in order, and the agent's walks, one at a time. Between
 * the two stands `guard`, moved by compare-and-swap: a walk that has entered a state leaves it before it can be deleted, and if
 * the socket ended meanwhile, it is the walk that deletes it. Elements are used again at once, so a walk looks twice
 * whether it has the one it asked for. Kernels before 5.12 have no compare-and-swap: there an end and a walk that meet within
 * a microsecond may count the same bytes twice.
 *
 * How a program reads and writes is its mode, a constant: what it can do is known when it is compiled.
 */
#ifndef MBTRACE_BPF_TCP_SOCKETS_H
#define MBTRACE_BPF_TCP_SOCKETS_H

#include "common/kernel.bpf.h"
#include "common/slots.bpf.h"
#include "bpf/tcp.h"

enum {
	MODE_DIRECT = 1, /* the verifier knows the socket's type: plain loads; else by a helper */
	MODE_ATOMIC = 2, /* compare-and-swap */
};

#define READ(mode, p, field) ((mode)&MODE_DIRECT ? (p)->field : BPF_CORE_READ(p, field))
#define ADD(counter, n) ((void)__sync_fetch_and_add(&(counter), (n)))

enum { GUARD_FREE, GUARD_LIVE, GUARD_VISITED, GUARD_DYING };

struct tcp_socket {
	__u64 guard;
	__u64 sock; /* its address, the key */
	__u32 cell;
	__u32 slot; /* number of the owner's account + 1; 0: not looked for yet */
	__u64 owner; /* process_key(), 0: not known */
	__u64 start; /* of the owner */
	__u64 tx_bytes, rx_bytes, retransmits; /* booked to the owner */
	__u64 tx_counted, rx_counted, retransmits_counted; /* booked to the system */
	__u64 provisional; /* 1: the owner is inherited, or not known */
	__u64 accept_owed; /* 1: established from outside, but not yet booked to a process */
	__u64 since; /* when connect() was called */
	__u8 opening; /* by connect() */
	__u8 was_established;
	__u8 was_closed; /* has been counted as closed */
	__u8 met; /* by a pass */
	__u32 unused;
};

struct tcp_cell {
	__u64 sock; /* 0: free */
	__u32 snd_nxt, rcv_nxt; /* at the last pass */
	__u8 eager; /* look at it, wherever it stands */
	__u8 established; /* as TcpCurrEstab counts */
	__u8 unused[6];
};

struct tcp_cells {
	__u64 used; /* how many of them */
	struct tcp_cell cells[TCP_CELLS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, __u64); /* address of the sock */
	__type(value, struct tcp_socket);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tcp_cells);
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__uint(key_size, 0);
	__uint(value_size, 4);
} cell_free SEC(".maps");

static __always_inline struct tcp_cell *cell_of(const struct tcp_socket *s)
{
	__u32 number = s->cell / TCP_CELLS;
	struct tcp_cells *group = bpf_map_lookup_elem(&cells, &number);

	return group ? &group->cells[s->cell % TCP_CELLS] : NULL;
}

static __always_inline void cell_use(__u32 cell, __u64 sock)
{
	__u32 number = cell / TCP_CELLS;
	struct tcp_cells *group = bpf_map_lookup_elem(&cells, &number);
	struct tcp_cell *c;

	if (!group)
		return;
	c = &group->cells[cell % TCP_CELLS];
	c->eager = 1;
	c->established = 0;
	ADD(group->used, 1);
	*(volatile __u64 *)&c->sock = sock;
}

static __always_inline void cell_release(__u32 cell)
{
	__u32 number = cell / TCP_CELLS;
	struct tcp_cells *group = bpf_map_lookup_elem(&cells, &number);

	if (!group)
		return;
	group->cells[cell % TCP_CELLS].sock = 0;
	ADD(group->used, -1);
	bpf_map_push_elem(&cell_free, &cell, BPF_ANY);
}

static __always_inline struct tcp_socket *socket_find(__u64 sock)
{
	struct tcp_socket *s = bpf_map_lookup_elem(&sockets, &sock);

	return s && s->guard != GUARD_DYING ? s : NULL;
}

/* The state of a socket that begins, empty; NULL when there is no room. */
static __noinline struct tcp_socket *socket_make(__u64 sock)
{
	struct tcp_socket fresh = { .guard = GUARD_LIVE, .sock = sock };
	struct tcp_socket *old = bpf_map_lookup_elem(&sockets, &sock);

	/* Its predecessor at this address is still being left, or its end was missed: begin again in its place. */
	if (old) {
		if (old->guard != GUARD_LIVE)
			return NULL;
		fresh.cell = old->cell;
		*old = fresh;
		return old;
	}
	if (bpf_map_pop_elem(&cell_free, &fresh.cell))
		return NULL;
	if (bpf_map_update_elem(&sockets, &sock, &fresh, BPF_NOEXIST)) {
		bpf_map_push_elem(&cell_free, &fresh.cell, BPF_ANY);
		return NULL;
	}
	cell_use(fresh.cell, sock);
	return bpf_map_lookup_elem(&sockets, &sock);
}

static __always_inline void socket_delete(__u64 sock, __u32 cell)
{
	cell_release(cell);
	bpf_map_delete_elem(&sockets, &sock);
}

/* The end of a socket: deletes its state, or leaves that to the walk that is in it. */
static __always_inline void socket_end(struct tcp_socket *s, int mode)
{
	if (mode & MODE_ATOMIC) {
		if (__sync_val_compare_and_swap(&s->guard, GUARD_LIVE, GUARD_DYING) == GUARD_VISITED &&
		    __sync_val_compare_and_swap(&s->guard, GUARD_VISITED, GUARD_DYING) ==
			    GUARD_VISITED)
			return;
	}
	socket_delete(s->sock, s->cell);
}

/* A walk enters the state of this socket; false when it has ended. */
static __always_inline bool socket_enter(struct tcp_socket *s, __u64 sock, int mode)
{
	if (!(mode & MODE_ATOMIC))
		return s->sock == sock;
	if (__sync_val_compare_and_swap(&s->guard, GUARD_LIVE, GUARD_VISITED) != GUARD_LIVE)
		return false;
	if (s->sock == sock)
		return true;
	/* Somebody else's by now. */
	if (__sync_val_compare_and_swap(&s->guard, GUARD_VISITED, GUARD_LIVE) == GUARD_DYING)
		socket_delete(s->sock, s->cell);
	return false;
}

static __always_inline void socket_leave(struct tcp_socket *s, int mode)
{
	if ((mode & MODE_ATOMIC) &&
	    __sync_val_compare_and_swap(&s->guard, GUARD_VISITED, GUARD_LIVE) == GUARD_DYING)
		socket_delete(s->sock, s->cell);
}

/* Sets 1 to 0; true for the one who did. */
static __always_inline bool take_flag(__u64 *flag, int mode)
{
	if (*(volatile __u64 *)flag != 1)
		return false;
	if (mode & MODE_ATOMIC)
		return __sync_val_compare_and_swap(flag, 1, 0) == 1;
	*flag = 0;
	return true;
}

/* How far `total` is from what was booked, which it then is. Only the last look may find it behind. */
static __always_inline __s64 take_growth(__u64 *booked, __u64 total, bool last, int mode)
{
	/* The other side moves it at most once while we are at it. */
#pragma unroll
	for (int i = 0; i < 2; i++) {
		__u64 before = *(volatile __u64 *)booked;

		if (total == before || (total < before && !last))
			return 0;
		if (!(mode & MODE_ATOMIC))
			*booked = total;
		else if (__sync_val_compare_and_swap(booked, before, total) != before)
			continue;
		return total - before;
	}
	return 0;
}

#endif
