// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tcp.bpf.c - what each connection did, without a program that runs per packet.
 *
 * DESIGN. The kernel counts bytes, retransmissions and round-trip time of each connection itself, in its tcp_sock. We look at them
 * twice: when the socket reaches TCP_CLOSE (inet_sock_set_state fires before the counters go, for sockets that are replaced
 * by a timewait socket too), and once an interval for those that are open. Either look books what the counters have grown
 * by since the look before to the CPU's totals and to the owner's account. The state of a socket (what was booked, who owns
 * it) is in socket local storage, so idle ones cost a few cache lines a pass, and nothing has to be deleted.
 *
 * Both looks may meet: a socket dies on one CPU while the pass is at it on another. So what was booked moves by
 * compare-and-swap, and whoever moved it adds the growth: never both. The look at the end is the truth (all
 * counters are at rest then) and may also take back; the one of the pass only adds.
 *
 * Owner: who called connect() or listen(). A connection from outside inherits its listener's storage (BPF_F_CLONE), and with it
 * a provisional owner. It is made sure by the process that closes it, and for those that stay open by a walk over
 * all open files, run only when there are such sockets, and seldom enough to be cheap; what it moves in between is
 * booked to the listener's process. `current` is trusted only while the socket is locked by a process
 * (sk_lock.owned): in softirq it is anybody.
 *
 * The alternatives: a hash by socket address needs room set in advance and a deletion on every path (it is the fallback, for
 * kernels before 5.12, where storage is not open to these programs or there is no compare-and-swap); programs at
 * tcp_sendmsg and tcp_cleanup_rbuf need fentry or kprobes and run per call; tcp_probe runs per packet.
 */
#include "common/bins.bpf.h"
#include "common/kernel.bpf.h"
#include "common/slots.bpf.h"
#include "tcp.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define IPPROTO_TCP 6
#define SOCK_DONE_BIT (1 << 1) /* of sk_flags: a FIN has come in, enum sock_flags */
#define SHUTDOWN_MASK 3
#define S_IFMT 0170000
#define S_IFSOCK 0140000

/* Sockets that are there already: set while the first walks are made. */
volatile bool seeding = false;
struct tcp_found found = {};

/* What we keep of a socket. What a pass reads of an idle one comes first: with its head it fits a cache line. */
struct tcp_socket {
	__u32 snd_nxt, rcv_nxt; /* at the last look of a pass */
	__u8 quiet; /* and nothing that was sent waited for an answer then */
	__u8 live; /* a connection, or an attempt at one, that has not ended */
	__u8 opening; /* by connect() */
	__u8 was_established;
	__u8 established; /* now, as TcpCurrEstab counts */
	__u8 was_closed; /* has been counted as closed */
	__u8 met; /* by a pass */
	__u8 unused;
	__u64 tx_bytes, rx_bytes, retransmits; /* booked to the owner */
	__u64 tx_counted, rx_counted, retransmits_counted; /* booked to the system */
	__u64 owner; /* process_key(), 0: not known */
	__u64 start; /* of the owner */
	__u32 tgid;
	__u32 slot; /* number of the owner's account + 1; 0: not looked for yet */
	__u64 provisional; /* 1: the owner is inherited, or not known */
	__u64 accept_owed; /* 1: established from outside, but not yet booked to a process */
	__u64 since; /* when connect() was called */
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct tcp_socket);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u64); /* address of the sock */
	__type(value, struct tcp_socket);
} sockets_hash SEC(".maps");

/* Without storage nothing is inherited: who listens where. */
struct listen_key {
	__u64 net; /* address of the struct net */
	__u64 port;
};

struct listen_owner {
	__u64 owner, start, tgid;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct listen_key);
	__type(value, struct listen_owner);
} listeners_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tcp_cpu);
} cpus SEC(".maps");

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

/*
 * Reads a field: by a plain load where the verifier knows the pointer (tp_btf, iterators), by a helper where it does not
 * (raw_tp). `typed` is a constant wherever it is passed; typed programs have storage and compare-and-swap, others the hash.
 */
#define READ(typed, p, field) ((typed) ? (p)->field : BPF_CORE_READ(p, field))
#define ADD(counter, n) ((void)__sync_fetch_and_add(&(counter), (n)))

