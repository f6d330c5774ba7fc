// SPDX-License-Identifier: BSD-2-Clause
#include "probe/all.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <string.h>

#include "base/clock.h"
#include "base/macros.h"
#include "bpf/tcp.h"
#include "probe/object.h"
#include "probe/percpu.h"
#include "probe/process.h"
#include "probe/tcp_accounts.h"
#include "probe/tcp_schedule.h"
#include "tcp.skel.h"

/*
 * DESIGN. The programs hold all state; a read makes them look at every socket (one pass of an iterator that writes nothing) and
 * takes the growth of the per-CPU totals and of the per-process accounts. Nothing is sent per connection, so a read costs with
 * the sockets that exist and the processes that were active, and a burst of short connections costs no more than a quiet one.
 * Before the pass, if connections came in whose owner is a guess, a walk over open files makes them sure (tcp_schedule.h).
 */

/* A pool of 1.5 MiB: more processes than that within three intervals are counted as map_full. */
#define MAX_ACCOUNTS 16384
/* Connections for each entry of a table: 65,536 by default, of which a connection within this machine takes two. */
#define SOCKETS_PER_ENTRY 4
/* Where their memory is taken in advance (290 bytes each): more would not fit the agent's default budget. */
#define SOCKETS_PER_ENTRY_TAKEN 2
/* A walk or pass is given up when it is interrupted this often. */
#define MAX_INTERRUPTS 1000

struct probe {
	struct tcp_bpf *skel;
	struct process_table *processes;
	bool typed; /* the variant: typed tracepoint and compare-and-swap, or neither */
	bool own_pid_ns; /* pids of events are those that the agent sees */
	struct percpu cpus;
	struct tcp_accounts accounts;
	struct bpf_link *pass, *walk; /* over sockets, over files */
	struct tcp_schedule schedule;
};

/* Whether the best programs are to be had: with a typed tracepoint, and compare-and-swap, which came with this helper in 5.12. */
static bool kernel_has_typed_programs(const struct btf *btf)
{
	return kernel_has_typed_tracepoint(btf, "inet_sock_set_state") &&
	       kernel_has_enum_value(btf, "bpf_func_id", "BPF_FUNC_check_mtu");
}

static void describe(struct probe_status *status, bool typed)
{
	status->state = typed ? PROBE_ATTACHED : PROBE_DEGRADED;
	snprintf(status->mode, sizeof(status->mode), "%s", typed ? "tp_btf" : "raw_tp");
	snprintf(status->reason, sizeof(status->reason), "%s",
		 typed ? "" :
			 "no compare-and-swap for programs (Linux 5.12 has it): bytes of a connection that ends in the "
			 "microsecond in which it is looked at are counted twice");
}

static void tcp_supported(struct probe_status *ret_status)
{
	struct btf *btf = kernel_btf_load();

	*ret_status = (struct probe_status){ .state = PROBE_ABSENT };
	if (!btf)
		snprintf(ret_status->reason, sizeof(ret_status->reason),
			 "no BTF of this kernel: it has to be built with CONFIG_DEBUG_INFO_BTF");
	else if (btf__find_by_name_kind(btf, "bpf_iter__task_file", BTF_KIND_STRUCT) < 0 ||
		 btf__find_by_name_kind(btf, "bpf_iter__tcp", BTF_KIND_STRUCT) < 0)
		snprintf(ret_status->reason, sizeof(ret_status->reason),
			 "no BPF iterators over sockets: Linux 5.9 has them");
	else
		describe(ret_status, kernel_has_typed_programs(btf));
	btf__free(btf);
}

