/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.h - a hash map from a 64-bit key to a pointer; open addressing, linear probing.
 *
 * The map owns no values. Any key is allowed; a NULL value is not. While iterating with map_next() nothing may be added
 * or removed: map_remove_if() is the way to remove many. Not thread-safe.
 *
 *	struct map m = MAP_INIT;
 *	map_put(&m, 42, thing);
 *	thing = map_get(&m, 42);
 *	for (size_t i = 0; (thing = map_next(&m, &i));) ...
 *	map_release(&m);
 */
#ifndef MBTRACE_BASE_MAP_H
#define MBTRACE_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t key;
	void *value; /* NULL: free */
};

struct map {
	struct map_slot *slots;
	size_t cap; /* 0 or a power of two */
	size_t count;
};

#define MAP_INIT ((struct map){ 0 })

void map_release(struct map *m);
void *map_get(const struct map *m, uint64_t key);
/* Sets or replaces; 0 or -ENOMEM (the map is unchanged). */
int map_put(struct map *m, uint64_t key, void *value);
/* Removes and returns the value, or NULL. */
void *map_remove(struct map *m, uint64_t key);
/* Iterates in no order: returns the next value and advances *pos (start at 0), or NULL at the end. */
void *map_next(const struct map *m, size_t *pos);
/* Calls `drop` on every value; where it returns true the entry leaves the map. A value that stays may be asked twice. */
void map_remove_if(struct map *m, bool (*drop)(void *value, void *context), void *context);
/* Bytes held, for accounts of the agent's own memory. */
size_t map_bytes(const struct map *m);

#endif
