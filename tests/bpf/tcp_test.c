// SPDX-License-Identifier: BSD-2-Clause
/*
 * The TCP probe by itself: in each of its variants its rows of this process are what this process did over loopback, and every
 * loss is made to happen and seen to be counted.
 */
#include "../unit/suite.h"

#include <arpa/inet.h>
#include <bpf/btf.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "probe/all.h"
#include "probe/object.h"
#include "probe/process.h"

#define ROUNDS 50
#define BYTES 1000

struct run {
	struct probe *probe;
	struct process_table *processes;
	struct btf *btf;
	struct snapshot *snapshot; /* sums of all reads */
	struct probe_status status;
};

/* `typed`: with what the kernel's BTF promises; else as if it promised nothing. */
static void run_begin(struct run *r, bool typed, uint32_t table_entries)
{
	struct probe_settings settings = { .sources = 1u << SOURCE_TCP,
					   .table_entries = table_entries };
	int err;

	*r = (struct run){ .processes = process_table_new(), .snapshot = snapshot_new() };
	r->btf = typed ? kernel_btf_load() : btf__new_empty();
	ck_assert_ptr_nonnull(r->btf);
	settings.processes = r->processes;
	settings.btf = r->btf;
	settings.possible_cpus = sysconf(_SC_NPROCESSORS_CONF);
	err = tcp_probe.open(&settings, &r->probe, &r->status);
	ck_assert_msg(!err, "%s", r->status.reason);
}

/* The rows are kept in the table: nothing flushes it here. */
static struct process_metrics run_read(struct run *r)
{
	struct process_metrics sum = { 0 };
	struct process *p;

	snapshot_reset(r->snapshot);
	ck_assert_int_eq(tcp_probe.read(r->probe, r->snapshot), 0);
	for (size_t i = 0; (p = process_next(r->processes, &i));)
		if (p->tgid == (uint32_t)getpid())
			sum = p->now;
	return sum;
}

static void run_end(struct run *r)
{
	tcp_probe.close(r->probe);
	process_table_free(r->processes);
	snapshot_free(r->snapshot);
	btf__free(r->btf);
}

static int listen_on_loopback(struct sockaddr_in *a)
{
	socklen_t size = sizeof(*a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	ck_assert_int_eq(bind(fd, (struct sockaddr *)a, size), 0);
	ck_assert_int_eq(listen(fd, ROUNDS), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)a, &size), 0);
	return fd;
}

struct pair {
	int client, server;
};

/* A connection over which the client has sent BYTES, and the server half of them. */
static struct pair connect_pair(int listener, const struct sockaddr_in *a)
{
	char data[BYTES] = { 0 };
	struct pair p = { .client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) };

	ck_assert_int_eq(connect(p.client, (const struct sockaddr *)a, sizeof(*a)), 0);
	p.server = accept(listener, NULL, NULL);
	ck_assert_int_eq(send(p.client, data, BYTES, 0), BYTES);
	ck_assert_int_eq(recv(p.server, data, BYTES, MSG_WAITALL), BYTES);
	ck_assert_int_eq(send(p.server, data, BYTES / 2, 0), BYTES / 2);
	ck_assert_int_eq(recv(p.client, data, BYTES / 2, MSG_WAITALL), BYTES / 2);
	return p;
}

static void close_pair(struct pair p)
{
	close(p.client);
	close(p.server);
}

static void check_counts(bool typed)
{
	struct pair held[ROUNDS];
	struct sockaddr_in a;
	struct process_metrics row;
	struct run r;
	int listener;

	run_begin(&r, typed, 1024);
	listener = listen_on_loopback(&a);
	for (int i = 0; i < ROUNDS; i++)
		close_pair(connect_pair(listener, &a));
	row = run_read(&r);
	ck_assert_uint_eq(row.opened, ROUNDS);
	ck_assert_uint_eq(row.accepted, ROUNDS);
	ck_assert_uint_eq(row.closed, 2 * ROUNDS);
	ck_assert_uint_eq(row.failed, 0);
	ck_assert_uint_eq(row.tx_bytes, ROUNDS * BYTES * 3 / 2);
	ck_assert_uint_eq(row.rx_bytes, ROUNDS * BYTES * 3 / 2);
	ck_assert_uint_ge(r.snapshot->system.tcp_connect.count, ROUNDS);

	for (int i = 0; i < ROUNDS; i++)
		held[i] = connect_pair(listener, &a);
	/* Whose the accepted ones are may be known a read later: files are not walked that often. */
	run_read(&r);
	row = run_read(&r);
	ck_assert_uint_eq(row.opened, 2 * ROUNDS);
	ck_assert_uint_eq(row.accepted, 2 * ROUNDS);
	ck_assert_uint_eq(row.closed, 2 * ROUNDS);
	ck_assert_uint_eq(row.tx_bytes, 2 * ROUNDS * BYTES * 3 / 2);
	ck_assert_uint_ge(r.snapshot->system.tcp_established, 2 * ROUNDS);
	/* Idle now, then a little more on one of them. */
	row = run_read(&r);
	ck_assert_uint_eq(row.tx_bytes, 2 * ROUNDS * BYTES * 3 / 2);
	ck_assert_int_eq(send(held[7].server, &a, 5, 0), 5);
	row = run_read(&r);
	ck_assert_uint_eq(row.tx_bytes, 2 * ROUNDS * BYTES * 3 / 2 + 5);
	for (int i = 0; i < ROUNDS; i++)
		close_pair(held[i]);
	row = run_read(&r);
	ck_assert_uint_eq(row.closed, 4 * ROUNDS);
	/* The five bytes that the client left unread were received all the same. */
	ck_assert_uint_eq(row.rx_bytes, row.tx_bytes);
	ck_assert_uint_eq(r.snapshot->trust.map_full, 0);
	close(listener);
	run_end(&r);
}

