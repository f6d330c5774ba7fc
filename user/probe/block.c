// SPDX-License-Identifier: BSD-2-Clause
#include "probe/all.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "base/macros.h"
#include "bpf/block.h"
#include "block.skel.h"
#include "probe/device.h"
#include "probe/object.h"
#include "probe/process.h"
#include "probe/slots.h"

/*
 * DESIGN. The programs keep a row for each device in an array that is mapped here; what a device did in an interval is the
 * growth of its row. Requests with a latency are counted by their bin only, so the number of reads and the reads' histogram
 * cannot disagree. Devices that have no requests (dm, md, zram) get rows from /proc/diskstats; those, and request-based
 * device mapper, stand on other devices and are left out of the system's totals.
 */
#define MIN_ROWS 64 /* devices that may appear while we run have room too */
#define MAX_ROWS 4096 /* 28 MB of map */
#define MAX_SETS (1u << 16)

_Static_assert(BLOCK_WRITEBACK_KEY == PROCESS_WRITEBACK_KEY, "one key for the kernel's writeback");

/* How this kernel lets us see requests. */
struct plan {
	bool typed; /* tp_btf, else raw_tp */
	bool io_start; /* block_io_start exists (6.5) */
	bool own_issue; /* we note the time of issue */
	bool queue_argument; /* insert and issue carry the queue first (until 5.10) */
	uint32_t io_stat, flush_seq; /* bits of rq_flags */
};

/* What is known of a row from before. */
struct row_memory {
	struct block_row row; /* as of the last read */
	int64_t unqueued; /* requests whose queue time was 0, not reported yet; below 0: some were reported early */
};

struct probe {
	struct block_bpf *skel;
	struct process_table *processes;
	struct block_row *rows; /* mapped */
	struct row_memory **before; /* NULL while a row is unused */
	uint32_t n_rows;
	struct block_totals totals; /* as of the last read */
	struct slots io;
	uint64_t *requests; /* mapped: of each slot's owner */
	uint64_t *requests_before, *owners; /* as of the last read */
	struct device_watch *watch;
};

/* The value of an enumerator wherever it is defined, or `otherwise`. */
static uint32_t enumerator(const struct btf *btf, const char *name, uint32_t otherwise)
{
	for (uint32_t id = 1; id < btf__type_cnt(btf); id++) {
		const struct btf_type *type = btf__type_by_id(btf, id);

		if (!btf_is_enum(type))
			continue;
		for (unsigned int i = 0; i < btf_vlen(type); i++)
			if (strcmp(btf__name_by_offset(btf, btf_enum(type)[i].name_off), name) == 0)
				return btf_enum(type)[i].val;
	}
	return otherwise;
}

static void plan_make(const struct btf *btf, struct plan *ret)
{
	bool stamped;

	device_count(&stamped);
	*ret = (struct plan){
		.typed = kernel_has_typed_tracepoint(btf, "block_rq_complete"),
		.io_start = kernel_has_typed_tracepoint(btf, "block_io_start"),
		/* Numbers before 6.12, where they got names. */
		.io_stat = 1u << enumerator(btf, "__RQF_IO_STAT", 13),
		.flush_seq = 1u << enumerator(btf, "__RQF_FLUSH_SEQ", 4),
		.queue_argument = kernel_tracepoint_args(btf, "block_rq_issue") > 1,
	};
	ret->own_issue = !ret->io_start || !stamped;
}

static void plan_describe(const struct plan *plan, struct probe_status *status)
{
	snprintf(status->mode, sizeof(status->mode), "%s%s", plan->typed ? "tp_btf" : "raw_tp",
		 !plan->io_start ? ", start by insert and issue" :
		 plan->own_issue ? ", own issue times" :
				   "");
	status->state = plan->io_start ? PROBE_ATTACHED : PROBE_DEGRADED;
	if (!plan->io_start)
		snprintf(status->reason, sizeof(status->reason),
			 "no hook where requests begin (Linux 6.5 has it): writes that wait for a cache flush have no owner");
}

