// SPDX-License-Identifier: BSD-2-Clause
#include "probe/slots.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/mman.h>

#include "base/macros.h"

struct slots_memory {
	uint32_t count;
	uint32_t idle; /* reads without growth */
	uint64_t sum;
	uint64_t owner; /* as of the last read; kept while the slot rests */
	bool resting;
	uint32_t *bins; /* of the last read; NULL while never used */
};

static size_t map_length(uint32_t n)
{
	size_t page = sysconf(_SC_PAGESIZE);

	return (n * sizeof(struct hist_slot) + page - 1) & ~(page - 1);
}

int slots_size(struct bpf_map *slots, struct bpf_map *owners, struct bpf_map *free, uint32_t n)
{
	int err = bpf_map__set_max_entries(slots, n);

	if (!err)
		err = bpf_map__set_max_entries(owners, n);
	if (!err)
		err = bpf_map__set_max_entries(free, n);
	return err;
}

int slots_open(struct slots *s, const struct bpf_map *slots, const struct bpf_map *owners,
	       const struct bpf_map *free)
{
	void *mapped;

	*s = (struct slots){ .n = bpf_map__max_entries(slots),
			     .owners_fd = bpf_map__fd(owners),
			     .free_fd = bpf_map__fd(free) };
	mapped = mmap(NULL, map_length(s->n), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(slots), 0);
	if (mapped == MAP_FAILED)
		return -errno;
	s->slots = mapped;
	s->memory = calloc(s->n, sizeof(*s->memory));
	if (!s->memory) {
		slots_close(s);
		return -ENOMEM;
	}
	/* A stack: the first slots are handed out first, so that few pages are touched. */
	for (uint32_t i = s->n; i-- > 0;)
		if (bpf_map_update_elem(s->free_fd, NULL, &i, BPF_ANY)) {
			int err = -errno;

			slots_close(s);
			return err;
		}
	return 0;
}

void slots_close(struct slots *s)
{
	if (s->slots)
		munmap(s->slots, map_length(s->n));
	for (uint32_t i = 0; s->memory && i < s->n; i++)
		free(s->memory[i].bins);
	free(s->memory);
	*s = (struct slots){ 0 };
}

/* Takes a slot back: programs no longer find it, and will not use it once they see the owner gone. */
static void retire(struct slots *s, uint32_t i)
{
	bpf_map_delete_elem(s->owners_fd, &s->slots[i].owner);
	__atomic_store_n(&s->slots[i].owner, 0, __ATOMIC_RELEASE);
	s->memory[i].resting = true;
}

static void put_back(struct slots *s, uint32_t i)
{
	struct slots_memory *memory = &s->memory[i];

	memset(&s->slots[i], 0, sizeof(s->slots[i]));
	free(memory->bins);
	*memory = (struct slots_memory){ 0 };
	bpf_map_update_elem(s->free_fd, NULL, &i, BPF_ANY);
}

/* The growth of one slot into `growth`; 0 or -ENOMEM (then it is counted again at the next read). */
static int read_growth(const struct hist_slot *slot, struct slots_memory *memory, struct dist *growth)
{
	uint32_t left;
	uint64_t sum;

	if (!memory->bins) {
		memory->bins = calloc(BINS_SHORT_COUNT, sizeof(*memory->bins));
		if (!memory->bins)
			return -ENOMEM;
	}
	dist_clear(growth);
	left = __atomic_load_n(&slot->count, __ATOMIC_ACQUIRE) - memory->count;
	for (uint32_t bin = 0; bin < BINS_SHORT_COUNT && left; bin++) {
		uint32_t now = __atomic_load_n(&slot->bins[bin], __ATOMIC_RELAXED),
			 grown = now - memory->bins[bin];

		/* The programs count while we read: what is beyond `left` belongs to the next read. */
		grown = MIN(grown, left);
		if (!grown)
			continue;
		if (dist_add_bin(growth, bin, grown))
			return -ENOMEM;
		memory->bins[bin] += grown;
		left -= grown;
	}
	memory->count += growth->count;
	sum = __atomic_load_n(&slot->sum, __ATOMIC_RELAXED);
	if (growth->count)
		dist_set_exact(growth, sum - memory->sum, growth->min, growth->max);
	memory->sum = sum;
	return 0;
}

void slots_read(struct slots *s,
		void (*each)(uint64_t owner, const struct dist *growth, void *context), void *context)
{
	struct dist growth = { 0 };

	for (uint32_t i = 0; i < s->n; i++) {
		const struct hist_slot *slot = &s->slots[i];
		struct slots_memory *memory = &s->memory[i];
		uint64_t owner = memory->resting ? memory->owner :
						   __atomic_load_n(&slot->owner, __ATOMIC_ACQUIRE);

		if (!owner)
			continue;
		memory->owner = owner;
		if (slot->count != memory->count) {
			memory->idle = 0;
			if (!read_growth(slot, memory, &growth) && growth.count)
				each(owner, &growth, context);
		} else if (memory->resting) {
			put_back(s, i);
		} else if (++memory->idle >= SLOTS_IDLE_READS) {
			retire(s, i);
		}
	}
	dist_release(&growth);
}

size_t slots_bytes(const struct slots *s)
{
	return s->n * sizeof(*s->memory);
}