/* Runs an iterator to its end; ours write nothing. 0 or -errno. */
static int run_iterator(const struct bpf_link *link)
{
	cleanup_close int fd = bpf_iter_create(bpf_link__fd(link));
	char unused[64];

	if (fd < 0)
		return fd;
	for (int i = 0; i < MAX_INTERRUPTS; i++) {
		ssize_t n = read(fd, unused, sizeof(unused));

		if (n == 0)
			return 0;
		/* EAGAIN: a million objects without output; it goes on where it stopped. */
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return -EINTR;
}

static uint64_t unnamed(const struct probe *p)
{
	return MAX(percpu_level(&p->cpus, offsetof(struct tcp_cpu, unnamed)), 0);
}

/* Looks at all open files. 0 or -errno. */
static int walk_files(struct probe *p)
{
	uint64_t cpu = clock_process_cpu_ns();
	int err = run_iterator(p->walk);

	if (!err)
		tcp_schedule_done(&p->schedule, clock_monotonic_ns(), clock_process_cpu_ns() - cpu,
				  unnamed(p));
	return err;
}

static void add_account(const struct tcp_account *account, const struct tcp_growth *growth,
			void *context)
{
	struct probe *p = context;
	struct process *process = process_get(p->processes, account->tgid, account->start);

	if (!process)
		return;
	process->now.tx_bytes += growth->tx_bytes;
	process->now.rx_bytes += growth->rx_bytes;
	process->now.retransmits += growth->retransmits;
	process->now.opened += growth->opened;
	process->now.accepted += growth->accepted;
	process->now.closed += growth->closed;
	process->now.failed += growth->failed;
	process->active = true;
	/* A process that has ended may still send what it left, and is named by nobody else then. */
	if (!process->identified && account->comm[0] && p->own_pid_ns) {
		snprintf(process->comm, sizeof(process->comm), "%.*s", TCP_COMM_LEN - 1,
			 account->comm);
		process->identified = true;
	}
}

#define GROWTH(member) percpu_growth(&p->cpus, offsetof(struct tcp_cpu, member))
#define DIST(member, d)                                                   \
	percpu_dist(&p->cpus, offsetof(struct tcp_cpu, member), TCP_BINS, \
		    offsetof(struct tcp_cpu, member##_sum), d)

static int read_totals(struct probe *p, struct snapshot *s)
{
	struct system_metrics *system = &s->system;
	int err;

	system->tcp_opened = GROWTH(opened);
	system->tcp_accepted = GROWTH(accepted);
	system->tcp_closed = GROWTH(closed);
	system->tcp_failed = GROWTH(failed);
	system->tcp_tx_bytes = GROWTH(tx_bytes);
	system->tcp_rx_bytes = GROWTH(rx_bytes);
	system->tcp_retransmits = GROWTH(retransmits);
	system->tcp_resets_sent = GROWTH(resets_sent);
	system->tcp_resets_received = GROWTH(resets_received);
	system->tcp_established = p->skel->bss->found.established;
	err = DIST(rtt, &system->tcp_rtt);
	if (!err)
		err = DIST(connect, &system->tcp_connect);
	s->trust.events += GROWTH(events);
	s->trust.map_full += GROWTH(untracked) + GROWTH(accounts_full);
	s->trust.unattributed += GROWTH(unattributed);
	return err;
}

static int tcp_read(struct probe *p, struct snapshot *s)
{
	uint64_t taken;
	int err = 0;

	if (tcp_schedule_due(&p->schedule, clock_monotonic_ns(), unnamed(p)))
		err = walk_files(p);
	if (err)
		return err;
	p->skel->bss->found = (struct tcp_found){ 0 };
	err = run_iterator(p->pass);
	if (err)
		return err;
	/* Programs that race for a slot may leave a hole below one in use, one for each CPU. */
	taken = percpu_level(&p->cpus, offsetof(struct tcp_cpu, accounts_taken)) + p->cpus.n;
	/* Accounts before totals: what comes in between is in the totals only, never in an account only. */
	tcp_accounts_read(&p->accounts, taken, add_account, p);
	return read_totals(p, s);
}

static uint64_t tcp_map_bytes(const struct probe *p)
{
	return object_map_bytes(p->skel->obj);
}

static uint64_t tcp_bpf_ns(const struct probe *p)
{
	return object_run_ns(p->skel->obj);
}

static void tcp_close(struct probe *p)
{
	if (!p)
		return;
	bpf_link__destroy(p->pass);
	tcp_accounts_close(&p->accounts);
	percpu_close(&p->cpus);
	tcp_bpf__destroy(p->skel);
	free(p);
}

static int size_maps(struct tcp_bpf *skel, const struct probe_settings *settings, bool taken)
{
	uint32_t n_accounts = CLAMP(settings->table_entries, 1, MAX_ACCOUNTS);
	uint32_t n_sockets = MAX(settings->table_entries, 1) *
			     (taken ? SOCKETS_PER_ENTRY_TAKEN : SOCKETS_PER_ENTRY);
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} maps[] = {
		{ skel->maps.cpus, settings->possible_cpus },
		{ skel->maps.accounts, n_accounts },
		{ skel->maps.account_owners, n_accounts },
		{ skel->maps.account_free, n_accounts },
		{ skel->maps.sockets, n_sockets },
		{ skel->maps.cells, (n_sockets + TCP_CELLS - 1) / TCP_CELLS },
		{ skel->maps.cell_free, n_sockets },
	};
	int err = 0;

	/* There are at least as many cells as accounts: one program fills both pools, a group of cells at a time. */
	skel->rodata->n_cells = n_sockets;
	skel->rodata->n_accounts = n_accounts;
	for (size_t i = 0; i < ARRAY_SIZE(maps) && !err; i++)
		err = bpf_map__set_max_entries(maps[i].map, maps[i].entries);
	return err;
}

/* Chooses, before load, the programs of a variant. */
static int configure(struct probe *p, const struct probe_settings *settings)
{
	struct tcp_bpf *skel = p->skel;
	const struct {
		struct bpf_program *typed, *plain;
		bool attach; /* with the others; else by hand: it needs a map, or is run once */
	} programs[] = {
		{ skel->progs.state_change, skel->progs.state_change_raw, true },
		{ skel->progs.socket_pass, skel->progs.socket_pass_plain, false },
		{ skel->progs.file_walk, skel->progs.file_walk_plain, true },
		{ skel->progs.socket_walk, skel->progs.socket_walk_plain, false },
		{ skel->progs.pools_fill, NULL, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		bpf_program__set_autoattach(programs[i].typed, programs[i].attach);
		if (!programs[i].plain)
			continue;
		bpf_program__set_autoattach(programs[i].plain, programs[i].attach);
		bpf_program__set_autoload(programs[i].typed, p->typed);
		bpf_program__set_autoload(programs[i].plain, !p->typed);
	}
	/* Raw tracepoints of those kernels want their memory in advance. */
	if (!p->typed)
		bpf_map__set_map_flags(skel->maps.sockets, 0);
	return size_maps(skel, settings, !p->typed);
}

/* Loads one variant. 0, or -errno with nothing left loaded. */
static int load(struct probe *p, const struct probe_settings *settings, struct probe_status *status,
		bool typed)
{
	int err;

	p->typed = typed;
	p->skel = tcp_bpf__open();
	err = p->skel ? configure(p, settings) : -errno;
	if (!err)
		err = object_load(p->skel->skeleton, status);
	if (err) {
		tcp_bpf__destroy(p->skel);
		p->skel = NULL;
	}
	return err;
}

/* A program that is called for each group of cells. NULL with errno. */
static struct bpf_link *attach_cells(const struct probe *p, const struct bpf_program *program)
{
	union bpf_iter_link_info info = { .map.map_fd = bpf_map__fd(p->skel->maps.cells) };
	LIBBPF_OPTS(bpf_iter_attach_opts, options, .link_info = &info, .link_info_len = sizeof(info));

	return bpf_program__attach_iter(program, &options);
}

/* Runs an iterator that is needed once. Takes the link, NULL for one that could not be made. 0 or -errno. */
static int run_once(struct bpf_link *link)
{
	int err = link ? run_iterator(link) : -errno;

	bpf_link__destroy(link);
	return err;
}

/* Gives sockets that are there already their state, and owners where there are any; what they did before is not counted. */
static int seed(struct probe *p)
{
	const struct bpf_program *sockets = p->typed ? p->skel->progs.socket_walk :
						       p->skel->progs.socket_walk_plain;
	int err;

	p->skel->bss->seeding = true;
	err = walk_files(p);
	if (!err)
		err = run_once(bpf_program__attach_iter(sockets, NULL));
	p->skel->bss->seeding = false;
	if (!err)
		err = run_iterator(p->pass);
	return err;
}

static int attach(struct probe *p)
{
	struct tcp_bpf *skel = p->skel;
	int err = percpu_open(&p->cpus, skel->maps.cpus);

	if (!err)
		err = tcp_accounts_open(&p->accounts, skel->maps.accounts,
					skel->maps.account_owners, skel->maps.account_free);
	if (!err)
		err = run_once(attach_cells(p, skel->progs.pools_fill));
	if (!err)
		err = tcp_bpf__attach(skel);
	if (err)
		return err;
	p->walk = p->typed ? skel->links.file_walk : skel->links.file_walk_plain;
	p->pass = attach_cells(p, p->typed ? skel->progs.socket_pass : skel->progs.socket_pass_plain);
	return p->pass ? seed(p) : -errno;
}

static int tcp_open(const struct probe_settings *settings, struct probe **ret_probe,
		    struct probe_status *status)
{
	bool typed = kernel_has_typed_programs(settings->btf);
	struct probe *p = calloc(1, sizeof(*p));
	int err;

	if (!p)
		return -ENOMEM;
	p->processes = settings->processes;
	p->own_pid_ns = settings->pid_ns_level == 0;
	err = load(p, settings, status, typed);
	/* What BTF promised the verifier may refuse; the other variant asks less of it. */
	if (err && err != -EPERM && typed) {
		typed = false;
		err = load(p, settings, status, typed);
	}
	if (!err)
		err = attach(p);
	if (err) {
		object_explain(err, status);
		tcp_close(p);
		return err;
	}
	describe(status, typed);
	*ret_probe = p;
	return 0;
}

const struct probe_ops tcp_probe = {
	.name = "tcp",
	.sources = 1u << SOURCE_TCP,
	.supported = tcp_supported,
	.open = tcp_open,
	.read = tcp_read,
	.map_bytes = tcp_map_bytes,
	.bpf_ns = tcp_bpf_ns,
	.close = tcp_close,
};
