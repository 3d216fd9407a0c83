/* SPDX-License-Identifier: MIT */
/* graph/op: what numeric operators infer when only part of the shapes is known. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "graph/op.h"
#include "tests/support/support.h"

#define ANY FINF_DIM_ANY
#define S(...)                                                                                     \
	{                                                                                          \
		sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                                \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}
/* Not even the rank is known. */
#define NO_RANK                                                                                    \
	{                                                                                          \
		.rank = UINT32_MAX                                                                 \
	}

#define INTS(key, ...)                                                                             \
	{                                                                                          \
		.name = key, .type = FINF_ATTR_INTS,                                               \
		.n = sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t), .ints = (int64_t[])       \
		{                                                                                  \
			__VA_ARGS__                                                                \
		}                                                                                  \
	}

static const struct {
	const char *what, *op;
	struct finf_shape in[5]; /* as many as n_in */
	uint32_t n_in;
	struct finf_attr attrs[2];
	struct finf_shape out;
} rows[] = {
	{"Conv, batch open", "Conv", {S(ANY, 3, 8, 8), S(4, 3, 3, 3)}, 2, {{0}}, S(ANY, 4, 6, 6)},
	{"Conv, channels open", "Conv", {S(1, ANY, 8, 8), S(4, 3, 3, 3)}, 2, {{0}}, S(1, 4, 6, 6)},
	{"Conv, rows open", "Conv", {S(1, 3, ANY, 8), S(4, 3, 3, 3)}, 2, {{0}}, S(1, 4, ANY, ANY)},
	{"Conv, weight unknown", "Conv", {S(2, 3, 8, 8), NO_RANK}, 2, {{0}}, S(2, ANY, ANY, ANY)},
	{"Conv, weight unknown but kernel_shape",
	 "Conv",
	 {S(2, 3, 8, 8), NO_RANK},
	 2,
	 {INTS("kernel_shape", 3, 5)},
	 S(2, ANY, 6, 4)},
	{"Conv, input unknown", "Conv", {NO_RANK, S(4, 3, 3, 3)}, 2, {{0}}, NO_RANK},
	{"MaxPool, batch open",
	 "MaxPool",
	 {S(ANY, 3, 8, 8)},
	 1,
	 {INTS("kernel_shape", 2, 2)},
	 S(ANY, 3, 7, 7)},
	{"AveragePool, columns open",
	 "AveragePool",
	 {S(1, 3, 8, ANY)},
	 1,
	 {INTS("kernel_shape", 2, 2)},
	 S(1, 3, ANY, ANY)},
	{"MaxPool, input unknown", "MaxPool", {NO_RANK}, 1, {INTS("kernel_shape", 2, 2)}, NO_RANK},
	{"GlobalAveragePool, all open",
	 "GlobalAveragePool",
	 {S(ANY, ANY, ANY, ANY)},
	 1,
	 {{0}},
	 S(ANY, ANY, 1, 1)},
	{"BatchNormalization, batch open",
	 "BatchNormalization",
	 {S(ANY, 3, 8), S(3), S(3), S(3), S(3)},
	 5,
	 {{0}},
	 S(ANY, 3, 8)},
	{"BatchNormalization, input unknown",
	 "BatchNormalization",
	 {NO_RANK, S(3), S(3), S(3), S(3)},
	 5,
	 {{0}},
	 NO_RANK},
	{"Gemm, rows open", "Gemm", {S(ANY, 3), S(3, 4), S(4)}, 3, {{0}}, S(ANY, 4)},
	{"Gemm, A unknown", "Gemm", {NO_RANK, S(3, 4), S(4)}, 3, {{0}}, S(ANY, 4)},
	{"Gemm, B unknown", "Gemm", {S(2, 3), NO_RANK, S(4)}, 3, {{0}}, S(2, ANY)},
	{"MatMul, batch open", "MatMul", {S(ANY, 2, 3), S(3, 4)}, 2, {{0}}, S(ANY, 2, 4)},
	{"MatMul, an open batch against 5",
	 "MatMul",
	 {S(ANY, 2, 3), S(5, 3, 4)},
	 2,
	 {{0}},
	 S(5, 2, 4)},
	{"MatMul, one unknown", "MatMul", {S(2, 3), NO_RANK}, 2, {{0}}, NO_RANK},
	{"Softmax, batch open", "Softmax", {S(ANY, 10)}, 1, {{0}}, S(ANY, 10)},
	{"Relu, all open", "Relu", {S(ANY, ANY)}, 1, {{0}}, S(ANY, ANY)},
	{"Clip, batch open", "Clip", {S(ANY, 4), S(ANY)}, 2, {{0}}, S(ANY, 4)},
	{"Add, an open dimension against 3", "Add", {S(ANY, 4), S(3, 1)}, 2, {{0}}, S(3, 4)},
	{"Add, an open dimension against 1", "Add", {S(ANY, 4), S(1, 4)}, 2, {{0}}, S(ANY, 4)},
	{"Add, two open dimensions", "Add", {S(ANY), S(2, ANY)}, 2, {{0}}, S(2, ANY)},
	{"Mul, one unknown", "Mul", {NO_RANK, S(2)}, 2, {{0}}, NO_RANK},
};

static struct finf_graph *build(size_t row)
{
	uint32_t in[5], out, n_attrs = rows[row].attrs[0].name ? 1 : 0;
	struct finf_graph *graph;
	char name[16];

