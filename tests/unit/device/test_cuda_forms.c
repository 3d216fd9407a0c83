/* SPDX-License-Identifier: MIT */
/* Forms of our kernels: what is refused by name, what is foreign, what a form holds. */
#include "tests/unit/device/bench.h"

/* ---- refusals ------------------------------------------------------------------------- */

/* clang-format off */
static const struct {
	struct node_case row;
	const char *says;
} refused[] = {
	{{"integer division", "Div", 13, {OTHER(I64, 6), {.rank = 1, .dim = {1}, .ints = true,
	  .ivalues = {2}}}, 2, {{0}}, .want = WANT_ANY}, "divides no integers"},
	{{"addition of doubles", "Add", 13, {OTHER(F64, 6), OTHER(F64, 6)}, 2, {{0}},
	  .want = WANT_ANY}, "no kernel for float64"},
	{{"mean of doubles", "ReduceMean", 13, {OTHER(F64, 6)}, 1, {{0}}, .want = WANT_ANY},
	 "no kernel for float64"},
	{{"bounded bytes", "Clip", 13, {OTHER(U8, 6)}, 1, {{0}}, .want = WANT_ANY},
	 "no kernel for uint8"},
	{{"largest bytes", "MaxPool", 12, {OTHER(I8, 1, 1, 3, 3)}, 1,
	  {ATTR_INTS("kernel_shape", 2, 2)}, .want = WANT_ANY}, "no kernel for int8"},
	{{"a volume", "Conv", 11, {ACT(1, 2, 3, 3, 3), WEIGHT(2, 2, 1, 1, 1)}, 2, {{0}},
	  .want = WANT_ANY}, "3 spatial dimensions"},
	{{"doubles apart", "Max", 13, {OTHER(F64, 6), OTHER(F64, 6)}, 2, {{0}}, .want = WANT_ANY},
	 "no kernel for float64"},
	{{"too many factors", "Einsum", 12, {ACT(1), ACT(1), ACT(1), ACT(1), ACT(1)}, 5,
	  {ATTR_STR("equation", "a,b,c,d,e")}, .want = WANT_ANY}, "5 operands"},
	{{"folded into a cast", "Cast", 13, {OTHER(I64, 6)}, 1, {ATTR_INT("to", FINF_F32)},
	  .act = FINF_ACT_RELU}, "folds no activation"},
	{{"nothing but a value", "Constant", 13, {LEFT_OUT}, 0, {ATTR_FLOAT("value_float", 1)},
	  .want = WANT_ANY}, "no kernel"},
};
/* clang-format on */

START_TEST(what_cannot_run_is_refused_by_name)
{
	const struct node_case *row = &refused[_i].row;
	struct finf_arena arena;
	struct finf_form_list list = {NULL, 0};
	struct finf_diag diag = {""};
	struct site site;

	site_init(&site, row, 0);
	finf_arena_init(&arena);
	ck_assert_int_eq(finf_cuda_describe(NULL, site.graph, 0, 1, NULL, 0, &arena, &list, &diag),
			 -EOPNOTSUPP);
	ck_assert_ptr_null(list.forms);
	ck_assert_ptr_nonnull(strstr(diag.text, row->what));
	ck_assert_ptr_nonnull(strstr(diag.text, row->op));
	ck_assert_ptr_nonnull(strstr(diag.text, refused[_i].says));
	finf_arena_fini(&arena);
	site_fini(&site);
}
END_TEST

/* What a run cannot report is told when the node is described. */
START_TEST(a_constant_of_0_divides_nothing)
{
	static const struct node_case row = {
		"rest", "Mod", 13, {OTHER(I64, 6), KEPT_BUT_0(I64, 6)}, 2, {{0}}, .want = WANT_ANY};
	struct finf_form_list list = {NULL, 0};
	struct finf_diag diag = {""};
	struct finf_arena arena;
	struct site site;

	site_init(&site, &row, 0);
	((int64_t *)site.in[1].data)[4] = 0;
	finf_arena_init(&arena);
	ck_assert_int_eq(finf_cuda_describe(NULL, site.graph, 0, 1, NULL, 0, &arena, &list, &diag),
			 -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(diag.text, "divides by 0"));
	finf_arena_fini(&arena);
	site_fini(&site);
}
END_TEST

static const struct node_case conv = {
	"conv", "Conv",		  11, {ACT(1, 3, 5, 5), WEIGHT(20, 3, 3, 3), WEIGHT(20)}, 3,
	{{0}},	.want = WANT_ANY,
};