START_TEST(counts_of_the_best_variant)
{
	check_counts(true);
}
END_TEST

START_TEST(counts_of_the_fallback)
{
	check_counts(false);
}
END_TEST

START_TEST(the_variant_is_told)
{
	struct probe_status supported;
	struct run r;

	tcp_probe.supported(&supported);
	run_begin(&r, true, 64);
	ck_assert_str_eq(r.status.mode, supported.mode);
	ck_assert_int_eq(r.status.state, supported.state);
	run_end(&r);
	run_begin(&r, false, 64);
	ck_assert_str_eq(r.status.mode, "raw_tp");
	ck_assert_int_eq(r.status.state, PROBE_DEGRADED);
	ck_assert_uint_gt(strlen(r.status.reason), 0);
	run_end(&r);
}
END_TEST

/* With room for four sockets, the fifth and later ones are said to be missing; what states tell is still counted. */
START_TEST(no_room_for_sockets)
{
	struct pair held[ROUNDS];
	struct sockaddr_in a;
	uint64_t opened;
	struct run r;
	int listener;

	run_begin(&r, true, 1);
	listener = listen_on_loopback(&a);
	for (int i = 0; i < ROUNDS; i++)
		held[i] = connect_pair(listener, &a);
	run_read(&r);
	ck_assert_uint_ge(r.snapshot->trust.map_full, 2 * ROUNDS - 4);
	opened = r.snapshot->system.tcp_opened;
	ck_assert_uint_ge(opened, ROUNDS);
	for (int i = 0; i < ROUNDS; i++)
		close_pair(held[i]);
	run_read(&r);
	ck_assert_uint_ge(r.snapshot->system.tcp_closed, 2 * ROUNDS);
	close(listener);
	run_end(&r);
}
END_TEST

/* More processes than accounts: sixteen children and room for four. */
START_TEST(no_room_for_accounts)
{
	struct sockaddr_in a;
	struct run r;
	int listener;

	run_begin(&r, true, 4);
	listener = listen_on_loopback(&a);
	for (int i = 0; i < 16; i++) {
		pid_t child = fork();

		if (child == 0) {
			close_pair(connect_pair(listener, &a));
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
	run_read(&r);
	ck_assert_uint_gt(r.snapshot->trust.map_full, 0);
	ck_assert_uint_ge(r.snapshot->system.tcp_tx_bytes, 16 * BYTES * 3 / 2);
	close(listener);
	run_end(&r);
}
END_TEST

/* Rooms are given back: many more connections than cells, one after another. */
START_TEST(rooms_are_used_again)
{
	struct sockaddr_in a;
	struct run r;
	int listener;

	run_begin(&r, true, 64);
	listener = listen_on_loopback(&a);
	for (int i = 0; i < 64 * 4 * 3; i++)
		close_pair(connect_pair(listener, &a));
	ck_assert_uint_eq(run_read(&r).opened, 64 * 4 * 3);
	ck_assert_uint_eq(r.snapshot->trust.map_full, 0);
	close(listener);
	run_end(&r);
}
END_TEST

int main(void)
{
	const TTest *tests[] = { counts_of_the_best_variant, counts_of_the_fallback,
				 the_variant_is_told,	     no_room_for_sockets,
				 no_room_for_accounts,	     rooms_are_used_again };

	if (geteuid()) {
		puts("needs root");
		return 77;
	}
	return suite_run("tcp", tests, ARRAY_SIZE(tests));
}
