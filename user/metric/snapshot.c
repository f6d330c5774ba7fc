// SPDX-License-Identifier: BSD-2-Clause
#include "metric/snapshot.h"

#include <malloc.h>
#include <string.h>

#include "base/macros.h"
#include "metric/table.h"

#define TEXT_BLOCK_SIZE 8192
#define ROWS_KEPT 1024 /* processes for which memory is kept, however few there were lately */

/* A piece of the pool that texts are copied to. */
struct text_block {
	struct text_block *next;
	size_t used, size;
	char data[];
};

static const char *const source_names[SOURCE_COUNT] = {
	[SOURCE_SCHED] = "sched",
	[SOURCE_FAULT] = "fault",
	[SOURCE_BLOCK] = "block",
	[SOURCE_TCP] = "tcp",
};

const char *source_name(enum source_id id)
{
	return source_names[id];
}

struct snapshot *snapshot_new(void)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	if (s)
		snapshot_reset(s);
	return s;
}

static void release_rows(enum metric_scope scope, void *rows, size_t cap)
{
	for (size_t i = 0; i < cap; i++)
		metric_row_release(scope, (char *)rows + i * metric_scopes[scope].size);
	free(rows);
}

void snapshot_free(struct snapshot *s)
{
	if (!s)
		return;
	metric_row_release(SCOPE_SYSTEM, &s->system);
	release_rows(SCOPE_DEVICE, s->devices, s->cap_devices);
	release_rows(SCOPE_INTERFACE, s->interfaces, s->cap_interfaces);
	release_rows(SCOPE_PROCESS, s->processes, s->cap_processes);
	while (s->texts) {
		struct text_block *next = s->texts->next;

		free(s->texts);
		s->texts = next;
	}
	map_release(&s->text_index);
	map_release(&s->process_index);
	free(s);
}

/* Gives back the memory of rows that were filled in a storm of processes, but for `keep`. */
static void shrink_processes(struct snapshot *s, size_t keep)
{
	struct process_metrics *rows;

	keep = MAX(keep, ROWS_KEPT);
	if (s->cap_processes <= keep)
		return;
	for (size_t i = keep; i < s->cap_processes; i++)
		metric_row_release(SCOPE_PROCESS, &s->processes[i]);
	s->cap_processes = keep;
	rows = realloc(s->processes, keep * sizeof(*rows));
	if (rows)
		s->processes = rows;
	/* Small pieces between others are not given back by free(). */
	malloc_trim(0);
}

void snapshot_reset(struct snapshot *s)
{
	/* Numbers that go up and down a little shall not cost memory that comes and goes. */
	if (s->cap_processes / 4 > s->n_processes)
		shrink_processes(s, s->n_processes * 2);
	s->time_ns = s->elapsed_ns = s->interval_ns = 0;
	metric_row_reset(SCOPE_SYSTEM, &s->system);
	metric_row_reset(SCOPE_TRUST, &s->trust);
	metric_row_reset(SCOPE_SELF, &s->self);
	s->n_devices = s->n_interfaces = s->n_processes = 0;
	while (s->texts && s->texts->next) { /* keep one block */
		struct text_block *next = s->texts->next;

		free(s->texts);
		s->texts = next;
	}
	if (s->texts)
		s->texts->used = 0;
	map_release(&s->text_index);
	map_release(&s->process_index);
}

/* Makes room for one more row of a scope and resets it; rows beyond n keep their distributions' memory for reuse. */
static void *add_row(enum metric_scope scope, void **rows, size_t *n, size_t *cap)
{
	size_t size = metric_scopes[scope].size;
	void *row;

	if (*n == *cap) {
		size_t bigger = *cap ? *cap * 2 : 16;
		char *moved = realloc(*rows, bigger * size);

		if (!moved)
			return NULL;
		memset(moved + *cap * size, 0, (bigger - *cap) * size);
		*rows = moved;
		*cap = bigger;
	}
	row = (char *)*rows + (*n)++ * size;
	metric_row_reset(scope, row);
	if (scope == SCOPE_PROCESS)
		((struct process_metrics *)row)->idle = false;
	return row;
}

