// SPDX-License-Identifier: BSD-2-Clause
/*
 * tcp - connections of known number and size, and what the kernel's tcp_info says of them.
 *
 * A server process listens and accepts (or, with --workers, children of it accept: prefork); client processes connect one
 * connection after another, send --send bytes, receive --receive bytes, and close. Each process notes what it did; all is
 * printed as one JSON object at the end:
 *
 *	{"processes":[{"role":"client","pid":…,"opened":…,"accepted":…,"closed":…,"failed":…,"tx_bytes":…,"rx_bytes":…,
 *	               "info_tx_bytes":…,"info_rx_bytes":…,"retransmits":…,"rtt_ns":…}, …]}
 *
 * tx_bytes and rx_bytes are what read() and write() said; info_*, retransmits and rtt_ns (a sum over the connections) are of
 * tcp_info before the close. With --hold all connections are open at once; then the object is printed twice: when all are up
 * and have moved their data, and, after standard input was closed, at the end.
 *
 * Exits with 77 where the limits of the machine do not allow what was asked.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_PROCESSES 64
#define CHUNK 65536
#define TICK_MS 20
#define PER_ADDRESS 20000 /* connections to one address: fewer than there are local ports */

enum closer { CLOSE_CLIENT, CLOSE_SERVER, CLOSE_RESET };
enum role { ROLE_SERVER, ROLE_WORKER, ROLE_CLIENT };
static const char *const role_names[] = { "server", "worker", "client" };

static struct {
	int family; /* 4, 6, or 46: IPv4 in IPv6 sockets */
	long connections, clients, workers, refused, silent, drop_pct;
	uint64_t send, receive;
	enum closer closer;
	bool hold;
	const char *silent_address;
	long silent_ms;
} opt = { .family = 4, .clients = 1, .silent_ms = 1500 };

struct note {
	enum role role;
	pid_t pid;
	uint64_t opened, accepted, closed, failed, tx, rx;
	uint64_t info_tx, info_rx, retransmits, rtt_ns;
	uint64_t fast; /* connections whose data has moved */
};

/* Shared by all processes; counters that more than one writes are atomic. */
static struct {
	struct note notes[MAX_PROCESSES];
	int n_notes;
	int port;
	uint64_t accepted, served; /* by all servers */
	int holding; /* clients that hold their connections */
	int look; /* servers: note tcp_info now */
	int looked;
	int go; /* close */
} * shared;

static struct note *me;

static void die(const char *what)
{
	fprintf(stderr, "tcp: %s: %s\n", what, strerror(errno));
	exit(errno == EMFILE || errno == ENFILE || errno == EADDRNOTAVAIL || errno == EPERM ? 77 : 1);
}

static void note_begin(enum role role)
{
	me = &shared->notes[__sync_fetch_and_add(&shared->n_notes, 1)];
	me->role = role;
	me->pid = getpid();
}

static void wait_for(int *flag, int value)
{
	while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) < value)
		usleep(2000);
}

/* --- addresses --- */