	ck_assert_int_eq(finf_graph_new("partial", &graph), 0);
	for (uint32_t i = 0; i < rows[row].n_in; i++) {
		const struct finf_shape *shape = &rows[row].in[i];

		snprintf(name, sizeof(name), "in%u", i);
		ck_assert_int_eq(finf_graph_value(graph, name, FINF_F32,
						  shape->rank == UINT32_MAX ? NULL : shape, &in[i]),
				 0);
		ck_assert_int_eq(finf_graph_input(graph, in[i]), 0);
	}
	ck_assert_int_eq(finf_graph_value(graph, "out", FINF_DTYPE_NONE, NULL, &out), 0);
	ck_assert_int_eq(finf_graph_output(graph, out), 0);
	ck_assert_int_eq(finf_graph_node(graph, finf_op_find(rows[row].op), 13, "node", in,
					 rows[row].n_in, &out, 1, rows[row].attrs, n_attrs, NULL),
			 0);
	return graph;
}

START_TEST(test_partial)
{
	struct finf_graph *graph = build((size_t)_i);
	const struct finf_shape *want = &rows[_i].out;
	struct finf_diag diag = {""};
	const struct finf_value *y;
	char have[96];

	ck_assert_msg(!finf_graph_infer(graph, &diag), "%s: %s", rows[_i].what, diag.text);
	y = &graph->values[graph->outputs[0]];
	ck_assert_int_eq(y->dtype, FINF_F32);
	if (want->rank == UINT32_MAX)
		ck_assert_msg(!y->has_shape, "%s", rows[_i].what);
	else
		ck_assert_msg(y->has_shape && finf_shape_equal(&y->shape, want), "%s: %s",
			      rows[_i].what, finf_shape_text(&y->shape, have, sizeof(have)));
	finf_graph_free(graph);
}
END_TEST

/*
 * Any numbers at all in attributes and shapes: an answer or a refusal, never
 * overflow (the sanitizer watches), and what is inferred can be counted.
 */
START_TEST(test_hostile)
{
	static const int64_t numbers[] = {
		INT64_MIN, -1, 0, 1, 2, 3, 7, INT32_MAX, 1ll << 40, INT64_MAX,
	};
	static const char *const ops[] = {"Conv", "MaxPool", "AveragePool"};
	static const char *const autos[] = {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"};
	uint64_t seed = (uint64_t)_i;
	bool refused = false, taken = false;

	for (int round = 0; round < 2000; round++) {
		int64_t kernel[2], strides[2], pads[4], dims[4] = {1, 1, 0, 0};
		struct finf_attr attrs[4] = {
			{.name = "kernel_shape", .type = FINF_ATTR_INTS, .n = 2, .ints = kernel},
			{.name = "strides", .type = FINF_ATTR_INTS, .n = 2, .ints = strides},
			{.name = "pads", .type = FINF_ATTR_INTS, .n = 4, .ints = pads},
			{.name = "auto_pad", .type = FINF_ATTR_STRING},
		};
		const struct finf_op *op = finf_op_find(ops[test_random(&seed) % 3]);
		struct finf_shape shape = {4, {0}}, weight = {4, {1, 1, 0, 0}};
		struct finf_graph *graph;
		uint32_t in[2], out;
		int err;

		for (int i = 0; i < 2; i++) {
			kernel[i] = numbers[test_random(&seed) % FINF_ARRAY_LEN(numbers)];
			strides[i] = numbers[test_random(&seed) % FINF_ARRAY_LEN(numbers)];
			dims[2 + i] =
				numbers[1 + test_random(&seed) % (FINF_ARRAY_LEN(numbers) - 1)];
			weight.dim[2 + i] = kernel[i] < -1 ? 1 : kernel[i];
		}
		for (int i = 0; i < 4; i++) {
			pads[i] = test_random(&seed) % 2
					  ? 0
					  : numbers[test_random(&seed) % FINF_ARRAY_LEN(numbers)];
			shape.dim[i] = dims[i];
		}
		attrs[3].s = autos[test_random(&seed) % 4];
		attrs[3].n = (uint32_t)strlen(attrs[3].s);
		ck_assert_int_eq(finf_graph_new("hostile", &graph), 0);
		ck_assert_int_eq(finf_graph_value(graph, "x", FINF_F32, &shape, &in[0]), 0);
		ck_assert_int_eq(finf_graph_value(graph, "w", FINF_F32, &weight, &in[1]), 0);
		ck_assert_int_eq(finf_graph_value(graph, "y", FINF_DTYPE_NONE, NULL, &out), 0);
		ck_assert_int_eq(finf_graph_node(graph, op, 13, "node", in, op->min_in, &out, 1,
						 attrs, 4, NULL),
				 0);
		err = finf_graph_infer(graph, NULL);
		refused |= err;
		taken |= !err;
		if (!err && finf_shape_is_static(&graph->values[out].shape)) {
			size_t bytes;

			ck_assert_int_eq(
				finf_tensor_bytes(FINF_F32, &graph->values[out].shape, &bytes), 0);
		} else if (err) {
			ck_assert(err == -EINVAL || err == -EOVERFLOW || err == -EOPNOTSUPP);
		}
		finf_graph_free(graph);
	}
	ck_assert(refused && taken);
}
END_TEST

Suite *test_suite(void)
{
	Suite *suite = suite_create("graph/op/compute");
	TCase *tcase = tcase_create("compute");

	tcase_set_timeout(tcase, 120);
	tcase_add_loop_test(tcase, test_partial, 0, FINF_ARRAY_LEN(rows));
	tcase_add_loop_test(tcase, test_hostile, 0, 4);
	suite_add_tcase(suite, tcase);
	return suite;
}
