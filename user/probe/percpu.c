// SPDX-License-Identifier: BSD-2-Clause
#include "probe/percpu.h"

#include <bpf/libbpf.h>
#include <sys/mman.h>

#include "base/macros.h"

int percpu_open(struct percpu *p, const struct bpf_map *map)
{
	size_t page = sysconf(_SC_PAGESIZE);
	void *mapped;

	*p = (struct percpu){ .n = bpf_map__max_entries(map),
			      .stride = (bpf_map__value_size(map) + 7) & ~7u };
	p->length = (p->n * p->stride + page - 1) & ~(page - 1);
	p->before = calloc(1, p->stride);
	if (!p->before)
		return -ENOMEM;
	mapped = mmap(NULL, p->length, PROT_READ, MAP_SHARED, bpf_map__fd(map), 0);
	if (mapped == MAP_FAILED) {
		int err = -errno;

		percpu_close(p);
		return err;
	}
	p->now = mapped;
	return 0;
}

void percpu_close(struct percpu *p)
{
	if (p->now)
		munmap((void *)p->now, p->length);
	free(p->before);
	*p = (struct percpu){ 0 };
}

static uint64_t total(const struct percpu *p, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < p->n; i++)
		sum += __atomic_load_n((const uint64_t *)(p->now + i * p->stride + offset),
				       __ATOMIC_RELAXED);
	return sum;
}

uint64_t percpu_growth(struct percpu *p, size_t offset)
{
	uint64_t *before = (uint64_t *)(p->before + offset), now = total(p, offset),
		 growth = now - *before;

	if ((int64_t)growth <= 0)
		return 0;
	*before = now;
	return growth;
}

int64_t percpu_level(const struct percpu *p, size_t offset)
{
	return (int64_t)total(p, offset);
}

int percpu_dist(struct percpu *p, size_t bins_offset, unsigned int n_bins, size_t sum_offset,
		struct dist *d)
{
	uint64_t sum;

	dist_clear(d);
	for (unsigned int bin = 0; bin < n_bins; bin++) {
		uint64_t count = percpu_growth(p, bins_offset + bin * sizeof(uint64_t));

		if (count && dist_add_bin(d, bin, count))
			return -ENOMEM;
	}
	sum = percpu_growth(p, sum_offset);
	if (d->count)
		dist_set_exact(d, sum, d->min, d->max);
	return 0;
}