static __always_inline struct tcp_cpu *this_cpu(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpus, &cpu);
}

/* The TCP socket behind a socket of whatever kind, or NULL. */
static __always_inline struct tcp_sock *tcp_of(struct sock *sk, bool typed)
{
	if (typed)
		return bpf_skc_to_tcp_sock(sk);
	return BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP ? (struct tcp_sock *)sk : NULL;
}

/* The state kept of a socket, made if need be; NULL when there is no room (or, without create, none). */
static __always_inline struct tcp_socket *socket_of(struct sock *sk, bool create, bool typed)
{
	struct tcp_socket *s;
	__u64 key;

	if (typed)
		return bpf_sk_storage_get(&sockets, sk, NULL,
					  create ? BPF_SK_STORAGE_GET_F_CREATE : 0);
	key = (__u64)sk;
	s = bpf_map_lookup_elem(&sockets_hash, &key);
	if (!s && create) {
		struct tcp_socket fresh = {};

		bpf_map_update_elem(&sockets_hash, &key, &fresh, BPF_NOEXIST);
		s = bpf_map_lookup_elem(&sockets_hash, &key);
	}
	return s;
}

/* Sets 1 to 0; true for the one who did. */
static __always_inline bool take_flag(__u64 *flag, bool typed)
{
	if (*(volatile __u64 *)flag != 1)
		return false;
	if (typed)
		return __sync_val_compare_and_swap(flag, 1, 0) == 1;
	*flag = 0;
	return true;
}

/* How far `total` is from what was booked, which it then is. Only the last look may find it behind. */
static __always_inline __s64 take_growth(__u64 *booked, __u64 total, bool last, bool typed)
{
	/* The other look moves it at most once while we are at it. */
#pragma unroll
	for (int i = 0; i < 2; i++) {
		__u64 before = *(volatile __u64 *)booked;

		if (total == before || (total < before && !last))
			return 0;
		if (!typed)
			*booked = total;
		else if (__sync_val_compare_and_swap(booked, before, total) != before)
			continue;
		return total - before;
	}
	return 0;
}

/* --- owners and their accounts --- */

static __always_inline struct task_struct *current_task(bool typed)
{
	return typed ? bpf_get_current_task_btf() : (struct task_struct *)bpf_get_current_task();
}

static __always_inline void socket_own(struct tcp_socket *s, struct task_struct *task, bool typed)
{
	s->tgid = READ(typed, task, tgid);
	s->start = typed ? task->group_leader->start_boottime :
			   BPF_CORE_READ(task, group_leader, start_boottime);
	s->owner = process_key(s->tgid, s->start);
	s->slot = 0;
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
		a->tgid = s->tgid;
		a->start = s->start;
		ADD(cpu->accounts_taken, 1);
	}
	s->slot = number + 1;
	return a;
}

/* Gives the socket to a process that is at hand, whose name is noted: it may be gone when somebody asks. */
static __always_inline void socket_give(struct tcp_cpu *cpu, struct tcp_socket *s,
					struct task_struct *task, bool typed)
{
	struct tcp_account *a;

	socket_own(s, task, typed);
	a = account_of(cpu, s);
	if (a && !a->comm[0])
		BPF_CORE_READ_STR_INTO(&a->comm, task, group_leader, comm);
}

/* The owner of a provisional one is sure now. */
static __always_inline void socket_name(struct tcp_cpu *cpu, struct tcp_socket *s,
					struct task_struct *task, bool typed)
{
	if (!take_flag(&s->provisional, typed))
		return;
	if (s->live)
		ADD(cpu->unnamed, -1);
	socket_give(cpu, s, task, typed);
}

/* A process that has locked the socket is using it. Kernel threads do so on behalf of others. */
static __always_inline void socket_claim(struct tcp_cpu *cpu, struct tcp_socket *s, struct sock *sk,
					 bool typed)
{
	struct task_struct *task;

	if (!s->provisional || !READ(typed, sk, sk_lock.owned))
		return;
	task = current_task(typed);
	if (!(READ(typed, task, flags) & PF_KTHREAD))
		socket_name(cpu, s, task, typed);
}

/* --- booking --- */

struct totals {
	__u64 tx_bytes, rx_bytes, retransmits;
};