static socklen_t address(struct sockaddr_storage *a, long number, int port, bool any)
{
	struct sockaddr_in *v4 = (void *)a;
	struct sockaddr_in6 *v6 = (void *)a;
	in_addr_t loopback = htonl(any ? INADDR_ANY : INADDR_LOOPBACK + number / PER_ADDRESS);

	memset(a, 0, sizeof(*a));
	if (opt.family == 4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		v4->sin_addr.s_addr = loopback;
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	v6->sin6_addr = any ? in6addr_any : in6addr_loopback;
	if (opt.family == 46 && !any) {
		memset(&v6->sin6_addr, 0, sizeof(v6->sin6_addr));
		memset(&v6->sin6_addr.s6_addr[10], 0xff, 2);
		memcpy(&v6->sin6_addr.s6_addr[12], &loopback, 4);
	}
	return sizeof(*v6);
}

static int open_socket(void)
{
	int fd = socket(opt.family == 4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

/* --- moving data --- */

static char chunk[CHUNK];

static void send_all(int fd, uint64_t bytes)
{
	while (bytes) {
		ssize_t n = send(fd, chunk, bytes < CHUNK ? bytes : CHUNK, MSG_NOSIGNAL);

		if (n < 0)
			die("send");
		bytes -= n;
		me->tx += n;
	}
}

static void receive_all(int fd, uint64_t bytes)
{
	while (bytes) {
		ssize_t n = recv(fd, chunk, bytes < CHUNK ? bytes : CHUNK, 0);

		if (n <= 0)
			die("recv");
		bytes -= n;
		me->rx += n;
	}
}

static void note_info(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t size = sizeof(info);

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		die("TCP_INFO");
	me->info_tx += info.tcpi_bytes_sent - info.tcpi_bytes_retrans;
	me->info_rx += info.tcpi_bytes_received;
	me->retransmits += info.tcpi_total_retrans;
	me->rtt_ns += info.tcpi_rtt * 1000ull;
}

/* Waits until the other side has acknowledged all, so that nothing moves any more. */
static void settle(int fd)
{
	int queued = 1;

	while (ioctl(fd, SIOCOUTQ, &queued) == 0 && queued)
		usleep(1000);
}

/* Has the socket lose a share of the packets that come in, as a bad path would. */
static void drop_packets(int fd, long pct)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)(UINT32_MAX / 100 * pct), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		die("SO_ATTACH_FILTER");
}

static void stop_dropping(int fd)
{
	int unused = 0;

	setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused));
}

/* --- server --- */

/* What a connection has received so far, by descriptor; -1: not a connection. */
static int64_t *received;
static int highest;

static void serve_end(int fd)
{
	received[fd] = -1;
	close(fd);
	me->closed++;
	__sync_fetch_and_add(&shared->served, 1);
}

static void answer(int fd)
{
	if (opt.drop_pct)
		stop_dropping(fd);
	send_all(fd, opt.receive);
	me->fast++;
	if (opt.closer == CLOSE_SERVER) {
		settle(fd);
		note_info(fd);
		serve_end(fd);
	}
}

static void serve_data(int fd)
{
	ssize_t n = recv(fd, chunk, CHUNK, MSG_DONTWAIT);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		/* The end, or a reset. */
		if (opt.closer == CLOSE_CLIENT && !opt.hold)
			note_info(fd);
		serve_end(fd);
		return;
	}
	me->rx += n;
	received[fd] += n;
	if ((uint64_t)received[fd] == opt.send)
		answer(fd);
}

static void serve_new(int epoll, int listener)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno == EAGAIN || errno == ECONNABORTED)
			return;
		/* Another worker still has room. */
		if (errno == EMFILE && opt.workers > 1 &&
		    epoll_ctl(epoll, EPOLL_CTL_DEL, listener, &event) == 0)
			return;
		die("accept");
	}
	__sync_fetch_and_add(&shared->accepted, 1);
	me->accepted++;
	received[fd] = 0;
	highest = fd > highest ? fd : highest;
	event.data.fd = fd;
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
	if (!opt.send)
		answer(fd);
}

static void look(void)
{
	for (int fd = 0; fd <= highest; fd++)
		if (received[fd] >= 0)
			note_info(fd);
	__sync_fetch_and_add(&shared->looked, 1);
}

static void serve(int listener, enum role role)
{
	struct epoll_event events[64],
		event = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listener };
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct rlimit limit;
	bool has_looked = false;

	note_begin(role);
	getrlimit(RLIMIT_NOFILE, &limit);
	received = malloc(limit.rlim_cur * sizeof(*received));
	if (!received || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event))
		die("epoll");
	memset(received, 0xff, limit.rlim_cur * sizeof(*received));
	while (__atomic_load_n(&shared->served, __ATOMIC_RELAXED) < (uint64_t)opt.connections) {
		int n = epoll_wait(epoll, events, 64, TICK_MS);

		for (int i = 0; i < n; i++) {
			if (events[i].data.fd == listener)
				serve_new(epoll, listener);
			else
				serve_data(events[i].data.fd);
		}
		if (!has_looked && __atomic_load_n(&shared->look, __ATOMIC_ACQUIRE)) {
			look();
			has_looked = true;
		}
	}
}

