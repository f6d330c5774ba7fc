// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tcp.bpf.c - what each connection did, without a program that runs per packet.
 *
 * DESIGN. The kernel counts bytes, retransmissions and round-trip time of each connection itself, in its tcp_sock. We look at
 * them twice: when the socket reaches TCP_CLOSE (inet_sock_set_state fires before the counters go, for sockets that are
 * replaced by a timewait socket too), and once an interval for those that are open. Either look books what the counters
 * have grown by since the look before to the CPU's totals and to the owner's account: tcp_owners.bpf.h. What is kept of
 * a socket, and how a pass over all of them stays cheap: tcp_sockets.bpf.h.
 *
 * Both looks may meet: a socket dies on one CPU while the pass is at it on another. So what was booked moves by
 * compare-and-swap, and whoever moved it adds the growth: never both. The look at the end is the truth (all
 * counters are at rest then) and may also take back; the one of the pass only adds.
 *
 * The alternatives: programs at tcp_sendmsg and tcp_cleanup_rbuf need fentry or kprobes and run per call; tcp_probe runs per
 * packet; socket local storage would have a listener's storage cloned to its children, but a clone that fails for want
 * of memory makes the kernel drop the connection, and all sockets can only be visited at great cost.
 */
#include "common/bins.bpf.h"
#include "common/kernel.bpf.h"
#include "common/slots.bpf.h"
#include "bpf/tcp.h"
#include "bpf/tcp_owners.bpf.h"
#include "bpf/tcp_sockets.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define IPPROTO_TCP 6
#define SOCK_DONE_BIT (1 << 1) /* of sk_flags: a FIN has come in, enum sock_flags */
#define SHUTDOWN_MASK 3
#define S_IFMT 0170000
#define S_IFSOCK 0140000

/* Set before load. */
const volatile __u32 n_cells = 0;
const volatile __u32 n_accounts = 0;

/* Sockets that are there already: set while the first walks are made. */
volatile bool seeding = false;
struct tcp_found found = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tcp_cpu);
} cpus SEC(".maps");

static __always_inline struct tcp_cpu *this_cpu(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&cpus, &cpu);
}

/* The TCP socket behind a socket of whatever kind, or NULL. */
static __always_inline struct tcp_sock *tcp_of(struct sock *sk, int mode)
{
	if (mode & MODE_DIRECT)
		return bpf_skc_to_tcp_sock(sk);
	return BPF_CORE_READ(sk, sk_protocol) == IPPROTO_TCP ? (struct tcp_sock *)sk : NULL;
}

/* --- booking --- */

struct totals {
	__u64 tx_bytes, rx_bytes, retransmits;
};

static __always_inline void totals_read(struct totals *t, struct tcp_sock *tp, int mode)
{
	__u64 sent = READ(mode, tp, bytes_sent), again = READ(mode, tp, bytes_retrans);
	__u64 received = READ(mode, tp, bytes_received);
	/* A FIN takes a place in the sequence, and bytes_received is a difference of sequence numbers. */
	bool fin = READ(mode, tp, inet_conn.icsk_inet.sk.__sk_common.skc_flags) & SOCK_DONE_BIT;

	t->tx_bytes = sent > again ? sent - again : 0;
	t->rx_bytes = received > fin ? received - fin : 0;
	t->retransmits = READ(mode, tp, total_retrans);
}

static __always_inline void count_rtt(struct tcp_cpu *cpu, struct tcp_sock *tp, int mode)
{
	__u64 rtt = (__u64)(READ(mode, tp, srtt_us) >> 3) * 1000;

	if (!rtt)
		return;
	ADD(cpu->rtt[bin_of(rtt, TCP_BINS)], 1);
	ADD(cpu->rtt_sum, rtt);
}