static __always_inline void totals_read(struct totals *t, struct tcp_sock *tp, bool typed)
{
	__u64 sent = READ(typed, tp, bytes_sent), again = READ(typed, tp, bytes_retrans);
	__u64 received = READ(typed, tp, bytes_received);
	/* A FIN takes a place in the sequence, and bytes_received is a difference of sequence numbers. */
	bool fin = READ(typed, tp, inet_conn.icsk_inet.sk.__sk_common.skc_flags) & SOCK_DONE_BIT;

	t->tx_bytes = sent > again ? sent - again : 0;
	t->rx_bytes = received > fin ? received - fin : 0;
	t->retransmits = READ(typed, tp, total_retrans);
}

static __always_inline void count_rtt(struct tcp_cpu *cpu, struct tcp_sock *tp, bool typed)
{
	__u64 rtt = (__u64)(READ(typed, tp, srtt_us) >> 3) * 1000;

	if (!rtt)
		return;
	ADD(cpu->rtt[bin_of(rtt, TCP_BINS)], 1);
	ADD(cpu->rtt_sum, rtt);
}

/* Books what the socket did since the look before to the system. */
static __always_inline void socket_count(struct tcp_cpu *cpu, struct tcp_socket *s,
					 struct tcp_sock *tp, const struct totals *t, bool last,
					 bool typed)
{
	__s64 tx = take_growth(&s->tx_counted, t->tx_bytes, last, typed);
	__s64 rx = take_growth(&s->rx_counted, t->rx_bytes, last, typed);
	__s64 retransmits = take_growth(&s->retransmits_counted, t->retransmits, last, typed);

	if (tx)
		ADD(cpu->tx_bytes, tx);
	if (rx)
		ADD(cpu->rx_bytes, rx);
	if (retransmits)
		ADD(cpu->retransmits, retransmits);
	if (tx > 0 || rx > 0)
		count_rtt(cpu, tp, typed);
}

/* And to its owner. */
static __always_inline void socket_book(struct tcp_cpu *cpu, struct tcp_socket *s,
					const struct totals *t, bool last, bool typed)
{
	__s64 tx = take_growth(&s->tx_bytes, t->tx_bytes, last, typed);
	__s64 rx = take_growth(&s->rx_bytes, t->rx_bytes, last, typed);
	__s64 retransmits = take_growth(&s->retransmits, t->retransmits, last, typed);
	bool accepted = take_flag(&s->accept_owed, typed);
	struct tcp_account *a;

	if (!tx && !rx && !retransmits && !accepted)
		return;
	a = account_of(cpu, s);
	if (!a)
		return;
	ADD(a->tx_bytes, tx);
	ADD(a->rx_bytes, rx);
	ADD(a->retransmits, retransmits);
	ADD(a->accepted, accepted);
}

/* --- life of a socket --- */

/* What was done before counts for nothing: the counters as they are now are where growth starts. */
static __always_inline void socket_begin(struct tcp_socket *s, struct tcp_sock *tp, bool typed)
{
	struct totals t;

	totals_read(&t, tp, typed);
	s->tx_bytes = s->tx_counted = t.tx_bytes;
	s->rx_bytes = s->rx_counted = t.rx_bytes;
	s->retransmits = s->retransmits_counted = t.retransmits;
	s->opening = s->was_established = s->established = s->was_closed = s->quiet = s->met = 0;
	s->accept_owed = s->since = 0;
	s->live = 1;
}

static __always_inline void on_connect(struct tcp_cpu *cpu, struct tcp_socket *s,
				       struct tcp_sock *tp, bool typed)
{
	socket_begin(s, tp, typed);
	s->provisional = 0;
	socket_give(cpu, s, current_task(typed), typed);
	s->opening = 1;
	s->since = bpf_ktime_get_ns();
}

static __always_inline void listener_keep(const struct tcp_socket *s, struct sock *sk)
{
	struct listen_key key = { (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net),
				  BPF_CORE_READ(sk, __sk_common.skc_num) };
	struct listen_owner value = { s->owner, s->start, s->tgid };

	bpf_map_update_elem(&listeners_hash, &key, &value, BPF_ANY);
}