static int listen_somewhere(void)
{
	struct sockaddr_storage a;
	socklen_t size = address(&a, 0, 0, true);
	int fd = open_socket(), zero = 0;

	if (opt.family == 46)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (opt.drop_pct)
		drop_packets(fd, opt.drop_pct);
	if (bind(fd, (void *)&a, size) || listen(fd, 4096) || getsockname(fd, (void *)&a, &size))
		die("listen");
	fcntl(fd, F_SETFL, O_NONBLOCK);
	shared->port = ntohs(opt.family == 4 ? ((struct sockaddr_in *)&a)->sin_port :
					       ((struct sockaddr_in6 *)&a)->sin6_port);
	return fd;
}

static void run_server(void)
{
	int listener = listen_somewhere();

	if (!opt.workers) {
		serve(listener, ROLE_SERVER);
		exit(0);
	}
	note_begin(ROLE_SERVER);
	for (long i = 0; i < opt.workers; i++) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(listener, ROLE_WORKER);
			exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	exit(0);
}

/* --- client --- */

static int client_connect(long number)
{
	struct sockaddr_storage a;
	socklen_t size = address(&a, number, shared->port, false);
	int fd = open_socket();

	if (connect(fd, (void *)&a, size))
		die("connect");
	me->opened++;
	send_all(fd, opt.send);
	receive_all(fd, opt.receive);
	me->fast++;
	return fd;
}

static void client_close(int fd)
{
	struct linger linger = { 1, 0 };

	if (!opt.hold) {
		settle(fd);
		note_info(fd);
	}
	if (opt.closer == CLOSE_RESET)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (opt.closer == CLOSE_SERVER && recv(fd, chunk, 1, 0) != 0)
		die("expected the end");
	close(fd);
	me->closed++;
}

static void client_refused(void)
{
	struct sockaddr_storage a;
	socklen_t size = address(&a, 0, 1, false); /* nothing listens on port 1 */

	for (long i = 0; i < opt.refused; i++) {
		int fd = open_socket();

		if (connect(fd, (void *)&a, size) == 0 || errno != ECONNREFUSED)
			die("connect to port 1 should be refused");
		close(fd);
		me->failed++;
	}
}

/* Connects to an address that never answers, gives up after a while, and notes the SYNs that were sent again. */
static void client_silent(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9) };

	if (inet_pton(AF_INET, opt.silent_address, &a.sin_addr) != 1)
		die("address");
	for (long i = 0; i < opt.silent; i++) {
		int fd = open_socket();

		fcntl(fd, F_SETFL, O_NONBLOCK);
		if (connect(fd, (void *)&a, sizeof(a)) == 0 || errno != EINPROGRESS)
			die("connect to a silent address");
		usleep(opt.silent_ms * 1000);
		note_info(fd);
		close(fd);
		me->failed++;
	}
}

static void run_client(long from, long to)
{
	int *held = calloc(to - from + 1, sizeof(*held));

	note_begin(ROLE_CLIENT);
	if (from == 0) {
		client_refused();
		if (opt.silent)
			client_silent();
	}
	for (long i = from; i < to; i++) {
		int fd = client_connect(i);

		if (opt.hold)
			held[i - from] = fd;
		else
			client_close(fd);
	}
	if (opt.hold) {
		for (long i = from; i < to; i++) {
			settle(held[i - from]);
			note_info(held[i - from]);
		}
		__sync_fetch_and_add(&shared->holding, 1);
		wait_for(&shared->go, 1);
		for (long i = from; i < to; i++)
			client_close(held[i - from]);
	}
	exit(0);
}

/* --- all of it --- */

