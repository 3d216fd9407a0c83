/* SPDX-License-Identifier: MIT */
/* graph: the operator table, checks against it, and the helpers operators share. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "graph/op.h"
#include "tests/support/optest.h"

/* ---- the table -------------------------------------------------------------------- */

START_TEST(test_rows_are_sane)
{
	const struct finf_op *op;
	uint32_t n = 0;

	for (; (op = finf_op_at(n)); n++) {
		ck_assert_ptr_eq(finf_op_find(op->name), op);
		ck_assert_ptr_nonnull(op->infer);
		ck_assert_int_ne(op->eval == NULL, op->range == NULL);
		ck_assert(op->range || !op->units);
		ck_assert_uint_ge(op->opset_min, 1);
		ck_assert_uint_le(op->opset_min, op->opset_max);
		ck_assert_uint_le(op->min_in, op->max_in);
		ck_assert_uint_le(op->min_out, op->max_out);
		ck_assert_uint_ge(op->min_out, 1);
		for (const struct finf_attr_spec *a = op->attrs; a && a->name; a++) {
			ck_assert_msg(a->type, "%s: %s has no type", op->name, a->name);
			for (const struct finf_attr_spec *b = a + 1; b->name; b++)
				ck_assert_msg(strcmp(a->name, b->name), "%s: %s twice", op->name,
					      a->name);
		}
	}
	ck_assert_uint_ge(n, 30);
	ck_assert_ptr_null(finf_op_at(n));
	ck_assert_ptr_null(finf_op_at(UINT32_MAX));
	ck_assert_ptr_null(finf_op_find("NoSuchOperator"));
	ck_assert_ptr_null(finf_op_find("conv"));
}
END_TEST

/* ---- checking ------------------------------------------------------------------------ */

static const struct optest_row checks[] = {
	{.name = "attribute given twice",
	 .op = "Flatten",
	 .attrs = {OT_I("axis", 1), OT_I("axis", 1)},
	 .in = {OT(F32, OT_S(1, 1), 0)},
	 .err = -EINVAL,
	 .says = "axis is given twice"},
	{.name = "attribute of another type",
	 .op = "Transpose",
	 .attrs = {OT_FS("perm", 0, 1)},
	 .in = {OT(F32, OT_S(1, 1), 0)},
	 .err = -EINVAL,
	 .says = "perm is a list of floats, but must be a list of integers"},
	{.name = "attribute older than the opset",
	 .op = "Squeeze",
	 .opset = 13,
	 .attrs = {OT_IS("axes", 0)},
	 .in = {OT(F32, OT_S(1, 1), 0)},
	 .err = -EOPNOTSUPP,
	 .says = "node node, operator Squeeze, opset 13: attribute axes does not exist"},
	{.name = "required attribute missing",
	 .op = "Cast",
	 .in = {OT(F32, OT_S(1), 0)},
	 .err = -EINVAL,
	 .says = "attribute to is missing"},
	{.name = "required only in older opsets",
	 .op = "Unsqueeze",
	 .opset = 13,
	 .in = {OT(F32, OT_S(1), 4), OT_K(I64, OT_S(1), 0)},
	 .out = {OT(F32, OT_S(1, 1), 4)}},
	{.name = "required input left out",
	 .op = "Gather",
	 .in = {OT_OMIT, OT(I64, OT_S(1), 0)},
	 .err = -EINVAL,
	 .says = "input 0 is missing"},
};

START_TEST(test_check)
{
	optest_run(&checks[_i]);
}
END_TEST

/* ---- axes and broadcasting ------------------------------------------------------------ */

START_TEST(test_axis)
{
	static const struct {
		int64_t axis;
		uint32_t rank;
		bool ok;
		uint32_t want;
	} rows[] = {
		{0, 1, true, 0},	  {2, 3, true, 2},   {3, 3, false, 0},
		{-1, 3, true, 2},	  {-3, 3, true, 0},  {-4, 3, false, 0},
		{0, 0, false, 0},	  {-1, 0, false, 0}, {INT64_MAX, 8, false, 0},
		{INT64_MIN, 8, false, 0},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		uint32_t axis = 77;

		ck_assert_int_eq(finf_axis(rows[i].axis, rows[i].rank, &axis), rows[i].ok);
		ck_assert_uint_eq(axis, rows[i].ok ? rows[i].want : 77);
	}
}
END_TEST