static __always_inline void listener_find(struct tcp_socket *s, struct sock *sk)
{
	struct listen_key key = { (__u64)BPF_CORE_READ(sk, __sk_common.skc_net.net),
				  BPF_CORE_READ(sk, __sk_common.skc_num) };
	struct listen_owner *value = bpf_map_lookup_elem(&listeners_hash, &key);

	if (!value)
		return;
	s->owner = value->owner;
	s->start = value->start;
	s->tgid = value->tgid;
}

static __always_inline void on_listen(struct tcp_cpu *cpu, struct tcp_socket *s, struct sock *sk,
				      bool typed)
{
	socket_give(cpu, s, current_task(typed), typed);
	s->live = 0;
	if (!typed)
		listener_keep(s, sk);
}

/* A listener's child, born in softirq: a copy of the listener's storage, if that had one. */
static __always_inline void on_child(struct tcp_cpu *cpu, struct tcp_socket *s, struct sock *sk,
				     struct tcp_sock *tp, bool typed)
{
	socket_begin(s, tp, typed);
	/* SYN-ACKs that were sent again are counted at birth already. */
	s->retransmits = s->retransmits_counted = 0;
	s->provisional = 1;
	ADD(cpu->unnamed, 1);
	if (!typed)
		listener_find(s, sk);
}

static __always_inline void on_established(struct tcp_cpu *cpu, struct tcp_socket *s)
{
	struct tcp_account *a;

	s->was_established = 1;
	s->established = 1;
	if (!s->opening) {
		ADD(cpu->accepted, 1);
		s->accept_owed = 1;
		return;
	}
	ADD(cpu->opened, 1);
	if (s->since) {
		__u64 took = bpf_ktime_get_ns() - s->since;

		ADD(cpu->connect[bin_of(took, TCP_BINS)], 1);
		ADD(cpu->connect_sum, took);
	}
	a = account_of(cpu, s);
	if (a)
		ADD(a->opened, 1);
}

static __always_inline void count_closed(struct tcp_cpu *cpu, struct tcp_socket *s)
{
	struct tcp_account *a;

	if (s->was_closed)
		return;
	s->was_closed = 1;
	ADD(cpu->closed, 1);
	a = account_of(cpu, s);
	if (a)
		ADD(a->closed, 1);
}

static __always_inline void count_failed(struct tcp_cpu *cpu, struct tcp_socket *s)
{
	struct tcp_account *a;

	ADD(cpu->failed, 1);
	a = account_of(cpu, s);
	if (a)
		ADD(a->failed, 1);
}

/* The counters are final: nothing is sent or received in TCP_CLOSE. */
static __always_inline void on_end(struct tcp_cpu *cpu, struct tcp_socket *s, struct tcp_sock *tp,
				   bool typed)
{
	struct totals t;

	if (take_flag(&s->provisional, typed))
		ADD(cpu->unnamed, -1);
	s->live = 0;
	s->established = 0;
	totals_read(&t, tp, typed);
	socket_count(cpu, s, tp, &t, true, typed);
	socket_book(cpu, s, &t, true, typed);
	if (s->was_established)
		count_closed(cpu, s);
	else
		count_failed(cpu, s);
}

/* A change of state of a connection that was seen before. */
static __always_inline void on_change(struct tcp_cpu *cpu, struct tcp_socket *s, struct sock *sk,
				      struct tcp_sock *tp, int state, bool typed)
{
	socket_claim(cpu, s, sk, typed);
	if (state == TCP_CLOSE) {
		on_end(cpu, s, tp, typed);
		return;
	}
	/* With fast open a connection may be closed before its handshake was. */
	if (!s->was_established && state != TCP_SYN_RECV)
		on_established(cpu, s);
	if (state == TCP_ESTABLISHED || state == TCP_SYN_RECV)
		return;
	s->established = 0;
	/* close(), not half a shutdown(): the owner is done with it, and may be gone when the other side is. */
	if (READ(typed, sk, sk_shutdown) == SHUTDOWN_MASK)
		count_closed(cpu, s);
}