static void block_supported(struct probe_status *status)
{
	struct btf *btf = kernel_btf_load();
	struct plan plan;

	*status = (struct probe_status){ 0 };
	if (!btf) {
		snprintf(status->reason, sizeof(status->reason),
			 "no BTF: a kernel with CONFIG_DEBUG_INFO_BTF=y is needed");
		return;
	}
	plan_make(btf, &plan);
	plan_describe(&plan, status);
	btf__free(btf);
}

static uint32_t power_of_two(uint32_t at_least, uint32_t max)
{
	uint32_t n = 1;

	while (n < at_least && n < max)
		n *= 2;
	return n;
}

static void choose_programs(struct block_bpf *skel, const struct plan *plan)
{
	const struct {
		struct bpf_program *typed, *raw;
		bool wanted;
	} hooks[] = {
		{ skel->progs.block_rq_complete, skel->progs.block_rq_complete_raw, true },
		{ skel->progs.block_io_start, skel->progs.block_io_start_raw, plan->io_start },
		{ skel->progs.block_rq_insert, skel->progs.block_rq_insert_raw, !plan->io_start },
		{ skel->progs.block_rq_issue, skel->progs.block_rq_issue_raw, plan->own_issue },
	};

	for (size_t i = 0; i < ARRAY_SIZE(hooks); i++) {
		bpf_program__set_autoload(hooks[i].typed, hooks[i].wanted && plan->typed);
		bpf_program__set_autoload(hooks[i].raw, hooks[i].wanted && !plan->typed);
	}
}

/* Before load: programs, constants and sizes. */
static int configure(struct probe *p, const struct probe_settings *settings, const struct plan *plan)
{
	struct block_bpf *skel = p->skel;
	uint32_t sets = power_of_two(settings->table_entries / BLOCK_WAYS, MAX_SETS);
	bool stamped;
	int err;

	p->n_rows = power_of_two(MAX(MIN_ROWS, 2 * device_count(&stamped)), MAX_ROWS);
	choose_programs(skel, plan);
	skel->rodata->row_mask = p->n_rows - 1;
	skel->rodata->set_mask = sets - 1;
	skel->rodata->own_issue = plan->own_issue;
	skel->rodata->owner_by_issue = !plan->io_start;
	skel->rodata->queue_argument = plan->queue_argument;
	skel->rodata->rqf_io_stat = plan->io_stat;
	skel->rodata->rqf_flush_seq = plan->flush_seq;

	err = bpf_map__set_max_entries(skel->maps.rows, p->n_rows);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.claims, p->n_rows);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.inflight, sets);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.stamps, sets);
	if (!err)
		err = bpf_map__set_max_entries(skel->maps.requests, settings->slots);
	if (!err)
		err = slots_size(skel->maps.io_slots, skel->maps.io_owners, skel->maps.io_free,
				 settings->slots);
	return err;
}

static size_t mapped_length(size_t n, size_t size)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (n * size + page - 1) & ~(page - 1);
}

/* Maps an array for reading; 0 or -errno. */
static int map_array(const struct bpf_map *map, size_t size, void *ret_mapped)
{
	void *mapped = mmap(NULL, mapped_length(bpf_map__max_entries(map), size), PROT_READ,
			    MAP_SHARED, bpf_map__fd(map), 0);

	if (mapped == MAP_FAILED)
		return -errno;
	*(void **)ret_mapped = mapped;
	return 0;
}

static int map_memory(struct probe *p, uint32_t n_slots)
{
	int err = map_array(p->skel->maps.rows, sizeof(*p->rows), &p->rows);

	if (!err)
		err = map_array(p->skel->maps.requests, sizeof(*p->requests), &p->requests);
	if (!err)
		err = slots_open(&p->io, p->skel->maps.io_slots, p->skel->maps.io_owners,
				 p->skel->maps.io_free);
	if (err)
		return err;
	p->before = calloc(p->n_rows, sizeof(struct row_memory *));
	p->requests_before = calloc(n_slots, sizeof(*p->requests_before));
	p->owners = calloc(n_slots, sizeof(*p->owners));
	p->watch = device_watch_new();
	return p->before && p->requests_before && p->owners && p->watch ? 0 : -ENOMEM;
}

