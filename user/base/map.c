// SPDX-License-Identifier: BSD-2-Clause
#include "base/map.h"

#include "base/macros.h"

#define MAP_FIRST_CAP 64

static size_t home(const struct map *m, uint64_t key)
{
	/* Fibonacci hashing with the high half folded in: ids and pids are dense, pointers are aligned. */
	key ^= key >> 32;
	key *= 0x9e3779b97f4a7c15ull;
	return (key >> 32) & (m->cap - 1);
}

void map_release(struct map *m)
{
	free(m->slots);
	*m = MAP_INIT;
}

/* The slot that holds the key, or the free slot where it would go. The map is never full. */
static struct map_slot *find(const struct map *m, uint64_t key)
{
	size_t i = home(m, key);

	while (m->slots[i].value && m->slots[i].key != key)
		i = (i + 1) & (m->cap - 1);
	return &m->slots[i];
}

static int resize(struct map *m, size_t cap)
{
	struct map bigger = { .slots = calloc(cap, sizeof(*m->slots)), .cap = cap, .count = m->count };

	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->cap; i++)
		if (m->slots[i].value)
			*find(&bigger, m->slots[i].key) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

void *map_get(const struct map *m, uint64_t key)
{
	return m->cap ? find(m, key)->value : NULL;
}

int map_put(struct map *m, uint64_t key, void *value)
{
	struct map_slot *slot;

	/* At most 3/4 full. */
	if (m->count + 1 > m->cap / 4 * 3) {
		int err = resize(m, m->cap ? m->cap * 2 : MAP_FIRST_CAP);

		if (err)
			return err;
	}
	slot = find(m, key);
	if (!slot->value)
		m->count++;
	*slot = (struct map_slot){ key, value };
	return 0;
}

/* Empties slot i and moves later entries of the run back, so that no search stops early. */
static void vacate(struct map *m, size_t i)
{
	size_t mask = m->cap - 1, hole = i;

	for (size_t j = (i + 1) & mask; m->slots[j].value; j = (j + 1) & mask) {
		size_t want = home(m, m->slots[j].key);

		if (((j - want) & mask) >= ((j - hole) & mask)) {
			m->slots[hole] = m->slots[j];
			hole = j;
		}
	}
	m->slots[hole].value = NULL;
	m->count--;
}

void *map_remove(struct map *m, uint64_t key)
{
	struct map_slot *slot;
	void *value;

	if (!m->cap)
		return NULL;
	slot = find(m, key);
	value = slot->value;
	if (value)
		vacate(m, slot - m->slots);
	return value;
}

void *map_next(const struct map *m, size_t *pos)
{
	while (*pos < m->cap) {
		void *value = m->slots[(*pos)++].value;

		if (value)
			return value;
	}
	return NULL;
}

void map_remove_if(struct map *m, bool (*drop)(void *value, void *context), void *context)
{
	for (size_t i = 0; i < m->cap;) {
		if (m->slots[i].value && drop(m->slots[i].value, context))
			vacate(m, i); /* may have moved another entry into this slot: look again */
		else
			i++;
	}
}

size_t map_bytes(const struct map *m)
{
	return m->cap * sizeof(*m->slots);
}
