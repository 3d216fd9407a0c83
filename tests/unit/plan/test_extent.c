/* SPDX-License-Identifier: MIT */
/* finf_plan_extent(): offsets of weights and borders of segments. */
#include "tests/unit/plan/fake.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

static const struct extent_row {
	const char *what;
	uint64_t aim;
	uint32_t n;
	uint64_t bytes[8], offsets[8];
	uint32_t n_segments;
	uint64_t segments[8]; /* bytes of each */
} rows[] = {
	{"nothing", 0, 0, {0}, {0}, 0, {0}},
	{"an empty weight", 0, 1, {0}, {0}, 0, {0}},
	{"one byte takes a page", 0, 1, {1}, {0}, 1, {4096}},
	{"256-byte offsets", 0, 3, {1, 256, 257}, {0, 256, 512}, 1, {4096}},
	{"an empty weight between", 0, 3, {8, 0, 8}, {0, 256, 256}, 1, {4096}},
	{"default aim", 0, 3, {5 * MIB, 3 * MIB, 5 * MIB}, {0, 5 * MIB, 8 * MIB}, 2,
	 {8 * MIB, 5 * MIB}},
	{"a border before the weight that does not fit", 8 * MIB, 2, {5 * MIB + 1, 5 * MIB},
	 {0, 5 * MIB + 4 * KIB}, 2, {5 * MIB + 4 * KIB, 5 * MIB}},
	{"a short segment grows instead", 8 * MIB, 2, {3 * MIB, 13 * MIB}, {0, 3 * MIB}, 1,
	 {16 * MIB}},
	{"too large for that: cut at the aim", 8 * MIB, 2, {2 * MIB, 20 * MIB}, {0, 2 * MIB}, 2,
	 {8 * MIB, 14 * MIB}},
	{"one large weight", 8 * MIB, 1, {40 * MIB}, {0}, 4, {8 * MIB, 8 * MIB, 8 * MIB, 16 * MIB}},
	{"what follows a large weight", 8 * MIB, 2, {18 * MIB, 4 * MIB}, {0, 18 * MIB}, 3,
	 {8 * MIB, 10 * MIB, 4 * MIB}},
	{"a small aim", 4097, 3, {4 * KIB, 4 * KIB, 4 * KIB}, {0, 4 * KIB, 8 * KIB}, 2,
	 {8 * KIB, 4 * KIB}},
};

START_TEST(test_extent_rows)
{
	const struct extent_row *row = &rows[_i];
	struct finf_plan_segment *segments = NULL;
	struct finf_arena arena;
	uint64_t offsets[8] = {0}, bytes = 1, at = 0;
	uint32_t n = 99;
	int err;

	finf_arena_init(&arena);
	err = finf_plan_extent(row->bytes, row->n, row->aim, &arena, offsets, &segments, &n, &bytes);
	ck_assert_int_eq(err, 0);
	for (uint32_t i = 0; i < row->n; i++)
		ck_assert_msg(offsets[i] == row->offsets[i], "%s: weight %u at %llu", row->what, i,
			      (unsigned long long)offsets[i]);
	ck_assert_msg(n == row->n_segments, "%s: %u segments", row->what, n);
	for (uint32_t i = 0; i < n; i++) {
		ck_assert_uint_eq(segments[i].offset, at);
		ck_assert_msg(segments[i].bytes == row->segments[i], "%s: segment %u of %llu",
			      row->what, i, (unsigned long long)segments[i].bytes);
		at += segments[i].bytes;
	}
	ck_assert_uint_eq(bytes, at);
	finf_arena_fini(&arena);
}
END_TEST

START_TEST(test_extent_overflow)
{
	static const uint64_t huge[][2] = {
		{UINT64_MAX, 1}, {UINT64_MAX / 2, UINT64_MAX / 2 + 2},
		{FINF_EXTENT_MAX, 1}, {FINF_EXTENT_MAX / 2, FINF_EXTENT_MAX / 2},
	};
	struct finf_plan_segment *segments = NULL;
	struct finf_arena arena;
	uint64_t offsets[2], bytes = 7;
	uint32_t n = 7;

	finf_arena_init(&arena);
	for (size_t i = 0; i < FINF_ARRAY_LEN(huge); i++)
		ck_assert_int_eq(finf_plan_extent(huge[i], 2, 0, &arena, offsets, &segments, &n,
						  &bytes), -EOVERFLOW);
	ck_assert_ptr_null(segments);
	ck_assert_uint_eq(n, 7);
	ck_assert_uint_eq(bytes, 7);
	finf_arena_fini(&arena);
}
END_TEST

/* Whatever the sizes: no small weight is cut, no segment but the last is off the mark. */
START_TEST(test_extent_random)
{
	uint64_t seed = (uint64_t)_i, bytes[64], offsets[64], total, aim = 64 * KIB;
	uint32_t n = 1 + fake_below(&seed, 64), n_segments;
	struct finf_plan_segment *segments;
	struct finf_arena arena;

	finf_arena_init(&arena);
	for (uint32_t i = 0; i < n; i++)
		bytes[i] = test_random(&seed) % (4u << (fake_below(&seed, 17)));
	ck_assert_int_eq(finf_plan_extent(bytes, n, aim, &arena, offsets, &segments, &n_segments,
					  &total), 0);
	for (uint32_t s = 0; s < n_segments; s++) {
		ck_assert_uint_eq(segments[s].bytes % FINF_SEGMENT_ALIGN, 0);
		ck_assert_uint_le(segments[s].bytes, 2 * aim + FINF_SEGMENT_ALIGN);
		if (s + 1 < n_segments)
			ck_assert_uint_ge(segments[s].bytes, aim / 2);
	}
	for (uint32_t i = 0; i < n; i++) {
		uint64_t end = offsets[i] + bytes[i];

		ck_assert_uint_eq(offsets[i] % FINF_WEIGHT_ALIGN, 0);
		ck_assert_uint_le(end, i + 1 < n ? offsets[i + 1] : total);
		for (uint32_t s = 0; s < n_segments; s++)
			if (segments[s].offset > offsets[i] && segments[s].offset < end)
				ck_assert_uint_gt(bytes[i], aim);
	}
	finf_arena_fini(&arena);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("plan/extent");
	TCase *tc = tcase_create("extent");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_extent_rows, 0, FINF_ARRAY_LEN(rows));
	tcase_add_test(tc, test_extent_overflow);
	tcase_add_loop_test(tc, test_extent_random, 0, 200);
	suite_add_tcase(suite, tc);
	return suite;
}
