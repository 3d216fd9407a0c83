/* SPDX-License-Identifier: MIT */
/* policy: the indexed heap against a plain array. */
#include "policy/heap.h"
#include "tests/support/support.h"

#define N 64

static uint32_t plain_min(const uint64_t *key, const bool *in)
{
	uint32_t best = FINF_HEAP_NONE;

	for (uint32_t i = 0; i < N; i++)
		if (in[i] && (best == FINF_HEAP_NONE || key[i] < key[best]))
			best = i;
	return best;
}

START_TEST(same_as_plain_array)
{
	uint64_t seed = 7, key[N] = {0};
	bool in[N] = {0};
	struct finf_heap heap;

	ck_assert_int_eq(finf_heap_init(&heap, N), 0);
	for (int i = 0; i < 20000; i++) {
		uint32_t item = (uint32_t)(test_random(&seed) % N);

		if (test_random(&seed) % 3) {
			key[item] = test_random(&seed) % 20; /* many equal keys */
			in[item] = true;
			finf_heap_put(&heap, item, key[item]);
		} else {
			in[item] = false;
			finf_heap_drop(&heap, item);
		}
		ck_assert_uint_eq(finf_heap_has(&heap, item), in[item]);
		ck_assert_uint_eq(finf_heap_min(&heap), plain_min(key, in));
	}
	finf_heap_fini(&heap);
}
END_TEST

START_TEST(empties_in_order)
{
	struct finf_heap heap;
	uint64_t last = 0;

	ck_assert_int_eq(finf_heap_init(&heap, N), 0);
	for (uint32_t i = 0; i < N; i++)
		finf_heap_put(&heap, i, i * 37 % N);
	for (uint32_t i = 0; i < N; i++) {
		uint32_t item = finf_heap_min(&heap);

		ck_assert_uint_ge(heap.key[item], last);
		last = heap.key[item];
		finf_heap_drop(&heap, item);
	}
	ck_assert_uint_eq(finf_heap_min(&heap), FINF_HEAP_NONE);
	finf_heap_fini(&heap);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("policy/heap");
	TCase *tc = tcase_create("heap");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, same_as_plain_array);
	tcase_add_test(tc, empties_in_order);
	suite_add_tcase(suite, tc);
	return suite;
}