/* A connection that has no storage: what the states alone tell still makes the system's counts right. */
static __always_inline void on_untracked(struct tcp_cpu *cpu, int old, int state)
{
	if (state == TCP_ESTABLISHED) {
		if (old == TCP_SYN_SENT)
			ADD(cpu->opened, 1);
		else
			ADD(cpu->accepted, 1);
	} else if (state == TCP_CLOSE) {
		if (old == TCP_SYN_SENT || old == TCP_SYN_RECV)
			ADD(cpu->failed, 1);
		else
			ADD(cpu->closed, 1);
	}
}

/* Changes that tell nothing new: the other side's. */
static __always_inline bool is_dull(int old, int state)
{
	return state == TCP_CLOSE_WAIT || state == TCP_CLOSING || state == TCP_TIME_WAIT ||
	       (state == TCP_FIN_WAIT2 && old != TCP_FIN_WAIT2) ||
	       (state == TCP_CLOSE && (old == TCP_LISTEN || old == TCP_CLOSE));
}

static __always_inline int on_state(struct sock *sk, int old, int state, bool typed)
{
	bool child = old == TCP_LISTEN && state == TCP_SYN_RECV;
	bool birth = child || state == TCP_SYN_SENT || state == TCP_LISTEN;
	struct tcp_cpu *cpu = this_cpu();
	struct tcp_socket *s;
	struct tcp_sock *tp;

	if (!cpu || is_dull(old, state))
		return 0;
	tp = tcp_of(sk, typed);
	if (!tp)
		return 0;
	ADD(cpu->events, 1);
	s = socket_of(sk, birth, typed);
	if (!s) {
		if (birth)
			ADD(cpu->untracked, 1);
		else
			on_untracked(cpu, old, state);
		return 0;
	}
	if (state == TCP_SYN_SENT)
		on_connect(cpu, s, tp, typed);
	else if (state == TCP_LISTEN)
		on_listen(cpu, s, sk, typed);
	else if (child)
		on_child(cpu, s, sk, tp, typed);
	else if (s->live)
		on_change(cpu, s, sk, tp, state, typed);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int state_change(u64 *ctx)
{
	return on_state((struct sock *)ctx[0], ctx[1], ctx[2], true);
}

SEC("raw_tp/inet_sock_set_state")
int state_change_raw(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (struct sock *)ctx->args[0];
	int old = ctx->args[1], state = ctx->args[2];
	__u64 key = (__u64)sk;

	on_state(sk, old, state, false);
	/* The hash does not clean itself; nothing comes after this. */
	if (state == TCP_CLOSE)
		bpf_map_delete_elem(&sockets_hash, &key);
	return 0;
}

/* Neither depends on arguments, which differ between kernels. */
SEC("raw_tp/tcp_send_reset")
int reset_sent(void *ctx)
{
	struct tcp_cpu *cpu = this_cpu();

	if (cpu) {
		ADD(cpu->events, 1);
		ADD(cpu->resets_sent, 1);
	}
	return 0;
}

SEC("raw_tp/tcp_receive_reset")
int reset_received(void *ctx)
{
	struct tcp_cpu *cpu = this_cpu();

	if (cpu) {
		ADD(cpu->events, 1);
		ADD(cpu->resets_received, 1);
	}
	return 0;
}

/* --- the pass over all sockets, once an interval --- */

/*
 * Whether nothing has moved since the last look, as nearly always. Costs one cache line of the tcp_sock: where both
 * directions stand in the sequence, and that nothing is, or was then, to be acknowledged and so could be sent again.
 */
static __always_inline bool is_idle(struct tcp_socket *s, struct tcp_sock *tp)
{
	__u32 snd_nxt = BPF_CORE_READ(tp, snd_nxt), rcv_nxt = BPF_CORE_READ(tp, rcv_nxt);
	bool quiet = BPF_CORE_READ(tp, snd_una) == snd_nxt;

	if (quiet && s->quiet && s->snd_nxt == snd_nxt && s->rcv_nxt == rcv_nxt)
		return true;
	s->snd_nxt = snd_nxt;
	s->rcv_nxt = rcv_nxt;
	s->quiet = quiet;
	return false;
}

static __always_inline int on_pass(struct tcp_socket *s, struct sock *sk, bool typed)
{
	struct tcp_cpu *cpu;
	struct tcp_sock *tp;
	struct totals t;

	found.sockets++;
	found.established += s->established;
	/* Before and after the time of data, retransmissions may be all that moves. */
	if (s->established && is_idle(s, (struct tcp_sock *)sk) && !s->accept_owed)
		return 0;
	cpu = this_cpu();
	tp = tcp_of(sk, typed);
	if (!cpu || !tp)
		return 0;
	totals_read(&t, tp, typed);
	socket_count(cpu, s, tp, &t, false, typed);
	/* Caught between the handshake and accept(): who takes it is known by the next pass, or at its end. */
	if (s->met || !s->provisional || !s->accept_owed)
		socket_book(cpu, s, &t, false, typed);
	s->met = 1;
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int socket_pass(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct tcp_socket *s = ctx->value;
	struct sock *sk = ctx->sk;

	return s && sk && s->live ? on_pass(s, sk, true) : 0;
}

SEC("iter/bpf_map_elem")
int socket_pass_hash(struct bpf_iter__bpf_map_elem *ctx)
{
	struct tcp_socket *s = ctx->value;
	__u64 *key = ctx->key;

	return s && key && s->live ? on_pass(s, (struct sock *)*key, false) : 0;
}

/* --- walks that find owners, and what was there before us --- */

/* Starts to follow a socket that was there before us. */
static __always_inline void socket_seed(struct tcp_cpu *cpu, struct tcp_socket *s,
					struct tcp_sock *tp, int state, bool typed)
{
	socket_begin(s, tp, typed);
	s->live = state != TCP_LISTEN;
	s->opening = state == TCP_SYN_SENT;
	s->was_established = state != TCP_SYN_SENT && state != TCP_SYN_RECV;
	s->established = state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT;
	s->was_closed = READ(typed, tp, inet_conn.icsk_inet.sk.sk_shutdown) == SHUTDOWN_MASK;
	s->provisional = 1;
	if (s->live)
		ADD(cpu->unnamed, 1);
}

/* The socket's state; at the start it is made for those that have none. */
static __always_inline struct tcp_socket *socket_met(struct tcp_cpu *cpu, struct sock *sk,
						     struct tcp_sock *tp, bool typed)
{
	struct tcp_socket *s = socket_of(sk, false, typed);
	int state;

	if (s || !seeding)
		return s;
	state = READ(typed, tp, inet_conn.icsk_inet.sk.__sk_common.skc_state);
	if (state == TCP_CLOSE)
		return NULL;
	s = socket_of(sk, true, typed);
	if (s)
		socket_seed(cpu, s, tp, state, typed);
	else
		ADD(cpu->untracked, 1);
	return s;
}

static __always_inline int on_file(struct task_struct *task, struct sock *sk, bool typed)
{
	struct tcp_cpu *cpu = this_cpu();
	struct tcp_sock *tp = tcp_of(sk, typed);
	struct tcp_socket *s;

	if (!cpu || !tp)
		return 0;
	s = socket_met(cpu, sk, tp, typed);
	if (!s || !s->provisional)
		return 0;
	socket_name(cpu, s, task, typed);
	if (!typed && !s->live)
		listener_keep(s, sk);
	return 0;
}

SEC("iter/task_file")
int file_walk(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	return sk ? on_file(task, sk, true) : 0;
}

/* bpf_sock_from_file() came with 5.11. */
SEC("iter/task_file")
int file_walk_raw(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = socket ? BPF_CORE_READ(socket, sk) : NULL;
	return sk ? on_file(task, sk, false) : 0;
}

/* At the start: connections that no process has open (not accepted yet, or closed and still sending). */
SEC("iter/tcp")
int socket_walk(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct tcp_cpu *cpu = this_cpu();
	struct tcp_sock *tp;

	if (!common || !cpu)
		return 0;
	tp = bpf_skc_to_tcp_sock(common);
	if (tp)
		socket_met(cpu, (struct sock *)tp, tp, true);
	return 0;
}

SEC("iter/tcp")
int socket_walk_raw(struct bpf_iter__tcp *ctx)
{
	struct sock_common *common = ctx->sk_common;
	struct tcp_cpu *cpu = this_cpu();
	struct tcp_sock *tp;

	if (!common || !cpu)
		return 0;
	tp = bpf_skc_to_tcp_sock(common);
	if (tp)
		socket_met(cpu, (struct sock *)tp, tp, false);
	return 0;
}