static void block_close(struct probe *p)
{
	if (!p)
		return;
	device_watch_free(p->watch);
	if (p->requests)
		munmap(p->requests, mapped_length(p->io.n, sizeof(*p->requests)));
	if (p->rows)
		munmap(p->rows, mapped_length(p->n_rows, sizeof(*p->rows)));
	slots_close(&p->io);
	block_bpf__destroy(p->skel);
	for (uint32_t i = 0; p->before && i < p->n_rows; i++)
		free(p->before[i]);
	free(p->before);
	free(p->requests_before);
	free(p->owners);
	free(p);
}

static int block_open(const struct probe_settings *settings, struct probe **ret_probe,
		      struct probe_status *status)
{
	struct probe *p = calloc(1, sizeof(*p));
	struct plan plan;
	int err;

	if (!p)
		return -ENOMEM;
	p->processes = settings->processes;
	plan_make(settings->btf, &plan);
	plan_describe(&plan, status);
	p->skel = block_bpf__open();
	err = p->skel ? configure(p, settings, &plan) : -errno;
	if (!err)
		err = object_load(p->skel->skeleton, status);
	if (!err)
		err = map_memory(p, settings->slots);
	if (!err)
		err = block_bpf__attach(p->skel);
	if (!err)
		err = device_watch_read(p->watch, NULL);
	if (err) {
		object_explain(err, status);
		block_close(p);
		return err;
	}
	*ret_probe = p;
	return 0;
}

/* The growth of a counter that programs add to. */
static uint64_t grow(const unsigned long long *now, unsigned long long *before)
{
	uint64_t value = __atomic_load_n(now, __ATOMIC_RELAXED), growth = value - *before;

	*before = value;
	return growth;
}

#define GROWTH(member) grow(&row->member, &before->member)

/* Adds the growth of a histogram to a distribution; the number of values, or 0 without memory. */
static uint64_t grow_bins(struct dist *d, const unsigned int *now, unsigned int *before)
{
	uint64_t total = 0;

	for (unsigned int bin = 0; bin < BINS_SHORT_COUNT; bin++) {
		uint32_t value = __atomic_load_n(&now[bin], __ATOMIC_RELAXED),
			 growth = value - before[bin];

		before[bin] = value;
		total += growth;
		if (growth)
			dist_add_bin(d, bin, growth);
	}
	return total;
}

/* Sets the sum of values that have just been added to a distribution which held others before. */
static void add_sum(struct dist *d, uint64_t sum_before, uint64_t growth)
{
	if (d->count)
		dist_set_exact(d, sum_before + growth, d->min, d->max);
}

/* The row of a device in the snapshot, begun when it is new: counters 0, times empty. NULL without memory. */
static struct device_metrics *device_row(struct snapshot *s, const char *name)
{
	struct device_metrics *d;

	for (size_t i = 0; i < s->n_devices; i++)
		if (strcmp(s->devices[i].dev, name) == 0)
			return &s->devices[i];
	d = snapshot_add_device(s);
	if (!d)
		return NULL;
	d->dev = snapshot_text(s, name);
	if (!d->dev) {
		s->n_devices--;
		return NULL;
	}
	d->io.reads = d->io.writes = d->io.read_bytes = d->io.write_bytes = d->io.errors = 0;
	d->io.flushes = d->io.discards = d->io.discard_bytes = 0;
	dist_clear(&d->io.latency);
	dist_clear(&d->io.queue);
	return d;
}

/* Whether a row has counted anything since the last read. */
static bool row_grew(const struct block_row *row, const struct block_row *before)
{
	for (int group = 0; group < BLOCK_GROUPS; group++)
		if (row->bytes[group] != before->bytes[group])
			return true;
	return row->latency_sum != before->latency_sum || row->untimed[0] != before->untimed[0] ||
	       row->untimed[1] != before->untimed[1] || row->discards != before->discards ||
	       row->flushes != before->flushes || row->errors != before->errors ||
	       row->started != before->started;
}

