// SPDX-License-Identifier: BSD-2-Clause
/* The hash map against a plain array that does the same. */
#include "suite.h"

#include <stdlib.h>

#include "base/macros.h"
#include "base/map.h"

START_TEST(empty)
{
	struct map m = MAP_INIT;
	size_t pos = 0;

	ck_assert_ptr_null(map_get(&m, 0));
	ck_assert_ptr_null(map_remove(&m, 0));
	ck_assert_ptr_null(map_next(&m, &pos));
	ck_assert_uint_eq(map_bytes(&m), 0);
	map_release(&m);
}
END_TEST

START_TEST(every_key)
{
	static const uint64_t keys[] = { 0,	     1,		 UINT64_MAX,
					 1ull << 63, 1ull << 32, (1ull << 32) + 1,
					 64,	     128 };
	struct map m = MAP_INIT;
	int values[ARRAY_SIZE(keys)];

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		ck_assert_int_eq(map_put(&m, keys[i], &values[i]), 0);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		ck_assert_ptr_eq(map_get(&m, keys[i]), &values[i]);
	ck_assert_uint_eq(m.count, ARRAY_SIZE(keys));
	/* Another value for the same key. */
	ck_assert_int_eq(map_put(&m, 0, &values[1]), 0);
	ck_assert_uint_eq(m.count, ARRAY_SIZE(keys));
	ck_assert_ptr_eq(map_remove(&m, 0), &values[1]);
	ck_assert_ptr_null(map_get(&m, 0));
	map_release(&m);
}
END_TEST

#define MODEL 3000 /* keys of the model; small, so that they meet again */

struct model {
	struct map map;
	void *values[MODEL];
	size_t count;
};

/* Keys as they are in practice: dense, aligned like pointers, or in the upper half. */
static uint64_t key_of(unsigned int i, int kind)
{
	return kind == 0 ? i : kind == 1 ? i * 4096ull : (uint64_t)i << 42;
}

static void compare(const struct model *model, int kind)
{
	size_t pos = 0, seen = 0;

	ck_assert_uint_eq(model->map.count, model->count);
	for (unsigned int i = 0; i < MODEL; i++)
		if (map_get(&model->map, key_of(i, kind)) != model->values[i])
			ck_abort_msg("kind %d: key %u differs", kind, i);
	while (map_next(&model->map, &pos))
		seen++;
	ck_assert_uint_eq(seen, model->count);
}

/* Drops every value whose address has bit 0 of its index set. */
static bool drop_odd(void *value, void *context)
{
	return ((char *)value - (char *)context) % 2;
}

static void run_model(int kind, unsigned int seed)
{
	static char things[100];
	struct model model = { .map = MAP_INIT };

	srand(seed);
	for (int step = 0; step < 200000; step++) {
		unsigned int i = rand() % MODEL;
		void **value = &model.values[i];

		if (step % 50000 == 49999) {
			map_remove_if(&model.map, drop_odd, things);
			for (unsigned int k = 0; k < MODEL; k++) {
				if (model.values[k] && drop_odd(model.values[k], things)) {
					model.values[k] = NULL;
					model.count--;
				}
			}
		} else if (rand() % 100 < 40 + 20 * (step / 40000 % 2)) {
			void *thing = &things[rand() % sizeof(things)];

			model.count += !*value;
			*value = thing;
			ck_assert_int_eq(map_put(&model.map, key_of(i, kind), thing), 0);
		} else {
			void *removed = map_remove(&model.map, key_of(i, kind));

			ck_assert_ptr_eq(removed, *value);
			model.count -= *value != NULL;
			*value = NULL;
		}
		if (step % 10000 == 9999)
			compare(&model, kind);
	}
	compare(&model, kind);
	map_release(&model.map);
}

START_TEST(random_model)
{
	for (int kind = 0; kind < 3; kind++)
		run_model(kind, kind + 1);
}
END_TEST

static bool drop_all(void *value, void *context)
{
	++*(size_t *)context;
	return true;
}

START_TEST(remove_all)
{
	struct map m = MAP_INIT;
	size_t dropped = 0;

	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_int_eq(map_put(&m, i * 64, &m), 0);
	map_remove_if(&m, drop_all, &dropped);
	ck_assert_uint_eq(dropped, 1000);
	ck_assert_uint_eq(m.count, 0);
	ck_assert_uint_gt(map_bytes(&m), 0);
	map_release(&m);
}
END_TEST

SUITE("base map", empty, every_key, random_model, remove_all)