START_TEST(test_broadcast)
{
	enum { ANY = FINF_DIM_ANY };
	static const struct {
		struct finf_shape a, b, want;
		int err;
	} rows[] = {
		{OT_S(2, 3), OT_S(2, 3), OT_S(2, 3), 0},
		{OT_S(2, 3), OT_S(3), OT_S(2, 3), 0},
		{OT_S(2, 1), OT_S(1, 3), OT_S(2, 3), 0},
		{OT_S(), OT_S(4), OT_S(4), 0},
		{OT_S(), OT_S(), OT_S(), 0},
		{OT_S(4, 1, 2), OT_S(3, 1), OT_S(4, 3, 2), 0},
		{OT_S(1), OT_S(0), OT_S(0), 0},
		{OT_S(ANY), OT_S(1), OT_S(ANY), 0},
		{OT_S(ANY), OT_S(5), OT_S(5), 0},
		{OT_S(ANY), OT_S(ANY), OT_S(ANY), 0},
		{OT_S(ANY, 3), OT_S(3), OT_S(ANY, 3), 0},
		{OT_S(2), OT_S(3), OT_S(), -EINVAL},
		{OT_S(2, 3), OT_S(2), OT_S(), -EINVAL},
		{OT_S(0), OT_S(2), OT_S(), -EINVAL},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		struct finf_shape out[2] = {{.rank = 77}, {.rank = 77}};

		ck_assert_int_eq(finf_broadcast(&rows[i].a, &rows[i].b, &out[0]), rows[i].err);
		ck_assert_int_eq(finf_broadcast(&rows[i].b, &rows[i].a, &out[1]), rows[i].err);
		for (int k = 0; k < 2; k++)
			if (rows[i].err)
				ck_assert_uint_eq(out[k].rank, 77);
			else
				ck_assert_msg(finf_shape_equal(&out[k], &rows[i].want), "row %zu",
					      i);
	}
}
END_TEST

/* ---- activations ----------------------------------------------------------------------- */

START_TEST(test_act)
{
	static const struct {
		enum finf_act act;
		float a, b, want[4];
	} rows[] = {
		{FINF_ACT_NONE, 0, 0, {-8, -1, 0.5f, 8}},
		{FINF_ACT_RELU, 0, 0, {0, 0, 0.5f, 8}},
		{FINF_ACT_LEAKY, 0.25f, 0, {-2, -0.25f, 0.5f, 8}},
		{FINF_ACT_CLIP, -2, 6, {-2, -1, 0.5f, 6}},
		{FINF_ACT_SIGMOID,
		 0,
		 0,
		 {0.000335350131f, 0.268941421f, 0.622459331f, 0.99966465f}},
		{FINF_ACT_ELU, 2, 0, {-1.99932909f, -1.26424112f, 0.5f, 8}},
		{FINF_ACT_GELU, 0, 0, {-4.97684e-15f, -0.158655254f, 0.345731231f, 8}},
		{FINF_ACT_GELU_TANH, 0, 0, {0, -0.158808009f, 0.345714010f, 8}},
		{FINF_ACT_HARD_SWISH, 0, 0, {0, -1.0f / 3, 0.291666667f, 8}},
		{FINF_ACT_MISH, 0, 0, {-0.00268321f, -0.303401461f, 0.375245211f, 7.99999820f}},
		{FINF_ACT_SWISH, 0, 0, {-0.00268280f, -0.268941421f, 0.311229666f, 7.99731720f}},
		{FINF_ACT_TANH, 0, 0, {-0.999999775f, -0.761594156f, 0.462117157f, 0.999999775f}},
	};

	for (size_t i = 0; i < FINF_ARRAY_LEN(rows); i++) {
		float x[5] = {-8, -1, 0.5f, 8, NAN};

		finf_act_apply(rows[i].act, rows[i].a, rows[i].b, x, 5);
		for (int k = 0; k < 4; k++)
			ck_assert_float_eq_tol(x[k], rows[i].want[k], 1e-6f);
		ck_assert(isnan(x[4]));
	}
}
END_TEST

START_TEST(test_act_needs_floats)
{
	struct finf_node node = {
		.op = finf_op_find("Identity"), .n_in = 1, .n_out = 1, .act = FINF_ACT_RELU};
	int64_t x[] = {-1}, y[] = {7};
	struct finf_tensor in = {.dtype = FINF_I64, .shape = OT_S(1), .data = x, .bytes = 8};
	struct finf_tensor out = {.dtype = FINF_I64, .shape = OT_S(1), .data = y, .bytes = 8};

	ck_assert_int_eq(finf_op_eval(&node, (const struct finf_tensor *[]){&in},
				      (struct finf_tensor *[]){&out}),
			 -EINVAL);
}
END_TEST