/* Adds the requests with a latency, of each group, and their times. */
static void add_times(struct block_metrics *io, const struct block_row *row, struct row_memory *memory)
{
	struct block_row *before = &memory->row;
	uint64_t latency_sum = io->latency.sum, queue_sum = io->queue.sum;
	uint64_t reads =
		grow_bins(&io->latency, row->latency[BLOCK_READ], before->latency[BLOCK_READ]);
	uint64_t writes =
		grow_bins(&io->latency, row->latency[BLOCK_WRITE], before->latency[BLOCK_WRITE]);

	/* Those that did not have to wait are what the bins leave over. */
	memory->unqueued += reads + writes - grow_bins(&io->queue, row->queue, before->queue) -
			    GROWTH(uncreated);
	if (memory->unqueued > 0) {
		dist_add_bin(&io->queue, 0, memory->unqueued);
		memory->unqueued = 0;
	}
	add_sum(&io->latency, latency_sum, GROWTH(latency_sum));
	add_sum(&io->queue, queue_sum, GROWTH(queue_sum));
	io->reads += reads;
	io->writes += writes;
	if (reads + writes && !io->queue.count)
		io->queue.known = false;
}

/* Adds what a row grew to its device; the paths of a multipath device share one. */
static void add_row(struct device_metrics *d, const struct block_row *row,
		    struct row_memory *memory, struct trust_metrics *trust)
{
	struct block_metrics *io = &d->io;
	struct block_row *before = &memory->row;
	uint64_t unstamped = GROWTH(unstamped), started = GROWTH(started);

	add_times(io, row, memory);
	io->reads += GROWTH(untimed[BLOCK_READ]);
	io->writes += GROWTH(untimed[BLOCK_WRITE]);
	io->read_bytes += GROWTH(bytes[BLOCK_READ]);
	io->write_bytes += GROWTH(bytes[BLOCK_WRITE]);
	io->discard_bytes += GROWTH(bytes[BLOCK_DISCARD]);
	io->discards += GROWTH(discards);
	io->flushes += GROWTH(flushes);
	io->errors += GROWTH(errors);
	if ((uint32_t)started)
		d->sequential_pct = 100.0 * (started >> 32) / (uint32_t)started;
	/* Requests whose times nobody noted are no reason to say there were none. */
	if (unstamped && !io->latency.count)
		io->latency.known = false;
	trust->discarded += unstamped;
}

/* The name to show for a row's device. */
static void row_name(const struct block_row *row, char *ret_name)
{
	if (!device_name(row->dev >> 20, row->dev & 0xfffff, ret_name))
		snprintf(ret_name, DEVICE_NAME_LEN, "%.*s", BLOCK_NAME_LEN, row->name);
	device_show_name(ret_name);
}

static int read_rows(struct probe *p, struct snapshot *s)
{
	for (uint32_t i = 0; i < p->n_rows; i++) {
		const struct block_row *row = &p->rows[i];
		char name[DEVICE_NAME_LEN];
		struct device_metrics *d;

		if (!__atomic_load_n(&row->dev, __ATOMIC_ACQUIRE))
			continue;
		if (!p->before[i])
			p->before[i] = calloc(1, sizeof(struct row_memory));
		if (!p->before[i])
			return -ENOMEM;
		if (!row_grew(row, &p->before[i]->row))
			continue;
		row_name(row, name);
		d = device_row(s, name);
		if (!d)
			return -ENOMEM;
		add_row(d, row, p->before[i], &s->trust);
	}
	return 0;
}