struct process_metrics *snapshot_add_process(struct snapshot *s)
{
	return add_row(SCOPE_PROCESS, (void **)&s->processes, &s->n_processes, &s->cap_processes);
}

struct device_metrics *snapshot_add_device(struct snapshot *s)
{
	return add_row(SCOPE_DEVICE, (void **)&s->devices, &s->n_devices, &s->cap_devices);
}

struct interface_metrics *snapshot_add_interface(struct snapshot *s)
{
	return add_row(SCOPE_INTERFACE, (void **)&s->interfaces, &s->n_interfaces,
		       &s->cap_interfaces);
}

/* FNV-1a: texts here are short and not hostile enough to matter, since a collision only costs a copy. */
static uint64_t hash_text(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	return h;
}

const char *snapshot_text(struct snapshot *s, const char *text)
{
	uint64_t hash;
	size_t len;
	char *copy;

	if (!text)
		return NULL;
	hash = hash_text(text);
	copy = map_get(&s->text_index, hash);
	if (copy && strcmp(copy, text) == 0)
		return copy;
	len = strlen(text) + 1;
	if (!s->texts || s->texts->size - s->texts->used < len) {
		size_t size = MAX(len, TEXT_BLOCK_SIZE);
		struct text_block *block = malloc(sizeof(*block) + size);

		if (!block)
			return NULL;
		*block = (struct text_block){ .next = s->texts, .size = size };
		s->texts = block;
	}
	copy = s->texts->data + s->texts->used;
	s->texts->used += len;
	memcpy(copy, text, len);
	map_put(&s->text_index, hash, copy); /* without memory the next equal text is copied again */
	return copy;
}

const void *snapshot_rows(const struct snapshot *s, enum metric_scope scope, size_t *ret_n)
{
	*ret_n = 1;
	switch (scope) {
	case SCOPE_SYSTEM:
		return &s->system;
	case SCOPE_TRUST:
		return &s->trust;
	case SCOPE_SELF:
		return &s->self;
	case SCOPE_DEVICE:
		*ret_n = s->n_devices;
		return s->devices;
	case SCOPE_INTERFACE:
		*ret_n = s->n_interfaces;
		return s->interfaces;
	case SCOPE_PROCESS:
		*ret_n = s->n_processes;
		return s->processes;
	default:
		*ret_n = 0;
		return NULL;
	}
}

/* Takes over a text of another snapshot, unless it is the same already. */
static void merge_text(struct snapshot *s, const char **whole, const char *text)
{
	if (text && (!*whole || strcmp(*whole, text) != 0))
		*whole = snapshot_text(s, text);
}

static uint64_t process_index_key(const struct process_metrics *p)
{
	return p->pid * 0x9e3779b97f4a7c15ull ^ p->start_ns;
}

/* The row of `whole` for the same process, made when it is new; NULL without memory. */
static struct process_metrics *matching_process(struct snapshot *whole,
						const struct process_metrics *from)
{
	uint64_t key = process_index_key(from);
	size_t at = (size_t)map_get(&whole->process_index, key);

	if (at && whole->processes[at - 1].pid == from->pid &&
	    whole->processes[at - 1].start_ns == from->start_ns)
		return &whole->processes[at - 1];
	if (map_put(&whole->process_index, key, (void *)(whole->n_processes + 1)))
		return NULL;
	return snapshot_add_process(whole);
}

