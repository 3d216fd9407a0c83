/* SPDX-License-Identifier: MIT */
/* Plans written and read: round trips, truncation, bit flips, seeded mutations. */
#include "tests/fuzz/fuzz_plan.c"
#include "tests/unit/plan/fake.h"

static void write_sample(struct finf_graph **ret_graph, struct finf_buf *buf)
{
	struct finf_plan *plan;

	*ret_graph = sample_graph();
	plan = sample_plan(*ret_graph);
	finf_buf_init(buf);
	finf_plan_write(plan, buf);
	ck_assert_int_eq(buf->err, 0);
	finf_plan_free(plan);
}

START_TEST(test_round_trip)
{
	struct finf_plan_opts opts = {.size = sizeof(opts), .threads = 3, .segment_bytes = 8192};
	uint64_t seed = (uint64_t)_i;
	struct finf_graph *graph = fake_random_graph(&seed);
	struct finf_form_table table;
	struct finf_plan *plan, *back = NULL;
	struct finf_buf first, second;
	struct finf_diag diag = {""};
	int err;

	fake_random_table(&table, graph, &seed);
	plan = fake_plan(graph, &table, &opts);
	finf_buf_init(&first);
	finf_plan_write(plan, &first);
	err = finf_plan_read(first.data, first.len, &back, &diag);
	ck_assert_msg(!err, "%s", diag.text);
	ck_assert_msg(!finf_plan_check(graph, back, &diag), "%s", diag.text);
	ck_assert_uint_eq(back->threads, 3);
	ck_assert_uint_eq(back->est_ns, plan->est_ns);
	ck_assert_uint_eq(back->arena_bytes, plan->arena_bytes);
	finf_buf_init(&second);
	finf_plan_write(back, &second);
	ck_assert_uint_eq(first.len, second.len);
	ck_assert_mem_eq(first.data, second.data, first.len);
	finf_buf_fini(&first);
	finf_buf_fini(&second);
	finf_plan_free(back);
	finf_plan_free(plan);
	fake_table_fini(&table);
	finf_graph_free(graph);
}
END_TEST

/* What stands behind the outputs of a plan that was not measured, in numbers of 32 bits. */
#define SIDE_WORDS 11u

#define MARK 0x6b72616d00000000u /* no other number is like it */

/* A plan of one branch as versions before 5 had it: one workspace, and no offset in a step. */
static void write_old(struct finf_plan *plan, uint8_t version, uint64_t workspace_offset,
		      struct finf_buf *ret)
{
	struct finf_buf buf;
	size_t at = 40; /* behind the number of branches */

	for (uint32_t s = 0; s < plan->n_steps; s++)
		plan->steps[s].workspace_offset = MARK + s;
	finf_buf_init(&buf);
	finf_plan_write(plan, &buf);
	ck_assert_uint_eq(buf.data[4], 5);
	buf.data[4] = version;
	finf_buf_put(ret, buf.data, version == 1 ? at - 4 : at);
	finf_buf_u64(ret, workspace_offset);
	finf_buf_u64(ret, UINT64_MAX); /* the proof asks each step */
	for (uint32_t s = 0; s < plan->n_steps; s++) {
		uint64_t mark = MARK + s;
		const uint8_t *end = memmem(buf.data + at, buf.len - at, &mark, sizeof(mark));

		ck_assert_ptr_nonnull(end);
		finf_buf_put(ret, buf.data + at, (size_t)(end - buf.data) - at);
		at = (size_t)(end - buf.data) + sizeof(mark);
	}
	finf_buf_put(ret, buf.data + at, buf.len - at);
	finf_buf_fini(&buf);
}

/*
 * Version 2 had no joins and nothing behind the outputs; version 3 a schedule without lanes, which
 * is left aside: least, heads, costs; version 4 one workspace for all steps of a branch. A newer
 * one may say anything.
 */