/* ---- windows ----------------------------------------------------------------------------- */

#define WINDOW_ATTRS 6

static const struct window_row {
	const char *name;
	struct finf_attr attrs[WINDOW_ATTRS];
	int64_t kernel[2], in[2];
	int64_t out[2], begin[2], end[2];
	int err;
	const char *says;
} windows[] = {
	{.name = "defaults", .kernel = {3, 2}, .in = {5, 5}, .out = {3, 4}},
	{.name = "strides and pads, rows before columns",
	 .attrs = {OT_IS("strides", 2, 1), OT_IS("pads", 1, 0, 2, 3)},
	 .kernel = {3, 3},
	 .in = {6, 4},
	 .out = {4, 5},
	 .begin = {1, 0},
	 .end = {2, 3}},
	{.name = "dilations",
	 .attrs = {OT_IS("dilations", 2, 3)},
	 .kernel = {3, 2},
	 .in = {7, 7},
	 .out = {3, 4}},
	{.name = "the last step does not fit",
	 .attrs = {OT_IS("strides", 2, 2)},
	 .kernel = {2, 2},
	 .in = {5, 5},
	 .out = {2, 2}},
	{.name = "ceil_mode takes it",
	 .attrs = {OT_IS("strides", 2, 2), OT_I("ceil_mode", 1)},
	 .kernel = {2, 2},
	 .in = {5, 4},
	 .out = {3, 2}},
	{.name = "ceil_mode, but the last window would lie in the padding",
	 .attrs = {OT_IS("strides", 3, 3), OT_IS("pads", 1, 1, 1, 1), OT_I("ceil_mode", 1)},
	 .kernel = {2, 2},
	 .in = {2, 3},
	 .out = {1, 2},
	 .begin = {1, 1},
	 .end = {1, 1}},
	{.name = "VALID ignores pads",
	 .attrs = {OT_STR("auto_pad", "VALID"), OT_IS("pads", 1, 1, 1, 1)},
	 .kernel = {3, 3},
	 .in = {5, 5},
	 .out = {3, 3}},
	{.name = "SAME_UPPER puts the odd cell at the end",
	 .attrs = {OT_STR("auto_pad", "SAME_UPPER"), OT_IS("strides", 2, 1)},
	 .kernel = {3, 2},
	 .in = {6, 5},
	 .out = {3, 5},
	 .begin = {0, 0},
	 .end = {1, 1}},
	{.name = "SAME_LOWER puts it at the beginning",
	 .attrs = {OT_STR("auto_pad", "SAME_LOWER"), OT_IS("strides", 2, 1)},
	 .kernel = {3, 2},
	 .in = {6, 5},
	 .out = {3, 5},
	 .begin = {1, 1},
	 .end = {0, 0}},
	{.name = "SAME with dilations",
	 .attrs = {OT_STR("auto_pad", "SAME_UPPER"), OT_IS("dilations", 2, 1)},
	 .kernel = {3, 1},
	 .in = {4, 4},
	 .out = {4, 4},
	 .begin = {2, 0},
	 .end = {2, 0}},
	{.name = "SAME needs no padding when steps are wide",
	 .attrs = {OT_STR("auto_pad", "SAME_UPPER"), OT_IS("strides", 3, 3)},
	 .kernel = {1, 1},
	 .in = {7, 6},
	 .out = {3, 2}},
	{.name = "NOTSET",
	 .attrs = {OT_STR("auto_pad", "NOTSET"), OT_IS("kernel_shape", 1, 1)},
	 .kernel = {1, 1},
	 .in = {2, 2},
	 .out = {2, 2}},
	{.name = "an unknown auto_pad",
	 .attrs = {OT_STR("auto_pad", "SAME")},
	 .kernel = {1, 1},
	 .in = {2, 2},
	 .err = -EINVAL,
	 .says = "auto_pad is SAME"},
	{.name = "kernel_shape contradicts the weights",
	 .attrs = {OT_IS("kernel_shape", 3, 3)},
	 .kernel = {3, 2},
	 .in = {9, 9},
	 .err = -EINVAL,
	 .says = "kernel_shape"},
	{.name = "larger than the input",
	 .kernel = {3, 3},
	 .in = {2, 9},
	 .err = -EINVAL,
	 .says = "window of 3 does not fit input of 2"},
	{.name = "attributes of one dimension",
	 .attrs = {OT_IS("strides", 1)},
	 .kernel = {1, 1},
	 .in = {2, 2},
	 .err = -EINVAL,
	 .says = "strides has 1 elements"},
	{.name = "attributes of three dimensions",
	 .attrs = {OT_IS("pads", 0, 0, 0, 0, 0, 0)},
	 .kernel = {1, 1},
	 .in = {2, 2},
	 .err = -EINVAL,
	 .says = "pads has 6 elements"},
	{.name = "stride 0",
	 .attrs = {OT_IS("strides", 0, 1)},
	 .kernel = {1, 1},
	 .in = {2, 2},
	 .err = -EINVAL,
	 .says = "strides holds 0"},
	{.name = "negative pads",
	 .attrs = {OT_IS("pads", 0, -1, 0, 0)},
	 .kernel = {1, 1},
	 .in = {2, 2},
	 .err = -EINVAL,
	 .says = "pads holds -1"},
	{.name = "pads that overflow",
	 .attrs = {OT_IS("pads", 0, INT64_MAX, 0, INT64_MAX)},
	 .kernel = {1, 1},
	 .in = {2, 2},
	 .err = -EINVAL,
	 .says = "out of range"},
	{.name = "dilations that overflow",
	 .attrs = {OT_IS("dilations", INT64_MAX, 1)},
	 .kernel = {3, 1},
	 .in = {2, 2},
	 .err = -EINVAL,
	 .says = "dilations"},
	{.name = "a kernel of nothing",
	 .kernel = {0, 1},
	 .in = {2, 2},
	 .err = -EINVAL,
	 .says = "window 0"},
	{.name = "an input beyond 2^31",
	 .kernel = {1, 1},
	 .in = {1ll << 40, 1},
	 .err = -EINVAL,
	 .says = "out of range"},
	{.name = "the largest of everything",
	 .attrs = {OT_IS("dilations", INT32_MAX, 1), OT_IS("pads", INT32_MAX, 0, INT32_MAX, 0)},
	 .kernel = {INT32_MAX, 1},
	 .in = {INT32_MAX, 1},
	 .err = -EINVAL,
	 .says = "does not fit"},
};