static int merge_processes(struct snapshot *whole, const struct snapshot *interval, double weight)
{
	for (size_t i = 0; i < interval->n_processes; i++) {
		const struct process_metrics *from = &interval->processes[i];
		struct process_metrics *to = matching_process(whole, from);

		if (!to || metric_row_merge(SCOPE_PROCESS, to, from, weight))
			return -ENOMEM;
		merge_text(whole, &to->comm, from->comm);
		merge_text(whole, &to->cgroup, from->cgroup);
		merge_text(whole, &to->state, from->state);
		merge_text(whole, &to->cmdline, from->cmdline);
	}
	/* A process is absent from intervals in which it did nothing: its share is of the whole all the same. */
	for (size_t i = 0; i < whole->n_processes; i++) {
		struct process_metrics *p = &whole->processes[i];

		if (p->cpu_ns != METRIC_NULL && whole->interval_ns)
			p->cpu_pct = 100.0 * p->cpu_ns / whole->interval_ns;
	}
	return 0;
}

void snapshot_truncate_processes(struct snapshot *s, size_t n)
{
	s->n_processes = n < s->n_processes ? n : s->n_processes;
	shrink_processes(s, s->n_processes * 2);
	map_release(&s->process_index);
	for (size_t i = 0; i < s->n_processes; i++)
		map_put(&s->process_index, process_index_key(&s->processes[i]), (void *)(i + 1));
}

static int merge_devices(struct snapshot *whole, const struct snapshot *interval, double weight)
{
	for (size_t i = 0; i < interval->n_devices; i++) {
		const struct device_metrics *from = &interval->devices[i];
		struct device_metrics *to = NULL;

		for (size_t k = 0; k < whole->n_devices && !to; k++)
			if (strcmp(whole->devices[k].dev, from->dev) == 0)
				to = &whole->devices[k];
		if (!to)
			to = snapshot_add_device(whole);
		if (!to || metric_row_merge(SCOPE_DEVICE, to, from, weight))
			return -ENOMEM;
		merge_text(whole, &to->dev, from->dev);
	}
	return 0;
}

static int merge_interfaces(struct snapshot *whole, const struct snapshot *interval, double weight)
{
	for (size_t i = 0; i < interval->n_interfaces; i++) {
		const struct interface_metrics *from = &interval->interfaces[i];
		struct interface_metrics *to = NULL;

		for (size_t k = 0; k < whole->n_interfaces && !to; k++)
			if (strcmp(whole->interfaces[k].name, from->name) == 0)
				to = &whole->interfaces[k];
		if (!to)
			to = snapshot_add_interface(whole);
		if (!to || metric_row_merge(SCOPE_INTERFACE, to, from, weight))
			return -ENOMEM;
		merge_text(whole, &to->name, from->name);
	}
	return 0;
}

int snapshot_merge(struct snapshot *whole, const struct snapshot *interval)
{
	uint64_t total = whole->interval_ns + interval->interval_ns;
	double weight = total ? (double)interval->interval_ns / total : 1;
	int err;

	whole->time_ns = interval->time_ns;
	whole->elapsed_ns = interval->elapsed_ns;
	whole->interval_ns = total;
	err = metric_row_merge(SCOPE_SYSTEM, &whole->system, &interval->system, weight);
	if (!err)
		err = metric_row_merge(SCOPE_TRUST, &whole->trust, &interval->trust, weight);
	if (!err)
		err = metric_row_merge(SCOPE_SELF, &whole->self, &interval->self, weight);
	if (!err)
		err = merge_devices(whole, interval, weight);
	if (!err)
		err = merge_interfaces(whole, interval, weight);
	if (!err)
		err = merge_processes(whole, interval, weight);
	return err;
}

void trust_judge(struct trust_metrics *t)
{
	t->complete = !t->lost && !t->map_full && !t->discarded && !t->shed;
}

size_t snapshot_bytes(const struct snapshot *s)
{
	size_t bytes = sizeof(*s) + s->cap_devices * sizeof(*s->devices) +
		       s->cap_interfaces * sizeof(*s->interfaces) +
		       s->cap_processes * sizeof(*s->processes);

	for (size_t i = 0; i < s->cap_processes; i++)
		bytes += dist_bytes(&s->processes[i].runq) + dist_bytes(&s->processes[i].io_latency);
	for (const struct text_block *b = s->texts; b; b = b->next)
		bytes += sizeof(*b) + b->size;
	return bytes;
}