/* The totals of the system: the devices that do not stand on others. Called while all rows have requests. */
static int add_totals(struct snapshot *s)
{
	struct block_metrics *total = &s->system.block;
	int err = 0;

	total->reads = total->writes = total->read_bytes = total->write_bytes = total->errors = 0;
	total->flushes = total->discards = total->discard_bytes = 0;
	dist_clear(&total->latency);
	dist_clear(&total->queue);
	for (size_t i = 0; i < s->n_devices; i++) {
		const struct block_metrics *io = &s->devices[i].io;

		/* Multipath of the request-based kind: the disks below count the same requests. */
		if (strncmp(s->devices[i].dev, "dm-", 3) == 0)
			continue;
		total->reads += io->reads;
		total->writes += io->writes;
		total->read_bytes += io->read_bytes;
		total->write_bytes += io->write_bytes;
		total->errors += io->errors;
		total->flushes += io->flushes;
		total->discards += io->discards;
		total->discard_bytes += io->discard_bytes;
		err = dist_merge(&total->latency, &io->latency) ?: err;
		err = dist_merge(&total->queue, &io->queue) ?: err;
	}
	return err;
}

/* The process of a slot's owner; its key holds its pid and start time. */
static struct process *owner_process(struct process_table *processes, uint64_t key)
{
	if (key == BLOCK_WRITEBACK_KEY)
		return process_writeback(processes);
	return process_find(processes, key) ?:
		       process_get(processes, key >> 42, (key & ((1ull << 42) - 1)) << 10);
}

static void add_latency(uint64_t owner, const struct dist *growth, void *context)
{
	struct process *process = owner_process(context, owner);

	if (process) {
		dist_merge(&process->now.io_latency, growth);
		process->active = true;
	}
}

/*
 * Requests by process. A slot's number of requests is never emptied; its growth is the owner's of now or, while it rests
 * between two owners, the last one's. It rests for at least one read, so a change of owner is never missed.
 */
static void read_requests(struct probe *p)
{
	for (uint32_t i = 0; i < p->io.n; i++) {
		uint64_t owner = __atomic_load_n(&p->io.slots[i].owner, __ATOMIC_ACQUIRE);
		uint64_t now = __atomic_load_n(&p->requests[i], __ATOMIC_RELAXED),
			 grown = now - p->requests_before[i];
		struct process *process;

		if (owner)
			p->owners[i] = owner;
		if (!grown || !p->owners[i])
			continue;
		process = owner_process(p->processes, p->owners[i]);
		if (!process)
			continue;
		process->now.reads += (uint32_t)grown;
		process->now.writes += grown >> 32;
		process->active = true;
		p->requests_before[i] = now;
	}
}

static void read_totals(struct probe *p, struct trust_metrics *trust)
{
	const struct block_totals *now = &p->skel->bss->totals;
	struct block_totals *before = &p->totals;

	trust->map_full += grow(&now->set_full, &before->set_full) +
			   grow(&now->rows_full, &before->rows_full) +
			   grow(&now->slots_empty, &before->slots_empty);
	trust->unattributed += grow(&now->unowned, &before->unowned);
	trust->discarded += grow(&now->discarded, &before->discarded);
}

static int block_read(struct probe *p, struct snapshot *s)
{
	int err = read_rows(p, s);

	/* Of request-based devices only, before others get their rows. */
	for (size_t i = 0; !err && i < s->n_devices; i++) {
		const struct block_metrics *io = &s->devices[i].io;

		s->trust.events += io->reads + io->writes + io->discards + io->flushes;
	}
	if (!err)
		err = add_totals(s);
	if (!err)
		err = device_watch_read(p->watch, s);
	read_requests(p);
	slots_read(&p->io, add_latency, p->processes);
	read_totals(p, &s->trust);
	return err;
}

static uint64_t block_map_bytes(const struct probe *p)
{
	return object_map_bytes(p->skel->obj);
}

static uint64_t block_bpf_ns(const struct probe *p)
{
	return object_run_ns(p->skel->obj);
}

const struct probe_ops block_probe = {
	.name = "block",
	.sources = 1u << SOURCE_BLOCK,
	.supported = block_supported,
	.open = block_open,
	.read = block_read,
	.map_bytes = block_map_bytes,
	.bpf_ns = block_bpf_ns,
	.close = block_close,
};