/* Books what the socket did since the look before to the system. */
static __always_inline void socket_count(struct tcp_cpu *cpu, struct tcp_socket *s,
					 struct tcp_sock *tp, const struct totals *t, bool last,
					 int mode)
{
	__s64 tx = take_growth(&s->tx_counted, t->tx_bytes, last, mode);
	__s64 rx = take_growth(&s->rx_counted, t->rx_bytes, last, mode);
	__s64 retransmits = take_growth(&s->retransmits_counted, t->retransmits, last, mode);

	if (tx)
		ADD(cpu->tx_bytes, tx);
	if (rx)
		ADD(cpu->rx_bytes, rx);
	if (retransmits)
		ADD(cpu->retransmits, retransmits);
	if (tx > 0 || rx > 0)
		count_rtt(cpu, tp, mode);
}

/* And to its owner. */
static __always_inline void socket_book(struct tcp_cpu *cpu, struct tcp_socket *s,
					const struct totals *t, bool last, int mode)
{
	__s64 tx = take_growth(&s->tx_bytes, t->tx_bytes, last, mode);
	__s64 rx = take_growth(&s->rx_bytes, t->rx_bytes, last, mode);
	__s64 retransmits = take_growth(&s->retransmits, t->retransmits, last, mode);
	bool accepted = take_flag(&s->accept_owed, mode);
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

/* Makes the state of a socket; what it did before counts for nothing. NULL, and counted, when there is no room. */
static __always_inline struct tcp_socket *socket_begin(struct tcp_cpu *cpu, struct sock *sk,
						       struct tcp_sock *tp, int mode)
{
	struct tcp_socket *s = socket_make((__u64)sk);
	struct totals t;

	if (!s) {
		ADD(cpu->untracked, 1);
		return NULL;
	}
	totals_read(&t, tp, mode);
	s->tx_bytes = s->tx_counted = t.tx_bytes;
	s->rx_bytes = s->rx_counted = t.rx_bytes;
	s->retransmits = s->retransmits_counted = t.retransmits;
	return s;
}

static __always_inline void on_connect(struct tcp_cpu *cpu, struct sock *sk, struct tcp_sock *tp,
				       int mode)
{
	struct tcp_socket *s = socket_begin(cpu, sk, tp, mode);

	if (!s)
		return;
	socket_give(cpu, s, current_task(mode), mode);
	s->opening = 1;
	s->since = bpf_ktime_get_ns();
}

/* A listener's child, born in softirq. */
static __always_inline void on_child(struct tcp_cpu *cpu, struct sock *sk, struct tcp_sock *tp,
				     int mode)
{
	struct tcp_socket *s = socket_begin(cpu, sk, tp, mode);
	struct listen_key key;
	struct owner *o;

	if (!s)
		return;
	/* SYN-ACKs that were sent again are counted at birth already. */
	s->retransmits = s->retransmits_counted = 0;
	s->provisional = 1;
	ADD(cpu->unnamed, 1);
	listen_key_of(&key, sk);
	o = bpf_map_lookup_elem(&listeners, &key);
	if (o) {
		s->owner = o->key;
		s->start = o->start;
	}
}

static __always_inline void count_opened(struct tcp_cpu *cpu, struct tcp_socket *s)
{
	struct tcp_account *a;

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

static __always_inline void on_established(struct tcp_cpu *cpu, struct tcp_socket *s)
{
	struct tcp_cell *c = cell_of(s);

	s->was_established = 1;
	if (s->opening) {
		count_opened(cpu, s);
	} else {
		ADD(cpu->accepted, 1);
		s->accept_owed = 1;
	}
	if (c)
		c->established = 1;
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

/*
 * An attempt that came to nothing. Of two children that two CPUs made of one handshake the loser goes the same way and means
 * nothing; a child that was there for others to see before it was established is one of fast open.
 */
static __always_inline void count_failed(struct tcp_cpu *cpu, struct tcp_socket *s,
					 struct tcp_sock *tp, int mode)
{
	struct tcp_account *a;

	if (!s->opening && !READ(mode, tp, fastopen_rsk))
		return;
	ADD(cpu->failed, 1);
	a = account_of(cpu, s);
	if (a)
		ADD(a->failed, 1);
}

/* The counters are final: nothing is sent or received in TCP_CLOSE. */
static __always_inline void on_end(struct tcp_cpu *cpu, struct tcp_socket *s, struct tcp_sock *tp,
				   int mode)
{
	struct totals t;

	totals_read(&t, tp, mode);
	socket_count(cpu, s, tp, &t, true, mode);
	socket_book(cpu, s, &t, true, mode);
	if (s->was_established)
		count_closed(cpu, s);
	else
		count_failed(cpu, s, tp, mode);
	if (take_flag(&s->provisional, mode))
		ADD(cpu->unnamed, -1);
	socket_end(s, mode);
}

/* A change of state of a connection that was seen before. */
static __always_inline void on_change(struct tcp_cpu *cpu, struct tcp_socket *s, struct sock *sk,
				      struct tcp_sock *tp, int state, int mode)
{
	struct tcp_cell *c;

	socket_claim(cpu, s, sk, mode);
	if (state == TCP_CLOSE) {
		on_end(cpu, s, tp, mode);
		return;
	}
	/* With fast open a connection may be closed before its handshake was. */
	if (!s->was_established && state != TCP_SYN_RECV)
		on_established(cpu, s);
	if (state == TCP_ESTABLISHED || state == TCP_SYN_RECV)
		return;
	c = cell_of(s);
	if (c) {
		c->established = 0;
		c->eager = 1;
	}
	/* close(), not half a shutdown(): the owner is done with it, and may be gone when the other side is. */
	if (READ(mode, sk, sk_shutdown) == SHUTDOWN_MASK)
		count_closed(cpu, s);
}

/* A connection of which nothing is kept: what the states alone tell still makes the system's counts right. */
static __always_inline void on_untracked(struct tcp_cpu *cpu, int old, int state)
{
	if (state == TCP_ESTABLISHED) {
		if (old == TCP_SYN_SENT)
			ADD(cpu->opened, 1);
		else
			ADD(cpu->accepted, 1);
	} else if (state == TCP_CLOSE) {
		if (old == TCP_SYN_SENT)
			ADD(cpu->failed, 1);
		else if (old != TCP_SYN_RECV)
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

static __always_inline int on_state(struct sock *sk, int old, int state, int mode)
{
	struct tcp_cpu *cpu = this_cpu();
	struct tcp_socket *s;
	struct tcp_sock *tp;

	if (!cpu || is_dull(old, state))
		return 0;
	tp = tcp_of(sk, mode);
	if (!tp)
		return 0;
	ADD(cpu->events, 1);
	if (state == TCP_LISTEN) {
		listener_note(sk, current_task(mode), BPF_ANY, mode);
	} else if (state == TCP_SYN_SENT) {
		on_connect(cpu, sk, tp, mode);
	} else if (old == TCP_LISTEN) {
		on_child(cpu, sk, tp, mode);
	} else {
		s = socket_find((__u64)sk);
		if (s)
			on_change(cpu, s, sk, tp, state, mode);
		else
			on_untracked(cpu, old, state);
	}
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int state_change(u64 *ctx)
{
	return on_state((struct sock *)ctx[0], ctx[1], ctx[2], MODE_DIRECT | MODE_ATOMIC);
}

SEC("raw_tp/inet_sock_set_state")
int state_change_raw(struct bpf_raw_tracepoint_args *ctx)
{
	return on_state((struct sock *)ctx->args[0], ctx->args[1], ctx->args[2], 0);
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

/* Where both directions of a connection stand in the sequence. */
struct position {
	__u32 rcv_nxt, snd_nxt, snd_una;
};

/* These lie close together, in one cache line on kernels since 6.8: one read of this many bytes has them all. */
#define POSITION_BYTES 48

static __always_inline void position_read(struct position *p, struct tcp_sock *tp)
{
	__u32 from = bpf_core_field_offset(struct tcp_sock, rcv_nxt);
	__u32 nxt = bpf_core_field_offset(struct tcp_sock, snd_nxt) - from;
	__u32 una = bpf_core_field_offset(struct tcp_sock, snd_una) - from;
	char bytes[POSITION_BYTES];

	if (nxt > POSITION_BYTES - 4 || una > POSITION_BYTES - 4 ||
	    bpf_probe_read_kernel(bytes, sizeof(bytes), (void *)tp + from)) {
		p->rcv_nxt = BPF_CORE_READ(tp, rcv_nxt);
		p->snd_nxt = BPF_CORE_READ(tp, snd_nxt);
		p->snd_una = BPF_CORE_READ(tp, snd_una);
		return;
	}
	p->rcv_nxt = *(__u32 *)bytes;
	p->snd_nxt = *(__u32 *)(bytes + nxt);
	p->snd_una = *(__u32 *)(bytes + una);
}

/* Books what an open connection did. Returns whether it has to be looked at again wherever it stands. */
static __always_inline bool socket_look(__u64 sock, int mode)
{
	struct tcp_socket *s = bpf_map_lookup_elem(&sockets, &sock);
	struct tcp_sock *tp = (struct tcp_sock *)sock;
	struct tcp_cpu *cpu = this_cpu();
	struct totals t;
	bool again;

	if (!s || !cpu || !socket_enter(s, sock, mode))
		return true;
	totals_read(&t, tp, 0);
	/* If it has ended by now, the socket may be another. */
	if (*(volatile __u64 *)&s->guard != GUARD_DYING) {
		socket_count(cpu, s, tp, &t, false, mode);
		/* Caught between the handshake and accept(): who takes it is known by the next pass, or at its end. */
		if (s->met || !s->provisional || !s->accept_owed)
			socket_book(cpu, s, &t, false, mode);
	}
	s->met = 1;
	again = s->accept_owed;
	socket_leave(s, mode);
	return again;
}

/* Global functions, so that they are verified once and not for each turn of the loop over cells. */
__noinline int socket_look_atomic(__u64 sock)
{
	return socket_look(sock, MODE_ATOMIC);
}

__noinline int socket_look_plain(__u64 sock)
{
	return socket_look(sock, 0);
}

/*
 * Nearly always nothing has moved since the last pass, which takes one cache line of the tcp_sock to see: nothing new in either
 * direction, and nothing that is, or was then, unacknowledged and so could be sent again. Before and after the
 * time of data, retransmissions may be all that moves.
 */
static __always_inline void cell_look(struct tcp_cell *c, int mode)
{
	__u64 sock = *(volatile __u64 *)&c->sock;
	struct position p;
	bool established = c->established, quiet;

	if (!sock)
		return;
	found.sockets++;
	found.established += established;
	position_read(&p, (struct tcp_sock *)sock);
	quiet = established && p.snd_una == p.snd_nxt;
	if (quiet && !c->eager && c->snd_nxt == p.snd_nxt && c->rcv_nxt == p.rcv_nxt)
		return;
	c->snd_nxt = p.snd_nxt;
	c->rcv_nxt = p.rcv_nxt;
	c->eager = !quiet;
	if (mode & MODE_ATOMIC ? socket_look_atomic(sock) : socket_look_plain(sock))
		c->eager = 1;
}

static __always_inline int on_pass(struct bpf_iter__bpf_map_elem *ctx, int mode)
{
	struct tcp_cells *group;
	__u32 *key = ctx->key, number;

	if (!key)
		return 0;
	number = *key;
	group = bpf_map_lookup_elem(&cells, &number);
	if (!group || !group->used)
		return 0;
	for (int i = 0; i < TCP_CELLS; i++)
		cell_look(&group->cells[i], mode);
	return 0;
}

SEC("iter/bpf_map_elem")
int socket_pass(struct bpf_iter__bpf_map_elem *ctx)
{
	return on_pass(ctx, MODE_ATOMIC);
}

SEC("iter/bpf_map_elem")
int socket_pass_plain(struct bpf_iter__bpf_map_elem *ctx)
{
	return on_pass(ctx, 0);
}

/* --- walks that find owners, and what was there before us --- */

/* Starts to follow a socket that was there before us. */
static __always_inline void on_met(struct tcp_cpu *cpu, struct sock *sk, struct tcp_sock *tp,
				   int state, int mode)
{
	struct tcp_socket *s = socket_begin(cpu, sk, tp, mode);
	struct tcp_cell *c = s ? cell_of(s) : NULL;

	if (!c)
		return;
	s->opening = state == TCP_SYN_SENT;
	s->was_established = state != TCP_SYN_SENT && state != TCP_SYN_RECV;
	s->was_closed = BPF_CORE_READ(sk, sk_shutdown) == SHUTDOWN_MASK;
	s->provisional = 1;
	ADD(cpu->unnamed, 1);
	c->established = state == TCP_ESTABLISHED || state == TCP_CLOSE_WAIT;
}

/* A socket that a walk meets: at the start its state is made. */
static __always_inline void socket_meet(struct tcp_cpu *cpu, struct sock *sk,
					struct task_struct *task, int mode)
{
	int state = BPF_CORE_READ(sk, __sk_common.skc_state);
	struct tcp_socket *s;

	if (state == TCP_LISTEN && task)
		listener_note(sk, task, BPF_NOEXIST, 0);
	if (state == TCP_LISTEN || state == TCP_CLOSE)
		return;
	s = socket_find((__u64)sk);
	if (!s && seeding) {
		on_met(cpu, sk, (struct tcp_sock *)sk, state, mode);
		s = socket_find((__u64)sk);
	}
	if (!s || !task || !s->provisional || !socket_enter(s, (__u64)sk, mode))
		return;
	socket_name(cpu, s, task, mode);
	socket_leave(s, mode);
}

static __always_inline int on_file(struct bpf_iter__task_file *ctx, int mode)
{
	struct task_struct *task = ctx->task;
	struct tcp_cpu *cpu = this_cpu();
	struct file *file = ctx->file;
	struct socket *socket;
	struct sock *sk;

	if (!cpu || !task || !file || (BPF_CORE_READ(file, f_inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = BPF_CORE_READ(file, private_data);
	sk = BPF_CORE_READ(socket, sk);
	if (sk && tcp_of(sk, 0))
		socket_meet(cpu, sk, task, mode);
	return 0;
}

SEC("iter/task_file")
int file_walk(struct bpf_iter__task_file *ctx)
{
	return on_file(ctx, MODE_ATOMIC);
}

SEC("iter/task_file")
int file_walk_plain(struct bpf_iter__task_file *ctx)
{
	return on_file(ctx, 0);
}

/* At the start: connections that no process has open (not accepted yet, or closed and still sending). */
static __always_inline int on_socket(struct bpf_iter__tcp *ctx, int mode)
{
	struct sock_common *common = ctx->sk_common;
	struct tcp_cpu *cpu = this_cpu();
	struct tcp_sock *tp = common && cpu ? bpf_skc_to_tcp_sock(common) : NULL;

	if (tp)
		socket_meet(cpu, (struct sock *)tp, NULL, mode);
	return 0;
}

SEC("iter/tcp")
int socket_walk(struct bpf_iter__tcp *ctx)
{
	return on_socket(ctx, MODE_ATOMIC);
}

SEC("iter/tcp")
int socket_walk_plain(struct bpf_iter__tcp *ctx)
{
	return on_socket(ctx, 0);
}

/* Once, before anything is attached: fills the pools, low numbers on top. */
SEC("iter/bpf_map_elem")
int pools_fill(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *group = ctx->key, first, number;

	if (!group)
		return 0;
	first = *group * TCP_CELLS;
	for (int i = 0; i < TCP_CELLS; i++) {
		number = n_cells - 1 - (first + i);
		if (first + i < n_cells)
			bpf_map_push_elem(&cell_free, &number, BPF_ANY);
		number = n_accounts - 1 - (first + i);
		if (first + i < n_accounts)
			bpf_map_push_elem(&account_free, &number, BPF_ANY);
	}
	return 0;
}
