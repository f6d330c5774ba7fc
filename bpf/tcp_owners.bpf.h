/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tcp_owners.bpf.h - to which process a connection belongs, and the account in which that is booked.
 *
 * DESIGN. The owner is who called connect(). A connection from outside is established in softirq, when nobody is at hand: it gets a
 * provisional owner, who called listen() on its port. It is made sure by the process that closes it, and for those that
 * stay open by a walk over all open files, run only when there are such sockets, and seldom enough to be cheap; what they
 * move in between is booked to the listener's process. `current` is trusted only while the socket is locked by a
 * process (sk_lock.owned): in softirq it is anybody.
 */
#ifndef MBTRACE_BPF_TCP_OWNERS_H
#define MBTRACE_BPF_TCP_OWNERS_H

#include "common/kernel.bpf.h"
#include "common/slots.bpf.h"
#include "bpf/tcp.h"
#include "bpf/tcp_sockets.bpf.h"

#define LISTENERS 1024 /* more ports than that: the owner guessed is nobody until it is known */

/* Who listens where: the guess for connections from outside. Of two processes on one port the later one. */
struct listen_key {
	__u64 net; /* address of the struct net */
	__u64 port;
};

struct owner {
	__u64 key; /* process_key() */
	__u64 start;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, LISTENERS);
	__type(key, struct listen_key);
	__type(value, struct owner);
} listeners SEC(".maps");

/* A pool as DEFINE_SLOTS makes, of accounts. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tcp_account);
} accounts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64);
	__type(value, __u32);
} account_owners SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__uint(key_size, 0);
	__uint(value_size, 4);
} account_free SEC(".maps");

static __always_inline struct task_struct *current_task(int mode)
{
	return mode & MODE_DIRECT ? bpf_get_current_task_btf() :
				    (struct task_struct *)bpf_get_current_task();
}

static __always_inline void owner_of(struct owner *o, struct task_struct *task, int mode)
{
	o->start = mode & MODE_DIRECT ? task->group_leader->start_boottime :
					BPF_CORE_READ(task, group_leader, start_boottime);
	o->key = process_key(READ(mode, task, tgid), o->start);
}

static __always_inline void listen_key_of(struct listen_key *key, struct sock *sk)
{
	key->net = (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net);
	key->port = BPF_CORE_READ(sk, __sk_common.skc_num);
}

/* Notes who listens on this socket's port. */
static __always_inline void listener_note(struct sock *sk, struct task_struct *task, __u64 flags,
					  int mode)
{
	struct listen_key key;
	struct owner o;

	listen_key_of(&key, sk);
	owner_of(&o, task, mode);
	bpf_map_update_elem(&listeners, &key, &o, flags);
}

/* The account of the socket's owner; NULL (and counted) when there is none to be had. */
static __always_inline struct tcp_account *account_of(struct tcp_cpu *cpu, struct tcp_socket *s)
{
	__u32 number = s->slot - 1;
	__u64 owner = s->owner;
	struct tcp_account *a;

	if (!owner) {
		ADD(cpu->unattributed, 1);
		return NULL;
	}
	a = bpf_map_lookup_elem(&accounts, &number);
	if (a && a->owner == owner)
		return a;
	number = slot_take(&accounts, &account_owners, &account_free, owner);
	a = number == SLOT_NONE ? NULL : bpf_map_lookup_elem(&accounts, &number);
	if (!a) {
		ADD(cpu->accounts_full, 1);
		return NULL;
	}
	if (!a->start) {
		a->tgid = owner >> 42; /* process_key() */
		a->start = s->start;
		ADD(cpu->accounts_taken, 1);
	}
	s->slot = number + 1;
	return a;
}

/* Gives the socket to a process that is at hand, whose name is noted: it may be gone when somebody asks. */
static __always_inline void socket_give(struct tcp_cpu *cpu, struct tcp_socket *s,
					struct task_struct *task, int mode)
{
	struct tcp_account *a;
	struct owner o;

	owner_of(&o, task, mode);
	s->owner = o.key;
	s->start = o.start;
	s->slot = 0;
	a = account_of(cpu, s);
	if (a && !a->comm[0])
		BPF_CORE_READ_STR_INTO(&a->comm, task, group_leader, comm);
}

/* The owner of a provisional one is sure now. */
static __always_inline void socket_name(struct tcp_cpu *cpu, struct tcp_socket *s,
					struct task_struct *task, int mode)
{
	if (!take_flag(&s->provisional, mode))
		return;
	ADD(cpu->unnamed, -1);
	socket_give(cpu, s, task, mode);
}

/* A process that has locked the socket is using it. Kernel threads do so on behalf of others. */
static __always_inline void socket_claim(struct tcp_cpu *cpu, struct tcp_socket *s, struct sock *sk,
					 int mode)
{
	struct task_struct *task;

	if (!s->provisional || !READ(mode, sk, sk_lock.owned))
		return;
	task = current_task(mode);
	if (!(READ(mode, task, flags) & PF_KTHREAD))
		socket_name(cpu, s, task, mode);
}

#endif