static void print_notes(void)
{
	printf("{\"processes\":[");
	for (int i = 0; i < shared->n_notes; i++) {
		const struct note *n = &shared->notes[i];

		printf("%s{\"role\":\"%s\",\"pid\":%d,\"opened\":%lu,\"accepted\":%lu,\"closed\":%lu,\"failed\":%lu,"
		       "\"tx_bytes\":%lu,\"rx_bytes\":%lu,\"info_tx_bytes\":%lu,\"info_rx_bytes\":%lu,"
		       "\"retransmits\":%lu,\"rtt_ns\":%lu}",
		       i ? "," : "", role_names[n->role], n->pid, n->opened, n->accepted, n->closed,
		       n->failed, n->tx, n->rx, n->info_tx, n->info_rx, n->retransmits, n->rtt_ns);
	}
	printf("]}\n");
	fflush(stdout);
}

static void hold(void)
{
	char c;

	wait_for(&shared->holding, opt.clients);
	__atomic_store_n(&shared->look, 1, __ATOMIC_RELEASE);
	if (opt.connections)
		wait_for(&shared->looked, opt.workers ? opt.workers : 1);
	print_notes();
	while (read(0, &c, 1) > 0)
		;
	__atomic_store_n(&shared->go, 1, __ATOMIC_RELEASE);
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "family", 1, NULL, 'f' },    { "connections", 1, NULL, 'n' },
		{ "clients", 1, NULL, 'c' },   { "workers", 1, NULL, 'w' },
		{ "send", 1, NULL, 's' },      { "receive", 1, NULL, 'r' },
		{ "close", 1, NULL, 'e' },     { "hold", 0, NULL, 'h' },
		{ "refused", 1, NULL, 'x' },   { "silent", 1, NULL, 'b' },
		{ "silent-to", 1, NULL, 'B' }, { "silent-ms", 1, NULL, 'm' },
		{ "drop", 1, NULL, 'd' },      { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		long value = optarg ? strtol(optarg, NULL, 0) : 0;

		switch (c) {
		case 'f':
			opt.family = strcmp(optarg, "mapped") ? value : 46;
			break;
		case 'n':
			opt.connections = value;
			break;
		case 'c':
			opt.clients = value;
			break;
		case 'w':
			opt.workers = value;
			break;
		case 's':
			opt.send = value;
			break;
		case 'r':
			opt.receive = value;
			break;
		case 'e':
			opt.closer = *optarg == 'r' ? CLOSE_RESET :
				     *optarg == 's' ? CLOSE_SERVER :
						      CLOSE_CLIENT;
			break;
		case 'h':
			opt.hold = true;
			break;
		case 'x':
			opt.refused = value;
			break;
		case 'b':
			opt.silent = value;
			break;
		case 'B':
			opt.silent_address = optarg;
			break;
		case 'm':
			opt.silent_ms = value;
			break;
		case 'd':
			opt.drop_pct = value;
			break;
		default:
			exit(2);
		}
	}
	if (opt.clients < 1 || opt.clients + opt.workers + 1 > MAX_PROCESSES ||
	    (opt.silent && !opt.silent_address))
		exit(2);
}

/* Room for the descriptors that one process of either side holds. */
static void raise_limit(void)
{
	long side = opt.workers && opt.workers < opt.clients ? opt.workers :
		    opt.workers				     ? opt.clients :
							       1;
	rlim_t need = (opt.hold ? opt.connections / side : 0) + 1000;
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	if (limit.rlim_max < need)
		limit.rlim_cur = limit.rlim_max = need;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("descriptors for all connections");
}

int main(int argc, char **argv)
{
	int status, failed = 0;

	parse(argc, argv);
	raise_limit();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("mmap");
	if (opt.connections) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_server();
		}
		wait_for(&shared->port, 1);
	}
	for (long i = 0; i < opt.clients; i++) {
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_client(opt.connections * i / opt.clients,
				   opt.connections * (i + 1) / opt.clients);
		}
	}
	if (opt.hold)
		hold();
	while (wait(&status) > 0)
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			failed = WIFEXITED(status) && WEXITSTATUS(status) == 77 ? 77 : 1;
	print_notes();
	return failed;
}