START_TEST(weights_in_other_layouts_are_refused)
{
	const struct finf_weight_form blocked = {
		.input = 1, .bytes = 20 * 27 * 4, .desc_bytes = 4, .desc = "xyz"};
	const struct finf_weight_form plain = {.input = 1, .bytes = 20 * 27 * 4};
	struct finf_form_list list = {NULL, 0};
	struct finf_diag diag = {""};
	struct finf_arena arena;
	struct site site;

	site_init(&site, &conv, 0);
	finf_arena_init(&arena);
	ck_assert_int_eq(
		finf_cuda_describe(NULL, site.graph, 0, 1, &blocked, 1, &arena, &list, &diag),
		-EOPNOTSUPP);
	ck_assert_ptr_null(list.forms);
	ck_assert_int_eq(
		finf_cuda_describe(NULL, site.graph, 0, 1, &plain, 1, &arena, &list, &diag), 0);
	ck_assert_uint_eq(list.forms[0].n_weights, 2);
	finf_arena_fini(&arena);
	site_fini(&site);
}
END_TEST

/* Forms come from files. */
START_TEST(foreign_forms_are_refused)
{
	struct finf_weight_form weights[3];
	struct finf_form_list list;
	struct finf_kernel *kernel = NULL;
	struct finf_diag diag = {""};
	struct finf_arena arena;
	struct finf_form bad[5];
	struct site site;

	site_init(&site, &conv, 0);
	finf_arena_init(&arena);
	ck_assert_int_eq(finf_cuda_describe(NULL, site.graph, 0, 1, NULL, 0, &arena, &list, &diag),
			 0);
	for (int i = 0; i < 5; i++)
		bad[i] = list.forms[0];
	bad[0].algo = 7;
	bad[1].in_layout = 1;
	bad[2].workspace_bytes += 4;
	bad[3].n_weights = 1;
	memcpy(weights, list.forms[0].weights, 2 * sizeof(weights[0]));
	weights[1].bytes--;
	bad[4].weights = weights;
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(finf_cuda_kernel_new(site.graph, 0, &bad[i], &kernel, &diag),
				 -EINVAL);
		ck_assert_ptr_null(kernel);
	}
	ck_assert_int_eq(finf_cuda_reorder_new(FINF_F32, &site.out.shape, 0, 1, &kernel, &diag),
			 -EOPNOTSUPP);
	finf_arena_fini(&arena);
	site_fini(&site);
}
END_TEST

/* Integers that may differ from shape to shape are no weights, as far as they are few. */
START_TEST(integers_are_kept)
{
	static const struct {
		int64_t n;
		uint32_t weights, calls;
	} rows[] = {{1, 0, 2}, {64, 0, 2}, {65, 0, 3}, {512, 0, 9}, {513, 1, 1}};
	struct node_case row = {"gather", "Gather",	   13, {ACT(7, 3), KEPT(I64, 1)}, 2,
				{{0}},	  .want = WANT_ANY};
	struct finf_diag diag = {""};
	struct finf_form_list list;
	struct finf_arena arena;
	struct site site;

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		struct finf_k_build b = {.diag = &diag};

		row.in[1].dim[0] = rows[i].n;
		site_init(&site, &row, 0);
		finf_arena_init(&arena);
		ck_assert_int_eq(
			finf_cuda_describe(NULL, site.graph, 0, 1, NULL, 0, &arena, &list, &diag),
			0);
		ck_assert_uint_eq(list.forms[0].n_weights, rows[i].weights);
		ck_assert_uint_eq(list.forms[0].workspace_bytes,
				  rows[i].weights ? 0 : 8 * (uint64_t)rows[i].n);
		ck_assert_str_eq(list.forms[0].name, "finf_gather");
		b.graph = site.graph;
		b.node = &site.graph->nodes[0];
		ck_assert_int_eq(finf_k_build_node(&b), 0);
		ck_assert_uint_eq(b.n_calls, rows[i].calls);
		finf_k_build_fini(&b);
		finf_arena_fini(&arena);
		site_fini(&site);
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("device/cuda/forms");
	TCase *tc = tcase_create("forms");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, what_cannot_run_is_refused_by_name, 0, FINF_ARRAY_LEN(refused));
	tcase_add_test(tc, a_constant_of_0_divides_nothing);
	tcase_add_test(tc, weights_in_other_layouts_are_refused);
	tcase_add_test(tc, foreign_forms_are_refused);
	tcase_add_test(tc, integers_are_kept);
	suite_add_tcase(suite, tc);
	return suite;
}