START_TEST(test_window)
{
	const struct window_row *row = &windows[_i];
	struct finf_attr attrs[WINDOW_ATTRS];
	struct finf_node node = {.attrs = attrs};
	struct finf_window w = {.out = {-9, -9}};
	struct finf_diag diag = {0};
	int err;

	memcpy(attrs, row->attrs, sizeof(attrs));
	while (node.n_attrs < WINDOW_ATTRS && attrs[node.n_attrs].name)
		node.n_attrs++;
	err = finf_window_init(&node, 2, row->kernel, row->in, &w, &diag);
	ck_assert_msg(err == row->err, "%s: error %d: %s", row->name, err, diag.text);
	if (err) {
		ck_assert_msg(strstr(diag.text, row->says), "%s: %s", row->name, diag.text);
		ck_assert_int_eq(w.out[0], -9);
		return;
	}
	for (int i = 0; i < 2; i++) {
		ck_assert_msg(w.out[i] == row->out[i], "%s: out %d is %d", row->name, i,
			      (int)w.out[i]);
		ck_assert_msg(w.pad_begin[i] == row->begin[i], "%s: begin %d", row->name, i);
		ck_assert_msg(w.pad_end[i] == row->end[i], "%s: end %d", row->name, i);
		ck_assert_int_eq(w.kernel[i], row->kernel[i]);
		ck_assert_int_eq(w.in[i], row->in[i]);
	}
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("graph/op");
	TCase *tcase = tcase_create("op");

	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, test_rows_are_sane);
	tcase_add_loop_test(tcase, test_check, 0, (int)FINF_ARRAY_LEN(checks));
	tcase_add_test(tcase, test_axis);
	tcase_add_test(tcase, test_broadcast);
	tcase_add_test(tcase, test_act);
	tcase_add_test(tcase, test_act_needs_floats);
	tcase_add_loop_test(tcase, test_window, 0, (int)FINF_ARRAY_LEN(windows));
	suite_add_tcase(suite, tcase);
	return suite;
}