START_TEST(test_versions)
{
	static const struct {
		uint8_t version;
		bool join;
		int err;
		uint32_t words;	 /* behind the outputs */
		uint8_t side[2]; /* the first of them */
	} rows[] = {
		{0, false, -EBADMSG, SIDE_WORDS, {0}},
		{2, false, 0, 0, {0}},
		{2, true, -EBADMSG, 0, {0}},
		{3, false, 0, 3, {0}},
		{3, true, 0, 3, {0}},
		{3, false, 0, 4, {2, 1}},
		{3, false, -EBADMSG, SIDE_WORDS, {0}},
		{4, false, 0, SIDE_WORDS, {0}},
		{4, true, 0, SIDE_WORDS, {0}},
		{4, false, -EBADMSG, 3, {0}},
		{5, false, -EBADMSG, SIDE_WORDS, {0}}, /* the old text is none of the new version */
		{6, false, -EBADMSG, SIDE_WORDS, {0}},
	};
	struct finf_graph *graph = sample_graph();

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		struct finf_plan *plan = sample_plan(graph), *back = NULL;
		struct finf_diag diag = {""};
		struct finf_buf buf;

		if (rows[i].join)
			plan->steps[0].form.flags |= FINF_FORM_JOIN;
		finf_buf_init(&buf);
		write_old(plan, rows[i].version, 64, &buf);
		buf.len -= SIDE_WORDS * sizeof(uint32_t);
		for (uint32_t k = 0; k < 2; k++)
			buf.data[buf.len + k * sizeof(uint32_t)] = rows[i].side[k];
		buf.len += rows[i].words * sizeof(uint32_t);
		ck_assert_int_eq(finf_plan_read(buf.data, buf.len, &back, &diag), rows[i].err);
		ck_assert(!back == !!rows[i].err);
		ck_assert(!back || !back->side.n_lanes);
		for (uint32_t s = 0; back && s < back->n_steps; s++)
			ck_assert_uint_eq(back->steps[s].workspace_offset, 64);
		finf_plan_free(back);
		finf_plan_free(plan);
		finf_buf_fini(&buf);
	}
	finf_graph_free(graph);
}
END_TEST

/* Each prefix in memory of exactly its size, so that a read past it is seen. */
START_TEST(test_truncated)
{
	struct finf_graph *graph;
	struct finf_buf buf;

	write_sample(&graph, &buf);
	for (size_t len = 0; len < buf.len; len++) {
		uint8_t *part = malloc(len + 1);
		struct finf_plan *plan = NULL;
		struct finf_diag diag = {""};

		memcpy(part, buf.data, len);
		part = realloc(part, len ? len : 1);
		ck_assert_int_eq(finf_plan_read(part, len, &plan, &diag), -EBADMSG);
		ck_assert_str_ne(diag.text, "");
		ck_assert_ptr_null(plan);
		free(part);
	}
	finf_buf_fini(&buf);
	finf_graph_free(graph);
}
END_TEST

START_TEST(test_one_byte_too_many)
{
	struct finf_plan *plan = NULL;
	struct finf_graph *graph;
	struct finf_diag diag;
	struct finf_buf buf;

	write_sample(&graph, &buf);
	finf_buf_u8(&buf, 0);
	ck_assert_int_eq(finf_plan_read(buf.data, buf.len, &plan, &diag), -EBADMSG);
	finf_buf_fini(&buf);
	finf_graph_free(graph);
}
END_TEST

/* Refused when read, refused by the proof, or a number that the proof does not use. */
START_TEST(test_bit_flips)
{
	uint32_t refused = 0, disproved = 0, harmless = 0;
	struct finf_graph *graph;
	struct finf_buf buf;

	write_sample(&graph, &buf);
	for (size_t bit = 0; bit < buf.len * 8; bit++) {
		struct finf_plan *plan;
		struct finf_diag diag = {""};

		buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		if (finf_plan_read(buf.data, buf.len, &plan, &diag)) {
			refused++;
		} else {
			if (finf_plan_check(graph, plan, &diag))
				disproved++;
			else
				harmless++;
			finf_plan_free(plan);
		}
		buf.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* Names, prices, algorithm numbers, descriptions are the device's, not the proof's. */
	ck_assert_uint_gt(refused, buf.len);
	ck_assert_uint_gt(disproved, buf.len);
	ck_assert_uint_lt(harmless, buf.len * 4);
	finf_buf_fini(&buf);
	finf_graph_free(graph);
}
END_TEST

START_TEST(test_mutations)
{
	struct finf_graph *graph;
	struct finf_buf buf;
	uint8_t *out;

	write_sample(&graph, &buf);
	out = malloc(buf.len);
	for (uint64_t seed = 1; seed <= 20000; seed++) {
		size_t len = fuzz_mutate(buf.data, buf.len, seed, out);

		ck_assert_int_eq(LLVMFuzzerTestOneInput(out, len), 0);
	}
	free(out);
	finf_buf_fini(&buf);
	finf_graph_free(graph);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("plan/wire");
	TCase *tc = tcase_create("wire");

	tcase_set_timeout(tc, 300);
	tcase_add_loop_test(tc, test_round_trip, 0, 100);
	tcase_add_test(tc, test_versions);
	tcase_add_test(tc, test_truncated);
	tcase_add_test(tc, test_one_byte_too_many);
	tcase_add_test(tc, test_bit_flips);
	tcase_add_test(tc, test_mutations);
	suite_add_tcase(suite, tc);
	return suite;
}
